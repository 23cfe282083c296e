"""Queries on the campaign's own row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.model import from_ms


@dataclass(frozen=True, slots=True)
class Paused:
    """Why nothing is claimed, and since when."""

    reason: str
    since: datetime


async def paused(connection: AsyncConnection) -> Paused | None:
    """The pause that holds now, if one does."""
    row = (await connection.execute(text("SELECT paused_reason, paused_ms FROM campaign WHERE id = 1"))).one()
    return Paused(row.paused_reason, from_ms(row.paused_ms)) if row.paused_reason is not None else None


async def canary(connection: AsyncConnection) -> str:
    """As :func:`notifier.storage.counters.canary`, for who only looks."""
    return str((await connection.execute(text("SELECT canary FROM campaign WHERE id = 1"))).scalar_one())


async def pause(connection: AsyncConnection, reason: str, now_ms: int) -> bool:
    """Pause. False: it was paused already, and keeps its first reason."""
    changed = await connection.execute(
        text("UPDATE campaign SET paused_reason = :reason, paused_ms = :now WHERE id = 1 AND paused_reason IS NULL"),
        {"reason": reason, "now": now_ms},
    )
    return changed.rowcount == 1


async def resume(connection: AsyncConnection) -> bool:
    """Allow claims again; whoever resumes after the canary has passed it for good. False: it was not paused."""
    changed = await connection.execute(
        text(
            "UPDATE campaign SET paused_reason = NULL, paused_ms = NULL, "
            "canary = CASE WHEN canary = 'reached' THEN 'passed' ELSE canary END "
            "WHERE id = 1 AND paused_reason IS NOT NULL"
        )
    )
    return changed.rowcount == 1
