"""Queries on counters of deliveries begun, by name (delivery/limits.py), in the transaction of the sender's cycle; and
on whether the canary has been passed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from sqlite3 import Connection

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_BEGUN = "SELECT name, number FROM begun WHERE name IN (SELECT value FROM json_each(:names))"


def begun(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """The counters of these names; those that never counted are not there."""
    rows = connection.execute(_BEGUN, {"names": json.dumps(list(names))})
    return {str(name): int(number) for name, number in rows}


async def told(connection: AsyncConnection, names: Sequence[str]) -> dict[str, int]:
    """:func:`begun`, for who only looks."""
    rows = await connection.execute(text(_BEGUN), {"names": json.dumps(list(names))})
    return {str(name): int(number) for name, number in rows}


def add(connection: Connection, numbers: Mapping[str, int]) -> None:
    """Count more under these names, or, below 0, give back; no counter falls below 0."""
    connection.executemany(
        "INSERT INTO begun (name, number) VALUES (:name, MAX(0, :more)) "
        "ON CONFLICT (name) DO UPDATE SET number = MAX(0, number + :more)",
        [{"name": name, "more": more} for name, more in numbers.items() if more],
    )


def canary(connection: Connection) -> str:
    """ "" (on its way), "reached" (the campaign paused for it), "passed"."""
    return str(connection.execute("SELECT canary FROM campaign WHERE id = 1").fetchone()[0])


def reach_canary(connection: Connection) -> None:
    """The campaign was paused for it."""
    connection.execute("UPDATE campaign SET canary = 'reached' WHERE id = 1 AND canary = ''")
