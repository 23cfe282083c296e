"""What whoever watches a run sees: lanes, rates, why something waits, when it will be done. Pure; seconds are those of
a clock that never goes back."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifier.delivery.lanes import Lane
from notifier.model import from_ms

WINDOW_SECONDS = 30.0  # over which "now" is meant
LEAST_SECONDS = 1.0  # before a rate is told


@dataclass(frozen=True, slots=True)
class LaneView:
    """One provider's lane. ``waiting``: approved mail that is queued or deferred; ``rate``: accepted per second lately;
    ``until``: it rests until then (None: it does not, or somebody paused it); ``why``: of the rest or the pause;
    ``share``: of the provider's pace that is used since it asked for less."""

    provider: str
    waiting: int = 0
    rate: float = 0.0
    until: datetime | None = None
    why: str = ""
    share: float = 1.0
    paused: bool = False

    @property
    def rests(self) -> bool:
        """Whether nothing is taken from it."""
        return self.paused or self.until is not None


def lane_views(
    kept: Mapping[str, Lane], waiting: Mapping[str, int], rates: Mapping[str, float], now_ms: int
) -> tuple[LaneView, ...]:
    """The lanes in which something waits or that rest: those that rest first, then by what waits."""
    found = []
    for provider in {*waiting, *(name for name, lane in kept.items() if lane.rests(now_ms))}:
        lane = kept.get(provider) or Lane(provider)
        until = from_ms(lane.until_ms) if lane.rests(now_ms) and not lane.is_paused else None
        found.append(
            LaneView(
                provider,
                waiting.get(provider, 0),
                rates.get(provider, 0.0),
                until,
                lane.why if lane.rests(now_ms) else "",
                lane.factor,
                lane.is_paused,
            )
        )
    return tuple(sorted(found, key=lambda view: (not view.rests, -view.waiting, view.provider)))


class Meter:
    """How fast counters grow: over the last ``WINDOW_SECONDS``, and since the first reading."""

    def __init__(self) -> None:
        self._first: tuple[float, Mapping[str, int]] | None = None
        self._readings: deque[tuple[float, Mapping[str, int]]] = deque()

    def read(self, seconds: float, counts: Mapping[str, int]) -> None:
        """The counters at this moment."""
        reading = (seconds, dict(counts))
        self._first = self._first or reading
        self._readings.append(reading)
        while len(self._readings) > 2 and self._readings[1][0] <= seconds - WINDOW_SECONDS:
            self._readings.popleft()

    def now(self, name: str) -> float:
        """Per second, lately."""
        return self._since(self._readings[0], name) if self._readings else 0.0

    def mean(self, name: str) -> float:
        """Per second, since the first reading."""
        return self._since(self._first, name) if self._first else 0.0

    def _since(self, reading: tuple[float, Mapping[str, int]], name: str) -> float:
        seconds, counts = self._readings[-1]
        if (passed := seconds - reading[0]) < LEAST_SECONDS:
            return 0.0
        return (counts.get(name, 0) - reading[1].get(name, 0)) / passed


def ends_at(left: int, rate: float, now: datetime) -> datetime | None:
    """When ``left`` messages are out at this rate and nothing in between; None: nobody can say. Hours, caps and what
    other providers allow are the forecast's, not this figure's."""
    if left <= 0 or rate <= 0 or left / rate > 366 * 86400:
        return None
    return now + timedelta(seconds=left / rate)
