"""`db`: copies of the database, made while it is used, and put back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from notifier.cli.later_commands import later
from notifier.cli.terminal import LEFT, Terminal, command
from notifier.model import utc_text

if TYPE_CHECKING:
    from notifier.app import Found, Placed


@click.group("db", short_help="back the database up, and restore it")
def db() -> None:
    """The campaign's database: a copy that is right while a command runs, and one put in its place."""


@command("backup", short_help="copy the database, also while a command runs")
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The copy; never an existing file."
)
def backup(terminal: Terminal, out: Path) -> int:
    """Copy the database as it stands at this instant, also beside a running `send`, which does not wait for it.

    The copy is durable, found intact, and readable by its owner alone; it appears whole or not at all. Nothing is
    written into the database, nor into the journal. The key is not in the copy, and its head must not be
    (docs/backups.md).
    """
    from notifier import app

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="db backup", writes=False) as opened:
            made = await app.back_up(opened, out)
        copy = made.copy
        terminal.result(
            {"out": str(out), "size_bytes": copy.size_bytes, "sha256": copy.sha256, "entries": made.entries},
            f"{out}: {copy.size_bytes / 1e6:.1f} MB, {made.entries} entries of the journal, intact.",
            f"SHA-256 {copy.sha256}",
            "The key is not in it; templates, data and logs/mail.log lie in the folder (docs/backups.md).",
        )
        return 0

    return asyncio.run(work())


@command("restore", short_help="put a copy in the place of the database")
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
def restore(terminal: Terminal, file: Path) -> int:
    """Put a copy of FILE in the place of the campaign's database; what was there is moved aside, not deleted.

    FILE has to be a whole database of this campaign (each page and index is looked at), and no command may have the
    present one open. Both are left as they are if anything is wrong. Run it again after it was killed.

    Exit 1 when `notifier recover` comes next: what waits in the copy may have gone out since it was made.
    """
    from notifier import app

    def may(found: Found, database: Path) -> None:
        for line in _what_it_is(found):
            terminal.note(line)
        terminal.confirm(f"Put {file} in the place of {database}, and move aside what is there?")

    placed = asyncio.run(app.restore(terminal.folder, file, by=terminal.by, may=may))
    found = placed.found
    done = (
        [f"{file} is in place already: nothing was moved."]
        if placed.already
        else [f"{file} is in place.", *(f"moved aside: {path}" for path in placed.moved)]
    )
    terminal.result(
        {
            "restored": not placed.already,
            "moved": [str(path) for path in placed.moved],
            "until": utc_text(found.until) if found.until else None,
            "behind": None if found.seen is None or found.seen.known is None else bool(found.seen.behind),
            "missing": placed.missing,
            "next": "status" if placed.is_last else "recover",
        },
        *done,
        *_what_comes_next(placed),
    )
    return 0 if placed.is_last else LEFT


def _what_it_is(found: Found) -> list[str]:
    until = f"Its last entry is of {utc_text(found.until)}." if found.until else "It holds no entry."
    if found.seen is None:
        return [until, f"What is missing in it cannot be told: {found.unreadable}."]
    if found.seen.known is None:
        return [until, "No head lies beside the key: what is missing in it cannot be told."]
    if found.seen.behind:
        return [until, f"Missing in it: {found.seen.behind}."]
    return [until, "Its head knows of nothing that is missing in it."]


def _what_comes_next(placed: Placed) -> list[str]:
    if placed.is_last:
        return [
            "Its head knows of nothing that came later, nor does what was there. (A head that was restored as well "
            "knows nothing: then `notifier recover --restored`.)",
            "Next: `notifier status`.",
        ]
    seen = placed.found.seen
    why = (
        "What waits in it may have gone out since: `notifier recover` holds all of that, so that nobody is told twice "
        "by accident."
    )
    unknown = "Not in it, and known to no command: what was imported, decided and approved since."
    with_log = "(with --mail-log logs/mail.log, if that file is whole)"
    if seen is not None and seen.behind:
        return [f"{why} Nothing is sent before.", unknown, f"Next: `notifier recover --by NAME` {with_log}."]
    if seen is None or seen.known is None:
        return [
            f"{why} Nothing else stops `send`: run it first.",
            unknown,
            f"Next: `notifier recover --by NAME` {with_log}.",
        ]
    came = (
        f"What was there has {placed.missing} entries more"
        if placed.missing
        else "What was there cannot be read, and the head is a second behind while `send` runs"
    )
    return [
        f"{came}. {why} Nothing else stops `send`: run it first, unless nothing ran after {_until(placed)}.",
        unknown,
        f"Next: `notifier recover --restored --by NAME` {with_log}.",
    ]


def _until(placed: Placed) -> str:
    return utc_text(placed.found.until) if placed.found.until else "it was made"


for _command in (
    backup,
    restore,
    later("upgrade", "a newer schema", group="db"),
    later("check", "its tables", group="db"),
):
    db.add_command(_command)

COMMANDS = [db]
