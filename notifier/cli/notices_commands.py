"""`notices`: which texts there are, for whom, and what goes with them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

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


@command("kit", short_help="website page, questions and answers, helpline scripts, notes")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The folder to write to.")
@click.option("--wave", default="initial", show_default=True)
def make_kit(terminal: Terminal, out: Path, wave: str) -> int:
    """Write what accompanies a wave's notices, each as .html and .md: the website page, questions and answers and
    helpline scripts by audience, a note to the professions, a note for the house.

    From the frozen texts and facts if a batch of the wave is approved, else from the current ones, and each file says
    so. With several senders, a folder for each.
    """
    from notifier import app

    async def work() -> int:
        async with app.open_campaign(terminal.folder, by=terminal.by, command="notices kit", writes=False) as opened:
            made = await app.write_kit(opened, out, wave=wave)
        batches = ", ".join(map(str, made.batches))
        terminal.result(
            {
                "out": str(out),
                "wave": wave,
                "version": made.version,
                "approved": made.approved,
                "batches": list(made.batches),
                "files": [str(path) for path in made.files],
            },
            *(str(path) for path in made.files),
            f"Version {made.version}, from the texts as approved (batch {batches})."
            if made.approved
            else f"Version {made.version}, from the current texts, which nobody has approved: not to be published yet.",
        )
        return 0

    return asyncio.run(work())


for _command in (list_matrix, make_kit):
    notices.add_command(_command)

COMMANDS = [notices]
