"""Birth dates as files write them. Pure.

The normal form is ``YYYY-MM-DD`` with ``00`` for what the record does not know ("lunar" dates of incomplete civil
records, DOMAIN B3). Nothing is coerced: 00 never becomes 01, an impossible day is unreadable, and a two-digit year gets
a century only where one alone is possible (nobody is born in the future, nor lives beyond OLDEST_YEARS).
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date, timedelta
from functools import lru_cache

from notifier.intake.identifiers import Reading

OLDEST_YEARS = 120
# What a spreadsheet adds to a date that has no time: 00:00:00, with or without fractions and zone.
_TIME = r"(?:[ T]00:00(?::00(?:[.,]0+)?)?(?:Z|\+00:00)?)?"
_FORMS = tuple(
    re.compile(form + _TIME)
    for form in (
        r"(?P<day>[0-9]{1,2})[/.\- ](?P<month>[0-9]{1,2})[/.\- ](?P<year>[0-9]{4})",
        r"(?P<year>[0-9]{4})[/.\-](?P<month>[0-9]{1,2})[/.\-](?P<day>[0-9]{1,2})",
        r"(?P<year>(?:18|19|20)[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2})",
    )
)
# A month without a day, as incomplete civil records are also written. Never after a spreadsheet: it makes a day of it.
_MONTHS = tuple(
    re.compile(form)
    for form in (r"(?P<month>[0-9]{1,2})[/.\-](?P<year>[0-9]{4})", r"(?P<year>[0-9]{4})[/.\-](?P<month>[0-9]{1,2})")
)
# Two digits of a year: only with the signs that nobody puts between year, month and day in this order.
_SHORT = re.compile(r"(?P<day>[0-9]{1,2})(?P<sign>[/.])(?P<month>[0-9]{1,2})(?P=sign)(?P<year>[0-9]{2})")
_CENTURIES = (1800, 1900, 2000)
_SERIAL = re.compile(r"([0-9]{4,5})(?:[.,]0+)?")
_SERIAL_ZERO = date(1899, 12, 30)  # right from 1 March 1900 on: Excel believes in 29 February 1900
_SERIAL_ZERO_1904 = date(1904, 1, 1)
_YEARS = range(1850, 2101)  # four digits that may be a year are no serial number


def birth_date(text: str, today: date) -> Reading:  # noqa: PLR0911  (one return per form)
    """``text`` in normal form: dd/mm/yyyy, yyyy-mm-dd, yyyymmdd, mm/yyyy, yyyy-mm, dd/mm/yy, or an Excel serial number
    (1900 system; right from 1 March 1900 on, and nobody is as old).

    Codes: ``birth_missing``, ``birth_unreadable``, ``birth_implausible`` (to come, or more than 120 years ago),
    ``birth_century`` (of two digits, two centuries are possible): not usable; ``birth_partial`` (day or month unknown),
    ``birth_two_digits`` (one century is possible): usable.
    """
    plain = text.strip(" \u00a0")
    if not plain:
        return Reading("", "birth_missing")
    if serial := _SERIAL.fullmatch(plain):
        number = int(serial[1])
        if number in _YEARS:
            return Reading("", "birth_unreadable")
        born = _SERIAL_ZERO + timedelta(days=number)
        return _plausible(born.year, born.month, born.day, today)
    for form in _FORMS:
        if found := form.fullmatch(plain):
            return _plausible(int(found["year"]), int(found["month"]), int(found["day"]), today)
    if found := _SHORT.fullmatch(plain):
        return _of_two_digits(int(found["year"]), int(found["month"]), int(found["day"]), today)
    for form in _MONTHS:
        if found := form.fullmatch(plain):
            return _plausible(int(found["year"]), int(found["month"]), 0, today)
    return Reading("", "birth_unreadable")


def _of_two_digits(year: int, month: int, day: int, today: date) -> Reading:
    every = [_plausible(century + year, month, day, today) for century in _CENTURIES]
    possible = [each for each in every if each.value]
    if len(possible) == 1:
        value, code = possible[0]
        return Reading(value, f"birth_two_digits,{code}".rstrip(","))
    return Reading("", "birth_century" if possible else every[-1].code)


def of_1904(text: str) -> str:
    """A cell of a workbook whose days are counted from 1 January 1904 (the Macintosh's way): a serial number becomes
    the date that it stands for, everything else stays as it is.

    >>> of_1904("18841"), of_1904("1955"), of_1904("02/08/1955")
    ('1955-08-02', '1955', '02/08/1955')
    """
    serial = _SERIAL.fullmatch(text.strip(" \u00a0"))
    if not serial or int(serial[1]) in _YEARS:
        return text
    return (_SERIAL_ZERO_1904 + timedelta(days=int(serial[1]))).isoformat()


def _plausible(year: int, month: int, day: int, today: date) -> Reading:
    if 20 <= month <= 42 or 50 <= month <= 99:
        month = 0  # the codes by which health files say "month unknown", as the NIR does (DOMAIN B1, B3)
    if month > 12 or day > 31 or (month and day and year and day > monthrange(year, month)[1]):
        return Reading("", "birth_unreadable")
    if not today.year - OLDEST_YEARS <= year <= today.year or (year, month, day) > (today.year, today.month, today.day):
        return Reading("", "birth_implausible")
    return Reading(f"{year:04d}-{month:02d}-{day:02d}", "" if month and day else "birth_partial")


@lru_cache(maxsize=1 << 17)
def remembered(text: str, today: date) -> Reading:
    """:func:`birth_date` for files: a century has 37,000 days, so nearly every cell was read before."""
    return birth_date(text, today)
