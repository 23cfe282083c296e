"""Rounds after the first: whom each concerns, of what it tells, and that nobody is lost in any of them (I1)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from people_desk import ADDRESS, NOW, Insured, Practice, both

from notifier.errors import OperatorError
from notifier.model import Audience, WaveKind, to_ms
from notifier.people.rounds import Selection, decide_kind, kind_of, priority
from notifier.people.waves import drop, plan
from notifier.storage import batches, cycle, deliveries
from notifier.storage.accounting import account

ALICE = Insured(forename="Alice", birth="1984-05-12", contract="K1", exposures=("viamedis:nir",))
BASILE = Insured(nir="1820512345678", forename="Basile", birth="1982-05-12", contract="K2", exposures=("viamedis:nir",))
CARL = Insured(
    nir="1830512345678", forename="Carl", birth="1983-05-12", contract="K3", exposures=("viamedis:contract",)
)
ZOE = replace(ALICE, forename="Zoé", birth="2012-06-01")
SHOP = Practice(email="shop@exemple.example", postal=ADDRESS, exposures=("viamedis:rib",))

MEMBERS = (
    both(ALICE, email="alice@exemple.example"),
    both(BASILE, member_number="M2", contract="K2", email="basile@exemple.example"),
    both(CARL, member_number="M3", contract="K3", email="carl@exemple.example"),
    both(ZOE, member_number="M4", link="E"),
)


async def settle_in(d, *rows):
    await d.export(*(rows or (ALICE, BASILE, CARL, ZOE, SHOP)))
    await d.directory(*MEMBERS)
    await round_(d, "initial")


async def round_(d, wave, kind=None, who=(), **more):
    """Plan a round."""
    chosen = Selection.of(who) if who else None
    return await plan(d.database, d.vault, d.settings, wave=wave, kind=kind, who=chosen, now=NOW, **more)


async def approve(d, wave):
    number = await d.approve()
    await d.run("UPDATE batches SET wave_id = (SELECT id FROM waves WHERE name = :wave) WHERE id = :id",
                wave=wave, id=number)  # fmt: skip
    return number


async def send(d, wave):
    """Approve the round, and let every one of its deliveries be accepted."""
    await approve(d, wave)
    await d.run(
        "UPDATE deliveries SET state = 'accepted', attempt = 1, observe_until_ms = 0 "
        "WHERE wave_id = (SELECT id FROM waves WHERE name = :wave) AND channel = 'mail' AND state = 'queued'",
        wave=wave,
    )


async def told(d, wave):
    """Name → (audience, form, exposures, route, excluded) of a round's notifications."""
    ids = await d.rows(
        "SELECT p.identity FROM notifications n JOIN persons p ON p.id = n.person_id JOIN waves w ON w.id = n.wave_id "
        "WHERE w.name = :wave", wave=wave,
    )  # fmt: skip
    rows = await d.rows(
        "SELECT p.identity, p.sealed, s.audience, s.form, e.canonical, n.route, n.excluded FROM notifications n "
        "JOIN persons p ON p.id = n.person_id JOIN segments s ON s.id = n.segment_id "
        "JOIN exposure_sets e ON e.id = s.exposure_set_id JOIN waves w ON w.id = n.wave_id WHERE w.name = :wave",
        wave=wave,
    )
    assert len(ids) == len(rows) == len({row.identity for row in rows}), "I1: one notification per person"
    found = {}
    for row in rows:
        person = d.vault.unseal("person", row.identity, row.sealed)
        found[person.get("forename") or person["company"]] = (
            row.audience, row.form, row.canonical, row.route, row.excluded,
        )  # fmt: skip
    return found


async def balanced(d):
    """I1: every round owes exactly what its notifications add up to."""
    async with d.database.read() as connection:
        counted = await account(connection, now_ms=to_ms(NOW))
    assert {wave.name: (wave.owed, sum(wave.terms.values())) for wave in counted.waves if not wave.balances} == {}
    return {wave.name: wave.owed for wave in counted.waves}


def story(desk, work):
    async def run():
        async with desk() as d:
            return await work(d)

    return asyncio.run(run())


def news(found):
    return {name: exposures for name, (_, _, exposures, _, _) in found.items()}


