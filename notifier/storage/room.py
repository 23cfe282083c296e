"""Queries on how much is still to be written."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def mail_waiting(connection: AsyncConnection) -> int:
    """How many e-mails wait, approved or not."""
    rows = await connection.execute(
        text(
            # The list of waves lets SQLite use the index on (wave_id, state).
            "SELECT COUNT(*) FROM deliveries WHERE wave_id IN (SELECT id FROM waves) "
            "AND state IN ('queued', 'deferred') AND channel = 'mail'"
        )
    )
    return int(rows.scalar_one())
