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
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from notifier.campaign import Settings, load
from notifier.errors import OperatorError
from notifier.model import Entry, Term
from notifier.storage import journal
from notifier.storage.database import Connection, Database, open_database, sqlite_path
from notifier.vault import Vault, read_keys

if TYPE_CHECKING:
    from notifier.coverage import Coverage
    from notifier.delivery.examination import Examined
    from notifier.delivery.report import Progress, SendReport
    from notifier.intake.custody import Custody
    from notifier.intake.disposals import Counts, Which
    from notifier.intake.drafts import Draft
    from notifier.intake.holds import HeldFile
    from notifier.intake.members import Contents, Unread
    from notifier.intake.rejected_rows import RejectedRows
    from notifier.intake.sender_names import NamesAdded
    from notifier.intake.staging import AlreadyImported, StagedImport
    from notifier.intake.trials import Trial
    from notifier.intake.verdicts import Verdicts
    from notifier.notices.approval import Approval
    from notifier.notices.lint import Finding
    from notifier.people.corrections import Correction
    from notifier.people.departures import UndoneImport
    from notifier.people.exclusions import Ground, Withdrawn
    from notifier.people.forgetting import Forgotten, Glance
    from notifier.people.lookups import Answer as LookUp
    from notifier.people.review_lists import Brought
    from notifier.people.reviews import Decided, ReviewCase
    from notifier.people.samples import Sample, Verdict
    from notifier.people.waves import Plan
    from notifier.proof.export import ExportReport
    from notifier.proof.person import PersonReport
    from notifier.standing import Standing
    from notifier.storage.coverage import Bridge, Unnamed
    from notifier.storage.imports import PastImport

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
    """What became of one file. ``held``: nothing of it was taken in, and the counts are 0. ``replaced``: how many
    earlier readings of the same bytes it took the place of."""

    path: Path
    sha256: str
    already: bool
    rows: int
    records: int
    rejections: int
    persons_new: int = 0
    persons_known: int = 0
    rejections_file: Path | None = None
    held: HeldFile | None = None
    replaced: int = 0
    verdicts: Verdicts | None = None  # None: the file is held
    member: str = ""  # of an archive of several: which file
    unread: tuple[Unread, ...] = ()  # told with the archive's first: what in it was not read
    recorded: str = ""  # how it was read
    other_day: str | None = None  # the day of a directory that is there already, when another one was asked for
    correction: Correction | None = None  # an earlier file whose place this one took
    ended: int = 0  # members who are missing from a whole directory: past members from now on
    reinstated: int = 0  # persons whom a corrected file had left out, and of whom this one speaks


async def take_exports(
    app: App,
    paths: Sequence[Path],
    *,
    profile: str,
    incident: str | None,
    custody: Custody | None = None,
    accept_rejections: bool = False,
    members: Sequence[str] = (),
    only: str = "",
    replaces: str = "",
) -> AsyncIterator[FileTaken]:
    """Operator exports become records and persons; one file at a time, each complete before the next begins: a crash
    between two files of an archive leaves the first, and the same command goes on with the second. ``members``: globs
    that choose files of an archive; ``only``: the SHA-256 of the one file of it that is wanted; ``replaces``: that (or
    its first digits) of the earlier file that a single file corrects, and whose place it takes."""
    from notifier.intake.exports import stage_export
    from notifier.intake.staging import alone
    from notifier.people.arrivals import absorb_export

    async def absorb(connection: Connection, import_id: int) -> tuple[int, int]:
        arrivals = await absorb_export(connection, app.vault, import_id)
        return arrivals.persons_new, arrivals.persons_known

    for path in paths:
        found, said = await _contents(app, path, profile, "export", members, only, custody)
        if replaces and len(found.wrappings) != 1:
            raise OperatorError("--replaces is of one file: choose it from the archive with --member")
        for number, wrapping in enumerate(found.wrappings):
            with alone(app.folder):
                staged = await stage_export(
                    app.database, app.vault, app.settings, app.folder, path, profile, incident=incident, now=utc_now(),
                    custody=said, accepted_by=app.by if accept_rejections else "", wrapping=wrapping,
                    replaces=replaces,
                )  # fmt: skip
                taken = await _complete(app, path, staged, absorb)
            yield _placed(taken, found, number)


