"""Opens the resources, wires the rooms, owns the tasks. What opens here also closes here.

A command that writes begins with a `session_started` entry and ends with a sealed journal: the unsealed lag is 0 when a
command ends, however it ends short of a crash, and the next command seals what a crash left.
"""

from __future__ import annotations

import asyncio
import getpass
import platform
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from notifier.campaign import Settings, load
from notifier.errors import OperatorError
from notifier.model import Entry, Term, WaveKind
from notifier.storage import journal
from notifier.storage.database import Connection, Database, open_database, sqlite_path
from notifier.vault import Vault, read_keys

if TYPE_CHECKING:
    from notifier.delivery.examination import Examined
    from notifier.delivery.report import Progress, SendReport
    from notifier.intake.drafts import Draft
    from notifier.intake.staging import AlreadyImported, StagedImport
    from notifier.intake.trials import Trial
    from notifier.notices.approval import Approval
    from notifier.notices.lint import Finding
    from notifier.people.departures import UndoneImport
    from notifier.people.reviews import ReviewCase
    from notifier.people.waves import Plan
    from notifier.proof.export import ExportReport
    from notifier.proof.person import PersonReport
    from notifier.standing import Standing

SEAL_SECONDS = 1.0


def utc_now() -> datetime:
    """The wall clock. Rooms take `now`; only here is it read."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class App:
    """An open campaign."""

    folder: Path
    settings: Settings
    vault: Vault
    database: Database
    by: str


@asynccontextmanager
async def open_campaign(folder: Path, *, by: str, command: str, writes: bool = True) -> AsyncIterator[App]:
    """Settings, keys and database of ``folder``, after all three were found to belong together."""
    settings = load(folder)
    vault = Vault(read_keys(folder / settings.key.path))
    async with open_database(sqlite_path(settings.database, folder), vault) as database:
        app = App(folder, settings, vault, database, by)
        if not writes:
            yield app
            return
        await _session_started(app, command)
        try:
            yield app
        finally:
            await seal(app, reason="command")


async def _session_started(app: App, command: str) -> None:
    host = app.vault.digest("host", socket.gethostname()).hex()
    facts = {
        "command": command,
        "os_user": _os_user(),
        "by": app.by,
        "version": metadata.version("notifier"),
        "python": platform.python_version(),
        "host": host,
        "utc_offset_seconds": -time.timezone,
    }
    async with app.database.write() as connection:
        await journal.append(connection, [Entry(utc_now(), "session_started", "", facts)])


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a passwd entry
        return "unknown"


async def seal(app: App, *, reason: str) -> None:
    """Give every unsealed entry its leaf, and sign a checkpoint over them."""
    from notifier.journal.sealer import seal as seal_entries

    await seal_entries(app.database, app.vault, reason=reason, now=utc_now())


@asynccontextmanager
async def _sealing(app: App) -> AsyncIterator[None]:
    """Seal once a second while the block runs (DESIGN 10: unsealed lag at most a second)."""
    finished = asyncio.Event()

    async def keep_sealing() -> None:
        while not finished.is_set():
            try:
                async with asyncio.timeout(SEAL_SECONDS):
                    await finished.wait()
            except TimeoutError:
                await seal(app, reason="running")

    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keep_sealing())
            try:
                yield
            finally:
                finished.set()
    except BaseExceptionGroup as group:
        # One cause is one error, with its own exit code; several at once are a bug and stay together.
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise


# -- files in ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FileTaken:
    """What became of one file."""

    path: Path
    sha256: str
    already: bool
    rows: int
    records: int
    rejections: int
    persons_new: int = 0
    persons_known: int = 0
    rejections_file: Path | None = None


async def take_exports(
    app: App, paths: Sequence[Path], *, profile: str, incident: str | None
) -> AsyncIterator[FileTaken]:
    """Operator exports become records and persons; one file at a time, each complete before the next begins."""
    from notifier.intake.exports import stage_export
    from notifier.intake.staging import alone
    from notifier.people.arrivals import absorb_export

    async def absorb(connection: Connection, import_id: int) -> tuple[int, int]:
        arrivals = await absorb_export(connection, app.vault, import_id)
        return arrivals.persons_new, arrivals.persons_known

    for path in paths:
        with alone(app.folder):
            staged = await stage_export(
                app.database, app.vault, app.settings, app.folder, path, profile, incident=incident, now=utc_now()
            )
            taken = await _complete(app, path, staged, absorb)
        yield taken


async def take_directories(
    app: App, paths: Sequence[Path], *, profile: str, as_of: date | None
) -> AsyncIterator[FileTaken]:
    """The sender's own members become contacts."""
    from notifier.intake.directories import stage_directory
    from notifier.intake.staging import alone
    from notifier.people.arrivals import absorb_directory

    async def absorb(connection: Connection, import_id: int) -> tuple[int, int]:
        await absorb_directory(connection, app.vault, import_id)
        return 0, 0

    for path in paths:
        with alone(app.folder):
            staged = await stage_directory(
                app.database, app.vault, app.settings, app.folder, path, profile, as_of=as_of, now=utc_now()
            )
            taken = await _complete(app, path, staged, absorb)
        yield taken