# -- supplement ------------------------------------------------------------------------------------------------------


def test_I1_a_supplement_tells_what_is_new_to_those_who_were_told(desk):
    async def work(d):
        await settle_in(d)
        await send(d, "initial")
        await d.export(replace(ALICE, exposures=("viamedis:nir", "viamedis:contract")),
                       replace(BASILE, exposures=("almerys:nir",)), CARL)  # fmt: skip
        again = await round_(d, "initial")
        made = await round_(d, "supplement")
        assert (again.supplement_due, made.supplement_due, made.notifications) == (2, 0, 2)
        assert await balanced(d) == {"initial": 5, "supplement": 2}
        return await told(d, "supplement")

    # A second incident is always news; Carl's row said nothing new.
    assert news(story(desk, work)) == {"Alice": "viamedis:contract", "Basile": "almerys:nir"}


def test_a_supplement_is_owed_to_nobody_whose_first_notice_is_not_begun(desk):
    async def work(d):
        await settle_in(d, ALICE)
        await approve(d, "initial")
        await d.export(replace(ALICE, exposures=("viamedis:contract",)))
        made = await round_(d, "supplement")
        await balanced_but_initial(d)
        await round_(d, "initial")
        return made.notifications, news(await told(d, "initial"))

    async def balanced_but_initial(d):
        assert await told(d, "supplement") == {}

    assert story(desk, work) == (0, {"Alice": "viamedis:contract,viamedis:nir"})


def test_I1_what_a_supplement_said_is_not_said_again(desk):
    async def work(d):
        await settle_in(d, ALICE, BASILE)
        await send(d, "initial")
        await d.export(replace(ALICE, exposures=("viamedis:contract",)))
        await round_(d, "s1", WaveKind.SUPPLEMENT)
        await send(d, "s1")
        await d.export(replace(ALICE, exposures=("almerys:nir",)), replace(BASILE, exposures=("almerys:nir",)))
        first = await round_(d, "s1")
        assert first.supplement_due == 1  # Basile joins s1; Alice's part of it is told already
        await round_(d, "s2", WaveKind.SUPPLEMENT)
        await balanced(d)
        return news(await told(d, "s1")), news(await told(d, "s2"))

    assert story(desk, work) == ({"Alice": "viamedis:contract", "Basile": "almerys:nir"}, {"Alice": "almerys:nir"})


def test_a_supplement_approved_and_not_begun_is_widened(desk):
    async def work(d):
        await settle_in(d, ALICE)
        await send(d, "initial")
        await d.export(replace(ALICE, exposures=("viamedis:contract",)))
        await round_(d, "supplement")
        await approve(d, "supplement")
        same = await round_(d, "supplement")
        assert (await d.rows("SELECT COUNT(*) FROM notifications WHERE batch_id IS NULL"))[0][0] == 0
        await d.export(replace(ALICE, exposures=("almerys:nir",)))
        await round_(d, "supplement")
        await balanced(d)
        return same.notifications, news(await told(d, "supplement"))

    assert story(desk, work) == (1, {"Alice": "almerys:nir,viamedis:contract"})


def test_a_child_hears_of_what_is_new_through_the_holder(desk):
    async def work(d):
        await settle_in(d, ALICE, ZOE)
        await send(d, "initial")
        await d.export(replace(ZOE, exposures=("almerys:nir",)))
        await round_(d, "supplement")
        return await told(d, "supplement")

    assert story(desk, work) == {"Zoé": ("dependant", "children", "almerys:nir", "email", "")}


# -- rectification -----------------------------------------------------------------------------------------------


