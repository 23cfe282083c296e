"""The rules of the identifiers that exports hold: NIR, SIRET, FINESS, RPPS, RIB, birth rank. Pure.

Each rule reads one cell and returns a :class:`Reading`: the normal form, or "" when the value is not usable, and a code
when there is something to say (``verdicts.CODES`` says what each means). Nothing is ever guessed: a value is repaired
only when a key proves the repair. ``normal_forms`` holds the vectorised twins of the rules on the hot path; a property
test keeps both equal.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from stdnum import iban
from stdnum.fr import siren as stdnum_siren
from stdnum.fr import siret as stdnum_siret


class Reading(NamedTuple):
    """``value``: the normal form, "" = not usable. ``code``: what there is to say, "" = nothing; several codes stand
    with commas between them."""

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
NIR_FILLERS = tuple(str(digit) * 13 for digit in range(3, 9))
"""What is typed to fill the field. It has the shape of a waiting number, and would make one person of many."""
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
    """The 13 characters of a NIR; ``key``: the cell of a column of its own, "" = none (INSEE; DOMAIN B1).

    Without any key (13 characters) it is usable; with a wrong one it is not. 12 or 14 characters are never filled up:
    a NIR does not begin with 0. Codes: ``nir_missing``, ``nir_rounded`` (a spreadsheet dropped digits: never
    reconstructed), ``nir_length``, ``nir_format``, ``nir_key`` (not usable); ``nir_temporary``, ``nir_incomplete``
    (usable); ``nir_key_padded`` (a repair: a key of one digit, right with the zero that a spreadsheet took from it).
    """
    plain = compact(text)
    if not plain:
        return Reading("", "nir_missing")
    if _ROUNDED.match(plain):
        return Reading("", "nir_rounded")
    if len(plain) not in (13, 15):
        return Reading("", "nir_length")
    body, own = plain[:13], plain[13:]
    if (
        not _NIR.match(body)
        or (own and not _DIGITS.fullmatch(own))
        or (body[0] in "12" and body[10:] == "000")
        or body in NIR_FILLERS
    ):
        return Reading("", "nir_format")
    other = compact(key)
    padded = "nir_key_padded" if len(other) == 1 else ""
    other = other.zfill(2) if other else own
    if (own and other != own) or (other and other != f"{nir_key(body):02d}"):
        return Reading("", "nir_key")
    if body[0] not in "12":
        return Reading(body, _joined("nir_temporary", padded))
    return Reading(body, _joined("nir_incomplete" if int(body[3:5]) > 12 else "", padded))


def _joined(*codes: str) -> str:
    return ",".join(filter(None, codes))


def siren(text: str) -> Reading:
    """9 digits, Luhn (INSEE): a company, not one of its establishments. Not usable: ``siren_missing``,
    ``siren_key``."""
    plain = compact(text)
    if not plain:
        return Reading("", "siren_missing")
    return Reading(plain) if stdnum_siren.is_valid(plain) and plain.strip("0") else Reading("", "siren_key")


_LOST_OF_SIRET = (12, 13)  # three zeros lost leave 11 digits, which an RPPS has too: its key would be as right
_MONACO = re.compile(r"MONACO[0-9A-Z]{8}")


def siret(text: str) -> Reading:
    """14 digits: Luhn over all and over the SIREN in front; La Poste's establishments have a digit sum that is a
    multiple of 5 instead (INSEE; python-stdnum). 15 digits are the national identifier, a 3 before the SIRET.

    12 or 13 digits of which both keys are right once the zeros are put in front have lost these in a spreadsheet:
    ``siret_padded``. Not usable: ``siret_missing``, ``siret_siren`` (a company's number, which all its establishments
    share), ``siret_monaco`` (Monaco's stand-in, which has no key), ``siret_key``."""
    plain = compact(text)
    if not plain:
        return Reading("", "siret_missing")
    if len(plain) == 15 and plain[0] == "3":
        plain = plain[1:]
    if _is_siret(plain):
        return Reading(plain)
    if len(plain) in _LOST_OF_SIRET and _is_siret(full := plain.zfill(14)):
        return Reading(full, "siret_padded")
    if siren(plain).value:
        return Reading("", "siret_siren")
    return Reading("", "siret_monaco" if _MONACO.fullmatch(plain) else "siret_key")


def _is_siret(plain: str) -> bool:
    # Fourteen zeros have right keys, and are everybody's who has none.
    return stdnum_siret.is_valid(plain) and bool(plain[:9].strip("0"))


def luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn key of those before it (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) << (place & 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


_FINESS = re.compile(r"(?:[0-9]{2}|2[AB])[0-9]{7}")


def _is_finess(plain: str) -> bool:
    return bool(_FINESS.fullmatch(plain)) and bool(plain.strip("0")) and luhn(_without_corsica(plain))


def _without_corsica(plain: str) -> str:
    return plain.replace("A", "1").replace("B", "2")


def finess(text: str) -> Reading:
    """9 characters: department, six, Luhn; in Corsica's 2A and 2B the letters count as 1 and 2, overseas the
    department is 97 (DOMAIN B5). 10 are the national identifier, a 1 before the FINESS.

    8 digits with a right key once a zero is put in front: ``finess_padded``. Not usable: ``finess_missing``,
    ``finess_key``."""
    plain = compact(text)
    if not plain:
        return Reading("", "finess_missing")
    if len(plain) == 10 and plain[0] == "1":
        plain = plain[1:]
    if _is_finess(plain):
        return Reading(plain)
    if len(plain) == 8 and _is_finess("0" + plain):
        return Reading("0" + plain, "finess_padded")
    return Reading("", "finess_key")


def rpps(text: str) -> Reading:
    """11 digits, Luhn; as national identifier 12 with an 8 in front, or 15 with a 4 in front and the rank of the
    practice behind (ANS; DOMAIN B5). It never begins with 0, so none is ever put there. Not usable: ``rpps_missing``,
    ``rpps_adeli`` (the older number, whose key is not published), ``rpps_key``."""
    plain = compact(text)
    if not plain:
        return Reading("", "rpps_missing")
    if len(plain) == 12 and plain[0] == "8":
        plain = plain[1:]
    elif len(plain) == 15 and plain[0] == "4":
        plain = plain[1:12]
    if len(plain) == 11 and _DIGITS.fullmatch(plain) and plain[0] != "0" and luhn(plain):
        return Reading(plain)
    return Reading("", "rpps_adeli" if adeli(plain).value else "rpps_key")


_ADELI = re.compile(r"0?((?:[0-9]{2}|2[AB])[0-9A-Z][0-9]{6})")


def adeli(text: str) -> Reading:
    """9 characters: department, profession, order, key; 10 as national identifier, with a 0 in front. The form alone
    is looked at (the key's rule is not published; RPPS takes its place, DOMAIN B5), so that nobody is identified by
    it. Not usable: ``adeli_missing``, ``adeli_format``."""
    plain = compact(text)
    if not plain:
        return Reading("", "adeli_missing")
    found = _ADELI.fullmatch(plain)
    return Reading(found[1]) if found else Reading("", "adeli_format")


def postcode(text: str, finess_number: str = "") -> Reading:
    """The cell as it is. ``finess_number``: of the same row, with a right key, or "".

    Four digits may have lost their zero, or be a Belgian's, Swiss' or Luxembourgish postcode, and a postcode has no
    key. One thing proves it: a FINESS of the row lies in the department that the zero makes (01 … 09) –
    ``postcode_padded``. Else it stays as it is: ``postcode_short``."""
    plain = compact(text)
    if len(plain) != 4 or not _DIGITS.fullmatch(plain) or plain[0] == "0":
        return Reading(text)
    if finess_number.startswith("0" + plain[0]):
        return Reading("0" + plain, "postcode_padded")
    return Reading(text, "postcode_short")


_PHONE = re.compile(r"(?:\+33|0033|33)\(?0?\)?([1-9][0-9]{8})|0([1-9][0-9]{8})")
_ABROAD = re.compile(r"(?:\+|00)[1-9][0-9]{6,14}")


def phone(text: str) -> Reading:
    """A French number as ten digits, another as it is written with + or 00 (Arcep's numbering plan; ITU-T E.164).
    Nine digits may have lost their zero; nothing proves it, and they stay: ``phone_short``. Not usable:
    ``phone_unreadable``. Nobody is called: the number is not kept."""
    plain = compact(text).replace("(0)", "")
    if not is_filled(plain):
        return Reading("")
    if found := _PHONE.fullmatch(plain):
        return Reading("0" + (found[1] or found[2]))
    if _ABROAD.fullmatch(plain):
        return Reading(plain)
    short = len(plain) == 9 and _DIGITS.fullmatch(plain) and plain[0] != "0"
    return Reading(plain, "phone_short") if short else Reading("", "phone_unreadable")


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
