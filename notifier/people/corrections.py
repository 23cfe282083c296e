"""A corrected file takes the place of an earlier one: who is in both stays, who vanished is excluded, with trace.

In the transaction that completes the corrected file, after its rows were absorbed, so that who is in both stays the
same person with what was decided about it. Other than with `departures`, persons who were approved or told may be among
those whom only the earlier file spoke of: they stay as persons, excluded ("operator withdrew", with the two files, by
whom and when), so that the account shows them; who was told is told. What nobody has begun is withdrawn, and what was
planned and not approved is forgotten as a whole: the next `plan` makes it anew. A person of whom a later file speaks
again is reinstated by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from notifier.model import Entry, to_ms
from notifier.people.arrivals import settle_touched
from notifier.people.departures import forget_plans, reseal_professionals, revise_reviews
from notifier.people.exclusions import held_back
from notifier.storage import contacts, imports, journal, persons, rejections, vanished
from notifier.storage.database import Connection
from notifier.storage.exposures import ExposureSets
from notifier.storage.imports import PastImport
from notifier.storage.vanished import ABSENT, OPERATOR, Freed, Who
from notifier.vault import Vault

_ENTRIES = 5_000


@dataclass(frozen=True, slots=True)
class Correction:
    """What a corrected file changed. ``kept``: persons of the earlier file of whom somebody speaks still;
    ``vanished``: those who are excluded now; ``withdrawn``: notifications taken back before anybody began them."""

    kept: int
    vanished: int
    withdrawn: int


def absent(by_sha256: str, sha256: str) -> str:
    """Why somebody is excluded: the file that does not speak of it, and the one that this replaced."""
    return f"{ABSENT}{by_sha256[:12]}, which replaces {sha256[:12]}"


async def correct(
    connection: Connection,
    vault: Vault,
    earlier: Sequence[PastImport],
    by_import: int,
    by_sha256: str,
    *,
    by: str,
    now: datetime,
    is_staged: bool = True,
) -> Correction | None:
    """Withdraw the ``earlier`` imports of a file, whose place the absorbed import ``by_import`` takes. None when there
    are none. ``is_staged``: the new file's rows are still waiting (it was absorbed in this transaction)."""
    if not earlier:
        return None
    made = [
        await _correct_one(connection, vault, each, by_import, by_sha256, by=by, now=now, is_staged=is_staged)
        for each in earlier
    ]
    await imports.set_replaces(connection, by_import, earlier[0].sha256)
    return Correction(*(sum(getattr(each, name) for each in made) for name in Correction.__slots__))


async def _correct_one(
    connection: Connection,
    vault: Vault,
    each: PastImport,
    by_import: int,
    by_sha256: str,
    *,
    by: str,
    now: datetime,
    is_staged: bool,
) -> Correction:
    sets, now_ms = await ExposureSets.load(connection), to_ms(now)
    await persons.gather_departing(connection, each.import_id)
    await vanished.gather_vanishing(connection, each.import_id)
    await vanished.gather_sets(connection)
    await forget_plans(connection)
    dropped = await revise_reviews(connection, each.import_id)
    records = await persons.remove_records(connection, each.import_id)
    await contacts.remove_unused(connection, each.import_id)
    if await persons.has_touched_groups(connection):
        await settle_touched(connection, sets)
    await persons.narrow_known(connection, sets)
    await vanished.keep_vanished(connection)
    kept = await persons.count_remaining(connection)
    reason = absent(by_sha256, each.sha256)
    gone = await vanished.exclude(connection, excluded=OPERATOR, reason=reason, by=by, now_ms=now_ms)
    held = await held_back(connection, await vanished.gone(connection), now)
    narrowed = await vanished.take_back_narrowed(connection, now_ms)
    await contacts.adopt_own_again(connection)
    await reseal_professionals(connection, vault)
    if is_staged:
        await persons.take_staged_fields(connection, by_import)
    reopened = await rejections.pass_on(connection, each.import_id, by_import, now_ms=now_ms)
    await imports.withdraw(connection, each.import_id)
    undone = {
        "kind": each.kind,
        "profile": each.profile,
        "records": records,
        "persons_removed": 0,
        "decisions_dropped": dropped,
        "rejections_reopened": reopened,
        "by": by,
    }
    replaced = {"by": by, "new": by_sha256, "vanished": len(gone.persons), "kept": kept}
    facts = {"reason": OPERATOR, "why": reason, "by": by}
    await _write(
        connection,
        [
            Entry(now, "import_undone", each.sha256, undone),
            Entry(now, "import_replaced", each.sha256, replaced),
            *_of_persons(vault, gone.persons, "person_excluded", facts, now),
            *held,
            *_replanned(vault, gone.freed, "operator_withdrew", now),
            *_replanned(vault, narrowed, "exposures_narrowed", now),
        ],
    )
    return Correction(kept, len(gone.persons), len(gone.freed) + len(narrowed))


async def reinstate(
    connection: Connection, vault: Vault, import_id: int, sha256: str, *, by: str, now: datetime
) -> int:
    """Persons whom a corrected file had left out and of whom the import that is being completed speaks are excluded no
    more. Returns how many. In the transaction that completes it, after its rows were absorbed."""
    if not await imports.has_replaced(connection):
        return 0
    back = await vanished.reinstate(connection, import_id, await ExposureSets.load(connection))
    facts = {"reason": OPERATOR, "why": f"stands in {sha256[:12]}", "by": by}
    freed = await vanished.drop_rectifications(connection, "comers_back", to_ms(now)) if back else []
    entries = _of_persons(vault, back, "person_reinstated", facts, now)
    await _write(connection, [*entries, *_replanned(vault, freed, "reinstated", now)])
    return len(back)


def _of_persons(vault: Vault, who: Sequence[Who], kind: str, facts: dict[str, str], now: datetime) -> list[Entry]:
    return [Entry(now, kind, vault.pseudonym(each.sender, each.identity), dict(facts)) for each in who]


def _replanned(vault: Vault, freed: Sequence[Freed], reason: str, now: datetime) -> list[Entry]:
    return [
        Entry(now, "notification_replanned", vault.pseudonym(each.sender, each.identity),
              {"wave": each.wave, "reason": reason})
        for each in freed
    ]  # fmt: skip


async def _write(connection: Connection, entries: Sequence[Entry]) -> None:
    for first in range(0, len(entries), _ENTRIES):
        await journal.append(connection, list(entries[first : first + _ENTRIES]))
