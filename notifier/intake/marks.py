"""What a sheet's own XML says of its cells and no reader tells: found by one look at it, as it is unpacked.

Bounded memory: the XML flows through in pieces; what is kept is a number per cell that is marked.
"""

from __future__ import annotations

import html
import re
import zipfile
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import polars as pl

from notifier.intake.archives import CHUNK_BYTES

WORKBOOK = "xl/workbook.xml"
_RELATIONS = "xl/_rels/workbook.xml.rels"
_STYLES = "xl/styles.xml"
_TAG_BYTES = 1 << 10  # a row's opening tag and a number's cell are shorter
_PART_BYTES = 16 << 20  # of the workbook's other parts
ROUNDED = "0,0E+15"  # what a number without its digits becomes: they must not look as if they were worth something
ERROR = "#N/A"  # what any error cell becomes; cells.py empties and tells it

_SHEET_TAG = re.compile(rb"<(?:\w+:)?sheet\b([^>]*)>")
_RELATION_TAG = re.compile(rb"<(?:\w+:)?Relationship\b([^>]*)>")
_ATTRIBUTE = re.compile(r"([\w:]+)=[\"']([^\"']*)[\"']")
_PREFIX = re.compile(rb"<(\w+:)worksheet\b")
# A number of 16 digits and more, as spreadsheets write it: a double keeps 15 (IEEE 754).
_DIGITS = rb"<v>(?:[0-9]{16,}(?:\.0)?|[0-9](?:\.[0-9]+)?E\+?(?:1[5-9]|[2-9][0-9]))</v>"
_LONG_VALUE = re.compile(_DIGITS)
_NUMBER = rb'<c r="([A-Z]+)([0-9]+)"(?: s="[0-9]+")?(?: t="n")?>(?:<f\b[^>]*/>|<f\b[^>]*>[^<]*</f>)?'
_LONG = re.compile(_NUMBER + _DIGITS)
_ERROR = re.compile(rb'<c r="([A-Z]+)([0-9]+)"[^>]*\bt="e"')
# A formula without the value that the spreadsheet stores beside it. (A text may be computed to nothing: t="str".)
_UNCOMPUTED = re.compile(_NUMBER.removesuffix(b"?") + rb"(?:<v/>|<v ?/>|<v></v>)?</c>")
_MERGED = re.compile(rb'<mergeCell ref="([A-Z]+)([0-9]+):([A-Z]+)([0-9]+)"')
_COLUMNS = re.compile(rb"<col\b([^>]*)>")
_NUMBER_FORMAT = re.compile(rb"<(?:\w+:)?numFmt\b([^>]*)>")
_CELL_FORMATS = re.compile(rb"(?s)<(?:\w+:)?cellXfs\b.*?</(?:\w+:)?cellXfs>")
_CELL_FORMAT = re.compile(rb"<(?:\w+:)?xf\b([^>]*)>")
_LITERAL = re.compile(r'"[^"]*"|\\.|[ \u00a0/-](?=[0#"\\ ])')
_LEADING = re.compile(r"0[0#]+")

Area = tuple[int, int, int, int]  # first column, first row, last column, last row; columns from 0, rows from 1