def test_I1_who_was_told_and_withdrawn_by_the_operator_is_rectified(desk):
    async def work(d):
        await settle_in(d, ALICE, BASILE, CARL)
        await approve(d, "initial")
        # Carl was not told yet: his notice is not begun.
        await d.run(
            "UPDATE deliveries SET state = 'accepted', attempt = 1 WHERE id NOT IN (SELECT delivery_id FROM "
            "notifications n JOIN persons p ON p.id = n.person_id JOIN contacts c ON c.id = p.contact_id "
            "WHERE c.key_contract = (SELECT key_contract FROM contacts WHERE line = 4))"
        )
        await d.run("UPDATE persons SET excluded = 'operator', excluded_reason = 'corrected file' WHERE id IN "
                    "(SELECT person_id FROM records WHERE line IN (2, 4))")  # fmt: skip
        made = await round_(d, "rectification")
        assert made.excluded == {}
        await balanced(d)
        first = await told(d, "rectification")
        await send(d, "rectification")
        await round_(d, "rectification")
        again = await round_(d, "once-more", WaveKind.RECTIFICATION)
        return first, again.notifications

    first, again = story(desk, work)
    assert first == {"Alice": ("insured", "own", "viamedis:nir", "email", "")}
    assert again == 0  # what was taken back is told no more


def test_a_person_who_became_another_ones_record_is_not_rectified(desk):
    async def work(d):
        await settle_in(d, ALICE)
        await send(d, "initial")
        await d.run("UPDATE persons SET identity_review = 'missing_forename'")
        await d.run("DELETE FROM records")
        return (await round_(d, "rectification")).notifications

    assert story(desk, work) == 0


def test_who_was_rectified_and_is_concerned_after_all_is_told_anew(desk):
    async def work(d):
        await settle_in(d, ALICE)
        await send(d, "initial")
        await d.run("UPDATE persons SET excluded = 'operator'")
        await round_(d, "rectification")
        await send(d, "rectification")
        await d.run("UPDATE persons SET excluded = ''")
        due = await round_(d, "initial")
        await round_(d, "supplement")
        return due.supplement_due, news(await told(d, "supplement"))

    assert story(desk, work) == (1, {"Alice": "viamedis:nir"})


def test_two_rectifications_do_not_take_back_the_same(desk):
    async def work(d):
        await settle_in(d, ALICE, BASILE)
        await send(d, "initial")
        await d.run("UPDATE persons SET excluded = 'operator' WHERE id = 1")
        await round_(d, "rectification")
        await approve(d, "rectification")
        await d.run("UPDATE persons SET excluded = 'operator' WHERE id = 2")
        await round_(d, "second", WaveKind.RECTIFICATION)
        await balanced(d)
        return set(await told(d, "rectification")), set(await told(d, "second"))

    assert story(desk, work) == ({"Alice"}, {"Basile"})


def test_I1_a_supplement_that_was_taken_back_is_owed_again(desk):
    async def work(d):
        await settle_in(d, ALICE)
        await send(d, "initial")
        await d.export(replace(ALICE, exposures=("almerys:nir",)))
        await round_(d, "supplement")
        await send(d, "supplement")
        await d.run("UPDATE persons SET excluded = 'operator'")
        await round_(d, "rectification")
        await send(d, "rectification")
        await d.run("UPDATE persons SET excluded = ''")
        due = (await round_(d, "initial")).supplement_due
        await round_(d, "second", WaveKind.SUPPLEMENT)
        await send(d, "second")
        await balanced(d)
        return due, news(await told(d, "second")), (await round_(d, "initial")).supplement_due

    assert story(desk, work) == (1, {"Alice": "almerys:nir,viamedis:nir"}, 0)


def test_what_an_earlier_wave_says_after_a_rectification_stays_said(desk):
    async def work(d):
        await settle_in(d, ALICE, BASILE)
        await send(d, "initial")
        await d.export(replace(BASILE, exposures=("almerys:nir",)))
        await round_(d, "supplement")
        await send(d, "supplement")
        await d.run("UPDATE persons SET excluded = 'operator' WHERE id = 1")
        await round_(d, "rectification")
        await send(d, "rectification")
        await d.run("UPDATE persons SET excluded = '' WHERE id = 1")
        await round_(d, "supplement")
        await send(d, "supplement")
        again = (await round_(d, "initial")).supplement_due
        await d.run("UPDATE persons SET excluded = 'operator' WHERE id = 1")
        await round_(d, "second", WaveKind.RECTIFICATION)
        return again, set(await told(d, "second"))

    # Told anew, and withdrawn anew: that is taken back, too.
    assert story(desk, work) == (0, {"Alice"})


