"""The review list as a spreadsheet: values only in a registered clear file, decisions all or none."""

from __future__ import annotations

import asyncio
import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from people_desk import NOW, Insured, both

from notifier.errors import OperatorError
from notifier.people.review_lists import COLUMNS, bring, look, parse, read_list, remove_lists, write_list
from notifier.people.reviews import decide, open_reviews

pytestmark = pytest.mark.thorough

ALICE = Insured(contract="K1", forename="Alice")
BOB = Insured(contract="K2", nir="1790512345678", birth="1979-05-12", forename="=Bob")
ZOE = Insured(contract="K3", nir="2900512345678", birth="1990-05-12", forename="Zoé")
MAIL = "alice@exemple.example"


def listed(desk, check):
    """A near-miss, an ambiguous match, and a person without a member; the list is written; then ``check``."""

    async def work():
        async with desk() as d:
            await d.export(replace(ALICE, birth="1984-05-21"), BOB, ZOE)
            await d.directory(
                both(ALICE, email=MAIL),
                both(BOB, forename="", member_number="M2", email="b@exemple.example"),
                both(BOB, forename="", member_number="M3", contract="K2"),
            )
            await d.plan()
            out = Path(d.database.path).parent / "liste.csv"
            many = await write_list(d.database, d.vault, out.parent, out, by="dpo", now=NOW)
            return await check(d, out, many)

    return asyncio.run(work())


def rows_of(out: Path) -> list[dict[str, str]]:
    with out.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def save(out: Path, rows: list[dict[str, str]], encoding: str = "utf-8-sig", separator: str = ";") -> Path:
    """As a spreadsheet saves it."""
    with out.open("w", encoding=encoding, newline="") as file:
        lines = csv.DictWriter(file, COLUMNS, delimiter=separator)
        lines.writeheader()
        lines.writerows(rows)
    return out


async def facts(d, kind: str) -> list[dict]:
    return [json.loads(body)["facts"] for (body,) in await d.rows(f"SELECT body FROM entries WHERE kind = '{kind}'")]


def test_the_list_has_a_line_per_case_and_candidate_and_is_registered(desk):
    async def check(d, out, many):
        assert many == 2
        assert out.stat().st_mode & 0o777 == 0o600
        rows = rows_of(out)
        assert [(row["doubt"], row["candidate"]) for row in rows] == [
            ("ambiguous", "2"), ("ambiguous", "3"), ("near_miss", "1")
        ]  # fmt: skip
        assert rows[2]["member_email"] == MAIL
        assert (rows[2]["near"], rows[2]["agree"]) == ("birth date", "NIR, name, forename")
        assert rows[0]["export_forename"] == "'=Bob"  # a spreadsheet must not run it
        assert {row["decision"] + row["reason"] for row in rows} == {""}
        assert await d.rows("SELECT path, kind, written_by, removed_ms FROM clear_files") == [
            ("liste.csv", "reviews", "dpo", None)
        ]
        assert await facts(d, "clear_file_written") == [{"kind": "reviews", "source": "", "rows": 2, "by": "dpo"}]
        with pytest.raises(OperatorError, match="there already"):
            await write_list(d.database, d.vault, out.parent, out, by="dpo", now=NOW)
        assert await remove_lists(d.database, out.parent, by="dpo", now=NOW) == 1
        assert not out.exists()

    listed(desk, check)


@pytest.mark.parametrize(
    ("encoding", "separator"), [("utf-8-sig", ";"), ("cp1252", ";"), ("utf-8", "\t"), ("utf-8", ",")]
)
def test_decisions_come_back_once(desk, encoding, separator):
    async def check(d, out, many):
        rows = rows_of(out)
        rows[2] |= {"decision": "oui", "reason": "même adresse, né le 21"}
        rows[1] |= {"decision": "NONE"}
        save(out, rows, encoding, separator)
        found = await look(d.database, d.vault, read_list(out))
        assert (found.decisions, found.undecided) == ({"contact": 1, "none": 1}, 0)
        assert await facts(d, "review_decided") == []
        await bring(d.database, d.vault, read_list(out), by="dpo", now=NOW)
        again = await bring(d.database, d.vault, read_list(out), by="dpo", now=NOW)
        assert (again.count, again.already) == (0, 2)
        assert await facts(d, "review_decided") == [
            {"reason": "ambiguous", "decision": "none", "by": "dpo"},
            {"reason": "near_miss", "decision": "contact:1", "by": "dpo", "why": "même adresse, né le 21"},
        ]
        await d.plan()
        return {notice["name"]: notice["email"] for notice in await d.notices()}

    assert listed(desk, check)["Alice"] == MAIL


def test_a_name_in_a_reason_does_not_reach_the_journal(desk):
    async def check(d, out, many):
        rows = rows_of(out)
        rows[2] |= {"decision": "none", "reason": "pas la même Alice, alice@exemple.example"}
        await bring(d.database, d.vault, read_list(save(out, rows)), by="dpo", now=NOW)
        [told] = await facts(d, "review_decided")
        assert "Alice" not in told["why"]
        assert "@" not in told["why"]

    listed(desk, check)


