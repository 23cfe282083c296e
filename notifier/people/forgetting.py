"""A file received by error is forgotten: nothing of it stays but the fact that it was there.

The order of work. One transaction withdraws what counts (`departures`, the same rule: nobody approved is pulled away),
deletes the rest, and appends the entry `file_forgotten`, which holds the whole body of the certificate; that is the
commit point. Afterwards the caller removes the files that we wrote, writes the database anew (`storage.forgetting`) and
issues the certificate, in this order: a certificate that exists says that all of it was done. A crash in between is
mended by the same command: what is deleted stays deleted, and the rest is done again.

A known gap: of a file that was *withdrawn* earlier, the spelling of a name may have stayed with a person of whom
another file speaks too (`departures` says why). The certificate tells it. A file that is forgotten while it counts
leaves no such trace: the fields that came from it are blanked, but for the date of birth, which the other file gives
as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from notifier.errors import OperatorError
from notifier.model import Entry, from_ms, utc_text
from notifier.people.departures import must_be_unapproved, start_of, withdraw_one
from notifier.storage import clear_files, contacts, forgetting, imports, journal, persons, vanished
from notifier.storage.database import Connection, Database
from notifier.storage.forgetting import FORGOTTEN, Extent, KnownImport
from notifier.storage.imports import PastImport
from notifier.vault import Vault

FORMAT = "notifier-forget/1"
_COUNTS = "complete"


@dataclass(frozen=True, slots=True)
class Glance:
    """What a forgetting would take. ``states``: of each way in which the file was taken in; ``already``: all of it is
    forgotten."""

    sha256: str
    states: tuple[str, ...]
    rows: int
    extent: Extent
    already: bool


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was forgotten. ``bodies``: of the certificates, one for each time that this file was forgotten, the oldest
    first; ``already``: nothing was left to delete."""

    sha256: str
    already: bool
    bodies: tuple[Mapping[str, Any], ...]


