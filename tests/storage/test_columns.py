"""Rows read as columns are the rows: no value slips into its neighbour's place (I1, I2)."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from notifier.errors import StorageError
from notifier.storage import columns
from notifier.storage.database import insert_many

READ = {"id": columns.number("id"), "word": columns.word("word"), "key": columns.digest("key", 3)}
# Zero bytes, the separator itself and bytes that are no UTF-8 may stand in a digest; one of zeros alone is none.
KEYS = st.none() | st.binary(min_size=3, max_size=3).filter(any) | st.sampled_from([b"\x00\x1f\x00", b"\xff\xc3\x28"])
ROWS = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.sampled_from(["", "fr", "é", ",", "a b"]), KEYS))


async def read(rows: list[tuple[int, str, bytes | None]]) -> list[tuple[object, ...]]:
    engine = create_async_engine("sqlite+aiosqlite://")
    try:
        async with engine.connect() as connection:
            await connection.execute(text("CREATE TABLE some (id INTEGER, word TEXT, key BLOB)"))
            await insert_many(connection, "some", ("id", "word", "key"), rows)
            return (await columns.read(connection, READ, "FROM some")).rows()
    finally:
        await engine.dispose()


@given(ROWS)
def test_i1_columns_are_the_rows(rows: list[tuple[int, str, bytes | None]]) -> None:
    assert asyncio.run(read(rows)) == rows


@pytest.mark.parametrize(
    "odd",
    [
        [(1, "two\x1fwords", b"abc")],
        [(1, "word", b"ab")],
        [(1, "word", b"abcd")],
        [(1, "word", b"ab"), (2, "word", b"abcd")],
    ],
)
def test_i2_what_does_not_fit_is_an_error_and_never_a_shifted_column(odd: list[tuple[int, str, bytes]]) -> None:
    with pytest.raises(StorageError):
        asyncio.run(read([(7, "fr", b"key"), *odd, (8, "fr", b"yek")]))
