"""When a campaign may send: sending hours, and the local hours and days that the helpline's caps count. Pure.

All instants are aware; local time is the campaign's zone. An hour or a day is the span between two instants, so that
the day on which the clocks change has 23 or 25 hours, and the hour that comes twice in autumn is two hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo


@dataclass(frozen=True, slots=True)
class Hours:
    """``[pace] hours``: from ``first`` until ``last``, local time, every day."""

    first: time
    last: time
    zone: tzinfo

    @classmethod
    def of(cls, text: str, zone: tzinfo) -> Hours | None:
        """``"08:00-20:00"``; None for "" (at any hour)."""
        if not text:
            return None
        first, last = (time.fromisoformat(part.strip()) for part in text.split("-"))
        return cls(first, last, zone)

    def opens(self, now: datetime) -> datetime:
        """The first instant from ``now`` on at which messages may go out: ``now`` itself within the hours."""
        day = now.astimezone(self.zone).date()
        for offset in range(3):
            opening, closing = self._span(day + timedelta(days=offset))
            if now < closing:
                return max(now, opening)
        raise AssertionError("some day has sending hours")

    def closes(self, now: datetime) -> datetime:
        """The instant at which the hours that ``now`` is in, or the next ones, end."""
        opening = self.opens(now)
        return self._span(opening.astimezone(self.zone).date())[1]

    def _span(self, day: date) -> tuple[datetime, datetime]:
        return _instant(day, self.first, self.zone), _instant(day, self.last, self.zone)


def _instant(day: date, at: time, zone: tzinfo) -> datetime:
    """A local time as an instant. One that the spring skips is the instant after the gap; of one that comes twice in
    autumn the first is meant."""
    return datetime.combine(day, at, zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Period:
    """A local hour or day: its name (the key of its counter) and the instant at which it ends."""

    name: str
    ends: datetime


def hour_of(now: datetime, zone: tzinfo) -> Period:
    """The local hour: "2024-02-09T08+0100". The offset tells the two hours of an autumn night apart."""
    local = now.astimezone(zone)
    begun = now - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return Period(local.strftime("%Y-%m-%dT%H%z"), begun + timedelta(hours=1))


def day_of(now: datetime, zone: tzinfo) -> Period:
    """The local day: "2024-02-09"."""
    local = now.astimezone(zone)
    return Period(local.strftime("%Y-%m-%d"), _instant(local.date() + timedelta(days=1), time(), zone))
