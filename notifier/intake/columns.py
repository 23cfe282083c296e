"""Which column means what: finding the line of headings, and the separator with it. Pure but for the profile.

An unknown heading is an error, never a guess: a column that we do not understand may be the one that matters. The
error names what is missing, what is unknown, and the columns found; a line that looks like somebody's data is not
quoted (I8).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from notifier.errors import ExportError
from notifier.intake.headings import normal_heading
from notifier.intake.profiles import Profile, every

SEPARATORS = ";,\t|"
SEARCHED = 30  # lines: titles and blank lines may stand above the headings
UNNAMED = "_unnamed_"
_DATA = re.compile(r"[0-9]{4}|@")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")


class HeadingsError(ExportError):
    """The line of headings is another layout's. ``headings``: what it says."""

    def __init__(self, message: str, headings: Sequence[str]) -> None:
        super().__init__(message)
        self.headings = headings


@contextmanager
def suggesting(folder: Path) -> Iterator[None]:
    """A HeadingsError from inside is told with the profiles of ``folder`` that do fit: which file is which is quickly
    mistaken, and nothing is read on a guess."""
    try:
        yield
    except HeadingsError as error:
        fits = [name for name, profile in every(folder) if place(error.headings, profile)]
        if not fits:
            raise
        kinds = dict(every(folder))
        told = " or ".join(
            f"{name} (for `notifier {'intake' if kinds[name].kind == 'export' else 'directory'}`)" for name in fits
        )
        raise HeadingsError(f"{error}; these are the headings of the profile {told}", error.headings) from error


@dataclass(frozen=True, slots=True)
class Layout:
    """``roles``: one per column, in order; a column without heading is ``_unnamed_N`` and must be empty.
    ``headings``: as the file writes them. ``lines``: physical lines (CSV) or rows (XLSX) up to and with the headings;
    ``characters``: their length (CSV). ``separator``: "" for XLSX. ``notes``: what else is to be recorded (XLSX)."""

    roles: tuple[str, ...]
    headings: tuple[str, ...]
    lines: int
    characters: int = 0
    separator: str = ""
    notes: str = ""

    def heading(self, role: str) -> str:
        """How the file calls the column of ``role``; "" when it has none."""
        return self.headings[self.roles.index(role)] if role in self.roles else ""


def place(cells: Sequence[str], profile: Profile) -> tuple[str, ...] | None:
    """The role of each column if ``cells`` is this profile's line of headings, else None."""
    roles: list[str] = []
    for index, cell in enumerate(cells):
        heading = normal_heading(cell)
        roles.append(profile.by_heading.get(heading, "") if heading else f"{UNNAMED}{index}")
    if not all(roles) or len(set(roles)) < len(roles) or not set(profile.columns) <= set(roles):
        return None
    return tuple(roles)


def find_in_text(text: str, profile: Profile, name: str) -> Layout:
    """The layout of a CSV file, from its first lines. Raises ExportError."""
    candidates: list[list[str]] = []
    for separator in SEPARATORS:
        for cells, lines, characters in _records(text, separator):
            if roles := place(cells, profile):
                return Layout(roles, tuple(cells), lines, characters, separator)
            candidates.append(cells)
    raise _misfit(candidates, profile, name)


def find_in_rows(rows: Iterable[Sequence[str]], profile: Profile, name: str) -> Layout:
    """The layout of a worksheet, from its first rows. Raises ExportError."""
    candidates: list[list[str]] = []
    for number, row in enumerate(rows, start=1):
        cells = list(row)
        while cells and not cells[-1]:
            cells.pop()
        if roles := place(cells, profile):
            return Layout(roles, tuple(cells), number)
        candidates.append(cells)
    raise _misfit(candidates, profile, name)


def _records(text: str, separator: str) -> Iterator[tuple[list[str], int, int]]:
    """The first records of ``text``, each with the lines and characters read up to its end."""
    lines = characters = 0

    def counted() -> Iterator[str]:
        nonlocal lines, characters
        for found in _LINE.finditer(text):
            if found[0]:
                lines += 1
                characters += len(found[0])
                yield found[0]

    reader = csv.reader(counted(), delimiter=separator)
    try:
        for cells in reader:
            yield cells, lines, characters
            if lines >= SEARCHED:
                return
    except csv.Error:
        return


def _misfit(candidates: Iterable[list[str]], profile: Profile, name: str) -> ExportError:
    """Why no line is the profile's line of headings, told of the line that comes nearest."""

    def known(cells: list[str]) -> int:
        return len({profile.by_heading[key] for cell in cells if (key := normal_heading(cell)) in profile.by_heading})

    wanted = ", ".join(headings[0] for headings in profile.columns.values())
    filled = [cells for cells in candidates if any(cell.strip() for cell in cells)]
    best = max(filled, key=lambda cells: (known(cells), len(cells)), default=[])
    if not best:
        return ExportError(f"{name}: there is no line of headings; the profile wants the columns {wanted}")
    if not known(best) and any(_DATA.search(cell) for cell in best):
        return ExportError(
            f"{name}: no line of headings was found (the first lines look like data and are not shown); "
            f"the profile wants the columns {wanted}"
        )
    keys = [normal_heading(cell) for cell in best]
    roles = [profile.by_heading.get(key, "") for key in keys]
    missing = [headings[0] for role, headings in profile.columns.items() if role not in roles]
    unknown = [cell for cell, key, role in zip(best, keys, roles, strict=True) if key and not role]
    doubled = sorted({cell for cell, role in zip(best, roles, strict=True) if role and roles.count(role) > 1})
    faults = [
        f"{what} {_listed(columns)}"
        for what, columns in (("missing column", missing), ("unknown column", unknown), ("column given twice", doubled))
        if columns
    ]
    message = f"{name}: {'; '.join(faults) or 'the headings do not fit'} (columns found: {_listed(best)})"
    return HeadingsError(message, best)


def _listed(cells: Sequence[str], most: int = 40) -> str:
    shown = ", ".join(" ".join(cell.split())[:40] or "(blank)" for cell in cells[:most])
    return shown + (", …" if len(cells) > most else "")
