"""The vectors of DOMAIN B, and what is not usable."""

from __future__ import annotations

import pytest
from stdnum import luhn
from stdnum.fr import nir as stdnum_nir

from notifier.intake.identifiers import bank_account, birth_rank, finess, is_filled, is_rib, nir, nir_key, rpps, siret


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
    assert nir(body, str(nir_key(body))) == (body, "")


@pytest.mark.parametrize(
    ("cell", "value", "code"),
    [
        ("73282932000074", "73282932000074", ""),
        ("732 829 320 00074", "73282932000074", ""),
        ("35600000000048", "35600000000048", ""),  # La Poste, head office: Luhn
        ("35600000049837", "35600000049837", ""),  # La Poste: digit sum 45
        ("35600000049838", "", "siret_key"),
        ("73282932000079", "", "siret_key"),
        ("MONACOCONFO001", "", "siret_key"),
        ("", "", "siret_missing"),
    ],
)
def test_siret(cell: str, value: str, code: str) -> None:
    assert siret(cell) == (value, code)


def test_siret_that_lost_its_zero_is_repaired_only_by_its_key() -> None:
    body = "005880596" + "0001"
    number = body + luhn.calc_check_digit(body)
    assert siret(number).code == ""
    assert siret(number.lstrip("0").zfill(13)) == (number, "siret_repaired")
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert siret(wrong.lstrip("0").zfill(13)) == ("", "siret_key")


@pytest.mark.parametrize("number", ["750100125", "750712184", "690781810", "330781196", "2A0000014", "2B0000020"])
def test_finess_vectors(number: str) -> None:
    assert finess(number) == (number, "")


@pytest.mark.parametrize(
    ("cell", "code"), [("750100126", "finess_key"), ("2C0000014", "finess_key"), ("", "finess_missing")]
)
def test_finess_not_usable(cell: str, code: str) -> None:
    assert finess(cell) == ("", code)


def test_finess_that_lost_its_zero() -> None:
    body = "01078000"
    number = body + luhn.calc_check_digit(body)
    assert finess(number[1:]) == (number, "finess_repaired")


def test_rpps_published_vector() -> None:
    assert rpps("10003879623") == ("10003879623", "")
    assert rpps("810003879623") == ("10003879623", "")
    assert rpps("10003879624") == ("", "rpps_key")


def test_i8_rib_published_vector_gives_a_flag_and_never_the_number() -> None:
    assert is_rib("20041010050500013M02606")
    assert bank_account("20041 01005 0500013M026 06") == ("rib", "")
    assert bank_account("FR14 2004 1010 0505 0001 3M02 606") == ("iban", "")
    assert bank_account("20041 01005 0500013M026 07") == ("other", "rib_key")
    assert bank_account(" néant ") == ("", "")


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