WRONG = {
    "a decision that the case does not allow": ({"decision": "own"}, "line 4: case 2 can be decided"),
    "another case's candidate": ({"decision": "contact:2"}, "line 4: case 2 can be decided"),
    "no such case": ({"case": "99", "decision": "none"}, "line 4: there is no case 99"),
    "no number": ({"case": "Alice", "decision": "none"}, "line 4: the case is no number"),
    "other evidence": ({"evidence": "00" * 16, "decision": "none"}, "line 4: case 2 shows something else"),
    "a long reason": ({"decision": "none", "reason": "x" * 201}, "line 4: the reason"),
}


@pytest.mark.parametrize(("change", "told"), WRONG.values(), ids=WRONG)
def test_one_wrong_line_and_nothing_is_decided(desk, change, told):
    async def check(d, out, many):
        rows = rows_of(out)
        rows[2] |= change
        rows[0] |= {"decision": "contact:2"}
        before = await d.dump()
        answers = read_list(save(out, rows))
        for apply in (look(d.database, d.vault, answers), bring(d.database, d.vault, answers, by="dpo", now=NOW)):
            with pytest.raises(OperatorError, match=told) as caught:
                await apply
            assert "Alice" not in str(caught.value)
        assert await d.dump() == before
        assert await facts(d, "review_decided") == []

    listed(desk, check)


def test_two_answers_to_one_case_must_be_alike(desk):
    async def check(d, out, many):
        rows = rows_of(out)
        rows[0] |= {"decision": "yes"}
        rows[1] |= {"decision": "yes"}
        with pytest.raises(OperatorError, match="case 1 is answered twice"):
            await look(d.database, d.vault, read_list(save(out, rows)))

    listed(desk, check)


def test_a_decision_is_never_applied_to_other_candidates_than_those_shown(desk):
    async def check(d, out, many):
        rows = rows_of(out)
        rows[0] |= {"decision": "contact:2"}
        await d.directory(both(BOB, forename="", member_number="M4", email="c@exemple.example"), as_of="2024-02-01")
        await d.plan()
        with pytest.raises(OperatorError, match="line 2: case 1 shows something else"):
            await bring(d.database, d.vault, read_list(save(out, rows)), by="dpo", now=NOW)

    listed(desk, check)


@pytest.mark.parametrize("text", ["", "a;b\n1;2\n", "case;candidate\n1;2\n"])
def test_what_is_no_list_is_refused(text):
    with pytest.raises(OperatorError, match="is no list"):
        parse(text, "liste.csv")


# -- revised until sending --------------------------------------------------------------------------------------------


def test_a_decision_may_be_revised_until_the_notice_is_begun(desk):
    async def check(d, out, many):
        await d.decide(2, "contact:1")
        await d.plan()
        await d.approve()
        with pytest.raises(OperatorError, match="decided already"):
            await d.decide(2, "none")
        made = await decide(d.database, d.vault, 2, "none", by="dpo", now=NOW, revise=True)
        assert made.effect == "revised"
        assert await facts(d, "review_revised") == [
            {"reason": "near_miss", "decision": "none", "was": "contact:1", "by": "dpo"}
        ]
        assert [one["reason"] for one in await facts(d, "notification_replanned")] == ["review_revised"]
        await d.plan()
        notices = {notice["name"]: notice for notice in await d.notices()}
        assert (notices["Alice"]["reason"], notices["Alice"]["batch_id"]) == ("unmatched", None)

    listed(desk, check)


def test_who_is_being_told_keeps_the_decision(desk):
    async def check(d, out, many):
        await d.decide(2, "contact:1")
        await d.plan()
        await d.approve()
        await d.run("UPDATE deliveries SET state = 'sending', attempt = 1")
        before = await d.dump()
        with pytest.raises(OperatorError, match="being told already"):
            await decide(d.database, d.vault, 2, "none", by="dpo", now=NOW, revise=True)
        assert await d.dump() == before
        assert await facts(d, "review_revised") == []

    listed(desk, check)


def test_a_list_of_decided_cases_revises(desk):
    async def check(d, out, many):
        await d.decide(2, "contact:1")
        again = out.with_name("revue.csv")
        assert await write_list(d.database, d.vault, out.parent, again, decided=True, by="dpo", now=NOW) == 1
        [row] = rows_of(again)
        assert row["decided"] == "contact:1"
        with pytest.raises(OperatorError, match="decided meanwhile"):
            await look(d.database, d.vault, read_list(save(again, [row | {"decision": "none"}])))
        answers = read_list(save(again, [row | {"decision": "none", "revise": "x"}]))
        made = await bring(d.database, d.vault, answers, by="dpo", now=NOW)
        assert (made.count, made.revised) == (1, 1)

    listed(desk, check)


def test_cases_are_chosen_by_reason_and_number(desk):
    async def check(d, out, many):
        every = await open_reviews(d.database, d.vault)
        assert [case.reason for case in every] == ["ambiguous", "near_miss"]
        [one] = await open_reviews(d.database, d.vault, reason="ambiguous")
        assert one.evidence[0].agrees == ("NIR", "rank", "birth date", "name")
        assert [case.case for case in await open_reviews(d.database, d.vault, limit=1)] == [1]
        told = json.dumps([case.as_json() for case in every])
        for value in ("Alice", "Exemple", "1984", "exemple.example", "Bob"):
            assert value not in told

    listed(desk, check)
