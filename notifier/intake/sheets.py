"""Workbooks: the one sheet with the profile's headings, as frames of strings.

Values only: no formula, macro or link of a workbook is ever followed; of a formula the value that was stored with it is
read. Hidden rows, columns and sheets are data: they are read like the others, and counted. What the reader does not
tell stands in the sheet's own XML (``marks``): numbers of more than 15 digits, of which a spreadsheet has lost the
rest (they are shown with an exponent, so that the rules of each role refuse them), cells with an error or a formula
that was never computed, cells that are merged into another, zeros that only a number format shows.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO

import fastexcel
import polars as pl

from notifier.errors import ExportError
from notifier.intake import marks
from notifier.intake.archives import CHUNK_BYTES, RATIO, SPARED_BYTES, listed
from notifier.intake.columns import SEARCHED, UNNAMED, Layout, find_in_rows
from notifier.intake.dates import of_1904
from notifier.intake.marks import WORKBOOK, Marks, column, texts
from notifier.intake.profiles import Profile

XLSX_BYTES = 4 << 30  # unpacked; a full sheet of 1,048,576 rows has less than 2 GB
SHEET_ROWS = 20_000  # in a batch
_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml")
_HIDDEN = re.compile(rb"<row\b[^>]*\bhidden=[\"'](?:1|true)[\"']")
_1904 = re.compile(rb"<(?:\w+:)?workbookPr\b[^>]*\bdate1904=[\"'](?:1|true)[\"']")
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, KeyError)
CELLS = 150_000_000  # of a sheet from its first cell to its last: the reader keeps room for each
_ROW = re.compile(rb'<row r="([0-9]+)"')
_FAR = re.compile(rb'<c r="([A-Z]{2,})[0-9]')


def survey(file: BinaryIO, name: str) -> str:
    """Look at a workbook as the archive that it is. What is to be recorded of it, or "". Raises ExportError."""
    members = listed(file, name)
    if WORKBOOK not in {member.filename for member in members}:
        raise ExportError(f"{name} holds an archive inside the archive: unpack it once")
    content, packed = (sum(member.file_size for member in members), sum(member.compress_size for member in members))
    if content > XLSX_BYTES:
        raise ExportError(f"{name} unpacks to more than {XLSX_BYTES >> 30} GB: that is no worksheet")
    if content > SPARED_BYTES and content > RATIO * packed:
        raise ExportError(f"{name} unpacks to more than {RATIO} times its size: that is no workbook but a trap")
    try:
        with zipfile.ZipFile(file) as archive:
            hidden = sum(_hidden_rows(archive, member, name) for member in members if _SHEET.fullmatch(member.filename))
            dates = "dates from 1904" if _counts_from_1904(archive) else ""
    except _DAMAGE as error:
        raise ExportError(f"{name} is a workbook that cannot be read: save it again as .xlsx") from error
    rows = f"{hidden} hidden {'row was' if hidden == 1 else 'rows were'} read like the others" if hidden else ""
    return "; ".join(filter(None, (rows, dates)))


def _hidden_rows(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> int:
    """How many rows of a sheet are hidden. Raises ExportError for one that is far wider or longer than it is full."""
    hidden, last, width = 0, 1, 26
    for text in texts(archive, member):
        if b"hidden=" in text:
            hidden += len(_HIDDEN.findall(text))
        last = max(last, max(map(int, _ROW.findall(text)), default=0))
        width = max(width, max(map(column, set(_FAR.findall(text))), default=0) + 1)
        if last * width > CELLS:
            raise ExportError(f"{name} has a sheet that reaches further than {CELLS:,} cells: that is no export")
    return hidden


def _counts_from_1904(archive: zipfile.ZipFile) -> bool:
    with archive.open(WORKBOOK) as workbook:
        return _1904.search(workbook.read(CHUNK_BYTES)) is not None


@dataclass(frozen=True)
class Part:
    """Some rows of a sheet: ``line`` (its row number) and one column of strings per role. ``noted``: codes by line."""

    frame: pl.DataFrame
    noted: Mapping[int, str]


def open_sheet(file: BinaryIO, name: str, profile: Profile) -> tuple[Layout, Iterator[Part]]:
    """The layout of the one sheet with the profile's headings, and its rows. Raises ExportError, the iterator too."""
    file.seek(0)
    misfits: list[ExportError] = []
    fits: list[tuple[str, Layout, pl.DataFrame]] = []
    try:
        workbook = fastexcel.read_excel(file.read())
        for sheet in workbook.sheet_names:
            cells = _load(workbook, sheet)
            try:
                layout = find_in_rows(cells.head(SEARCHED).iter_rows(), profile, name)
            except ExportError as error:
                if cells.width:
                    misfits.append(error)
            else:
                fits.append((sheet, layout, cells))
                if len(fits) > 1:
                    raise ExportError(f"{name} has more than one sheet with these headings; keep one sheet per file")
    except fastexcel.FastExcelError as error:
        raise _unreadable(name) from error
    if not fits:
        raise misfits[0] if misfits else ExportError(f"{name} is an empty workbook")
    sheet, layout, cells = fits.pop()
    try:
        with zipfile.ZipFile(file) as archive:
            from_1904, notes = _counts_from_1904(archive), [*marks.place(archive, sheet, len(workbook.sheet_names))]
            found = marks.read(archive, sheet)
    except _DAMAGE as error:
        raise _unreadable(name) from error
    _must_have_own_headings(found, layout, cells.width, name)
    if hidden := len(found.hidden_columns & set(range(len(layout.roles)))):
        notes.append(f"{hidden} hidden {'column was' if hidden == 1 else 'columns were'} read like the others")
    layout = replace(layout, notes="; ".join(notes))
    return layout, _parts(cells.slice(layout.lines), layout, found, from_1904=from_1904)


