"""Numbers with valid keys, checked by somebody else's arithmetic."""

from __future__ import annotations

import pytest
from stdnum import iban, luhn
from stdnum.fr import nir as stdnum_nir
from stdnum.fr import siret as stdnum_siret

from notifier.drill.names import FORENAMES_1, FORENAMES_2, SURNAMES
from notifier.drill.numbers import NIR_SPACE, Ordinals, Register, finess, nir, nir_key, rib, siret
from notifier.errors import OperatorError
from notifier.people.identity import normal_name


@pytest.mark.parametrize(
    ("thirteen", "key"),
    [("2550814168025", 38), ("2951099126111", 93), ("253072A073004", 43), ("253072B073004", 70)],
)
def test_nir_keys_of_published_examples(thirteen: str, key: int) -> None:
    assert nir_key(thirteen) == key


def test_nirs_are_valid_and_never_the_same() -> None:
    ordinals = Ordinals(NIR_SPACE, 12345, "NIRs")
    made = set()
    for index in range(20_000):
        thirteen = nir(1 + index % 2, 1940 + index % 60, Register.at(ordinals.take()), month_known=index % 50 != 0)
        assert stdnum_nir.is_valid(f"{thirteen}{nir_key(thirteen):02d}"), thirteen
        made.add(thirteen)
    assert len(made) == 20_000
    places = {thirteen[5:7] for thirteen in made}
    assert {"2A", "2B", "20", "99", "01", "95"} <= places
    assert all(int(thirteen[1:3]) < 76 for thirteen in made if thirteen[5:7] == "20")
    assert all(int(thirteen[1:3]) >= 76 for thirteen in made if thirteen[5:7] in ("2A", "2B"))


def test_corsica_before_1976_does_not_make_two_persons_one() -> None:
    south, north = Register(5, "2A", 950, 17), Register(5, "2B", 950, 17)
    assert nir(1, 1960, south) != nir(1, 1960, north)
    assert nir(1, 1960, south)[5:7] == nir(1, 1960, north)[5:7] == "20"


def test_ordinals_give_each_number_once_and_then_refuse() -> None:
    ordinals = Ordinals(1000, 3, "numbers")
    assert {ordinals.take() for _ in range(1000)} == set(range(1000))
    with pytest.raises(OperatorError, match="1000 different numbers"):
        ordinals.take()


def test_siret_finess_and_accounts_are_valid() -> None:
    for ordinal in range(0, 1_000_000, 9973):
        number = siret(ordinal, 1 + ordinal % 3)
        assert stdnum_siret.is_valid(number) and len(number) == 14
        spaced, account = rib(ordinal, "AJSRZ"[ordinal % 5])
        assert iban.is_valid(account) and len(account) == 27
        assert account[4:] == spaced.replace(" ", "") and [len(part) for part in spaced.split()] == [5, 5, 11, 2]
        for department in ("01", "2A", "2B", "95"):
            place = finess(department, ordinal)
            assert luhn.is_valid(place.replace("A", "1").replace("B", "2")) and len(place) == 9


def test_finess_of_published_establishments() -> None:
    for known in ("750100125", "750712184", "690781810", "330781196"):
        assert finess(known[:2], int(known[2:8])) == known


def test_every_spelling_of_a_name_is_the_same_name_and_differs_to_the_eye() -> None:
    names = (*SURNAMES, *FORENAMES_1, *FORENAMES_2)
    for name in names:
        assert {normal_name(text) for text in (name.proper, name.capitals, name.other, name.slug)} == {
            normal_name(name.proper)
        }
        assert len(normal_name(name.proper)) >= 5
        assert name.capitals.isascii() and name.slug.isascii() and name.capitals == name.capitals.upper()
    for table in (SURNAMES, (*FORENAMES_1, *FORENAMES_2)):
        assert len({normal_name(name.proper) for name in table}) == len(table)
    assert any(name.other != name.proper for name in names)
