"""`requeue`: undo a wrong classification, or send what could not be made before."""

from __future__ import annotations

import asyncio

import click

from notifier.cli.terminal import LEFT, Line, Terminal, command, signed


@command("requeue", short_help="take back into the queue what failed by mistake")
@click.option(
    "--state",
    type=click.Choice(["refused", "expired", "unmade"]),
    required=True,
    help="Refused, given up after days, or set aside because no message could be made.",
)
@click.option("--code", default="", help="Of the last attempt: 550, 5.7.1, or the word of an unmade message.")
@click.option("--since", default="", metavar="T", help="Failed then or later: 2024-02-09, or 2024-02-09T18:30.")
@click.option("--provider", help="Only this provider's.")
@click.option("--wave", help="Only this round's.")
@click.option("--dry-run", is_flag=True, help="Only show: nothing is written.")
@click.option("--by", type=Line(), help="Who decides, for the journal (default: the system's user).")
def requeue(
    terminal: Terminal,
    state: str,
    code: str,
    since: str,
    provider: str | None,
    wave: str | None,
    dry_run: bool,
    by: str | None,
) -> int:
    """Put deliveries back into the queue that failed by mistake. Of refused ones, --code and --since say which.

    Only where nobody was told since: a letter not printed yet and an e-mail to the second address that has not gone out
    are withdrawn for it. What was printed, posted or accepted meanwhile, or concerns somebody who was taken out, is
    left and counted (exit 1). It shows the number and asks. Safe to run twice.
    """
    from notifier import app

    terminal = signed(terminal, by)

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="requeue", writes=not dry_run) as opened:
            fault = await app.name_fault(opened, state, code, since, provider=provider, wave=wave)
            found = await app.look_at_requeue(opened, fault)
            done = found
            if not dry_run and found.deliveries:
                for line in found.lines():
                    terminal.note(line)
                terminal.confirm(f"Put {found.deliveries} {state} deliveries back into the queue?")
                done = await app.put_back(opened, fault)
        would = "would go" if dry_run else "went"
        first = f"{done.deliveries} {state} deliveries {would} back into the queue."
        last = (
            "Nothing was written (--dry-run)."
            if dry_run
            else f"Next: notifier {'send' if done.deliveries else 'status'}"
        )
        if not done.deliveries and not done.left:
            last = f"None failed so: logs/mail.log has the state, the code and the time of each. {last}"
        terminal.result({**done.as_json(), "dry_run": dry_run}, first, *done.lines(), last)
        return LEFT if done.left.total() else 0

    return asyncio.run(work())


COMMANDS = [requeue]
