"""When a batch would have gone out, from its number of messages and the pace that campaign.toml sets. Pure.

A lower bound, said as such: replies "later" (4xx), pauses and letters are not in it. It counts from the opening of the
first day, so that the same campaign gives the same dossier whenever it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta

HOUR, DAY = 3600, 86_400


@dataclass(frozen=True, slots=True)
class Span:
    """Within one local day, in seconds after midnight."""

    opens: int = 0
    closes: int = DAY

    @classmethod
    def of(cls, hours: str) -> Span:
        """``"08:00-20:00"``; "" = the whole day."""
        if not hours:
            return cls()
        first, last = (time.fromisoformat(part.strip()) for part in hours.split("-"))
        return cls(_second(first), _second(last))

    def open_seconds(self, hour: int) -> int:
        """How long of this hour (0 … 23) is open."""
        return max(0, min(self.closes, (hour + 1) * HOUR) - max(self.opens, hour * HOUR))


@dataclass(frozen=True, slots=True)
class Projection:
    """``days``: local days on which something is sent, the last included; ``ends``: seconds after midnight of that last
    day; ``seconds``: from the opening of the first day to the end, nights included."""

    days: int
    ends: int
    seconds: int

    def latest_start(self, by: date) -> date:
        """The last day on which sending may begin for everything to have gone out on the day ``by``."""
        return by - timedelta(days=max(0, self.days - 1))


def project(
    messages: int,
    *,
    rate: float | None,
    hours: str,
    per_hour: int | None,
    per_day: int | None,
    warm_up: Sequence[int] = (),
) -> Projection | None:
    """``rate``: messages per second, None or 0 = no limit; ``per_hour``, ``per_day``: what the helpline bears (None =
    no cap); ``warm_up``: caps of the first days. None when nothing but the relay itself limits the pace: then nobody
    can say."""
    span = Span.of(hours)
    if messages <= 0:
        return Projection(0, span.opens, 0)
    capacities = [_capacity(span.open_seconds(hour), rate, per_hour) for hour in range(24)]
    per_day_at_most = min(sum(capacities), per_day if per_day is not None else math.inf)
    before = 0  # days of the warm-up that are full
    for cap in warm_up:
        if messages <= (most := min(per_day_at_most, cap)):
            return _ending(before + 1, _reached(messages, capacities, rate, most, span), span)
        messages, before = messages - math.floor(most), before + 1
    if per_day_at_most == math.inf:
        return None
    if per_day_at_most < 1:  # a pace so slow that a day passes between two messages
        if not rate or (per_day is not None and per_day < 1):
            return None
        days = math.ceil(messages / (rate * (span.closes - span.opens)))
        return _ending(before + days, span.closes, span)
    full = math.ceil(messages / per_day_at_most) - 1
    left = messages - full * per_day_at_most
    return _ending(before + full + 1, _reached(left, capacities, rate, per_day_at_most, span), span)


def _reached(left: float, capacities: Sequence[float], rate: float | None, per_day: float, span: Span) -> int:
    """Seconds after midnight at which the last ``left`` of a day have gone out."""
    for hour, capacity in enumerate(capacities):
        if left <= capacity and capacity:
            begins = max(span.opens, hour * HOUR)
            # Without a rate the messages of an hour are spread over it, or those of a day over the day: the cap is the
            # helpline's or the warm-up's, not the relay's.
            open_seconds = span.open_seconds(hour) if math.isfinite(capacity) else span.closes - span.opens
            pace = rate or (capacity if math.isfinite(capacity) else per_day) / open_seconds
            return begins + math.ceil(left / pace)
        left -= capacity
    return span.closes


def _ending(days: int, ends: int, span: Span) -> Projection:
    ends = min(ends, span.closes)
    return Projection(days, ends, (days - 1) * DAY + ends - span.opens)


def _capacity(open_seconds: int, rate: float | None, per_hour: int | None) -> float:
    """How many messages fit into an hour."""
    if not open_seconds:
        return 0
    by_rate = math.floor(rate * open_seconds) if rate else math.inf
    return min(by_rate, per_hour if per_hour is not None else math.inf)


def _second(at: time) -> int:
    return at.hour * HOUR + at.minute * 60 + at.second