# -- correction, follow-up, precaution -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        (["wave=initial"], {"Alice", "Basile", "Carl", "Zoé", "Pharmacie Exemple"}),
        (["audience=professional"], {"Pharmacie Exemple"}),
        (["incident=almerys"], {"Basile"}),
        (["incident=almerys", "audience=professional"], set()),
        (["sender=clairval", "audience=dependant"], {"Zoé"}),
    ],
)
def test_a_correction_goes_to_those_who_were_told_and_chosen(desk, who, expected):
    async def work(d):
        await settle_in(d, ALICE, replace(BASILE, exposures=("viamedis:nir", "almerys:contract")), CARL, ZOE, SHOP)
        await send(d, "initial")
        await round_(d, "correction", who=who)
        await balanced(d)
        return await told(d, "correction")

    found = story(desk, work)
    assert set(found) == expected
    if who == ["incident=almerys"]:
        assert news(found) == {"Basile": "almerys:contract"}


def test_a_correction_by_segment_and_by_notice(desk):
    async def work(d):
        await settle_in(d, ALICE, BASILE, CARL)
        await send(d, "initial")
        [[segment, batch]] = await d.rows(
            "SELECT DISTINCT n.segment_id, n.batch_id FROM notifications n JOIN segments s ON s.id = n.segment_id "
            "JOIN exposure_sets e ON e.id = s.exposure_set_id WHERE e.canonical = 'viamedis:contract'"
        )
        await round_(d, "one", WaveKind.CORRECTION, who=[f"segment={segment}"])
        await round_(d, "two", WaveKind.CORRECTION, who=["notice=0123abcd"], told_in=[(batch, segment)])
        await round_(d, "three", WaveKind.CORRECTION, who=["notice=0123abcd"], told_in=[(batch + 1, segment)])
        return [set(await told(d, wave)) for wave in ("one", "two", "three")]

    assert story(desk, work) == [{"Carl"}, {"Carl"}, set()]


def test_a_precaution_goes_to_the_told_and_the_untold(desk):
    async def work(d):
        await settle_in(d, ALICE, BASILE)
        await approve(d, "initial")
        follow_up = await round_(d, "follow-up", who=["wave=initial"])
        precaution = await round_(d, "precaution", who=["incident=viamedis"])
        other = await round_(d, "p2", WaveKind.PRECAUTION, who=["audience=professional"])
        return follow_up.notifications, precaution.notifications, other.notifications

    assert story(desk, work) == (0, 2, 0)


# -- the wave itself -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wave", "kind", "who", "said"),
    [
        ("initial", WaveKind.SUPPLEMENT, (), "of kind initial since its first plan"),
        ("second", WaveKind.INITIAL, (), "initial is the first round"),
        ("second", None, (), "say its kind"),
        ("Élan", WaveKind.SUPPLEMENT, (), "a name is up to 40"),
        ("correction", None, (), "those whom you choose"),
        ("supplement", None, ("wave=initial",), "no --who"),
        ("follow-up", None, ("segment=x",), "give the segment's number"),
        ("follow-up", None, ("sender=elsewhere",), "elsewhere"),
        ("follow-up", None, ("wave=intial",), "there is no such wave"),
    ],
)
def test_a_wrong_kind_or_choice_is_refused_and_nothing_changes(desk, wave, kind, who, said):
    async def work(d):
        await settle_in(d)
        before = await d.dump()
        with pytest.raises(OperatorError, match=said):
            await round_(d, wave, kind, who)
        assert await d.dump() == before

    story(desk, work)


def test_an_approved_choice_is_not_changed(desk):
    async def work(d):
        await settle_in(d)
        await send(d, "initial")
        await round_(d, "correction", who=["audience=professional"])
        await round_(d, "correction", who=["audience=insured"])  # nothing approved: chosen anew
        await approve(d, "correction")
        kept = await round_(d, "correction")
        assert kept.who == "audience=insured"
        with pytest.raises(OperatorError, match="another choice is a wave of its own"):
            await round_(d, "correction", who=["audience=professional"])

    story(desk, work)


