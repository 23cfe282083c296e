"""Server replies without personal data (I8).

Servers echo addresses, and some echo names. Before a reply is stored or logged, the recipient's address, local part,
names and unlisted domain become ``<recipient>``, whatever their case or accents, and so does every token shaped like
an address. The verbatim bytes are sealed (vault), their hash stands in the journal.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from notifier.campaign import resource
from notifier.delivery.rules import Rulebook, rulebook
from notifier.errors import SettingsError
from notifier.model import Contact
from notifier.vault import RECIPIENT, SECRET, redact

LONGEST = 500
_TOKENS = re.compile(r"(<recipient>|<number>|<secret>)")
_BLANKS = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")
_PARTS = re.compile(r"[\s'’\-]+")
_SHORT = 3  # so short a name counts as itself only between word boundaries: "Li" is not in "mailbox"


def load_rules(folder: Path) -> Rulebook:
    """Providers and rules of the campaign's data/providers.toml, else of the shipped one. Raises SettingsError."""
    path = resource(folder, "data", "providers.toml")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    return rulebook(raw, str(path))


def listed_domains(rules: Rulebook) -> frozenset[str]:
    """The public providers' domains: they may stand in a stored reply, for they say nothing of a person."""
    return frozenset(domain for provider in rules.providers.values() for domain in provider.domains)


def values(contacts: Iterable[Contact], listed: frozenset[str]) -> tuple[str, ...]:
    """What must not stand in a reply: of each contact the addresses, their local parts (also without the tag of
    RFC 5233: *name+tag* is delivered to *name*, and a server that does so answers for *name*), their domains unless
    listed, and the names, whole and in parts. A tag behind a hyphen, as qmail has it, cannot be told from the second
    half of a name; such a mailbox is known by its whole local part."""
    found: list[str] = []
    for contact in contacts:
        found += (contact.name, contact.forename, contact.company)
        for address in (contact.email, contact.second_email):
            if not address:
                continue
            local, _, domain = address.rpartition("@")
            found += (address, local)
            if "+" in local:
                found.append(local.partition("+")[0])
            if domain and domain.lower() not in listed:
                found.append(domain)
                if not domain.isascii():
                    found.append(_a_label(domain))
        for name in (contact.name, contact.forename):
            if not name.isalpha():  # else it is its only part
                found.append(name.strip(" '’-"))  # what stands at its ends may not stand in the reply
                found += [part for part in _PARTS.split(name) if len(part) >= _SHORT]
    return tuple([value for value in found if len(value) > 1])


def _a_label(domain: str) -> str:
    import idna

    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return ""


def verbatim(text: str) -> bytes:
    """The bytes that the server sent, from the text that the SMTP library made of them."""
    return text.encode("utf-8", "surrogateescape")


def redacted(text: str, forbidden: Iterable[str]) -> str:
    """One line of at most LONGEST characters that holds none of ``forbidden`` and nothing shaped like an address."""
    readable = text
    if not text.isascii():
        raw = verbatim(text)
        try:
            readable = raw.decode()
        except UnicodeDecodeError:
            readable = raw.decode("latin-1")  # old French servers
    if not (readable.isascii() and readable.isprintable()) or "  " in readable:  # else single spaces stand in it
        readable = _BLANKS.sub(" ", readable)
    line = redact(readable.strip())
    plain = line.lower() if line.isascii() else _fold(line)[0]
    folded = [value.lower() if value.isascii() else "".join(map(_plain, value)) for value in forbidden]
    # What does not stand in the line now cannot come into it: each replacement leaves a mark that no value spans.
    if found := {value for value in folded if value in plain and len(value) > 1}:
        for value in sorted(found, key=len, reverse=True):
            line = "".join(
                part if part in (RECIPIENT, "<number>", SECRET) else _without(part, value)
                for part in _TOKENS.split(line)
            )
    return line[:LONGEST]


def _without(text: str, value: str) -> str:
    folded, origin = _fold(text)
    at = folded.find(value)
    if at < 0:
        return text
    kept, last = [], 0
    while at >= 0:
        end = at + len(value)
        alone = not (folded[at - 1 : at].isalnum() or folded[end : end + 1].isalnum())
        if len(value) > _SHORT or alone:
            begin, until = origin[at], origin[end - 1] + 1
            kept += [text[last:begin], RECIPIENT] if begin >= last else []
            last = until
            at = folded.find(value, end)
        else:
            at = folded.find(value, at + 1)
    return "".join(kept) + text[last:]


def _fold(text: str) -> tuple[str, range | list[int]]:
    """The text without case and accents, and for each of its characters the place it came from."""
    if text.isascii():
        return text.lower(), range(len(text))
    letters: list[str] = []
    origin: list[int] = []
    for place, letter in enumerate(text):
        plain = _plain(letter)
        letters.append(plain)
        origin.extend([place] * len(plain))
    return "".join(letters), origin


@lru_cache(maxsize=4096)
def _plain(letter: str) -> str:
    # Twice, because folding may decompose (ΐ) and decomposing may leave capitals (ﬀ, K).
    for _ in range(2):
        decomposed = unicodedata.normalize("NFKD", letter).casefold()
        letter = "".join(part for part in decomposed if not unicodedata.combining(part))
    return letter
