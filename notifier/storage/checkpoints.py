"""Queries on checkpoints. Insert-only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.model import to_ms


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A stored checkpoint. ``frontier``: journal.merkle.Frontier.dump of its ``tree_size`` leaves."""

    tree_size: int
    root: bytes
    frontier: bytes
    note: str


async def latest(connection: AsyncConnection) -> CheckpointRow | None:
    """The checkpoint with the most entries."""
    rows = await connection.execute(
        text("SELECT tree_size, root, frontier, note FROM checkpoints ORDER BY tree_size DESC LIMIT 1")
    )
    row = rows.one_or_none()
    return CheckpointRow(*row) if row else None


async def add(connection: AsyncConnection, row: CheckpointRow, *, reason: str, at: datetime) -> None:
    """Store a new checkpoint, in the transaction that inserts its leaves."""
    await connection.execute(
        text(
            "INSERT INTO checkpoints (tree_size, root, frontier, note, reason, at_ms) "
            "VALUES (:tree_size, :root, :frontier, :note, :reason, :at_ms)"
        ),
        {
            "tree_size": row.tree_size,
            "root": row.root,
            "frontier": row.frontier,
            "note": row.note,
            "reason": reason,
            "at_ms": to_ms(at),
        },
    )


async def notes(connection: AsyncConnection, size: int) -> AsyncIterator[tuple[int, bytes, str]]:
    """(tree size, root, note) of every checkpoint up to ``size`` entries, oldest first."""
    async with connection.stream(
        text("SELECT tree_size, root, note FROM checkpoints WHERE tree_size <= :size ORDER BY tree_size"),
        {"size": size},
    ) as rows:
        async for row in rows:
            yield row[0], row[1], row[2]
