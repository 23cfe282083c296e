"""How sending goes, seen from another process: who sends, what waits in which lane, how fast it went lately.

Read-only, along indexes, in one snapshot: it runs beside a sender and blocks nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from notifier.delivery.lanes import Lane
from notifier.delivery.view import LaneView, lane_views
from notifier.model import to_ms, utc_text
from notifier.storage import flow, lanes
from notifier.storage.database import Connection
from notifier.storage.lock import Holder, holder


@dataclass(frozen=True, slots=True)
class Flow:
    """``sender``: the `send` at work; ``lanes``: in which something waits, or that rest; ``rate``: accepted per second
    in the last minute."""

    sender: Holder | None = None
    lanes: tuple[LaneView, ...] = ()
    rate: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Under `sending` in `status --json`."""
        sender = {"pid": self.sender.pid, "since": self.sender.since} if self.sender else None
        return {"sender": sender, "rate": round(self.rate, 2), "lanes": [lane_json(lane) for lane in self.lanes]}

    def lines(self) -> list[str]:
        """For a terminal."""
        if self.sender is None and not self.lanes:
            return []
        if self.sender:
            said = f"Sending: process {self.sender.pid} since {self.sender.since}"
        else:
            said = "Sending: nobody sends now"
        found = [f"{said}; {self.rate:.1f} accepted per second in the last minute"]
        for lane in self.lanes:
            share = f", at {lane.share:.0%} of its pace" if lane.share < 1 else ""
            rests = ", paused" if lane.paused else ", rests" if lane.until else ""
            found.append(f"  {lane.provider:12} {lane.waiting:>9}  wait, {lane.rate:.1f}/s{share}{rests}")
        return found


def lane_json(lane: LaneView) -> dict[str, Any]:
    """One lane. ``until``: null while it does not rest, and while it rests until somebody opens it (``paused``)."""
    return {
        "provider": lane.provider,
        "waiting": lane.waiting,
        "rate": round(lane.rate, 2),
        "share": lane.share,
        "until": utc_text(lane.until) if lane.until else None,
        "paused": lane.paused,
        "why": lane.why,
    }


def lane_line(lane: LaneView) -> str:
    """Why nothing is taken from it."""
    if lane.until is None:
        return f"Waits: the lane {lane.provider} is {lane.why} (`resume --provider {lane.provider}` opens it)"
    return (
        f"Waits: the lane {lane.provider} rests until {lane.until:%Y-%m-%d %H:%M} UTC: {lane.why} "
        f"(`resume --provider {lane.provider}` opens it before)"
    )


async def look(connection: Connection, folder: Path, now: datetime) -> Flow:
    """As it is now, in the caller's snapshot."""
    kept = {row.provider: Lane(*row) for row in await lanes.listed(connection)}
    rates = await flow.rates(connection, to_ms(now))
    views = lane_views(kept, await flow.waiting(connection), rates, to_ms(now))
    return Flow(holder(folder), views, sum(rates.values()))