async def take_directories(
    app: App,
    paths: Sequence[Path],
    *,
    profile: str,
    as_of: date | None,
    custody: Custody | None = None,
    accept_rejections: bool = False,
    members: Sequence[str] = (),
    only: str = "",
    is_whole: bool = False,
) -> AsyncIterator[FileTaken]:
    """The sender's own members become contacts; archives as with :func:`take_exports`. ``is_whole``: each file is the
    whole directory of its senders, and who is missing from it has left."""
    from notifier.intake.directories import stage_directory
    from notifier.intake.staging import AlreadyImported, alone
    from notifier.people.arrivals import absorb_directory

    ended = 0

    async def absorb(connection: Connection, import_id: int) -> tuple[int, int]:
        nonlocal ended
        ended = await absorb_directory(connection, app.vault, import_id, is_whole=is_whole)
        return 0, 0

    for path in paths:
        found, said = await _contents(app, path, profile, "directory", members, only, custody)
        for number, wrapping in enumerate(found.wrappings):
            with alone(app.folder):
                staged = await stage_directory(
                    app.database, app.vault, app.settings, app.folder, path, profile, as_of=as_of, now=utc_now(),
                    custody=said, accepted_by=app.by if accept_rejections else "", wrapping=wrapping, is_whole=is_whole,
                )  # fmt: skip
                taken = await _complete(app, path, staged, absorb)
                if is_whole and isinstance(staged, AlreadyImported):
                    # It was taken in before, and only now is said to be the whole.
                    async with app.database.write() as connection:
                        await absorb(connection, staged.import_id)
            yield replace(_placed(taken, found, number), ended=ended)


async def _contents(
    app: App,
    path: Path,
    profile: str,
    kind: Literal["export", "directory"],
    patterns: Sequence[str],
    only: str,
    custody: Custody | None,
) -> tuple[Contents, Custody]:
    """What is read of a file, and what its cover note says of each part. Of an archive of several, the hash that it
    announces is the archive's, and the rows are those of all parts together: compared before the first is stored."""
    from notifier.intake import files, members, profiles
    from notifier.intake.custody import NOTHING_SAID

    said = custody or NOTHING_SAID

    def look() -> Contents:
        layout, _ = profiles.load(app.folder, profile, kind)
        with files.open_file(path) as file:
            if only:
                return members.Contents((members.holding(file, path.name, only),))
            found = members.contents(file, path.name, layout, patterns)
            if len(found.wrappings) > 1:
                said.check_sha256(path.name, found.archive_sha256)
            if said.expected_rows is not None and found.is_archive:
                said.check_rows(path.name, members.count(file, path.name, layout, found.wrappings))
            return found

    found = await asyncio.to_thread(look)
    return found, replace(said, expected_rows=None) if found.is_archive else said


def _placed(taken: FileTaken, found: Contents, number: int) -> FileTaken:
    """``taken`` with its place in the archive; the first also with what is not read of it."""
    wrapping = found.wrappings[number]
    return replace(taken, member=wrapping.place(), unread=found.unread if number == 0 else ()) if wrapping else taken


