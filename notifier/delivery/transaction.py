"""One SMTP transaction on an open session: MAIL, RCPT, DATA, one recipient, one message.

The commands go out one by one, so that each failure knows its phase; DATA and the body are two steps, so that a
connection lost before the 354 was answered is *lost* (nothing was handed over) and not in doubt. From the moment the
body is written the final dot may have gone out: whatever happens then without a reply is in doubt (RFC 1047).

``transact`` writes MAIL before it first yields: what the pace's gate granted is written at that instant (I6).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import aiosmtplib

from notifier.delivery.outcomes import Kind, Outcome, Phase, classify, in_doubt, lost, released, timed_out
from notifier.errors import NotifierError

# What may stand between < and > in MAIL and RCPT: no space, no control, no angle bracket (RFC 5321 4.1.2).
_PATH = re.compile(r"[^\x00-\x20\x7f<>]{1,256}")
_TO = re.compile(rb"^To:[ \t]*((?:[^\r\n]|\r\n[ \t])*)\r\n", re.IGNORECASE | re.MULTILINE)


class EnvelopeError(NotifierError):
    """A message that must not go out: its envelope or its line ends are wrong. A bug in who made it."""


@dataclass(frozen=True, slots=True, repr=False)
class Envelope:
    """What one transaction carries. ``recipient`` as the contact has it; ``path``: as RCPT says it (an IDN domain
    in its A-label); ``message``: complete, CRLF, not dot-stuffed; ``token``: the delivery's, hex (RFC 3461 ENVID)."""

    return_path: str
    recipient: str
    path: str
    message: bytes
    token: str

    def __repr__(self) -> str:
        return f"Envelope(token={self.token!r}, …)"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for replies, in seconds (RFC 5321 4.5.3.2: minutes, not seconds; a short wait after the final
    dot makes duplicates)."""

    reply: float
    final: float


def verify(envelope: Envelope, recipient: str) -> None:
    """Assert, at the moment of sending, that the envelope goes to the contact's address and to nobody else (I2), and
    that the message cannot be read as two (SMTP smuggling: a bare CR or LF). Raises EnvelopeError."""
    message = envelope.message
    if envelope.recipient != recipient or envelope.path != sendable(recipient):
        raise EnvelopeError(f"delivery {envelope.token}: the envelope's recipient is not the contact's address")
    head = message[: message.find(b"\r\n\r\n") + 2]
    named = _TO.findall(head)
    if len(named) != 1:
        raise EnvelopeError(f"delivery {envelope.token}: the message has {len(named)} To headers instead of one")
    written = named[0].replace(b"\r\n", b"").strip(b" \t").decode("utf-8", "replace")
    # The address alone, or a phrase of encoded words before it, in which neither "," nor "<" can stand (RFC 2047 5).
    phrase, bracket, address = written.partition("<")
    if written != envelope.path and not (address == f"{envelope.path}>" and bracket and "," not in phrase):
        raise EnvelopeError(f"delivery {envelope.token}: the message's To is not the contact's address")
    if not (message.count(b"\n") == message.count(b"\r\n") == message.count(b"\r")):
        raise EnvelopeError(f"delivery {envelope.token}: the message holds a bare CR or LF")
    if not message.endswith(b"\r\n"):
        raise EnvelopeError(f"delivery {envelope.token}: the message does not end with CRLF")
    if not (_PATH.fullmatch(envelope.path) and _PATH.fullmatch(envelope.return_path)):
        raise EnvelopeError(f"delivery {envelope.token}: a path holds what a command cannot carry")


def sendable(address: str) -> str | None:
    """The address as RCPT says it, its domain in A-labels (IDNA); None if no command can carry it."""
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


async def transact(  # noqa: PLR0911, PLR0912  (each way out is a phase and what is known there)
    session: aiosmtplib.SMTP, envelope: Envelope, patience: Patience
) -> Outcome:
    """Hand one message over. Never raises for what the server or the network does: the outcome says it. A session
    that cannot take another transaction is closed (``session.is_connected``)."""
    utf8 = not envelope.path.isascii()
    if utf8 and not session.supports_extension("smtputf8"):
        # RFC 6531 3.5: a mailbox that this relay cannot address. Not the person's fault, and no retry mends it.
        return classify(Phase.RCPT, 550, "5.6.7 the relay offers no SMTPUTF8")
    protocol = session.protocol
    if protocol is None or not session.is_connected:
        return released()
    mail, rcpt = _options(session, envelope, utf8=utf8)
    commands = (
        (Phase.MAIL, (b"MAIL", b"FROM:<" + envelope.return_path.encode() + b">", *mail), 250),
        (Phase.RCPT, (b"RCPT", b"TO:<" + envelope.path.encode() + b">", *rcpt), 250),
        (Phase.DATA, (b"DATA",), 354),
    )
    for phase, command, wanted in commands:
        try:
            reply = await session.execute_command(*command, timeout=patience.reply)
        except aiosmtplib.SMTPReadTimeoutError:
            return timed_out(phase)
        except aiosmtplib.SMTPResponseException as error:  # not SMTP what it says
            session.close()
            return classify(phase, error.code, error.message)
        except (aiosmtplib.SMTPServerDisconnected, OSError):
            session.close()
            return lost(phase)
        if reply.code != wanted and not (phase is Phase.RCPT and reply.code in (251, 252)):
            outcome = classify(phase, reply.code, reply.message)
            if phase is not Phase.MAIL:
                await _reset(session, reply.code)
            return outcome
    try:
        # Before the first byte of the body, a connection known to be broken is still a safe loss.
        protocol.write(_stuffed(envelope.message))
    except (aiosmtplib.SMTPServerDisconnected, OSError):
        session.close()
        return lost(Phase.DATA)
    try:
        reply = await protocol.read_response(timeout=patience.final)
    except aiosmtplib.SMTPReadTimeoutError:
        session.close()
        return in_doubt("no answer in time after the final dot")
    except aiosmtplib.SMTPResponseException as error:  # not SMTP what it says; its words, so to be redacted (I8)
        session.close()
        return Outcome(Kind.IN_DOUBT, Phase.FINAL, error.code, text=error.message)
    except (aiosmtplib.SMTPServerDisconnected, OSError):
        session.close()
        return in_doubt("connection lost after the final dot")
    if reply.code == 421:
        session.close()
    return classify(Phase.FINAL, reply.code, reply.message)


def _options(session: aiosmtplib.SMTP, envelope: Envelope, *, utf8: bool) -> tuple[list[bytes], list[bytes]]:
    """Parameters of MAIL and RCPT that this server offers."""
    mail: list[bytes] = []
    rcpt: list[bytes] = []
    if session.supports_extension("size"):  # RFC 1870
        mail.append(b"SIZE=%d" % len(envelope.message))
    if utf8:
        mail.append(b"SMTPUTF8")
    if (utf8 or not envelope.message.isascii()) and session.supports_extension("8bitmime"):  # RFC 6152
        mail.append(b"BODY=8BITMIME")
    if session.supports_extension("dsn"):
        # RFC 3461: headers alone come back, under a name that says nothing of the person. The notice is not copied
        # around, and failures and delays are reported to the return path.
        mail += [b"RET=HDRS", b"ENVID=" + envelope.token.encode()]
        rcpt.append(b"NOTIFY=FAILURE,DELAY")
    return mail, rcpt


def _stuffed(message: bytes) -> bytes:
    """The body as it goes over the wire: dots doubled at line starts, and the final dot (RFC 5321 4.5.2)."""
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    return (b"." if stuffed.startswith(b".") else b"") + stuffed + b".\r\n"


async def _reset(session: aiosmtplib.SMTP, code: int) -> None:
    """Clear the server's envelope after a refusal. A session that cannot do it is closed; the outcome stands."""
    if code == 421 or not session.is_connected:
        session.close()
        return
    try:
        reply = await session.execute_command(b"RSET", timeout=30)
    except (aiosmtplib.SMTPException, OSError):
        session.close()
        return
    if reply.code != 250:
        session.close()