def _unreadable(name: str) -> ExportError:
    return ExportError(f"{name} is a workbook that cannot be read: save it again as .xlsx")


def _load(workbook: fastexcel.ExcelReader, sheet: str) -> pl.DataFrame:
    """Cells as text: whole numbers without ``.0``, dates as ``yyyy-mm-dd hh:mm:ss``, error cells empty."""
    loaded = workbook.load_sheet(sheet, header_row=None, skip_rows=0, dtypes="string")
    return loaded.to_polars().fill_null("")


def _must_have_own_headings(found: Marks, layout: Layout, width: int, name: str) -> None:
    """A heading that is merged over several columns names the first of them alone: what do the others hold?"""
    for first, top, last, bottom in found.merged:
        if top <= layout.lines <= bottom and first < min(last, width - 1, len(layout.headings)):
            raise ExportError(
                f"{name}: the heading {layout.headings[first]} is merged over {last - first + 1} columns: "
                "give each column a heading of its own"
            )


def _parts(cells: pl.DataFrame, layout: Layout, found: Marks, *, from_1904: bool) -> Iterator[Part]:
    names = [*layout.roles, *(f"{UNNAMED}{index}" for index in range(len(layout.roles), cells.width))]
    for index in range(cells.width, len(layout.roles)):
        cells = cells.with_columns(pl.lit("").alias(f"{UNNAMED}new{index}"))
    cells = cells.rename(dict(zip(cells.columns, names, strict=True)))
    cells, noted = found.applied(cells, layout.lines)
    first = layout.lines + 1
    cells = cells.with_columns(pl.int_range(first, first + cells.height, dtype=pl.Int64).alias("line"))
    filled = cells.select(pl.any_horizontal(pl.all().exclude("line") != "")).to_series()
    if not filled.all():
        cells = cells.filter(filled)  # a sheet may reach far below its data
    for start in range(0, cells.height, SHEET_ROWS):
        part = cells.slice(start, SHEET_ROWS)
        if from_1904 and "birth_date" in layout.roles:
            births = [of_1904(cell) for cell in part["birth_date"].to_list()]
            part = part.with_columns(pl.Series("birth_date", births, dtype=pl.String))
        told = {line: noted[line] for line in part["line"].to_list() if line in noted} if noted else {}
        yield Part(part, told)
