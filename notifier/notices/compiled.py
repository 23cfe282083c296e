"""A compiled notice: everything a segment's messages share is made once, a person costs a few joins (DESIGN 8).

Promises: deterministic (same segment, catalogue, settings and person: the same bytes, which is how a notice can be
shown again years later); complete RFC 5322 messages with CRLF only; a personal value cannot leave its place, whatever
it holds. ``read`` gives the same content without any mail encoding; a property test holds the two equal.
"""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import lru_cache
from typing import Any

from notifier.campaign import Sender, Settings
from notifier.errors import TemplateError
from notifier.model import PersonalFields, SegmentKey, canonical_exposures
from notifier.notices.bodies import EncodedBody, QuotedPrintable, encoded_body
from notifier.notices.catalogue import Catalogue
from notifier.notices.compose import Composition, compose
from notifier.notices.encoding import FOLD, encoded_words, mailbox_address
from notifier.notices.page import Page, make_page
from notifier.notices.personal import MARKERS, Marker, PersonalValues, Words, personal_values

_SPLIT = re.compile(f"([{MARKERS}])")
_PLACE = b"=_body_="  # where a body goes while the frame is made
_LIST_ITEM = re.compile(r"(<li\b[^>]*>)\s*" + Marker.CONCERNED.value + r"\s*</li>")
_TEXT_ITEM = re.compile(r"^([ >]*- )" + Marker.CONCERNED.value + "$", re.MULTILINE)
_ATTRIBUTES = {
    Marker.SALUTATION.value: "salutation",
    Marker.NAME.value: "name",
    Marker.REFERENCE.value: "reference",
    Marker.CONCERNED_LINE.value: "concerned_line",
}
_SPECIAL = re.compile(r"[&<>\"']")
_MESSAGE_ID = re.compile(r"<[!-;=?A-~]+@[!-;=?A-~]+>")


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
    markers: tuple[str, ...]
    places: tuple[int, ...]  # in PersonalValues, of what the markers become; none where a list of names is among them

    def value(self, marker: str, values: PersonalValues) -> str:
        attribute = _ATTRIBUTES.get(marker)
        if attribute is None:
            names = values.concerned
            return self.separator.join([html.escape(name) for name in names] if self.is_html else names)
        value: str = getattr(values, attribute)
        return html.escape(value) if self.is_html and _SPECIAL.search(value) else value

    def values(self, values: PersonalValues) -> list[str]:
        """What stands at each marker, in their order."""
        if not self.places:
            return [self.value(marker, values) for marker in self.markers]
        every: tuple[Any, ...] = values
        found: list[str] = [every[place] for place in self.places]
        if self.is_html and _SPECIAL.search("".join(found)):
            return [html.escape(value) for value in found]
        return found

    def filled(self, values: PersonalValues) -> str:
        return "".join(self.value(piece, values) if place % 2 else piece for place, piece in enumerate(self.pieces))


