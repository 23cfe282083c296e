"""The rows of the file that is being read, in a database file of their own until they count.

``campaign.db-intake`` lies beside the campaign's database while an export is read. Batches of columns go into it past
any object per cell (ADBC), without index and without a promise of durability: the file is nothing but a place to wait,
and what a crash leaves of it is removed by the next intake. The transaction that completes the import attaches it and
moves its rows; that transaction is the only commit point.

It holds ``persons`` and ``records``, as the campaign's own tables are declared; every row brings one of each, numbered
alike, and ``staged_records`` shows both as one row. A file that finds the campaign empty is *settled* here: rows about
one person get the first one's, the indexes are built by sort, and the tables then move page by page (SQLite copies a
table into an empty one that is declared alike without looking into its rows).

The file is opened by a second copy of SQLite (ADBC's own) and is closed before the campaign's connection attaches it:
two copies must never hold one file at the same time (sqlite.org, How To Corrupt, 2.2.1).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import polars as pl
import pyarrow as pa
from adbc_driver_manager import dbapi as adbc
from adbc_driver_sqlite import dbapi as sqlite
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.storage.failures import failure
from notifier.storage.waiting import beside, discard

_CACHE_MEGABYTES = 256  # while the indexes are sorted
PRAGMAS = (
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA threads = 2",  # helpers of the sorter
    f"PRAGMA cache_size = -{_CACHE_MEGABYTES * 1024}",
)
ROW = (
    "line", "kind", "sender", "identity", "group_key", "forename_key", "birth_rank", "key_member", "key_nir_rank",
    "key_nir_forename", "key_contract", "key_near", "exposure_set_id", "profession", "warnings", "sealed",
)  # fmt: skip
"""The columns of a batch."""
_PERSON = ("sender", "identity", "kind", "profession", "exposure_set_id", "sealed")
_PERSON_EMPTY = ("rung", "identity_review", "excluded", "excluded_reason", "excluded_by")
_RECORD = (
    "line", "group_key", "forename_key", "birth_rank", "key_member", "key_nir_rank", "key_nir_forename",
    "key_contract", "key_near", "exposure_set_id", "warnings",
)  # fmt: skip
_VIEW = (
    "CREATE VIEW staged_records AS SELECT r.import_id, r.line, p.kind, p.sender, p.identity, r.group_key, "
    "r.forename_key, r.birth_rank, r.key_member, r.key_nir_rank, r.key_nir_forename, r.key_contract, "
    "r.key_near, r.exposure_set_id, COALESCE(r.profession, '') AS profession, r.warnings, p.sealed "
    "FROM records r CROSS JOIN persons p WHERE p.id = r.person_id"
)


async def declared(connection: AsyncConnection) -> tuple[str, ...]:
    """How the campaign's database declares ``persons`` and ``records``: tables first, then indexes."""
    found = await connection.execute(
        text(
            "SELECT sql FROM sqlite_master WHERE tbl_name IN ('persons', 'records') AND type IN ('table', 'index') "
            "AND sql IS NOT NULL ORDER BY type DESC, name"
        )
    )
    return tuple(str(sql) for sql in found.scalars())


class Staging:
    """Takes the batches of one file. Not for two threads at a time. Raises OperatorError when the disk is full."""

    def __init__(self, database: Path, import_id: int, declarations: Sequence[str]) -> None:
        """``declarations``: of :func:`declared`. A file that is there already is replaced."""
        discard(database)
        path = beside(database)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        self._import_id, self._rows = import_id, 0
        self._starts: list[pl.Series] = []  # the first 8 bytes of each row's identity
        self._indexes = [sql for sql in declarations if "INDEX" in sql.split(" ON ")[0]]
        self._connection = sqlite.connect(str(path), autocommit=True)
        self._cursor = self._connection.cursor()
        for sql in (*PRAGMAS, *(sql for sql in declarations if sql not in self._indexes), _VIEW):
            self._run(sql)

    def _run(self, sql: str) -> None:
        try:
            self._cursor.execute(sql)
        except adbc.Error as error:
            raise failure(error) from None

    def add(self, batch: pl.DataFrame) -> None:
        """Store rows with the columns ROW. ``profession``: "" for whoever is no professional."""
        if batch.is_empty():
            return
        numbers = pl.int_range(self._rows + 1, self._rows + batch.height + 1, dtype=pl.Int64)
        nameless = pl.col("forename_key").is_null() & pl.col("group_key").is_not_null()
        persons = batch.select(numbers.alias("id"), *_PERSON, *(pl.lit("").alias(name) for name in _PERSON_EMPTY))
        records = batch.select(
            numbers.alias("id"),
            numbers.alias("person_id"),
            pl.lit(self._import_id).alias("import_id"),
            *_RECORD,
            pl.when(pl.col("profession") != "").then(pl.col("profession")).alias("profession"),
            pl.when(nameless).then(pl.col("identity")).alias("nameless_identity"),
            pl.when(nameless).then(pl.col("sealed")).alias("nameless_sealed"),
        )
        self._starts.append(batch.select(pl.col("identity").bin.head(8).bin.reinterpret(dtype=pl.UInt64)).to_series())
        self._rows += batch.height
        self._run("BEGIN")
        self._ingest("persons", persons)
        self._ingest("records", records)
        self._run("COMMIT")

    def _ingest(self, table: str, rows: pl.DataFrame) -> None:
        columns = cast(pa.Table, rows.to_arrow(compat_level=pl.CompatLevel.oldest()))
        try:
            self._cursor.adbc_ingest(table, columns, mode="append")
        except adbc.Error as error:
            raise failure(error) from None

    def settle(self) -> None:
        """Make the tables such that they can become an empty campaign's as they are. Rows about one person (equal
        sender and identity) get the first row's person; ``repeated`` names them."""
        alike = self._alike()
        for sql in (
            "BEGIN",
            "CREATE TABLE alike (id INTEGER PRIMARY KEY)",
            "CREATE TABLE repeated (id INTEGER PRIMARY KEY, first_id INTEGER NOT NULL)",
        ):
            self._run(sql)
        if not alike.is_empty():
            self._ingest("alike", alike)
            for sql in (
                "INSERT INTO repeated SELECT id, first_id FROM (SELECT p.id, MIN(p.id) OVER same AS first_id, "
                "COUNT(*) OVER same AS row_count FROM alike a CROSS JOIN persons p WHERE p.id = a.id "
                "WINDOW same AS (PARTITION BY p.identity, p.sender)) WHERE row_count > 1",
                "UPDATE records SET person_id = d.first_id FROM repeated d WHERE d.id = records.id",
                "DELETE FROM persons WHERE id IN (SELECT id FROM repeated WHERE id <> first_id)",
            ):
                self._run(sql)
        for sql in (*self._indexes, "DROP TABLE alike", "COMMIT"):
            self._run(sql)

    def _alike(self) -> pl.DataFrame:
        """The rows whose identity begins like another's: all that repeat, and by chance another one."""
        if not self._starts:
            return pl.DataFrame({"id": []}, schema={"id": pl.Int64})
        starts = pl.concat(self._starts)
        self._starts.clear()
        in_order = starts.sort()
        repeated = in_order.filter(in_order == in_order.shift(1)).unique()
        rows = starts.is_in(repeated.implode()).arg_true() if len(repeated) else pl.Series([], dtype=pl.UInt32)
        return pl.DataFrame({"id": rows.cast(pl.Int64) + 1})

    def close(self) -> None:
        """Let go of the file: only then may the campaign's connection attach it."""
        self._cursor.close()
        self._connection.close()
