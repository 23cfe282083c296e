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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO

from notifier.campaign import Settings
from notifier.errors import CampaignBusy, ExportError, SettingsError, StorageError
from notifier.intake import files, profiles, rows
from notifier.intake.professionals import CONTACTS
from notifier.intake.records import STAGED, Batch, FileContext
from notifier.intake.rejections import RejectionsFile, is_published, publish
from notifier.model import Entry, PersonKind, to_ms
from notifier.storage import imports, journal
from notifier.storage.database import Connection, Database
from notifier.vault import Vault, redact

LOCK = ".intake.lock"
UNKNOWN_SENDERS = 1000  # names; a file with more has the wrong column, and need not be read to its end
UNKNOWN_SHOWN = 10

Make = Callable[[rows.Rows, FileContext], Batch]


@dataclass(frozen=True, slots=True)
class StagedImport:
    """A file whose rows are stored and do not count yet: `complete` makes them count. ``rows`` = ``records`` +
    ``rejections``. ``encoding``: "" for XLSX. ``as_of``: ISO date of a directory, or ""."""

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


@dataclass(frozen=True, slots=True)
class AlreadyImported:
    """The same bytes under the same profile, incident and senders were complete before: nothing was changed."""

    import_id: int
    sha256: str
    rows: int
    records: int
    rejections: int
    persons_new: int
    persons_known: int


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
) -> StagedImport | AlreadyImported:
    """Read ``path`` and store its rows. ``make`` gives the function that turns a batch of this profile's rows into
    what is stored. The caller holds :func:`alone` until the import is complete. Raises ExportError, SettingsError;
    nothing of the file is left then."""
    profile, text = profiles.load(folder, profile_name, kind)
    code = incident_of(profile, settings, incident)
    senders = profiles.Senders(settings.senders)
    with files.open_file(path) as file:
        before = files.state_of(file)
        survey = await asyncio.to_thread(files.survey, file, path.name, profile.encoding)
        decides = profiles.settings_digest(text, code, settings)
        already = await _clear_the_way(database, folder, kind, profile_name, survey.sha256, decides)
        if already:
            return already
        layout, batches = await asyncio.to_thread(rows.read, file, path.name, survey, profile)
        sender = ""
        if profile.person is PersonKind.PROFESSIONAL and "insurer" not in layout.roles:
            sender = senders.of_operator(settings.incident(code))
        reading = FileContext(profile, layout, code, senders, vault, now.date(), sender)
        day = as_of.isoformat() if as_of else ""
        # A name in another encoding than the machine's holds bytes that no database takes.
        name = path.name.encode("utf-8", "backslashreplace").decode()
        row = imports.ImportRow(
            kind, survey.sha256, profile_name, decides, code, name, survey.size_bytes, survey.recorded, day
        )
        async with database.write() as connection:
            import_id = await imports.begin(connection, row)
        try:
            with RejectionsFile(folder, survey.sha256) as rejected:
                records, rejections = await _store(database, import_id, batches, make(profile), reading, rejected)
                _must_be_whole(path.name, file, before, senders, records + rejections)
            async with database.write() as connection:
                await imports.set_read(
                    connection, import_id, rows=records + rejections, records=records, rejections=rejections
                )
        except Exception:
            async with database.write() as connection:
                await imports.wipe_staging(connection)
            raise
    return StagedImport(
        import_id, kind, profile_name, code, day, survey.sha256, survey.size_bytes, survey.encoding,
        records + rejections, records, rejections,
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


async def _clear_the_way(
    database: Database, folder: Path, kind: str, profile: str, sha256: str, decides: str
) -> AlreadyImported | None:
    """Wipe what a crash left; tell whether the file is complete already, and mend its list of rejections if the crash
    came between the commit and that list."""
    async with database.write() as connection:
        await imports.wipe_staging(connection)
        found = await imports.find_complete(
            connection, kind=kind, sha256=sha256, profile=profile, settings_digest=decides
        )
    if found is None:
        return None
    if found.rejections and not is_published(folder, sha256):
        with RejectionsFile(folder, sha256) as written:
            async with database.read() as connection:
                async for rejection in imports.rejections_of(connection, found.import_id):
                    written.add([rejection])
        publish(folder, sha256)
    return AlreadyImported(
        found.import_id, sha256, found.rows, found.records, found.rejections, found.persons_new, found.persons_known
    )


async def _store(
    database: Database,
    import_id: int,
    batches: Iterator[rows.Rows],
    make: Make,
    reading: FileContext,
    rejected: RejectionsFile,
) -> tuple[int, int]:
    """Records and rejections stored. From the first unknown sender on, rows are only counted: the file will not do."""
    records = rejections = 0
    sets: dict[str, int] = {}
    made = (make(batch, reading) for batch in batches)
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, thread_name_prefix="intake") as thread:
        following = loop.run_in_executor(thread, next, made, None)
        try:
            while (batch := await following) is not None:
                following = loop.run_in_executor(thread, next, made, None)
                records += batch.kept
                rejections += len(batch.rejections)
                if not reading.senders.unknown:
                    await _write(database, import_id, batch, sets)
                    rejected.add(batch.rejections)
                elif len(reading.senders.unknown) > UNKNOWN_SENDERS:
                    break
        finally:
            # The batch that was being read when something else failed: nobody wants it, nor its error.
            with contextlib.suppress(Exception):
                await following
    return records, rejections


async def _write(database: Database, import_id: int, batch: Batch, sets: dict[str, int]) -> None:
    async with database.write() as connection:
        if new := set(batch.exposures) - sets.keys():
            sets |= await imports.exposure_sets(connection, sorted(new))
        await imports.insert_staged(connection, STAGED, batch.records(import_id, sets))
        await imports.insert_contacts(connection, import_id, CONTACTS, batch.contacts)
        await imports.insert_rejections(connection, import_id, batch.rejections)


def _must_be_whole(name: str, file: BinaryIO, before: tuple[int, int], senders: profiles.Senders, read: int) -> None:
    if unknown := senders.unknown:
        some = ", ".join(f'"{redact(each)[:60]}"' for each in list(unknown)[:UNKNOWN_SHOWN])
        more = ", …" if len(unknown) > UNKNOWN_SHOWN else ""
        many = f"more than {UNKNOWN_SENDERS}" if len(unknown) > UNKNOWN_SENDERS else str(len(unknown))
        raise ExportError(
            f"{name}: no sender has the name that {sum(unknown.values())} rows give ({many} different: {some}{more}); "
            "add the names to [[senders]] in campaign.toml and read the file again"
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
    }
    await journal.append(connection, [Entry(now, "import_completed", staged.sha256, facts)])


def write_rejections(folder: Path, staged: StagedImport) -> Path | None:
    """Publish ``folder/rejections/<sha256, first 12>.csv``, after the commit; None when nothing was rejected."""
    return publish(folder, staged.sha256)