async def _complete(
    app: App,
    path: Path,
    staged: StagedImport | AlreadyImported,
    absorb: Callable[[Connection, int], Awaitable[tuple[int, int]]],
) -> FileTaken:
    """The commit point of an import: persons, records, the complete mark and the entry, in one transaction."""
    from notifier.intake.staging import StagedImport, complete, write_rejections

    if not isinstance(staged, StagedImport):
        return FileTaken(path, staged.sha256, True, staged.rows, staged.records, staged.rejections)
    async with app.database.write() as connection:
        new, known = await absorb(connection, staged.import_id)
        await complete(connection, staged, persons_new=new, persons_known=known, now=utc_now())
    written = write_rejections(app.folder, staged)
    return FileTaken(path, staged.sha256, False, staged.rows, staged.records, staged.rejections, new, known, written)


async def undo_import(app: App, sha256: str) -> UndoneImport:
    """Withdraw an import that has informed nobody yet: an export or a directory, by its SHA-256 or the first 8 or more
    digits of it. Raises OperatorError; nothing was changed then."""
    from notifier.intake.rejections import unpublish
    from notifier.intake.staging import alone
    from notifier.people.departures import withdraw

    with alone(app.folder):
        undone = await withdraw(app.database, app.vault, sha256, by=app.by, now=utc_now())
        unpublish(app.folder, undone.sha256)
    return undone


async def try_profile(
    app: App, path: Path, *, profile: str, incident: str | None, rows: int | None, shown: int
) -> Trial:
    """The first ``rows`` rows of a file as a profile understands them (None: all). Nothing is stored."""
    from notifier.intake.trials import try_out

    return await asyncio.to_thread(
        try_out,
        app.vault,
        app.settings,
        app.folder,
        path,
        profile,
        incident=incident,
        most=rows,
        shown=shown,
        now=utc_now(),
    )


def draft_profile(folder: Path, path: Path, *, family: str | None, encoding: str) -> Draft:
    """Propose a profile for a file of an unknown layout. ``folder``: a campaign's, which need not exist."""
    from notifier.intake.drafts import draft

    return draft(folder, path, family=family, today=utc_now().date(), encoding=encoding)


# -- people --------------------------------------------------------------------------------------------------------


async def plan_wave(app: App, wave: str) -> Plan:
    """Match, households, segments, notifications."""
    from notifier.people.waves import plan

    return await plan(app.database, app.vault, app.settings, wave=wave, kind=WaveKind.INITIAL, now=utc_now())


async def list_reviews(app: App) -> list[ReviewCase]:
    """The open cases, with values for the operator's terminal."""
    from notifier.people.reviews import open_reviews

    return await open_reviews(app.database, app.vault)


async def decide_review(app: App, case_id: int, decision: str) -> None:
    """Decide one case, by name."""
    from notifier.people.reviews import decide

    await decide(app.database, app.vault, case_id, decision, by=app.by, now=utc_now())


async def _know_wave(app: App, wave: str | None, *, may_be_first: bool = False) -> None:
    """A misspelt wave must not look like one with nothing to do. ``may_be_first``: fine as long as there is none."""
    from notifier.storage.waves import waves

    async with app.database.read() as connection:
        there = [each.name for each in await waves(connection)]
    if not there and not may_be_first:
        raise OperatorError("nothing is planned yet: run `notifier plan` first")
    if there and wave is not None and wave not in there:
        raise OperatorError(f"there is no wave {wave!r} (there: {', '.join(there)})")


# -- notices -------------------------------------------------------------------------------------------------------


