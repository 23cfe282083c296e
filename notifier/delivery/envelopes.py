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
from notifier.delivery.transaction import Envelope, EnvelopeError, Posting, body, sendable, verify
from notifier.delivery.wire import is_usual, joined
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

    @property
    def fixed(self) -> tuple[bytes, ...]:
        """The fixed ones, the same objects."""


# The compiled notice of (batch id, segment id).
NoticeFor = Callable[[int, int], Awaitable[Notice]]


class Ready(NamedTuple):
    """A message that may go out. ``posting``: None when no command can carry the address; ``forbidden``: what a reply
    may not say (I8); ``notice_sha256``: blinded, over the message as it goes out; ``own``: the person's own parts, of
    which :func:`notifier.delivery.wire.joined` makes the wire, or none where that is made otherwise."""

    posting: Posting | None
    forbidden: tuple[str, ...]
    notice_sha256: str = ""
    own: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return f"Ready({self.posting!r}, …)"


class Order(NamedTuple):
    """A message to be made. ``notice``: that of the claim's batch and segment; ``signer``: its sender's, if it has
    one."""

    held: Claim
    sender: Sender
    notice: Notice
    signer: Signer | None = None


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
    [made] = prepare_all([Order(held, sender, notice, signer)], vault, listed, diversion=diversion)
    if isinstance(made, Exception):
        raise made
    return made


def prepare_all(
    orders: Sequence[Order], vault: Vault, listed: frozenset[str], *, diversion: Diversion | None = None
) -> list[Ready | Exception]:
    """:func:`prepare` for each of them, in their order; what it would raise stands in the message's place. Step by step
    for all of them, not message by message: a message takes more code than a processor has room for beside it, and
    some messages made together cost a quarter less each."""
    if vault.is_drill is not (diversion is not None):
        error = EnvelopeError("a drill's key and a campaign's settings, or the reverse: nothing goes out")
        return [error for _ in orders]
    drafts = [_Draft(order) for order in orders]
    for step in (_open, _name, _fill, _address, _close):
        for draft in drafts:
            if draft.made is None:
                try:
                    step(draft, vault, listed, diversion)
                except Exception as error:
                    draft.made = error
    return [draft.made for draft in drafts if draft.made is not None]


class _Draft:
    """A message between two steps. ``made``: how it ended."""

    __slots__ = (
        *("also", "back", "contact", "envelope", "held", "made", "notice", "others", "parts", "path", "recipient"),
        *("reference", "sender", "signer", "token"),
    )

    also: tuple[str, ...]
    back: str
    contact: Contact
    envelope: Envelope
    others: list[Contact]
    parts: Sequence[bytes]
    path: str
    recipient: str
    reference: str

    def __init__(self, order: Order) -> None:
        self.held, self.sender, self.notice, self.signer = order
        self.token = order.held.token.hex()
        self.made: Ready | Exception | None = None


def _open(draft: _Draft, vault: Vault, listed: frozenset[str], diversion: Diversion | None) -> None:
    held = draft.held
    draft.contact = contact = Contact.of(vault.unseal("contact", held.identity, held.sealed))
    draft.others = others = [
        _contact(vault, one.identity, one.sealed, one.own_identity, one.own_sealed) for one in held.informed
    ]
    own = contact.second_email if held.is_second else contact.email
    draft.recipient = recipient = diversion.address(own) if diversion else own
    path = sendable(recipient)
    if path is None:
        draft.made = Ready(None, replies.values([contact, *others], listed))
    else:
        draft.path = path


def _name(draft: _Draft, vault: Vault, listed: frozenset[str], diversion: Diversion | None) -> None:
    draft.reference = vault.reference(draft.token)
    draft.back = return_path(vault, draft.held.token, draft.sender.bounce_domain or draft.sender.from_domain)


def _fill(draft: _Draft, vault: Vault, listed: frozenset[str], diversion: Diversion | None) -> None:
    held, others, recipient = draft.held, draft.others, draft.recipient
    # A notice of somebody's own that goes to the contract's mailbox (DESIGN 7) greets that person, not the holder.
    elsewhere = held.form == Form.OWN and held.informed and held.informed[0].own_identity is not None
    reader = others[0] if elsewhere else draft.contact
    if reader.email != recipient:
        reader = reader._replace(email=recipient)
    draft.parts = draft.notice.parts(
        PersonalFields(reader, draft.reference, _concerned(held.form, others) if others else ()),
        to=recipient,
        message_id=f"<{draft.token}@{draft.sender.from_domain}>",
        date=_instant(held.started_ms),
    )


def _address(draft: _Draft, vault: Vault, listed: frozenset[str], diversion: Diversion | None) -> None:
    message = b"".join(draft.parts)
    if draft.signer is not None:
        message = draft.signer.signed(message, at=_instant(draft.held.started_ms))
        draft.parts = [message]
    draft.envelope = envelope = Envelope(draft.back, draft.recipient, draft.path, message, draft.token)
    verify(envelope, draft.recipient)
    draft.also = ()
    if diversion:
        diversion.verify(envelope)
        draft.also = (draft.recipient, draft.recipient.partition("@")[0])


def _close(draft: _Draft, vault: Vault, listed: frozenset[str], diversion: Diversion | None) -> None:
    envelope, held = draft.envelope, draft.held
    notice_sha256 = vault.blinded_sha256("notice", held.token, held.attempt, envelope.message)
    forbidden = replies.values([draft.contact, *draft.others], listed) + draft.also
    own = tuple(draft.parts[::2]) if is_usual(draft.parts) else ()
    sent = joined(own, draft.parts[1::2]) if own else body(envelope)
    draft.made = Ready(Posting.of(envelope, sent), forbidden, notice_sha256, own)


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
