"""Staging: a file's rows go into the database, batch by batch, under an import that does not count yet.

Promises. Memory is bounded by a few batches. Each batch is one transaction; the commit point of the whole is the
transaction in which `complete` runs, together with the identity of persons. Until then nothing of the file counts: an
error wipes what was staged, a crash leaves it for the next stage to wipe. Rows = records + rejections, counted from
rows before the import completes (I1). Reading runs one batch ahead of writing, in a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO

from notifier.campaign import Settings
from notifier.errors import CampaignBusy, ExportError, OperatorError, SettingsError, StorageError
from notifier.intake import files, holds, mailboxes, profiles, rows, space
from notifier.intake.archives import Wrapping
from notifier.intake.columns import suggesting
from notifier.intake.corrections import corrected
from notifier.intake.custody import NOTHING_SAID, Custody
from notifier.intake.holds import HeldFile
from notifier.intake.records import FileContext
from notifier.intake.rejections import RejectionsFile, discard, is_published, publish
from notifier.intake.storing import UNKNOWN_SENDERS, Make, store
from notifier.intake.traces import Traces
from notifier.intake.verdicts import SHARED, Tally, Verdicts
from notifier.model import Entry, PersonKind, from_ms, to_ms
from notifier.storage import holds as held_rows
from notifier.storage import imports, journal
from notifier.storage import rejections as rejected_rows
from notifier.storage.database import Connection, Database
from notifier.storage.imports import CompleteImport, PastImport
from notifier.vault import Vault, redact

LOCK = ".intake.lock"
WHOLE = "*"  # in the place of the SHA-256 of what it replaces: a whole directory


@dataclass(frozen=True, slots=True)
class StagedImport:
    """A file whose rows are stored and do not count yet: `complete` makes them count. ``rows`` = ``records`` +
    ``rejections``. ``encoding``: "" for XLSX. ``as_of``: ISO date of a directory, or "". ``accepted``: somebody let its
    share of rejections pass. ``replaces``: earlier readings of the same bytes, to be withdrawn before `complete`."""

    import_id: int
    kind: str
    profile: str
    incident: str
    as_of: str
    sha256: str
    size_bytes: int
    encoding: str
    rows: int
    records: int
    rejections: int
    custody: Custody = NOTHING_SAID
    accepted: bool = False
    replaces: tuple[PastImport, ...] = ()
    answers: tuple[tuple[bytes, int], ...] = field(default=(), repr=False)  # see traces.py
    verdicts: Verdicts = Verdicts()  # noqa: RUF009  (frozen)
    recorded: str = ""  # how it was read: encoding and reason, sheet, what was hidden
    corrects: tuple[
        PastImport, ...
    ] = ()  # an earlier file, to be withdrawn before `complete`; who vanished is excluded

    @property
    def is_text(self) -> bool:
        """Whether the file has but one table; a workbook may be read once for each of its sheets."""
        return bool(self.encoding)


@dataclass(frozen=True, slots=True)
class AlreadyImported:
    """The same bytes were read alike before (profile, incident, senders) and are complete: nothing was changed.
    ``other_day``: the day that a directory describes, when another one was asked for now ("" = none was said)."""

    import_id: int
    sha256: str
    rows: int
    records: int
    rejections: int
    persons_new: int
    persons_known: int
    verdicts: Verdicts = Verdicts()  # noqa: RUF009  (frozen)
    other_day: str | None = None
    corrects: tuple[PastImport, ...] = ()  # an earlier file whose place this one was not given yet


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One import at a time, from its first row to the transaction that completes it: a second one would take the first
    for the remains of a crash. The lock is the operating system's and falls with the process. Raises CampaignBusy."""
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CampaignBusy("another intake is running in this campaign; try again when it has ended") from error
        yield


