"""Workbooks: the one sheet with the profile's headings, as frames of strings.

Values only: no formula, macro or link of a workbook is ever followed. Hidden rows are data: they are read like the
others, and counted (the reader does not tell them: they are counted in the sheets' own XML). A sheet that ends on the
last row a spreadsheet can hold was cut there, and is refused. A number of more than 15 digits has lost the rest in a
spreadsheet cell: such cells are shown with an exponent, so that the rules of each role refuse them.
"""

from __future__ import annotations

import html
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import fastexcel
import polars as pl

from notifier.errors import ExportError
from notifier.intake.archives import CHUNK_BYTES, RATIO, SPARED_BYTES, listed
from notifier.intake.columns import SEARCHED, UNNAMED, Layout, find_in_rows
from notifier.intake.dates import of_1904
from notifier.intake.profiles import Profile

XLSX_BYTES = 4 << 30  # unpacked; a full sheet of 1,048,576 rows has less than 2 GB
SHEET_ROWS = 20_000  # in a batch
LAST_ROW = 1_048_576  # of any sheet
_WORKBOOK = "xl/workbook.xml"
_RELATIONS = "xl/_rels/workbook.xml.rels"
_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml")
_HIDDEN = re.compile(rb"<(?:\w+:)?row\b[^>]*\bhidden=[\"'](?:1|true)[\"']")
_1904 = re.compile(rb"<(?:\w+:)?workbookPr\b[^>]*\bdate1904=[\"'](?:1|true)[\"']")
_SHEET_TAG = re.compile(rb"<(?:\w+:)?sheet\b([^>]*)>")
_RELATION_TAG = re.compile(rb"<(?:\w+:)?Relationship\b([^>]*)>")
_ATTRIBUTE = re.compile(r"([\w:]+)=[\"']([^\"']*)[\"']")
# A cell that holds a number, as spreadsheets write it, of 16 digits and more: a double keeps 15 (IEEE 754).
_LONG = re.compile(
    rb'<c r="([A-Z]+)([0-9]+)"(?: s="[0-9]+")?(?: t="n")?><v>'
    rb"(?:[0-9]{16,}(?:\.0)?|[0-9](?:\.[0-9]+)?E\+?(?:1[5-9]|[2-9][0-9]))</v>"
)
_ROUNDED = "0,0E+15"  # what such a cell becomes: its digits are worth nothing, and must not look as if they were
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, KeyError)
CELLS = 150_000_000  # of a sheet from its first cell to its last: the reader keeps room for each
_ROW = re.compile(rb'<row r="([0-9]+)"')
_FAR = re.compile(rb'<c r="([A-Z]{2,})[0-9]')
_TAG_BYTES = 1 << 10  # a row's opening tag and a number's cell are shorter


def survey(file: BinaryIO, name: str) -> str:
    """Look at a workbook as the archive that it is. What is to be recorded of it, or "". Raises ExportError."""
    members = listed(file, name)
    if _WORKBOOK not in {member.filename for member in members}:
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
    for text in _texts(archive, member):
        if b"hidden=" in text:
            hidden += len(_HIDDEN.findall(text))
        last = max(last, max(map(int, _ROW.findall(text)), default=0))
        width = max(width, max(map(_column, set(_FAR.findall(text))), default=0) + 1)
        if last * width > CELLS:
            raise ExportError(f"{name} has a sheet that reaches further than {CELLS:,} cells: that is no export")
    return hidden


def _column(letters: bytes) -> int:
    """``A`` → 0, ``AA`` → 26."""
    column = 0
    for letter in letters:
        column = column * 26 + letter - 64
    return column - 1