async def _complete(
    app: App,
    path: Path,
    staged: StagedImport | AlreadyImported | HeldFile,
    absorb: Callable[[Connection, int], Awaitable[tuple[int, int]]],
) -> FileTaken:
    """The commit point of an import: persons, records, the complete mark and the entry, in one transaction. An earlier
    reading of the same bytes is withdrawn in it, after the new one has come: who is in both stays who it is, with what
    was decided about it."""
    from notifier.intake.clear_values import remove_values
    from notifier.intake.holds import REJECTIONS, HeldFile
    from notifier.intake.rejections import published, unpublish
    from notifier.intake.staging import StagedImport, complete, write_rejections
    from notifier.people.corrections import correct, reinstate
    from notifier.people.departures import replace as replace_readings

    if isinstance(staged, HeldFile):
        listed = published(app.folder, staged.sha256) if staged.reason == REJECTIONS else None
        return FileTaken(path, staged.sha256, False, 0, 0, 0, rejections_file=listed, held=staged)
    if not isinstance(staged, StagedImport):
        correction = None
        if staged.corrects:
            # It was taken in before, and only now is said whose place it takes.
            async with app.database.write() as connection:
                correction = await correct(
                    connection, app.vault, staged.corrects, staged.import_id, staged.sha256,
                    by=app.by, now=utc_now(), is_staged=False,
                )  # fmt: skip
            await _clear_corrected(app, staged.corrects)
        return FileTaken(
            path, staged.sha256, True, staged.rows, staged.records, staged.rejections, verdicts=staged.verdicts,
            other_day=staged.other_day, correction=correction,
        )  # fmt: skip
    async with app.database.absorb() if staged.kind == "export" else app.database.write() as connection:
        new, known = await absorb(connection, staged.import_id)
        await replace_readings(connection, app.vault, staged.replaces, staged.import_id, by=app.by, now=utc_now())
        back = await reinstate(connection, app.vault, staged.import_id, staged.sha256, by=app.by, now=utc_now())
        correction = await correct(
            connection, app.vault, staged.corrects, staged.import_id, staged.sha256, by=app.by, now=utc_now()
        )
        await complete(connection, staged, persons_new=new, persons_known=known, now=utc_now())
    if staged.replaces:
        # What was written in clear are the rejections of the reading that has gone.
        await remove_values(app.database, app.folder, staged.sha256, by=app.by, now=utc_now())
    if staged.replaces and not staged.rejections:
        unpublish(app.folder, staged.sha256)
    await _clear_corrected(app, staged.corrects)
    written = write_rejections(app.folder, staged)
    return FileTaken(
        path, staged.sha256, False, staged.rows, staged.records, staged.rejections, new, known, written,
        replaced=len(staged.replaces), verdicts=staged.verdicts, recorded=staged.recorded, correction=correction,
        reinstated=back,
    )  # fmt: skip


async def _clear_corrected(app: App, earlier: Sequence[PastImport]) -> None:
    """The lists of rejected rows of a file whose place another one took are of no use to anybody."""
    from notifier.intake.clear_values import remove_values
    from notifier.intake.rejections import unpublish

    for sha256 in {each.sha256 for each in earlier}:
        unpublish(app.folder, sha256)
        await remove_values(app.database, app.folder, sha256, by=app.by, now=utc_now())


async def can_be_undone(app: App, sha256: str) -> bool:
    """Whether there is an import or a hold to withdraw, before anybody is asked. Raises OperatorError for the SHA-256
    of an archive of several files."""
    from notifier.people.departures import start_of
    from notifier.storage import forgetting, holds, imports

    start = start_of(sha256)
    async with app.database.read() as connection:
        past = await imports.past(connection, start)
        if await holds.held(connection, start) or any(each.state == "complete" for each in past):
            return True
        members = [] if past else await forgetting.from_archive(connection, start)
    if members:
        shown = ", ".join(each[:12] for each in members)
        raise OperatorError(f"{start[:12]} is an archive: undo the files that were in it, one by one ({shown})")
    return False


async def undo_hold(app: App, sha256: str) -> HeldFile | None:
    """Withdraw the hold on a file that is not to be taken in; None if no file of that SHA-256 (its first 8 or more
    digits) is held. Raises OperatorError; nothing was changed then."""
    from notifier.intake.holds import withdraw
    from notifier.intake.rejections import unpublish
    from notifier.intake.staging import alone
    from notifier.people.departures import start_of

    with alone(app.folder):
        held = await withdraw(app.database, start_of(sha256), by=app.by, now=utc_now())
        if held:
            unpublish(app.folder, held.sha256)
    return held


