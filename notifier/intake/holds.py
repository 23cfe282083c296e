"""Held files: read to the end, and not taken in, because somebody has a word to say first.

Two reasons. ``senders``: rows name mutuelles that no sender has (`senders add-name` frees the file). ``rejections``:
the share of rejected rows is above ``[intake] rejections_limit``: a shifted column, a wrong profile, or a bad file that
has to be taken all the same (`--accept-rejections`). Nothing of the rows of a held file is kept, and nobody in it is
informed: every command that counts persons says so. What is kept: the file's hash, path and custody, three counts, and
the unknown names, sealed.

One transaction wipes what was staged and writes the hold with its entry; holding the same file again replaces the hold,
and says nothing new to the journal if nothing is new.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from notifier.campaign import Settings
from notifier.errors import OperatorError
from notifier.intake.custody import NOTHING_SAID, Custody
from notifier.intake.profiles import Senders
from notifier.model import Entry
from notifier.people.identity import normal_name
from notifier.storage import holds, imports, journal
from notifier.storage.database import Connection, Database
from notifier.storage.holds import HeldImport
from notifier.storage.imports import ImportRow
from notifier.vault import Vault, redact

Reason = Literal["senders", "rejections"]
SENDERS: Reason = "senders"
REJECTIONS: Reason = "rejections"

LEAST_ROWS = 20  # below it a share says nothing: one bad row of five is 20 %, and a person has read all five
_SEALED = "held_name"
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file that is held. ``rows`` = ``records`` + ``rejections``, of which none is kept; ``names``: name → rows that
    give it, of those that no sender has, the most frequent first. For a terminal only."""

    import_id: int
    kind: str
    sha256: str
    profile: str
    incident: str
    name: str
    as_of: str
    path: str
    custody: Custody
    reason: str
    rows: int
    records: int
    rejections: int
    names: Mapping[str, int] = field(default_factory=dict, repr=False)
    replaces: str = ""  # SHA-256 of the earlier file whose place it is to take
    why: str = ""  # the share, the codes and the limit, when it was just held for its rejections

    @property
    def unknown_rows(self) -> int:
        """How many rows give a name that no sender has."""
        return sum(self.names.values())

    def headline(self) -> str:
        """What is held, in half a line, without a name."""
        if self.reason == SENDERS and not self.names:
            return f"its names are known by now, {self.rows:,} rows: take it in again"
        if self.reason == SENDERS:
            some = f" ({self.unknown_rows:,} of them give these names)" if self.unknown_rows < self.rows else ""
            many = "1 unknown name" if len(self.names) == 1 else f"{len(self.names):,} unknown names"
            return f"{many}, {self.rows:,} rows{some}"
        return f"{self.rejections:,} of {self.rows:,} rows are rejected"

    def command(self) -> str:
        """What to run once its file lies somewhere again."""
        words = ["notifier", "intake" if self.kind == "export" else "directory", "FILE", "--profile", self.profile]
        for option, value in (
            ("--incident", self.incident),
            ("--as-of", self.as_of),
            ("--replaces", self.replaces if self.kind == "export" else ""),
            ("--received-at", self.custody.received_at),
            ("--received-from", self.custody.received_from),
            ("--expect-rows", "" if self.custody.expected_rows is None else str(self.custody.expected_rows)),
            ("--expect-sha256", self.sha256),
        ):
            words += [option, value] if value else []
        if self.replaces and self.kind == "directory":
            words.append("--replace")
        return shlex.join(words)

    def as_json(self) -> dict[str, object]:
        """Counts, no names."""
        return {"sha256": self.sha256, "reason": self.reason, "names": len(self.names), "rows": self.rows}


def reason_to_hold(
    unknown: Mapping[str, int], rows: int, rejections: int, limit: float, *, trailers: int = 0
) -> Reason | None:
    """Whether a file that was read is held, and why. Of its rejections, ``trailers`` are lines of totals: nobody's,
    and nothing against the file. Pure."""
    if unknown:
        return SENDERS
    rows, rejections = rows - trailers, rejections - trailers
    if rows >= LEAST_ROWS and rejections > limit * rows:
        return REJECTIONS
    return None


def shown_name(name: str) -> str:
    """An unknown name for a terminal: a shifted column may hold anything."""
    return redact(" ".join(name.split()))[:_SHOWN] if normal_name(name) else "(blank)"


def without_numbers(unknown: Mapping[str, int]) -> dict[str, int]:
    """Cell → rows, without what no name of a sender holds: a shifted column may give NIRs, account numbers and
    addresses, and these are never stored, sealed neither (I8)."""
    counts: dict[str, int] = {}
    for cell, rows in unknown.items():
        name = redact(cell)
        counts[name] = counts.get(name, 0) + rows
    return counts


def different(unknown: Mapping[str, int]) -> dict[str, int]:
    """Cell → rows, spellings of one name taken together under the first, the most frequent first."""
    first: dict[str, str] = {}
    counts: dict[str, int] = {}
    for cell, rows in unknown.items():
        name = first.setdefault(normal_name(cell), cell)
        counts[name] = counts.get(name, 0) + rows
    return dict(sorted(counts.items(), key=lambda each: -each[1]))


