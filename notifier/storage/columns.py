"""Rows of a query as columns: what a pass over a whole campaign reads.

A row that goes through Python costs half a microsecond per cell, and a plan reads a dozen cells of each of millions of
rows. So the database joins each column into one value, one after the other in the order of its rows, and that value is
cut again here: digests by their width, numbers and words at a separator. Every column is counted against the rows; one
that does not fit is an error, never a shifted column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.errors import StorageError

SEPARATOR = "\x1f"  # in no code, name of a sender or word of ours
FIELD = "\x1e"  # nor is this one, between facts that are read as one word


class Column(NamedTuple):
    """An SQL expression and what it gives. ``width``: of a digest in bytes, 0: a word, -1: a whole number."""

    sql: str
    width: int

    @property
    def joined(self) -> str:
        """The expression that joins all of the column's values."""
        if self.width > 0:
            # A NULL would be left out; no digest is nothing but zeros. That none is longer, and that all together are
            # as long as they must be, says that each is.
            given = f"COALESCE({self.sql}, x'{bytes(self.width).hex()}')"
            return f"CAST(group_concat({given}, '') AS BLOB), MAX(length({self.sql}))"
        return f"group_concat({self.sql}, char({ord(SEPARATOR)}))"

    def cut(self, joined: bytes | str | None, rows: int) -> pl.Series:
        """The values again. Raises StorageError unless there are ``rows`` of them."""
        if self.width > 0:
            values = self._digests(joined or b"", rows)
        else:
            whole = [joined if joined is not None else ""] if rows else []
            values = (
                pl.Series(whole, dtype=pl.String).str.split(SEPARATOR).explode(empty_as_null=False, keep_nulls=False)
            )
        if len(values) != rows:
            raise StorageError(f"a column of {rows} rows has {len(values)} values: {self.sql}")
        return values.cast(pl.Int64) if self.width < 0 else values

    def _digests(self, joined: bytes | str, rows: int) -> pl.Series:
        whole = joined if isinstance(joined, bytes) else joined.encode()
        if len(whole) != rows * self.width:
            raise StorageError(f"a digest is not of {self.width} bytes: {self.sql}")
        cells = pa.FixedSizeBinaryArray.from_buffers(pa.binary(self.width), rows, [None, pa.py_buffer(whole)])
        value = pl.col("value")
        given = pl.when(value != pl.lit(bytes(self.width))).then(value)
        return pl.DataFrame({"value": pl.from_arrow(cells)}).select(given).to_series()


def digest(sql: str, width: int = 16) -> Column:
    """A digest of ``width`` bytes, or NULL."""
    return Column(sql, width)


def word(sql: str) -> Column:
    """A short text of ours, never NULL."""
    return Column(sql, 0)


def number(sql: str) -> Column:
    """A whole number, never NULL."""
    return Column(sql, -1)


def facts(*sql: str) -> Column:
    """Several words, never NULL, as one: to be split at FIELD."""
    return word(f" || char({ord(FIELD)}) || ".join(sql))


async def read(
    connection: AsyncConnection, columns: Mapping[str, Column], source: str, **parameters: object
) -> pl.DataFrame:
    """The rows of ``source`` (``FROM … WHERE …``) under the names of ``columns``. Some hundred thousand rows at a time:
    a value of the database holds at most 1,000 MB."""
    row = (await connection.execute(text(_joined(columns, source)), parameters)).one()
    return _cut(columns, row)


def _joined(columns: Mapping[str, Column], source: str) -> str:
    return f"SELECT COUNT(*), {', '.join(column.joined for column in columns.values())} {source}"


def _cut(columns: Mapping[str, Column], row: Sequence[Any]) -> pl.DataFrame:
    rows, values = int(row[0]), iter(row[1:])
    cut = {}
    for name, column in columns.items():
        joined = next(values)
        if column.width > 0 and (next(values) or 0) > column.width:
            raise StorageError(f"a digest is longer than {column.width} bytes: {column.sql}")
        cut[name] = column.cut(joined, rows)
    return pl.DataFrame(cut)


def start(column: str) -> pl.Expr:
    """The first 8 bytes of a digest as a number: quick to join by, and to be followed by a comparison of the whole."""
    return pl.col(column).bin.head(8).bin.reinterpret(dtype=pl.UInt64)