@dataclass
class Marks:
    """Rows (from 1) by column (from 0). ``zeros``: by (column, digits that the number format shows at least)."""

    rounded: dict[int, array[int]] = field(default_factory=dict)
    errors: dict[int, array[int]] = field(default_factory=dict)
    zeros: dict[tuple[int, int], array[int]] = field(default_factory=dict)
    merged: list[Area] = field(default_factory=list)
    hidden_columns: set[int] = field(default_factory=set)

    def applied(self, cells: pl.DataFrame, above: int) -> tuple[pl.DataFrame, dict[int, str]]:
        """``cells`` (the rows below the first ``above``) with what is marked, and the codes by row number:
        ``zeros_shown``, ``cell_merged``."""
        noted: dict[int, str] = {}
        for text, marked in ((ROUNDED, self.rounded), (ERROR, self.errors)):
            for index, rows in marked.items():
                places = _places(rows, above, cells.height)
                if places and index < cells.width:
                    cells = cells.with_columns(cells.to_series(index).scatter(places, text))
        for (index, digits), rows in self.zeros.items():
            places = _places(rows, above, cells.height) if index < cells.width else []
            before = cells.to_series(index).gather(places) if places else pl.Series(dtype=pl.String)
            after = before.str.zfill(digits)
            if (before != after).any():
                cells = cells.with_columns(cells.to_series(index).scatter(places, after))
                changed = (before != after).to_list()
                noted |= {place + above + 1: "zeros_shown" for place, new in zip(places, changed, strict=True) if new}
        for row in self._inside(above, above + cells.height):
            noted[row] = f"{noted[row]},cell_merged" if row in noted else "cell_merged"
        return cells, noted

    def _inside(self, above: int, last: int) -> Iterator[int]:
        """The rows of which a cell is merged into another one, each once."""
        reached = above
        areas = ((top + (first == right), bottom) for first, top, right, bottom in self.merged)
        for top, bottom in sorted(areas):
            for row in range(max(top, reached + 1), min(bottom, last) + 1):
                yield row
                reached = row


def _places(rows: Iterable[int], above: int, height: int) -> list[int]:
    return [row - above - 1 for row in rows if above < row <= above + height]


def column(letters: bytes) -> int:
    """``A`` → 0, ``AA`` → 26."""
    found = 0
    for letter in letters:
        found = found * 26 + letter - 64
    return found - 1