async def write_preview(app: App, out: Path, *, wave: str, segment: int | None) -> list[Path]:
    """The notices of a wave's segments as files."""
    from notifier.notices.preview import write_preview as write
    from notifier.storage.segments import segments_of

    await _know_wave(app, wave, may_be_first=True)
    async with app.database.read() as connection:
        counted = await segments_of(connection, wave)
    chosen = [each for each in counted if segment is None or each.id == segment]
    if segment is not None and not chosen:
        raise OperatorError(f"wave {wave} has no segment {segment}: `notifier plan --json` lists them")
    return write(app.folder, app.settings, chosen, out, now=utc_now())


async def check_wave(app: App, wave: str) -> tuple[list[Finding], Examined | None]:
    """Findings on texts and settings, and what the relay says (None: [relay] host is blank, a finding tells so)."""
    from notifier.delivery.examination import examine
    from notifier.notices.approval import findings

    await _know_wave(app, wave, may_be_first=True)
    found = await findings(app.database, app.settings, app.folder, wave=wave, now=utc_now())
    found += _key_findings(app)
    relay = app.settings.relay
    return found, await examine(app.settings, app.folder) if relay.host and relay.rate is not None else None


def _key_findings(app: App) -> list[Finding]:
    """Whether somebody else on this machine can read the key: with the database it is as good as the file of NIRs."""
    from notifier.notices.findings import Finding

    path = app.folder / app.settings.key.path
    mode = path.stat().st_mode & 0o777 if path.is_file() else 0
    if not mode & 0o077:
        return []
    text = f"others on this machine can read the key file (mode {mode:04o}): chmod 600 {path}"
    return [Finding("key-mode", "[key] path", text)]


async def describe_batch(app: App, wave: str) -> tuple[list[str], int]:
    """What `approve` is about to freeze, in lines, and how many notifications."""
    from notifier.notices.approval import describe

    await _know_wave(app, wave)
    return await describe(app.database, app.settings, app.folder, wave=wave)


async def approve_wave(app: App, wave: str) -> Approval:
    """Freeze the batch, and let the checkpoint over it be one that leaves the house."""
    from notifier.notices.approval import approve

    made = await approve(app.database, app.vault, app.settings, app.folder, wave=wave, by=app.by, now=utc_now())
    await seal(app, reason="approval")
    return made


# -- delivery ------------------------------------------------------------------------------------------------------


async def send(
    app: App,
    *,
    wave: str | None,
    limit: int | None,
    wait: bool,
    dry_run: bool,
    on_progress: Callable[[Progress], None],
) -> SendReport:
    """Send what is approved and due, from the frozen texts and settings."""
    from notifier.delivery import sender
    from notifier.notices.approval import NoticeShelf, verify_bound

    await _know_wave(app, wave)
    async with app.database.read() as connection:
        differing = await verify_bound(connection, app.settings, wave=wave)
    if differing:
        raise OperatorError(
            "what was approved is what goes out, and this differs now: "
            + "; ".join(differing)
            + ". Set it back, or plan and approve what follows"
        )
    shelf = NoticeShelf(app.database)
    async with _sealing(app):
        return await sender.send(
            app.database,
            app.vault,
            app.settings,
            app.folder,
            shelf,
            wave=wave,
            limit=limit,
            wait=wait,
            dry_run=dry_run,
            by=app.by,
            on_progress=on_progress,
        )


async def pause(app: App, reason: str) -> bool:
    """Stop claiming. False when it was paused already."""
    from notifier.delivery import pause as pausing

    return await pausing.pause(app.database, reason=reason, by=app.by, now=utc_now())


async def resume(app: App) -> bool:
    """Allow claiming. False when it was not paused."""
    from notifier.delivery import pause as pausing

    return await pausing.resume(app.database, by=app.by, now=utc_now())


# -- standing and proof --------------------------------------------------------------------------------------------


async def standing(app: App) -> Standing:
    """The I1 equation, what needs a decision, what to do next."""
    from notifier.standing import take

    return await take(app.database, app.settings, now=utc_now())


async def write_listing(app: App, term: Term, out: Path) -> int:
    """Who counts under a term, by pseudonym, as CSV. Returns how many."""
    from notifier.standing import write_list

    return await write_list(app.database, app.vault, term, out, now=utc_now())


async def export_proof(app: App, out: Path, *, overwrite: bool) -> ExportReport:
    """Seal, and write the proof pack."""
    from notifier.proof.export import export

    return await export(app.database, app.vault, app.settings, out, now=utc_now(), overwrite=overwrite)


async def person_proof(app: App, reference: str, out: Path) -> PersonReport:
    """One person's own proof."""
    from notifier.proof.person import person_proof as write

    return await write(app.database, app.vault, reference=reference, out=out, now=utc_now())
