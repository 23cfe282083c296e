"""Nouns that all rooms share: frozen, pure, without I/O. The glossary (docs/glossary.md) defines each word."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

# How the id of a rehearsal's campaign begins. The id stands in everything that is signed, and the keys of a drill are
# derived under it (vault.py): nothing that a drill has made can pass for a campaign's.
DRILL_ID = "drill-"
DRILL_MARK = "EXERCICE"  # first word of a drill's subject, first and last line of both of its bodies


def is_drill(campaign_id: str) -> bool:
    """Whether a campaign of this id is a rehearsal."""
    return campaign_id.startswith(DRILL_ID)


class Audience(StrEnum):
    """To whom a text speaks."""

    INSURED = "insured"
    DEPENDANT = "dependant"
    PAST_MEMBER = "past_member"
    PROFESSIONAL = "professional"
    COMPANY = "company"


class PersonKind(StrEnum):
    """Which identity rules hold for a person (people/identity.py)."""

    INSURED = "insured"
    PROFESSIONAL = "professional"


class Link(StrEnum):
    """A member's place on the contract (directory column LIEN)."""

    HOLDER = "A"
    SPOUSE = "C"
    CHILD = "E"


class MemberStatus(StrEnum):
    """Directory column STATUT."""

    ACTIVE = "active"
    ENDED = "ended"
    DECEASED = "deceased"


class Route(StrEnum):
    """How a notification reaches its person."""

    EMAIL = "email"
    POST = "post"
    NONE = "none"


class Form(StrEnum):
    """Whom one notice is about: its reader, the children the reader holds the contract for, or the
    several establishments that share the reader's mailbox (DESIGN 7)."""

    OWN = "own"
    CHILDREN = "children"
    ESTABLISHMENTS = "establishments"


class WaveKind(StrEnum):
    """Why a round is made."""

    INITIAL = "initial"
    SUPPLEMENT = "supplement"
    CORRECTION = "correction"
    RECTIFICATION = "rectification"
    FOLLOW_UP = "follow-up"
    PRECAUTION = "precaution"


class Term(StrEnum):
    """The terms of the I1 equation; ``owed`` is their sum, or the campaign does not balance."""

    CONFIRMED = "confirmed"
    PRESUMED = "presumed"
    HANDED_OVER = "handed_over"
    PENDING = "pending"
    IN_DOUBT = "in_doubt"
    POST = "post"
    UNMATCHED = "unmatched"
    UNREACHABLE = "unreachable"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True, order=True)
class Exposure:
    """One data category that came out in one incident."""

    incident: str
    category: str

    def __str__(self) -> str:
        return f"{self.incident}:{self.category}"


def canonical_exposures(exposures: Iterable[Exposure]) -> str:
    """The one spelling of a set of exposures: sorted ``incident:category``, joined by commas."""
    return ",".join(str(exposure) for exposure in sorted(set(exposures)))


def parse_exposures(canonical: str) -> frozenset[Exposure]:
    """Inverse of :func:`canonical_exposures`."""
    pairs = (item.split(":", 1) for item in canonical.split(",") if item)
    return frozenset(Exposure(incident, category) for incident, category in pairs)


