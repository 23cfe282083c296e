"""A compiled notice: everything a segment's messages share is made once, a person costs a few joins (DESIGN 8).

Promises: deterministic (same segment, catalogue, settings and person: the same bytes, which is how a notice can be
shown again years later); complete RFC 5322 messages with CRLF only; a personal value cannot leave its place, whatever
it holds. ``read`` gives the same content without any mail encoding; a property test holds the two equal.
"""

from __future__ import annotations

import hashlib
import html
import re
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import lru_cache

from notifier.campaign import Sender, Settings
from notifier.errors import TemplateError
from notifier.model import PersonalFields, SegmentKey, canonical_exposures
from notifier.notices.catalogue import Catalogue
from notifier.notices.compose import Composition, compose
from notifier.notices.encoding import (
    FOLD,
    SOFT_BREAK,
    encoded_words,
    mailbox_address,
    quoted_printable,
    quoted_value,
)
from notifier.notices.page import Page, make_page
from notifier.notices.personal import MARKERS, Marker, PersonalValues, Words, personal_values

_SPLIT = re.compile(f"([{MARKERS}])")
_SLOT = re.compile(rb"=_([0-9]+)_=")  # "=_" cannot come out of quoted-printable
_LIST_ITEM = re.compile(r"(<li\b[^>]*>)\s*" + Marker.CONCERNED.value + r"\s*</li>")
_TEXT_ITEM = re.compile(r"^([ >]*- )" + Marker.CONCERNED.value + "$", re.MULTILINE)
_MESSAGE_ID = re.compile(r"<[^<>\s@]+@[^<>\s@]+>", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reading:
    """A notice as its reader sees it, before any mail encoding. Lines end with ``\\n``."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class _Body:
    """A body between markers. ``separator``: what stands between two names of a list."""

    pieces: tuple[str, ...]  # text, marker, text, marker, …, text
    separator: str
    is_html: bool

    def value(self, marker: str, values: PersonalValues) -> str:
        match marker:
            case Marker.SALUTATION:
                value = values.salutation
            case Marker.NAME:
                value = values.name
            case Marker.REFERENCE:
                value = values.reference
            case Marker.CONCERNED_LINE:
                value = values.concerned_line
            case _:
                names = values.concerned
                return self.separator.join([html.escape(name) for name in names] if self.is_html else names)
        return html.escape(value) if self.is_html else value

    def filled(self, values: PersonalValues) -> str:
        return "".join(self.value(piece, values) if place % 2 else piece for place, piece in enumerate(self.pieces))


class CompiledNotice:
    """What is common to all messages of a segment. Made by :func:`compile_segment`; holds no personal data."""

    def __init__(self, key: SegmentKey, composition: Composition, page: Page, sender: Sender, words: Words) -> None:
        self.key = key
        self.composition = composition
        self.page = page
        self._words = words
        self._subject = tuple(_SPLIT.split(composition.subject))
        self._subject_words = tuple(encoded_words(piece) for piece in self._subject[::2])
        self._text = _body(page.text, is_html=False)
        self._html = _body(page.html, is_html=True)
        self.segment_digest = _segment_digest(key)
        fixed = self._assemble(sender)
        parts = _SLOT.split(fixed)
        self._fixed = tuple(parts[::2])
        # One value can stand in several places: each is encoded once per person.
        bodies = {"t": self._text, "h": self._html}
        slots = [_slot(int(number)) for number in parts[1::2]]
        self._needed = tuple(dict.fromkeys(slots))
        self._places = tuple(self._needed.index(slot) for slot in slots)
        self._values = tuple((bodies[body], marker) for body, marker in self._needed)

    def read(self, fields: PersonalFields) -> Reading:
        """The notice as this person sees it."""
        values = personal_values(fields, self._words)
        subject = "".join(
            self._text.value(piece, values) if place % 2 else piece for place, piece in enumerate(self._subject)
        )
        return Reading(subject, self._text.filled(values), self._html.filled(values))

    def render(self, fields: PersonalFields, *, to: str, message_id: str, date: datetime) -> bytes:
        """The complete message for one mailbox, CRLF only.

        ``to``: one address; ``message_id`` with its angle brackets; ``date`` aware. Raises ValueError when ``to`` is no
        plain mailbox (or needs SMTPUTF8) or ``message_id`` is malformed; the text names no value.
        """
        if _MESSAGE_ID.fullmatch(message_id) is None:
            raise ValueError("a Message-ID is <left@right>")
        address = mailbox_address(to).encode("ascii")
        values = personal_values(fields, self._words)
        name = encoded_words(values.display_name)
        if b"\r\n" in name:
            name = b""  # several words in a phrase: some readers put spaces between them, so the address stands alone
        head = (
            b"To: ", name + FOLD + b"<" + address + b">" if name else address,
            b"\r\nSubject: ", self._encoded_subject(values),
            b"\r\nDate: ", _rfc5322_date(date),
            b"\r\nMessage-ID: ", message_id.encode("ascii"),
            b"\r\n",
        )  # fmt: skip
        encoded = [_stand(body.value(marker, values)) for body, marker in self._values]
        message = [b""] * (2 * len(self._fixed) - 1)
        message[::2] = self._fixed
        message[1::2] = [encoded[place] for place in self._places]
        return b"".join(head) + b"".join(message)

    def _encoded_subject(self, values: PersonalValues) -> bytes:
        words = []
        for place, piece in enumerate(self._subject):
            word = encoded_words(self._text.value(piece, values)) if place % 2 else self._subject_words[place // 2]
            if word:
                words.append(word)
        return FOLD.join(words)

    def _assemble(self, sender: Sender) -> bytes:
        """The message without its personal headers, slots where personal values go."""
        boundary = f"=_{hashlib.sha256(b'boundary' + self.segment_digest.encode()).hexdigest()[:32]}"
        message = EmailMessage(policy=SMTP)
        message["From"] = Address(sender.brand, addr_spec=mailbox_address(sender.from_address))
        message["Reply-To"] = mailbox_address(sender.reply_to)
        message["MIME-Version"] = "1.0"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834
        message["X-Auto-Response-Suppress"] = "OOF, AutoReply"
        message["Content-Language"] = self.composition.language
        message["Feedback-ID"] = ":".join(
            (self.segment_digest[:12], self.key.wave_kind.value, _token(self.key.wave), sender.code)
        )
        message["Content-Type"] = f'multipart/alternative; boundary="{boundary}"'
        message.set_payload([])
        for subtype, body, kind in (("plain", self._text, "t"), ("html", self._html, "h")):
            part = EmailMessage(policy=SMTP)
            part["Content-Type"] = f'text/{subtype}; charset="utf-8"'
            part["Content-Transfer-Encoding"] = "quoted-printable"
            part["Content-Language"] = self.composition.language
            part.set_payload(_with_slots(body, kind).decode("ascii"))
            message.attach(part)
        return message.as_bytes()


def compile_segment(key: SegmentKey, catalogue: Catalogue, settings: Settings) -> CompiledNotice:
    """Everything that the messages of this segment share. Raises TemplateError or SettingsError."""
    composition = compose(key, catalogue, settings)
    page = make_page(composition, catalogue)
    language = catalogue.languages[composition.language]
    try:
        return CompiledNotice(key, composition, page, settings.sender(key.sender), language.words)
    except ValueError as error:
        raise TemplateError(f"{composition.base}: {error}") from error


def _body(text: str, *, is_html: bool) -> _Body:
    """Split at the markers. Raises ValueError if the list of names does not stand alone in a list item."""
    items = (_LIST_ITEM if is_html else _TEXT_ITEM).findall(text)
    if len(items) != text.count(Marker.CONCERNED.value) or len(set(items)) > 1:
        raise ValueError('{{ person.concerned }} stands alone in a list item: write "- {{ person.concerned }}"')
    separator = ""
    if items:
        separator = f"</li>\n{items[0]}" if is_html else f"\n{items[0]}"
    return _Body(tuple(_SPLIT.split(text)), separator, is_html)


_SLOTS = [(body, marker) for body in ("t", "h") for marker in Marker]


def _slot(number: int) -> tuple[str, str]:
    body, marker = _SLOTS[number]
    return body, marker.value


def _with_slots(body: _Body, kind: str) -> bytes:
    """The body in quoted-printable, ``=_N_=`` where a personal value stands, soft breaks around it."""
    parts = []
    for place, piece in enumerate(body.pieces):
        if place % 2:
            parts.append(b"=_%d_=" % _SLOTS.index((kind, Marker(piece))))
        else:
            parts.append(quoted_printable(piece))
    return SOFT_BREAK.join(parts)


def _stand(value: str) -> bytes:
    """A value that may span lines (a list of names), each quoted by itself."""
    if "\n" not in value:
        return quoted_value(value)
    return b"\r\n".join([quoted_value(line) for line in value.split("\n")])


def _segment_digest(key: SegmentKey) -> str:
    """Stable over processes; names the segment in boundary and Feedback-ID."""
    parts = (
        key.wave,
        key.wave_kind.value,
        key.sender,
        key.audience.value,
        key.profession,
        key.form.value,
        canonical_exposures(key.exposures),
        key.language,
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _token(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", text)[:32]


@lru_cache(maxsize=64)
def _rfc5322_date(date: datetime) -> bytes:
    if date.tzinfo is None:
        raise ValueError("a message's date says its time zone")
    return format_datetime(date).encode("ascii")
