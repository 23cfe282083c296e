"""How fast attempts were begun lately: a look at the last rows, along the primary key, whatever their number."""

from __future__ import annotations

import sqlite3

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_LAST = 2000  # attempts that are looked at
_OF_LAST = "(SELECT * FROM attempts ORDER BY id DESC LIMIT :last) AS latest"
# Left out: the answer that comes late to an attempt that is counted already; and what `recover` writes down for one
# that nobody saw (restored.add_attempts), which alone is in doubt in the instant in which it begins.
_WAS_MADE = "latest.late = FALSE AND NOT (latest.outcome = 'in_doubt' AND latest.started_ms = latest.ended_ms)"
_OF_PROVIDER = (
    f"SELECT COUNT(*), MIN(latest.started_ms) FROM {_OF_LAST} JOIN deliveries d ON d.id = latest.delivery_id "  # noqa: S608
    f"WHERE {_WAS_MADE} AND d.provider = :provider AND latest.started_ms >= :since"
)
_ALL = f"SELECT latest.started_ms FROM {_OF_LAST} WHERE {_WAS_MADE}"  # noqa: S608
_FIRST = "SELECT first_attempt_ms FROM campaign WHERE id = 1"


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
    """When the campaign's first attempt was begun (deliveries.add_attempts keeps it); None before one has ended."""
    (first_ms,) = connection.execute(_FIRST).fetchone()
    return None if first_ms is None else int(first_ms)


async def told_first(connection: AsyncConnection) -> int | None:
    """:func:`first`, for who only looks."""
    first_ms = (await connection.execute(text(_FIRST))).scalar_one()
    return None if first_ms is None else int(first_ms)
