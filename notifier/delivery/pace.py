"""The pace: a generic cell rate algorithm (GCRA) that is never exceeded (I6). Pure; times are integer microseconds.

For every window of w seconds, MAIL commands written ≤ rate × w + burst. Three things make that true of the commands
themselves and not of intentions. The gate counts a command at the instant of its writing, never at a planned one: it
opens by a clock read before the writing and counts by one read after it, so that no delay between the two can bring two
commands closer. A *lease*, stored durably before a delivery is marked SENDING, is never behind the gate: whoever starts
after a crash begins where the lease ends, so that what was written since is inside it. What of a lease is not used is
thrown away: waste, never excess.

The rate may change while a gate stands (a provider asks for less): each command counts for the interval that holds when
it is written, so that of every window the highest rate within it is the bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SECOND = 1_000_000
HORIZON = SECOND // 4  # slots are reserved at most so far ahead
MARGIN = HORIZON  # between another process's lease and our first command: no two read the same clock at one instant


@dataclass(frozen=True, slots=True)
class Pace:
    """``rate``: messages per second, > 0. ``burst``: how many may follow each other at once after a silence."""

    rate: float
    burst: int = 1

    @property
    def interval(self) -> int:
        """Between two commands, rounded up: never faster than the rate."""
        return max(1, math.ceil(SECOND / self.rate))

    @property
    def tolerance(self) -> int:
        return (self.burst - 1) * self.interval

    @property
    def reach(self) -> int:
        """How far ahead of the clock a lease can honestly be. One that is farther was stored before the clock was
        set back; waiting this long is always enough."""
        return 2 * HORIZON + (self.burst + 2) * self.interval


@dataclass(frozen=True, slots=True)
class Lease:
    """A wish to reserve: the stored bucket shall go from ``was`` to ``until``; ``slots``: how many deliveries may
    then be claimed."""

    was: int
    until: int
    slots: int


class Gate:
    """The bucket of one process. ``stored``: the value that the database holds; ``behind``: that of another bucket
    which this one takes over from (a provider's, at the other relay)."""

    def __init__(self, pace: Pace, stored: int, now: int, behind: int = 0) -> None:
        self.pace = pace
        self.stored = stored
        # Theoretical arrival time of the next command.
        self._arrival = min(max(stored, behind) + MARGIN, now + pace.reach)
        self._leased = self._arrival

    def opens_at(self) -> int:
        """The earliest instant of the next command."""
        return self._arrival - self.pace.tolerance

    def take(self, now: int) -> bool:
        """Whether a command may be written at ``now``, which it must then be, before anything else happens."""
        if not self.admits(now):
            return False
        self._arrival = max(self._arrival, now) + self.pace.interval
        return True

    def admits(self, now: int) -> bool:
        """Whether :meth:`take` would agree."""
        return now >= self.opens_at() and max(self._arrival, now) + self.pace.interval <= self._leased

    def wrote(self, now: int) -> None:
        """What was taken last is written, by ``now`` at the latest."""
        self._arrival = max(self._arrival, now + self.pace.interval)

    def wish(self, now: int, unwritten: int, wanted: int) -> Lease:
        """The lease that covers ``unwritten`` deliveries, claimed but not begun, and as many more, at most
        ``wanted``, as can begin within the horizon."""
        arrival, slots = self._arrival, 0
        while slots < unwritten + wanted:
            at = max(now, arrival - self.pace.tolerance)
            if at > now + HORIZON:
                break
            arrival = max(arrival, at) + self.pace.interval
            slots += 1
        slots = max(slots, unwritten)
        if slots == 0:
            return Lease(self.stored, self.stored, 0)
        until = max(self._arrival, now + HORIZON) + slots * self.pace.interval
        return Lease(self.stored, max(until, self._leased), slots - unwritten)

    def granted(self, lease: Lease) -> None:
        """The lease was stored."""
        self.stored = self._leased = lease.until

    def overtaken(self, stored: int) -> None:
        """Somebody else had stored ``stored`` meanwhile: begin behind them."""
        self.stored = stored
        self._arrival = max(self._arrival, stored + MARGIN)
        self._leased = self._arrival
