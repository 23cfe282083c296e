"""How long the real thing would take, at the pace that was measured and under the pace that is set. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from notifier.campaign import Settings

MOST_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Projection:
    """``messages``: of this many persons, as in the drill; ``per_hour``: the narrowest of what was measured and what
    is set, ``narrowed_by`` says which; ``end``: begun at ``start``, None beyond ten years."""

    persons: int
    messages: int
    per_hour: float
    narrowed_by: str
    start: datetime
    end: datetime | None

    def late(self, notify_by: date | None) -> bool:
        """Whether that is after the day by which everybody must have been written to."""
        return notify_by is not None and (self.end is None or self.end.date() > notify_by)


def project(
    settings: Settings, *, persons: int, share: float, measured_per_second: float, start: datetime
) -> Projection:
    """``share``: messages per person; ``start``: aware, in the campaign's time zone."""
    messages = round(persons * share)
    bounds = {"mesuré": measured_per_second * 3600}
    if settings.relay.rate:
        bounds["relay.rate"] = settings.relay.rate * 3600
    if settings.pace.hotline_per_hour:
        bounds["pace.hotline_per_hour"] = float(settings.pace.hotline_per_hour)
    narrowed_by = min(bounds, key=lambda name: bounds[name])
    per_hour = bounds[narrowed_by]
    opens, closes = _hours(settings.pace.hours)
    end = _end(messages, per_hour, start, opens, closes, settings.pace.hotline_per_day)
    return Projection(persons, messages, per_hour, narrowed_by, start, end)


def _hours(hours: str) -> tuple[time, time]:
    if not hours:
        return time.min, time.max
    first, last = (time.fromisoformat(part.strip()) for part in hours.split("-"))
    return first, last


def _end(
    messages: int, per_hour: float, start: datetime, opens: time, closes: time, per_day: int | None
) -> datetime | None:
    """Day by day: what the open hours and the day's cap let out."""
    if per_hour <= 0:
        return None
    left, at = float(messages), start
    for _ in range(MOST_DAYS):
        begin = max(at, datetime.combine(at.date(), opens, at.tzinfo))
        finish = datetime.combine(at.date(), closes, at.tzinfo)
        if begin < finish:
            hours = (finish - begin).total_seconds() / 3600
            room = min(hours * per_hour, float(per_day) if per_day else float("inf"))
            if left <= room:
                return begin + timedelta(hours=left / per_hour)
            left -= room
        at = datetime.combine(at.date() + timedelta(days=1), time.min, at.tzinfo)
    return None
