"""Where the messages of a rehearsal go: to own addresses on a list, or to a sink on this machine, and nowhere else.

Asserted for each message at the moment of sending (I2), on what is about to be written: the envelope's recipient,
and the marks in subject and bodies. ``prepare`` calls it for every campaign whose key is a drill's, and refuses a drill
without it: a diversion that was forgotten sends nothing.
"""

from __future__ import annotations

import email
import email.policy
import hashlib
import re
from dataclasses import dataclass
from email.message import EmailMessage

from notifier.campaign import Settings, is_loopback
from notifier.delivery.transaction import Envelope, EnvelopeError
from notifier.model import DRILL_MARK
from notifier.notices.inspection import look

# RFC 2606 and 6761: nobody has a mailbox under these.
_NOBODYS = re.compile(r"@(?:[^@]+\.)?(?:example|test|invalid|localhost|example\.(?:com|net|org))$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Diversion:
    """``recipients``: own addresses; empty: a sink on this machine takes the invented ones as they are."""

    recipients: tuple[str, ...]
    relay_host: str

    @classmethod
    def of(cls, settings: Settings) -> Diversion | None:
        """None in a campaign that is no rehearsal. Of two relays the one that is not on this machine counts: it may
        take over in the middle of a run."""
        if settings.drill is None:
            return None
        relay = settings.relay
        hosts = [relay.host, *([relay.fallback.host] if relay.fallback else [])]
        return cls(settings.drill.recipients, next((host for host in hosts if not is_loopback(host)), relay.host))

    def address(self, wanted: str) -> str:
        """The address to write to in place of ``wanted``: always the same one for the same mailbox."""
        if not self.recipients:
            return wanted
        place = int.from_bytes(hashlib.sha256(wanted.casefold().encode()).digest()[:8], "big")
        return self.recipients[place % len(self.recipients)]

    def admits(self, address: str) -> bool:
        """Whether a drill may write to this address."""
        if self.recipients:
            return address in self.recipients
        return is_loopback(self.relay_host) and _NOBODYS.search(address) is not None

    def verify(self, envelope: Envelope) -> None:
        """Raises EnvelopeError for a message that is not for the list or the sink, or not marked as a drill's."""
        if not self.admits(envelope.recipient):
            if self.recipients:
                raise EnvelopeError(f"delivery {envelope.token}: the recipient is not on the drill's list")
            raise EnvelopeError(f"delivery {envelope.token}: a drill without a list is for a sink on this machine")
        if not is_marked(envelope.message):
            raise EnvelopeError(f"delivery {envelope.token}: the message does not say {DRILL_MARK} where it must")


def is_marked(message: bytes) -> bool:
    """Whether a message says EXERCICE first in its subject, and in the first and the last line of both bodies."""
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    text, page = parsed.get_body(("plain",)), parsed.get_body(("html",))
    if text is None or page is None or not str(parsed["Subject"]).startswith(DRILL_MARK):
        return False
    lines = [line for line in text.get_content().splitlines() if line.strip()]
    inked = [piece.text for piece in look(page.get_content()).inked]
    return all(bool(ends) and DRILL_MARK in ends[0] and DRILL_MARK in ends[-1] for ends in (lines, inked))