def canonical(body: Mapping[str, Any]) -> bytes:
    """A certificate's body as bytes: canonical JSON (RFC 8785, the subset without floats)."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


async def look(database: Database, sha256: str) -> Glance:
    """What :func:`forget` would do. Raises OperatorError where it would."""
    start = start_of(sha256)
    async with database.read() as connection:
        every = await _of_one_file(connection, start)
        for each in every:
            await _must_not_inform(connection, each)
        file = every[0].sha256
        present = [each for each in every if each.state != FORGOTTEN]
        return Glance(
            file,
            tuple(each.state for each in present),
            sum(each.rows for each in present),
            await forgetting.extent(connection, file),
            not present,
        )


async def forget(database: Database, vault: Vault, sha256: str, *, by: str, now: datetime) -> Forgotten:
    """Delete all that came from the file with this SHA-256 (at least its first 8 hex digits), however often and in
    whatever way it was taken in. The caller lets no intake and no sender run meanwhile, and does what the module says
    afterwards.

    Raises OperatorError if there is no such file, or more than one, or somebody it concerns was approved. Nothing is
    changed then.
    """
    start = start_of(sha256)
    async with database.write() as connection:
        await forgetting.secure(connection)
        every = await _of_one_file(connection, start)
        file = every[0].sha256
        present = [each for each in every if each.state != FORGOTTEN]
        for each in present:
            await _must_not_inform(connection, each)
        if present:
            await _forget(connection, vault, present, by=by, now=now)
        bodies = [json.loads(body)["facts"]["certificate"] for body in await forgetting.entries_of(connection, file)]
    return Forgotten(file, not present, tuple(bodies))


async def _must_not_inform(connection: Connection, each: KnownImport) -> None:
    """Raises OperatorError when somebody whom the import concerns was approved; of one whose place a corrected file
    took, when somebody whom that one left out was, or a delivery goes to one of its contacts."""
    if each.state == _COUNTS:
        await must_be_unapproved(connection, _past(each))
        return
    _, approved = await vanished.count_told_vanished(connection, vanished.ABSENT, each.sha256[:12])
    if approved or await contacts.count_approved(connection, each.import_id):
        raise OperatorError(
            f"the file {each.sha256[:12]} cannot be forgotten: a corrected file took its place, and persons whom it "
            "concerned are in an approved batch; nothing was changed"
        )


async def _of_one_file(connection: Connection, start: str) -> list[KnownImport]:
    found = await forgetting.of_file(connection, start)
    if not found:
        if members := await forgetting.from_archive(connection, start):
            raise OperatorError(
                f"{start[:12]} is an archive: forget the files that were in it, one by one ("
                + ", ".join(each[:12] for each in members)
                + "); nothing was changed"
            )
        raise OperatorError(f"no file whose SHA-256 begins with {start} was taken in: nothing was changed")
    if len({each.sha256 for each in found}) > 1:
        raise OperatorError(f"several files' SHA-256 begin with {start}: give more digits; nothing was changed")
    return found


def _past(each: KnownImport) -> PastImport:
    return PastImport(each.import_id, each.kind, each.state, each.sha256, each.profile)


async def _forget(connection: Connection, vault: Vault, present: list[KnownImport], *, by: str, now: datetime) -> None:
    sha256 = present[0].sha256
    clear = len(await clear_files.there(connection, sha256))
    taken = dict.fromkeys((before := await forgetting.counted(connection)), 0)
    for each in present:
        if each.state != _COUNTS:
            await forgetting.erase(connection, each.import_id)
    # Whom only this file spoke of, when a corrected one took its place.
    removed = await vanished.remove_vanished(connection, vanished.ABSENT, sha256[:12])
    _add(taken, before, await forgetting.counted(connection))
    # What a crash left of other files must not be taken for the newest that is known of a member, nor be counted here.
    await imports.wipe_staging(connection)
    before = await forgetting.counted(connection)
    blanked = 0
    for each in present:
        if each.state == _COUNTS:
            _, gone = await withdraw_one(connection, vault, _past(each), by=by, now=now)
            removed += gone
            blanked += await _blank_foreign(connection, vault, sha256)
            await forgetting.erase(connection, each.import_id)
    _add(taken, before, await forgetting.counted(connection))
    body = {
        "format": FORMAT,
        "campaign": vault.campaign_id,
        "sha256": sha256,
        "size_bytes": present[0].size_bytes,
        "at": utc_text(now),
        "by": by,
        "imports": [_told(each) for each in present],
        # A review may have opened anew meanwhile, for a row without forename that joined nobody any more.
        "removed": {**{name: max(0, count) for name, count in taken.items()}, "persons": removed, "clear_files": clear},
        "fields_blanked": blanked,
        "withdrawn_before": any(each.state == "undone" for each in present),
    }
    facts = {
        "kind": "+".join(sorted({each.kind for each in present})),
        "records": taken["records"],
        "persons_removed": removed,
        "contacts_removed": taken["contacts"],
        "rejections_removed": taken["rejections"],
        "certificate": body,
        "certificate_sha256": hashlib.sha256(canonical(body)).hexdigest(),
        "by": by,
    }
    await journal.append(connection, [Entry(now, "file_forgotten", sha256, facts)])


def _add(taken: dict[str, int], before: Mapping[str, int], after: Mapping[str, int]) -> None:
    for table in taken:
        taken[table] += before[table] - after[table]


def _told(each: KnownImport) -> dict[str, str | int]:
    return {
        "kind": each.kind,
        "profile": each.profile,
        "incident": each.incident,
        "as_of": each.as_of,
        "state": each.state,
        "begun": _instant(each.begun_ms),
        "completed": _instant(each.completed_ms),
        "rows": each.rows,
        "records": each.records,
        "rejections": each.rejections,
    }


def _instant(milliseconds: int | None) -> str:
    return "" if milliseconds is None else utc_text(from_ms(milliseconds))


async def _blank_foreign(connection: Connection, vault: Vault, sha256: str) -> int:
    """Of an insured person whom another file knows as well, the fields were this file's: only the date of birth stays,
    which is part of who it is. Returns how many persons that concerns."""
    count = 0
    async for part in forgetting.foreign_fields(connection, sha256):
        rows = []
        for person, identity, sealed in part:
            fields = vault.unseal("person", identity, sealed)
            kept = {name: value for name, value in fields.items() if name == "birth_date"}
            if kept != fields:
                rows.append((person, vault.seal("person", identity, kept)))
        await persons.reseal(connection, rows)
        count += len(rows)
    return count
