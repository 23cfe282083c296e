"""The rules of the identifiers that exports hold: NIR, SIRET, FINESS, RPPS, RIB, birth rank. Pure.

Each rule reads one cell and returns a :class:`Reading`: the normal form, or "" when the value is not usable, and a code
when there is something to say. Nothing is ever guessed: a value is repaired only when its own key proves the repair.
``normal_forms`` holds the vectorised twins of the rules on the hot path; a property test keeps both equal.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from stdnum import iban
from stdnum.fr import siret as stdnum_siret


class Reading(NamedTuple):
    """``value``: the normal form, "" = not usable. ``code``: what there is to say, "" = nothing."""

    value: str
    code: str = ""


# What people type between the groups of a number: spaces of four kinds, dots, dashes, apostrophes (Excel's own first
# one too), slashes.
GAPS = "[ \\t\\r\\n\u00a0\u202f\u2007\u2009.\\-'’_/]"
_GAPS = re.compile(GAPS)
# A spreadsheet's whole number that came out as a decimal one.
DECIMAL = r"^[ \u00a0]*([0-9]+)[.,]0[ \u00a0]*$"
_DECIMAL = re.compile(DECIMAL)
ROUNDED = r"^[0-9][0-9,]*E\+?[0-9]+$"
_ROUNDED = re.compile(ROUNDED)

# Sex, year, month, department, commune, order. Months 20–42 and 50–99 stand for an incomplete civil record
# (DOMAIN B1); 2A and 2B are Corsica. First digits 3–8 are waiting or temporary numbers: no date in them.
NIR = (
    r"^(?:[12][0-9]{2}(?:0[1-9]|1[0-2]|[23][0-9]|4[0-2]|[5-9][0-9])(?:[0-9]{2}|2[AB])[0-9]{6}"
    r"|[3-8][0-9]{12})$"
)
_NIR = re.compile(NIR)
_DIGITS = re.compile(r"[0-9]+")
_CORSICA = {"2A": "19", "2B": "18"}


def compact(text: str) -> str:
    """Upper case, without gaps, without a spreadsheet's ``.0``."""
    if decimal := _DECIMAL.match(text):
        return decimal[1]
    return _GAPS.sub("", text).upper()


def nir_key(body: str) -> int:
    """The key of the 13 characters of a NIR: 97 - (N mod 97), 01 … 97; Corsica's 2A counts as 19, 2B as 18
    (DOMAIN B1; INSEE).

    >>> nir_key("2550814168025"), nir_key("253072B073004")
    (38, 70)
    """
    department = body[5:7]
    return 97 - int(body[:5] + _CORSICA.get(department, department) + body[7:]) % 97


def nir(text: str, key: str = "") -> Reading:  # noqa: PLR0911  (one return per verdict)
    """The 13 characters of a NIR; ``key``: the cell of a column of its own, "" = none.

    Without any key (13 characters) it is usable; with a wrong one it is not. Codes: ``nir_missing``, ``nir_rounded``
    (a spreadsheet dropped digits: never reconstructed), ``nir_length``, ``nir_format``, ``nir_key`` (not usable);
    ``nir_temporary``, ``nir_incomplete`` (usable).
    """
    plain = compact(text)
    if not plain:
        return Reading("", "nir_missing")
    if _ROUNDED.match(plain):
        return Reading("", "nir_rounded")
    if len(plain) not in (13, 15):
        return Reading("", "nir_length")
    body, own = plain[:13], plain[13:]
    if not _NIR.match(body) or (own and not _DIGITS.fullmatch(own)) or (body[0] in "12" and body[10:] == "000"):
        return Reading("", "nir_format")
    other = compact(key)
    other = other.zfill(2) if other else own
    if (own and other != own) or (other and other != f"{nir_key(body):02d}"):
        return Reading("", "nir_key")
    if body[0] not in "12":
        return Reading(body, "nir_temporary")
    return Reading(body, "nir_incomplete" if int(body[3:5]) > 12 else "")


