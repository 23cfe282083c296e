"""The ladder: who is matched to whom, by what, and who is not. I2: nobody is guessed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from people_desk import ADDRESS, Insured, both

ALICE = Insured(contract="K1")
BOB = replace(ALICE, forename="Bob")


def match(desk, rows, members, later=()):
    """Forename of each person → (rung, member number or open review) after a plan."""

    async def work():
        async with desk() as d:
            await d.export(*rows)
            await d.directory(*members)
            for as_of, more in later:
                await d.directory(*more, as_of=as_of)
            await d.plan()
            return {notice["name"]: (notice["rung"], notice["review"], notice["email"]) for notice in await d.notices()}

    return asyncio.run(work())


def alice(**changes):
    return both(ALICE, **{"email": "alice@exemple.example", **changes})


def bob(**changes):
    return both(BOB, **{"email": "bob@exemple.example", "member_number": "M2", **changes})


MATCHED = "alice@exemple.example"


def test_i2_rows_of_a_directory_that_is_still_arriving_match_nobody(desk):
    async def work():
        async with desk() as d:
            await d.export(ALICE)
            await d.directory(alice())
            # What a second process sees while the file is being read, and what a crash leaves of it.
            await d.run("UPDATE imports SET state = 'staging', completed_ms = NULL WHERE kind = 'directory'")
            await d.run("UPDATE contacts SET current = FALSE")
            await d.plan()
            return [(notice["rung"], notice["email"]) for notice in await d.notices()]

    assert asyncio.run(work()) == [("", "")]


def test_i2_one_member_without_forename_is_not_two_persons(desk):
    """The mirror of two candidates for one person: which of the twins is it?"""
    held = ("", "ambiguous", "")
    assert match(desk, [ALICE, BOB], [alice(forename="")]) == {"Alice": held, "Bob": held}


def test_i2_somebody_decides_which_of_the_two_it_is(desk):
    async def work():
        async with desk() as d:
            await d.export(ALICE, BOB)
            await d.directory(alice(forename=""))
            await d.plan()
            before = await d.dump()
            await d.plan()
            assert await d.dump() == before, "planning again changes nothing"
            first, second = await d.open_cases()
            assert first.candidates == second.candidates
            await d.decide(first.id, f"contact:{first.candidates}")
            await d.plan()
            assert [case.id for case in await d.open_cases()] == [second.id], "the other is still nobody's match"
            await d.decide(second.id, "none")
            await d.plan()
            return {(notice["rung"], notice["email"]) for notice in await d.notices()}

    assert asyncio.run(work()) == {("review", MATCHED), ("review", "")}


@pytest.mark.parametrize(
    ("row", "member", "rung"),
    [
        (replace(ALICE, nir="", contract="", member_number="M1"), alice(nir=""), "member"),
        (ALICE, alice(), "nir_rank"),
        (ALICE, alice(forename=""), "nir_rank"),
        (replace(ALICE, rank=None), alice(), "nir_forename"),
        (replace(ALICE, rank=2), alice(), "nir_forename"),
        (replace(ALICE, nir=""), alice(), "contract"),
        (replace(ALICE, nir=""), alice(forename=""), "contract"),
        (replace(ALICE, nir="", name="Éxemplé"), alice(), "contract"),
    ],
)
def test_each_rung_matches(desk, row, member, rung):
    assert match(desk, [row], [member]) == {"Alice": (rung, "", MATCHED)}


@pytest.mark.parametrize(
    ("member", "review"),
    [
        (alice(forename="Bob"), "near_miss"),  # the only one who holds the keys, but somebody else
        (alice(nir="", contract="K2"), ""),  # a homonym born the same day
        (alice(birth="1954-05-12"), "near_miss"),  # her mother, same name, same contract, same number
        (alice(birth="1984-00-00"), "near_miss"),
        (alice(nir="2840512345678", contract="K2"), ""),
        (alice(sender="autre"), ""),
    ],
)
def test_I2_nobody_else_is_matched(desk, member, review):
    assert match(desk, [ALICE], [member]) == {"Alice": ("", review, "")}


def test_twins_with_ranks_right_find_each_their_own(desk):
    found = match(desk, [ALICE, replace(BOB, rank=2)], [alice(), bob(rank=2)])
    assert found == {"Alice": ("nir_rank", "", MATCHED), "Bob": ("nir_rank", "", "bob@exemple.example")}


def test_twins_with_rank_1_twice_are_told_apart_by_their_forenames(desk):
    found = match(desk, [ALICE, BOB], [alice(), bob()])
    assert found == {"Alice": ("nir_rank", "", MATCHED), "Bob": ("nir_rank", "", "bob@exemple.example")}


def test_twins_without_ranks_are_told_apart_by_their_forenames(desk):
    found = match(desk, [replace(ALICE, rank=None), replace(BOB, rank=None)], [alice(), bob()])
    assert found == {"Alice": ("nir_forename", "", MATCHED), "Bob": ("nir_forename", "", "bob@exemple.example")}


def test_twins_whose_ranks_are_swapped_in_the_export_still_find_each_their_own(desk):
    found = match(desk, [replace(ALICE, rank=2), replace(BOB, rank=1)], [alice(rank=1), bob(rank=2)])
    assert found == {"Alice": ("nir_forename", "", MATCHED), "Bob": ("nir_forename", "", "bob@exemple.example")}


def test_a_twin_who_is_in_no_directory_is_not_her_brother(desk):
    assert match(desk, [ALICE], [bob()]) == {"Alice": ("", "near_miss", "")}
    # not on the contract's rung either


def test_a_twin_on_the_contract_alone_is_not_her_brother(desk):
    assert match(desk, [replace(ALICE, nir="")], [bob()]) == {"Alice": ("", "near_miss", "")}


def test_I2_two_nameless_members_are_ambiguous(desk):
    found = match(desk, [ALICE], [alice(forename=""), bob(forename="")])
    assert found == {"Alice": ("", "ambiguous", "")}


def test_I2_a_nameless_member_beside_a_contradicting_one_is_ambiguous_not_matched_by_elimination(desk):
    found = match(desk, [ALICE], [alice(forename=""), bob()])
    assert found == {"Alice": ("", "ambiguous", "")}


def test_the_equal_forename_wins_over_a_nameless_member(desk):
    assert match(desk, [ALICE], [alice(), bob(forename="")]) == {"Alice": ("nir_rank", "", MATCHED)}


def test_I2_a_member_listed_under_two_numbers_is_ambiguous(desk):
    found = match(desk, [ALICE], [alice(), alice(member_number="M9", contract="K9")])
    assert found == {"Alice": ("", "ambiguous", "")}


def test_a_doubt_on_a_strong_rung_is_not_overruled_by_a_weaker_one(desk):
    # both hold NIR and rank; only one the contract
    found = match(
        desk, [ALICE], [alice(forename="", contract="K1"), alice(forename="", contract="K2", member_number="M3")]
    )
    assert found == {"Alice": ("", "ambiguous", "")}


def test_a_shared_nir_is_told_apart_by_birth_date(desk):
    child = replace(ALICE, forename="Zoé", birth="2001-07-01")
    found = match(desk, [ALICE, child], [alice(), both(child, email="zoe@exemple.example", member_number="M2")])
    assert found == {"Alice": ("nir_rank", "", MATCHED), "Zoé": ("nir_rank", "", "zoe@exemple.example")}


def test_the_newest_directory_counts_whatever_the_order_of_loading(desk):
    old = alice(email="ancienne@exemple.example")
    assert match(desk, [ALICE], [alice()], [("2022-01-31", [old])]) == {"Alice": ("nir_rank", "", MATCHED)}


def test_an_older_row_still_leads_to_the_members_current_one(desk):
    # the contract changed since: the export's old contract is found in the old directory, the address in the new one
    row = replace(ALICE, nir="", contract="K0")
    old = alice(contract="K0", email="ancienne@exemple.example")
    assert match(desk, [row], [alice()], [("2022-01-31", [old])]) == {"Alice": ("contract", "", MATCHED)}


def test_a_past_member_is_found_in_an_old_directory(desk):
    found = match(desk, [ALICE], [bob()], [("2021-01-31", [alice(status="ended")])])
    assert found == {"Alice": ("nir_rank", "", MATCHED)}


def test_I2_two_mutuelles_with_the_same_member_stay_apart(desk):
    rows = [ALICE, replace(ALICE, sender="autre")]

    async def work():
        async with desk() as d:
            await d.export(*rows)
            await d.directory(alice(), alice(sender="autre", email="alice@autre.example"))
            await d.plan()
            return await d.notices()

    notices = asyncio.run(work())
    assert sorted((notice["sender"], notice["reader_sender"], notice["email"]) for notice in notices) == [
        ("autre", "autre", "alice@autre.example"),
        ("clairval", "clairval", MATCHED),
    ]


def test_a_nameless_row_joined_to_alice_never_leads_to_her_twin(desk):
    nameless = replace(ALICE, forename="")
    found = match(desk, [ALICE, replace(BOB, rank=None), nameless], [bob(rank=1)])
    assert found == {"Alice": ("", "", ""), "Bob": ("nir_forename", "", "bob@exemple.example")}


# -- reviews ----------------------------------------------------------------------------------------------------------


def two_members():
    return alice(forename="", postal=ADDRESS), bob(forename="")


def test_a_decision_is_applied_by_every_later_plan(desk):
    async def work():
        async with desk() as d:
            await d.export(ALICE)
            await d.directory(*two_members())
            made = await d.plan()
            [case] = await d.open_cases()
            chosen = case.candidates.split(",")[0]
            await d.decide(case.id, f"contact:{chosen}")
            await d.decide(case.id, f"contact:{chosen}")
            first, second = await d.plan(), await d.plan()
            entries = await d.rows("SELECT body FROM entries WHERE kind = 'review_decided'")
            return made, first, second, await d.notices(), entries

    made, first, second, [notice], entries = asyncio.run(work())
    assert (made.review, first.review, second.review) == (1, 0, 0)
    assert (notice["rung"], notice["route"], notice["email"]) == ("review", "email", MATCHED)
    assert len(entries) == 1


def test_the_decision_none_leaves_the_person_unmatched(desk):
    async def work():
        async with desk() as d:
            await d.export(ALICE)
            await d.directory(*two_members())
            await d.plan()
            [case] = await d.open_cases()
            await d.decide(case.id, "none")
            await d.plan()
            return await d.notices(), await d.open_cases()

    [notice], cases = asyncio.run(work())
    assert (notice["reason"], notice["review"]) == ("unmatched", "")
    assert cases == []


def test_a_doubt_that_a_newer_directory_settles_is_no_longer_asked(desk):
    async def work():
        async with desk() as d:
            await d.export(ALICE)
            await d.directory(*two_members())
            before = (await d.plan()).review
            await d.directory(alice(member_number="M7"), as_of="2024-02-05")
            return before, (await d.plan()).review, await d.open_cases(), await d.notices()

    before, after, cases, [notice] = asyncio.run(work())
    assert (before, after, cases) == (1, 0, [])
    assert notice["email"] == MATCHED


def test_a_nameless_person_shows_whom_it_may_be_and_waits(desk):
    nameless = replace(ALICE, forename="")

    async def work():
        async with desk() as d:
            await d.export(nameless)
            await d.directory(alice())
            held = await d.plan()
            [case] = await d.open_cases()
            await d.decide(case.id, "own")
            return held, case, await d.plan(), await d.notices()

    held, case, made, [notice] = asyncio.run(work())
    assert (held.review, case.reason, case.candidates) == (1, "missing_forename", "1")
    assert made.review == 0
    assert (notice["rung"], notice["email"]) == ("nir_rank", MATCHED)