async def stage(
    database: Database,
    vault: Vault,
    settings: Settings,
    folder: Path,
    path: Path,
    *,
    kind: profiles.Kind,
    profile_name: str,
    incident: str | None,
    as_of: date | None,
    now: datetime,
    make: Callable[[profiles.Profile], Make],
    custody: Custody = NOTHING_SAID,
    accepted_by: str = "",
    free: space.FreeBytes = space.free_bytes,
    wrapping: Wrapping | None = None,
    replaces: str = "",
) -> StagedImport | AlreadyImported | HeldFile:
    """Read ``path`` (``wrapping``: one file of the archive that it is, see `members`) and store its rows. ``make``
    gives the function that turns a batch of this profile's rows into what is stored; ``accepted_by``: who lets any
    share of rejections pass; ``replaces``: the first digits of the SHA-256 of the file that this one corrects, or
    :data:`WHOLE`. The caller holds :func:`alone` until the import is complete. Raises ExportError, SettingsError,
    OperatorError; nothing of the file is left then."""
    profile, _ = profiles.load(folder, profile_name, kind)
    code = incident_of(profile, settings, incident)
    senders = profiles.Senders(settings.senders)
    with files.open_file(path) as file:
        before, called = files.state_of(file), wrapping.called(path.name) if wrapping else path.name
        survey = await asyncio.to_thread(files.survey, file, called, profile.encoding, wrapping)
        if custody == NOTHING_SAID:
            custody = await holds.said_before(database, kind, survey.sha256)
        custody.check_sha256(called, survey.received_sha256, survey.sha256)
        addresses = mailboxes.rules(folder)
        decides = profiles.settings_digest(profile, code, addresses.own)
        day = as_of.isoformat() if as_of else ""
        earlier = await _clear_the_way(database, kind, survey.sha256)
        earlier_file = "" if replaces == WHOLE else replaces
        corrects = await corrected(database, earlier_file, survey.sha256, profile_name, code)
        for each in earlier:
            if each.settings_digest == decides and senders.reads_alike(each.senders):
                custody.check_rows(called, each.rows)
                return replace(await _already(database, folder, each, day), corrects=corrects)
        readings = await _replaceable(database, called, survey, profile_name, earlier, replaces)
        space.check(survey, database.path.parent, free)
        with suggesting(folder):
            if custody.expected_rows is not None:
                custody.check_rows(called, await asyncio.to_thread(_count, file, called, survey, profile))
            layout, batches = await asyncio.to_thread(rows.read, file, called, survey, profile)
        sender = ""
        if profile.person is PersonKind.PROFESSIONAL and "insurer" not in layout.roles:
            sender = senders.of_operator(settings.incident(code))
        traces = await _open_traces(database, code, survey.sha256, *{each.sha256 for each in corrects})
        reading = FileContext(
            profile, layout, code, senders, vault, now.date(), sender, traces, addresses, Tally(layout.lines)
        )
        row = imports.ImportRow(
            kind, survey.sha256, profile_name, decides, code, _storable(path.name), survey.size_bytes,
            rows.recorded(survey, layout), day, _storable(str(path.absolute())), custody.received_at,
            custody.received_from, custody.expected_rows, bool(custody.expected_sha256), to_ms(now),
            corrects[0].sha256 if corrects else replaces if replaces == WHOLE else "",
        )  # fmt: skip
        async with database.write() as connection:
            import_id = await imports.begin(connection, row)
        try:
            with RejectionsFile(folder, survey.sha256) as rejected:
                records, rejections = await store(database, import_id, batches, make(profile), reading, rejected)
                _must_be_whole(called, file, before, senders, records + rejections)
            limit = settings.intake.rejections_limit
            reason = holds.reason_to_hold(
                senders.unknown, records + rejections, rejections, limit, trailers=reading.tally.trailers
            )
            if reason == holds.SENDERS or (reason and not accepted_by):
                held = await _hold(
                    database, vault, folder, row, reason, records, rejections, senders.unknown,
                    is_text=bool(survey.encoding), now=now,
                )  # fmt: skip
                return held if reason == holds.SENDERS else replace(held, why=reading.tally.told_rejected(limit))
            async with database.write() as connection:
                await imports.set_read(
                    connection, import_id, rows=records + rejections, records=records, rejections=rejections,
                    senders=senders.met(), accepted_by=accepted_by if reason else "",
                )  # fmt: skip
                shared = await imports.shared_mailboxes(connection, import_id, SHARED) if kind == "directory" else 0
                verdicts = reading.tally.verdicts({"shared_mailbox": shared} if shared else {})
                await imports.set_verdicts(connection, import_id, verdicts.canonical())
        except Exception:
            async with database.write() as connection:
                await imports.wipe_staging(connection)
            database.discard_staging()
            raise
    return StagedImport(
        import_id, kind, profile_name, code, day, survey.sha256, survey.size_bytes, survey.encoding,
        records + rejections, records, rejections, custody, bool(reason), readings, tuple(traces.answers()),
        verdicts, row.encoding, corrects,
    )  # fmt: skip