def texts(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """The XML of a sheet in pieces that begin with a tag of a cell or a row, so that none of these is cut; without the
    prefix that some programs put before every name."""
    rest, prefix = b"", b""
    with archive.open(member) as sheet:
        while chunk := sheet.read(CHUNK_BYTES):
            text = rest + chunk
            if not rest and (found := _PREFIX.search(text[:_TAG_BYTES])):
                prefix = found[1]
            if prefix:
                text = text.replace(b"<" + prefix, b"<").replace(b"</" + prefix, b"</")
            tail = max(0, len(text) - _TAG_BYTES)
            cut = max(text.rfind(b"<c ", tail), text.rfind(b"<row", tail))
            cut = cut if cut >= 0 else text.rfind(b"<", tail)
            cut = cut if cut >= 0 else len(text)
            yield text[:cut]
            rest = text[cut:]
    yield rest


def read(archive: zipfile.ZipFile, sheet: str) -> Marks:
    """The marks of the sheet with this name."""
    found = Marks()
    shown = _shown_with_zeros(archive)
    formatted = _formatted(shown)
    path = _path(_sheets(archive), archive, sheet)
    for member in archive.infolist():
        if member.filename != path:
            continue
        for text in texts(archive, member):
            if _LONG_VALUE.search(text):
                _note(found.rounded, _LONG.findall(text))
            if b't="e"' in text:
                _note(found.errors, _ERROR.findall(text))
            if b"<f" in text:
                _note(found.errors, _UNCOMPUTED.findall(text))
            if formatted:
                for letters, row, style in formatted.findall(text):
                    place = (column(letters), shown[int(style)])
                    found.zeros.setdefault(place, array("I")).append(int(row))
            if b"<mergeCell " in text:
                for first, top, last, bottom in _MERGED.findall(text):
                    found.merged.append((column(first), int(top), column(last), int(bottom)))
            if b"<col " in text:
                found.hidden_columns |= _hidden_columns(text)
    return found


def _note(marked: dict[int, array[int]], cells: Iterable[tuple[bytes, bytes]]) -> None:
    for letters, row in cells:
        marked.setdefault(column(letters), array("I")).append(int(row))


def _hidden_columns(text: bytes) -> set[int]:
    hidden: set[int] = set()
    for each in map(_attributes, _COLUMNS.findall(text)):
        if each.get("hidden") in ("1", "true") and each.get("min", "").isdecimal() and each.get("max", "").isdecimal():
            hidden.update(range(int(each["min"]) - 1, min(int(each["max"]), 16384)))
    return hidden


# -- number formats ------------------------------------------------------------------------------------------------


def least_digits(code: str) -> int:
    """How many digits a number format shows at least (ECMA-376 18.8.31), 0 when it is not one that is there for its
    zeros.

    >>> least_digits("00000"), least_digits('0#" "##" "##" "##" "##'), least_digits("0.00"), least_digits("#,##0")
    (5, 10, 0, 0)
    """
    plain = _LITERAL.sub("", code.split(";", maxsplit=1)[0])
    return len(plain) if _LEADING.fullmatch(plain) else 0


def _shown_with_zeros(archive: zipfile.ZipFile) -> dict[int, int]:
    """The number of a cell's style → the digits that its number format shows at least."""
    if _STYLES not in archive.namelist():
        return {}
    with archive.open(_STYLES) as file:
        styles = file.read(_PART_BYTES)
    formats = {
        each.get("numFmtId"): least_digits(each.get("formatCode", ""))
        for each in map(_attributes, _NUMBER_FORMAT.findall(styles))
    }
    found = _CELL_FORMATS.search(styles)
    cells = [_attributes(each) for each in _CELL_FORMAT.findall(found[0])] if found else []
    return {number: digits for number, each in enumerate(cells) if (digits := formats.get(each.get("numFmtId"), 0))}


def _formatted(shown: Iterable[int]) -> re.Pattern[bytes] | None:
    """Whole numbers in cells of these styles."""
    styles = b"|".join(str(each).encode() for each in shown)
    value = rb'(?: t="n")?>(?:<f\b[^>]*/>|<f\b[^>]*>[^<]*</f>)?<v>[0-9]{1,15}(?:\.0+)?</v>'
    return re.compile(rb'<c r="([A-Z]+)([0-9]+)" s="(' + styles + rb')"' + value) if styles else None


# -- the workbook --------------------------------------------------------------------------------------------------


def place(archive: zipfile.ZipFile, sheet: str, sheets: int) -> Iterator[str]:
    """Which sheet was read, where there are several, and whether it is hidden; how many others are. No name: a sheet
    may be called after somebody."""
    listed = _sheets(archive)
    if sheets > 1:
        number = next((index for index, each in enumerate(listed, start=1) if each.get("name") == sheet), 0)
        yield f"sheet {number} of {sheets} was read"
    hidden = [each.get("name") for each in listed if each.get("state") in ("hidden", "veryHidden")]
    if sheet in hidden:
        yield "the sheet is hidden"
    elif hidden:
        yield f"{len(hidden)} hidden {'sheet' if len(hidden) == 1 else 'sheets'}"


def _sheets(archive: zipfile.ZipFile) -> list[dict[str, str]]:
    with archive.open(WORKBOOK) as workbook:
        return [_attributes(tag) for tag in _SHEET_TAG.findall(workbook.read(_PART_BYTES))]


def _path(listed: Iterable[dict[str, str]], archive: zipfile.ZipFile, sheet: str) -> str:
    """Where the XML of the sheet with this name lies; "" when the workbook does not say."""
    with archive.open(_RELATIONS) as relations:
        related = [_attributes(tag) for tag in _RELATION_TAG.findall(relations.read(_PART_BYTES))]
    paths = {each.get("Id", ""): each.get("Target", "") for each in related}
    for each in listed:
        if each.get("name") == sheet:
            target = next((paths.get(value, "") for key, value in each.items() if key.endswith(":id")), "")
            return target[1:] if target.startswith("/") else f"xl/{target}"
    return ""


def _attributes(tag: bytes) -> dict[str, str]:
    return {key: html.unescape(value) for key, value in _ATTRIBUTE.findall(tag.decode("utf-8", "replace"))}