async def held_files(app: App) -> list[HeldFile]:
    """The files that are held, with the names that nobody has, for a terminal."""
    from notifier.intake.holds import listed

    return await listed(app.database, app.vault, app.settings)


async def held_file(app: App, sha256: str) -> HeldFile:
    """The file held for its senders whose SHA-256 begins so. Raises OperatorError."""
    from notifier.intake.holds import one

    return await one(app.database, app.vault, app.settings, sha256)


async def add_sender_names(app: App, code: str, names: Sequence[str]) -> tuple[App, NamesAdded]:
    """Let a sender have more names: campaign.toml and the entry. Returns the campaign with its new settings. Raises
    SettingsError; nothing was changed then.

    The file takes its new place last before the commit: a crash leaves both or neither, but for the instant between the
    two, after which the names are there and no entry speaks of them (the next `session_started` is on record, and the
    import that uses them)."""
    from notifier.intake.sender_names import proposed
    from notifier.intake.staging import alone
    from notifier.vault import redact

    with alone(app.folder), proposed(app.folder, code, names) as change:
        if change.added:
            facts = {"sender": code, "names": [redact(name) for name in change.added], "by": app.by}
            async with app.database.write() as connection:
                await journal.append(connection, [Entry(utc_now(), "sender_names_added", "", facts)])
                change.put_in_place()
    return replace(app, settings=load(app.folder)), change.names


@dataclass(frozen=True)
class Freed:
    """A held file whose names are all known now. ``taken``: it was taken in (or is held for another reason); else
    ``problem`` says why it was not, and ``command`` what to run."""

    held: HeldFile
    taken: FileTaken | None = None
    problem: str = ""
    command: str = ""


async def free_held(app: App) -> AsyncIterator[Freed]:
    """Take in every file that is held for its senders and whose names are all known now, as it was first asked for:
    profile, incident, date and custody are the same, and so must be the bytes."""
    from notifier.intake.holds import SENDERS

    for held in await held_files(app):
        if held.reason != SENDERS or held.names:
            continue
        try:
            yield Freed(held, await _take_again(app, held))
        except OperatorError as error:
            yield Freed(held, problem=str(error), command=held.command())


async def _take_again(app: App, held: HeldFile) -> FileTaken:
    from notifier.intake.holds import find_again

    path = await asyncio.to_thread(find_again, held)
    if held.kind == "export":
        taken = take_exports(
            app,
            [path],
            profile=held.profile,
            incident=held.incident or None,
            custody=held.custody,
            only=held.sha256,
            replaces=held.replaces,
        )
    else:
        day = date.fromisoformat(held.as_of) if held.as_of else None
        taken = take_directories(
            app,
            [path],
            profile=held.profile,
            as_of=day,
            custody=held.custody,
            only=held.sha256,
            is_whole=bool(held.replaces),
        )
    every = [each async for each in taken]  # of an archive, all that is in it: the rest is there already
    return next(each for each in every if each.sha256 == held.sha256)


async def undo_import(app: App, sha256: str) -> UndoneImport:
    """Withdraw an import that has informed nobody yet: an export or a directory, by its SHA-256 or the first 8 or more
    digits of it. Raises OperatorError; nothing was changed then."""
    from notifier.intake.clear_values import left_behind, remove_values
    from notifier.intake.rejections import unpublish
    from notifier.intake.staging import alone
    from notifier.people.departures import UndoneImport, start_of, withdraw
    from notifier.people.review_lists import remove_lists

    with alone(app.folder):
        # A crash may have come between the withdrawal and what follows it: this command again does the rest.
        if left := await left_behind(app.database, start_of(sha256)):
            undone = UndoneImport(left, 0, 0)
        else:
            undone = await withdraw(app.database, app.vault, sha256, by=app.by, now=utc_now())
        unpublish(app.folder, undone.sha256)
        await remove_values(app.database, app.folder, undone.sha256, by=app.by, now=utc_now())
        await remove_lists(app.database, app.folder, by=app.by, now=utc_now())
    return undone


