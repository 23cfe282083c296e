"""How text becomes mail: quoted-printable, encoded words, addresses. Pure.

All of it is made so that a value can be put between two pieces that were encoded long before: in quoted-printable it
stands between soft line breaks, in a header it is an encoded word of its own (white space between two encoded words
is not part of the text, RFC 2047 6.2). Base64, which knows no such borders, is in ``bodies``.
"""

from __future__ import annotations

import binascii
import re
import unicodedata

import idna

QP_LINE = 76  # RFC 2045 6.7, with the soft break
WORD_LIMIT = 66  # RFC 2047 2 allows 75, and 76 for the line, on which "Subject: " may stand too
SOFT_BREAK = b"=\r\n"
FOLD = b"\r\n "

_WORD_FRAME = len("=?utf-8?q?") + len("?=")
_ROOM = WORD_LIMIT - _WORD_FRAME
_ROOM_BASE64 = _ROOM // 4 * 3  # bytes
_HEX = tuple(b"=%02X" % byte for byte in range(256))
# RFC 2047 5 (3): what may stand unencoded in a phrase, which is the narrowest place; "_" is a space.
_WORD_UNSAFE = re.compile(rb"[^A-Za-z0-9!*+/ -]")
_QP_PLAIN = re.compile(r"[A-Za-z0-9 ,'&;_-]{1,70}", re.ASCII)
_QP_UNSAFE = re.compile(rb"[^A-Za-z0-9 ,'&;_-]")
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_UTEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"  # RFC 6531 3.3
_DOMAIN = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
_MAILBOX = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*@{_DOMAIN}", re.ASCII)
_MAILBOX_UTF8 = re.compile(rf"{_UTEXT}(?:\.{_UTEXT})*@{_DOMAIN}")


def quoted_printable(text: str) -> bytes:
    """A piece of a body (RFC 2045 6.7): lines of at most 76 characters, CRLF, room left for a soft break at its end.

    ``text`` ends its lines with ``\\n``. A trailing space is encoded, so that the piece may end anywhere.
    """
    return b"\r\n".join(_quoted_line(line.encode()) for line in text.split("\n"))


def quoted_value(value: str) -> bytes:
    """A personal value, to stand between two soft breaks; of any length, on one or more lines."""
    if _QP_PLAIN.fullmatch(value) and value[-1] != " ":
        return value.encode("ascii")
    raw = value.encode()
    quoted = _QP_UNSAFE.sub(_hex, raw)
    # A value of usual length stands on one line, where everything that is not quite harmless is encoded.
    return quoted if len(quoted) < QP_LINE and quoted[-1:] != b" " else _quoted_line(raw)


def _hex(match: re.Match[bytes]) -> bytes:
    return _HEX[match[0][0]]


def _quoted_line(line: bytes) -> bytes:
    quoted = binascii.b2a_qp(line, quotetabs=False, istext=False)
    last = len(quoted) - (quoted.rfind(b"\n") + 1)
    if last >= QP_LINE:  # b2a_qp leaves the last line no room for a soft break; it then ends in a plain character
        quoted = quoted[:-1] + b"=\n" + quoted[-1:]
    return quoted.replace(b"\n", b"\r\n")


def encoded_words(text: str) -> bytes:
    """``text`` as RFC 2047 words, folded; "" gives nothing. A character is never split.

    Encoding Q, which shows its letters, where one word holds the text; else Q or B, whichever is shorter.
    """
    raw = text.encode()
    quoted = _WORD_UNSAFE.sub(_hex, raw).replace(b" ", b"_")
    if len(quoted) <= _ROOM:
        return b"=?utf-8?q?%b?=" % quoted if quoted else b""
    in_base64 = len(quoted) > (len(raw) + 2) // 3 * 4
    words, word, size = [], "", 0
    room = _ROOM_BASE64 if in_base64 else _ROOM
    for letter in text:
        piece = letter.encode()
        more = len(piece) if in_base64 else len(_WORD_UNSAFE.sub(_hex, piece))
        if size + more > room:
            words.append(word)
            word, size = "", 0
        word += letter
        size += more
    words.append(word)
    return FOLD.join([_word(each, in_base64=in_base64) for each in words])


def _word(text: str, *, in_base64: bool) -> bytes:
    raw = text.encode()
    if in_base64:
        return b"=?utf-8?b?%b?=" % binascii.b2a_base64(raw, newline=False)
    return b"=?utf-8?q?%b?=" % _WORD_UNSAFE.sub(_hex, raw).replace(b" ", b"_")


def mailbox_address(address: str, *, utf8: bool = False) -> str:
    """The address as headers and commands carry it, an internationalised domain as A-labels (RFC 5890).

    ``utf8``: a local part beyond ASCII is let through as it stands; only such an address needs SMTPUTF8 (RFC 6531,
    DOMAIN D1). Raises ValueError for what is no single plain mailbox; its text does not name the address.
    """
    if not address.isascii():
        local, _, domain = address.rpartition("@")
        if not domain.isascii():
            try:
                address = f"{local}@{idna.encode(domain, uts46=True).decode()}"
            except idna.IDNAError as error:
                raise ValueError("the mailbox's domain is not a valid one") from error
    if not utf8 or address.isascii():
        if _MAILBOX.fullmatch(address) is None or len(address) > 254:
            raise ValueError("the mailbox is not a plain address in ASCII")
    elif (
        _MAILBOX_UTF8.fullmatch(address) is None
        or len(address.encode()) > 254
        or any(unicodedata.category(letter)[0] in "CZ" for letter in address)
    ):
        raise ValueError("the mailbox is not a plain address")
    return address
