"""Storing: batches of rows are read, made into records and stored, each step in a thread of its own.

The three steps overlap: parsing and storing are done by engines that leave the interpreter free, so that a machine with
two cores is busy on both. Order is kept, and memory is bounded by the few batches that wait between two steps.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import polars as pl

from notifier.intake.professionals import CONTACTS
from notifier.intake.records import Batch, FileContext
from notifier.intake.rejections import RejectionsFile
from notifier.intake.rows import Rows
from notifier.storage import imports, persons, staging
from notifier.storage import rejections as rejected_rows
from notifier.storage.database import Database
from notifier.storage.staging import Staging

UNKNOWN_SENDERS = 1000  # names; a file with more has the wrong column, and need not be read to its end
AHEAD = 2  # batches that wait between two steps
_PATIENCE = 0.1  # seconds between two looks at whether anybody still waits

T = TypeVar("T")

Make = Callable[[Rows, FileContext], Batch | Callable[[], Batch]]
"""Turns rows into a batch, at once or in two steps; the second overlaps with the first of the next rows."""


@contextlib.contextmanager
def ahead(source: Iterator[T]) -> Iterator[Iterator[T]]:
    """``source``, run in a thread of its own, at most AHEAD items before they are asked for. Its exception is raised
    where its item would have come. The thread has ended when the block is left."""
    waiting: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(AHEAD)
    left = threading.Event()

    def put(item: tuple[T] | BaseException | None) -> bool:
        while not left.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put(item, timeout=_PATIENCE)
                return True
        return False

    def work() -> None:
        try:
            for item in source:
                if not put((item,)):
                    return
            put(None)
        except BaseException as error:
            put(error)

    def given() -> Iterator[T]:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]

    thread = threading.Thread(target=work, name="intake", daemon=True)
    thread.start()
    try:
        yield given()
    finally:
        left.set()
        thread.join()


async def store(
    database: Database,
    import_id: int,
    batches: Iterator[Rows],
    make: Make,
    reading: FileContext,
    rejected: RejectionsFile,
) -> tuple[int, int]:
    """Records and rejections stored. From the first unknown sender on, rows are only counted: the file will not do.
    When all are stored and the campaign holds nobody yet, the staging file is settled."""
    records = rejections = 0
    sets: dict[str, int] = {}
    # A directory's rows are contacts and stand where they stay.
    waiting = None if reading.profile.kind == "directory" else await _open_staging(database, import_id)
    try:
        with (
            ahead(batches) as read,
            ahead(make(rows, reading) for rows in read) as begun,
            ahead(batch if isinstance(batch, Batch) else batch() for batch in begun) as made,
        ):
            while (batch := await asyncio.to_thread(next, made, None)) is not None:
                records += batch.kept
                rejections += len(batch.rejections)
                reading.tally.take(batch)
                if not reading.senders.unknown:
                    await _write(database, import_id, batch, sets)
                    rejected.add(batch.rejections)
                    if waiting is not None:
                        await asyncio.to_thread(waiting.add, _numbered(batch.records, sets))
                elif len(reading.senders.unknown) > UNKNOWN_SENDERS:
                    break
        if waiting is not None and records and not reading.senders.unknown and await _is_first(database):
            await asyncio.to_thread(waiting.settle)
    finally:
        if waiting is not None:
            await asyncio.to_thread(waiting.close)
    return records, rejections


async def _open_staging(database: Database, import_id: int) -> Staging:
    async with database.read() as connection:
        declared = await staging.declared(connection)
    return Staging(database.path, import_id, declared)


async def _is_first(database: Database) -> bool:
    async with database.read() as connection:
        return await persons.is_empty(connection)


async def _write(database: Database, import_id: int, batch: Batch, sets: dict[str, int]) -> None:
    """What of a batch stands in the campaign's own tables, under an import that does not count yet."""
    new = set(batch.records["exposures"].unique()) - sets.keys()
    if new or batch.contacts or batch.rejections:
        async with database.write() as connection:
            if new:
                sets |= await imports.exposure_sets(connection, sorted(new))
            await imports.insert_contacts(connection, import_id, CONTACTS, batch.contacts)
            await rejected_rows.insert(connection, import_id, batch.rejections)


def _numbered(records: pl.DataFrame, sets: dict[str, int]) -> pl.DataFrame:
    """The records with the ids of their sets of exposures."""
    if records.is_empty():
        return records
    ids = pl.col("exposures").replace_strict(list(sets), list(sets.values()), return_dtype=pl.Int64)
    return records.with_columns(ids.alias("exposure_set_id"))
