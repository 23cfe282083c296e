"""The hot path's own connection: one sqlite3 connection on one thread, a handful of fixed SQL statements.

Promises: :meth:`Cycle.write` runs its work in one transaction and returns after COMMIT with ``synchronous=FULL``. That
return is the commit point of sending: a claim it brings back is durable, so its first byte may go out; an outcome it
recorded survives a power cut. If it raises, nobody knows whether the commit held; the next sender finds out.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from notifier.errors import TryLater
from notifier.model import Entry, Written
from notifier.storage.database import PRAGMAS
from notifier.storage.failures import failure
from notifier.storage.journal import SALT_BYTES

LOCKED_SECONDS = 300.0  # a locked database is waited for, beyond its busy timeout
RETRY_SECONDS = 0.2

T = TypeVar("T")

# What rooms call the transaction of a cycle.
Connection = sqlite3.Connection


class Cycle:
    """An open connection. Use :func:`open_cycle`; it also closes. One call at a time."""

    def __init__(self, executor: ThreadPoolExecutor, connection: sqlite3.Connection) -> None:
        self._executor = executor
        self._connection = connection

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """``work`` in one durable transaction; rolled back if it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, transact, self._connection, work)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """``work`` on one consistent snapshot."""
        reading = partial(transact, self._connection, work, mode="DEFERRED")
        return await asyncio.get_running_loop().run_in_executor(self._executor, reading)


def transact(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T], mode: str = "IMMEDIATE") -> T:
    """``work`` in one transaction, durable when this returns; rolled back if it raises."""
    try:
        # IMMEDIATE takes the write lock here, where the busy timeout waits for it.
        _begin(connection, mode)
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException as error:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise failure(error) from error
        raise
    return result


def _begin(connection: sqlite3.Connection, mode: str) -> None:
    """Begin, however long another program holds the lock within LOCKED_SECONDS: a plan of a country's persons takes
    longer than the busy timeout, and is no reason to stop sending. Nothing has been done yet, so that it can be tried
    again; anything later is not."""
    try:
        connection.execute(f"BEGIN {mode}")
    except sqlite3.OperationalError as error:
        if not isinstance(failure(error), TryLater):
            raise
        from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

        locked = retry_if_exception(lambda each: isinstance(failure(each), TryLater))
        waits = wait_random(0.0, RETRY_SECONDS)
        for attempt in Retrying(retry=locked, stop=stop_after_delay(LOCKED_SECONDS), wait=waits, reraise=True):
            with attempt:
                connection.execute(f"BEGIN {mode}")


def connect(path: Path) -> sqlite3.Connection:
    """A connection for :func:`transact`, to be used from this thread alone."""
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=64)
    for pragma in PRAGMAS:
        connection.execute(pragma)
    return connection


@asynccontextmanager
async def open_cycle(path: Path) -> AsyncIterator[Cycle]:
    """A connection of its own to the database at ``path``, used from its own thread alone."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="cycle") as executor:
        try:
            connection = await loop.run_in_executor(executor, connect, path)
        except sqlite3.Error as error:
            raise failure(error) from error
        try:
            yield Cycle(executor, connection)
        finally:
            executor.submit(connection.close).result()


def append(connection: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    """storage.journal.append on this connection: in order, in the caller's transaction, each with a random salt."""
    append_written(connection, [entry.written() for entry in entries])


def append_written(connection: sqlite3.Connection, entries: Sequence[Written]) -> None:
    """:func:`append` of entries whose bytes are there."""
    if not entries:
        return
    salts = secrets.token_bytes(SALT_BYTES * len(entries))
    connection.executemany(
        "INSERT INTO entries (salt, kind, subject, delivery_id, body) VALUES (?, ?, ?, ?, ?)",
        [(salts[SALT_BYTES * place : SALT_BYTES * (place + 1)], *written) for place, written in enumerate(entries)],
    )
