"""What the campaign allows beside its rate: sending hours, the helpline's caps, the warm-up, the canary. Pure.

Deliveries are counted when they are claimed, under the names of the local hour and day. MAIL follows a little later,
perhaps in the next hour: whatever was outstanding when an hour ended is counted in the new one too, so that no hour
holds more MAIL than its cap (waste, never excess: I6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from notifier.campaign import Settings
from notifier.delivery.hours import Hours, Period, day_of, hour_of

CANARY = "canary"  # the counter's name
UNLIMITED = 1 << 30


@dataclass(frozen=True, slots=True)
class Allowance:
    """``most``: how many may be claimed now; 0 until ``goes_on``, for the reason ``why``."""

    most: int = UNLIMITED
    goes_on: datetime | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Cap:
    """At most ``most`` in a local hour or day; in words, and which setting says so."""

    period: Period
    most: int
    words: str
    setting: str


@dataclass(frozen=True, slots=True)
class Limits:
    """``[pace]`` in a form that can be asked. ``per_hour``, ``per_day``: None = no cap; ``canary``: 0 = none;
    ``warm_up``: the campaign's own caps of its first days, whatever relay they go over (a domain nobody knows and an
    address nobody knows are both new to a provider)."""

    zone: tzinfo
    hours: Hours | None = None
    per_hour: int | None = None
    per_day: int | None = None
    canary: int = 0
    warm_up: tuple[int, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """A drill has none: it writes to own addresses or to a sink, and its report reckons what they would cost."""
        if settings.drill is not None:
            return cls(settings.zone)
        pace = settings.pace
        return cls(
            settings.zone,
            Hours.of(pace.hours, settings.zone),
            pace.hotline_per_hour,
            pace.hotline_per_day,
            pace.canary or 0,
            pace.warm_up,
        )

    def counters(self, at: datetime, *, canary: bool) -> list[str]:
        """The names under which a delivery begun at ``at`` is counted. ``canary``: it is not passed yet."""
        names = [hour_of(at, self.zone).name] if self.per_hour is not None else []
        if self.per_day is not None or self.warm_up:
            names.append(day_of(at, self.zone).name)
        return [*names, CANARY] if canary and self.canary else names

    def carried(self, last: datetime | None, now: datetime) -> list[str]:
        """The names of the hours and days that have begun since ``last``: what is outstanding counts in them too."""
        if last is None:
            return []
        before = self.counters(last, canary=False)
        return [name for name in self.counters(now, canary=False) if name not in before]

    def allowance(
        self, now: datetime, begun: Mapping[str, int], *, canary: bool, first: datetime | None = None
    ) -> Allowance:
        """How many may be claimed now. ``begun``: the counters; ``canary``: it is not passed yet; ``first``: when the
        campaign's first attempt was begun (None: none was, today is the first day)."""
        most, goes_on, why = UNLIMITED, now, ""
        for cap in self.capped(now, first):
            left = max(0, cap.most - begun.get(cap.period.name, 0))
            most = min(most, left)
            if not left and cap.period.ends > goes_on:
                goes_on, why = cap.period.ends, f"{cap.words} are begun"
        if self.hours is not None:
            opens = self.hours.opens(goes_on)
            if opens > goes_on:
                most, goes_on, why = 0, opens, why or "outside the sending hours"
        if canary and self.canary:
            most = min(most, max(0, self.canary - begun.get(CANARY, 0)))
        return Allowance(most, goes_on if goes_on > now else None, why)

    def sings(self, begun: Mapping[str, int]) -> bool:
        """Whether the canary's number was begun."""
        return bool(self.canary) and begun.get(CANARY, 0) >= self.canary

    def capped(self, at: datetime, first: datetime | None) -> list[Cap]:
        """The caps that hold at ``at``. ``first``: as in :meth:`allowance`."""
        found = []
        if (most := self.per_hour) is not None:
            words = f"the helpline's {most} messages of this hour"
            found.append(Cap(hour_of(at, self.zone), most, words, "pace.hotline_per_hour"))
        if (most := self.per_day) is not None:
            words = f"the helpline's {most} messages of this day"
            found.append(Cap(day_of(at, self.zone), most, words, "pace.hotline_per_day"))
        if (day := self.day_number(at, first)) < len(self.warm_up):
            most = self.warm_up[day]
            words = f"the {most} messages of day {day + 1} of the warm-up"
            found.append(Cap(day_of(at, self.zone), most, words, "pace.warm_up"))
        return found

    def day_number(self, at: datetime, first: datetime | None) -> int:
        """Local days since the first one of sending; 0 on it."""
        return (self._day(at) - self._day(first)).days if first is not None and first < at else 0

    def _day(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()
