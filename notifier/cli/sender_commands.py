"""`senders`: who writes, and the names under which exports write them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from notifier.cli.file_commands import file_lines, held_lines
from notifier.cli.terminal import LEFT, Terminal, command
from notifier.errors import OperatorError

if TYPE_CHECKING:
    from notifier.app import App, FileTaken, Freed
    from notifier.intake.holds import HeldFile


@click.group("senders", short_help="who writes, and how exports name them")
def senders() -> None:
    """Senders of campaign.toml: the names that exports give them, and the files held for names that nobody has."""


@command("list", short_help="senders, their names, and held names")
def list_senders(terminal: Terminal) -> int:
    """The senders, and the names that no sender has, with how many rows of which held file give them.

    Names from held files are shown at this terminal only; --json counts them. Exit 1 while a file is held for its
    names.
    """
    from notifier import app
    from notifier.intake.holds import SENDERS, shown_name

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="senders list", writes=False) as opened:
            every = opened.settings.senders
            held = [each for each in await app.held_files(opened) if each.reason == SENDERS]
        body: dict[str, Any] = {
            "senders": [{"code": each.code, "brand": each.brand, "names": list(each.names)} for each in every],
            "held": [each.as_json() for each in held],
        }
        lines = [f"{each.code}: {each.brand}; names: {', '.join(each.names)}" for each in every]
        for each in held:
            lines.append(f"held: {each.headline()} ({each.sha256[:12]}, profile {each.profile}, {each.name})")
            if not terminal.as_json:
                lines += [f"  {rows:>12,}  {shown_name(name)}" for name, rows in each.names.items()]
        if held:
            lines.append("Next: `notifier senders add-name CODE NAME…` for each sender.")
        terminal.result(body, *lines)
        return LEFT if held else 0

    return asyncio.run(work())


@command("add-name", short_help="say whose a name in an export is")
@click.argument("code")
@click.argument("names", metavar="NAME...", nargs=-1)
@click.option("--held", metavar="SHA", help="All unknown names of this held file.")
def add_name(terminal: Terminal, code: str, names: tuple[str, ...], held: str | None) -> int:
    """Add NAMEs to the sender CODE in campaign.toml (comments and layout stay), and take in the held files whose names
    are all known then. Names are compared without case, accents and punctuation; "-" stands for cells without a name.

    What was approved stays approved: names decide whose a row is when it comes in, and nothing later.
    """
    from notifier import app

    if bool(names) == bool(held):
        raise OperatorError("give the names to add, or a held file with --held SHA")

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="senders add-name") as opened:
            opened.settings.sender(code)
            chosen = await _of_held(terminal, opened, code, held) if held else names
            changed, said = await app.add_sender_names(opened, code, chosen)
            freed = [each async for each in app.free_held(changed)]
            left = await app.held_files(changed)
        for each in freed:
            for line in _freed_lines(each):
                terminal.note(line)
        taken = [each.taken for each in freed if each.taken and not each.taken.held]
        body = {
            "sender": code,
            "added": len(said.added),
            "already": len(said.already),
            "freed": [
                {
                    "sha256": each.sha256,
                    "already_imported": each.already,
                    "rows": each.rows,
                    "records": each.records,
                    "rejections": each.rejections,
                }
                for each in taken
            ],
            "to_take_in": [{"sha256": each.held.sha256, "command": each.command} for each in freed if each.problem],
            "held": [each.as_json() for each in left],
        }
        names_added = f"{len(said.added)} name{'' if len(said.added) == 1 else 's'} added"
        lines = [f"{code}: {names_added}, {len(said.already)} there already."]
        if taken:
            many = "1 held file" if len(taken) == 1 else f"{len(taken)} held files"
            lines.append(f"{many} taken in: {sum(each.rows for each in taken):,} rows.")
        lines += [f"Still held: {each.headline()} ({each.sha256[:12]})" for each in left]
        lines.append("Next: `notifier senders list`." if left else "Next: `notifier plan`.")
        terminal.result(body, *lines)
        return LEFT if left or any(_something_left(each) for each in taken) else 0

    return asyncio.run(work())


async def _of_held(terminal: Terminal, opened: App, code: str, sha256: str) -> tuple[str, ...]:
    """The names of a held file that nobody has, once somebody has read them."""
    from notifier import app
    from notifier.intake.holds import shown_name

    found: HeldFile = await app.held_file(opened, sha256)
    unknown = found.names
    for name, rows in unknown.items():
        terminal.note(f"  {rows:>12,}  {shown_name(name)}")
    if unknown:
        these = "Is this name" if len(unknown) == 1 else f"Are these {len(unknown)} names all"
        terminal.confirm(f"{these} the sender {code}'s?")
    return tuple(unknown)


def _something_left(taken: FileTaken) -> bool:
    """Rejected rows that are somebody's, or an alarm."""
    trailers, alarms = (taken.verdicts.trailers, taken.verdicts.alarms) if taken.verdicts else (0, {})
    return taken.rejections > trailers or bool(alarms)


def _freed_lines(freed: Freed) -> list[str]:
    what = freed.held.name or freed.held.sha256[:12]
    if freed.taken is None:
        return [f"{what}: {freed.problem}", f"  its names are known now; run: {freed.command}"]
    if freed.taken.held:
        return list(held_lines(freed.taken.held, what))
    return list(file_lines(freed.taken, persons=freed.held.kind == "export"))


senders.add_command(list_senders)
senders.add_command(add_name)

COMMANDS = [senders]
