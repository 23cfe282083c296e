"""Persons are taken out. I1: every account balances before and after; I7: nobody else's approval falls."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from people_desk import ADDRESS, NOW, Insured, Practice, both

from notifier.errors import OperatorError
from notifier.model import Term, to_ms
from notifier.people.exclusions import Ground, read_references, reinstate, withdraw
from notifier.storage.accounting import account
from notifier.storage.coverage import by_group, of_another_sender

HOLDER = Insured(forename="Alice", birth="1984-05-12", contract="K1")
ZOE = replace(HOLDER, forename="Zoé", birth="2012-06-01")
TOM = replace(HOLDER, forename="Tom", birth="2015-06-01")
ALICE = both(HOLDER, email="alice@exemple.example")
CHILDREN = [both(row, member_number=f"M{number}", link="E", postal=ADDRESS) for number, row in enumerate((ZOE, TOM), 5)]
DECEASED = Ground("deceased", "faire-part reçu")


async def pseudonym(d, forename):
    for row in await d.rows("SELECT sender, identity, sealed FROM persons"):
        fields = d.vault.unseal("person", row.identity, row.sealed)
        if forename in (fields.get("forename"), fields.get("company")):
            return d.vault.pseudonym(row.sender, row.identity)
    raise AssertionError(forename)


async def take_out(d, *forenames, ground=DECEASED):
    names = [(await pseudonym(d, name))[:12] for name in forenames]
    return await withdraw(d.database, d.vault, names, ground, by="dpo", now=NOW)


async def terms(d):
    """The account, which must balance in every group too (I1)."""
    async with d.database.read() as connection:
        made = await account(connection, now_ms=to_ms(NOW))
        assert await of_another_sender(connection) == 0
        for by in ("sender", "audience", "incident", "file"):
            groups = await by_group(connection, by, to_ms(NOW))
            assert all(group.balances for wave in groups.values() for group in wave.values())
    assert all(wave.balances for wave in made.waves), "I1"
    [[loose]] = await d.rows(
        "SELECT COUNT(*) FROM deliveries WHERE state NOT IN ('withdrawn', 'expired') AND id NOT IN "
        "(SELECT delivery_id FROM notifications WHERE delivery_id IS NOT NULL)"
    )
    assert loose == 0, "I3"
    return {term.value: count for term, count in made.waves[0].terms.items() if count} if made.waves else {}


async def entries(d, kind):
    rows = await d.rows("SELECT subject, body FROM entries WHERE kind = :kind ORDER BY id", kind=kind)
    return [(row.subject, json.loads(row.body)["facts"]) for row in rows]


def walked(desk, body, *, exports=((HOLDER, ZOE, TOM),), members=(ALICE, *CHILDREN)):
    async def work():
        async with desk() as d:
            for rows in exports:
                await d.export(*rows)
            await d.directory(*members)
            return await body(d)

    return asyncio.run(work())


def test_I1_who_is_planned_and_not_approved_is_taken_back_at_once(desk):
    async def body(d):
        await d.plan()
        made = await take_out(d, "Alice")
        assert (len(made.persons), made.taken_back, made.begun, made.anew) == (1, 1, [], 0)
        assert await terms(d) == {"pending": 2, "excluded": 1}
        before = await d.dump()
        await d.plan()
        assert await terms(d) == {"pending": 2, "excluded": 1}
        assert len((await d.dump())["deliveries"]) == len(before["deliveries"]) == 1
        [row] = await d.rows(
            "SELECT excluded, excluded_reason, excluded_by, excluded_ms FROM persons WHERE excluded <> ''"
        )
        assert tuple(row) == ("deceased", "faire-part reçu", "dpo", to_ms(NOW))
        [(subject, facts)] = await entries(d, "person_excluded")
        assert subject == await pseudonym(d, "Alice")
        assert facts == {"reason": "deceased", "why": "faire-part reçu", "by": "dpo"}

    walked(desk, body)


def test_running_it_again_changes_nothing(desk):
    async def body(d):
        await d.plan()
        await take_out(d, "Alice")
        before = await d.dump()
        again = await take_out(d, "Alice")
        assert (again.persons, len(again.already)) == ([], 1)
        assert await d.dump() == before
        assert len(await entries(d, "person_excluded")) == 1
        with pytest.raises(OperatorError, match="another reason"):
            await take_out(d, "Alice", ground=Ground("operator", "retiré par l'opérateur"))

    walked(desk, body)


def test_I7_an_approved_notice_that_stays_true_of_the_others_stays_approved(desk):
    async def body(d):
        await d.plan()
        await d.approve()
        [[token]] = await d.rows("SELECT DISTINCT d.token FROM deliveries d JOIN segments s ON s.id = d.segment_id "
                                 "WHERE s.form = 'children'")  # fmt: skip
        made = await take_out(d, "Tom")
        assert (made.taken_back, made.anew) == (0, 0)
        _, tom, zoe = await d.notices()
        assert (zoe["token"], zoe["state"], zoe["batch_id"]) == (token, "queued", 1)
        assert (tom["delivery_id"], tom["excluded"], tom["batch_id"]) == (None, "deceased", None)
        assert await terms(d) == {"pending": 2, "excluded": 1}
        replanned = await entries(d, "notification_replanned")
        assert replanned == [(await pseudonym(d, "Tom"), {"wave": "initial", "reason": "excluded"})]

    walked(desk, body)


def test_a_shared_notice_that_would_tell_too_much_is_made_anew(desk):
    wide = replace(TOM, exposures=("almerys:nir",))

    async def body(d):
        await d.plan()
        await d.approve()
        made = await take_out(d, "Tom")
        assert (made.taken_back, made.anew) == (1, 1)
        [zoe] = [n for n in await d.notices() if n["name"] == "Zoé"]
        assert (zoe["exposures"], zoe["state"], zoe["batch_id"]) == ("viamedis:nir", "queued", None)
        assert await terms(d) == {"pending": 2, "excluded": 1}
        states = await d.rows("SELECT state, COUNT(*) FROM deliveries GROUP BY state ORDER BY state")
        assert [tuple(row) for row in states] == [("queued", 2), ("withdrawn", 1)]
        assert {facts["reason"] for _, facts in await entries(d, "notification_replanned")} == {
            "excluded",
            "notice_shared",
        }
        await d.plan()
        assert await terms(d) == {"pending": 2, "excluded": 1}

    walked(desk, body, exports=((HOLDER, ZOE, wide),))


def test_establishments_of_one_mailbox_are_told_without_the_one_that_left(desk):
    practices = [
        Practice(company=f"Pharmacie {number}", finess=f"99000000{number}", email="p@exemple.example")
        for number in (1, 2, 3)
    ]

    async def body(d):
        await d.plan()
        await d.approve()
        reader = (await d.notices())[0]["reader"]
        made = await take_out(d, reader, ground=Ground("operator", "retiré de la liste"))
        assert (made.taken_back, made.anew) == (1, 2)
        rest = [n for n in await d.notices() if n["delivery_id"]]
        assert {(n["form"], n["email"], n["state"]) for n in rest} == {
            ("establishments", "p@exemple.example", "queued")
        }
        assert reader not in {n["reader"] for n in rest}
        second = rest[0]["name"]
        await take_out(d, second, ground=Ground("operator", "retiré de la liste"))
        [last] = [n for n in await d.notices() if n["delivery_id"]]
        assert (last["form"], last["name"] == last["reader"]) == ("own", True)
        assert await terms(d) == {"pending": 1, "excluded": 2}

    walked(desk, body, exports=(practices,), members=())


@pytest.mark.parametrize("state", ["sending", "accepted", "in_doubt", "delivered"])
def test_what_was_begun_is_never_taken_back(desk, state):
    async def body(d):
        await d.plan()
        await d.approve()
        await d.run(
            "UPDATE deliveries SET state = :state, attempt = 1 WHERE id IN "
            "(SELECT n.delivery_id FROM notifications n JOIN segments s ON s.id = n.segment_id WHERE s.form = 'own')",
            state=state,
        )
        before = await d.dump()
        made = await take_out(d, "Alice")
        assert made.begun == made.persons == [await pseudonym(d, "Alice")]
        marked = await d.rows("SELECT state FROM deliveries WHERE is_recalled")
        assert marked == [("sending",)] * (state == "sending"), "who records how it ends looks who is left"
        await d.run("UPDATE deliveries SET is_recalled = FALSE")
        after = await d.dump()
        assert (after["notifications"], after["deliveries"]) == (before["notifications"], before["deliveries"])
        await terms(d)
        await d.plan()
        assert (await d.dump())["deliveries"] == before["deliveries"]

    walked(desk, body)


def test_what_was_refused_and_put_back_into_the_queue_told_nobody_and_is_taken_back(desk):
    async def body(d):
        await d.plan()
        await d.approve()
        own = "(SELECT n.delivery_id FROM notifications n JOIN segments s ON s.id = n.segment_id WHERE s.form = 'own')"
        await d.run(f"UPDATE deliveries SET state = 'queued', attempt = 2 WHERE id IN {own}")
        made = await take_out(d, "Alice")
        assert (made.begun, made.taken_back) == ([], 1)
        assert (await terms(d))["excluded"] == 1

    walked(desk, body)


def test_what_every_server_said_not_now_to_told_nobody_and_is_taken_back(desk):
    async def body(d):
        await d.plan()
        await d.approve()
        await d.run("UPDATE deliveries SET state = 'deferred', attempt = 3, retries = 3")
        made = await take_out(d, "Alice")
        assert (made.begun, made.taken_back) == ([], 1)
        made = await take_out(d, "Tom")
        assert (made.begun, made.taken_back) == ([], 0), "and what is true of the others stays as it was approved"
        assert await terms(d) == {"pending": 1, "excluded": 2}
        [zoe] = [n for n in await d.notices() if n["delivery_id"]]
        assert (zoe["name"], zoe["state"], zoe["batch_id"]) == ("Zoé", "deferred", 1)

    walked(desk, body)


def test_I1_a_household_that_came_back_is_made_anew_without_whom_was_taken_out_meanwhile(desk):
    """Being sent, it stays as it was; when it was deferred then, the next plan takes it back for those who stay."""

    async def body(d):
        await d.plan()
        await d.approve()
        shared = "(SELECT n.delivery_id FROM notifications n JOIN segments s ON s.id = n.segment_id "
        shared += "WHERE s.form = 'children')"
        await d.run(f"UPDATE deliveries SET state = 'sending', attempt = 1 WHERE id IN {shared}")
        assert len((await take_out(d, "Tom")).begun) == 1
        await d.run(f"UPDATE deliveries SET state = 'deferred', is_recalled = FALSE WHERE id IN {shared}")
        await d.plan()
        assert await terms(d) == {"pending": 2, "excluded": 1}
        _, tom, zoe = await d.notices()
        assert (zoe["state"], zoe["batch_id"], tom["delivery_id"]) == ("queued", None, None)

    walked(desk, body)


@pytest.mark.parametrize("state", ["in_doubt", "queued", "deferred"])
def test_I1_who_was_taken_out_is_not_written_to_again_by_itself_after_a_doubt(desk, state):
    """`doubt resend` leaves such a delivery, and so does the policy: it is held, and somebody decides. Who was put back
    into the queue for it before is held likewise."""

    async def body(d):
        await d.plan()
        await d.approve()
        await d.run("UPDATE deliveries SET state = :state, attempt = 1, doubts = 1, due_ms = 5", state=state)
        made = await take_out(d, "Alice")
        assert len(made.begun) == 1
        rows = await d.rows(
            "SELECT s.form, d.state, d.due_ms FROM deliveries d JOIN segments s ON s.id = d.segment_id ORDER BY s.form"
        )
        assert [tuple(row) for row in rows] == [("children", state, 5), ("own", "in_doubt", 0)]
        [(_, facts)] = await entries(d, "delivery_held")
        assert facts["because"] == "excluded"
        await take_out(d, "Zoé")  # the notice informs Tom, too
        assert [row.due_ms for row in await d.rows("SELECT due_ms FROM deliveries ORDER BY due_ms")] == [0, 5]
        await take_out(d, "Tom")
        assert [row.due_ms for row in await d.rows("SELECT due_ms FROM deliveries ORDER BY due_ms")] == [0, 0]

    walked(desk, body)


def test_a_letter_after_an_email_that_may_have_arrived_counts_as_begun(desk):
    async def body(d):
        await d.plan()
        await d.approve()
        [[own]] = await d.rows(
            "SELECT d.id FROM deliveries d JOIN segments s ON s.id = d.segment_id WHERE s.form = 'own'"
        )
        await d.run("UPDATE deliveries SET state = 'expired', attempt = 3, doubts = 1 WHERE id = :id", id=own)
        await d.run(
            "INSERT INTO deliveries (token, wave_id, segment_id, contact_id, channel, state, batch_id, attempt, "
            "retries, doubts, epoch, provider, due_ms, since_ms, replaces_id) SELECT randomblob(16), wave_id, "
            "segment_id, contact_id, 'post', 'to_print', batch_id, 0, 0, 0, 0, 'other', 0, 0, id FROM deliveries "
            "WHERE id = :id",
            id=own,
        )
        await d.run(
            "UPDATE notifications SET delivery_id = (SELECT id FROM deliveries WHERE replaces_id = :id) "
            "WHERE delivery_id = :id",
            id=own,
        )
        assert len((await take_out(d, "Alice")).begun) == 1
        assert await terms(d) == {"pending": 2, "post": 1}

    walked(desk, body)


def test_reinstated_until_an_approval_froze_it(desk):
    async def body(d):
        await d.plan()
        await take_out(d, "Alice")
        name = [(await pseudonym(d, "Alice"))[:8]]
        back = await reinstate(d.database, d.vault, name, why="erreur de saisie", by="dpo", now=NOW)
        assert len(back.persons) == 1
        assert await terms(d) == {"pending": 2, "excluded": 1}
        await d.plan()
        assert await terms(d) == {"pending": 3}
        await take_out(d, "Alice")
        await d.approve()
        with pytest.raises(OperatorError, match="froze"):
            await reinstate(d.database, d.vault, name, why="erreur de saisie", by="dpo", now=NOW)
        [(_, facts)] = await entries(d, "person_reinstated")
        assert facts == {"reason": "deceased", "why": "erreur de saisie", "by": "dpo"}

    walked(desk, body)


def test_I2_a_row_without_forename_is_under_review_again_when_it_comes_back(desk):
    nameless = replace(HOLDER, forename="", rank=None)

    async def body(d):
        [[sender, identity]] = await d.rows("SELECT sender, identity FROM persons")
        name = [d.vault.pseudonym(sender, identity)]
        await withdraw(d.database, d.vault, name, Ground("decision", "décidé"), by="dpo", now=NOW)
        assert await d.open_cases() == []
        await reinstate(d.database, d.vault, name, why="décidé autrement", by="dpo", now=NOW)
        assert [case.reason for case in await d.open_cases()] == ["missing_forename"]

    walked(desk, body, exports=((nameless,),), members=())


def test_a_case_reference_names_its_person_and_a_shared_one_asks_whom(desk):
    async def body(d):
        await d.plan()
        await d.approve()
        by_name = {n["name"]: d.vault.reference(n["token"].hex()) for n in await d.notices()}
        with pytest.raises(OperatorError, match="informs 2 persons"):
            await withdraw(d.database, d.vault, [by_name["Tom"]], DECEASED, by="dpo", now=NOW)
        typed = by_name["Alice"].lower().replace("-", " ").replace("0", "o")
        made = await withdraw(d.database, d.vault, [typed], DECEASED, by="dpo", now=NOW)
        assert made.persons == [await pseudonym(d, "Alice")]

    walked(desk, body)


def test_all_of_a_list_or_nobody(desk, tmp_path):
    async def body(d):
        await d.plan()
        tom, zoe = [await pseudonym(d, "Tom"), await pseudonym(d, "Zoé")]
        file = tmp_path / "list.csv"
        file.write_text(f"# reference;reason\n{tom};x\n\n00000000ffff\n{zoe}\n", encoding="utf-8")
        before = await d.dump()
        with pytest.raises(OperatorError, match=r"1 of 3 references name nobody \(number 2 of the list\)"):
            await withdraw(d.database, d.vault, read_references(file), DECEASED, by="dpo", now=NOW)
        assert await d.dump() == before
        file.write_text(f"{tom}\n{zoe}\n{tom}\n", encoding="utf-8")
        made = await withdraw(d.database, d.vault, read_references(file), DECEASED, by="dpo", now=NOW)
        assert (len(made.persons), made.taken_back, made.anew) == (2, 1, 0)
        assert await terms(d) == {"pending": 1, "excluded": 2}

    walked(desk, body)


@pytest.mark.parametrize(
    "why",
    ["écrit à alice@exemple.example", "NIR 1 84 05 12 345 678 90", "compte FR76 3000 6000 0112 3456 7890 189", " "],
)
def test_I8_a_reason_holds_nobodys_data(why):
    with pytest.raises(OperatorError):
        Ground("decision", why)


def test_I8_a_reason_does_not_name_the_person(desk):
    async def body(d):
        with pytest.raises(OperatorError, match="own name"):
            await take_out(d, "Alice", ground=Ground("decision", "Mme alice est décédée"))
        assert await d.rows("SELECT 1 FROM persons WHERE excluded <> ''") == []

    walked(desk, body)


@pytest.mark.parametrize(("reason", "article"), [("exempt", ""), ("deceased", "a"), ("exempt", "c"), ("moved", "")])
def test_an_exemption_names_its_article(reason, article):
    with pytest.raises(OperatorError):
        Ground(reason, "données chiffrées", article)
    assert Ground("exempt", "données chiffrées", "a").text == "34(3)(a): données chiffrées"


def test_excluded_counts_as_a_term_of_its_own(desk):
    async def body(d):
        await d.plan()
        await take_out(d, "Alice", ground=Ground("exempt", "données chiffrées", "b"))
        assert (await terms(d))[Term.EXCLUDED] == 1

    walked(desk, body)


FAMILY = (HOLDER, ZOE, replace(TOM, exposures=("almerys:nir",)), replace(TOM, forename="Léa", birth="2017-01-01"))
PRACTICES = tuple(
    Practice(company=f"Cabinet {number}", finess=f"99000000{number}", email="p@exemple.example") for number in (1, 2, 3)
)
EVERYBODY = ("Alice", "Zoé", "Tom", "Léa", "Cabinet 1", "Cabinet 2", "Cabinet 3")


@pytest.mark.thorough
@given(
    first=st.sets(st.sampled_from(EVERYBODY), min_size=1, max_size=4),
    then=st.sets(st.sampled_from(EVERYBODY), min_size=1, max_size=3),
    approved=st.booleans(),
    begun=st.booleans(),
)
@hypothesis_settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_I1_whoever_is_taken_out_everything_balances(desk_anew, first, then, approved, begun):
    children = [
        both(row, member_number=f"M{number}", link="E", postal=ADDRESS) for number, row in enumerate(FAMILY[1:], 5)
    ]

    async def body(d):
        await d.plan()
        if approved:
            await d.approve()
        if approved and begun:
            await d.run(
                "UPDATE deliveries SET state = 'sending', attempt = 1 WHERE id = (SELECT MIN(id) FROM deliveries)"
            )
        out = set()
        for leaving in (first, then):
            await take_out(d, *leaving)
            out |= leaving
            counted = await terms(d)
            assert sum(counted.values()) == len(EVERYBODY)
            for notice in await d.notices():
                gone = notice["name"] in out
                told = bool(notice["delivery_id"])
                assert told != (gone and notice["excluded"] == "deceased"), "in or out, and nothing between"
                if gone and told:
                    assert notice["state"] == "sending"
        await d.plan()
        await terms(d)

    walked(desk_anew, body, exports=((*FAMILY, *PRACTICES),), members=(ALICE, *children))
