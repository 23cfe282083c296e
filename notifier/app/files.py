"""Files in: exports and directories are taken, held, freed, corrected and undone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from notifier.app.opened import App, settings_of, utc_now
from notifier.errors import OperatorError
from notifier.model import Entry
from notifier.storage import journal
from notifier.storage.database import Connection

if TYPE_CHECKING:
    from notifier.intake.custody import Custody
    from notifier.intake.holds import HeldFile
    from notifier.intake.members import Contents, Unread
    from notifier.intake.sender_names import NamesAdded
    from notifier.intake.staging import AlreadyImported, StagedImport
    from notifier.intake.verdicts import Verdicts
    from notifier.people.corrections import Correction
    from notifier.people.departures import UndoneImport
    from notifier.storage.imports import PastImport


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
    return replace(app, settings=settings_of(app.folder)), change.names


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
