"""What a sender and its benches say to each other, and how: items, each with its length before it.

The items are pickled. Both ends are the same program, and nobody else holds an end of the pair of sockets.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from notifier.campaign import Settings
from notifier.delivery.envelopes import Notice, Ready
from notifier.storage.deliveries import Claim
from notifier.vault import Keys

READY = "ready"  # what a bench says first

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True, repr=False)
class Setup:
    """What a bench is given first."""

    keys: Keys
    settings: Settings
    folder: Path
    listed: frozenset[str]


@dataclass(frozen=True, slots=True, repr=False)
class Text:
    """The compiled notice of a batch's segment, given before the first claim that needs it."""

    batch_id: int
    segment_id: int
    notice: Notice


@dataclass(frozen=True, slots=True, repr=False)
class Work:
    """Claims whose messages are to be made."""

    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """What became of a claim: a message, the code of what is wrong with this one, or an error that is everybody's."""

    claim_id: int
    ready: Ready | None = None
    code: str = ""
    error: Exception | None = None


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
