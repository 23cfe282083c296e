"""Queries on lanes: what a provider's replies did to its pace (delivery/lanes.py). A provider without a row was never
told to wait. The sender reads and writes them in its own transaction; ``status`` and ``resume`` from another process.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


class LaneRow(NamedTuple):
    """One lane, times in milliseconds since 1970 UTC, in the order of delivery/lanes.Lane."""

    provider: str
    factor: float
    throttles: int
    until_ms: int
    since_ms: int
    why: str
    base: float


_ALL = "SELECT provider, factor, throttles, until_ms, since_ms, why, base FROM lanes ORDER BY provider"
_KEEP = (
    "INSERT INTO lanes (provider, factor, throttles, until_ms, since_ms, why, base) VALUES "
    "(:provider, :factor, :throttles, :until_ms, :since_ms, :why, :base) ON CONFLICT (provider) DO UPDATE SET "
    "factor = :factor, throttles = :throttles, until_ms = :until_ms, since_ms = :since_ms, why = :why, base = :base"
)


def kept(connection: sqlite3.Connection) -> list[LaneRow]:
    """All lanes that were ever told to wait."""
    return [LaneRow(*row) for row in connection.execute(_ALL)]


def keep(connection: sqlite3.Connection, rows: Sequence[LaneRow]) -> None:
    """Store these, in the caller's transaction."""
    connection.executemany(_KEEP, [row._asdict() for row in rows])


async def listed(connection: AsyncConnection) -> list[LaneRow]:
    """:func:`kept`, for who only looks."""
    return [LaneRow(*row) for row in await connection.execute(text(_ALL))]


async def change(connection: AsyncConnection, row: LaneRow) -> None:
    """Store one."""
    await connection.execute(text(_KEEP), row._asdict())
