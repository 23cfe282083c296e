"""A body of a message with places for personal values: encoded once, filled per person (RFC 2045). Pure.

Two encodings, and the smaller one is taken, per body and segment, from what all messages of the segment share: the
choice never depends on the person. In quoted-printable a value stands between soft line breaks. Base64 packs three
bytes into four letters, so what follows a value depends on its length modulo 3: each fixed piece is encoded in all
three ways beforehand, and only the few bytes around a value are encoded per person.

Both give lines of at most 76 characters, ended by CRLF, in ASCII, whatever the values hold.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Sequence
from typing import Protocol

from notifier.notices.encoding import SOFT_BREAK, quoted_printable, quoted_value

LINE = 76  # RFC 2045 6.7 and 6.8

Value = Callable[[str], str]


class EncodedBody(Protocol):
    """A body in its transfer encoding. ``name``: as Content-Transfer-Encoding says it; ``fixed``: the parts that do not
    depend on the person, one more than there are of the person's own, which stand between them."""

    name: str
    fixed: tuple[bytes, ...]

    @property
    def fixed_size(self) -> int:
        """Bytes that do not depend on the person."""

    def own(self, values: Sequence[str], known: dict[str, bytes]) -> list[bytes]:
        """The person's own parts, from the values, one for each place; lines of a value end with ``\\n``. ``known``:
        values that this message has in quoted-printable already; what is encoded here is added."""


def filled(body: EncodedBody, values: Sequence[str]) -> bytes:
    """The whole body."""
    parts = [b""] * (2 * len(body.fixed) - 1)
    parts[::2], parts[1::2] = body.fixed, body.own(values, {})
    return b"".join(parts)


def encoded_body(pieces: Sequence[str]) -> EncodedBody:
    """The shorter encoding of a body of which ``pieces`` is the fixed text: a value goes between each two of them.
    Quoted-printable where both are equal."""
    quoted, packed = QuotedPrintable(pieces), Base64(pieces)
    return packed if packed.fixed_size < quoted.fixed_size else quoted


class QuotedPrintable:
    """RFC 2045 6.7."""

    name = "quoted-printable"

    def __init__(self, pieces: Sequence[str]) -> None:
        last = len(pieces) - 1
        self.fixed = tuple(
            (SOFT_BREAK if place else b"") + quoted_printable(piece) + (SOFT_BREAK if place < last else b"")
            for place, piece in enumerate(pieces)
        )

    @property
    def fixed_size(self) -> int:
        return sum(map(len, self.fixed))

    def own(self, values: Sequence[str], known: dict[str, bytes]) -> list[bytes]:
        for value in values:
            if value not in known:
                known[value] = _quoted_lines(value)
        return [known[value] for value in values]


def _quoted_lines(value: str) -> bytes:
    """A value that may span lines (a list of names), each quoted by itself."""
    if "\n" not in value:
        return quoted_value(value)
    return b"\r\n".join([quoted_value(line) for line in value.split("\n")])


class Base64:
    """RFC 2045 6.8; line ends are CRLF before they are encoded. One part that is the person's own: where a line ends
    depends on all that stands before it."""

    name = "base64"
    fixed: tuple[bytes, ...] = (b"", b"")

    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = [_phases(_canonical(piece)) for piece in pieces]

    @property
    def fixed_size(self) -> int:
        return sum(map(len, self.own([""] * (len(self._pieces) - 1), {})))

    def own(self, values: Sequence[str], known: dict[str, bytes]) -> list[bytes]:
        lines: list[bytes] = []
        pending = b""  # not encoded yet: what stands around a value
        for place, phases in enumerate(self._pieces):
            if place:
                pending += _canonical(values[place - 1])
            first, block, rest = phases[-len(pending) % 3]
            pending += first
            if block:
                if pending:
                    lines.append(_packed(pending))
                lines.append(block)
                pending = rest
            else:
                pending += rest
        if pending:
            lines.append(_packed(pending))
        return [b"\r\n".join(lines) + b"\r\n"]


def _canonical(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def _phases(piece: bytes) -> tuple[tuple[bytes, bytes, bytes], ...]:
    """For 0, 1 and 2 bytes that are wanted to fill what came before: those bytes, the encoded whole triples after
    them, and what is left over."""
    cut = []
    for wanted in range(3):
        end = wanted + max(0, len(piece) - wanted) // 3 * 3
        block = piece[wanted:end]
        cut.append((piece[:wanted], _packed(block) if block else b"", piece[end:]))
    return tuple(cut)


def _packed(raw: bytes) -> bytes:
    letters = binascii.b2a_base64(raw, newline=False)
    if len(letters) <= LINE:
        return letters
    return b"\r\n".join([letters[start : start + LINE] for start in range(0, len(letters), LINE)])
