"""What a run begins with: the first ones of every segment and provider, picked for a limit and for the canary."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from functools import partial

from notifier.delivery import quota, traffic
from notifier.delivery.limits import CANARY, Limits
from notifier.delivery.turn import Turn
from notifier.model import to_ms
from notifier.storage.cycle import Cycle
from notifier.storage.spread import spread


class Picks:
    """Of one run. Without a limit and past the canary nothing is picked: whatever is due may be claimed. ``canary``: it
    is the canary's so many that are begun now; 0 = they are not."""

    def __init__(self, cycle: Cycle, limits: Limits, *, limit: int | None, wave_id: int | None) -> None:
        self._cycle = cycle
        self._limits = limits
        self._limit = limit
        self._wave_id = wave_id
        self._picked: deque[int] | None = None
        self._unpicked = 0  # how many more may be picked when those are begun
        self.canary = 0

    @property
    def are_used_up(self) -> bool:
        """Whether a limit was given, and so many are begun."""
        return self._limit is not None and not self._picked and not self._unpicked

    async def begin(self, now: datetime) -> None:
        """With a limit, and for the canary, the first are chosen from every segment and all its providers."""
        allowed = await self._cycle.read(partial(quota.read, limits=self._limits, now=now))
        limit = self._limit
        if allowed.canary:
            left = max(0, self._limits.canary - allowed.begun.get(CANARY, 0))
            limit = left if limit is None else min(left, limit)
            self.canary = self._limits.canary
        if limit is None:
            return
        self._picked, self._unpicked = deque(), limit
        await self.add(now)

    async def add(self, now: datetime) -> None:
        """As many as may still be picked, of what is due now."""
        closed = traffic.resting(await self._cycle.read(traffic.read), to_ms(now))
        most, wave_id = self._unpicked, self._wave_id
        pick = partial(spread, now_ms=to_ms(now), most=most, wave_id=wave_id, resting=closed)
        self._picked = deque(await self._cycle.read(pick))
        self._unpicked -= len(self._picked)

    def are_wanted(self, turn: Turn | None, now: datetime) -> bool:
        """Whether a limit is not used up, and something is due that was not when it was last picked: the lane of some
        that were has begun to rest, or only now others came due. ``turn``: the last."""
        return (
            self._picked is not None
            and not self._picked
            and self._unpicked > 0
            and self._limit is not None
            and turn is not None
            and turn.next_due is not None
            and turn.next_due <= to_ms(now)
        )

    def take(self, room: int) -> list[int] | None:
        """The next ones, to be claimed; None: whatever is due."""
        if self._picked is not None and not self._picked and self._limit is None:
            self._picked, self.canary = None, 0  # those were the canary's
        if self._picked is None:
            return None
        return [self._picked.popleft() for _ in range(min(room, len(self._picked)))]

    def took(self, turn: Turn, batch: list[int]) -> None:
        """The cycle that was asked for these is committed."""
        if self._picked is not None:
            untried = batch if turn.overtaken is not None else batch[turn.room :]
            self._picked.extendleft(reversed(untried))
            self._picked.extend(turn.lanes.put_back)
            # The others cannot be claimed any more, or not now: as many may be picked in their place.
            self._unpicked += len(batch) - len(untried) - len(turn.claims) - len(turn.lanes.put_back)

    def came_back(self, delivery_id: int) -> None:
        """It was claimed, and nothing of it was begun."""
        if self._picked is not None:
            self._picked.append(delivery_id)
