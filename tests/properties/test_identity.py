"""Identity as properties: free of order, never transitive, never by rank alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.people.identity import (
    GroupRow,
    InsuredFacts,
    ProfessionalFacts,
    forename_key,
    group_key,
    insured_identity,
    normal_email,
    normal_name,
    normal_number,
    professional_identity,
    rungs,
    settle,
)

NAMES = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20)
FORENAMES = st.sampled_from([None, b"alice", b"bob", b"zoe"])
GROUPS = st.lists(st.tuples(FORENAMES, st.sampled_from([None, 1, 2, 3])), max_size=8).map(
    lambda rows: [GroupRow(number, *row) for number, row in enumerate(rows)]
)
FACTS = st.builds(
    InsuredFacts,
    sender=st.sampled_from(["a", "b"]),
    nir=st.sampled_from(["", "1840512345678"]),
    birth_date=st.sampled_from(["", "1984-05-12", "1984-00-00"]),
    forename=st.sampled_from(["", "ALICE", "BOB"]),
    name=st.sampled_from(["", "EXEMPLE"]),
    rank=st.sampled_from([None, 1, 2]),
    contract=st.sampled_from(["", "K1"]),
    member_number=st.sampled_from(["", "M1"]),
)


@given(GROUPS, st.randoms())
def test_settling_is_free_of_order(group, random):
    shuffled = list(group)
    random.shuffle(shuffled)
    assert settle(shuffled) == settle(group)


@given(GROUPS)
def test_a_nameless_row_joins_only_the_one_who_has_its_rank(group):
    joins = settle(group)
    assert set(joins) == {row.row for row in group if row.forename is None}
    by_number = {row.row: row for row in group}
    for number, forename in joins.items():
        rank = by_number[number].rank
        fitting = {row.forename for row in group if row.forename is not None and rank is not None and row.rank == rank}
        assert ({forename} == fitting) if forename is not None else len(fitting) != 1


@given(GROUPS)
def test_settling_again_changes_nothing(group):
    joins = settle(group)
    named = [row if row.forename is not None else GroupRow(row.row, joins[row.row], row.rank) for row in group]
    assert set(settle(named).values()) <= {None}
    assert {row.row for row in named if row.forename is None} == {
        row for row, joined in joins.items() if joined is None
    }


@given(NAMES)
def test_normal_forms_are_idempotent(text):
    assert normal_name(normal_name(text)) == normal_name(text)
    assert normal_number(normal_number(text)) == normal_number(text)
    assert normal_email(normal_email(text)) == normal_email(text)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Anne-Zoé", "ANNE ZOE"),
        ("D’Hœrdt", "d'hoerdt"),
        ("  de la  Tour ", "DE LA TOUR"),
        ("Ève", "E\u0300ve"),
        ("Łukasz-Straße", "LUKASZ STRASSE"),
        ("Олена", "ОЛЕНА"),
    ],
)
def test_names_written_differently_compare_equal(left, right):
    assert normal_name(left) == normal_name(right)


@pytest.mark.parametrize("name", ["Олена", "Ελένη", "محمد", "Nguyễn", "李"])
def test_a_name_in_another_script_does_not_vanish(name):
    assert normal_name(name)
    assert normal_name(name) != normal_name(name + " x")


@given(FACTS, FACTS)
def test_no_key_ever_joins_two_senders(left, right):
    here, there = replace(left, sender="a"), replace(right, sender="b")
    for make in (insured_identity, group_key, forename_key):
        assert make(here) is None or make(here) != make(there)
    ladder, other = rungs(here), rungs(there)
    for rung in ("member", "nir_rank", "nir_forename", "contract"):
        assert getattr(ladder, rung) is None or getattr(ladder, rung) != getattr(other, rung)


@given(FACTS, FACTS)
def test_the_same_identity_means_the_same_group_and_forename_whatever_the_rank(left, right):
    mine, yours = insured_identity(left), insured_identity(right)
    if mine is not None and mine == yours:
        assert (left.sender, left.birth_date, left.forename) == (right.sender, right.birth_date, right.forename)
        assert left.nir == right.nir
    if left.forename and group_key(left) is not None:
        assert insured_identity(replace(left, rank=1)) == insured_identity(replace(left, rank=2))


@given(FACTS)
def test_no_rung_and_no_identity_without_a_birth_date(facts):
    undated = replace(facts, birth_date="")
    assert insured_identity(undated) is None
    assert set(vars_of(rungs(undated))) == {None}


def vars_of(ladder):
    return [ladder.member, ladder.nir_rank, ladder.nir_forename, ladder.contract]


@pytest.mark.parametrize(
    ("facts", "register"),
    [
        (ProfessionalFacts("a", siret="1", finess="2", rpps="3", company="C", email="e"), "siret+finess"),
        (ProfessionalFacts("a", finess="2", rpps="3", company="C", email="e"), "finess"),
        (ProfessionalFacts("a", siret="1", rpps="3", company="C", email="e"), "siret"),
        (ProfessionalFacts("a", rpps="3", company="C", email="e"), "rpps"),
        (ProfessionalFacts("a", company="C", email="e"), "company"),
        (ProfessionalFacts("a", company="C"), None),
        (ProfessionalFacts("a", email="e"), None),
    ],
)
def test_a_professional_is_known_by_the_strongest_register(facts, register):
    key = professional_identity(facts)
    assert (key[2] if key else None) == register


def test_one_number_in_two_registers_is_two_identities():
    assert professional_identity(ProfessionalFacts("a", siret="1")) != professional_identity(
        ProfessionalFacts("a", finess="1")
    )