def incident_of(profile: profiles.Profile, settings: Settings, asked: str | None) -> str:
    """The code of the incident that a file belongs to: the one asked for, else the profile's; "" for a directory.
    Raises SettingsError when neither says it, or campaign.toml does not know it."""
    if profile.kind == "directory":
        return ""
    code = asked or profile.incident
    if not code:
        raise SettingsError("the profile names no incident: say which one the file belongs to with --incident")
    return settings.incident(code).code


async def _clear_the_way(database: Database, kind: str, sha256: str) -> list[CompleteImport]:
    """Wipe what a crash left; which readings of these bytes are complete."""
    database.discard_staging()
    async with database.write() as connection:
        await imports.wipe_staging(connection)
        return await imports.find_complete(connection, kind=kind, sha256=sha256)


async def _open_traces(database: Database, incident: str, *sha256: str) -> Traces:
    """What rejected rows of earlier files of the same incident wait for."""
    if not incident:
        return Traces()
    async with database.read() as connection:
        return Traces(await rejected_rows.open_traces(connection, incident, *sha256))


async def _already(database: Database, folder: Path, found: CompleteImport, day: str) -> AlreadyImported:
    """Nothing is to be done, but for the list of rejections if a crash came between the commit and that list."""
    async with database.read() as connection:
        verdicts = Verdicts.of(await imports.verdicts_of(connection, found.import_id))
    if found.rejections and not is_published(folder, found.sha256):
        with RejectionsFile(folder, found.sha256) as written:
            async with database.read() as connection:
                async for rejection in rejected_rows.of_import(connection, found.import_id):
                    written.add([rejection])
        publish(folder, found.sha256)
    return AlreadyImported(
        found.import_id, found.sha256, found.rows, found.records, found.rejections, found.persons_new,
        found.persons_known, verdicts, found.as_of if day not in ("", found.as_of) else None,
    )  # fmt: skip


async def _must_not_be_replaced(database: Database, name: str, sha256: str) -> None:
    """A file whose place another one took is not taken in again by a second run of the same command: who was withdrawn
    with it would come back, and nobody would see why. Raises OperatorError."""
    async with database.read() as connection:
        by = await imports.replacing(connection, sha256)
    if by:
        raise OperatorError(
            f"{name}: {by[-1][:12]} took the place of this file, and its rows do not count any more; nothing was "
            f"changed. Was it right after all: `notifier intake --undo {by[-1][:12]}` first, or this file with "
            f"--replaces {by[-1][:12]}"
        )


async def _replaceable(
    database: Database, name: str, survey: files.Survey, profile: str, earlier: list[CompleteImport], replaces: str
) -> tuple[PastImport, ...]:
    """The earlier readings whose place a new one takes, so that no row counts twice: of a text, which has one table,
    all; of a workbook those under the same profile, because another one may have read another sheet. Raises
    OperatorError, before a long reading, when one of them informs somebody (`people.departures` decides in the end)."""
    if not earlier and not replaces:
        await _must_not_be_replaced(database, name, survey.sha256)
    old = [each for each in earlier if survey.encoding or each.profile == profile]
    async with database.read() as connection:
        for each in old:
            if await imports.informs_somebody(connection, each.import_id):
                when = f" on {from_ms(each.completed_ms):%Y-%m-%d}" if each.completed_ms else ""
                raise OperatorError(
                    f"{name} was taken in{when} with the profile {each.profile}, read otherwise than now (another "
                    "profile, incident or sender's name), and persons in it are approved: they are not pulled "
                    "away, and nothing was changed. Set the profile or the name back; what is to be told beside that, "
                    "take in as a file of its own with these rows, and `notifier plan` says whom a supplement is due"
                )
    return tuple(PastImport(each.import_id, each.kind, "complete", each.sha256, each.profile) for each in old)