# -- rejected rows -------------------------------------------------------------------------------------------------


async def write_rejected_values(app: App, path: Path, *, profile: str, sha256: str) -> Path | None:
    """The rejected rows of an export that was taken in, with their values, as a clear file; None: there are none.
    Raises ExportError, OperatorError."""
    from notifier.intake.clear_values import write_values
    from notifier.intake.staging import alone

    # Not beside an --undo or --forget, which removes the file that would be written after it.
    with alone(app.folder):
        return await write_values(app.database, app.folder, path, profile, sha256=sha256, by=app.by, now=utc_now())


async def rejections_standing(app: App) -> RejectedRows:
    """How many rejections are open, by file and code, and how the others ended."""
    from notifier.intake.rejected_rows import standing as counted

    return await counted(app.database)


async def write_rejections_list(app: App, out: Path, *, every: bool) -> int:
    """The open rejections, or every one, as CSV without values. Returns how many."""
    from notifier.intake.rejected_rows import write_list

    return await write_list(app.database, out, every=every)


def is_rejection_code(code: str) -> bool:
    """Whether a rejection can have this code."""
    from notifier.intake.rejections import EXPLANATIONS

    return code in EXPLANATIONS


async def look_at_rejections(app: App, which: Which, *, reopen: bool) -> Counts:
    """What `decide_rejections` would change: file → code → rejections. Raises OperatorError for nothing."""
    from notifier.intake.disposals import look

    return await look(app.database, which, reopen=reopen)


async def decide_rejections(app: App, which: Which, *, reason: str) -> Counts:
    """Dispose of open rejections, by name and reason; an empty reason opens again what was disposed of."""
    from notifier.intake.disposals import dispose, reopen
    from notifier.intake.staging import alone

    with alone(app.folder):
        if reason:
            return await dispose(app.database, which, reason=reason, by=app.by, now=utc_now())
        return await reopen(app.database, which, by=app.by, now=utc_now())


# -- forgetting and trials -----------------------------------------------------------------------------------------


async def look_at_file(app: App, sha256: str) -> Glance:
    """What `forget_file` would take, before anybody is asked. Raises OperatorError where it would."""
    from notifier.people.forgetting import look
    from notifier.storage.forgetting import must_have_room

    must_have_room(app.database.path)
    return await look(app.database, sha256)


async def forget_file(app: App, sha256: str) -> tuple[Forgotten, list[Path]]:
    """Delete all that came from a file received by error, and issue the certificate; the paths of those issued now.
    In this order, so that a certificate never says what was not done; run again, it does what a crash left undone.
    Raises OperatorError, TryLater when another program keeps the database open."""
    from notifier.intake import leftovers
    from notifier.intake.clear_values import remove_values
    from notifier.intake.staging import alone
    from notifier.people.forgetting import forget
    from notifier.people.review_lists import remove_lists
    from notifier.proof.certificates import is_issued, issue
    from notifier.storage import forgetting
    from notifier.storage.lock import sender_lock

    with alone(app.folder), sender_lock(app.folder, utc_now()):
        forgotten = await forget(app.database, app.vault, sha256, by=app.by, now=utc_now())
        numbered = list(enumerate(forgotten.bodies, start=1))
        missing = [each for each in numbered if not is_issued(app.folder, app.vault, each[1], each[0])]
        if forgotten.already and not missing:
            return forgotten, []
        await remove_values(app.database, app.folder, forgotten.sha256, by=app.by, now=utc_now())
        await remove_lists(app.database, app.folder, by=app.by, now=utc_now())
        leftovers.remove(app.folder, forgotten.sha256)
        await forgetting.scrub(app.database.path)
        return forgotten, [issue(app.folder, app.vault, body, number) for number, body in missing]


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


