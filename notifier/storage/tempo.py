"""How fast attempts were begun lately: a look at the last rows, along the primary key, whatever their number."""

from __future__ import annotations

import sqlite3

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_LAST = 2000  # attempts
_OF_PROVIDER = (
    "SELECT COUNT(*), MIN(latest.started_ms) FROM "
    "(SELECT delivery_id, started_ms FROM attempts ORDER BY id DESC LIMIT :last) AS latest "
    "JOIN deliveries d ON d.id = latest.delivery_id WHERE d.provider = :provider AND latest.started_ms >= :since"
)
_ALL = "SELECT started_ms FROM attempts ORDER BY id DESC LIMIT :last"
_FIRST = "SELECT started_ms FROM attempts ORDER BY id LIMIT 1"


def of_provider(connection: sqlite3.Connection, provider: str, *, since_ms: int) -> tuple[int, int]:
    """How many of the last attempts went to this provider since then, and when the first was begun (0: none)."""
    values = {"last": _LAST, "provider": provider, "since": since_ms}
    count, first = connection.execute(_OF_PROVIDER, values).fetchone()
    return int(count), int(first or 0)


async def lately(connection: AsyncConnection) -> list[int]:
    """When the last attempts were begun, in milliseconds since 1970 UTC, the first of them first."""
    # Rows come in the order in which attempts ended.
    return sorted((await connection.execute(text(_ALL), {"last": _LAST})).scalars())


def first(connection: sqlite3.Connection) -> int | None:
    """When the campaign's first attempt was begun; None before that."""
    row = connection.execute(_FIRST).fetchone()
    return None if row is None else int(row[0])


async def told_first(connection: AsyncConnection) -> int | None:
    """:func:`first`, for who only looks."""
    row = (await connection.execute(text(_FIRST))).one_or_none()
    return None if row is None else int(row[0])
