"""The vectors of DOMAIN B, and what is not usable."""

from __future__ import annotations

import pytest
from stdnum import luhn
from stdnum.fr import nir as stdnum_nir

from notifier.intake.identifiers import (
    NIR_FILLERS,
    adeli,
    bank_account,
    birth_rank,
    finess,
    is_filled,
    is_rib,
    nir,
    nir_key,
    phone,
    postcode,
    rpps,
    siren,
    siret,
)


@pytest.mark.parametrize(
    "number",
    ["255081416802538", "295109912611193", "253072A07300443", "253072B07300470"],
)
def test_nir_published_vectors(number: str) -> None:
    assert nir(number) == (number[:13], "")
    assert nir(number[:13], number[13:]) == (number[:13], "")
    assert nir(number[:13]) == (number[:13], "")
    assert stdnum_nir.is_valid(number)


def test_nir_key_of_the_cnam_readme_is_the_computed_one() -> None:
    assert nir_key("2840588321025") == 32


@pytest.mark.parametrize(
    ("cell", "key", "code"),
    [
        ("", "", "nir_missing"),
        ("  ", "38", "nir_missing"),
        ("255081416802539", "", "nir_key"),
        ("2550814168025", "39", "nir_key"),
        ("2550814168025", "xx", "nir_key"),
        ("255081416802538", "39", "nir_key"),
        ("253072C07300443", "", "nir_format"),
        ("055081416802538", "", "nir_format"),
        ("2551314168025", "", "nir_format"),
        ("2550814168000", "", "nir_format"),
        ("255081416802X38", "", "nir_format"),
        ("255081416802", "", "nir_length"),
        ("25508141680253", "", "nir_length"),
        ("2,55081E+14", "", "nir_rounded"),
        ("2.55081E+14", "", "nir_rounded"),
    ],
)
def test_nir_not_usable(cell: str, key: str, code: str) -> None:
    assert nir(cell, key) == ("", code)


@pytest.mark.parametrize(
    ("cell", "key", "value", "code"),
    [
        ("2 55 08 14 168 025 38", "", "2550814168025", ""),
        ("2\u00a055.08.14-168'025", "38", "2550814168025", ""),
        ("255081416802538.0", "", "2550814168025", ""),
        ("2550814168025", "38.0", "2550814168025", ""),
        ("253072a07300443", "", "253072A073004", ""),
        ("7550814168025", "", "7550814168025", "nir_temporary"),
        ("3550814168025", "", "3550814168025", "nir_temporary"),
        ("2553114168025", "", "2553114168025", "nir_incomplete"),
    ],
)
def test_nir_usable(cell: str, key: str, value: str, code: str) -> None:
    assert nir(cell, key) == (value, code)


def test_nir_key_of_one_digit_lost_its_zero() -> None:
    body = next(f"25508141680{order}1" for order in range(10, 99) if nir_key(f"25508141680{order}1"[:13]) < 10)[:13]
    assert nir(body, str(nir_key(body))) == (body, "nir_key_padded")
    assert nir("25531" + body[5:], str(nir_key("25531" + body[5:]))) != (body, "nir_key_padded")
    assert nir(body, str((nir_key(body) + 1) % 10)) == ("", "nir_key")  # only the right key proves a zero


@pytest.mark.parametrize("month", ["01", "12", "20", "30", "31", "42", "50", "62", "99"])
def test_nir_months_of_an_incomplete_civil_record(month: str) -> None:
    body = f"255{month}14168025"
    assert nir(body) == (body, "" if month <= "12" else "nir_incomplete")


@pytest.mark.parametrize("month", ["00", "13", "19", "43", "49"])
def test_nir_months_that_nobody_has(month: str) -> None:
    assert nir(f"255{month}14168025") == ("", "nir_format")


@pytest.mark.parametrize("first", "345678")
def test_nir_that_waits_or_is_temporary(first: str) -> None:
    assert nir(f"{first}550814168025") == (f"{first}550814168025", "nir_temporary")


@pytest.mark.parametrize("first", "09")
def test_nir_first_digits_that_nobody_has(first: str) -> None:
    assert nir(f"{first}550814168025") == ("", "nir_format")


@pytest.mark.parametrize("filler", NIR_FILLERS)
def test_a_filler_is_no_nir(filler: str) -> None:
    """It would make one person of all who have it and the same birthday."""
    assert nir(filler) == ("", "nir_format")


@pytest.mark.parametrize(
    ("cell", "value", "code"),
    [
        ("73282932000074", "73282932000074", ""),
        ("732 829 320 00074", "73282932000074", ""),
        ("35600000000048", "35600000000048", ""),  # La Poste, head office: Luhn
        ("35600000049837", "35600000049837", ""),  # La Poste: digit sum 45
        ("35600000049838", "", "siret_key"),
        ("73282932000079", "", "siret_key"),
        ("MONACOCONFO001", "", "siret_monaco"),
        ("00000000000000", "", "siret_key"),  # its keys are right
        ("373282932000074", "73282932000074", ""),  # national identifier: 3 and the SIRET
        ("732829320", "", "siret_siren"),
        ("732829321", "", "siret_key"),
        ("73282932000074.0", "73282932000074", ""),
        ("7,32829E+13", "", "siret_key"),
        ("", "", "siret_missing"),
    ],
)
def test_siret(cell: str, value: str, code: str) -> None:
    assert siret(cell) == (value, code)


def test_siret_that_lost_its_zero_is_repaired_only_by_its_key() -> None:
    body = "005880596" + "0001"
    number = body + luhn.calc_check_digit(body)
    assert siret(number).code == ""
    assert siret(number.removeprefix("0")) == (number, "siret_padded")
    assert siret(number.removeprefix("00")) == (number, "siret_padded")
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert siret(wrong.removeprefix("0")) == ("", "siret_key")
    assert siret(wrong.removeprefix("00")) == ("", "siret_key")