def _texts(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """The XML of a sheet in pieces that begin with a tag of a cell or a row, so that none of these is cut."""
    rest = b""
    with archive.open(member) as sheet:
        while chunk := sheet.read(CHUNK_BYTES):
            text = rest + chunk
            tail = max(0, len(text) - _TAG_BYTES)
            cut = max(text.rfind(b"<c ", tail), text.rfind(b"<row", tail))
            cut = cut if cut >= 0 else text.rfind(b"<", tail)
            cut = cut if cut >= 0 else len(text)
            yield text[:cut]
            rest = text[cut:]
    yield rest


def _rounded(archive: zipfile.ZipFile, sheet: str) -> dict[int, list[int]]:
    """Column (from 0) → rows (from 1) of the cells of ``sheet`` whose number has lost digits."""
    path = _path(archive, sheet)
    found: dict[int, list[int]] = {}
    for member in archive.infolist():
        if member.filename == path:
            for text in _texts(archive, member):
                for letters, row in _LONG.findall(text):
                    found.setdefault(_column(letters), []).append(int(row))
    return found


def _path(archive: zipfile.ZipFile, sheet: str) -> str:
    """Where the XML of the sheet with this name lies; "" when the workbook does not say."""
    with archive.open(_WORKBOOK) as workbook:
        named = [_attributes(tag) for tag in _SHEET_TAG.findall(workbook.read(CHUNK_BYTES))]
    with archive.open(_RELATIONS) as relations:
        related = [_attributes(tag) for tag in _RELATION_TAG.findall(relations.read(CHUNK_BYTES))]
    paths = {each.get("Id", ""): each.get("Target", "") for each in related}
    for each in named:
        if each.get("name") == sheet:
            target = paths.get(each.get("r:id", ""), "")
            return target[1:] if target.startswith("/") else f"xl/{target}"
    return ""


def _attributes(tag: bytes) -> dict[str, str]:
    return {key: html.unescape(value) for key, value in _ATTRIBUTE.findall(tag.decode("utf-8", "replace"))}


def _counts_from_1904(archive: zipfile.ZipFile) -> bool:
    with archive.open(_WORKBOOK) as workbook:
        return _1904.search(workbook.read(CHUNK_BYTES)) is not None


def open_sheet(file: BinaryIO, name: str, profile: Profile) -> tuple[Layout, Iterator[pl.DataFrame]]:
    """The layout of the one sheet with the profile's headings, and its rows: ``line`` (the sheet's row number) and one
    column of strings per role. Raises ExportError, the iterator too."""
    file.seek(0)
    try:
        workbook = fastexcel.read_excel(file.read())
        fits: list[tuple[str, Layout]] = []
        misfits: list[ExportError] = []
        for sheet in workbook.sheet_names:
            head = _load(workbook, sheet, 0, SEARCHED)
            try:
                fits.append((sheet, find_in_rows(head.iter_rows(), profile, name)))
            except ExportError as error:
                if head.width:
                    misfits.append(error)
    except fastexcel.FastExcelError as error:
        raise ExportError(f"{name} is a workbook that cannot be read: save it again as .xlsx") from error
    if len(fits) > 1:
        raise ExportError(f"{name} has {len(fits)} sheets with these headings; keep one sheet per file")
    if not fits:
        raise misfits[0] if misfits else ExportError(f"{name} is an empty workbook")
    sheet, layout = fits[0]
    try:
        with zipfile.ZipFile(file) as archive:
            from_1904, rounded = _counts_from_1904(archive), _rounded(archive, sheet)
    except _DAMAGE as error:
        raise ExportError(f"{name} is a workbook that cannot be read: save it again as .xlsx") from error
    return layout, _batches(workbook, sheet, name, layout, rounded, from_1904=from_1904)


def _load(workbook: fastexcel.ExcelReader, sheet: str, skipped: int, rows: int | None) -> pl.DataFrame:
    """Cells as text: whole numbers without ``.0``, dates as ``yyyy-mm-dd hh:mm:ss``, error cells empty."""
    loaded = workbook.load_sheet(sheet, header_row=None, skip_rows=skipped, n_rows=rows, dtypes="string")
    return loaded.to_polars().fill_null("")


def _batches(
    workbook: fastexcel.ExcelReader,
    sheet: str,
    name: str,
    layout: Layout,
    rounded: dict[int, list[int]],
    *,
    from_1904: bool,
) -> Iterator[pl.DataFrame]:
    try:
        cells = _load(workbook, sheet, layout.lines, None)
    except fastexcel.FastExcelError as error:
        raise ExportError(f"{name} is a workbook that cannot be read: save it again as .xlsx") from error
    if layout.lines + cells.height >= LAST_ROW:
        raise ExportError(
            f"{name} ends on row {LAST_ROW:,}, the last that a sheet can hold: the rows after it were lost when it was "
            "saved; ask for the file as CSV"
        )
    names = [*layout.roles, *(f"{UNNAMED}{index}" for index in range(len(layout.roles), cells.width))]
    for index in range(cells.width, len(layout.roles)):
        cells = cells.with_columns(pl.lit("").alias(f"{UNNAMED}new{index}"))
    cells = cells.rename(dict(zip(cells.columns, names, strict=True)))
    for column, rows in rounded.items():
        places = [row - layout.lines - 1 for row in rows if layout.lines < row <= layout.lines + cells.height]
        if places and column < cells.width:
            cells = cells.with_columns(cells.to_series(column).scatter(places, _ROUNDED))
    for start in range(0, cells.height, SHEET_ROWS):
        part = cells.slice(start, SHEET_ROWS)
        if from_1904 and "birth_date" in layout.roles:
            births = [of_1904(cell) for cell in part["birth_date"].to_list()]
            part = part.with_columns(pl.Series("birth_date", births, dtype=pl.String))
        first = layout.lines + start + 1
        yield part.with_columns(pl.int_range(first, first + part.height, dtype=pl.Int64).alias("line"))
