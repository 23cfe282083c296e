"""Temporary tables, and room for them: what the set-based passes over a whole campaign share."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

CACHE_MEGABYTES = 256
TEMPORARY_MEGABYTES = 64  # beyond it, temporary tables go to a file that the system removes
PART = 2_000  # rows fetched at once while streaming


async def fresh(connection: AsyncConnection, table: str, columns: str) -> None:
    """An empty temporary table, whatever an earlier transaction on this connection left. Columns are typed as SQLite
    types them (PostgreSQL will say BYTEA for BLOB)."""
    await connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
    await connection.execute(text(f"CREATE TEMPORARY TABLE {table} ({columns})"))


async def make_room(connection: AsyncConnection) -> None:
    """A page cache for passes that jump through indexes by digest: with SQLite's own 2 MB they wait for pages. Memory
    is taken as pages are read, so a small campaign takes little."""
    await connection.execute(text(f"PRAGMA temp.cache_size = -{TEMPORARY_MEGABYTES * 1024}"))
    await connection.execute(text(f"PRAGMA cache_size = -{CACHE_MEGABYTES * 1024}"))
