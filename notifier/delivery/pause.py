"""Stop claiming; allow again. In-flight transactions are finished, nothing else is begun."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import astuple
from datetime import datetime

from notifier.delivery.lanes import Lane, opened, paused
from notifier.delivery.rules import OTHER
from notifier.errors import OperatorError
from notifier.model import Entry, to_ms
from notifier.storage import campaigns, cycle, deliveries, lanes
from notifier.storage.database import Database
from notifier.storage.journal import append
from notifier.vault import redact


async def pause(database: Database, *, reason: str, by: str, now: datetime) -> bool:
    """Pause the campaign; a running sender stops within its in-flight transactions. False: it was paused already,
    and keeps its first reason. What looks like somebody's address or number in ``reason`` is taken out (I8)."""
    said = redact(reason)
    async with database.write() as connection:
        if not await campaigns.pause(connection, said, to_ms(now)):
            return False
        await append(connection, [Entry(now, "campaign_paused", facts={"reason": said, "by": by})])
    return True


async def resume(database: Database, *, by: str, now: datetime) -> bool:
    """Allow claims again; what failed by our own fault is due at once. False: the campaign was not paused."""
    async with database.write() as connection:
        if not await campaigns.resume(connection):
            return False
        await append(connection, [Entry(now, "campaign_resumed", facts={"by": by})])
    return True


async def pause_lane(
    database: Database, provider: str, *, known: Collection[str], reason: str, by: str, now: datetime
) -> bool:
    """Take nothing more from a provider's lane until somebody opens it; a running sender stops with its next cycle.
    ``known``: the providers that there are, beside *other*. False: it was paused already, and keeps its first reason.
    What looks like somebody's address or number in ``reason`` is taken out (I8). Raises OperatorError for a provider
    that nobody knows."""
    said = redact(reason)
    if provider != OTHER and provider not in known:
        raise OperatorError(f"there is no provider {provider!r} (there are: {', '.join(sorted([*known, OTHER]))})")
    async with database.write() as connection:
        kept = {row.provider: Lane(*row) for row in await lanes.listed(connection)}
        lane = kept.get(provider) or Lane(provider)
        if lane.is_paused:
            return False
        await lanes.change(connection, lanes.LaneRow(*astuple(paused(lane, said))))
        facts = {"provider": provider, "reason": said, "by": by}
        await append(connection, [Entry(now, "lane_paused", facts=facts)])
    return True


async def open_lane(database: Database, provider: str, *, by: str, now: datetime) -> bool:
    """Use a provider's lane again before its time, at the full pace; a running sender takes from it with its next
    cycle. False: it does not rest, and has its pace. Raises OperatorError when no such provider was ever told to
    wait."""
    async with database.write() as connection:
        kept = {row.provider: Lane(*row) for row in await lanes.listed(connection)}
        if provider not in kept:
            known = ", ".join(kept) or "none"
            raise OperatorError(f"no lane {provider!r} was ever closed (those that were: {known})")
        lane = kept[provider]
        await lanes.change(connection, lanes.LaneRow(*astuple(opened(lane))))
        if not lane.rests(to_ms(now)) and lane.factor >= 1.0:
            return False
        await append(connection, [Entry(now, "lane_opened", facts={"provider": provider, "by": by})])
    return True


def pause_now(connection: cycle.Connection, *, reason: str, by: str, now: datetime) -> bool:
    """:func:`pause` in the sender's own transaction: a fault of ours and the stop it causes commit together."""
    if not deliveries.pause(connection, reason, to_ms(now)):
        return False
    cycle.append(connection, [Entry(now, "campaign_paused", facts={"reason": reason, "by": by})])
    return True
