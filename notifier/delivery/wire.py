"""A message as it goes over the wire, made of parts most of which were looked at before. Pure.

What all messages of a segment share is twenty times what is a person's own. To look at each byte of each message for
bare line ends and for dots at line starts costs more than everything else that is done with it; a fixed part never
changes, so it is looked at once, and a message costs what is its own, and the joints.

Promises the bytes of :func:`notifier.delivery.transaction.body`, or its error (a property test holds the two equal):
where a CR and its LF stand in two parts, that function itself decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from notifier.delivery.transaction import Envelope, body

# Fixed parts kept, about ten for a segment; a campaign has tens of segments.
KEPT = 4096


def wire(envelope: Envelope, parts: Sequence[bytes]) -> bytes:
    """``body`` of the envelope's message, which is ``parts`` joined: a person's own and fixed ones in turn, a person's
    own first. Raises EnvelopeError as ``body`` does."""
    pieces: list[bytes] = []
    at_line_start = True
    for place, part in enumerate(parts):
        if not part:
            continue
        stuffed = _fixed(part) if place % 2 else _stuffed(part)
        if stuffed is None:
            return body(envelope)
        if at_line_start and part[:1] == b".":
            pieces.append(b".")
        pieces.append(stuffed)
        at_line_start = part[-2:] == b"\r\n"
    if not at_line_start or not pieces:
        return body(envelope)
    pieces.append(b".\r\n")
    return b"".join(pieces)


def _stuffed(part: bytes) -> bytes | None:
    """The part with its dots at line starts doubled, its own first byte apart; None if a CR or LF in it is alone."""
    if b"\n" not in part and b"\r" not in part:
        return part
    if not part.count(b"\r\n") == part.count(b"\r") == part.count(b"\n"):
        return None
    return part.replace(b"\r\n.", b"\r\n..")


# The hash of a fixed part is made once and kept with it; then it is found by its place in memory.
_fixed = lru_cache(maxsize=KEPT)(_stuffed)