def test_a_dry_run_computes_all_and_writes_nothing(desk):
    async def work(d):
        await settle_in(d)
        await send(d, "initial")
        await d.export(replace(ALICE, exposures=("almerys:nir",)))
        before = await d.dump(), await d.rows("SELECT COUNT(*) FROM entries")
        dry = await round_(d, "supplement", dry_run=True)
        assert (await d.dump(), await d.rows("SELECT COUNT(*) FROM entries")) == before
        done = await round_(d, "supplement")
        assert dry.as_json() == done.as_json()
        assert dry.notifications == 1

    story(desk, work)


def test_words_on_the_command_line():
    assert kind_of("follow_up") is WaveKind.FOLLOW_UP
    assert decide_kind("follow_up", None, None) is WaveKind.FOLLOW_UP
    assert Selection.stored(Selection.of(["wave=a", "incident=b"]).canonical()) == Selection(wave="a", incident="b")
    for wrong in (["colour=red"], ["segment"], ["wave=a", "wave=b"], ["notice=xyz"], ["audience=cats"]):
        with pytest.raises(OperatorError):
            Selection.of(wrong)


# -- who goes first --------------------------------------------------------------------------------------------------


def test_professionals_with_bank_details_then_nir_then_the_rest_are_claimed(desk):
    async def work(d):
        plain = replace(SHOP, finess="990000009", company="Optique Neuf", email="neuf@exemple.example",
                        exposures=("viamedis:email",))  # fmt: skip
        await settle_in(d, CARL, ALICE, plain, SHOP, BASILE)
        [(wave,)] = await d.rows("SELECT id FROM waves")
        async with d.database.write() as connection:
            made, _ = await batches.insert_batch(
                connection, wave, digest="", bound="{}", notifications=5, approved_by="dpo", now=NOW, files={}
            )
            await batches.freeze_notifications(connection, wave, made, lambda token: 0)
        order = [
            (row.priority, row.canonical)
            for row in await d.rows(
                "SELECT d.priority, e.canonical FROM deliveries d JOIN segments s ON s.id = d.segment_id "
                "JOIN exposure_sets e ON e.id = s.exposure_set_id ORDER BY d.priority, d.due_ms, d.id"
            )
        ]
        async with cycle.open_cycle(d.database.path) as claiming:
            claimed = await claiming.write(
                lambda connection: [
                    *(deliveries.claim(connection, now_ms=to_ms(NOW), epoch=1, most=1)
                      for _ in range(2)),
                    deliveries.claim(connection, now_ms=to_ms(NOW + timedelta(1)), epoch=1, most=9),
                ]
            )  # fmt: skip
            plan_of = await claiming.read(
                lambda connection: connection.execute(
                    f"EXPLAIN QUERY PLAN {deliveries._DUE}", {"now": 1, "most": 10, "wave_id": None}
                ).fetchall()
            )
        places = {row.id: row.priority for row in await d.rows("SELECT id, priority FROM deliveries")}
        return order, [[places[number] for number in part] for part in claimed], [str(step[-1]) for step in plan_of]

    order, claimed, steps = story(desk, work)
    assert order[0] == (0, "viamedis:rib")
    assert [place for place, _ in order] == [0, 1, 1, 2, 2]
    assert claimed[:2] == [[0], [1]]
    assert sorted(claimed[2]) == [1, 2, 2]
    walked = [step for step in steps if "deliveries" in step]
    assert walked
    assert all("USING INDEX deliveries_due (priority=? AND due_ms<?)" in step
               or "USING COVERING INDEX deliveries_due" in step for step in walked)  # fmt: skip


def test_priorities_of_both_audiences():
    assert priority(Audience.PROFESSIONAL, {"portal_login", "name"}) == 0
    assert priority(Audience.PROFESSIONAL, {"siret"}) == 2
    assert priority(Audience.PAST_MEMBER, {"nir"}) == 1
    assert priority(Audience.INSURED, {"contract"}) == 2


