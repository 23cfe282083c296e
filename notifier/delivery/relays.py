"""The relay in use: the first, and for the rest of the run the fallback once the first did not answer for its patience.

Only one is in use at a time, so that the pace is asked of one bucket. A change happens only while no session is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiosmtplib

from notifier.delivery.relay import Relay
from notifier.errors import RelayUnavailable


class Relays:
    """``changed`` is awaited when the other relay takes over, before its first session is opened."""

    def __init__(self, first: Relay, fallback: Relay | None) -> None:
        self.current = first
        self._fallback = fallback
        self._change = asyncio.Lock()
        self.changed: Callable[[Relay, RelayUnavailable], Awaitable[None]] | None = None

    async def open(self, *, patience_seconds: float, stopping: asyncio.Event) -> tuple[Relay, aiosmtplib.SMTP]:
        """A session with the relay in use. Raises what :meth:`Relay.open` raises."""
        while True:
            relay = self.current
            try:
                session = await relay.open(patience_seconds=patience_seconds, stopping=stopping)
            except RelayUnavailable as error:
                async with self._change:
                    if relay is not self.current:
                        continue
                    if self._fallback is None or relay.live or stopping.is_set():
                        raise
                    following, self._fallback = self._fallback, None
                    if self.changed is not None:
                        await self.changed(following, error)
                    self.current = following
                continue
            if relay is self.current:
                return relay, session
            await relay.close(session)  # the other one took over meanwhile

    def keep(self, relay: Relay, session: aiosmtplib.SMTP) -> None:
        """Hand an open session back; the next :meth:`open` gets it."""
        relay.keep(session)

    async def close_kept(self) -> None:
        """Close what is kept for the next :meth:`open`."""
        await self.current.close_kept()
