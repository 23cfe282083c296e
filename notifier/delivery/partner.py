"""The sender's end of a process beside it (frames.py)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from notifier.delivery.frames import READY, Frames, frame

_log = logging.getLogger(__name__)


def environment(ours: Mapping[str, str], path: Sequence[str]) -> dict[str, str]:
    """What such a process sees of ``ours``: no setting and no secret, for it is told what it needs; and modules from
    where we have them (``path``), not from the folder in which somebody happens to work."""
    kept = {name: value for name, value in ours.items() if not name.startswith("NOTIFIER_")}
    return {**kept, "PYTHONPATH": os.pathsep.join(place for place in path if place)}


class Partner(asyncio.Protocol, ABC):
    """A process that runs ``module``. Whoever uses it says what is to be done with what it says (:meth:`heard`), and
    when it is gone (:meth:`lost`)."""

    module = ""
    patience = 0.0

    def __init__(self) -> None:
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pair: socket.socket | None = None
        self.is_ready = False
        self._told = asyncio.Event()  # it is ready, or never will be

    async def start(self, setup: object) -> None:
        """Start it, and give it what it works with. Raises OSError when there is no process to be had."""
        ours, theirs = socket.socketpair()
        with theirs:
            descriptor = theirs.fileno()
            try:
                # A session of its own: what a terminal tells the sender is not for it.
                self._process = subprocess.Popen(  # noqa: S603  (our own program)
                    [sys.executable, "-P", "-m", self.module, str(descriptor)],
                    pass_fds=[descriptor],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env=environment(os.environ, sys.path),
                    start_new_session=True,
                )
            except OSError:
                ours.close()
                raise
        self._pair = ours
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=ours)
        except BaseException:
            ours.close()
            self.close()
            raise
        self.send(setup)

    async def settled(self) -> None:
        """Until it is ready, or gone."""
        await self._told.wait()

    def send(self, item: object) -> None:
        """Say something to it; nothing when it is gone."""
        if self._transport is not None:
            self._transport.write(frame(item))

    def close(self) -> None:
        """The end of it. What it is doing it may finish within ``patience`` seconds: the pair closes, and it ends."""
        process, self._process = self._process, None
        if self._pair is not None:
            with contextlib.suppress(OSError):
                self._pair.shutdown(socket.SHUT_RDWR)  # at once, and not when the loop comes to it
        if self._transport is not None:
            self._transport.abort()
        if process is None:
            return
        impatience = threading.Timer(self.patience, process.kill)
        impatience.start()
        process.wait()
        impatience.cancel()

    @property
    def name(self) -> str:
        """For whoever has to look for it."""
        return f"{self.module} (process {self._process.pid if self._process else 0})"

    @abstractmethod
    def heard(self, item: Any) -> None:
        """It says something."""

    @abstractmethod
    def lost(self) -> None:
        """It has ended, and nobody closed it."""

    # -- what the transport does ---------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for item in self._frames.feed(data):
            if item == READY:
                self.is_ready = True
                self._told.set()
            else:
                self.heard(item)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport, self.is_ready = None, False
        self._told.set()
        if self._process is not None:
            _log.warning("action=process_ended module=%s pid=%d", self.module, self._process.pid)
            self.lost()
