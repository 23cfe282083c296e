"""Queries on what the database would give as its head (journal/head.py)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class HeadRow:
    """The last checkpoint, and the counts beside it; size 0 and no root before the first."""

    size: int
    root: bytes
    epoch: int
    host: str
    batches: int
    attempts: int


async def standing(connection: AsyncConnection) -> HeadRow:
    """Of one snapshot."""
    row = (
        await connection.execute(
            text(
                # The highest number, not the count: attempts are millions, and this is asked once a second.
                "SELECT c.sender_epoch, c.sender_host, (SELECT COUNT(*) FROM batches) AS batches, "
                "(SELECT COALESCE(MAX(id), 0) FROM attempts) AS attempts, k.tree_size, k.root "
                "FROM campaign c LEFT JOIN (SELECT tree_size, root FROM checkpoints ORDER BY tree_size DESC LIMIT 1) k "
                "ON TRUE WHERE c.id = 1"
            )
        )
    ).one()
    return HeadRow(row.tree_size or 0, row.root or b"", row.sender_epoch, row.sender_host, row.batches, row.attempts)


async def holds(connection: AsyncConnection, size: int, root: bytes) -> bool:
    """Whether there is a checkpoint over the first ``size`` entries with this root."""
    rows = await connection.execute(
        text("SELECT 1 FROM checkpoints WHERE tree_size = :size AND root = :root"), {"size": size, "root": root}
    )
    return rows.first() is not None
