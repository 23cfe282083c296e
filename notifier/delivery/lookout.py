"""The lookout: tells how a run goes, a few times a second, from what the run knows; reads lanes now and then.

It costs the run nothing that can be measured: it looks at counters in memory, and reads the database on a connection
of its own, at least two seconds apart and at most a twentieth of the time. What it cannot read, it leaves as it was: no
run ends because somebody watches it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from notifier.delivery.lanes import Lane
from notifier.delivery.report import Progress
from notifier.delivery.view import LaneView, Meter, ends_at, lane_views
from notifier.errors import NotifierError
from notifier.model import to_ms
from notifier.storage import campaigns, flow, lanes
from notifier.storage.database import Database

TICK_SECONDS = 0.5
READ_SECONDS = 2.0
SHARE = 20  # a reading may take this part of the time between two


@dataclass(frozen=True, slots=True)
class Sight:
    """What was read of the database. ``taken``: when, in seconds of a clock that never goes back."""

    taken: float = float("-inf")
    cost: float = 0.0
    kept: Mapping[str, Lane] = field(default_factory=dict)
    waiting: Mapping[str, int] = field(default_factory=dict)
    states: Mapping[str, int] = field(default_factory=dict)
    unsealed: int = 0
    paused: bool = False

    def is_fresh(self, seconds: float) -> bool:
        """Whether it need not be read again yet."""
        return seconds - self.taken < max(READ_SECONDS, SHARE * self.cost)


class Lookout:
    """Of one run. ``look``: what the run knows; ``tell``: whom to tell; ``counts_states``: of all deliveries too."""

    def __init__(
        self,
        database: Database,
        look: Callable[[], Progress],
        tell: Callable[[Progress], None],
        clock: Callable[[], datetime],
        *,
        counts_states: bool = False,
    ) -> None:
        self._database = database
        self._look = look
        self._tell = tell
        self._clock = clock
        self._counts_states = counts_states
        self._meter = Meter()
        self._measured = float("-inf")
        self._lanes: tuple[LaneView, ...] = ()
        self._reading = asyncio.Lock()
        self.sight = Sight()

    def told(self, progress: Progress) -> None:
        """The run has something new to tell."""
        self._tell(self._seen(progress))

    def seen(self) -> Progress:
        """How the run goes now."""
        return self._seen(self._look())

    def _seen(self, progress: Progress) -> Progress:
        seconds, now = time.monotonic(), self._clock()
        if seconds - self._measured >= TICK_SECONDS:
            self._measured = seconds
            self._meter.read(seconds, {**progress.by_provider, "": sum(progress.by_provider.values())})
            self._lanes = self._lanes_now(now)
        rate = self._meter.now("")
        return replace(
            progress,
            rate=rate,
            mean_rate=self._meter.mean(""),
            lanes=self._lanes,
            ends_at=None if progress.stopping else ends_at(progress.left, rate, now),
        )

    def _lanes_now(self, now: datetime) -> tuple[LaneView, ...]:
        rates = {name: self._meter.now(name) for name in self.sight.waiting}
        return lane_views(self.sight.kept, self.sight.waiting, rates, to_ms(now))

    async def read(self) -> Sight:
        """What the database says, not older than it may be."""
        async with self._reading:
            began = time.monotonic()
            if self.sight.is_fresh(began):
                return self.sight
            with suppress(NotifierError):
                async with self._database.read() as connection:
                    kept = {row.provider: Lane(*row) for row in await lanes.listed(connection)}
                    found = Sight(
                        kept=kept,
                        waiting=await flow.waiting(connection),
                        states=await flow.states(connection) if self._counts_states else {},
                        unsealed=await flow.unsealed(connection),
                        paused=await campaigns.paused(connection) is not None,
                    )
                ended = time.monotonic()
                self.sight = replace(found, taken=ended, cost=ended - began)
            return self.sight

    async def watch(self, ended: asyncio.Event) -> None:
        """Tell until ``ended``."""
        while not ended.is_set():
            await self.read()
            self._tell(self.seen())
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await ended.wait()


@asynccontextmanager
async def watching(lookout: Lookout) -> AsyncIterator[None]:
    """The lookout tells while the block runs."""
    ended = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(lookout.watch(ended))
            try:
                yield
            finally:
                ended.set()
    except BaseExceptionGroup as group_error:
        # One cause is one error; several at once are a bug and stay together.
        if len(group_error.exceptions) == 1:
            raise group_error.exceptions[0] from None
        raise
