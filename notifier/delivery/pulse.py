"""Whether this process was stopped for long: a laptop asleep, a SIGSTOP, a paused virtual machine.

Somebody else may have taken over meanwhile, on another machine if on none but this one the lock is seen. Therefore
nobody writes MAIL, or a final dot, across a gap: whoever finds one here looks at the database first, and goes on only
if the campaign's sender is still this one. The clock is the one that goes on while the machine sleeps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from notifier.machine import boot_ns

BEAT_SECONDS = 1.0
GAP_SECONDS = 10.0  # between two beats; a busy loop makes less


class Pulse:
    """``clock``: nanoseconds since the machine was started; None = the machine's own."""

    def __init__(self, clock: Callable[[], int] | None = None) -> None:
        self._clock = clock or boot_ns
        self._last = self._clock()
        self._missed = False

    def is_steady(self) -> bool:
        """Whether something may be written. False from a gap until :meth:`checked`."""
        if not self._missed and self._clock() - self._last > GAP_SECONDS * 1e9:
            self._missed = True
        return not self._missed

    def beat(self) -> None:
        """The process runs."""
        if self.is_steady():
            self._last = self._clock()

    def checked(self) -> None:
        """The database was asked after the gap, and this sender is still the one."""
        self._missed, self._last = False, self._clock()

    async def live(self, ending: asyncio.Event) -> None:
        """Beat until the run ends."""
        while not ending.is_set():
            self.beat()
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    await ending.wait()
