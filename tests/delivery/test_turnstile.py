"""Connections before the pace's gate, when it is exchanged or the run stops (I6, I4)."""

from __future__ import annotations

import asyncio

from notifier.delivery.outbox import Outbox
from notifier.delivery.pace import Gate, Pace
from notifier.delivery.turnstile import Turnstile
from notifier.storage.deliveries import Claim

CLAIM = Claim(
    1, b"t" * 16, 1, "initial", 1, 1, 1, "orange", 1, 0, 0, 0, 0, 1, "clairval", "own", b"i" * 16, b"", True,
)  # fmt: skip


def closed(turnstile: Turnstile, rate: float) -> Gate:
    """A gate that has just let somebody through: it opens again after 1 / rate seconds."""
    gate = Gate(Pace(rate), 0, turnstile.now())
    gate.granted(gate.wish(turnstile.now(), 1, 0))
    assert gate.take(turnstile.now())
    return gate


def test_who_waits_when_a_relay_without_a_pace_takes_over_passes(vault, now):
    """The fallback has no rate: who stood before the first relay's gate must not be ended by that."""

    async def wait() -> bool:
        turnstile, outbox = Turnstile(now), Outbox(vault, lambda: now)
        turnstile.gate = closed(turnstile, 50.0)
        passing = asyncio.create_task(turnstile.passed(outbox, CLAIM))
        await asyncio.sleep(0)
        turnstile.gate = None
        return await passing

    assert asyncio.run(wait())


def test_a_stop_does_not_wait_for_a_slow_gate(vault, now):
    """One message in a quarter of an hour: Ctrl-C ends within what is in flight, not when the gate opens."""

    async def wait() -> bool:
        turnstile, outbox = Turnstile(now), Outbox(vault, lambda: now)
        turnstile.gate = closed(turnstile, 1 / 900)
        passing = asyncio.create_task(turnstile.passed(outbox, CLAIM))
        await asyncio.sleep(0)
        outbox.stop()
        async with asyncio.timeout(10):
            return await passing

    assert not asyncio.run(wait())