def siret(text: str) -> Reading:
    """14 digits: Luhn over all and over the SIREN in front; La Poste's establishments have a digit sum that is a
    multiple of 5 instead (INSEE; python-stdnum). 13 digits with a right key once a zero is put in front have lost it
    in a spreadsheet: ``siret_repaired``. Not usable: ``siret_missing``, ``siret_key``."""
    plain = compact(text)
    if not plain:
        return Reading("", "siret_missing")
    if stdnum_siret.is_valid(plain):
        return Reading(plain)
    if len(plain) == 13 and stdnum_siret.is_valid("0" + plain):
        return Reading("0" + plain, "siret_repaired")
    return Reading("", "siret_key")


def luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn key of those before it (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) << (place & 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


_FINESS = re.compile(r"(?:[0-9]{2}|2[AB])[0-9]{7}")


def _is_finess(plain: str) -> bool:
    return bool(_FINESS.fullmatch(plain)) and luhn(plain.replace("A", "1").replace("B", "2"))


def finess(text: str) -> Reading:
    """9 characters, Luhn; in Corsica's 2A and 2B the letters count as 1 and 2 (DOMAIN B5). 8 digits with a right key
    once a zero is put in front: ``finess_repaired``. Not usable: ``finess_missing``, ``finess_key``."""
    plain = compact(text)
    if not plain:
        return Reading("", "finess_missing")
    if _is_finess(plain):
        return Reading(plain)
    if len(plain) == 8 and _is_finess("0" + plain):
        return Reading("0" + plain, "finess_repaired")
    return Reading("", "finess_key")


def rpps(text: str) -> Reading:
    """11 digits, Luhn; 12 with the 8 that the national identifier puts in front (DOMAIN B5). Not usable:
    ``rpps_missing``, ``rpps_key``."""
    plain = compact(text)
    if not plain:
        return Reading("", "rpps_missing")
    if len(plain) == 12 and plain[0] == "8":
        plain = plain[1:]
    if len(plain) == 11 and _DIGITS.fullmatch(plain) and luhn(plain):
        return Reading(plain)
    return Reading("", "rpps_key")


EMPTY_WORDS = (
    "", "-", "--", "0", "X", "XXX", "NC", "NR", "NA", "N/A", "NON", "NEANT", "NÉANT", "AUCUN", "AUCUNE", "NULL",
)  # fmt: skip
"""What people write into a cell to say that there is nothing (upper case)."""


def is_filled(text: str) -> bool:
    """Whether a cell holds anything: not empty, and not one of the words for "nothing"."""
    return text.strip(" \u00a0").upper() not in EMPTY_WORDS


_RIB = re.compile(r"([0-9]{5})([0-9]{5})([0-9A-Z]{11})([0-9]{2})")
_RIB_LETTERS = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "12345678912345678923456789")


def is_rib(plain: str) -> bool:
    """Whether 23 characters are a RIB: key = 97 - (89 bank + 15 branch + 3 account) mod 97 (Banque de France;
    DOMAIN B6)."""
    if not (found := _RIB.fullmatch(plain)):
        return False
    bank, branch, account, key = (int(part.translate(_RIB_LETTERS)) for part in found.groups())
    return key == 97 - (89 * bank + 15 * branch + 3 * account) % 97


def bank_account(text: str) -> Reading:
    """``value``: "rib", "iban", "other" or "" (no account): never the number, which nothing of ours keeps (I8).
    ``rib_key``: filled, but neither a RIB nor an IBAN (ISO 13616); it counts as exposed all the same."""
    if not is_filled(text):
        return Reading("")
    plain = compact(text)
    if is_rib(plain):
        return Reading("rib")
    if iban.is_valid(plain, check_country=False):
        return Reading("iban")
    return Reading("other", "rib_key")


def birth_rank(text: str) -> Reading:
    """ "1" … "9", the place among twins, "" when not given. Not usable: ``rank_unreadable``."""
    plain = compact(text)
    if not plain:
        return Reading("")
    digit = plain.lstrip("0")
    return Reading(digit) if len(digit) == 1 and digit in "123456789" else Reading("", "rank_unreadable")