@dataclass(frozen=True, slots=True)
class DataCategory:
    """One kind of data (data/categories.toml)."""

    code: str
    label: str
    severity: int
    audiences: frozenset[Audience]


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that leaves no identity at all. ``line``: physical line in the file (CSV) or row number (XLSX), from 1.
    ``state``: open, or not_a_person. ``trace``, ``cells``: keyed digests of what the row still says of its person, and
    of its cells; None where too little is left."""

    line: int
    column: str
    code: str
    state: str = "open"
    trace: bytes | None = field(default=None, compare=False, repr=False)
    cells: bytes | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Postal:
    """A postal address as the directory or the export gives it."""

    lines: tuple[str, ...]
    postcode: str
    city: str


class Contact(NamedTuple):
    """Where a person can be reached, unsealed: exists in memory only, for the length of one cycle. Does not print
    itself (I8). (A tuple, because each message makes one: a frozen dataclass of so many fields costs twice as much.)"""

    name: str
    forename: str
    civility: str = ""
    company: str = ""
    email: str = ""
    postal: Postal | None = None
    birth_date: str = ""
    birth_name: str = ""  # where a directory gives one beside the name
    second_email: str = ""  # where a directory gives one beside the first
    is_protected: bool = False  # under guardianship: the address is that of whoever has charge of it
    guardian: str = ""  # its name, where a directory gives one

    def __repr__(self) -> str:
        return "Contact(…)"

    def fields(self) -> dict[str, Any]:
        """What is sealed: the non-empty fields."""
        postal = self.postal
        every: dict[str, Any] = {
            "name": self.name,
            "forename": self.forename,
            "civility": self.civility,
            "company": self.company,
            "email": self.email,
            "postal": [list(postal.lines), postal.postcode, postal.city] if postal else None,
            "birth_date": self.birth_date,
            "birth_name": self.birth_name,
            "second_email": self.second_email,
            "is_protected": self.is_protected,
            "guardian": self.guardian,
        }
        return {key: value for key, value in every.items() if value}

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Contact:
        """Inverse of :meth:`fields`."""
        get, postal = fields.get, fields.get("postal")
        return cls(
            get("name", ""),
            get("forename", ""),
            get("civility", ""),
            get("company", ""),
            get("email", ""),
            Postal(tuple(postal[0]), postal[1], postal[2]) if postal else None,
            get("birth_date", ""),
            get("birth_name", ""),
            get("second_email", ""),
            bool(get("is_protected")),
            get("guardian", ""),
        )

    @property
    def full_name(self) -> str:
        """Civility, forename and name, as far as known; else the company."""
        return " ".join(part for part in (self.civility, self.forename, self.name) if part) or self.company

    @property
    def addressee(self) -> str:
        """To whom a letter goes, as its address says it. Of somebody under guardianship, to the person in charge of the
        measure (Code civil, art. 425 and 459-2): to open it in the member's place is that person's task.

        >>> Contact("Exemple", "Alice", "Mme", is_protected=True, guardian="Association Tutélaire").addressee
        'Association Tutélaire, personne chargée de la mesure de protection de Mme Alice Exemple'
        """
        if not self.is_protected:
            return self.full_name
        measure = f"chargée de la mesure de protection de {self.full_name}"
        return f"{self.guardian}, personne {measure}" if self.guardian else f"À la personne {measure}"


@dataclass(frozen=True, slots=True)
class SegmentKey:
    """What decides a text: notifications with the same key get the same words (DESIGN 8)."""

    wave: str
    wave_kind: WaveKind
    sender: str
    audience: Audience
    profession: str
    form: Form
    exposures: frozenset[Exposure]
    language: str


class PersonalFields(NamedTuple):
    """The few personal values a notice is filled with. ``concerned``: names of the children or establishments that
    the notice is about (empty when it is about its reader)."""

    contact: Contact
    reference: str
    concerned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One journal event. ``subject`` is a pseudonym or token in hex, never personal data; ``facts`` hold strings,
    integers, booleans, lists and dicts of these, no floats (so that canonical JSON has one spelling)."""

    at: datetime
    kind: str
    subject: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def canonical(self) -> bytes:
        """The entry's bytes: canonical JSON of RFC 8785 (its subset without floats; keys are ASCII, so Python's
        sort order is the UTF-16 order that the RFC asks for)."""
        body = {"at": utc_text(self.at), "facts": self.facts, "kind": self.kind, "subject": self.subject}
        return _CANONICAL.encode(body).encode()

    def written(self, delivery_id: int | None = None) -> Written:
        """The same in the form in which it is kept. ``delivery_id``: of the delivery whose attempt it speaks of."""
        return Written(self.kind, self.subject, delivery_id, self.canonical())


class Written(NamedTuple):
    """An entry as it is kept: ``body`` is its canonical JSON; ``delivery_id``: by which an attempt's is found."""

    kind: str
    subject: str
    delivery_id: int | None
    body: bytes


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def utc_text(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds: ``2024-02-09T08:00:00.000Z``."""
    if at.tzinfo is UTC:
        microsecond = at.microsecond
        # Taken away and rounded: a float far from 1970 cannot tell the last microsecond from the next second.
        return f"{_second(round(at.timestamp() - microsecond / 1e6))}.{microsecond // 1000:03d}Z"
    return at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """A second since 1970 in RFC 3339. The sender names the same one thousands of times."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def to_ms(at: datetime) -> int:
    """Milliseconds since 1970 in UTC, the form in which storage keeps every instant."""
    return int(at.timestamp() * 1000)


def from_ms(milliseconds: int) -> datetime:
    """Inverse of :func:`to_ms`."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
