"""How text becomes mail: quoted-printable, encoded words, addresses. Pure.

All of it is made so that a value can be put between two pieces that were encoded long before: in quoted-printable it
stands between soft line breaks, in a header it is an encoded word of its own (white space between two encoded words
is not part of the text, RFC 2047 6.2).
"""

from __future__ import annotations

import binascii
import re

import idna

QP_LINE = 76  # RFC 2045 6.7, with the soft break
WORD_LIMIT = 66  # RFC 2047 2 allows 75, and 76 for the line, on which "Subject: " may stand too
SOFT_BREAK = b"=\r\n"
FOLD = b"\r\n "

_WORD_FRAME = len("=?utf-8?q?") + len("?=")
# RFC 2047 5 (3): what may stand unencoded in a phrase, which is the narrowest place.
_WORD_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_WORD_BYTES = tuple("_" if byte == 0x20 else chr(byte) if byte in _WORD_SAFE else f"={byte:02X}" for byte in range(256))
_QP_PLAIN = re.compile(r"[A-Za-z0-9 ,'&;_-]{1,70}", re.ASCII)
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_MAILBOX = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?", re.ASCII)


def quoted_printable(text: str) -> bytes:
    """A piece of a body (RFC 2045 6.7): lines of at most 76 characters, CRLF, room left for a soft break at its end.

    ``text`` ends its lines with ``\\n``. A trailing space is encoded, so that the piece may end anywhere.
    """
    return b"\r\n".join(_quoted_line(line.encode()) for line in text.split("\n"))


def quoted_value(value: str) -> bytes:
    """A personal value, to stand between two soft breaks; of any length, on one or more lines."""
    if _QP_PLAIN.fullmatch(value) and value[-1] != " ":
        return value.encode("ascii")
    return _quoted_line(value.encode())


def _quoted_line(line: bytes) -> bytes:
    quoted = binascii.b2a_qp(line, quotetabs=False, istext=False)
    last = len(quoted) - (quoted.rfind(b"\n") + 1)
    if last >= QP_LINE:  # b2a_qp leaves the last line no room for a soft break; it then ends in a plain character
        quoted = quoted[:-1] + b"=\n" + quoted[-1:]
    return quoted.replace(b"\n", b"\r\n")


def encoded_words(text: str) -> bytes:
    """``text`` as RFC 2047 words, folded; "" gives nothing. A character is never split."""
    words: list[str] = []
    word, room = "", WORD_LIMIT - _WORD_FRAME
    encoded = "".join([_WORD_BYTES[byte] for byte in text.encode()])
    if len(encoded) <= room:
        return f"=?utf-8?q?{encoded}?=".encode() if encoded else b""
    for letter in text:
        piece = "".join([_WORD_BYTES[byte] for byte in letter.encode()])
        if len(word) + len(piece) > room:
            words.append(word)
            word = ""
        word += piece
    words.append(word)
    return FOLD.join(f"=?utf-8?q?{word}?=".encode() for word in words)


def mailbox_address(address: str) -> str:
    """The address in ASCII, an internationalised domain as A-labels (RFC 5890).

    Raises ValueError for what is no single plain mailbox, and for a local part that would need SMTPUTF8 (DOMAIN D1:
    that person is told by post).
    """
    if not address.isascii():
        local, _, domain = address.rpartition("@")
        try:
            address = f"{local}@{idna.encode(domain, uts46=True).decode()}"
        except idna.IDNAError as error:
            raise ValueError("the mailbox's domain is not a valid one") from error
    if _MAILBOX.fullmatch(address) is None or len(address) > 254:
        raise ValueError("the mailbox is not a plain address in ASCII")
    return address