# -- taken out, and dropped ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who_left", ["Alice", "Zoé"])
def test_I1_a_follow_up_that_nobody_began_is_taken_back_of_whom_was_taken_out(desk, who_left):
    """The claim was given back untouched after the withdrawal, which could not take it back then."""

    async def work(d):
        await settle_in(d)
        await send(d, "initial")
        await round_(d, "follow-up", who=["wave=initial"])
        await approve(d, "follow-up")
        rows = await d.rows("SELECT id, identity, sealed FROM persons WHERE kind = 'insured'")
        ids = {d.vault.unseal("person", row.identity, row.sealed)["forename"]: row.id for row in rows}
        await d.run("UPDATE persons SET excluded = 'operator' WHERE id = :id", id=ids[who_left])
        await round_(d, "follow-up")
        left = await told(d, "follow-up")
        states = await d.rows(
            "SELECT d.state FROM deliveries d JOIN waves w ON w.id = d.wave_id WHERE w.name = 'follow-up' "
            "AND d.state = 'withdrawn'"
        )
        replanned = await d.rows("SELECT body FROM entries WHERE kind = 'notification_replanned'")
        await balanced(d)
        return left, len(states), [json.loads(body)["facts"]["reason"] for (body,) in replanned]

    left, withdrawn, reasons = story(desk, work)
    assert left[who_left][3:] == ("none", "operator")
    assert all(each[3] != "none" for name, each in left.items() if name != who_left)
    assert (withdrawn, reasons) == (1, ["excluded"])


def test_I1_a_rectification_is_not_taken_back_of_whom_the_operator_withdrew(desk):
    async def work(d):
        await settle_in(d)
        await send(d, "initial")
        await d.run("UPDATE persons SET excluded = 'operator' WHERE id = 1")
        await round_(d, "rectification")
        await approve(d, "rectification")
        before = await d.rows("SELECT * FROM deliveries ORDER BY id")
        await round_(d, "rectification")
        return before, await d.rows("SELECT * FROM deliveries ORDER BY id")

    before, after = story(desk, work)
    assert before == after and len({row.wave_id for row in before}) == 2


def test_I1_a_round_is_dropped_as_long_as_nothing_of_it_is_approved(desk):
    async def work(d):
        await settle_in(d)
        await send(d, "initial")
        before = await d.dump()
        await round_(d, "follow-pu", WaveKind.FOLLOW_UP, ["wave=initial"])
        assert await drop(d.database, "follow-pu", by="dpo", now=NOW) == 5
        after = await d.dump()
        assert {name: rows for name, rows in after.items() if name != "exposure_sets"} == {
            name: rows for name, rows in before.items() if name != "exposure_sets"
        }
        [(body,)] = await d.rows("SELECT body FROM entries WHERE kind = 'wave_dropped'")
        assert json.loads(body)["facts"] == {
            "by": "dpo", "kind": "follow-up", "notifications": 5, "wave": "follow-pu",
        }  # fmt: skip
        for name, said in (("initial", "was approved"), ("follow-pu", "no wave")):
            with pytest.raises(OperatorError, match=said):
                await drop(d.database, name, by="dpo", now=NOW)
        assert await d.dump() == after
        assert await balanced(d) == {"initial": 5}

    story(desk, work)


def test_I2_a_later_round_writes_to_where_its_persons_are_now(desk):
    """Who was told at an address and gave another one since is told of what is new at the other one; by the post if
    there is none any more, and not at all who died."""

    async def work():
        async with desk() as d:
            await settle_in(d)
            await send(d, "initial")
            newer = (
                replace(MEMBERS[0], email="alice@neuf.example"),
                replace(MEMBERS[1], email="", postal=ADDRESS),
                replace(MEMBERS[2], status="deceased"),
                MEMBERS[3],
            )
            await d.directory(*newer, as_of="2024-03-01")
            before = await d.rows("SELECT id, contact_id FROM persons ORDER BY id")
            await d.export(
                *(replace(each, exposures=("almerys:nir",)) for each in (ALICE, BASILE, CARL)),
                replace(SHOP, email="shop@neuf.example", exposures=("almerys:rib",)),
            )
            await round_(d, "supplement")
            assert await d.rows("SELECT id, contact_id FROM persons ORDER BY id") == before, "who was told stays"
            return [(n["name"], n["route"], n["email"]) for n in await d.notices() if "almerys" in n["exposures"]]

    assert sorted(asyncio.run(work())) == sorted(
        [
            ("Alice", "email", "alice@neuf.example"),
            ("Basile", "post", ""),
            ("Carl", "none", ""),
            (SHOP.company, "email", "shop@neuf.example"),
        ]
    )
