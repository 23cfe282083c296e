"""What somebody types to be looked up, read by intake's own rules: a look-up must find what an import stored.

Values live for one look-up and are stored nowhere; an error says which one cannot be read, and never repeats it (I8).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from notifier.errors import OperatorError
from notifier.intake import identifiers, mailboxes
from notifier.intake.dates import birth_date
from notifier.intake.identifiers import Reading
from notifier.people.identity import normal_email, normal_name, normal_number
from notifier.people.lookups import Said

# What each way asks for: field → the question.
WAYS: Mapping[str, Mapping[str, str]] = {
    "nir": {"nir": "NIR (13 or 15 characters)", "birth_date": "Birth date (dd/mm/yyyy)", "forename": "Forename"},
    "contract": {"contract": "Contract number", "birth_date": "Birth date (dd/mm/yyyy)", "name": "Family name"},
    "professional": {"siret": "SIRET (or empty)", "finess": "FINESS (or empty)", "rpps": "RPPS (or empty)"},
    "email": {"email": "E-mail address"},
}
_WORDS = {
    "nir": "NIR",
    "birth_date": "birth date",
    "forename": "forename",
    "contract": "contract number",
    "name": "family name",
    "siret": "SIRET",
    "finess": "FINESS",
    "rpps": "RPPS",
    "email": "e-mail address",
}


def read(way: str, typed: Mapping[str, str], folder: Path, today: date) -> Said:
    """What was typed, in normal form. Raises OperatorError, naming the value that is not usable."""
    values = {name: _read(name, typed.get(name, ""), folder, today) for name in WAYS[way]}
    given = [name for name, value in values.items() if value]
    if way == "professional":
        if not given:
            raise OperatorError("give the SIRET, the FINESS or the RPPS")
    elif len(given) < len(values):
        missing = next(name for name in values if name not in given)
        raise OperatorError(f"the {_WORDS[missing]} is missing")
    return Said(" + ".join(_WORDS[name] for name in given), **values)


def _read(name: str, cell: str, folder: Path, today: date) -> str:
    if not cell.strip():
        return ""
    if name in ("forename", "name"):
        return normal_name(cell)
    if name == "contract":
        return normal_number(cell)
    found = _numbered(name, cell, folder, today)
    if not found.value:
        raise OperatorError(f"this is no {_WORDS[name]} ({found.code}): nothing was looked up")
    return normal_email(found.value) if name == "email" else found.value


def _numbered(name: str, cell: str, folder: Path, today: date) -> Reading:
    match name:
        case "nir":
            return identifiers.nir(cell)
        case "birth_date":
            return birth_date(cell, today)
        case "siret":
            return identifiers.siret(cell)
        case "finess":
            return identifiers.finess(cell)
        case "rpps":
            return identifiers.rpps(cell)
    return mailboxes.mailbox(cell, mailboxes.rules(folder))
