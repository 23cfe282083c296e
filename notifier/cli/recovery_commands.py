"""`recover`: after the database was restored."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from notifier.cli.terminal import LEFT, Line, Terminal, command
from notifier.model import utc_text

if TYPE_CHECKING:
    from notifier.app import App, Restored


@command("recover", short_help="go on after the database was restored from a backup")
@click.option("--by", "named", type=Line(), help="Who answers for it, for the journal (as before the command).")
@click.option("--restored", is_flag=True, help="It was restored, though its head came back with it, or is lost.")
@click.option(
    "--mail-log",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A logs/mail.log that outlived the database: what it lists as accepted is taken as accepted.",
)
def recover(terminal: Terminal, named: str | None, restored: bool, mail_log: Path | None) -> int:
    """Hold what may have gone out since the backup was made, and say so in the journal.

    Everything that waits in the restored database goes in doubt and is held: `notifier doubt list | resend | accept`
    decides on it, by name. The entries that are lost are counted, and every proof says so from then on. Without this
    nothing is sent, approved or changed in a database that is behind its head (docs/backups.md). A mail log that is
    found later: the same again, with --mail-log.

    Exit 1 when something is held or the campaign is paused by it.
    """
    from notifier import app

    by = named or terminal.by

    async def work() -> int:
        async with app.open_unguarded(terminal.folder, by=by) as opened:
            found = await app.look_at_restored(opened)
            if not found.seen.behind and found.seen.known is not None and not restored:
                if mail_log and found.was_recovered:
                    return await _believe(terminal, opened, mail_log)
                terminal.result(
                    {"recovered": False, "held": 0, "lost": 0},
                    "This database is the last one its head knows of: nothing is to be recovered.",
                    "Was the whole folder restored, head and all: `notifier recover --restored`.",
                )
                return 0
            for line in _findings(found):
                terminal.note(line)
            terminal.confirm(f"Hold {found.waiting} deliveries and go on from this database, as {by}?")
            done = await app.recover(opened, found, mail_log)
        held = done.held
        paused = found.approvals_lost != 0
        terminal.result(
            {
                "recovered": True,
                "held": held,
                "accepted": done.accepted,
                "lost": found.lost,
                "approvals_lost": found.approvals_lost,
                "attempts_lost": found.attempts_lost,
                "until": utc_text(found.until) if found.until else None,
                "paused": paused,
            },
            *([f"{done.accepted} deliveries were accepted, as the mail log says."] if mail_log else []),
            f"{held} deliveries are in doubt and held. The journal says that this campaign was restored.",
            *(["PAUSED: approvals may be lost (`notifier status` says why)."] if paused else []),
            "Do again what was decided since the backup: imports, exclusions, reviews, approvals.",
            "Next: `notifier doubt list`." if held else "Next: `notifier status`.",
        )
        return LEFT if held or paused else 0

    return asyncio.run(work())


async def _believe(terminal: Terminal, opened: App, mail_log: Path) -> int:
    """A log that was found after the campaign was recovered."""
    from notifier import app

    terminal.confirm(f"Take as accepted what {mail_log} lists so, of what is held in doubt, as {opened.by}?")
    done = await app.believe(opened, mail_log)
    terminal.result(
        {"recovered": False, "held": done.held, "accepted": done.accepted, "lost": 0},
        f"{done.accepted} deliveries were accepted, as the mail log says. {done.held} are in doubt and held.",
        "Next: `notifier doubt list`." if done.held else "Next: `notifier send`.",
    )
    return LEFT if done.held else 0


def _findings(found: Restored) -> list[str]:
    until = f"Its last entry is of {utc_text(found.until)}." if found.until else "It holds no entry."
    if found.lost is None:
        return [until, "No head says what came after: everything that waits is held."]
    return [
        f"{until} Missing: {found.seen.behind}.",
        f"At least {found.lost} entries are lost, with {found.attempts_lost} attempts to send that were recorded and "
        f"{found.approvals_lost} approvals.",
    ]


COMMANDS = [recover]
