"""`status`: where the campaign stands."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from notifier.cli.terminal import LEFT, Terminal, command
from notifier.errors import OperatorError
from notifier.model import Term

if TYPE_CHECKING:
    from notifier.app import App


@command("status", short_help="the I1 equation, states, decisions")
@click.option("--list", "term", type=click.Choice([term.value for term in Term]), help="Who counts under this term.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where the list goes (CSV).")
@click.option(
    "--by",
    type=click.Choice(["file", "incident", "sender", "audience", "wave"]),
    help="The equation by group: everybody stands in exactly one.",
)
@click.option("--bridge", is_flag=True, help="From rows to persons: what each row came to.")
@click.option("--other-side", is_flag=True, help="Members of the directory who are in no export, counted.")
@click.option("--recount", is_flag=True, help="Count rows (it always does: there are no counters that could be wrong).")
@click.option(
    "--watch",
    "watch_seconds",
    type=click.FloatRange(min=0.2),
    is_flag=False,
    flag_value=5.0,
    metavar="[SECONDS]",
    help="Again and again (every 5 seconds) until Ctrl-C, beside a running `send`.",
)
def status(
    terminal: Terminal,
    term: str | None = None,
    out: Path | None = None,
    by: str | None = None,
    bridge: bool = False,
    other_side: bool = False,
    recount: bool = False,
    watch_seconds: float | None = None,
) -> int:
    """Where the campaign stands: the equation of who is owed a notice and what became of each, counted from rows; what
    waits and why, and when all of it will have gone out (docs/pace.md).

    Exit 1 while it does not balance. With --watch: exit 0 when Ctrl-C ends it; with --json too, an object a line.
    """
    from notifier import app

    if watch_seconds is not None:
        if term or out or by or bridge or other_side:
            raise OperatorError("--watch goes with --json alone")
        from notifier.cli.watching import watch_standing

        return watch_standing(terminal, watch_seconds)
    if (term is None) != (out is None):
        raise OperatorError("a list takes both --list TERM and --out FILE")

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="status", writes=False) as opened:
            if term is not None and out is not None:
                listed = await app.write_listing(opened, Term(term), out)
                terminal.result({"term": term, "out": str(out), "listed": listed}, f"{listed} listed in {out}.")
                return 0
            if by or bridge or other_side:
                return await _covered(terminal, opened, by, bridge=bridge, other_side=other_side)
            standing = await app.standing(opened)
        terminal.result(standing.as_json(), *standing.lines())
        return 0 if standing.balances else LEFT

    return asyncio.run(work())


async def _covered(terminal: Terminal, opened: App, by: str | None, *, bridge: bool, other_side: bool) -> int:
    """The account by group, the bridge, the other side: those that were asked for, together."""
    from notifier import app, coverage

    body: dict[str, Any] = {}
    lines: list[str] = []
    holds = True
    if by:
        table = await app.coverage_by(opened, by)
        body |= table.as_json()
        lines += table.lines()
        holds = table.balances
    if bridge:
        made = await app.count_bridge(opened)
        body["bridge"] = coverage.bridge_json(made)
        lines += coverage.bridge_lines(made)
        holds = holds and made.adds_up
    if other_side:
        found = await app.other_side(opened)
        body["other_side"] = coverage.other_side_json(found)
        lines += coverage.other_side_lines(found)
    terminal.result(body, *lines)
    return 0 if holds else LEFT


COMMANDS = [status]
