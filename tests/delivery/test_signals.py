"""What stops a run, and what whoever started it said shall not."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from notifier.delivery.signals import stopping_signals

STOPPING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def stops(number: signal.Signals, *, by: signal.Signals) -> list[str]:
    """What was heard when ``number`` came, and then ``by``, which ends it."""
    heard: list[str] = []

    async def whole() -> None:
        ended = asyncio.Event()
        with stopping_signals(lambda: heard.append("stop") or ended.set()):
            os.kill(os.getpid(), number)
            if by is not number:
                for _ in range(10):  # whatever the loop has to say of it
                    await asyncio.sleep(0)
                heard.append("goes on")
                os.kill(os.getpid(), by)
            async with asyncio.timeout(5):
                await ended.wait()

    asyncio.run(whole())
    return heard


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_stops_the_run(number):
    assert stops(number, by=number) == ["stop"]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_what_was_ignored_when_it_began_stays_ignored(number):
    """`nohup notifier send` outlives its terminal; a shell's background job is not meant by a Ctrl-C."""
    signal.signal(number, signal.SIG_IGN)
    assert stops(number, by=signal.SIGTERM) == ["goes on", "stop"]
    assert signal.getsignal(number) is signal.SIG_IGN