class CompiledNotice:
    """What is common to all messages of a segment. Made by :func:`compile_segment`; holds no personal data."""

    def __init__(
        self, key: SegmentKey, composition: Composition, page: Page, sender: Sender, words: Words, campaign: str
    ) -> None:
        self.key = key
        self.composition = composition
        self.page = page
        self._words = words
        self._subject = tuple(_SPLIT.split(composition.subject))
        self._subject_words = tuple(encoded_words(piece) for piece in self._subject[::2])
        self._text = _body(page.text, is_html=False)
        self._html = _body(page.html, is_html=True)
        self._encoded_text = encoded_body(self._text.pieces[::2])
        self._encoded_html = encoded_body(self._html.pieces[::2])
        # In quoted-printable a value is the same wherever it stands: both bodies get theirs at once, unless HTML has
        # something to escape. (In base64 it depends on what stands before it.)
        quoted = isinstance(self._encoded_text, QuotedPrintable) and isinstance(self._encoded_html, QuotedPrintable)
        places = (*self._text.places, *self._html.places)
        markers = len(self._text.markers) + len(self._html.markers)
        self._places = places if quoted and len(places) == markers else ()
        self.segment_digest = _segment_digest(key)
        # To, Subject, Date and Message-ID stand before it.
        top, between, end = self._frame(sender, campaign).split(_PLACE)
        plain, rich = list(self._encoded_text.fixed), list(self._encoded_html.fixed)
        plain[0], rich[-1] = top + plain[0], rich[-1] + end
        fixed = [*plain[:-1], plain[-1] + between + rich[0], *rich[1:]]
        self._room = [b""] * (2 * len(fixed))  # a person's own parts go before each of them
        self._room[1::2] = fixed
        self.fixed = tuple(fixed)

    def read(self, fields: PersonalFields) -> Reading:
        """The notice as this person sees it."""
        values = personal_values(fields, self._words)
        subject = "".join(
            self._text.value(piece, values) if place % 2 else piece for place, piece in enumerate(self._subject)
        )
        return Reading(subject, self._text.filled(values), self._html.filled(values))

    def render(self, fields: PersonalFields, *, to: str, message_id: str, date: datetime) -> bytes:
        """The complete message for one mailbox, CRLF only.

        ``to``: one address; a local part beyond ASCII stands in To as it is, and the message then needs SMTPUTF8 (RFC
        6532). ``message_id`` with its angle brackets; ``date`` aware. Raises ValueError when ``to`` is no plain mailbox
        or ``message_id`` is malformed; the text names no value.
        """
        return b"".join(self.parts(fields, to=to, message_id=message_id, date=date))

    def parts(self, fields: PersonalFields, *, to: str, message_id: str, date: datetime) -> list[bytes]:
        """:meth:`render` in parts: this person's own and, each behind one of those, the same objects for every message
        of the segment."""
        if _MESSAGE_ID.fullmatch(message_id) is None:
            raise ValueError("a Message-ID is <left@right>")
        address = mailbox_address(to, utf8=True).encode()
        values = personal_values(fields, self._words)
        name = encoded_words(values.display_name)
        known = {values.display_name: name}  # as a rule the subject says it too
        if b"\r\n" in name:
            name = b""  # several words in a phrase: some readers put spaces between them, so the address stands alone
        quoted: dict[str, bytes] = {}  # one value may stand in several places, and in both bodies
        head = b"".join((
            b"To: ", name + FOLD + b"<" + address + b">" if name else address,
            b"\r\nSubject: ", self._encoded_subject(values, known),
            b"\r\nDate: ", _rfc5322_date(date),
            b"\r\nMessage-ID: ", message_id.encode("ascii"),
            b"\r\n",
        ))  # fmt: skip
        parts = self._room.copy()
        every: tuple[Any, ...] = values
        own: list[str] = [every[place] for place in self._places]
        if own and _SPECIAL.search("".join(own)) is None:
            parts[::2] = (head, *self._encoded_text.own(own, quoted))
        else:
            parts[::2] = (
                head,
                *self._encoded_text.own(self._text.values(values), quoted),
                *self._encoded_html.own(self._html.values(values), quoted),
            )
        return parts

    def _encoded_subject(self, values: PersonalValues, known: Mapping[str, bytes]) -> bytes:
        words = []
        for place, piece in enumerate(self._subject):
            if place % 2:
                value = self._text.value(piece, values)
                word = known[value] if value in known else encoded_words(value)
            else:
                word = self._subject_words[place // 2]
            if word:
                words.append(word)
        return FOLD.join(words)

    def _frame(self, sender: Sender, campaign: str) -> bytes:
        """The message without its personal headers, places where the bodies go."""
        boundary = f"=_{hashlib.sha256(b'boundary' + self.segment_digest.encode()).hexdigest()[:32]}"
        message = EmailMessage(policy=SMTP)
        message["From"] = Address(sender.brand, addr_spec=mailbox_address(sender.from_address))
        message["Reply-To"] = mailbox_address(sender.reply_to)
        message["MIME-Version"] = "1.0"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834
        message["X-Auto-Response-Suppress"] = "OOF, AutoReply"
        message["Content-Language"] = self.composition.language
        message["Content-Type"] = f'multipart/alternative; boundary="{boundary}"'
        message.set_payload([])
        for subtype, body in (("plain", self._encoded_text), ("html", self._encoded_html)):
            message.attach(_part(subtype, body, self.composition.language))
        # On one line, however long: what reads it looks for one.
        feedback = _feedback_id(campaign, self.key, self.segment_digest, sender)
        return f"Feedback-ID: {feedback}\r\n".encode("ascii") + message.as_bytes()


def _part(subtype: str, body: EncodedBody, language: str) -> EmailMessage:
    part = EmailMessage(policy=SMTP)
    part["Content-Type"] = f'text/{subtype}; charset="utf-8"'
    part["Content-Transfer-Encoding"] = body.name
    part["Content-Language"] = language
    part.set_payload(_PLACE.decode())
    return part


def _feedback_id(campaign: str, key: SegmentKey, digest: str, sender: Sender) -> str:
    """``campaign:kind:notice:sender``: at most four fields, the last one stable, nothing of a person (DOMAIN D4)."""
    notice = f"{_token(key.wave)}-{digest[:12]}"
    return ":".join((_token(campaign), key.wave_kind.value, notice, sender.code))


def compile_segment(key: SegmentKey, catalogue: Catalogue, settings: Settings) -> CompiledNotice:
    """Everything that the messages of this segment share. Raises TemplateError or SettingsError."""
    composition = compose(key, catalogue, settings)
    page = make_page(composition, catalogue)
    language = catalogue.languages[composition.language]
    try:
        return CompiledNotice(
            key, composition, page, settings.sender(key.sender), language.words, settings.campaign.name
        )
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
    pieces = tuple(_SPLIT.split(text))
    markers = pieces[1::2]
    names = [_ATTRIBUTES.get(marker, "") for marker in markers]
    places = tuple([PersonalValues._fields.index(name) for name in names]) if all(names) else ()
    return _Body(pieces, separator, is_html, markers, places)


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
    """A name as a field of a header: ASCII letters, digits and hyphens, at most 20.

    >>> _token("Exemple : violation de données")
    'Exemple-violation-de'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "-", plain)[:20].strip("-") or "notice"


def _rfc5322_date(date: datetime) -> bytes:
    offset = date.utcoffset()
    if offset is None:
        raise ValueError("a message's date says its time zone")
    return _dated(date, offset)


@lru_cache(maxsize=64)
def _dated(date: datetime, _offset: timedelta) -> bytes:
    """The offset is part of the key alone: aware datetimes of one instant are equal, whatever their zones."""
    return format_datetime(date).encode("ascii")
