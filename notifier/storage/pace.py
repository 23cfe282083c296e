"""Queries on pace rows: one bucket per relay, and one per relay and provider; values in microseconds since 1970 UTC
(delivery/pace.py)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from sqlite3 import Connection


def stored(connection: Connection, name: str) -> int:
    """The bucket's value; 0 if nothing was ever sent."""
    row = connection.execute("SELECT next_us FROM pace WHERE name = :name", {"name": name}).fetchone()
    return int(row[0]) if row else 0


def stored_of(connection: Connection, names: Iterable[str]) -> dict[str, int]:
    """The values of these buckets; those of which nothing was ever sent are not there."""
    rows = connection.execute(
        "SELECT name, next_us FROM pace WHERE name IN (SELECT value FROM json_each(:names))",
        {"names": json.dumps(list(names))},
    )
    return {str(name): int(value) for name, value in rows}


def lease(connection: Connection, name: str, was: int, until: int) -> bool:
    """Move the bucket from ``was`` to ``until``, in the caller's transaction. False: somebody else moved it first."""
    changed = connection.execute(
        "INSERT INTO pace (name, next_us) VALUES (:name, :until) "
        "ON CONFLICT (name) DO UPDATE SET next_us = :until WHERE pace.next_us = :was",
        {"name": name, "was": was, "until": until},
    )
    return changed.rowcount == 1
