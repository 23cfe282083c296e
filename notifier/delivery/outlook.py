"""The forecast of a campaign as it stands: what waits and what holds it back, read in one snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

from notifier.campaign import Settings
from notifier.delivery.forecast import Backlog, Brakes, Forecast, project
from notifier.delivery.lanes import Lane, opened
from notifier.delivery.limits import CANARY, Limits
from notifier.delivery.paces import Paces
from notifier.delivery.replies import load_rules
from notifier.model import from_ms, to_ms
from notifier.storage import backlog, campaigns, counters, lanes, tempo
from notifier.storage.database import Connection

_LATELY_MS = 600_000  # of sending
_ENOUGH = 20  # attempts from which a rate is told
# Between two attempts, when nobody was sending: a pause, a night, lanes that all rest. What is shorter belongs to the
# sending and will come again: a relay that stalls, a session that is opened anew (up to 30 s between two tries).
_BREAK_MS = 30_000
_BREAK_TIMES = 10  # and so many times what is usual: who sends one a minute makes no breaks


async def look_ahead(connection: Connection, settings: Settings, folder: Path, now: datetime) -> Forecast:
    """When what is planned and has not gone out will have, under the settings as they are now."""
    limits = Limits.of(settings)
    kept = {row.provider: Lane(*row) for row in await lanes.listed(connection)}
    # Like a paused campaign: when somebody opens it is not known, and what it would then be is.
    stopped = sorted(name for name, lane in kept.items() if lane.is_paused)
    kept |= {name: opened(kept[name]) for name in stopped}
    paces = Paces.of(settings, load_rules(folder))
    waiting = [
        Backlog(row.provider, max(from_ms(row.due_ms), now, _opens(kept.get(row.provider))), row.messages)
        for row in await backlog.waiting(connection, to_ms(now))
    ]
    rates = {name: paces.rate(name, kept.get(name)) for name in {*paces.rates, *kept}}
    relay = settings.relay.rate or None
    observed = await _observed(connection) if relay is None else None
    first_ms = await tempo.told_first(connection)
    brakes = Brakes(
        limits,
        relay=relay or observed,
        observed=observed is not None,
        rates={name: rate for name, rate in rates.items() if rate is not None},
        begun=await counters.told(connection, limits.counters(now, canary=False)),
        first=None if first_ms is None else from_ms(first_ms),
        canary=await _canary_left(connection, limits),
        paused=await campaigns.paused(connection) is not None,
        stopped=stopped,
        slowed={name: lane.factor for name, lane in kept.items() if lane.factor < 1.0},
    )
    return project(waiting, brakes, now)


def _opens(lane: Lane | None) -> datetime:
    return from_ms(0 if lane is None else lane.until_ms)


async def _observed(connection: Connection) -> float | None:
    """Messages per second in the last minutes of sending, whenever they were; None if too few were sent to tell."""
    return rate_while_sending(await tempo.lately(connection))


def rate_while_sending(begun_ms: Sequence[int]) -> float | None:
    """Attempts per second, of ascending instants, over the last ten minutes in which they followed one another: breaks
    are no part of them. None for too few. Pure."""
    gaps = [after - before for before, after in pairwise(begun_ms)]
    if len(gaps) < _ENOUGH - 1:
        return None
    longest = max(_BREAK_MS, _BREAK_TIMES * median(gaps))
    spent = number = 0
    for gap in reversed(gaps):
        if spent >= _LATELY_MS and number >= _ENOUGH:
            break
        if gap <= longest:
            spent, number = spent + gap, number + 1
    return number * 1000 / spent if spent else None


async def _canary_left(connection: Connection, limits: Limits) -> int:
    if not limits.canary or await campaigns.canary(connection):
        return 0
    begun = await counters.told(connection, [CANARY])
    return max(0, limits.canary - begun.get(CANARY, 0))
