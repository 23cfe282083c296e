"""An import is withdrawn: what was known from it alone goes, and the rest stands as if the file had never come.

One transaction, together with the entry `import_undone`: a crash leaves either the whole import or none of it. Nobody
who was approved is pulled away: as long as a batch holds somebody whom the file speaks of, or whom it lets us reach,
nothing is withdrawn. Rejections of other files that a row of this one had ended are open again. What was planned and
not approved is forgotten as a whole, and a wave that was never approved with it: the next `plan` makes it anew.

A known gap: an insured person's sealed fields are those of the first row that spoke of it, and no other row's are kept.
If that row is withdrawn and a later file speaks of the same person, its spelling of the name stays (it is shown on the
review list; notices take names from the contact).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from notifier.errors import OperatorError
from notifier.model import Entry, to_ms
from notifier.people.arrivals import settle_touched
from notifier.people.matching import AMBIGUOUS
from notifier.people.near_misses import NEAR_MISS
from notifier.storage import contacts, imports, journal, notifications, persons, rejections, reviews
from notifier.storage import waves as rounds
from notifier.storage.database import Connection, Database
from notifier.storage.exposures import ExposureSets
from notifier.storage.imports import PastImport
from notifier.storage.reviews import DECIDED, OPEN, ReviewRow
from notifier.vault import Vault

_SHA256 = re.compile(r"[0-9a-f]{8,64}")
_CHOSEN = "contact:"


@dataclass(frozen=True, slots=True)
class UndoneImport:
    """What was withdrawn. ``records``: of an export, or contacts of a directory; ``persons_removed``: known from it
    alone."""

    sha256: str
    records: int
    persons_removed: int


async def withdraw(database: Database, vault: Vault, sha256: str, *, by: str, now: datetime) -> UndoneImport:
    """Withdraw the import of the file with this SHA-256 (at least its first 8 hex digits); if the same file was taken
    in several ways (two profiles), all of them: the journal knows a file by its SHA-256. The caller lets no intake run
    meanwhile.

    Raises OperatorError if there is no such import, or more than one file, or it is withdrawn already, or somebody it
    concerns was approved. Nothing is changed then.
    """
    start = start_of(sha256)
    async with database.write() as connection:
        # What a crash left of another file must not be taken for the newest that is known of a member.
        await imports.wipe_staging(connection)
        chosen = _complete(await imports.past(connection, start), start)
        records = removed = 0
        for each in chosen:
            its_records, its_persons = await withdraw_one(connection, vault, each, by=by, now=now)
            records, removed = records + its_records, removed + its_persons
    return UndoneImport(chosen[0].sha256, records, removed)


def start_of(sha256: str) -> str:
    """The hex digits by which somebody names a file. Raises OperatorError for fewer than 8."""
    start = sha256.strip().lower()
    if not _SHA256.fullmatch(start):
        raise OperatorError("say which import by its SHA-256, or the first 8 or more hex digits of it")
    return start


def _complete(found: list[PastImport], start: str) -> list[PastImport]:
    """Those that count, of one file."""
    if not found:
        raise OperatorError(f"no import of a file whose SHA-256 begins with {start}: nothing was changed")
    if len({each.sha256 for each in found}) > 1:
        raise OperatorError(f"several files' SHA-256 begin with {start}: give more digits; nothing was changed")
    complete = [each for each in found if each.state == "complete"]
    if not complete:
        raise OperatorError(f"the import {start[:12]} is withdrawn already: nothing was changed")
    return complete


async def withdraw_one(
    connection: Connection, vault: Vault, each: PastImport, *, by: str, now: datetime
) -> tuple[int, int]:
    """One complete import, in the caller's transaction: how many records (or members) and persons went. Raises
    OperatorError when somebody it concerns was approved."""
    sets = await ExposureSets.load(connection)
    await must_be_unapproved(connection, each)
    await forget_plans(connection)
    dropped = await revise_reviews(connection, each.import_id)
    records = await persons.remove_records(connection, each.import_id)
    members = await contacts.remove(connection, each.import_id)
    if await persons.has_touched_groups(connection):
        await settle_touched(connection, sets)
    await persons.narrow_known(connection, sets)
    removed, decisions = await persons.remove_departed(connection)
    await contacts.adopt_own_again(connection)
    await reseal_professionals(connection, vault)
    reopened = await rejections.withdraw(connection, each.import_id, now_ms=to_ms(now))
    await imports.withdraw(connection, each.import_id)
    if each.kind == "directory":
        records = members
    facts = {
        "kind": each.kind,
        "profile": each.profile,
        "records": records,
        "persons_removed": removed,
        "decisions_dropped": dropped + decisions,
        "rejections_reopened": reopened,
        "by": by,
    }
    await journal.append(connection, [Entry(now, "import_undone", each.sha256, facts)])
    return records, removed


async def replace(
    connection: Connection, vault: Vault, earlier: Sequence[PastImport], by_import: int, *, by: str, now: datetime
) -> None:
    """Withdraw the earlier readings of a file that was just absorbed anew as ``by_import``, in that transaction. In
    this order, who is in both stays the same person, with what was decided about it; its fields are those of the new
    reading. Raises like :func:`withdraw_one`."""
    for each in earlier:
        await withdraw_one(connection, vault, each, by=by, now=now)
        if each.kind == "export":
            await persons.take_staged_fields(connection, by_import)


async def must_be_unapproved(connection: Connection, each: PastImport) -> None:
    """Note whom the import's records speak of; raises OperatorError if one of them, or a delivery to one of its
    contacts, is in an approved batch."""
    await persons.gather_departing(connection, each.import_id)
    frozen = await persons.count_frozen(connection, each.import_id)
    deliveries = await contacts.count_approved(connection, each.import_id)
    if frozen or deliveries:
        raise OperatorError(
            f"the import {each.sha256[:12]} cannot be withdrawn: {frozen} persons whom it concerns and {deliveries} "
            "deliveries to its contacts are in an approved batch, and nobody approved is pulled away; nothing was "
            "changed. `notifier pause` stops the sending, `notifier people withdraw` takes single persons out"
        )


async def forget_plans(connection: Connection) -> None:
    """What was planned and not approved goes, in every wave."""
    for wave in await rounds.waves(connection):
        await notifications.clear_unapproved(connection, wave.id)
        await (await rounds.Segments.load(connection, wave.id)).drop_unused()
    await rounds.drop_unapproved(connection)


async def revise_reviews(connection: Connection, import_id: int) -> int:
    """Let no review name a contact that goes: its number may be another member's one day (I2). Returns how many
    decisions were dropped."""
    cases = await reviews.naming_contacts(connection)
    named = {number for case in cases for number in _named(case)}
    leaving = await contacts.replacements(connection, import_id, named)
    concerned = [case for case in cases if not leaving.keys().isdisjoint(_named(case))]
    revised = {case: revise(case, leaving) for case in concerned}
    await reviews.rewrite(connection, [after for after in revised.values() if after is not None])
    await reviews.remove(connection, [before.case for before, after in revised.items() if after is None])
    return sum(before.state == DECIDED and (after is None or after.state == OPEN) for before, after in revised.items())


def _named(case: ReviewRow) -> set[int]:
    chosen = case.decision.removeprefix(_CHOSEN)
    return {*case.candidates, *([int(chosen)] if chosen != case.decision else [])}


def revise(case: ReviewRow, leaving: Mapping[int, int | None]) -> ReviewRow | None:
    """What becomes of a case when contacts leave (number → the same member's row in another file, or None); None = it
    goes, and the next `plan` opens it again if the doubt is still there.

    An open case goes; so does a decision for a member whom no other file holds, or that nobody of the ambiguous was it
    when all of them are gone. A missing forename is a doubt about the row itself: that case stays, or opens again.
    """
    kept = (leaving.get(number, number) for number in case.candidates)
    candidates = tuple(sorted({number for number in kept if number is not None}))
    decision = case.decision
    if decision.startswith(_CHOSEN):
        number = int(decision.removeprefix(_CHOSEN))
        chosen = leaving.get(number, number)
        decision = "" if chosen is None else f"{_CHOSEN}{chosen}"
    is_nameless = case.reason == persons.MISSING_FORENAME
    if case.state == OPEN or not decision:
        return case._replace(candidates=candidates, state=OPEN, decision="") if is_nameless else None
    if case.reason in (AMBIGUOUS, NEAR_MISS) and not candidates:
        return None
    return case._replace(candidates=candidates, decision=decision)


async def reseal_professionals(connection: Connection, vault: Vault) -> None:
    """Professionals whose first row is gone get the fields of the first that remains (its contact holds the same)."""
    async for part in persons.to_reseal(connection):
        rows = [
            (row.person, vault.seal("person", row.identity, vault.unseal("contact", row.identity, row.sealed)))
            for row in part
        ]
        await persons.reseal(connection, rows)