def _count(file: BinaryIO, name: str, survey: files.Survey, profile: profiles.Profile) -> int:
    """How many rows the file has, by a reading of its own."""
    _, batches = rows.read(file, name, survey, profile)
    return sum(batch.frame.height + len(batch.broken) for batch in batches)


def _storable(name: str) -> str:
    """A name in another encoding than the machine's holds bytes that no database takes: these as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


async def _hold(
    database: Database,
    vault: Vault,
    folder: Path,
    row: imports.ImportRow,
    reason: holds.Reason,
    records: int,
    rejections: int,
    unknown: Mapping[str, int],
    *,
    is_text: bool,
    now: datetime,
) -> HeldFile:
    """Hold the file, and let nothing of its rows wait. The list of rejections says why; of a file that is held for its
    senders it is not whole, and goes."""
    held = await holds.hold(
        database, vault, row,
        reason=reason, records=records, rejections=rejections, unknown=unknown, is_text=is_text, now=now,
    )  # fmt: skip
    database.discard_staging()
    if reason == holds.REJECTIONS:
        publish(folder, row.sha256)
    else:
        discard(folder, row.sha256)
    return held


def _must_be_whole(name: str, file: BinaryIO, before: tuple[int, int], senders: profiles.Senders, read: int) -> None:
    unknown = senders.unknown
    if len(unknown) > UNKNOWN_SENDERS:
        # Not one of them is quoted: so many different ones are persons, as a rule (I8).
        raise ExportError(
            f"{name}: more than {UNKNOWN_SENDERS} different names that no sender has: the column of senders is "
            "another one, or the columns are shifted; correct the profile and read the file again"
        )
    if not read:
        raise ExportError(f"{name} has headings and no rows")
    if files.state_of(file) != before:
        raise ExportError(f"{name} changed while it was read: it may still be arriving; try again")


async def complete(
    connection: Connection, staged: StagedImport, *, persons_new: int, persons_known: int, now: datetime
) -> None:
    """The commit point: in the caller's transaction, after the persons were found, the import begins to count and says
    so in the journal. Raises StorageError when rows ≠ records + rejections (I1) or when the staging is gone."""
    counted = await imports.counted(connection, staged.import_id, staged.kind)
    if counted != (staged.records, staged.rejections):
        raise StorageError("the staged rows are not those that were read (I1): run the import again")
    await imports.complete(
        connection, staged.import_id, persons_new=persons_new, persons_known=persons_known, completed_ms=to_ms(now)
    )
    profile = None if staged.is_text else staged.profile
    await held_rows.release(connection, kind=staged.kind, sha256=staged.sha256, profile=profile)
    facts = {
        "kind": staged.kind,
        "profile": staged.profile,
        "incident": staged.incident,
        "as_of": staged.as_of,
        "rows": staged.rows,
        "records": staged.records,
        "rejections": staged.rejections,
        "persons_new": persons_new,
        "persons_known": persons_known,
        "encoding": staged.encoding,
        "size_bytes": staged.size_bytes,
        "received_at": staged.custody.received_at,
        "received_from": redact(staged.custody.received_from),
        "expected_rows": staged.custody.expected_rows is not None,
        "expected_sha256": bool(staged.custody.expected_sha256),
        "accepted_rejections": staged.accepted,
        "replaces": len(staged.replaces),
        "corrects": staged.corrects[0].sha256 if staged.corrects else "",
        "verdicts": staged.verdicts.as_json(),
        "alarms": sorted(staged.verdicts.alarms),
    }
    entries = [Entry(now, "import_completed", staged.sha256, facts)]
    ends = await rejected_rows.settle(connection, staged.import_id, staged.answers, now_ms=to_ms(now))
    if any(ends):
        entries.append(Entry(now, "rejections_ended", staged.sha256, ends._asdict()))
    await journal.append(connection, entries)


def write_rejections(folder: Path, staged: StagedImport) -> Path | None:
    """Publish ``folder/rejections/<sha256, first 12>.csv``, after the commit; None when nothing was rejected."""
    return publish(folder, staged.sha256)
