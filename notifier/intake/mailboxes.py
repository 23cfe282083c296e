"""E-mail addresses as files write them, and the provider behind each.

Syntax only (RFC 5321, 5322, IDNA by email-validator), no DNS: a directory of two million addresses is no reason for two
million queries. Nothing is corrected by guess: ``gmial.com`` stays, ``a@b,fr`` is not usable.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from email_validator import EmailNotValidError, validate_email

from notifier.campaign import resource
from notifier.errors import SettingsError
from notifier.intake.identifiers import Reading, is_filled

OTHER = "other"
_AROUND = " \u00a0\t<>\"'"
# What most addresses look like; what fits is valid for the validator too (a property test holds this), which costs
# thirty times as much.
_LABEL = r"[a-z0-9](?:(?:[a-z0-9]|-(?!-)){0,61}[a-z0-9])?"
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PLAIN = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@((?:{_LABEL}\.)+[a-z]{{2,63}})", re.IGNORECASE)
_PLACEHOLDERS = frozenset((
    "neant", "aucun", "aucune", "inconnu", "inconnue", "nc", "nr", "na", "pasdemail", "pasdemel", "pasdadresse",
    "sansmail", "sansemail", "sansadresse", "nomail", "noemail", "nomel", "xx", "xxx", "xxxx", "xxxxx", "noreply",
    "no-reply", "ne-pas-repondre", "nepasrepondre",
))  # fmt: skip


def mailbox(text: str) -> Reading:  # noqa: PLR0911  (one return per verdict)
    """The address, its domain in ASCII (A-labels). Codes, none of them usable: ``email_missing``,
    ``email_placeholder`` (neant@…, aucun@…), ``email_several``, ``email_syntax``."""
    plain = text.lstrip(_AROUND).rstrip(_AROUND + ".;,")
    if not plain:
        return Reading("", "email_missing")
    if plain.count("@") > 1 and re.search(r"[;,\s]", plain):
        return Reading("", "email_several")
    local, _, domain = plain.rpartition("@")
    if (
        not is_filled(plain)
        or (local or plain).lower() in _PLACEHOLDERS
        or domain.split(".")[0].lower() in _PLACEHOLDERS
    ):
        return Reading("", "email_placeholder")
    if (found := _PLAIN.fullmatch(plain)) and len(found[1]) <= 64 and len(found[2]) <= 253 and len(plain) <= 254:
        return Reading(plain)
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
    return Reading(f"{valid.local_part}@{valid.ascii_domain}")


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
