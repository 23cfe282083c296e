"""The sender's side of a process that makes messages (workbench.py): work goes out, messages come back.

Making a message is what takes longest of all that is done for it, needs nothing but the claim, and always gives the
same bytes: so it is done beside the process that speaks SMTP, on another processor. Should the bench end, for whatever
reason, its work is given back, to be done here: nothing of it has left the house.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from notifier.delivery.envelopes import Notice
from notifier.delivery.frames import READY, Frames, Result, Setup, Text, Work, frame
from notifier.delivery.recipe import Recipe
from notifier.storage.deliveries import Claim

_log = logging.getLogger(__name__)


class Workshop(asyncio.Protocol):
    """``heard`` is called with each result; ``gone`` once, with the claims that are left, when the bench ends."""

    def __init__(self, heard: Callable[[Result], None], gone: Callable[[Workshop, list[Claim]], None]) -> None:
        self._heard = heard
        self._gone = gone
        self._frames = Frames()
        self._pending: dict[int, Claim] = {}
        self._texts: set[tuple[int, int]] = set()
        self._transport: asyncio.Transport | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.is_ready = False
        self._told = asyncio.Event()  # it is ready, or never will be

    @property
    def pending(self) -> int:
        """Claims given and not come back."""
        return len(self._pending)

    async def start(self, recipe: Recipe, folder: Path) -> None:
        """A process, and what it works with. Raises OSError when there is none to be had."""
        ours, theirs = socket.socketpair()
        with theirs:
            descriptor = theirs.fileno()
            command = [sys.executable, "-m", "notifier.delivery.workbench", str(descriptor)]
            try:
                # A session of its own: what a terminal tells the sender is not for the bench.
                self._process = subprocess.Popen(  # noqa: S603  (our own program)
                    command, pass_fds=[descriptor], stdin=subprocess.DEVNULL, start_new_session=True
                )
            except OSError:
                ours.close()
                raise
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self, sock=ours)
        self._send(Setup(recipe.vault.keys_for_making(), recipe.settings, folder, recipe.listed))

    async def settled(self) -> None:
        """Until it is ready, or gone."""
        await self._told.wait()

    def knows(self, batch_id: int, segment_id: int) -> bool:
        """Whether it has this segment's notice."""
        return (batch_id, segment_id) in self._texts

    def tell(self, batch_id: int, segment_id: int, notice: Notice) -> None:
        """Give it a segment's notice."""
        self._texts.add((batch_id, segment_id))
        self._send(Text(batch_id, segment_id, notice))

    def give(self, claims: Iterable[Claim]) -> None:
        """Have these made; it knows their notices."""
        given = tuple(claims)
        self._pending.update((claim.id, claim) for claim in given)
        self._send(Work(given))

    def close(self) -> None:
        """The end of it, and of what it was doing."""
        process, self._process = self._process, None
        if self._transport is not None:
            self._transport.abort()
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()

    def _send(self, item: object) -> None:
        if self._transport is not None:
            self._transport.write(frame(item))

    # -- what the transport does ---------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for item in self._frames.feed(data):
            if item == READY:
                self.is_ready = True
                self._told.set()
                continue
            for result in item:
                if self._pending.pop(result.claim_id, None) is not None:
                    self._heard(result)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport, self.is_ready = None, False
        self._told.set()
        if self._process is not None:
            _log.warning("action=bench_ended pid=%d: messages are made by the sender itself", self._process.pid)
            left, self._pending = list(self._pending.values()), {}
            self._gone(self, left)


def processors() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
