"""The campaign's limits as they are kept: counters read, moved and asked in one cycle's transaction, so that no restart
forgets what was begun (I6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from notifier.delivery.limits import CANARY, Allowance, Limits
from notifier.delivery.pause import pause_now
from notifier.delivery.record import Fate
from notifier.delivery.traffic import Wait
from notifier.model import from_ms, to_ms
from notifier.storage import counters, tempo
from notifier.storage.cycle import Connection


@dataclass(frozen=True, slots=True)
class Quota:
    """The limits at one moment. ``canary``: it is not passed yet; ``first``: when the first attempt was begun."""

    limits: Limits
    now: datetime
    canary: bool
    begun: dict[str, int]
    first: datetime | None = None

    @property
    def allowance(self) -> Allowance:
        return self.limits.allowance(self.now, self.begun, canary=self.canary, first=self.first)

    def later(self, due: Wait | None) -> Wait | None:
        """``due``, but not before the limits let it begin."""
        goes_on = self.allowance.goes_on
        if due is None or goes_on is None or due.until_ms >= to_ms(goes_on):
            return due
        return Wait(to_ms(goes_on), self.allowance.why)

    def count(self, connection: Connection, claims: int) -> None:
        """So many are claimed now."""
        names = self.limits.counters(self.now, canary=self.canary)
        counters.add(connection, dict.fromkeys(names, claims))

    def sing(self, connection: Connection, by: str) -> None:
        """Pause the campaign if the canary's number was begun; asked when nothing is outstanding, so that whoever looks
        sees what became of all of them."""
        if not self.canary or not self.limits.sings(self.begun):
            return
        reason = f"canary: {self.begun[CANARY]} begun; look at `notifier status`, then `notifier resume`"
        if pause_now(connection, reason=reason, by=by, now=self.now):
            counters.reach_canary(connection)


def read(connection: Connection, limits: Limits, now: datetime) -> Quota:
    """The counters that hold now."""
    canary = bool(limits.canary) and counters.canary(connection) != "passed"
    names = limits.counters(now, canary=canary)
    begun = counters.begun(connection, names) if names else {}
    first_ms = tempo.first(connection) if limits.warm_up else None
    return Quota(limits, now, canary, begun, None if first_ms is None else from_ms(first_ms))


def carry(connection: Connection, limits: Limits, *, last: datetime | None, now: datetime, outstanding: int) -> None:
    """An hour or day has begun since ``last``: MAIL of what is outstanding may fall into it."""
    if names := limits.carried(last, now):
        counters.add(connection, dict.fromkeys(names, outstanding))


def take_over(connection: Connection, limits: Limits, orphans: Iterable[Fate], now: datetime) -> None:
    """The same for what a sender that was cut off had begun."""
    more: Counter[str] = Counter()
    for fate in orphans:
        more.update(limits.carried(from_ms(fate.ended.held.started_ms), now))
    counters.add(connection, more)


def give_back(connection: Connection, limits: Limits, fates: Iterable[Fate], *, canary: bool) -> None:
    """What was claimed and not begun leaves the counters of the hour in which it was claimed."""
    less: Counter[str] = Counter()
    for fate in fates:
        if fate.kind == "released":
            less.update(limits.counters(from_ms(fate.ended.held.started_ms), canary=canary))
    counters.add(connection, {name: -number for name, number in less.items()})
