"""The relay in use: the first, and for the rest of the run the fallback once the first did not answer for its patience.

Only one is in use at a time, so that the pace is asked of one bucket. A change happens only while no session is open,
and only after the relay was asked again and again for the whole of its patience and answered nobody: a relay that is
restarted keeps its run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiosmtplib

from notifier.delivery.relay import Relay
from notifier.errors import RelayUnavailable


class Relays:
    """``changed`` is awaited when the other relay takes over, before its first session is opened; ``asking``: how many
    connections have no session and want one."""

    def __init__(self, first: Relay, fallback: Relay | None) -> None:
        self.current = first
        self.asking = 0
        self._fallback = fallback
        self._silence = asyncio.Lock()  # held by the one that asks while no session is open
        self._is_changing = False
        self.changed: Callable[[Relay, RelayUnavailable], Awaitable[None]] | None = None

    async def open(self, *, patience_seconds: float, stopping: asyncio.Event) -> tuple[Relay, aiosmtplib.SMTP] | None:
        """A session with the relay in use. While others are open it is asked once: None if it gives no further one, or
        the run stops. While none is, one asks for all, until ``patience_seconds`` end, and the others wait for what it
        hears, so that nobody goes on asking a relay that was left. Raises what :meth:`Relay.open` raises."""
        while not stopping.is_set():
            relay = self.current
            if relay.live:
                session = await self._further(relay, stopping)
            else:
                session = await self._any(relay, patience_seconds, stopping)
            if session is None:
                if relay is self.current and relay.live:
                    return None
            elif relay is self.current and not self._is_changing:
                return relay, session
            else:
                await relay.close(session)  # the other one takes over
        return None

    async def _further(self, relay: Relay, stopping: asyncio.Event) -> aiosmtplib.SMTP | None:
        try:
            return await relay.open(patience_seconds=0.0, stopping=stopping)
        except RelayUnavailable:
            return None

    async def _any(self, relay: Relay, patience_seconds: float, stopping: asyncio.Event) -> aiosmtplib.SMTP | None:
        """The only session; None if somebody else has opened one, or the relay is left, or the run stops."""
        async with self._silence:
            if relay is not self.current or relay.live or stopping.is_set():
                return None
            before = relay.opened
            try:
                return await relay.open(patience_seconds=patience_seconds, stopping=stopping)
            except RelayUnavailable as error:
                if relay.opened != before or stopping.is_set():
                    return None  # it answered somebody who had asked before; or patience was cut short
                if self._fallback is None:
                    raise
                await self._change(self._fallback, error)
                return None

    async def _change(self, following: Relay, error: RelayUnavailable) -> None:
        self._fallback, self._is_changing = None, True
        try:
            if self.changed is not None:
                await self.changed(following, error)
            self.current = following
        finally:
            self._is_changing = False

    def keep(self, relay: Relay, session: aiosmtplib.SMTP) -> None:
        """Hand an open session back; the next :meth:`open` gets it."""
        relay.keep(session)

    async def close_kept(self) -> None:
        """Close what is kept for the next :meth:`open`."""
        await self.current.close_kept()
