"""The matrix of texts at a terminal, and as JSON."""

from __future__ import annotations

import io
import itertools
import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from notifier.notices.matrix import Cell, Matrix

OWN = "(own)"  # behind a text that the campaign's folder has taken over


def matrix_body(matrix: Matrix) -> dict[str, Any]:
    """The answer of `notices list --json`."""
    return {
        "kind": matrix.kind.value,
        "notifications": matrix.planned,
        "cells": [_cell(matrix, cell) for cell in matrix.cells],
        "own": sorted(matrix.own),
        "gaps": len(matrix.gaps),
        "blocking": len(matrix.blocking),
    }


def _cell(matrix: Matrix, cell: Cell) -> dict[str, Any]:
    def told(file: str) -> dict[str, Any] | None:
        return {"files": matrix.paths(cell, file), "own": matrix.is_own(cell, file)} if file else None

    return {
        "audience": cell.audience.value,
        "form": cell.form.value,
        "category": cell.category,
        "notifications": cell.notifications,
        "languages": list(cell.languages),
        "only": {trait: list(values) for trait, values in cell.only.items()},
        "base": told(cell.told.base),
        "paragraph": told(cell.told.paragraph),
        "gap": cell.told.gap,
    }


def matrix_lines(matrix: Matrix) -> list[str]:
    """A table for each audience and form, as wide as the terminal, and what to do next."""
    lines = [f"Texts for rounds of kind {matrix.kind.value}: {matrix.planned:,} notifications planned."]
    if "templates/catalogue.toml" in matrix.own:
        lines.append(f"The rules are the campaign's own: templates/catalogue.toml {OWN}.")
    for (audience, form), cells in itertools.groupby(matrix.cells, key=lambda cell: (cell.audience, cell.form)):
        lines += ["", *_table(matrix, f"{audience.value}, {form.value}", list(cells))]
    gaps, blocking = len(matrix.gaps), len(matrix.blocking)
    lines.append("")
    if blocking:
        lines.append(f"{blocking} GAPS have notifications: nobody in them can be told. Write the texts, then `check`.")
    if gaps - blocking:
        lines.append(f"{gaps - blocking} gaps concern nobody so far.")
    lines.append("Next: notifier check" if matrix.planned and not blocking else "Texts: templates/ in the folder.")
    return lines


def _table(matrix: Matrix, whom: str, cells: list[Cell]) -> list[str]:
    """One audience and form. What all of its cells share stands in the heading, so that a terminal is wide enough."""
    from rich.console import Console
    from rich.table import Table

    bases = {_named(matrix, cell, cell.told.base) for cell in cells} - {""}
    languages = {cell.languages for cell in cells}
    heading = [whom]
    if len(bases) == 1:
        heading.append(f"frame {next(iter(bases))}")
    if len(languages) == 1:
        heading.append(f"in {', '.join(next(iter(languages)))}")
    table = Table(box=None, show_header=True, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("  category", overflow="fold")
    table.add_column("notif.", justify="right", no_wrap=True)
    if len(bases) != 1:
        table.add_column("frame", overflow="fold")
    table.add_column("paragraph", overflow="fold")
    only = any(cell.only for cell in cells)
    if only:
        table.add_column("only for", overflow="fold")
    for cell in cells:
        row = [f"  {cell.category}", f"{cell.notifications:,}" if cell.notifications else "-"]
        if len(bases) != 1:
            row.append(_named(matrix, cell, cell.told.base))
        told = _named(matrix, cell, cell.told.paragraph)
        row.append(" ".join(filter(None, [told, f"GAP: {cell.told.gap}" if cell.told.gap else ""])))
        if only:
            row.append("; ".join(f"{trait} {', '.join(values)}" for trait, values in cell.only.items()))
        table.add_row(*row)
    written = io.StringIO()
    width = max(60, min(160, shutil.get_terminal_size().columns))
    Console(file=written, width=width, markup=False, highlight=False, emoji=False, color_system=None).print(table)
    return [" · ".join(heading), *(line.rstrip() for line in written.getvalue().splitlines())]


def _named(matrix: Matrix, cell: Cell, file: str) -> str:
    return f"{file} {OWN}" if matrix.is_own(cell, file) else file
