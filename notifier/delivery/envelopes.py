"""From a claim to what goes over the wire: unsealed contact, rendered notice, envelope, and what a reply may not say.

The personal values exist in memory for the length of one transaction. The same claim gives the same bytes, the Date
apart, which is the attempt's own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, Protocol

from notifier.campaign import Sender
from notifier.delivery import replies
from notifier.delivery.diversion import Diversion
from notifier.delivery.return_path import return_path
from notifier.delivery.transaction import Envelope, EnvelopeError, sendable, verify
from notifier.delivery.wire import wire
from notifier.dkim import Signer
from notifier.model import Contact, Form, PersonalFields, from_ms
from notifier.storage.deliveries import Claim
from notifier.vault import Vault


class Notice(Protocol):
    """A compiled notice (notices/compiled.py), as far as sending knows it."""

    def render(self, fields: PersonalFields, *, to: str, message_id: str, date: datetime) -> bytes:
        """The complete message, RFC 5322, CRLF."""

    def parts(self, fields: PersonalFields, *, to: str, message_id: str, date: datetime) -> Sequence[bytes]:
        """The same in parts: this person's own and fixed ones in turn."""


# The compiled notice of (batch id, segment id).
NoticeFor = Callable[[int, int], Awaitable[Notice]]


class Ready(NamedTuple):
    """A message that may go out. ``envelope``: None when no command can carry the address; ``wire``: the message as
    it goes out, dot-stuffed, with its final dot; ``named``, ``listed``, ``also``: what :attr:`forbidden` is made of."""

    envelope: Envelope | None
    wire: bytes
    notice_sha256: str
    named: tuple[Contact, ...]
    listed: frozenset[str]
    also: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Ready({self.envelope!r}, …)"

    @property
    def forbidden(self) -> tuple[str, ...]:
        """What a reply may not say (I8)."""
        return replies.values(self.named, self.listed) + self.also


def prepare(
    held: Claim,
    vault: Vault,
    sender: Sender,
    notice: Notice,
    listed: frozenset[str],
    *,
    signer: Signer | None = None,
    diversion: Diversion | None = None,
) -> Ready:
    """Unseal, render, sign, address and verify (I2); ``notice_sha256`` is over the bytes as they go out. ``diversion``:
    where a rehearsal's messages go; of nothing else. Raises EnvelopeError or SigningError for a message that must not
    go out."""
    if vault.is_drill is not (diversion is not None):
        raise EnvelopeError("a drill's key and a campaign's settings, or the reverse: nothing goes out")
    contact = Contact.of(vault.unseal("contact", held.identity, held.sealed))
    others = [_contact(vault, one.identity, one.sealed, one.own_identity, one.own_sealed) for one in held.informed]
    token = held.token.hex()
    own = contact.second_email if held.is_second else contact.email
    recipient = diversion.address(own) if diversion else own
    path = sendable(recipient)
    if path is None:
        return Ready(None, b"", "", (contact, *others), listed)
    # A notice of somebody's own that goes to the contract's mailbox (DESIGN 7) greets that person, not the holder.
    elsewhere = held.form == Form.OWN and held.informed and held.informed[0].own_identity is not None
    reader = others[0] if elsewhere else contact
    if reader.email != recipient:
        reader = reader._replace(email=recipient)
    back = return_path(vault, held.token, sender.bounce_domain or sender.from_domain)
    fields = PersonalFields(reader, vault.reference(token), _concerned(held.form, others) if others else ())
    started = _instant(held.started_ms)
    parts = notice.parts(fields, to=recipient, message_id=f"<{token}@{sender.from_domain}>", date=started)
    message = b"".join(parts)
    if signer is not None:
        message = signer.signed(message, at=started)
        parts = [message]
    envelope = Envelope(back, recipient, path, message, token)
    verify(envelope, recipient)
    also: tuple[str, ...] = ()
    if diversion:
        diversion.verify(envelope)
        also = (recipient, recipient.partition("@")[0])
    notice_sha256 = vault.blinded_sha256("notice", held.token, held.attempt, message)
    return Ready(envelope, wire(envelope, parts), notice_sha256, (contact, *others), listed, also)


# What a cycle claims has begun at one instant.
_instant = lru_cache(maxsize=64)(from_ms)


def _contact(
    vault: Vault, identity: bytes, sealed: bytes, own_identity: bytes | None, own_sealed: bytes | None
) -> Contact:
    """A person as the sender's directory writes them, else as the operator's export does."""
    if own_identity is not None and own_sealed is not None:
        return Contact.of(vault.unseal("contact", own_identity, own_sealed))
    return Contact.of(vault.unseal("person", identity, sealed))


def _concerned(form: str, others: list[Contact]) -> tuple[str, ...]:
    """The names that a notice about others lists, in an order that does not depend on rows: a notice can be made
    again from what the persons say of themselves (DESIGN 6)."""
    if form == Form.ESTABLISHMENTS:
        return tuple(sorted({one.company or one.full_name for one in others}))
    if form == Form.CHILDREN:
        return tuple(sorted(one._replace(civility="").full_name for one in others))
    return ()
