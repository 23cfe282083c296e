"""The personal values of a notice: markers that stand for them until the last step, and how a person is addressed.
Pure.

A marker is one private-use character: Jinja, Markdown, the CSS inliner and the text renderer all pass it through, and
no text may hold one of its own (``has_marker``). A name that is no name (it holds an address, a URL, markup, control
characters or a long number: DOMAIN D4) is never printed: the notice then greets neutrally.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from notifier.model import PersonalFields

NAME_LIMIT = 120  # characters; longer is no name


class Marker(StrEnum):
    """Where a personal value goes."""

    SALUTATION = "\ue000"
    NAME = "\ue001"
    REFERENCE = "\ue002"
    CONCERNED = "\ue003"  # alone in a list item, which is repeated for each name
    CONCERNED_LINE = "\ue004"  # inside a sentence: "Léa, Tom et Zoé"


MARKERS = "".join(Marker)
_MARKER = re.compile(f"[{MARKERS}]")
_URL = re.compile(r"://|www\.|\w\.[a-z]{2,}(?:\b|/)|\w\.[A-Z]{2,}(?:\b|/)")
# Latin letters, single spaces, hyphens and apostrophes: nothing in such a name can do harm, and most are such.
_USUAL = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿŒœ]+(?:[ '’-][A-Za-zÀ-ÖØ-öø-ÿŒœ]+)*")
_MARKUP = frozenset("<>[]{}|\\`*_@")
_LOST = frozenset("?\ufffd")
# A NIR, a telephone number, a date in figures: a column out of place. ("Pharmacie du 8 mai 1945" has five digits.)
_NUMBER = re.compile(r"\d(?:\D*\d){7}")


def has_marker(text: str) -> bool:
    """Whether a text that comes from outside already holds a marker's character."""
    return _MARKER.search(text) is not None


@dataclass(frozen=True, slots=True)
class Words:
    """The few words a language needs here (catalogue.toml, ``[languages.…]``)."""

    salutation: str
    neutral_salutation: str
    neutral_name: str
    unnamed: str
    conjunction: str

    def enumerate(self, items: Sequence[str]) -> str:
        """``a``, ``a et b``, ``a, b et c``.

        >>> Words("", "", "", "", "et").enumerate(["a", "b", "c"])
        'a, b et c'
        """
        if len(items) < 2:
            return "".join(items)
        return f"{', '.join(items[:-1])} {self.conjunction} {items[-1]}"


def is_printable_name(name: str) -> bool:
    """Whether ``name`` can stand in a notice. One that lost a letter on its way (U+FFFD, ``?``) cannot."""
    if not name or len(name) > NAME_LIMIT:
        return False
    if _USUAL.fullmatch(name) is not None:
        return True
    if name.isascii():
        if not name.isprintable():
            return False
    elif any(unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for letter in name):
        return False
    if _NUMBER.search(name) is not None or not _LOST.isdisjoint(name):
        return False
    return _MARKUP.isdisjoint(name) and ("." not in name or _URL.search(name) is None) and "://" not in name


def printable(name: str) -> str:
    """The name with single spaces, or "" if it cannot stand in a notice."""
    if "  " in name or name[:1] == " " or name[-1:] == " ":
        name = " ".join(part for part in name.split(" ") if part)
    return name.strip() if is_printable_name(name) else ""


class PersonalValues(NamedTuple):
    """What the markers become, before any encoding. ``display_name``: for To; "" = none. Does not print itself (I8)."""

    salutation: str
    name: str
    reference: str
    concerned: tuple[str, ...]
    concerned_line: str
    display_name: str

    def __repr__(self) -> str:
        return "PersonalValues(…)"


def personal_values(fields: PersonalFields, words: Words) -> PersonalValues:
    """How this person is addressed. A person's forename and name, or the company (which is not greeted by name)."""
    contact = fields.contact
    person = f"{contact.forename} {contact.name}"
    if _USUAL.fullmatch(person) is None or len(person) > NAME_LIMIT:
        person = printable(person.strip())
    if not person and not (contact.forename or contact.name):
        company = printable(contact.company)
        salutation, name = words.neutral_salutation, company or words.neutral_name
        display = company
    elif person:
        salutation, name, display = words.salutation.replace("{name}", person), person, person
    else:
        salutation, name, display = words.neutral_salutation, words.neutral_name, ""
    if not fields.concerned:
        return PersonalValues(salutation, name, fields.reference, (), "", display)
    concerned = tuple([printable(one) or words.unnamed for one in fields.concerned])
    return PersonalValues(salutation, name, fields.reference, concerned, words.enumerate(concerned), display)
