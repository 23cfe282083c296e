"""`doubt list`, `doubt resend`, `doubt accept`: what becomes of deliveries whose answer was lost (RFC 1047)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import click

from notifier.cli.terminal import LEFT, Line, Terminal, command, signed
from notifier.errors import OperatorError


@click.group("doubt", short_help="deliveries whose answer was lost: send again, or take as handed over")
def doubt() -> None:
    """Deliveries in doubt: the final dot may have gone out, and no answer was recorded (RFC 1047)."""


@command("list", short_help="what is in doubt, since when, and what becomes of it")
@click.option("--wave", help="Only this round.")
def list_doubts(terminal: Terminal, wave: str | None) -> int:
    """Case reference, delivery, wave, provider, since when, attempts, and whether it is held or sent again by itself.

    No personal data: `people find --reference REF` tells who it is. Exit 1 while one is held.
    """
    from notifier import app

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="doubt list", writes=False) as opened:
            found = await app.list_doubts(opened, wave)
        terminal.result(found.as_json(), *found.lines())
        return LEFT if found.held else 0

    return asyncio.run(work())


@command("resend", short_help="send once more, same Message-ID: a possible duplicate")
@click.argument("references", metavar="[REF]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that are in doubt.")
@click.option("--wave", help="With --all: only this round's.")
@click.option("--by", type=Line(), help="Who decides, for the journal (default: the system's user).")
def resend(terminal: Terminal, references: tuple[str, ...], every: bool, wave: str | None, by: str | None) -> int:
    """Have deliveries in doubt sent once more by the next `send`. REF: a case reference, or a delivery's 32 digits.

    The doubted attempt stays in doubt for ever, and the proof says "possible duplicate". If the answer is lost again,
    it is held. Whoever was taken out since is not written to (exit 1). Safe to run twice.
    """
    return _decide(signed(terminal, by), references, every, wave, reason=None)


@command("accept", short_help="take as handed over, by name and reason")
@click.argument("references", metavar="[REF]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that are in doubt.")
@click.option("--wave", help="With --all: only this round's.")
@click.option("--reason", type=Line(), required=True, help="Why, for the journal: name no person.")
@click.option("--by", type=Line(), help="Who decides, for the journal (default: the system's user).")
def accept(
    terminal: Terminal, references: tuple[str, ...], every: bool, wave: str | None, reason: str, by: str | None
) -> int:
    """Take deliveries in doubt as handed over, for example because the relay's own log shows them.

    They count as handed_over, and are observed from now on; the proof says "by decision of NAME, not by the relay".
    Nothing is sent. Safe to run twice. Names and addresses of those whom they tell are taken out of the reason, of 50
    with --all at most.
    """
    return _decide(signed(terminal, by), references, every, wave, reason=reason)


def _decide(
    terminal: Terminal, references: tuple[str, ...], every: bool, wave: str | None, *, reason: str | None
) -> int:
    from notifier import app
    from notifier.delivery.doubts import Which

    if wave is not None and not every:
        raise OperatorError("--wave goes with --all")
    which = Which(references, every, wave)
    verb = "resend" if reason is None else "accept"

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command=f"doubt {verb}") as opened:
            found = await app.look_at_doubts(opened, which, resend=reason is None)
            if found.deliveries:
                terminal.confirm(_question(len(found.deliveries), found.again, reason))
            shown = replace(which, among=frozenset(found.deliveries))
            if reason is None:
                done = await app.resend_doubts(opened, shown)
            else:
                done = await app.accept_doubts(opened, shown, reason)
        count = len(done.deliveries)
        what = "put back into the queue, to be sent once more" if reason is None else "taken as handed over"
        lines = [f"{count} {what}."]
        if done.already:
            lines.append(f"{done.already} are no longer in doubt: left as they are.")
        if done.excluded:
            lines.append(f"{done.excluded} left: somebody whom they inform was taken out since.")
        lines.append("Next: notifier send" if reason is None and count else "Next: notifier status")
        terminal.result(done.as_json(), *lines)
        return LEFT if done.excluded else 0

    return asyncio.run(work())


def _question(count: int, again: int, reason: str | None) -> str:
    if reason is not None:
        return f"Take {count} deliveries in doubt as handed over? Nobody is written to again."
    more = f"; {again} of them were in doubt more than once" if again else ""
    return f"Send {count} deliveries again that may have arrived already{more}?"


doubt.add_command(list_doubts)
doubt.add_command(resend)
doubt.add_command(accept)

COMMANDS = [doubt]
