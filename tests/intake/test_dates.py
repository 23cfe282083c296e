"""Birth dates: four forms, lunar dates kept, nothing coerced (DOMAIN B3)."""

from __future__ import annotations

from datetime import date

import pytest

from notifier.intake.dates import birth_date, of_1904

TODAY = date(2024, 2, 9)


@pytest.mark.parametrize(
    ("cell", "value", "code"),
    [
        ("02/08/1955", "1955-08-02", ""),
        ("2/8/1955", "1955-08-02", ""),
        ("02.08.1955", "1955-08-02", ""),
        ("1955-08-02", "1955-08-02", ""),
        ("1955-08-02 00:00:00", "1955-08-02", ""),
        ("1955-08-02T00:00:00", "1955-08-02", ""),
        ("19550802", "1955-08-02", ""),
        ("20303", "1955-08-02", ""),
        ("20303.0", "1955-08-02", ""),
        ("9999", "1927-05-17", ""),
        ("29/02/2000", "2000-02-29", ""),
        ("00/08/1955", "1955-08-00", "birth_partial"),
        ("00/00/1955", "1955-00-00", "birth_partial"),
        ("1955-00-00", "1955-00-00", "birth_partial"),
        ("19550000", "1955-00-00", "birth_partial"),
        ("01/31/1955", "1955-00-01", "birth_partial"),
        ("", "", "birth_missing"),
        ("31/04/1955", "", "birth_unreadable"),
        ("29/02/1955", "", "birth_unreadable"),
        ("02/13/1955", "", "birth_unreadable"),
        # Two digits of a year: nobody is born in the future or lives beyond 120 years, which leaves one century or two.
        ("02/08/55", "1955-08-02", "birth_two_digits"),
        ("02.08.24", "1924-08-02", "birth_two_digits"),
        ("08/02/24", "", "birth_century"),
        ("02/08/04", "", "birth_century"),
        ("31/12/03", "2003-12-31", "birth_two_digits"),
        ("00/00/55", "1955-00-00", "birth_two_digits,birth_partial"),
        ("00/00/00", "2000-00-00", "birth_two_digits,birth_partial"),
        ("29/02/55", "", "birth_unreadable"),
        ("02-08-55", "", "birth_unreadable"),
        ("550802", "", "birth_unreadable"),
        ("08/1955", "1955-08-00", "birth_partial"),
        ("1955-08", "1955-08-00", "birth_partial"),
        ("13/1955", "", "birth_unreadable"),
        ("45/1955", "", "birth_unreadable"),
        ("62/1955", "1955-00-00", "birth_partial"),
        ("31/12/1899", "", "birth_implausible"),
        ("1", "", "birth_unreadable"),
        ("1955", "", "birth_unreadable"),
        ("août 1955", "", "birth_unreadable"),
        ("1955-08-02 13:30:00", "", "birth_unreadable"),
        ("10/02/2024", "", "birth_implausible"),
        ("01/01/1900", "", "birth_implausible"),
        ("60000", "", "birth_implausible"),
    ],
)
def test_birth_date(cell: str, value: str, code: str) -> None:
    assert birth_date(cell, TODAY) == (value, code)


def test_the_day_of_the_intake_itself_is_plausible() -> None:
    assert birth_date("09/02/2024", TODAY) == ("2024-02-09", "")


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("18841", "1955-08-02"),
        ("18841.0", "1955-08-02"),
        ("0000", "1904-01-01"),
        ("1955", "1955"),
        ("02/08/1955", "02/08/1955"),
        ("", ""),
    ],
)
def test_a_serial_number_of_a_workbook_that_counts_from_1904(cell: str, text: str) -> None:
    assert of_1904(cell) == text
