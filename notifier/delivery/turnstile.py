"""The pace's gate where connections stand before it: one passes at a time, and MAIL follows at once (I6)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime

from notifier.delivery.outbox import Outbox
from notifier.delivery.pace import Gate
from notifier.machine import boot_ns


class Turnstile:
    """``gate``: None = no pace. It is exchanged when another relay takes over (its own bucket, its own row)."""

    def __init__(self, began: datetime) -> None:
        # Wall time at the start, moved on by the clock that nobody can set and that goes on while the machine sleeps: a
        # step of the wall clock can neither open nor close the gate, and what is stored is not behind after a sleep.
        self._anchor = int(began.timestamp() * 1_000_000) - boot_ns() // 1000
        self.gate: Gate | None = None
        self._lock = asyncio.Lock()
        self._leased = asyncio.Condition()

    def now(self) -> int:
        """Microseconds since 1970 that never go back."""
        return self._anchor + boot_ns() // 1000

    async def lease_changed(self) -> None:
        """A cycle has stored a lease: whoever waits for one looks again."""
        async with self._leased:
            self._leased.notify_all()

    async def passed(self, outbox: Outbox) -> bool:
        """Wait for the gate. True: MAIL must be written now, before anything else happens (I6). False: the run
        stops."""
        if self.gate is None:
            return outbox.is_running()
        async with self._lock:
            # While somebody waits, the gate may be exchanged for that of another relay, which may have none.
            while outbox.is_running() and (gate := self.gate) is not None and not gate.take(self.now()):
                wait = gate.opens_at() - self.now()
                if wait > 0:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(wait / 1e6):
                            await outbox.stopping.wait()
                else:
                    # Open, but the lease does not cover a command so late: the next cycle extends it.
                    async with self._leased:
                        outbox.wake.set()
                        await self._leased.wait()
        return outbox.is_running()
