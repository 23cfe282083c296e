"""When what waits will have gone out, by day and by provider: the limits of the sender, run ahead of the clock. Pure.

Messages flow as a fluid, from one event to the next: a cap is reached, an hour ends, the sending hours close, a lane
opens, a provider has had its own. Lanes share the relay's rate as the sender shares it: in proportion to what waits
while no provider has a pace, else in turn. It is a projection: replies "later" that have not come yet, pauses, letters
and what is not planned are not in it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from notifier.delivery.hours import day_of
from notifier.delivery.limits import Cap, Limits
from notifier.model import utc_text

LONGEST = timedelta(days=731)  # what takes longer has no end that anybody plans with
DAYS_TOLD = 7  # on a terminal
_NOTHING = 1e-6  # of a message


@dataclass(frozen=True, slots=True)
class Backlog:
    """``messages`` to one provider that may go out from ``due`` on."""

    provider: str
    due: datetime
    messages: int


@dataclass(frozen=True, slots=True)
class Brakes:
    """What holds the sender back. ``relay``: messages per second, None = no limit that is known; ``observed``: that is
    what it was measured at; ``rates``: of the providers that have a pace; ``begun``: the counters of this hour and day;
    ``first``: the campaign's first attempt; ``canary``: so many until the pause, 0 = no pause comes; ``paused``: it
    pauses now; ``stopped``: lanes that somebody paused by name; ``slowed``: shares of lanes that were throttled and
    have not recovered."""

    limits: Limits
    relay: float | None = None
    observed: bool = False
    rates: Mapping[str, float] = field(default_factory=dict)
    begun: Mapping[str, int] = field(default_factory=dict)
    first: datetime | None = None
    canary: int = 0
    paused: bool = False
    stopped: Sequence[str] = ()
    slowed: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Share:
    """What goes to one provider. ``ends_at``: None = nobody can say."""

    provider: str
    messages: int
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """``days``: messages by local day; ``ends_at``: None = nothing waits, or nobody can say (``messages`` tells which);
    ``limited_by``: what holds it back longest; ``assumes``: what it takes for granted."""

    messages: int
    days: Sequence[tuple[date, int]]
    providers: Sequence[Share]
    ends_at: datetime | None
    limited_by: str
    assumes: Sequence[str] = ()
    is_endless: bool = False  # beyond LONGEST

    def is_late(self, by: date | None, limits: Limits) -> bool:
        """Whether it ends after the local day ``by``."""
        if by is None or not self.messages:
            return False
        return self.is_endless or (self.ends_at is not None and self.ends_at.astimezone(limits.zone).date() > by)

    def lines(self, by: date | None, limits: Limits) -> list[str]:
        """For a terminal; none when nothing waits. Local time. ``by``: ``notify_by``."""
        if not self.messages:
            return []
        end = "unknown" if not self.is_endless else "beyond two years"
        if self.ends_at is not None:
            end = _local(self.ends_at, limits)
        held = f", limited by {self.limited_by}" if self.limited_by else ""
        lines = [f"Projected end: {end}{held} ({self.messages} messages wait)"]
        if self.is_late(by, limits):
            lines.append(f"  LATE: that is after notify_by ({by})")
        if len(self.days) > 1:
            told = [f"{day:%Y-%m-%d} {messages}" for day, messages in self.days[:DAYS_TOLD]]
            more = len(self.days) - DAYS_TOLD
            lines.append("  by day: " + " · ".join([*told, *([f"and {more} days more"] if more > 0 else [])]))
        if len(self.providers) > 1:
            told = [f"{one.provider} {one.messages}{_until(one, limits)}" for one in self.providers]
            lines.append("  by provider: " + " · ".join(told))
        return [*lines, *(f"  {assumed}" for assumed in self.assumes)]

    def as_json(self) -> dict[str, Any]:
        """`status --json` and `plan --forecast --json`."""
        return {
            "messages": self.messages,
            "days": [{"date": day.isoformat(), "messages": messages} for day, messages in self.days],
            "providers": [
                {"provider": one.provider, "messages": one.messages, "ends_at": _text(one.ends_at)}
                for one in self.providers
            ],
            "ends_at": _text(self.ends_at),
            "limited_by": self.limited_by,
            "assumes": list(self.assumes),
        }


def _local(at: datetime, limits: Limits) -> str:
    return f"{at.astimezone(limits.zone):%Y-%m-%d %H:%M}"


def _until(share: Share, limits: Limits) -> str:
    return "" if share.ends_at is None else f" until {_local(share.ends_at, limits)}"


def _text(at: datetime | None) -> str | None:
    return None if at is None else utc_text(at)


def project(waiting: Sequence[Backlog], brakes: Brakes, now: datetime) -> Forecast:
    """Run ahead from ``now``."""
    return _Flow(waiting, brakes, now).run()


class _Flow:
    """The state of a run ahead. ``_left``: what may go out now, by provider; ``_coming``: what may not yet, the next
    one last; ``_used``: of each hour's and day's caps; ``_held_by``: seconds, by what held the flow back."""

    def __init__(self, waiting: Sequence[Backlog], brakes: Brakes, now: datetime) -> None:
        self._brakes, self._limits = brakes, brakes.limits
        self._now = self._at = now
        self._coming = sorted(waiting, key=lambda one: one.due, reverse=True)
        self._left: dict[str, float] = {}
        self._total = Counter[str]()
        for backlog in waiting:
            self._total[backlog.provider] += backlog.messages
        self._ends: dict[str, datetime] = {}
        self._used: defaultdict[str, float] = defaultdict(float, brakes.begun)
        self._first = brakes.first
        self._days: dict[date, float] = {}
        self._held_by: defaultdict[str, float] = defaultdict(float)

    def run(self) -> Forecast:
        is_known, is_endless = True, False
        while is_known and not is_endless and (self._left or self._coming):
            if not self._passed_time():
                is_known = self._flowed()
            is_endless = self._at - self._now > LONGEST
        return self._told(is_known=is_known, is_endless=is_endless)

    # -- while nothing flows ---------------------------------------------------------------------------------------

    def _passed_time(self) -> bool:
        """Go on to the next instant at which something may flow. False: it may now."""
        while self._coming and self._coming[-1].due <= self._at:
            come = self._coming.pop()
            self._left[come.provider] = self._left.get(come.provider, 0.0) + come.messages
        if not self._left:
            due = self._coming[-1].due
            return self._pass(due, 'replies "later"')
        if self._limits.hours is not None and (opens := self._limits.hours.opens(self._at)) > self._at:
            return self._pass(opens, "")
        for cap in self._caps():
            if self._room(cap) < _NOTHING:
                return self._pass(cap.period.ends, cap.setting)
        return False

    def _pass(self, until: datetime, held_by: str) -> bool:
        if held_by:
            self._held_by[held_by] += (until - self._at).total_seconds()
        self._at = until
        return True

    def _caps(self) -> list[Cap]:
        return self._limits.capped(self._at, self._first)

    def _room(self, cap: Cap) -> float:
        return cap.most - self._used[cap.period.name]

    # -- while something flows -------------------------------------------------------------------------------------

    def _flowed(self) -> bool:
        """Let it flow until the next event. False: nothing that is known holds it back."""
        caps = self._caps()
        relay, held_by = self._width(caps)
        rates = _shared(self._left, relay, self._brakes.rates)
        total = sum(rates.values())
        if math.isinf(total):
            return False
        if total < relay * (1 - 1e-9):  # the providers' own paces are narrower
            slowest = max(self._left, key=lambda name: self._left[name] / rates[name])
            held_by = f"the pace of {slowest} ({rates[slowest]:g} per second)"
        seconds = min(
            (self._until(caps) - self._at).total_seconds(),
            *(self._left[name] / rate for name, rate in rates.items()),
            *(self._room(cap) / total for cap in caps),
        )
        self._first = self._first or self._at
        day = self._at.astimezone(self._limits.zone).date()
        self._days[day] = self._days.get(day, 0.0) + total * seconds
        for cap in {cap.period.name: cap for cap in caps}.values():
            self._used[cap.period.name] += total * seconds
        self._held_by[held_by] += seconds
        self._at += timedelta(seconds=seconds)
        for name, rate in rates.items():
            self._left[name] -= rate * seconds
            if self._left[name] < _NOTHING:
                del self._left[name]
                self._ends[name] = self._at
        return True

    def _width(self, caps: Sequence[Cap]) -> tuple[float, str]:
        """Messages per second through the relay, and which setting says so. Without a rate those of a cap are spread
        over what is left of its hours: the cap is the helpline's, and not a speed."""
        if self._brakes.relay is not None:
            what = "the observed rate" if self._brakes.observed else "relay.rate"
            return self._brakes.relay, f"{what} ({self._brakes.relay:g} per second)"
        spread = [(self._room(cap) / self._open_seconds(cap.period.ends), cap.setting) for cap in caps]
        return min(spread, default=(math.inf, ""))

    def _open_seconds(self, until: datetime) -> float:
        closes = until if self._limits.hours is None else min(until, self._limits.hours.closes(self._at))
        return max(1.0, (closes - self._at).total_seconds())

    def _until(self, caps: Sequence[Cap]) -> datetime:
        """When the limits change, or more comes in."""
        ends = [day_of(self._at, self._limits.zone).ends, *(cap.period.ends for cap in caps)]
        if self._limits.hours is not None:
            ends.append(self._limits.hours.closes(self._at))
        if self._coming:
            ends.append(self._coming[-1].due)
        return min(ends)

    # -- what it came to -------------------------------------------------------------------------------------------

    def _told(self, *, is_known: bool, is_endless: bool) -> Forecast:
        whole = is_known and not is_endless
        pending = {*self._left, *(one.provider for one in self._coming)}
        shares = [
            Share(name, number, None if name in pending else _second(self._ends[name]))
            for name, number in sorted(self._total.items(), key=lambda one: (-one[1], one[0]))
        ]
        held_by = max(self._held_by, key=lambda what: self._held_by[what], default="")
        return Forecast(
            messages=self._total.total(),
            days=_whole(self._days),
            providers=shares,
            ends_at=_second(self._at) if whole and self._total else None,
            limited_by=held_by if is_known else "",
            assumes=self._assumptions(is_known),
            is_endless=is_endless,
        )

    def _assumptions(self, is_known: bool) -> list[str]:
        brakes = self._brakes
        told: list[str] = []
        if not self._total:
            return told
        if not is_known:
            told.append("nothing that is set or was measured limits the pace: the relay alone knows when it ends")
        if brakes.observed:
            told.append("no relay.rate is set: reckoned with the rate of its last minutes of sending, breaks left out")
        if brakes.paused:
            told.append("it is paused: reckoned as if resumed now")
        for name in brakes.stopped:
            if name in self._total:
                how = f"reckoned as if opened now (`resume --provider {name}`)"
                told.append(f"the lane {name} is paused by hand: {how}")
        for name, share in sorted(brakes.slowed.items()):
            pace = f" ({brakes.rates[name]:g} per second)" if name in brakes.rates else ""
            told.append(f"{name} asked for less and gets {share:.0%} of its pace{pace}: reckoned as if that lasted")
        if brakes.canary:
            told.append(f"the canary pauses after {brakes.canary} more: reckoned as if resumed at once")
        return told


def _shared(left: Mapping[str, float], relay: float, rates: Mapping[str, float]) -> dict[str, float]:
    """The relay's rate, shared among the lanes of which something waits: in proportion while none of them has a pace,
    else equally, and what one cannot take goes to the others."""
    if not any(name in rates for name in left):
        waiting = sum(left.values())
        return {name: relay * number / waiting for name, number in left.items()}
    shared, rest, lanes = {}, relay, len(left)
    for name in sorted(left, key=lambda name: rates.get(name, math.inf)):
        shared[name] = min(rates.get(name, math.inf), rest / lanes)
        rest, lanes = rest - shared[name] if math.isfinite(rest) else rest, lanes - 1
    return shared


def _whole(days: Mapping[date, float]) -> list[tuple[date, int]]:
    """Whole messages, of which none is lost between two days."""
    told, flowed, before = [], 0.0, 0
    for day, number in sorted(days.items()):
        flowed += number
        told.append((day, round(flowed) - before))
        before = round(flowed)
    return [(day, number) for day, number in told if number]


def _second(at: datetime) -> datetime:
    """Rounded up."""
    return at.replace(microsecond=0) + timedelta(seconds=1) if at.microsecond else at
