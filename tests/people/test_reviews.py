"""The review list: evidence at the terminal, a decision with its author, and nothing personal in the journal."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from people_desk import ADDRESS, NOW, Insured, both

from notifier.errors import OperatorError
from notifier.people.reviews import decide, open_reviews

ALICE = Insured(contract="K1")


def under_review(desk, check):
    async def work():
        async with desk() as d:
            await d.export(ALICE)
            await d.directory(
                both(ALICE, forename="", member_number="M1", email="un@exemple.example"),
                both(ALICE, forename="", member_number="M2", postal=ADDRESS),
            )
            await d.plan()
            [case] = await open_reviews(d.database, d.vault)
            return await check(d, case)

    return asyncio.run(work())


def test_a_case_shows_both_sides_and_what_can_be_answered(desk):
    async def check(d, case):
        return case

    case = under_review(desk, check)
    assert (case.reason, case.sender, case.person.forename) == ("ambiguous", "clairval", "Alice")
    assert [contact.email for _, contact in case.candidates] == ["un@exemple.example", ""]
    assert case.decisions == ("contact:1", "contact:2", "none")
    told = "\n".join(case.lines())
    assert "un@exemple.example" in told
    assert "00000 Clairval" in told
    assert json.dumps(case.as_json())


@pytest.mark.parametrize("decision", ["contact:3", "contact:", "own", "", "NONE"])
def test_a_decision_that_the_case_does_not_allow_changes_nothing(desk, decision):
    async def check(d, case):
        before = await d.dump()
        with pytest.raises(OperatorError, match="can be decided"):
            await d.decide(case.case, decision)
        assert await d.dump() == before
        assert await d.rows("SELECT id FROM entries WHERE kind = 'review_decided'") == []

    under_review(desk, check)


def test_a_decision_is_journaled_once_and_is_final(desk):
    async def check(d, case):
        await d.decide(case.case, "contact:2")
        await d.decide(case.case, "contact:2")
        with pytest.raises(OperatorError, match="decided already"):
            await d.decide(case.case, "none")
        with pytest.raises(OperatorError, match="no case 99"):
            await d.decide(99, "none")
        assert await open_reviews(d.database, d.vault) == []
        [[identity]] = await d.rows("SELECT identity FROM persons")
        [[subject, body]] = await d.rows("SELECT subject, body FROM entries WHERE kind = 'review_decided'")
        assert subject == d.vault.pseudonym("clairval", identity)
        assert json.loads(body)["facts"] == {"reason": "ambiguous", "decision": "contact:2", "by": "dpo"}

    under_review(desk, check)


def test_I8_a_typed_reason_keeps_nothing_of_the_person_nor_of_the_candidates(desk):
    """Of the members too, with whom somebody compared: their names at birth, their streets, without accents."""

    async def work():
        async with desk() as d:
            await d.export(ALICE)
            await d.directory(
                both(ALICE, forename="", member_number="M1", email="un@exemple.example", birth_name="Le Dû"),
                both(ALICE, forename="", member_number="M2", postal=ADDRESS),
            )
            await d.plan()
            [case] = await open_reviews(d.database, d.vault)
            street = ADDRESS.lines[0]
            why = f"ALÎCE, née le Du, c'est celle de {street.upper()}, vue au dossier"
            await decide(d.database, d.vault, case.case, "contact:2", by="dpo", now=NOW, why=why)
            [[body]] = await d.rows("SELECT body FROM entries WHERE kind = 'review_decided'")
            return json.loads(body)["facts"]["why"], street

    kept, street = asyncio.run(work())
    assert not [value for value in ("alîce", "du,", street.lower()) if value in kept.lower()]
    assert kept.endswith("vue au dossier")


def test_the_decision_follows_the_member_to_a_newer_row(desk):
    async def check(d, case):
        await d.decide(case.case, "contact:2")
        await d.directory(
            both(ALICE, forename="", member_number="M2", email="deux@exemple.example"), as_of="2024-02-08"
        )
        await d.plan()
        return await d.notices()

    [notice] = under_review(desk, check)
    assert (notice["route"], notice["email"]) == ("email", "deux@exemple.example")


def test_I2_a_contact_of_another_sender_is_not_given_even_by_decision(desk):
    async def check(d, case):
        await d.directory(replace(both(ALICE, email="x@autre.example"), sender="autre"))
        await d.run("UPDATE reviews SET candidates = '1,3'")  # somebody tampered with the row
        await d.decide(case.case, "contact:3")
        await d.plan()
        return await d.notices()

    [notice] = under_review(desk, check)
    assert (notice["route"], notice["reason"], notice["email"]) == ("none", "unmatched", "")
