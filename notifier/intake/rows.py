"""Rows in batches: a file's cells as polars frames of strings, one column per role, and each row's place.

``line`` is the physical line on which the record begins (CSV; from 1, the headings counted, blank lines and line breaks
inside quotes counted) or the row number of the sheet (XLSX). It is known in the one pass: record ordinal, plus the line
breaks inside the records before it. It is unique within a file.

What has no cell that is not empty is no row. Everything else is yielded, as a row of the frame or as a rejection
(``columns``: too many or too few fields; ``quote_open``: lines that an unclosed quotation mark swallowed, each for
itself, so that nobody is lost in one long cell), in the order of the file.
"""

from __future__ import annotations

import atexit
import codecs
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv

from notifier.errors import ExportError
from notifier.intake import archives, cells, sheets
from notifier.intake.columns import UNNAMED, Layout, find_in_text
from notifier.intake.files import Form, Survey
from notifier.intake.normal_forms import EDGES
from notifier.intake.profiles import Profile
from notifier.model import Rejection

LEAVING_SECONDS = 0.3
BLOCK_BYTES = 2 << 20  # of text: about 20,000 rows, one transaction; a longer record is refused
_BREAK = r"\r\n|\r|\n"


@dataclass(frozen=True)
class Rows:
    """``frame``: columns ``line`` and the profile's roles, all strings without edge spaces, "" for empty.
    ``broken``: what could not be divided into columns. ``warned``: codes of what was found in the cells of a row, by
    line (see cells.py). ``parts``: what stands between the separators of the broken, by line."""

    frame: pl.DataFrame
    broken: list[Rejection]
    warned: dict[int, str] = field(default_factory=dict)
    parts: dict[int, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def noted(self, frame: pl.DataFrame) -> pl.DataFrame:
        """``frame``, made of these rows, with their codes added to the column ``warnings``."""
        if not self.warned:
            return frame
        codes = pl.col("line").replace_strict(self.warned, default=None, return_dtype=pl.String)
        there = pl.col("warnings").replace("", None)
        return frame.with_columns(warnings=pl.concat_str(there, codes, separator=",", ignore_nulls=True))


def read(file: BinaryIO, name: str, survey: Survey, profile: Profile) -> tuple[Layout, Iterator[Rows]]:
    """The layout, and the rows in batches. Raises ExportError, the iterator too."""
    content = archives.opened(file, name, survey.wrapping)
    if survey.form is Form.XLSX:
        workbook = archives.held(content, name) if survey.wrapping.kind else content
        layout, parts = sheets.open_sheet(workbook, name, profile)
        return layout, (_tidy(part.frame, [], profile, layout, noted=part.noted) for part in parts)
    layout = find_in_text(survey.head, profile, name)
    return layout, _read_csv(content, name, survey, profile, layout)


def recorded(survey: Survey, layout: Layout) -> str:
    """How the file was read, for the record: the encoding and its reason; of a workbook, which sheet, and what was
    hidden or counted otherwise."""
    if not layout.notes:
        return survey.recorded
    return f"({'; '.join(filter(None, (layout.notes, survey.recorded[1:-1])))})"


# -- CSV -----------------------------------------------------------------------------------------------------------


def _read_csv(content: BinaryIO, name: str, survey: Survey, profile: Profile, layout: Layout) -> Iterator[Rows]:
    head = survey.head[: layout.characters].encode(survey.encoding)
    lines = _Lines(layout)
    if survey.content_bytes == survey.bom + len(head):
        return
    content.read(survey.bom + len(head))  # what unpacks as it is read cannot be sought in
    whole = False
    try:
        reader = pacsv.open_csv(
            pa.PythonFile(content, mode="r"),
            read_options=pacsv.ReadOptions(
                column_names=list(layout.roles),
                encoding=_arrow_name(survey.encoding),
                block_size=BLOCK_BYTES,
                use_threads=False,  # only the serial reader says which record is broken
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=layout.separator,
                quote_char='"' if survey.quotes else False,
                newlines_in_values=survey.quotes,
                ignore_empty_lines=False,  # they come as rows of empty cells, so that lines can be counted
                invalid_row_handler=lines.take_broken,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types={role: pa.string() for role in layout.roles}, strings_can_be_null=False
            ),
        )
        for batch in reader:
            cells = pl.from_arrow(batch)
            assert isinstance(cells, pl.DataFrame)
            frame, broken = lines.number(cells, quotes=survey.quotes)
            yield _tidy(frame, broken, profile, layout, lines.parts())
        whole = True
    except pa.ArrowInvalid as error:
        # The engine's text quotes the row: it stays inside.
        if "Empty CSV" not in str(error):
            raise ExportError(
                f"{name}: after line {lines.last} a row is longer than {BLOCK_BYTES >> 20} MB: "
                "a quotation mark that is never closed, or no CSV file"
            ) from None
    except (UnicodeDecodeError, pa.ArrowException):
        raise ExportError(f"{name}: after line {lines.last} the file cannot be read as {survey.encoding}") from None
    finally:
        if not whole:
            _give_time_to_leave()
    yield Rows(pl.DataFrame(schema=_schema(profile)), lines.rest(), parts=lines.parts())


@cache
def _give_time_to_leave() -> None:
    """The engine reads ahead in a thread of its own. When a reading is broken off, that thread may still be inside a
    read of ours; a process that ends just then is aborted, with another exit code than its own. So it ends a moment
    later: a block is read and decoded in a few hundredths of a second."""
    atexit.register(time.sleep, LEAVING_SECONDS)


def _arrow_name(encoding: str) -> str:
    return "utf8" if codecs.lookup(encoding).name == "utf-8" else encoding


class _Lines:
    """Gives every record its physical line. The engine numbers records from 1, blank lines included, and hands over
    those with a wrong number of fields apart, before the batch that they stood in."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._broken: dict[int, str] = {}  # ordinal → text
        self._parts: dict[int, tuple[str, ...]] = {}  # line → text, divided
        self._given = 0
        self._extra = layout.lines  # what is added to an ordinal: the head, and line breaks inside records

    @property
    def last(self) -> int:
        """A line that was reached."""
        return self._given + self._extra

    def parts(self) -> dict[int, tuple[str, ...]]:
        """Those of the rejections that were given since the last call."""
        given, self._parts = self._parts, {}
        return given

    def take_broken(self, row: pacsv.InvalidRow) -> str:
        self._broken[row.number] = row.text
        return "skip"

    def number(self, cells: pl.DataFrame, *, quotes: bool) -> tuple[pl.DataFrame, list[Rejection]]:
        """``cells`` with their lines, and the rejections among and before them."""
        breaks = self._breaks(cells) if quotes else []
        if not self._broken and not breaks:
            first = self._given + self._extra + 1
            self._given += cells.height
            return cells.with_columns(pl.int_range(first, first + cells.height, dtype=pl.Int64).alias("line")), []
        lines: list[int] = []
        swallowed: list[bool] = []
        rejections: list[Rejection] = []
        for row in range(cells.height):
            self._reject_next(rejections)
            self._given += 1
            line = self._given + self._extra
            lines.append(line)
            inside = breaks[row] if breaks else 0
            self._extra += inside
            swallows = inside > 0 and self._swallows(cells.row(row))
            swallowed.append(swallows)
            if swallows:
                text = self._layout.separator.join(cells.row(row))
                rejections += self._each_line(text, line, "quote_open")
        numbered = cells.with_columns(pl.Series("line", lines, dtype=pl.Int64))
        return numbered.filter(~pl.Series(swallowed, dtype=pl.Boolean)), rejections

    def rest(self) -> list[Rejection]:
        """The rejections after the last good row."""
        rejections: list[Rejection] = []
        self._reject_next(rejections)
        return rejections

    def _reject_next(self, rejections: list[Rejection]) -> None:
        while (text := self._broken.pop(self._given + 1, None)) is not None:
            self._given += 1
            line = self._given + self._extra
            found = self._each_line(text, line, "quote_open" if '"' in text else "columns")
            breaks = len(_split(text.rstrip("\r\n"))) - 1
            rejections += found if breaks else [self._rejected(text, line, "columns")] if text.strip() else []
            self._extra += breaks

    def _breaks(self, cells: pl.DataFrame) -> list[int]:
        """Line breaks inside each row; empty when there are none at all."""
        counted = cells.select(pl.sum_horizontal(pl.all().str.count_matches(_BREAK))).to_series()
        return counted.to_list() if (counted > 0).any() else []

    def _swallows(self, row: tuple[str, ...]) -> bool:
        """Whether a cell holds whole lines of the file: line breaks, and as many separators as a line has."""
        least = len(self._layout.roles) - 1
        return any(cell.count(self._layout.separator) >= least and ("\n" in cell or "\r" in cell) for cell in row)

    def _each_line(self, text: str, line: int, code: str) -> list[Rejection]:
        return [
            self._rejected(part, line + index, code) for index, part in enumerate(_split(text)) if part.strip(EDGES)
        ]

    def _rejected(self, text: str, line: int, code: str) -> Rejection:
        self._parts[line] = tuple(text.rstrip("\r\n").split(self._layout.separator))
        return Rejection(line, "", code)


def _split(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


# -- both ----------------------------------------------------------------------------------------------------------


def _schema(profile: Profile) -> dict[str, pl.DataType]:
    return {"line": pl.Int64(), **{role: pl.String() for role in sorted(profile.roles)}}


def _tidy(
    frame: pl.DataFrame,
    broken: list[Rejection],
    profile: Profile,
    layout: Layout,
    parts: dict[int, tuple[str, ...]] | None = None,
    noted: Mapping[int, str] = MappingProxyType({}),
) -> Rows:
    """Empty rows go, cells under no heading reject their row, roles without a column read as empty."""
    every = pl.all().exclude("line")
    frame, warned = cells.mended(frame)
    frame = frame.with_columns(every.str.strip_chars(EDGES))
    there = pl.any_horizontal(every != "")
    # A row whose only cell was a number without its digits is a row all the same.
    frame = frame.filter(there | pl.col("line").is_in(list(warned)) if warned else there)
    for line, codes in noted.items():
        warned[line] = ",".join(filter(None, (codes, warned.get(line, ""))))
    unnamed = [column for column in frame.columns if column.startswith(UNNAMED)]
    if unnamed:
        beyond = pl.any_horizontal(pl.col(column) != "" for column in unnamed)
        wide = frame.filter(beyond)
        broken = broken + [Rejection(line, "", "columns") for line in wide["line"]]
        parts = (parts or {}) | dict(zip(wide["line"].to_list(), wide.select(every).iter_rows(), strict=True))
        frame = frame.filter(~beyond)
    absent = profile.roles - set(layout.roles)
    frame = frame.with_columns(pl.lit("").alias(role) for role in absent).select(*_schema(profile))
    return Rows(frame, broken, warned, parts or {})
