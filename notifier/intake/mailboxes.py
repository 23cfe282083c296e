"""E-mail addresses as files write them, and the provider behind each.

Syntax only (RFC 5321, 5322, IDNA by email-validator), no DNS: a directory of two million addresses is no reason for two
million queries. Nothing is corrected by guess: ``a@b,fr`` and ``a@gmial.com`` are not usable (the second one may be
somebody's), and what was probably meant is only shown. What people type for "none", and the typing errors, are data
(data/mailboxes.toml).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from email_validator import EmailNotValidError, validate_email

from notifier.campaign import resource, shipped
from notifier.errors import SettingsError
from notifier.intake.identifiers import Reading, is_filled

OTHER = "other"
_AROUND = " \u00a0\t<>\"'"
# What most addresses look like; what fits is valid for the validator too (a property test holds this), which costs
# thirty times as much.
_LABEL = r"[a-z0-9](?:(?:[a-z0-9]|-(?!-)){0,61}[a-z0-9])?"
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PLAIN = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@((?:{_LABEL}\.)+[a-z]{{2,63}})", re.IGNORECASE)
# The forms of RFC 5322 3.4 with the address in angle brackets, behind a name or not.
_BRACKETS = re.compile(r"[^@<>]*<([^@<>\s]+@[^@<>\s]+)>")
_LINK = re.compile(r"mailto:", re.IGNORECASE)
_BETWEEN = re.compile(r"[;,\s/|]")
FILE = "mailboxes.toml"


@dataclass(frozen=True, slots=True)
class Rules:
    """data/mailboxes.toml, in lower case. ``words``: for "none"; ``addresses``: that are nobody's; ``typos``: domain →
    what was meant; ``fine``: addresses that very many members share, and may. ``own``: the file's text if it is the
    campaign's own, for what decides a reading."""

    words: frozenset[str]
    addresses: frozenset[str]
    typos: Mapping[str, str]
    own: str = field(default="", repr=False)
    fine: frozenset[str] = frozenset()


def rules(folder: Path) -> Rules:
    """The campaign's own rules, else the shipped ones. Raises SettingsError."""
    path = resource(folder, "data", FILE)
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
        nobody = raw["placeholders"]
        words, addresses = ({str(each).lower() for each in nobody[name]} for name in ("words", "addresses"))
        fine = frozenset(str(each).lower() for each in raw.get("shared", {}).get("fine", ()))
        typos = {str(wrong).lower(): str(right).lower() for wrong, right in raw["typos"].items()}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    own = text if path.is_relative_to(folder) else ""
    return Rules(frozenset(words), frozenset(addresses), typos, own, fine)


@cache
def _shipped() -> Rules:
    return rules(shipped("data").parent)


def mailbox(text: str, by: Rules | None = None) -> Reading:  # noqa: PLR0911  (one return per verdict)
    """The address, its domain in ASCII (A-labels). ``by``: None takes the shipped rules.

    Codes, not usable: ``email_missing``, ``email_placeholder`` (neant@…, aucun@…), ``email_several``,
    ``email_syntax``, ``email_typo``. A repair: ``email_trimmed`` (a name and angle brackets, ``mailto:``, dots and
    commas around it: RFC 5322 3.4 says which part is the address)."""
    by = by or _shipped()
    cell = text.strip(" \u00a0\t")
    found = _BRACKETS.fullmatch(cell.rstrip(".;, "))
    plain = _LINK.sub("", found[1] if found else cell, count=1).lstrip(_AROUND).rstrip(_AROUND + ".;,")
    if not plain:
        return Reading("", "email_missing")
    if plain.count("@") > 1 and _BETWEEN.search(plain):
        return Reading("", "email_several")
    local, _, domain = plain.rpartition("@")
    if (
        not is_filled(plain)
        or (local or plain).lower() in by.words
        or domain.split(".")[0].lower() in by.words
        or plain.lower() in by.addresses
    ):
        return Reading("", "email_placeholder")
    if domain.lower() in by.typos:
        return Reading("", "email_typo")
    code = "email_trimmed" if plain != cell else ""
    if (shape := _PLAIN.fullmatch(plain)) and len(shape[1]) <= 64 and len(shape[2]) <= 253 and len(plain) <= 254:
        return Reading(plain, code)
    try:
        valid = validate_email(
            plain,
            strict=True,  # at most 64 characters before the @ (RFC 5321 4.5.3.1.1)
            allow_smtputf8=False,  # SMTPUTF8 (RFC 6531) is not offered widely enough to rely on: by letter, then
            allow_quoted_local=False,
            check_deliverability=False,
            globally_deliverable=False,
        )
    except EmailNotValidError:
        return Reading("", "email_syntax")
    if "." not in valid.ascii_domain:
        return Reading("", "email_syntax")
    return Reading(f"{valid.local_part}@{valid.ascii_domain}", code)


def is_agency(text: str, by: Rules | None = None) -> bool:
    """Whether a cell holds one of the addresses that are typed in for members without one."""
    addresses = (by or _shipped()).addresses
    return bool(addresses) and text.strip(_AROUND + ".;,").lower() in addresses


def suggestion(text: str, by: Rules | None = None) -> str:
    """What was probably meant by an address that is not usable; "" when nothing comes to mind. For the eyes of the
    operator: nothing is ever sent there.

    >>> suggestion("anne@wanadoo,fr"), suggestion("anne@gmial.com"), suggestion("anne")
    ('anne@wanadoo.fr', 'anne@gmail.com', '')
    """
    by = by or _shipped()
    local, _, domain = text.strip(_AROUND + ".;,").rpartition("@")
    meant = domain.replace(",", ".").replace("..", ".").replace(" ", "").lower()
    meant = by.typos.get(meant, meant)
    address = f"{local}@{meant}"
    usable = mailbox(text, by).value == "" and meant != domain.lower() and mailbox(address, by).value == address
    return address if usable else ""


def providers(folder: Path) -> dict[str, str]:
    """Domain → provider, from data/providers.toml (``[provider.orange] domains = […]``). Raises SettingsError."""
    path = resource(folder, "data", "providers.toml")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        return {str(domain).lower(): name for name, body in raw["provider"].items() for domain in body["domains"]}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"{path}: {error}") from error


def provider(address: str, by_domain: Mapping[str, str]) -> str:
    """The provider of an address; "other" for every domain that the table does not name."""
    return by_domain.get(address.rpartition("@")[2].lower(), OTHER)
