"""How a sender and the processes beside it talk: items, pickled, each with its length before it, over two sockets.

Both ends are the same program, and nobody else holds one. A process beside the sender (``python -m MODULE FD``) gets
all that it works with over that pair, its keys too: nothing stands in arguments or variables. It ends when the sender
does, however that ends, for then the pair closes.
"""

from __future__ import annotations

import gc
import pickle
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from notifier.errors import NotifierError

READY = "ready"  # what such a process says first

_LENGTH = struct.Struct(">I")


def frame(item: object) -> bytes:
    """Its bytes."""
    body = pickle.dumps(item, protocol=5)
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Takes bytes as they come, gives whole items."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """The items that ``data`` completes, in order."""
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= _LENGTH.size:
            end = start + _LENGTH.size + _LENGTH.unpack_from(buffer, start)[0]
            if len(buffer) < end:
                break
            with memoryview(buffer)[start + _LENGTH.size : end] as body:
                item = pickle.loads(body)  # noqa: S301  (our own process wrote it)
            start = end
            yield item
        del buffer[:start]


def portable(error: Exception) -> Exception:
    """The error as the other end can raise it. Of one that is not ours nothing but its class and its place: its text
    may quote a value (I8)."""
    if isinstance(error, NotifierError):
        with suppress(Exception):
            if type(pickle.loads(pickle.dumps(error))) is type(error):  # noqa: S301
                return error
    return NotifierError(_place(error))


def _place(error: Exception) -> str:
    places = traceback.extract_tb(error.__traceback__)
    where = f" at {places[-1].filename}:{places[-1].lineno}" if places else ""
    return f"{type(error).__name__}{where}"


Send = Callable[[object], None]


def serve(work: Callable[[Iterator[Any], Send], None]) -> None:
    """The main program of a process beside the sender: ``work`` with what comes in, and with what sends an answer."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the sender is asked to stop, and needs its processes until it has
    gc.collect()
    gc.freeze()  # as cli/loop.py's settle: what is here stays
    gc.set_threshold(10_000, 10, 10)
    # The sender may be gone at any moment.
    with socket.socket(fileno=int(sys.argv[1])) as pair, suppress(BrokenPipeError, ConnectionResetError):
        try:
            work(_received(pair), lambda item: pair.sendall(frame(item)))
        except (BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:
            sys.exit(f"notifier: {_place(error)}")


def _received(pair: socket.socket) -> Iterator[Any]:
    frames = Frames()
    while data := pair.recv(1 << 18):
        yield from frames.feed(data)
