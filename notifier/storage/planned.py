"""Notifications and deliveries that a plan makes by the hundred thousand, on their way into the campaign's database.

They go by column into a file of their own (ADBC), ``campaign.db-plan``, in tables declared as the campaign's are, whose
indexes are then built by sort; the plan's transaction attaches the file and takes its rows over. Where the campaign has
neither notification nor delivery, and no key is checked (``Database.plan``), SQLite moves them page by page, indexes
included; otherwise row by row. That transaction is the only commit point: the file promises nothing, and is removed
with its end (what a crash leaves of it goes with the next command that writes). It holds numbers and tokens.

The file is closed by the copy of SQLite that wrote it before the campaign's own opens it (sqlite.org, How To Corrupt,
2.2.1).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self, cast

import polars as pl
import pyarrow as pa
from adbc_driver_manager import dbapi as adbc
from adbc_driver_sqlite import dbapi as sqlite
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.errors import StorageError
from notifier.storage.failures import failure
from notifier.storage.notifications import DELIVERY, NEVER_ATTEMPTED, NOTIFICATION
from notifier.storage.waiting import PLANNED, planned_beside

Tokens = Callable[[str, Sequence[Sequence[str]]], list[bytes]]
"""Channel, and for each delivery the names of those it tells (``sender:identity in hex``, sorted) → their tokens."""
TABLES = ("deliveries", "notifications")  # in this order: notifications name deliveries
_PRAGMAS = (
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA threads = 2",  # helpers of the sorter
    "PRAGMA cache_size = -65536",
)


class Planned:
    """The file of one plan. Raises OperatorError when the disk is full."""

    def __init__(self, connection: AsyncConnection, path: Path, declarations: list[str]) -> None:
        self._connection, self._path = connection, path
        path.unlink(missing_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        self._rows = dict.fromkeys(TABLES, 0)
        self._is_closed = False
        self._indexes = [sql for sql in declarations if "INDEX" in sql.split(" ON ")[0]]
        self._file = sqlite.connect(str(path), autocommit=True)
        self._cursor = self._file.cursor()
        for sql in (*_PRAGMAS, *(sql for sql in declarations if sql not in self._indexes)):
            self._run(sql)

    @classmethod
    async def begin(cls, connection: AsyncConnection) -> Planned:
        """Beside the campaign's database, declared like it."""
        files = {row[1]: row[2] for row in await connection.execute(text("PRAGMA database_list"))}
        found = await connection.execute(
            text(
                "SELECT sql FROM main.sqlite_master WHERE tbl_name IN ('notifications', 'deliveries') "
                "AND type IN ('table', 'index') AND sql IS NOT NULL ORDER BY type DESC, name"
            )
        )
        return cls(connection, planned_beside(Path(files["main"])), list(found.scalars()))

    def _run(self, sql: str) -> None:
        try:
            self._cursor.execute(sql)
        except adbc.Error as error:
            raise failure(error) from None

    def add(self, table: str, rows: pl.DataFrame) -> None:
        """Rows of ``notifications`` or ``deliveries``."""
        if rows.is_empty():
            return
        numbers = pl.int_range(self._rows[table] + 1, self._rows[table] + rows.height + 1, dtype=pl.Int64)
        self._rows[table] += rows.height
        named = rows if "id" in rows.columns else rows.with_columns(numbers.alias("id"))
        cells = cast(pa.Table, named.to_arrow(compat_level=pl.CompatLevel.oldest()))
        self._run("BEGIN")
        try:
            self._cursor.adbc_ingest(table, cells, mode="append")
        except adbc.Error as error:
            raise failure(error) from None
        self._run("COMMIT")

    def add_one_by_one(
        self, deliveries: Sequence[tuple[object, ...]], notifications: Sequence[tuple[object, ...]]
    ) -> None:
        """Rows as ``storage.notifications`` inserts them."""
        self.add(
            "deliveries", _frame([(*row, *NEVER_ATTEMPTED) for row in deliveries], DELIVERY).with_columns(priority=2)
        )
        self.add("notifications", _frame(notifications, NOTIFICATION))

    async def take_over(self) -> None:
        """Move everything into the campaign's tables. Raises StorageError unless every row has arrived."""
        for sql in self._indexes:
            self._run(sql)
        self.close()
        await self._connection.execute(text(f"ATTACH DATABASE :path AS {PLANNED}"), {"path": str(self._path)})
        for table in TABLES:
            moved = await self._move(table)
            if moved != self._rows[table]:
                raise StorageError(f"{moved} of {self._rows[table]} planned {table} arrived")

    async def _move(self, table: str) -> int:
        names = ", ".join(row[1] for row in await self._connection.execute(text(f"PRAGMA main.table_info({table})")))
        before = await self._count(table)
        # The file numbers notifications from 1 on: where there are some already, they get numbers of their own.
        anew = before and table == "notifications"
        source = names.replace("id, ", "NULL, ", 1) if anew else "*"
        await self._connection.execute(text(f"INSERT INTO main.{table} SELECT {source} FROM {PLANNED}.{table}"))  # noqa: S608
        return await self._count(table) - before

    async def _count(self, table: str) -> int:
        found = await self._connection.execute(text(f"SELECT COUNT(*) FROM main.{table}"))  # noqa: S608
        return int(found.scalar_one())

    def close(self) -> None:
        """Let go of the file: only then may the campaign's connection attach it."""
        if not self._is_closed:
            self._is_closed = True
            self._cursor.close()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def new_deliveries(
    told: pl.DataFrame, tokens: list[bytes], wave_id: int, now_ms: int, contact: str, provider: str
) -> pl.DataFrame:
    """Rows of ``deliveries``, never attempted, due at once, of rows with ``delivery``, ``segment``, ``channel``,
    ``state`` and the columns that are named: ``contact`` and ``provider`` of who reads. Letters have no provider."""
    never = zip(("attempt", "retries", "doubts", "epoch", "due_ms"), NEVER_ATTEMPTED, strict=True)
    of_mail = pl.when(pl.col("channel") == "mail").then(pl.col(provider)).otherwise(pl.lit("other"))
    return told.select(
        pl.col("delivery").alias("id"), pl.Series("token", tokens, dtype=pl.Binary), pl.lit(wave_id).alias("wave_id"),
        pl.col("segment").alias("segment_id"), pl.col(contact).alias("contact_id"), "channel", "state",
        of_mail.alias("provider"), pl.lit(now_ms).alias("since_ms"), pl.lit(2).alias("priority"),
        *(pl.lit(value).alias(name) for name, value in never),
    )  # fmt: skip


def _frame(rows: Sequence[tuple[object, ...]], columns: Sequence[str]) -> pl.DataFrame:
    texts = {"route", "route_reason", "review", "excluded", "channel", "state", "provider"}
    types = {name: pl.Binary if name == "token" else pl.String if name in texts else pl.Int64 for name in columns}
    return pl.DataFrame(rows, schema=types, orient="row")