def test_an_rpps_is_never_filled_up_to_a_siret() -> None:
    """Zeros in front change no Luhn sum: 11 digits prove nothing."""
    for number in range(10_000_000_000, 10_000_002_000):
        assert siret(str(number)).code == "siret_key"


def test_siren() -> None:
    assert siren("732 829 320") == ("732829320", "")
    assert siren("356000000") == ("356000000", "")
    assert siren("005880596") == ("005880596", "")
    assert siren("732829321") == ("", "siren_key")
    assert siren("000000000") == ("", "siren_key")
    assert siren("") == ("", "siren_missing")


@pytest.mark.parametrize("number", ["750100125", "750712184", "690781810", "330781196", "2A0000014", "2B0000020"])
def test_finess_vectors(number: str) -> None:
    assert finess(number) == (number, "")
    assert finess(f"1{number}") == (number, "")  # national identifier: 1 and the FINESS
    assert finess(number.lower()) == (number, "")


def test_finess_overseas() -> None:
    number = "97010000" + luhn.calc_check_digit("97010000")
    assert finess(number) == (number, "")


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("750100126", "finess_key"),
        ("2C0000014", "finess_key"),
        ("", "finess_missing"),
        ("000000000", "finess_key"),
        ("2A0000015", "finess_key"),
        ("A0000014", "finess_key"),
    ],
)
def test_finess_not_usable(cell: str, code: str) -> None:
    assert finess(cell) == ("", code)


def test_finess_that_lost_its_zero() -> None:
    body = "01078000"
    number = body + luhn.calc_check_digit(body)
    assert finess(number[1:]) == (number, "finess_padded")
    assert finess(str((int(number[1:]) + 1) % 10**8)) == ("", "finess_key")


def test_rpps_published_vector() -> None:
    assert rpps("10003879623") == ("10003879623", "")
    assert rpps("810003879623") == ("10003879623", "")
    assert rpps("410003879623001") == ("10003879623", "")
    assert rpps("10003879624") == ("", "rpps_key")
    assert rpps("00000000000") == ("", "rpps_key")
    assert rpps("") == ("", "rpps_missing")


def test_adeli_is_looked_at_and_proves_nothing() -> None:
    assert adeli("75 1 00125 8") == ("751001258", "")
    assert adeli("0751001258") == ("751001258", "")
    assert adeli("2A1001258") == ("2A1001258", "")
    assert adeli("75100125") == ("", "adeli_format")
    assert adeli("") == ("", "adeli_missing")
    assert rpps("751001258") == rpps("0751001258") == ("", "rpps_adeli")


@pytest.mark.parametrize(
    ("cell", "finess_number", "reading"),
    [
        ("75001", "", ("75001", "")),
        ("01000", "", ("01000", "")),
        ("1000", "", ("1000", "postcode_short")),  # Bourg-en-Bresse or Brussels
        ("1000", "750712184", ("1000", "postcode_short")),
        ("1000", "010780054", ("01000", "postcode_padded")),
        ("9100", "010780054", ("9100", "postcode_short")),
        ("0100", "010780054", ("0100", "")),
        ("L-1009", "", ("L-1009", "")),
        ("", "010780054", ("", "")),
    ],
)
def test_a_postcode_is_filled_up_only_beside_a_finess_of_its_department(cell, finess_number, reading) -> None:
    assert postcode(cell, finess_number) == reading


@pytest.mark.parametrize(
    ("cell", "reading"),
    [
        ("01 99 00 12 34", ("0199001234", "")),
        ("01.99.00.12.34", ("0199001234", "")),
        ("+33 (0)1 99 00 12 34", ("0199001234", "")),
        ("0033199001234", ("0199001234", "")),
        ("33199001234", ("0199001234", "")),
        ("+32 2 555 12 12", ("+3225551212", "")),
        ("199001234", ("199001234", "phone_short")),
        ("", ("", "")),
        ("néant", ("", "")),
        ("12", ("", "phone_unreadable")),
        ("poste 12", ("", "phone_unreadable")),
    ],
)
def test_a_phone_has_no_key_and_is_never_filled_up(cell, reading) -> None:
    assert phone(cell) == reading


def test_i8_rib_published_vector_gives_a_flag_and_never_the_number() -> None:
    assert is_rib("20041010050500013M02606")
    assert bank_account("20041 01005 0500013M026 06") == ("rib", "")
    assert bank_account("FR14 2004 1010 0505 0001 3M02 606") == ("iban", "")
    assert bank_account("20041 01005 0500013M026 07") == ("other", "rib_key")
    assert bank_account(" néant ") == ("", "")
    assert bank_account("2,0041E+22") == ("other", "rib_key")
    assert bank_account("20041010050500013m02606") == ("rib", "")
    assert bank_account("BE71 0961 2345 6769") == ("iban", "")


@pytest.mark.parametrize(
    ("cell", "filled"), [("", False), (" - ", False), ("N/A", False), ("Aucun", False), ("LM042", True)]
)
def test_is_filled(cell: str, filled: bool) -> None:
    assert is_filled(cell) is filled


@pytest.mark.parametrize(
    ("cell", "reading"),
    [
        ("", ("", "")),
        ("1", ("1", "")),
        ("02", ("2", "")),
        ("1.0", ("1", "")),
        ("0", ("", "rank_unreadable")),
        ("12", ("", "rank_unreadable")),
        ("deux", ("", "rank_unreadable")),
    ],
)
def test_birth_rank(cell: str, reading: tuple[str, str]) -> None:
    assert birth_rank(cell) == reading
