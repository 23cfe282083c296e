"""How long the real thing would take, at the pace that was measured and under the pace that is set. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from notifier.campaign import Settings
from notifier.delivery import forecast
from notifier.delivery.limits import Limits


@dataclass(frozen=True, slots=True)
class Projection:
    """``messages``: of this many persons, as in the drill; ``per_hour``: the narrowest of what was measured and what
    is set, ``narrowed_by`` says which; ``end``: begun at ``start``, None beyond two years."""

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
    end = _end(messages, min(measured_per_second, settings.relay.rate or measured_per_second), settings, start)
    return Projection(persons, messages, per_hour, narrowed_by, start, end)


def _end(messages: int, per_second: float, settings: Settings, start: datetime) -> datetime | None:
    """As `status` forecasts it for the campaign, at the speed that was measured."""
    if per_second <= 0:
        return None
    limits = Limits.of(settings)
    end = forecast.project([forecast.Backlog("other", start, messages)], forecast.Brakes(limits, per_second), start)
    return end.ends_at and end.ends_at.astimezone(start.tzinfo)
