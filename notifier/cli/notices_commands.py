"""`notices`: which texts there are, and for whom."""

from __future__ import annotations

import asyncio

import click

from notifier.cli.later_commands import later
from notifier.cli.matrix_table import matrix_body, matrix_lines
from notifier.cli.terminal import LEFT, Terminal, command

KINDS = ("initial", "supplement", "correction", "rectification", "follow-up", "precaution")


@click.group("notices", short_help="the texts: which one for whom")
def notices() -> None:
    """The texts of the notices: the matrix of audiences and data categories, and the kit beside them."""


@command("list", short_help="the matrix of texts, with counts and gaps")
@click.option("--kind", type=click.Choice(KINDS), default="initial", show_default=True, help="Of rounds of this kind.")
def list_matrix(terminal: Terminal, kind: str) -> int:
    """Every audience, form and data category: how many planned notifications have it, and which files tell it.

    A frame (base) and a paragraph serve each cell. A cell is divided where senders, incidents, professions or languages
    get other files. "(own)" marks a text that lies in the campaign's folder in place of the one that ships. Somebody
    with three categories counts in three cells. Works before anything is planned.

    Exit 1 when a cell with notifications has a GAP: these persons cannot be told yet.
    """
    from notifier import app
    from notifier.model import WaveKind

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="notices list", writes=False) as opened:
            matrix = await app.list_notices(opened, WaveKind(kind))
        terminal.result(matrix_body(matrix), *([] if terminal.as_json else matrix_lines(matrix)))
        return LEFT if matrix.blocking else 0

    return asyncio.run(work())


notices.add_command(list_matrix)
notices.add_command(later("kit", "the website's page, questions and answers, the hotline's script", group="notices"))
COMMANDS = [notices]
