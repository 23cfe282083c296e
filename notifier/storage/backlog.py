"""What waits to go out by mail, counted from rows by provider and by the hour from which it may."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_HOUR_MS = 3_600_000
_WAITING = """
    SELECT provider, CASE WHEN state = 'sending' OR due_ms <= :now THEN 0 ELSE (due_ms / :hour + 1) * :hour END AS due,
    COUNT(*) FROM deliveries WHERE channel = 'mail' AND (state IN ('queued', 'deferred', 'sending')
    OR (state = 'in_doubt' AND due_ms > 0)) GROUP BY provider, due ORDER BY provider, due"""


class Waiting(NamedTuple):
    """``due_ms``: 0 = now; else the end of the hour in which it comes due."""

    provider: str
    due_ms: int
    messages: int


async def waiting(connection: AsyncConnection, now_ms: int) -> list[Waiting]:
    """Approved or not; resends after a doubt included."""
    rows = await connection.execute(text(_WAITING), {"now": now_ms, "hour": _HOUR_MS})
    return [Waiting(str(provider), int(due), int(messages)) for provider, due, messages in rows]
