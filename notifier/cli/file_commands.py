"""`intake`, `directory`: files in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from notifier.cli.terminal import LEFT, Terminal, command
from notifier.errors import OperatorError

if TYPE_CHECKING:
    from notifier.app import FileTaken

_FILES = click.argument("files", metavar="FILE...", nargs=-1, type=click.Path(path_type=Path))
_PROFILE = click.option("--profile", required=False, help="Which layout the file has (data/profiles/NAME.toml).")


@command("intake", short_help="operator exports become records and persons")
@_FILES
@_PROFILE
@click.option("--incident", help="Which incident the file belongs to, when the profile does not say.")
@click.option("--undo", metavar="SHA", help="Withdraw an import that has informed nobody yet.")
def intake(
    terminal: Terminal, files: tuple[Path, ...], profile: str | None, incident: str | None, undo: str | None
) -> int:
    """Take in operator exports: CSV or XLSX, also in .gz or .zip (told from the content; an encrypted ZIP's password
    from NOTIFIER_ARCHIVE_PASSWORD or asked).

    Rows that leave no identity at all are listed in DIR/rejections/, with line, column and code. The same bytes under
    the same profile are "already imported", and nothing changes.
    """
    from notifier import app

    if undo:
        if files or profile:
            raise OperatorError("--undo takes the file's SHA-256 alone")
        return asyncio.run(_undo(terminal, undo))
    _require(files, profile)

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="intake") as opened:
            return await _report(
                terminal, app.take_exports(opened, files, profile=profile or "", incident=incident), persons=True
            )

    return asyncio.run(work())


@command("directory", short_help="the sender's own members become contacts")
@_FILES
@_PROFILE
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="The day the directory describes (newest wins).")
def directory(terminal: Terminal, files: tuple[Path, ...], profile: str | None, as_of: datetime | None) -> int:
    """Take in the mutuelle's directory: members current and past, with their contact details."""
    from notifier import app

    _require(files, profile)

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="directory") as opened:
            day = as_of.date() if as_of else None
            return await _report(
                terminal, app.take_directories(opened, files, profile=profile or "", as_of=day), persons=False
            )

    return asyncio.run(work())


def _require(files: tuple[Path, ...], profile: str | None) -> None:
    if not files:
        raise OperatorError("name at least one file")
    if not profile:
        raise OperatorError("say which layout the file has: --profile NAME")
    for path in files:
        if not path.is_file():
            raise OperatorError(f"{path} is not a regular file" if path.exists() else f"there is no file {path}")


async def _report(terminal: Terminal, taken: AsyncIterator[FileTaken], *, persons: bool) -> int:
    every: list[FileTaken] = []
    async for file in taken:
        every.append(file)
        if file.already:
            terminal.note(f"{file.path}: already imported ({file.sha256[:12]}), nothing was changed")
            continue
        found = f", {file.persons_new} new persons, {file.persons_known} known" if persons else ""
        terminal.note(f"{file.path}: {file.rows} rows = {file.records} records + {file.rejections} rejected{found}")
        if file.rejections_file:
            terminal.note(f"  rejected rows: {file.rejections_file}")
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
        }
        for file in every
    ]
    rejected = sum(file.rejections for file in every if not file.already)
    if every and all(file.already for file in every):
        lines = ["Imported already: nothing was changed."]
    else:
        lines = [f"{body['rows']} rows = {body['records']} records + {body['rejections']} rejected."]
    if persons and not all(file.already for file in every):
        lines.append(f"{body['persons_new']} new persons, {body['persons_known']} known before.")
    if rejected:
        lines.append(f"{rejected} rejections are open: read {terminal.folder / 'rejections'}.")
    lines.append("Next: take in the other files, then `notifier plan`.")
    terminal.result(body, *lines)
    return LEFT if rejected else 0


async def _undo(terminal: Terminal, sha256: str) -> int:
    from notifier import app

    async with app.open_campaign(terminal.folder, by=terminal.by, command="intake --undo") as opened:
        terminal.confirm(f"Withdraw the import {sha256[:12]} and every person known from it alone?")
        undone = await app.undo_import(opened, sha256)
    terminal.result(
        {"sha256": undone.sha256, "records": undone.records, "persons_removed": undone.persons_removed},
        f"Import {undone.sha256[:12]} is withdrawn: {undone.records} records, {undone.persons_removed} persons gone.",
        "What was planned and not approved is gone with it. Next: `notifier plan` makes it anew.",
    )
    return 0


COMMANDS = [intake, directory]
