"""`status`: where the campaign stands."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from notifier.cli.terminal import LEFT, Terminal, command
from notifier.errors import OperatorError
from notifier.model import Term


@command("status", short_help="the I1 equation, states, decisions")
@click.option("--list", "term", type=click.Choice([term.value for term in Term]), help="Who counts under this term.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where the list goes (CSV).")
@click.option("--recount", is_flag=True, help="Count rows again (this version always counts rows).")
def status(terminal: Terminal, term: str | None = None, out: Path | None = None, recount: bool = False) -> int:
    """Where the campaign stands: the equation of who is owed a notice and what became of each, counted from rows.

    Exit 1 while it does not balance.
    """
    from notifier import app

    if (term is None) != (out is None):
        raise OperatorError("a list takes both --list TERM and --out FILE")

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="status", writes=False) as opened:
            if term is not None and out is not None:
                listed = await app.write_listing(opened, Term(term), out)
                terminal.result({"term": term, "out": str(out), "listed": listed}, f"{listed} listed in {out}.")
                return 0
            standing = await app.standing(opened)
        terminal.result(standing.as_json(), *standing.lines())
        return 0 if standing.balances else LEFT

    return asyncio.run(work())


COMMANDS = [status]