async def hold(
    database: Database,
    vault: Vault,
    row: ImportRow,
    *,
    reason: Reason,
    records: int,
    rejections: int,
    unknown: Mapping[str, int],
    is_text: bool,
    now: datetime,
) -> HeldFile:
    """Wipe what was staged, and hold the file. ``unknown``: cell → rows. ``is_text``: the file has but one table, and
    so an earlier hold of the same bytes is this one, whatever profile it was read with."""
    names = different(without_numbers(unknown))
    identity = bytes.fromhex(row.sha256)
    sealed = [(rows, vault.seal(_SEALED, identity, {"name": name})) for name, rows in names.items()]
    profile = None if is_text else row.profile
    facts = {
        "kind": row.kind,
        "profile": row.profile,
        "incident": row.incident,
        "reason": reason,
        "rows": records + rejections,
        "names": len(names),
        "rejections": rejections,
    }
    async with database.write() as connection:
        await imports.wipe_staging(connection)
        before = [_facts(each) for each in await holds.held(connection, row.sha256)]
        await holds.release(connection, kind=row.kind, sha256=row.sha256, profile=profile)
        await holds.insert(
            connection,
            row,
            reason=reason,
            rows=records + rejections,
            records=records,
            rejections=rejections,
            names=sealed,
        )
        if facts not in before:
            await journal.append(connection, [Entry(now, "import_held", row.sha256, facts)])
        [made] = [each for each in await holds.held(connection, row.sha256) if each.profile == row.profile
                  and each.kind == row.kind]  # fmt: skip
    return _held_file(made, names)


def _facts(each: HeldImport) -> dict[str, object]:
    """What the entry on a hold says."""
    return {
        "kind": each.kind,
        "profile": each.profile,
        "incident": each.incident,
        "reason": each.reason,
        "rows": each.rows,
        "names": each.names,
        "rejections": each.rejections,
    }


def find_again(held: HeldFile) -> Path:
    """Where a held file lies, by itself or in an archive, if it is the same still. Raises ExportError."""
    # Not at the top: `status` shows held files, and need not load what reads them.
    from notifier.intake.files import open_file
    from notifier.intake.members import holding

    path = Path(held.path)
    with open_file(path) as file:
        holding(file, path.name, held.sha256)
    return path


async def listed(database: Database, vault: Vault, settings: Settings) -> list[HeldFile]:
    """Every held file with the names that no sender has now, the oldest first."""
    async with database.read() as connection:
        return [await _opened(connection, vault, settings, each) for each in await holds.held(connection)]


async def said_before(database: Database, kind: str, sha256: str) -> Custody:
    """What was said of a file when it was held."""
    async with database.read() as connection:
        found = [each for each in await holds.held(connection, sha256) if each.kind == kind]
    return _custody(found[-1]) if found else NOTHING_SAID


async def one(database: Database, vault: Vault, settings: Settings, sha256: str) -> HeldFile:
    """The file that is held for its senders and whose SHA-256 begins so. Raises OperatorError for none, or several."""
    start = sha256.strip().lower()
    async with database.read() as connection:
        found = [each for each in await holds.held(connection, start) if each.reason == SENDERS] if start else []
        if len(found) != 1:
            what = "no file is" if not found else "several files are"
            raise OperatorError(
                f"{what} held for unknown names with a SHA-256 that begins with {start[:64]}: `notifier senders list`"
            )
        return await _opened(connection, vault, settings, found[0])


async def _opened(connection: Connection, vault: Vault, settings: Settings, each: HeldImport) -> HeldFile:
    identity, senders = bytes.fromhex(each.sha256), Senders(settings.senders)
    names = {
        str(vault.unseal(_SEALED, identity, sealed)["name"]): rows
        for rows, sealed in await holds.names_of(connection, each.import_id)
    }
    return _held_file(each, {name: rows for name, rows in names.items() if not senders.knows(name)})


def _held_file(each: HeldImport, names: Mapping[str, int]) -> HeldFile:
    return HeldFile(
        each.import_id, each.kind, each.sha256, each.profile, each.incident, each.name, each.as_of, each.path,
        _custody(each), each.reason, each.rows, each.records, each.rejections, names, each.replaces,
    )  # fmt: skip


def _custody(each: HeldImport) -> Custody:
    checked = each.sha256 if each.sha256_checked else ""
    return Custody(each.received_at, each.received_from, each.expected_rows, checked)


async def withdraw(database: Database, sha256_start: str, *, by: str, now: datetime) -> HeldFile | None:
    """Withdraw the hold on the file whose SHA-256 begins so: it is not to be taken in. None if no such file is held.
    Raises OperatorError when several are."""
    async with database.write() as connection:
        found = await holds.held(connection, sha256_start)
        if not found:
            return None
        if len({each.sha256 for each in found}) > 1:
            raise OperatorError(f"several held files' SHA-256 begin with {sha256_start}: give more digits")
        for each in found:
            await holds.withdraw(connection, each.import_id)
            facts = {"kind": each.kind, "profile": each.profile, "reason": each.reason, "rows": each.rows, "by": by}
            await journal.append(connection, [Entry(now, "hold_withdrawn", each.sha256, facts)])
    return _held_file(found[0], {})
