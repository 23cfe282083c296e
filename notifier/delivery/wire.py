"""A message as it goes over the wire, made of parts most of which were looked at before. Pure.

What all messages of a segment share is twenty times what is a person's own. To look at each byte of each message for
bare line ends and for dots at line starts costs more than everything else that is done with it; a fixed part never
changes, so it is looked at once, and a message costs what is its own, and the joints.

Promises the bytes of :func:`notifier.delivery.transaction.body`, or its error (a property test holds the two equal):
where anything is not as it usually is, that function itself decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from notifier.delivery.transaction import Envelope, body

# Rows of fixed parts kept, one for a segment; a campaign has tens of segments.
KEPT = 512


def wire(envelope: Envelope, parts: Sequence[bytes]) -> bytes:
    """``body`` of the envelope's message, which is ``parts`` joined: a person's own and fixed ones in turn, a person's
    own first. Raises EnvelopeError as ``body`` does."""
    return joined(parts[::2], parts[1::2]) if is_usual(parts) else body(envelope)


def is_usual(parts: Sequence[bytes]) -> bool:
    """Whether :func:`joined` makes the wire of these parts, as it does of nearly all."""
    # Each of the person's own as if it began a line: a line end that one part leaves open and another closes, and a dot
    # that may stand first on a line, are found at once.
    own = b"\r\n" + b"\r\n".join(parts[::2])
    clean = own.count(b"\r\n") == own.count(b"\r") == own.count(b"\n") and b"\r\n." not in own
    return clean and len(parts) % 2 == 0 and _stuffed(tuple(parts[1::2])) is not None


def joined(own: Sequence[bytes], fixed: Sequence[bytes]) -> bytes:
    """The wire of parts that are as they usually are: a person's own, and the fixed one behind each."""
    stuffed = _stuffed(tuple(fixed))
    assert stuffed is not None and len(own) == len(stuffed)
    pieces = [b""] * (2 * len(stuffed) + 1)
    pieces[:-1:2], pieces[1::2], pieces[-1] = own, stuffed, b".\r\n"
    return b"".join(pieces)


@lru_cache(maxsize=KEPT)
def _stuffed(fixed: tuple[bytes, ...]) -> tuple[bytes, ...] | None:
    """Fixed parts with their dots at line starts doubled; None if a CR or LF in them is alone, a dot stands first in
    one of them, or the last does not end its line. (The hashes of the parts are made once and kept with them; then
    they are found by their places in memory.)"""
    if not fixed or not fixed[-1].endswith(b"\r\n"):
        return None
    for part in fixed:
        if part.startswith(b".") or not part.count(b"\r\n") == part.count(b"\r") == part.count(b"\n"):
            return None
    return tuple([part.replace(b"\r\n.", b"\r\n..") for part in fixed])
