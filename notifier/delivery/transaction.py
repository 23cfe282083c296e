"""One SMTP transaction as bytes: envelope, commands with the parameters that a server offers, the body with its dot.

Pure. What is asserted here is asserted on the very bytes that go out: the recipient is the contact's address (I2), and
no message can be read as two, for it holds no bare CR or LF and exactly one end of data (SMTP smuggling).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from notifier.errors import NotifierError

# What may stand between < and > in MAIL and RCPT: no space, no control, no angle bracket (RFC 5321 4.1.2).
_PATH = re.compile(r"[^\x00-\x20\x7f<>]{1,256}")
_USUAL = re.compile(r"[!-;=?-~]{1,128}@[!-;=?A-~]{1,127}")  # such a path as it stands, its last "@" between both
_TO = re.compile(rb"To:[ \t]*([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)\r\n(?![ \t])", re.IGNORECASE)
_XTEXT = re.compile(r"[!-*,-<>-~]{1,100}")  # RFC 3461 4: what needs no encoding


class EnvelopeError(NotifierError):
    """A message that must not go out: its envelope or its line ends are wrong. A bug in who made it."""


class Envelope(NamedTuple):
    """What one transaction carries. ``recipient`` as the contact has it; ``path``: as RCPT says it (an IDN domain
    in its A-label); ``message``: complete, CRLF, not dot-stuffed; ``token``: the delivery's, hex (RFC 3461 ENVID)."""

    return_path: str
    recipient: str
    path: str
    message: bytes
    token: str

    def __repr__(self) -> str:
        return f"Envelope(token={self.token!r}, …)"


class Posting(NamedTuple):
    """What a session is given of a message that was verified. ``size``: in bytes, before dots are doubled; ``wire``:
    as it goes out (:func:`body`)."""

    return_path: str
    path: str
    token: str
    size: int
    is_ascii: bool
    wire: bytes

    def __repr__(self) -> str:
        return f"Posting(token={self.token!r}, …)"

    @classmethod
    def of(cls, envelope: Envelope, wire: bytes) -> Posting:
        """``wire``: that of the envelope's message."""
        message = envelope.message
        return cls(envelope.return_path, envelope.path, envelope.token, len(message), message.isascii(), wire)


def verify(envelope: Envelope, recipient: str) -> None:
    """Assert, at the moment of sending, that the envelope goes to the contact's address and to nobody else (I2). Raises
    EnvelopeError. :func:`body` asserts the rest."""
    message = envelope.message
    if envelope.recipient != recipient:
        raise EnvelopeError(f"delivery {envelope.token}: the envelope's recipient is not the contact's address")
    if envelope.path != sendable(recipient):
        raise EnvelopeError(f"delivery {envelope.token}: the path of RCPT is not the contact's address")
    head = b"\r\n" + message[: message.find(b"\r\n\r\n") + 2]
    lowered = head.lower()
    if (count := lowered.count(b"\nto:")) != 1:
        raise EnvelopeError(f"delivery {envelope.token}: the message has {count} To headers instead of one")
    named = _TO.match(head, lowered.find(b"\nto:") + 1)
    if named is None:
        raise EnvelopeError(f"delivery {envelope.token}: the message's To does not end")
    written = named[1].replace(b"\r\n", b"").strip(b" \t").decode("utf-8", "replace")
    # The address alone, or a phrase of encoded words before it, in which neither "," nor "<" can stand (RFC 2047 5).
    phrase, bracket, address = written.partition("<")
    if written != envelope.path and not (address == f"{envelope.path}>" and bracket and "," not in phrase):
        raise EnvelopeError(f"delivery {envelope.token}: the message's To is not the contact's address")
    if not _PATH.fullmatch(envelope.return_path):
        raise EnvelopeError(f"delivery {envelope.token}: a path holds what a command cannot carry")
    if not _XTEXT.fullmatch(envelope.token):
        raise EnvelopeError("a delivery's token cannot stand in a command")


def sendable(address: str) -> str | None:
    """The address as RCPT says it, its domain in A-labels (IDNA); None if no command can carry it."""
    if _USUAL.fullmatch(address) is not None:
        return address
    local, _, domain = address.rpartition("@")
    if not local or not domain:
        return None
    if not domain.isascii():
        import idna

        try:
            domain = idna.encode(domain, uts46=True).decode()
        except idna.IDNAError:
            return None
    path = f"{local}@{domain}"
    return path if _PATH.fullmatch(path) else None


def needs_utf8(posting: Posting) -> bool:
    """Whether only a relay with SMTPUTF8 can address this mailbox (RFC 6531 3.5)."""
    return not posting.path.isascii()


def commands(posting: Posting, offers: Mapping[str, str]) -> tuple[bytes, bytes]:
    """MAIL and RCPT, with CRLF. ``offers``: the extensions of EHLO, lower case, with their parameters."""
    mail, rcpt = [f"MAIL FROM:<{posting.return_path}>"], [f"RCPT TO:<{posting.path}>"]
    utf8 = needs_utf8(posting)
    if "size" in offers:  # RFC 1870
        mail.append(f"SIZE={posting.size}")
    if utf8:
        mail.append("SMTPUTF8")
    if "8bitmime" in offers and (utf8 or not posting.is_ascii):  # RFC 6152
        mail.append("BODY=8BITMIME")
    if "dsn" in offers:
        # RFC 3461: headers alone come back, under a name that says nothing of the person. The notice is not copied
        # around, and failures and delays are reported to the return path.
        mail.append(f"RET=HDRS ENVID={posting.token}")
        rcpt.append("NOTIFY=FAILURE,DELAY")
    lines = (" ".join(mail), " ".join(rcpt))
    if any("\r" in line or "\n" in line for line in lines):
        raise EnvelopeError(f"delivery {posting.token}: a command would hold a line break")
    return lines[0].encode() + b"\r\n", lines[1].encode() + b"\r\n"


def body(envelope: Envelope) -> bytes:
    """The message as it goes over the wire: dots doubled at line starts, and the final dot (RFC 5321 4.5.2). Raises
    EnvelopeError unless every CR stands before an LF, every LF behind a CR, and the end of data at the end alone."""
    message = envelope.message
    # As many CR and LF as stand in pairs: none is alone. (Deleting them all is the quickest way to count both.)
    if 2 * message.count(b"\r\n") != len(message) - len(message.translate(None, b"\r\n")):
        raise EnvelopeError(f"delivery {envelope.token}: the message holds a bare CR or LF")
    if not message.endswith(b"\r\n"):
        raise EnvelopeError(f"delivery {envelope.token}: the message does not end with CRLF")
    # Few lines begin with a dot: to look for them is quicker than to replace them.
    parts, start = [b"."] if message.startswith(b".") else [], 0
    while (found := message.find(b"\r\n.", start)) >= 0:
        parts += [message[start : found + 3], b"."]
        start = found + 3
    return b"".join([*parts, message[start:], b".\r\n"])