async def plan_wave(
    app: App, wave: str, *, kind: str | None = None, who: Sequence[str] = (), dry_run: bool = False
) -> Plan:
    """Match, households, segments, notifications. ``kind``, ``who``: as on the command line; ``dry_run``: nothing is
    kept. Raises OperatorError for a kind or a choice that does not fit."""
    from notifier.intake import mailboxes
    from notifier.notices.usage import told_by
    from notifier.people.agencies import set_aside
    from notifier.people.rounds import Selection, kind_of
    from notifier.people.waves import plan
    from notifier.storage.waves import waves

    asked = kind_of(kind) if kind is not None else None
    chosen = Selection.of(who) if who else None
    notice = chosen.notice if chosen else ""
    if chosen is None:
        async with app.database.read() as connection:
            notice = next((Selection.stored(row.who).notice for row in await waves(connection) if row.name == wave), "")
    told_in = await told_by(app.database, notice) if notice else None
    if not dry_run:
        addresses = mailboxes.rules(app.folder).addresses
        await set_aside(app.database, app.vault, app.settings, addresses, now=utc_now())
    return await plan(
        app.database, app.vault, app.settings, wave=wave, kind=asked, who=chosen, told_in=told_in, dry_run=dry_run,
        now=utc_now(),
    )  # fmt: skip


async def list_reviews(
    app: App, *, reason: str = "", limit: int | None = None, decided: bool = False
) -> tuple[list[ReviewCase], dict[str, int]]:
    """The open cases (or the decided ones), with values for the operator's terminal; and how many there are of each
    reason."""
    from notifier.people.reviews import open_reviews
    from notifier.storage import reviews

    async with app.database.read() as connection:
        counted = await reviews.counts(connection, reviews.DECIDED if decided else reviews.OPEN)
    return await open_reviews(app.database, app.vault, reason=reason, limit=limit, decided=decided), counted


async def decide_review(app: App, case_id: int, decision: str, *, revise: bool = False, why: str = "") -> Decided:
    """Decide one case, by name, or decide it anew. Raises OperatorError; nothing was changed then."""
    from notifier.people.reviews import decide

    return await decide(app.database, app.vault, case_id, decision, by=app.by, now=utc_now(), revise=revise, why=why)


async def write_review_list(app: App, out: Path, *, reason: str, limit: int | None, decided: bool) -> int:
    """The review list with its values, as a registered clear file. Returns how many cases."""
    from notifier.people.review_lists import write_list

    return await write_list(
        app.database, app.vault, app.folder, out, reason=reason, limit=limit, decided=decided, by=app.by, now=utc_now()
    )


async def look_at_review_list(app: App, path: Path) -> Brought:
    """What `bring_review_list` would decide. Raises OperatorError with the lines that cannot be applied."""
    from notifier.people.review_lists import look, read_list

    return await look(app.database, app.vault, read_list(path))


async def bring_review_list(app: App, path: Path) -> Brought:
    """Apply the decisions of a list: all, or (OperatorError) none."""
    from notifier.people.review_lists import bring, read_list

    return await bring(app.database, app.vault, read_list(path), by=app.by, now=utc_now())


async def draw_sample(app: App, many: int, seed: int) -> Sample:
    """Random matched pairs, side by side."""
    from notifier.people.samples import draw

    return await draw(app.database, app.vault, many=many, seed=seed)


async def judge_sample(app: App, many: int, seed: int, wrong: Sequence[str], *, digest: str | None = None) -> Verdict:
    """Journal the verdict on a sample; what is wrong is held for review. Raises OperatorError; nothing was changed."""
    from notifier.people.samples import judge

    return await judge(
        app.database, app.vault, many=many, seed=seed, wrong=wrong, by=app.by, now=utc_now(), digest=digest
    )


async def find_reference(app: App, reference: str) -> LookUp:
    """Whom the notice with this case reference informs. Journaled."""
    from notifier.campaign import categories
    from notifier.people.lookups import find_reference as find

    known = categories(app.folder)
    return await find(app.database, app.vault, known, reference, by=app.by, now=utc_now())


