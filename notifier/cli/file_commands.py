"""`intake`, `directory`: files in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from notifier.cli import rejection_commands
from notifier.cli.default_command import FilesOrCommand
from notifier.cli.terminal import LEFT, Line, Terminal, command
from notifier.errors import OperatorError

if TYPE_CHECKING:
    from notifier.app import App, FileTaken
    from notifier.intake.custody import Custody
    from notifier.intake.holds import HeldFile

_FILES = click.argument("files", metavar="FILE...", nargs=-1, type=click.Path(path_type=Path))
_PROFILE = click.option("--profile", required=False, help="Which layout the file has (data/profiles/NAME.toml).")
_MEMBER = click.option(
    "--member",
    "members",
    multiple=True,
    metavar="PATTERN",
    help="Of an archive of several files, read those whose name fits (a glob such as '*.csv'; may be repeated).",
)
_SAID = (
    click.option("--received-at", metavar="ISO8601", default="", help="When the file came (2024-02-09T18:30+01:00)."),
    click.option(
        "--received-from",
        type=Line(),
        metavar="TEXT",
        help="Who sent it, and by which way: an organisation, not a person.",
    ),
    click.option(
        "--expect-rows", type=click.IntRange(min=0), metavar="N", help="How many rows the cover note announces."
    ),
    click.option("--expect-sha256", metavar="HEX", default="", help="The SHA-256 that the cover note announces."),
    click.option("--accept-rejections", is_flag=True, help="Take the file in, whatever share of its rows is rejected."),
)
SHOWN_NAMES = 10


def _said_of_files(function: Callable[..., int]) -> Callable[..., int]:
    """The options on what is said of a file beside its bytes."""
    for option in reversed(_SAID):
        function = option(function)
    return function


@dataclass(frozen=True)
class _Said:
    """What the command line says of a file."""

    received_at: str
    received_from: str
    expect_rows: int | None
    expect_sha256: str

    def custody(self, opened: App) -> Custody:
        from notifier.app import utc_now
        from notifier.intake.custody import custody

        return custody(
            received_at=self.received_at,
            received_from=self.received_from,
            expected_rows=self.expect_rows,
            expected_sha256=self.expect_sha256,
            zone=opened.settings.zone,
            now=utc_now(),
        )


@command("intake", cls=FilesOrCommand, short_help="operator exports become records and persons")
@_FILES
@_PROFILE
@click.option("--incident", help="Which incident the file belongs to, when the profile does not say.")
@_MEMBER
@_said_of_files
@click.option("--replaces", metavar="SHA", default="", help="The earlier file that FILE corrects, and replaces.")
@click.option("--with-values", is_flag=True, help="Also write the rejected rows with their values, in clear.")
@click.option("--undo", metavar="SHA", help="Withdraw an import that has informed nobody yet.")
@click.option("--forget", metavar="SHA", help="Erase a file received by error, and issue a certificate.")
def intake(
    terminal: Terminal,
    files: tuple[Path, ...],
    profile: str | None,
    incident: str | None,
    members: tuple[str, ...],
    replaces: str,
    with_values: bool,
    undo: str | None,
    forget: str | None,
    received_at: str,
    received_from: str | None,
    expect_rows: int | None,
    expect_sha256: str,
    accept_rejections: bool,
) -> int:
    """Take in operator exports: CSV or XLSX, also in .gz or .zip (told from the content; an encrypted ZIP's password
    from NOTIFIER_ARCHIVE_PASSWORD or asked).

    Of an archive of several files, each with the profile's headings is an import of its own, under the SHA-256 of its
    content. Notes, checksums and pictures beside them are named as not read; anything else stops the command before a
    row is stored, unless --member says which files to read.

    Rows that leave no identity at all are listed in DIR/rejections/, with line, column and code; their values only with
    --with-values, also of a file that was taken in before. The same bytes under the same profile are "already
    imported", and nothing changes. A FILE with the name of a command below is written ./NAME.

    A file is held, and nobody in it is informed, when it names senders that campaign.toml does not
    (`senders add-name`), or when too many of its rows are rejected ([intake] rejections_limit; --accept-rejections).
    The cover note's figures (--expect-rows, --expect-sha256; one FILE) are compared before anything is stored.

    A corrected file of the same incident and profile takes the place of an earlier one with --replaces (its SHA-256, or
    the first 8 digits). Persons of whom only the earlier file spoke are excluded ("operator withdrew") and stay in the
    account; what waits for them and told nobody is withdrawn. A later file that speaks of them reinstates them.
    """
    from notifier import app

    if replaces and (undo or forget or len(files) > 1):
        raise OperatorError("--replaces is of one FILE, the corrected one")
    if undo:
        if files or profile or forget:
            raise OperatorError("--undo takes the file's SHA-256 alone")
        return asyncio.run(_undo(terminal, undo))
    if forget:
        if files or profile or undo:
            raise OperatorError("--forget takes the file's SHA-256 alone")
        return asyncio.run(_forget(terminal, forget))
    said = _Said(received_at, received_from or "", expect_rows, expect_sha256)
    _require(files, profile, said)

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="intake") as opened:
            taken = app.take_exports(
                opened, files, profile=profile or "", incident=incident,
                custody=said.custody(opened), accept_rejections=accept_rejections, members=members, replaces=replaces,
            )  # fmt: skip
            if with_values:
                taken = _with_values(terminal, opened, taken, profile or "")
            return await _report(terminal, taken, persons=True)

    return asyncio.run(work())


@command("directory", short_help="the sender's own members become contacts")
@_FILES
@_PROFILE
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="The day the directory describes (newest wins).")
@click.option("--replace", is_flag=True, help="FILE is the whole directory: who is missing from it has left.")
@_MEMBER
@_said_of_files
def directory(
    terminal: Terminal,
    files: tuple[Path, ...],
    profile: str | None,
    as_of: datetime | None,
    replace: bool,
    members: tuple[str, ...],
    received_at: str,
    received_from: str | None,
    expect_rows: int | None,
    expect_sha256: str,
    accept_rejections: bool,
) -> int:
    """Take in the mutuelle's directory: members current and past, with their contact details.

    Of several directories the newest row about a member counts (--as-of), and older ones stay known: who left is
    reached where the last directory that names them says. With --replace, members of the file's senders who are missing
    from it count as past members from now on (`intake --undo` takes that back).
    """
    from notifier import app

    said = _Said(received_at, received_from or "", expect_rows, expect_sha256)
    _require(files, profile, said)

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="directory") as opened:
            taken = app.take_directories(
                opened, files, profile=profile or "", as_of=as_of.date() if as_of else None,
                custody=said.custody(opened), accept_rejections=accept_rejections, members=members, is_whole=replace,
            )  # fmt: skip
            return await _report(terminal, taken, persons=False)

    return asyncio.run(work())


def _require(files: tuple[Path, ...], profile: str | None, said: _Said) -> None:
    if not files:
        raise OperatorError("name at least one file")
    if len(files) > 1 and (said.expect_rows is not None or said.expect_sha256):
        raise OperatorError("--expect-rows and --expect-sha256 are of one file: name the files one by one")
    if not profile:
        raise OperatorError("say which layout the file has: --profile NAME")
    for path in files:
        if not path.is_file():
            raise OperatorError(f"{path} is not a regular file" if path.exists() else f"there is no file {path}")


async def _with_values(
    terminal: Terminal, opened: App, taken: AsyncIterator[FileTaken], profile: str
) -> AsyncIterator[FileTaken]:
    """Each file, and then the values of its rejected rows."""
    from notifier import app

    async for file in taken:
        yield file
        if file.held or not file.rejections:
            continue
        if written := await app.write_rejected_values(opened, file.path, profile=profile, sha256=file.sha256):
            terminal.note(f"  WARNING: {written} holds personal data in clear: for your eyes alone, never by mail.")
            terminal.note(
                "  Remove it when it has served: until then `status` names it. It also goes with the import (--undo)."
            )


async def _report(terminal: Terminal, taken: AsyncIterator[FileTaken], *, persons: bool) -> int:
    every: list[FileTaken] = []
    async for file in taken:
        every.append(file)
        for line in file_lines(file, persons=persons):
            terminal.note(line)
    body: dict[str, object] = {
        "rows": sum(file.rows for file in every),
        "records": sum(file.records for file in every),
        "rejections": sum(file.rejections for file in every),
    }
    if persons:
        body["persons_new"] = sum(file.persons_new for file in every)
        body["persons_known"] = sum(file.persons_known for file in every)
    body["files"] = [
        {
            "sha256": file.sha256,
            "already_imported": file.already,
            "rows": file.rows,
            "records": file.records,
            "rejections": file.rejections,
            **({"member": file.member} if file.member else {}),
            **_correction(file),
            **_verdicts(file),
        }
        for file in every
        if not file.held
    ]
    held = [file.held for file in every if file.held]
    body["held"] = [each.as_json() for each in held]
    unread = [(file.path, each) for file in every for each in file.unread]
    body["not_read"] = [
        {"archive": str(path), "file": each.ordinal, "size_bytes": each.size_bytes, "what": each.what}
        for path, each in unread
    ]
    rejected = sum(file.rejections for file in every if not file.already)
    came = [file for file in every if not file.already and not file.held]
    lines = []
    if came:
        rows, records = sum(file.rows for file in came), sum(file.records for file in came)
        lines = [f"{rows} rows = {records} records + {rejected} rejected."]
    elif any(file.already and not file.correction for file in every):
        lines = ["Imported already: nothing was changed."]
    if persons and came:
        lines.append(f"{body['persons_new']} new persons, {body['persons_known']} known before.")
    trailers = sum(file.verdicts.trailers for file in came if file.verdicts)
    if rejected:
        nobody = f" ({trailers} of them lines of totals or of the end, which are nobody's)" if trailers else ""
        lines.append(
            f"{rejected} rejected{nobody}: read {terminal.folder / 'rejections'}; "
            "`notifier intake rejections` says what is open."
        )
    if held:
        lines.append(
            f"{len(held)} held: nobody in {'them' if len(held) > 1 else 'it'} is informed until that is settled."
        )
    if unread:
        many = f"{len(unread)} files in archives were" if len(unread) > 1 else "1 file in an archive was"
        lines.append(f"{many} not read (above: which, and why).")
    alarms = sum(len(file.verdicts.alarms) for file in came if file.verdicts)
    if alarms:
        lines.append(f"{alarms} {'alarm' if alarms == 1 else 'alarms'}: read above what is to be asked for or changed.")
    lines.append(_next(held))
    terminal.result(body, *lines)
    return LEFT if rejected > trailers or held or alarms else 0


def _next(held: Sequence[HeldFile]) -> str:
    from notifier.intake.holds import SENDERS

    if any(each.reason == SENDERS for each in held):
        return "Next: `notifier senders list`, and whose each name is with `notifier senders add-name`."
    if held:
        return "Next: read the list of rejections, then one of the three above."
    return "Next: take in the other files, then `notifier plan`."


def file_lines(file: FileTaken, *, persons: bool) -> Iterator[str]:
    """What became of a file, for a terminal."""
    called = f"{file.path} ({file.member})" if file.member else str(file.path)
    yield from (f"{file.path}: {each.told()}" for each in file.unread)
    if file.held:
        yield from held_lines(file.held, called)
    elif file.already and not file.correction:
        yield f"{called}: already imported ({file.sha256[:12]}), nothing was changed"
        if file.other_day is not None:
            day = file.other_day or "no day"
            yield f"  its day stays {day}; to give another: `notifier intake --undo {file.sha256[:12]}`, then again"
        return
    else:
        found = f", {file.persons_new} new persons, {file.persons_known} known" if persons else ""
        yield f"{called}: {file.rows} rows = {file.records} records + {file.rejections} rejected{found}"
        yield from (f"  {line}" for line in _verdict_lines(file))
    if file.ended:
        yield f"  {file.ended} members are missing from it: past members from now on"
    yield from _correction_lines(file)
    if file.replaced:
        yield "  takes the place of the earlier reading of the same file, which is withdrawn"
    if file.rejections_file:
        yield f"  rejected rows: {file.rejections_file}"


def _correction_lines(file: FileTaken) -> Iterator[str]:
    """What became of the persons of an earlier file whose place this one took, and of those it brings back."""
    if made := file.correction:
        yield (
            f"  takes the place of the earlier file: {made.kept} of its persons stay, {made.vanished} vanished and are "
            "excluded (operator withdrew)"
        )
        if made.withdrawn:
            yield f"  {made.withdrawn} approved notifications were withdrawn before anybody began them"
    if file.reinstated:
        yield f"  {file.reinstated} persons whom a corrected file had left out are reinstated"


def _correction(file: FileTaken) -> dict[str, object]:
    """The same for `--json`."""
    told: dict[str, object] = {"ended": file.ended} if file.ended else {}
    if made := file.correction:
        told["correction"] = {"kept": made.kept, "vanished": made.vanished, "withdrawn": made.withdrawn}
    return told | ({"reinstated": file.reinstated} if file.reinstated else {})


def _verdict_lines(file: FileTaken) -> Iterator[str]:
    """How a file was read, and what became of its rows, for a terminal."""
    if file.recorded:
        # A workbook has no encoding: all that is recorded of its reading stands in brackets.
        yield file.recorded[1:-1] if file.recorded.startswith("(") else f"read as {file.recorded}"
    if file.verdicts:
        yield from file.verdicts.lines()
        yield from (f"ALARM: {file.path.name} {alarm}" for alarm in file.verdicts.told())


def _verdicts(file: FileTaken) -> dict[str, object]:
    """``verdicts`` (rows by verdict), ``codes`` (rows by code under it) and ``alarms`` of a file."""
    if not file.verdicts:
        return {}
    told = file.verdicts.as_json()
    return {"codes": told.pop("codes"), "verdicts": told, "alarms": sorted(file.verdicts.alarms)}


def held_lines(held: HeldFile, what: str) -> Iterator[str]:
    """A held file for a terminal: why, the first names, and what to do."""
    from notifier.intake.holds import SENDERS, shown_name

    yield f"{what}: held: {held.headline()}; nothing of it was taken in ({held.sha256[:12]})"
    if held.reason == SENDERS:
        for name, rows in list(held.names.items())[:SHOWN_NAMES]:
            yield f"  {rows:>12,}  {shown_name(name)}"
        if len(held.names) > SHOWN_NAMES:
            yield f"  … {len(held.names) - SHOWN_NAMES:,} more: `notifier senders list`"
        yield "  `notifier senders add-name CODE NAME…` says whose a name is, and takes the file in once all are known"
        yield f"  (all of them to one sender: `notifier senders add-name CODE --held {held.sha256[:12]}`)"
    else:
        if held.why:
            yield f"  {held.why}"
        yield "  read the list of rejections: a wrong profile or shifted columns? Correct that and run it again;"
        yield "  if the file is as it is, run it again with --accept-rejections"
    yield f"  (not to be taken in at all: `notifier intake --undo {held.sha256[:12]}`)"


async def _undo(terminal: Terminal, sha256: str) -> int:
    from notifier import app

    async with app.open_campaign(terminal.folder, by=terminal.by, command="intake --undo") as opened:
        if await app.can_be_undone(opened, sha256):
            terminal.confirm(f"Withdraw the import {sha256[:12]} and every person known from it alone?")
        if held := await app.undo_hold(opened, sha256):
            terminal.result(
                {"sha256": held.sha256, "records": 0, "persons_removed": 0, "held": True},
                f"File {held.sha256[:12]} is held no more, and not taken in: nothing of it was stored.",
            )
            return 0
        undone = await app.undo_import(opened, sha256)
    terminal.result(
        {"sha256": undone.sha256, "records": undone.records, "persons_removed": undone.persons_removed},
        f"Import {undone.sha256[:12]} is withdrawn: {undone.records} records, {undone.persons_removed} persons gone.",
        "What was planned and not approved is gone with it. Next: `notifier plan` makes it anew.",
    )
    return 0


async def _forget(terminal: Terminal, sha256: str) -> int:
    from notifier import app

    async with app.open_campaign(terminal.folder, by=terminal.by, command="intake --forget") as opened:
        glance = await app.look_at_file(opened, sha256)
        if not glance.already:
            there = glance.extent
            terminal.confirm(
                f"Forget the file {glance.sha256[:12]} ({', '.join(glance.states)}; {glance.rows} rows): "
                f"{there.records} records, {there.persons} persons known from it alone, {there.contacts} contacts, "
                f"{there.rejections} rejections? This cannot be taken back, and what is planned and not approved goes "
                "with it."
            )
        forgotten, issued = await app.forget_file(opened, sha256)
    removed = forgotten.bodies[-1]["removed"] if not forgotten.already else {}
    body = {
        "sha256": forgotten.sha256,
        "already": forgotten.already,
        "removed": removed,
        "certificates": [str(path) for path in issued],
    }
    if forgotten.already:
        lines = [f"File {forgotten.sha256[:12]} is already forgotten: nothing was left to delete."]
    else:
        lines = [
            f"File {forgotten.sha256[:12]} is forgotten: {removed['records']} records, {removed['persons']} persons, "
            f"{removed['contacts']} contacts, {removed['rejections']} rejections gone, and the database written anew."
        ]
    lines += [f"Certificate: {path} (signed: .sig)" for path in issued]
    if issued:
        lines.append("Still to be destroyed by whoever holds them: the file itself, and backups of the database.")
    terminal.result(body, *lines)
    return 0


assert isinstance(intake, click.Group)
for each in rejection_commands.COMMANDS:
    intake.add_command(each)
COMMANDS = [intake, directory]
