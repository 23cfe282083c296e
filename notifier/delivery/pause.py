"""Stop claiming; allow again. In-flight transactions are finished, nothing else is begun."""

from __future__ import annotations

from datetime import datetime

from notifier.model import Entry, to_ms
from notifier.storage import campaigns, cycle, deliveries
from notifier.storage.database import Database
from notifier.storage.journal import append


async def pause(database: Database, *, reason: str, by: str, now: datetime) -> bool:
    """Pause the campaign; a running sender stops within its in-flight transactions. False: it was paused already,
    and keeps its first reason."""
    async with database.write() as connection:
        if not await campaigns.pause(connection, reason, to_ms(now)):
            return False
        await append(connection, [Entry(now, "campaign_paused", facts={"reason": reason, "by": by})])
    return True


async def resume(database: Database, *, by: str, now: datetime) -> bool:
    """Allow claims again; what failed by our own fault is due at once. False: the campaign was not paused."""
    async with database.write() as connection:
        if not await campaigns.resume(connection):
            return False
        await append(connection, [Entry(now, "campaign_resumed", facts={"by": by})])
    return True


def pause_now(connection: cycle.Connection, *, reason: str, by: str, now: datetime) -> None:
    """:func:`pause` in the sender's own transaction: a fault of ours and the stop it causes commit together."""
    if deliveries.pause(connection, reason, to_ms(now)):
        cycle.append(connection, [Entry(now, "campaign_paused", facts={"reason": reason, "by": by})])
