"""Near-misses: all but one of NIR, birth date, name and contract agree; offered for review, never applied (I2)."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace

import pytest
from people_desk import NIR, Insured, Member, both

from notifier.model import Contact
from notifier.people.identity import normal_name
from notifier.people.likeness import Closeness, birth_closeness, compare, is_near_miss, name_closeness

pytestmark = pytest.mark.thorough

MAIL = "alice@exemple.example"
ALICE = Insured(contract="K1")


@pytest.mark.parametrize(
    ("one", "other", "closeness"),
    [
        ("LEFEVRE", "LEFEVRE", Closeness.EQUAL),
        ("LEFEVRE", "LEFEBVRE", Closeness.NEAR),  # a letter added
        ("MARTIN", "MATRIN", Closeness.NEAR),  # two swapped
        ("MARTIN", "MATTIEU", Closeness.DIFFERS),
        ("LEA", "LEO", Closeness.NEAR),
        ("LI", "LO", Closeness.DIFFERS),  # in two letters every name is near every other
        ("DE LA TOUR", "DELATOUR", Closeness.NEAR),
        ("JEAN", "JEAN PIERRE", Closeness.NEAR),
        ("DUPONT MARTIN", "MARTIN", Closeness.NEAR),
        ("VAN DER BERGHE DE MONTMORENCY", "VAN DER BERGHE DE MONTMOR", Closeness.NEAR),  # cut off at 25
        ("MARTIN", "MARTINEAU", Closeness.DIFFERS),
        ("CHRISTOPHE", "CHRISTPOHEE", Closeness.NEAR),  # two slips in a long name
        ("", "MARTIN", Closeness.SILENT),
    ],
)
def test_names_that_one_hand_may_have_written(one: str, other: str, closeness: Closeness) -> None:
    assert name_closeness(one, other) is closeness
    assert name_closeness(other, one) is closeness


@pytest.mark.parametrize(
    ("one", "other", "closeness"),
    [
        ("1984-05-12", "1984-05-12", Closeness.EQUAL),
        ("1984-05-12", "1984-05-13", Closeness.NEAR),
        ("1984-05-12", "1984-12-05", Closeness.NEAR),
        ("1984-05-12", "1948-05-12", Closeness.NEAR),
        ("2019-12-19", "2020-12-19", Closeness.NEAR),
        ("1984-00-00", "1984-05-12", Closeness.NEAR),
        ("1984-05-12", "1956-11-30", Closeness.DIFFERS),
        ("", "1956-11-30", Closeness.SILENT),
    ],
)
def test_births_that_one_hand_may_have_written(one: str, other: str, closeness: Closeness) -> None:
    assert birth_closeness(one, other) is closeness
    assert birth_closeness(other, one) is closeness


def test_the_name_at_birth_and_names_in_each_others_place_count() -> None:
    member = Contact("Durand", "Alice", birth_date="1984-05-12", birth_name="Exemple")
    assert compare(Contact("EXEMPLE", "Alice", birth_date="1984-05-12"), member).name is Closeness.EQUAL
    swapped = compare(Contact("Alice", "Durand", birth_date="1984-05-12"), member)
    assert (swapped.is_swapped, swapped.is_same_name) == (True, True)


def test_a_twin_and_a_father_are_explained_by_their_own_persons() -> None:
    twin = compare(
        Contact("Exemple", "Bob", birth_date="2019-01-02"), Contact("Exemple", "Zoé", birth_date="2019-01-02")
    )
    father = compare(
        Contact("Exemple", "Bob", birth_date="2019-01-02"), Contact("Exemple", "Bob", birth_date="1980-07-30")
    )
    for likeness in (twin, father):
        assert is_near_miss(likeness, is_claimed=False)
        assert not is_near_miss(likeness, is_claimed=True)
    brother = compare(
        Contact("Exemple", "Bob", birth_date="2019-01-02"), Contact("Exemple", "Zoé", birth_date="2015-06-07")
    )
    assert not is_near_miss(brother, is_claimed=False)


# -- in a plan --------------------------------------------------------------------------------------------------------


def planned(desk, rows, *directories, then=None):
    """Plan; returns the notices, or what ``then`` gives."""

    async def work():
        async with desk() as d:
            await d.export(*rows)
            for number, members in enumerate(directories):
                await d.directory(*members, as_of=f"2024-01-{number + 1:02}")
            await d.plan()
            return await (then(d) if then else d.notices())

    return asyncio.run(work())


NEAR = {
    "birth": replace(ALICE, birth="1984-05-21", contract=""),
    "birth, day and month": replace(ALICE, birth="1984-12-05", contract="K1"),
    "forename": replace(ALICE, forename="Alcie", contract=""),
    "forename and no NIR": replace(ALICE, nir="", forename="Alcie", name="Exmple"),
    "name and no NIR": replace(ALICE, nir="", name="Exemples"),
}


@pytest.mark.parametrize("row", NEAR.values(), ids=NEAR)
def test_I1_I2_a_near_miss_is_held_and_not_applied(desk, row) -> None:
    [notice] = planned(desk, [row], [both(ALICE, email=MAIL)])
    assert (notice["route"], notice["reason"], notice["review"]) == ("none", "review", "near_miss")
    assert (notice["delivery_id"], notice["rung"]) == (None, "")


FAR = {
    "another sender": (ALICE, replace(both(ALICE, email=MAIL), sender="autre")),
    "name and birth alone": (replace(ALICE, nir="", contract="K2"), both(ALICE, nir="2840512345678", email=MAIL)),
    "a brother": (replace(ALICE, forename="Bob", birth="1990-01-01"), both(ALICE, email=MAIL)),
}


@pytest.mark.parametrize(("row", "member"), FAR.values(), ids=FAR)
def test_whoever_is_not_near_is_unmatched(desk, row, member) -> None:
    [notice] = planned(desk, [row], [member])
    assert (notice["reason"], notice["review"]) == ("unmatched", "")


def test_a_decision_gives_the_contact_and_stays(desk) -> None:
    async def then(d):
        [case] = await d.open_cases()
        assert (case.reason, case.candidates) == ("near_miss", "1")
        await d.decide(case.id, "contact:1")
        await d.plan()
        await d.plan()
        return await d.notices()

    [notice] = planned(desk, [NEAR["birth"]], [both(ALICE, email=MAIL)], then=then)
    assert (notice["email"], notice["rung"]) == (MAIL, "review")


def test_none_leaves_the_person_unmatched_until_another_member_is_near(desk) -> None:
    async def then(d):
        [case] = await d.open_cases()
        await d.decide(case.id, "none")
        await d.plan()
        [notice] = await d.notices()
        assert (notice["reason"], notice["review"]) == ("unmatched", "")
        # The same member in a newer directory is no news; another one is.
        await d.directory(both(ALICE, email=MAIL), as_of="2024-02-01")
        await d.plan()
        assert await d.open_cases() == []
        await d.directory(both(ALICE, member_number="M2", birth="1984-05-31", email=MAIL), as_of="2024-02-02")
        await d.plan()
        [case] = await d.open_cases()
        assert case.candidates == "2,3"
        [[body]] = await d.rows("SELECT body FROM entries WHERE kind = 'review_reopened'")
        assert json.loads(body)["facts"]["reason"] == "near_miss"
        # The ladder is not barred: who is found at last is matched.
        await d.decide(case.id, "none")
        await d.directory(both(NEAR["birth"], member_number="M3", email="b@exemple.example"), as_of="2024-02-03")
        await d.plan()
        return await d.notices()

    [notice] = planned(desk, [NEAR["birth"]], [both(ALICE, email=MAIL)], then=then)
    assert (notice["email"], notice["rung"]) == ("b@exemple.example", "nir_rank")


def test_a_doubt_that_a_newer_file_settles_goes(desk) -> None:
    async def then(d):
        await d.directory(both(NEAR["birth"], member_number="M2", email=MAIL), as_of="2024-02-01")
        await d.plan()
        assert await d.open_cases() == []
        return await d.notices()

    [notice] = planned(desk, [NEAR["birth"]], [both(ALICE)], then=then)
    assert notice["rung"] == "nir_rank"


def test_planning_again_gives_the_same_cases(desk) -> None:
    async def then(d):
        before = await d.open_cases()
        await d.plan()
        assert await d.open_cases() == before != []
        return before

    planned(desk, list(NEAR.values()), [both(ALICE, email=MAIL)], then=then)


# -- the rung of contract, birth date and name, under the name at birth ------------------------------------------------

MARRIED = Member(nir="", name="Durand", birth_name="Exemple", rank=None, email=MAIL)
WRITTEN = Insured(nir="", rank=None, contract="K1")


@pytest.mark.parametrize("name", ["Exemple", "Durand", "DURAND"])
def test_an_export_may_write_either_name_of_a_member(desk, name) -> None:
    [notice] = planned(desk, [replace(WRITTEN, name=name)], [MARRIED])
    assert (notice["email"], notice["rung"]) == (MAIL, "contract")


def test_I2_two_members_under_the_names_are_a_doubt_all_the_same(desk) -> None:
    rival = replace(MARRIED, name="Exemple", birth_name="", member_number="M2", forename="")
    [notice] = planned(desk, [replace(WRITTEN, forename="Alice")], [replace(MARRIED, forename=""), rival])
    assert (notice["review"], notice["rung"]) == ("ambiguous", "")


def test_I2_the_name_at_birth_does_not_outdo_a_forename(desk) -> None:
    [notice] = planned(desk, [replace(WRITTEN, forename="Bob")], [MARRIED])
    assert notice["rung"] == ""


# -- never a wrong match ----------------------------------------------------------------------------------------------


def _drawn(draw: random.Random, sender: str) -> Insured:
    return Insured(
        nir=draw.choice([NIR, "2840512345678", ""]),
        birth=draw.choice(["1984-05-12", "1984-05-21", "2015-06-07"]),
        forename=draw.choice(["Alice", "Alcie", "Bob", "Zoé", "Zoe Anne"]),
        name=draw.choice(["Exemple", "Exmple", "Durand"]),
        rank=draw.choice([None, 1, 2]),
        contract=draw.choice(["K1", "K2"]),
        sender=sender,
    )


@pytest.mark.parametrize("seed", range(3))
def test_I2_no_match_contradicts_and_no_near_miss_is_applied(desk, seed) -> None:
    """A hundred families that mix up two NIRs, two contracts, typing errors and twins, each with a sender of its own.
    What a match must not be is said here over the rows themselves, not over keys."""
    draw = random.Random(seed)
    senders = [f"s{number}" for number in range(100)]
    rows = [_drawn(draw, sender) for sender in senders for _ in range(draw.randrange(1, 4))]
    members = [
        both(row, member_number=f"M{number}", contract=row.contract, email=f"m{number}@{row.sender}.example",
             birth_name=draw.choice(["", "Exemple"]))
        for number, row in enumerate(_drawn(draw, sender) for sender in senders for _ in range(draw.randrange(1, 4)))
    ]  # fmt: skip

    async def then(d):
        matched = await d.rows(
            "SELECT p.id, r.line, c.line, p.rung FROM persons p JOIN records r ON r.person_id = p.id "
            "JOIN contacts c ON c.id = p.contact_id"
        )
        offered = await d.rows(
            "SELECT p.id, r.line, c.line, p.contact_id FROM reviews v JOIN persons p ON p.id = v.person_id "
            "JOIN records r ON r.person_id = p.id JOIN contacts c "
            "ON ',' || v.candidates || ',' LIKE '%,' || c.id || ',%' WHERE v.reason = 'near_miss'"
        )
        return matched, offered, await d.notices()

    matched, offered, notices = planned(desk, rows, members, then=then)
    assert matched and offered
    by_person: dict[int, list[bool]] = {}
    for person, line, member_line, rung in matched:
        row, member = rows[line - 2], members[member_line - 2]
        assert row.sender == member.sender
        assert normal_name(row.forename) == normal_name(member.forename) or rung == "nir_rank"
        same_nir = row.nir == member.nir != "" and row.birth == member.birth
        same_contract = (row.contract, row.birth) == (member.contract, member.birth) and normal_name(row.name) in (
            normal_name(member.name), normal_name(member.birth_name),
        )  # fmt: skip
        by_person.setdefault(person, []).append(same_nir or same_contract)
    assert all(any(each) for each in by_person.values())  # at least one of a person's rows holds the key
    for _, line, member_line, contact in offered:
        row, member = rows[line - 2], members[member_line - 2]
        assert contact is None
        assert row.sender == member.sender
    held = [notice for notice in notices if notice["review"] == "near_miss"]
    assert held
    assert all(notice["delivery_id"] is None for notice in held)
