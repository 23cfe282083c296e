"""A wave is planned. I1: everybody is owed exactly one notification; I3: one notification, one live delivery."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from people_desk import ADDRESS, NOW, Insured, Practice, both

from notifier.people.reviews import open_reviews

HOLDER = Insured(forename="Alice", birth="1984-05-12", contract="K1")
SPOUSE = Insured(nir="1820512345678", forename="Basile", birth="1982-05-12", contract="K1")
ZOE = replace(HOLDER, forename="Zoé", birth="2012-06-01", exposures=("viamedis:nir", "viamedis:contract"))
TOM = replace(HOLDER, forename="Tom", birth="2015-06-01", exposures=("almerys:nir",))
ADULT = replace(HOLDER, forename="Léo", birth="2001-06-01")

ALICE = both(HOLDER, email="alice@exemple.example")
BASILE = both(SPOUSE, member_number="M2", link="C", email="basile@exemple.example")


def children(*rows, **changes):
    return [
        both(row, **{"member_number": f"M{n}", "link": "E", "postal": ADDRESS, **changes})
        for n, row in enumerate(rows, 5)
    ]


def planned(desk, exports, members, *, settings=None):
    async def work():
        async with desk() as d:
            for rows in exports:
                await d.export(*rows)
            await d.directory(*members)
            made = await d.plan(settings=settings)
            await balanced(d)
            return made, await d.notices()

    return asyncio.run(work())


async def balanced(d):
    """I1 and I3, counted from rows."""
    [[persons, notifications, distinct]] = await d.rows(
        "SELECT (SELECT COUNT(*) FROM persons), COUNT(*), COUNT(DISTINCT person_id) FROM notifications"
    )
    assert persons == notifications == distinct, "I1"
    orphans = await d.rows(
        "SELECT id FROM deliveries WHERE state <> 'withdrawn' AND id NOT IN "
        "(SELECT delivery_id FROM notifications WHERE delivery_id IS NOT NULL)"
    )
    assert orphans == [], "I3"
    crossing = await d.rows(
        "SELECT n.id FROM notifications n JOIN persons p ON p.id = n.person_id "
        "JOIN deliveries d ON d.id = n.delivery_id "
        "JOIN contacts c ON c.id = d.contact_id JOIN segments s ON s.id = n.segment_id "
        "WHERE c.sender <> p.sender OR s.sender <> p.sender OR s.id <> d.segment_id"
    )
    assert crossing == [], "I2"


def brief(notices):
    return [(n["name"], n["route"], n["form"], n["reader"], n["audience"]) for n in notices]


def test_I1_everybody_has_exactly_one_notification(desk):
    made, notices = planned(desk, [[HOLDER, SPOUSE, ZOE, TOM, HOLDER]], [ALICE, BASILE, *children(ZOE)])
    assert brief(notices) == [
        ("Alice", "email", "own", "Alice", "insured"),
        ("Basile", "email", "own", "Basile", "dependant"),
        ("Tom", "none", "own", "", "insured"),
        ("Zoé", "email", "children", "Alice", "dependant"),
    ]
    body = made.as_json()
    assert list(body)[:5] == ["wave", "notifications", "by_route", "review", "segments"]
    assert body["by_route"] == {"email": 3, "post": 0, "none": 1}
    assert (body["notifications"], body["review"], body["unmatched"]) == (4, 0, 1)
    assert sum(segment["notifications"] for segment in body["segments"]) == 4
    assert list(body["segments"][0])[:6] == ["id", "audience", "exposures", "sender", "language", "notifications"]
    assert json.dumps(body)


def test_two_children_are_one_further_notice_to_the_holder_with_all_their_exposures(desk):
    _, notices = planned(desk, [[HOLDER, ZOE, TOM]], [ALICE, *children(ZOE, TOM)])
    alice, tom, zoe = notices
    assert alice["delivery_id"] != tom["delivery_id"] == zoe["delivery_id"]
    assert tom["exposures"] == zoe["exposures"] == "almerys:nir,viamedis:contract,viamedis:nir"
    assert alice["exposures"] == "viamedis:nir"
    assert (zoe["reason"], zoe["email"]) == ("holder_mailbox", "alice@exemple.example")


def test_the_holder_is_told_about_the_children_though_not_affected(desk):
    _, notices = planned(desk, [[ZOE]], [replace(ALICE, email="", postal=ADDRESS), *children(ZOE)])
    assert brief(notices) == [("Zoé", "post", "children", "Alice", "dependant")]
    assert (notices[0]["channel"], notices[0]["state"]) == ("post", "to_print")


def test_separated_parents_are_told_each_about_the_child_of_their_contract(desk):
    father = Insured(nir="1810512345678", forename="Hugo", birth="1981-01-01", contract="K2")
    tom = replace(TOM, nir=father.nir, contract="K2")
    _, notices = planned(
        desk,
        [[ZOE, tom]],
        [
            ALICE,
            *children(ZOE),
            both(father, contract="K2", member_number="M8", email="hugo@exemple.example"),
            *children(tom, contract="K2", member_number="M9"),
        ],
    )
    assert brief(notices) == [
        ("Tom", "email", "children", "Hugo", "dependant"),
        ("Zoé", "email", "children", "Alice", "dependant"),
    ]
    assert notices[0]["exposures"] == "almerys:nir"


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([*children(ZOE)], "minor_without_holder"),
        ([replace(ALICE, status="deceased"), BASILE, *children(ZOE)], "minor_without_holder"),
        ([ALICE, replace(ALICE, member_number="M9", forename="Odile"), *children(ZOE)], "minor_without_holder"),
        # A firm's contract: the child may be the ended member's, and the active one a stranger.
        (
            [ALICE, replace(ALICE, member_number="M9", forename="Odile", status="ended"), *children(ZOE)],
            "minor_without_holder",
        ),
        ([replace(ALICE, status="ended"), *children(ZOE, status="ended")], "ended_contract_child"),
    ],
)
def test_a_child_without_exactly_one_holder_waits_for_a_decision(desk, members, reason):
    made, [notice] = planned(desk, [[ZOE]], members)
    assert (notice["route"], notice["review"], made.review) == ("none", reason, 1)


def test_a_decided_child_is_told_through_the_chosen_adult(desk):
    async def work():
        async with desk() as d:
            await d.export(ZOE, TOM)
            await d.directory(replace(ALICE, status="deceased"), BASILE, *children(ZOE, TOM))
            await d.plan()
            cases = await open_reviews(d.database, d.vault)
            for case in cases:
                await d.decide(case.case, case.decisions[0])
            await d.plan()
            await balanced(d)
            return cases, await d.notices()

    cases, notices = asyncio.run(work())
    assert [[contact.forename for _, contact in case.candidates] for case in cases] == [["Basile"], ["Basile"]]
    assert brief(notices) == [
        ("Tom", "email", "children", "Basile", "dependant"),
        ("Zoé", "email", "children", "Basile", "dependant"),
    ]
    assert notices[0]["delivery_id"] == notices[1]["delivery_id"]


@pytest.mark.parametrize(
    ("policy", "expected", "undecided"),
    [
        ("letter", ("post", "adult_dependant", "Léo"), 0),
        ("contract_mailbox", ("email", "contract_mailbox", "Alice"), 0),
        (None, ("post", "adult_dependant_undecided", "Léo"), 1),
    ],
)
def test_adult_dependants_follow_the_campaigns_decision(desk, settings, policy, expected, undecided):
    households = settings.households.model_copy(update={"adult_dependants": policy})
    chosen = settings.model_copy(update={"households": households})
    made, notices = planned(desk, [[ADULT]], [ALICE, *children(ADULT)], settings=chosen)
    assert [(n["route"], n["reason"], n["reader"]) for n in notices] == [expected]
    assert notices[0]["form"] == "own"
    assert made.as_json()["undecided_adult_dependants"] == undecided


def test_past_members_the_deceased_and_the_unreachable(desk):
    past, gone, silent = (replace(HOLDER, forename=name) for name in ("Paul", "Gaston", "Sami"))
    made, notices = planned(
        desk,
        [[past, gone, silent]],
        [
            both(past, member_number="M1", status="ended", email="paul@exemple.example"),
            both(gone, member_number="M2", status="deceased", email="gaston@exemple.example"),
            both(silent, member_number="M3"),
        ],
    )
    assert [(n["name"], n["route"], n["reason"], n["audience"], n["excluded"]) for n in notices] == [
        ("Gaston", "none", "excluded", "insured", "deceased"),
        ("Paul", "email", "own_mailbox", "past_member", ""),
        ("Sami", "none", "unreachable", "insured", ""),
    ]
    assert made.as_json()["excluded"] == {"deceased": 1}


def test_one_mailbox_of_a_couple_gets_two_notices(desk):
    _, notices = planned(desk, [[HOLDER, SPOUSE]], [ALICE, replace(BASILE, email="alice@exemple.example")])
    assert len({n["delivery_id"] for n in notices}) == 2
    assert {n["email"] for n in notices} == {"alice@exemple.example"}


def test_the_language_is_the_contacts_else_the_campaigns(desk):
    _, notices = planned(desk, [[HOLDER, SPOUSE]], [replace(ALICE, language="en")])
    assert [n["language"] for n in notices] == ["en", "fr"]


# -- professionals ----------------------------------------------------------------------------------------------------

SHOP = Practice("Optique Un", finess="990000001", email="chaine@optique.example", profession="optician")


def test_establishments_at_one_mailbox_share_one_notice(desk):
    shops = [
        SHOP,
        replace(SHOP, company="Optique Deux", finess="990000002", email="CHAINE@optique.example",
                exposures=("almerys:siret",)),
        replace(SHOP, company="Optique Trois", finess="990000003", email="trois@optique.example"),
        replace(SHOP, company="Optique Quatre", finess="990000004", email="", postal=ADDRESS),
        replace(SHOP, company="Optique Cinq", finess="990000005", email=""),
        replace(SHOP, company="Optique Six", finess="990000006", sender="autre"),
    ]  # fmt: skip
    _, notices = planned(desk, [shops], [])
    by_name = {n["name"]: n for n in notices}
    assert {name: (n["route"], n["form"]) for name, n in by_name.items()} == {
        "Optique Un": ("email", "establishments"),
        "Optique Deux": ("email", "establishments"),
        "Optique Trois": ("email", "own"),
        "Optique Quatre": ("post", "own"),
        "Optique Cinq": ("none", "own"),
        "Optique Six": ("email", "own"),
    }
    assert by_name["Optique Un"]["delivery_id"] == by_name["Optique Deux"]["delivery_id"]
    assert by_name["Optique Un"]["exposures"] == "almerys:siret,viamedis:rib"


def test_an_insured_person_who_is_a_pharmacist_too_is_owed_two_notices(desk):
    _, notices = planned(desk, [[HOLDER], [replace(SHOP, email="alice@exemple.example")]], [ALICE])
    assert sorted((n["audience"], n["form"], n["email"]) for n in notices) == [
        ("insured", "own", "alice@exemple.example"),
        ("professional", "own", "alice@exemple.example"),
    ]


# -- planning again ---------------------------------------------------------------------------------------------------

EVERYBODY = [HOLDER, SPOUSE, ZOE, TOM, ADULT, replace(HOLDER, forename="Nino", birth="1950-00-00")]


async def settle_in(d):
    await d.export(*EVERYBODY, SHOP, replace(SHOP, finess="990000009", company="Optique Neuf"))
    await d.directory(ALICE, BASILE, *children(ZOE, TOM, ADULT))


def test_I3_planning_twice_changes_nothing(desk):
    async def work():
        async with desk() as d:
            await settle_in(d)
            await d.plan()
            first = await d.dump()
            await d.plan()
            assert await d.dump() == first
            await d.approve()
            approved = await d.dump()
            await d.plan()
            assert await d.dump() == approved

    asyncio.run(work())


def test_what_was_approved_stays_and_later_arrivals_form_the_next_batch(desk):
    async def work():
        async with desk() as d:
            await settle_in(d)
            await d.plan()
            await d.approve()
            before = await d.rows("SELECT * FROM notifications ORDER BY id")
            late = replace(TOM, forename="Ugo", birth="2016-01-01")
            await d.export(late)
            await d.directory(ALICE, *children(ZOE, TOM, ADULT, late), as_of="2024-02-08")
            await d.plan()
            await balanced(d)
            after = await d.rows("SELECT * FROM notifications WHERE batch_id IS NOT NULL ORDER BY id")
            return before, after, [n for n in await d.notices() if n["batch_id"] is None]

    before, after, new = asyncio.run(work())
    assert before == after
    assert brief(new) == [("Ugo", "email", "children", "Alice", "dependant")]


def test_an_approved_contact_is_not_silently_replaced(desk):
    async def work():
        async with desk() as d:
            await d.export(HOLDER)
            await d.directory(ALICE)
            await d.plan()
            await d.approve()
            await d.directory(replace(ALICE, email="nouvelle@exemple.example"), as_of="2024-02-08")
            await d.plan()
            return await d.notices(), await d.rows("SELECT contact_id FROM persons")

    [notice], [[contact]] = asyncio.run(work())
    assert (notice["email"], contact) == ("alice@exemple.example", 1)


def test_the_unmatched_who_are_found_later_are_planned_anew_with_trace(desk):
    async def work():
        async with desk() as d:
            await d.export(HOLDER, SPOUSE)
            await d.plan()
            await d.approve()
            await d.directory(ALICE)
            made = await d.plan()
            await balanced(d)
            entries = await d.rows("SELECT subject, body FROM entries WHERE kind = 'notification_replanned'")
            return made, await d.notices(), entries

    made, notices, entries = asyncio.run(work())
    assert [(n["name"], n["route"], n["batch_id"]) for n in notices] == [
        ("Alice", "email", None),
        ("Basile", "none", 1),
    ]
    assert made.by_route("email") == 1
    assert [json.loads(body)["facts"] for _, body in entries] == [{"wave": "initial", "reason": "route_found"}]


def test_exposures_that_grow_before_the_first_attempt_widen_the_notice(desk):
    async def work():
        async with desk() as d:
            await settle_in(d)
            await d.plan()
            await d.approve()
            [[token]] = await d.rows(
                "SELECT d.token FROM deliveries d JOIN segments s ON s.id = d.segment_id WHERE s.form = 'children'"
            )
            await d.export(replace(TOM, exposures=("viamedis:guarantees",)))
            made = await d.plan()
            await balanced(d)
            again = await d.dump()
            await d.plan()
            assert await d.dump() == again
            withdrawn = await d.rows("SELECT token FROM deliveries WHERE state = 'withdrawn'")
            entries = await d.rows("SELECT body FROM entries WHERE kind = 'notification_replanned'")
            return made, token, withdrawn, await d.notices(), entries, d.vault

    made, token, withdrawn, notices, entries, _ = asyncio.run(work())
    assert [row[0] for row in withdrawn] == [token]
    renewed = [n for n in notices if n["batch_id"] is None]
    assert [n["name"] for n in renewed] == ["Tom", "Zoé"]
    assert renewed[0]["delivery_id"] == renewed[1]["delivery_id"]
    assert renewed[0]["token"] != token
    assert "viamedis:guarantees" in renewed[0]["exposures"]
    assert [json.loads(row[0])["facts"]["reason"] for row in entries] == ["exposures_widened"] * 2
    assert made.supplement_due == 0


@pytest.mark.parametrize(("state", "doubts"), [("queued", 0), ("deferred", 0), ("sending", 0), ("deferred", 1)])
def test_i2_who_died_since_the_approval_is_not_written_to(desk, state, doubts):
    """The newest directory says so: what has told nobody is taken back; what is under way, or may have arrived, is left
    to its end."""
    is_left = state == "sending" or doubts

    async def work():
        async with desk() as d:
            await settle_in(d)
            await d.plan()
            await d.approve()
            await d.run(
                "UPDATE deliveries SET state = :state, attempt = :attempt, doubts = :doubts WHERE channel = 'mail'",
                state=state,
                attempt=int(state != "queued"),
                doubts=doubts,
            )
            before = {n["name"]: n for n in await d.notices()}
            await d.directory(replace(ALICE, status="deceased"), as_of="2024-02-08")
            await d.plan()
            await balanced(d)
            again = await d.dump()
            await d.plan()
            assert await d.dump() == again
            entries = await d.rows("SELECT body FROM entries WHERE kind = 'notification_replanned'")
            return before, {n["name"]: n for n in await d.notices()}, entries

    before, after, entries = asyncio.run(work())
    if is_left:
        assert after == before
        return
    assert (after["Alice"]["excluded"], after["Alice"]["delivery_id"]) == ("deceased", None)
    # The children were told through her: they wait for somebody's decision.
    assert {after[name]["review"] for name in ("Tom", "Zoé")} == {"minor_without_holder"}
    assert {json.loads(row[0])["facts"]["reason"] for row in entries} == {"deceased_in_directory"}


@pytest.mark.parametrize("state", ["sending", "accepted", "deferred", "in_doubt"])
def test_exposures_that_grow_once_telling_has_begun_are_a_supplement(desk, state):
    async def work():
        async with desk() as d:
            await settle_in(d)
            await d.plan()
            await d.approve()
            await d.run("UPDATE deliveries SET state = :state, attempt = 1 WHERE channel = 'mail'", state=state)
            before = await d.rows("SELECT * FROM notifications ORDER BY id")
            await d.export(replace(HOLDER, exposures=("almerys:contract",)))
            made = await d.plan()
            return made.supplement_due, before == await d.rows("SELECT * FROM notifications ORDER BY id")

    assert asyncio.run(work()) == (1, True)


def test_the_same_persons_planned_anew_get_a_token_of_their_own_each_time(desk):
    async def work():
        async with desk() as d:
            await d.export(HOLDER)
            await d.directory(ALICE)
            for exposure in ("almerys:nir", "almerys:contract", "almerys:insurer"):
                await d.plan()
                await d.approve()
                await d.export(replace(HOLDER, exposures=(exposure,)))
            await d.plan()
            identity = (await d.rows("SELECT identity FROM persons"))[0][0].hex()
            parts = ("delivery", "initial", "mail", "own", f"clairval:{identity}")
            expected = [d.vault.token(*parts), *(d.vault.token(*parts, f"#{n}") for n in (2, 3, 4))]
            return expected, [row[0] for row in await d.rows("SELECT token FROM deliveries ORDER BY id")]

    expected, tokens = asyncio.run(work())
    assert tokens == expected


def test_a_child_comes_of_age_between_two_plans(desk):
    seventeen = replace(ZOE, birth="2006-02-10")

    async def work():
        async with desk() as d:
            await d.export(seventeen)
            await d.directory(ALICE, *children(seventeen, email="zoe@exemple.example"))
            await d.plan()
            first = brief(await d.notices())
            await d.plan(now=NOW + timedelta(days=1))
            return first, brief(await d.notices())

    first, second = asyncio.run(work())
    assert first == [("Zoé", "email", "children", "Alice", "dependant")]
    assert second == [("Zoé", "email", "own", "Zoé", "dependant")]


def test_a_held_child_decided_after_approval_is_planned_anew(desk):
    async def work():
        async with desk() as d:
            await d.export(ZOE)
            await d.directory(*children(ZOE))
            await d.plan()
            await d.approve()
            [case] = await d.open_cases()
            await d.decide(case.id, "own_letter")
            made = await d.plan()
            return made, await d.notices()

    made, [notice] = asyncio.run(work())
    assert (made.review, notice["route"], notice["reason"], notice["batch_id"]) == (0, "post", "child_address", None)
