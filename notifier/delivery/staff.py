"""The processes beside a sender: a clerk, and benches. One writes the cycles and makes the messages of what it claims;
with more of them, that one writes and the others make.

None is needed: what none of them does, the sender does itself.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from notifier.delivery.clerical import Office
from notifier.delivery.orders import Result, Setup
from notifier.delivery.registry import Registry
from notifier.delivery.rules import Rulebook
from notifier.delivery.workshop import Workshop
from notifier.storage.deliveries import Claim

MANY = 2_000  # messages to send from which processes are worth their start
MOST = 4
SLOW_SECONDS = 2.0  # without a message that is owed: it is told
SILENT_SECONDS = 30.0  # then it is done without


def processors() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def wanted(chosen: int | None, messages: int) -> int:
    """How many processes there shall be for so many messages. ``chosen``: as ``[send] processes`` says."""
    if not hasattr(socket, "AF_UNIX"):
        return 0
    if chosen is not None:
        return chosen
    return min(processors() - 1, MOST) if messages >= MANY else 0


class Staff:
    """``registry``: the clerk, if there is one that is ready."""

    def __init__(self) -> None:
        self._registry: Registry | None = None
        self._benches: list[Workshop] = []

    async def hire(
        self,
        count: int,
        setup: Setup,
        database: Path,
        rules: Rulebook,
        *,
        on_result: Callable[[Result], None],
        on_lost: Callable[[list[Claim]], None],
    ) -> None:
        """So many processes; each begins when it can. Where there is none to be had, it goes without."""

        def lost(which: Workshop, claims: list[Claim]) -> None:
            on_lost([*claims, *self.dismiss(which)])

        with suppress(OSError):
            registry = Registry(on_result, lost, makes=count == 1)
            await registry.start(Office(database, setup.keys, rules, setup if registry.makes else None))
            self._registry = registry
            for _ in range(count - 1):
                bench = Workshop(on_result, lost)
                await bench.start(setup)
                self._benches.append(bench)

    async def settled(self) -> None:
        """Until each is ready, or gone, or takes too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SILENT_SECONDS):
                for one in self._all():
                    await one.settled()

    def silent(self) -> Workshop | None:
        """One that owes a message and says nothing."""
        return next((one for one in self._all() if one.silence > SILENT_SECONDS), None)

    def why(self) -> str:
        """What is waited for, if one of them is slow to make a message; "" else."""
        slow = next((one for one in self._all() if one.silence > SLOW_SECONDS), None)
        return f"{slow.name} does not answer" if slow is not None else ""

    def _all(self) -> list[Workshop]:
        return [*self._benches, *([self._registry] if self._registry else [])]

    def dismiss(self, which: Workshop) -> list[Claim]:
        """Do without it; what it has not made."""
        left = which.give_back()
        which.patience = 0.0  # it is gone, or does not listen
        which.close()
        if which is self._registry:
            self._registry = None
        elif which in self._benches:
            self._benches.remove(which)
        return left

    def close(self) -> None:
        """The end of all of them."""
        for one in self._all():
            one.close()
        self._registry, self._benches = None, []

    @property
    def registry(self) -> Registry | None:
        return self._registry if self._registry is not None and self._registry.is_ready else None

    def bench(self) -> Workshop | None:
        """The one with the least to do."""
        ready = [one for one in self._benches if one.is_ready]
        return min(ready, key=lambda one: one.pending) if ready else None
