"""Queries on how messages flow, for who watches: what waits in each lane, what was accepted lately, what is not sealed.

They run beside a sender (WAL: a reader blocks nobody) and again and again: each walks along one index, or over the last
few thousand rows.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

LATELY_MS = 60_000
_LAST = 5_000  # attempts that are looked at

# The words of the partial index deliveries_lane.
_WAITING = (
    "SELECT provider, COUNT(*) FROM deliveries INDEXED BY deliveries_lane WHERE channel = 'mail' "
    "AND state IN ('queued', 'deferred') AND batch_id IS NOT NULL GROUP BY provider"
)
_LATELY = (
    "SELECT d.provider, COUNT(*), MIN(a.ended_ms) FROM attempts a JOIN deliveries d ON d.id = a.delivery_id "
    "WHERE a.id > (SELECT COALESCE(MAX(id), 0) - :last FROM attempts) AND a.ended_ms > :since "
    "AND a.outcome = 'accepted' GROUP BY d.provider"
)
_STATES = "SELECT state, COUNT(*) FROM deliveries GROUP BY wave_id, state"
_UNSEALED = (
    "SELECT COUNT(*) FROM entries WHERE id > "
    "COALESCE((SELECT entry_id FROM leaves ORDER BY leaf_index DESC LIMIT 1), 0)"
)


async def waiting(connection: AsyncConnection) -> dict[str, int]:
    """By provider: approved mail that is queued or deferred."""
    found = await connection.execute(text(_WAITING))
    return {str(provider): int(count) for provider, count in found}


async def rates(connection: AsyncConnection, now_ms: int) -> dict[str, float]:
    """By provider: messages accepted per second in the last minute, or in as much of it as the last attempts reach
    back."""
    found = (await connection.execute(text(_LATELY), {"since": now_ms - LATELY_MS, "last": _LAST})).all()
    if not found:
        return {}
    seconds = max(1.0, (now_ms - min(first for _, _, first in found)) / 1000)
    return {str(provider): count / seconds for provider, count, _ in found}


async def states(connection: AsyncConnection) -> dict[str, int]:
    """By state: all deliveries, of every round."""
    counts: dict[str, int] = {}
    for state, count in await connection.execute(text(_STATES)):
        counts[state] = counts.get(state, 0) + count
    return counts


async def unsealed(connection: AsyncConnection) -> int:
    """Journal entries that no checkpoint covers yet."""
    return int((await connection.execute(text(_UNSEALED))).scalar_one())
