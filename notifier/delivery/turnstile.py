"""The gates of the pace where connections stand before them: one passes at a time, and MAIL follows at once (I6)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime

from notifier.delivery.outbox import Outbox
from notifier.delivery.pace import HORIZON, Gate
from notifier.delivery.slots import LaneGate
from notifier.machine import boot_ns
from notifier.storage.deliveries import Claim

LATE = 2 * HORIZON  # a claim whose lane opens only then is given back: its slot is thrown away, and others go on


class Turnstile:
    """``gate``: the relay's; None = no pace. It is exchanged when another relay takes over (its own bucket, its own
    row). ``lanes``: those of providers that have one; ``resting``: providers whose lane rests."""

    def __init__(self, began: datetime) -> None:
        # Wall time at the start, moved on by the clock that nobody can set and that goes on while the machine sleeps: a
        # step of the wall clock can neither open nor close the gate, and what is stored is not behind after a sleep.
        self._anchor = int(began.timestamp() * 1_000_000) - boot_ns() // 1000
        self.gate: Gate | None = None
        self.lanes: dict[str, LaneGate] = {}
        self.resting: Collection[str] = ()
        self._lock = asyncio.Lock()
        self._leased = asyncio.Condition()
        self._unleased = 0  # how many wait for it

    def now(self) -> int:
        """Microseconds since 1970 that never go back."""
        return self._anchor + boot_ns() // 1000

    async def lease_changed(self) -> None:
        """A cycle is committed: whoever waits for a lease, or for one at a gate that is gone, looks again."""
        if self._unleased:
            async with self._leased:
                self._leased.notify_all()

    def is_paced(self, provider: str) -> bool:
        """Whether MAIL to this provider may have to wait at a gate."""
        return self.gate is not None or provider in self.lanes

    @property
    def may_hold(self) -> bool:
        """Whether anybody may have to wait here, or to go back."""
        return self.gate is not None or bool(self.lanes) or bool(self.resting)

    # -- the cycle's side ------------------------------------------------------------------------------------------

    def expect(self, claims: Iterable[Claim]) -> list[tuple[Claim, float]]:
        """These are claimed: how many seconds each may stay aside, so that no connection waits for a slow lane while
        others are open."""
        if not self.lanes:
            return [(claim, 0.0) for claim in claims]
        now, aside = self.now(), []
        for claim in claims:
            lane = self.lanes.get(claim.provider)
            opens = now
            if lane is not None:
                opens = lane.opens_at()
                lane.waiting.add(claim.id)
            aside.append((claim, max(0, opens - now) / 1e6))
        return aside

    def settled(self, provider: str, delivery_id: int) -> None:
        """It has ended, whatever became of it."""
        if (lane := self.lanes.get(provider)) is not None:
            lane.waiting.discard(delivery_id)

    # -- a connection's side ---------------------------------------------------------------------------------------

    async def passed(self, outbox: Outbox, claim: Claim) -> bool:
        """Wait for the gates. True: MAIL must be written now, before anything else happens, and :meth:`wrote` be called
        then (I6). False: the run stops, or the claim's lane does not open in time."""
        lane = self.lanes.get(claim.provider)
        if lane is None:
            return await self._passed_relay(outbox, claim)
        lane.waiting.add(claim.id)
        try:
            async with lane.turn:
                return await self._opened(outbox, claim, lane) and await self._passed_relay(outbox, claim)
        finally:
            lane.waiting.discard(claim.id)

    async def _passed_relay(self, outbox: Outbox, claim: Claim) -> bool:
        if self.gate is None and claim.provider not in self.lanes:
            return outbox.is_running() and claim.provider not in self.resting
        if self.gate is None:
            return await self._take(outbox, claim)
        async with self._lock:
            return await self._take(outbox, claim)

    async def _opened(self, outbox: Outbox, claim: Claim, lane: LaneGate) -> bool:
        """Wait for the lane alone, before anybody else has to wait for it at the relay's gate."""
        while outbox.is_running() and self.lanes.get(claim.provider) is lane:
            now = self.now()
            if self._is_late(claim, now):
                return False
            if lane.gate.admits(now):
                break
            await self._wait(outbox, [lane.gate], now)
        return outbox.is_running()

    async def _take(self, outbox: Outbox, claim: Claim) -> bool:
        """Wait until all its gates are open, and pass them at one instant. While somebody waits, a gate may be
        exchanged for that of another relay, which may have none."""
        while outbox.is_running():
            now, gates = self.now(), self._gates(claim.provider)
            if self._is_late(claim, now):
                return False
            if all(gate.admits(now) for gate in gates):
                for gate in gates:
                    gate.take(now)
                return True
            await self._wait(outbox, gates, now)
        return False

    def wrote(self, provider: str) -> None:
        """MAIL is written: it counts from now."""
        if self.gate is not None or self.lanes:
            now = self.now()
            for gate in self._gates(provider):
                gate.wrote(now)

    def _is_late(self, claim: Claim, now: int) -> bool:
        lane = self.lanes.get(claim.provider)
        return claim.provider in self.resting or (lane is not None and lane.gate.opens_at() > now + LATE)

    def _gates(self, provider: str) -> list[Gate]:
        lane = self.lanes.get(provider)
        return [gate for gate in (self.gate, lane.gate if lane else None) if gate is not None]

    async def _wait(self, outbox: Outbox, gates: list[Gate], now: int) -> None:
        wait = max(gate.opens_at() for gate in gates) - now
        if wait > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait / 1e6):
                    await outbox.stopping.wait()
        else:
            # Open, but a lease does not cover a command so late: the next cycle extends it.
            async with self._leased:
                outbox.wake.set()
                self._unleased += 1
                try:
                    await self._leased.wait()
                finally:
                    self._unleased -= 1