async def find_identity(app: App, way: str, typed: Mapping[str, str]) -> LookUp:
    """Whom what was typed fits, in the eyes of each sender. Journaled; the values are not kept."""
    from notifier.campaign import categories
    from notifier.enquiries import read
    from notifier.people.lookups import find_identity as find

    now = utc_now()
    said = read(way, typed, app.folder, now.astimezone(app.settings.zone).date())
    return await find(app.database, app.vault, app.settings, categories(app.folder), said, by=app.by, now=now)


async def withdraw_persons(app: App, references: Sequence[str], ground: Ground) -> Withdrawn:
    """Take persons out, by reason and author. Raises OperatorError; nothing was changed then."""
    from notifier.people.exclusions import withdraw

    return await withdraw(app.database, app.vault, references, ground, by=app.by, now=utc_now())


async def reinstate_persons(app: App, references: Sequence[str], why: str) -> Withdrawn:
    """Take persons in again. Raises OperatorError; nothing was changed then."""
    from notifier.people.exclusions import reinstate

    return await reinstate(app.database, app.vault, references, why=why, by=app.by, now=utc_now())


async def write_hotline(app: App, out: Path, wave: str | None) -> int:
    """The case references of all that went out, as CSV. Returns how many."""
    from notifier.people.lookups import write_hotline as write

    await _know_wave(app, wave)
    return await write(app.database, app.vault, app.settings, out, wave=wave, by=app.by, now=utc_now())


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
    found += await _address_findings(app)
    found += await _sender_findings(app)
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


async def _address_findings(app: App) -> list[Finding]:
    """Addresses of so many members that they are nobody's own: an agency's, typed in for those without one."""
    from notifier.intake.verdicts import SHARED
    from notifier.notices.findings import Finding
    from notifier.storage.imports import shared_now

    async with app.database.read() as connection:
        addresses, members = await shared_now(connection, SHARED)
    if not addresses:
        return []
    text = (
        f"{members} members have one of {addresses} addresses that {SHARED} members or more share: an agency's own, as "
        "a rule, where all their notices would go. Put them into [placeholders] addresses of data/mailboxes.toml in "
        "the campaign's folder and run `plan` again: these members are written to by letter"
    )
    return [Finding("shared-mailbox", "directory", text, "warning")]


async def _sender_findings(app: App) -> list[Finding]:
    """Whether anybody would be told through another sender's contact, or in its words."""
    from notifier.notices.findings import Finding
    from notifier.storage.coverage import of_another_sender

    async with app.database.read() as connection:
        crossing = await of_another_sender(connection)
    if not crossing:
        return []
    text = (
        f"{crossing} persons hang on a contact or a text of another sender: nothing may be sent; report it as a fault"
    )
    return [Finding("contact-of-another-sender", "people", text)]


async def describe_batch(app: App, wave: str) -> tuple[list[str], int]:
    """What `approve` is about to freeze, in lines, and how many notifications."""
    from notifier.notices.approval import describe

    await _know_wave(app, wave)
    return await describe(app.database, app.settings, app.folder, wave=wave)


async def approve_wave(app: App, wave: str) -> Approval:
    """Freeze the batch, and let the checkpoint over it be one that leaves the house."""
    from notifier.notices.approval import approve

    for finding in await _sender_findings(app):
        raise OperatorError(finding.text)
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

    return await take(app.database, app.settings, app.folder, held=await held_files(app), now=utc_now())


async def coverage_by(app: App, by: str) -> Coverage:
    """The I1 table by file, incident, sender, audience or wave."""
    from notifier.coverage import by_group

    return await by_group(app.database, by, now=utc_now())


async def count_bridge(app: App) -> Bridge:
    """From rows to persons."""
    from notifier.coverage import bridge

    return await bridge(app.database)


async def other_side(app: App) -> list[Unnamed]:
    """The directory's members whom no export names."""
    from notifier.coverage import other_side as count

    return await count(app.database)


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
