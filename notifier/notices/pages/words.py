"""How codes of the model, numbers and dates are said in French, on pages for the house. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from notifier.model import Audience, Form, WaveKind

AUDIENCES: Mapping[Audience, str] = {
    Audience.INSURED: "Assurés",
    Audience.DEPENDANT: "Ayants droit",
    Audience.PAST_MEMBER: "Anciens adhérents",
    Audience.PROFESSIONAL: "Professionnels de santé",
    Audience.COMPANY: "Entreprises",
}
FORMS: Mapping[Form, str] = {
    Form.OWN: "message à la personne elle-même",
    Form.CHILDREN: "message au titulaire du contrat, pour des enfants",
    Form.ESTABLISHMENTS: "un message pour plusieurs établissements",
}
KINDS: Mapping[WaveKind, str] = {
    WaveKind.INITIAL: "première information",
    WaveKind.SUPPLEMENT: "complément",
    WaveKind.CORRECTION: "correction",
    WaveKind.RECTIFICATION: "rectification",
    WaveKind.FOLLOW_UP: "suite",
    WaveKind.PRECAUTION: "précaution",
}
LANGUAGES: Mapping[str, str] = {"fr": "français", "en": "anglais"}
PROFESSIONS: Mapping[str, str] = {
    "pharmacist": "pharmaciens",
    "optician": "opticiens",
    "audioprosthetist": "audioprothésistes",
    "dentist": "dentistes",
    "other": "autres professions",
}
MONTHS = (
    "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre",
    "décembre",
)  # fmt: skip
NARROW = "\u202f"  # narrow no-break space, between thousands and before a unit


def number(value: int) -> str:
    """
    >>> number(1234567).replace(NARROW, "_")
    '1_234_567'
    """
    return f"{value:,}".replace(",", NARROW)


def counted(value: int, one: str, many: str = "") -> str:
    """A number with its noun; in French 0 and 1 are singular.

    >>> counted(1, "segment"), counted(3, "segment")
    ('1 segment', '3 segments')
    """
    return f"{number(value)} {one if value < 2 else many or one + 's'}"


def size(octets: int) -> str:
    """Bytes as kilo-octets, thousands of bytes.

    >>> size(10_240).replace(NARROW, "_")
    '10,2_ko'
    """
    return f"{octets / 1000:.1f}".replace(".", ",") + f"{NARROW}ko"


def day(at: datetime) -> str:
    """``1er mars 2024``, in the time zone that ``at`` has."""
    return f"{'1er' if at.day == 1 else at.day} {MONTHS[at.month - 1]} {at.year}"


def moment(at: datetime) -> str:
    """``1er mars 2024 à 9 h 05``."""
    return f"{day(at)} à {at.hour} h {at.minute:02d}"
