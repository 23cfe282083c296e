"""Coverage: the I1 table by group, the bridge from rows to persons, the other side; senders kept apart (I2)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from people_desk import ADDRESS, NOW, Insured, Practice, both

from notifier.coverage import by_group, other_side
from notifier.model import to_ms
from notifier.storage import coverage
from notifier.storage.coverage import BY, Step, of_another_sender

pytestmark = pytest.mark.thorough

ALICE = Insured(forename="Alice", contract="K1")
BASILE = Insured(nir="1820512345678", forename="Basile", birth="1982-05-12", contract="K2")
CLARA = Insured(nir="2850512345678", forename="Clara", birth="1985-05-12", contract="K3", exposures=("almerys:nir",))


def run(desk, body):
    async def work():
        async with desk() as d:
            return await body(d)

    return asyncio.run(work())


async def bridge(d):
    async with d.database.read() as connection:
        return await coverage.bridge(connection)


async def of_incident(d, number, incident, rejected=0):
    """The n-th export is of this incident, and so many of its rows were rejected."""
    await d.run(
        "UPDATE imports SET incident = :incident, records = (SELECT COUNT(*) FROM records WHERE import_id = :id), "
        "rejections = :rejected, rows_read = :rejected + (SELECT COUNT(*) FROM records WHERE import_id = :id) "
        "WHERE id = :id",
        id=number,
        incident=incident,
        rejected=rejected,
    )
    for line in range(rejected):
        await d.run(
            'INSERT INTO rejections (import_id, line, "column", code, state, reason, decided_by) '
            "VALUES (:id, :line, 'NIR', 'nir_missing', 'open', '', '')",
            id=number,
            line=1000 + line,
        )


def test_I1_the_bridge_names_each_row_that_is_not_a_new_person(desk):
    other_words = replace(ALICE, contract="K7")

    async def body(d):
        await d.export(ALICE, ALICE, other_words, BASILE)
        await d.export(ALICE, CLARA)
        await d.export(replace(ALICE, exposures=("almerys:nir",)), replace(BASILE, sender="valmont"))
        for number, incident, rejected in ((1, "viamedis", 2), (2, "viamedis", 0), (3, "almerys", 1)):
            await of_incident(d, number, incident, rejected)
        made = await bridge(d)
        assert made.steps == [
            Step("almerys", "clairval", 1, 0, 0, 0, 1, 0),
            Step("almerys", "valmont", 1, 0, 0, 0, 0, 1),
            Step("viamedis", "clairval", 6, 1, 1, 1, 0, 3),
        ]
        assert (made.rows, made.rejections, made.records, made.persons) == (11, 3, 8, 4)
        assert (
            made.rows
            - made.rejections
            - sum(made.total(term) for term in ("same_row", "same_person", "another_file", "other_incident"))
            == 4
        )
        assert made.adds_up
        await d.run("DELETE FROM records WHERE id = 1")
        assert not (await bridge(d)).adds_up

    run(desk, body)


PEOPLE = st.tuples(st.sampled_from([ALICE, BASILE, CLARA]), st.sampled_from(["clairval", "valmont"]))


@given(files=st.lists(st.lists(PEOPLE, min_size=1, max_size=5), min_size=1, max_size=3), reached=st.booleans())
@hypothesis_settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_I1_every_grouping_adds_up_to_the_wave(desk_anew, files, reached):
    async def body(d):
        for number, rows in enumerate(files, start=1):
            await d.export(*(replace(row, sender=sender) for row, sender in rows))
            await of_incident(d, number, ("viamedis", "almerys")[number % 2])
        if reached:
            await d.directory(both(ALICE, email="a@exemple.example"), both(BASILE, member_number="M2", postal=ADDRESS))
        await d.plan()
        persons = {(row.nir, sender) for rows in files for row, sender in rows}
        for by in BY:
            table = await by_group(d.database, by, now=NOW)
            assert table.balances
            groups = table.waves["initial"]
            assert sum(group.owed for group in groups.values()) == len(persons) == table.totals["initial"]["owed"]
        made = await bridge(d)
        assert made.adds_up
        assert made.persons == len(persons)
        spoken = [(row.nir, sender) for rows in files for row, sender in rows]
        assert made.again == len(spoken) - len(persons)

    run(desk_anew, body)


def test_I1_a_missing_notification_shows_in_its_group(desk):
    async def body(d):
        await d.export(ALICE, BASILE, replace(CLARA, sender="valmont"))
        await d.plan()
        assert (await by_group(d.database, "sender", now=NOW)).balances
        await d.run("DELETE FROM notifications WHERE person_id IN (SELECT id FROM persons WHERE sender = 'valmont')")
        table = await by_group(d.database, "sender", now=NOW)
        assert not table.balances
        assert {name: group.balances for name, group in table.waves["initial"].items()} == {
            "clairval": True,
            "valmont": False,
        }
        assert "IT DOES NOT BALANCE." in table.lines()

    run(desk, body)


def test_who_stands_in_two_files_is_in_the_group_of_both(desk):
    async def body(d):
        await d.export(ALICE, BASILE)
        await d.export(replace(ALICE, exposures=("almerys:nir",)), CLARA)
        await d.plan()
        names = [row.sha256[:12] for row in await d.rows("SELECT sha256 FROM imports ORDER BY id")]
        by_file = (await by_group(d.database, "file", now=NOW)).waves["initial"]
        assert {name: group.owed for name, group in by_file.items()} == {
            names[0]: 1,
            names[1]: 1,
            " + ".join(names): 1,
        }
        by_incident = (await by_group(d.database, "incident", now=NOW)).waves["initial"]
        assert {name: group.owed for name, group in by_incident.items()} == {
            "viamedis": 1,
            "almerys": 1,
            "almerys + viamedis": 1,
        }

    run(desk, body)


def test_the_other_side_counts_members_whom_no_export_names(desk):
    async def body(d):
        await d.export(ALICE)
        old = both(BASILE, member_number="M2", status="ended")
        await d.directory(both(ALICE, email="a@exemple.example"), old, as_of="2023-01-31")
        await d.directory(both(ALICE, email="b@exemple.example"), both(CLARA, member_number="M3"))
        await d.plan()
        assert [tuple(each) for each in await other_side(d.database)] == [
            ("clairval", "active", "2024-01-31", "unknown", 1),
            ("clairval", "ended", "2023-01-31", "unknown", 1),
        ]

    run(desk, body)


# -- several senders in one campaign -----------------------------------------------------------------------------------

SENDERS = ("clairval", "valmont", "operateur")
CHILD = replace(ALICE, forename="Zoé", birth="2012-06-01")


def test_I2_no_notification_of_one_sender_uses_a_contact_of_another(desk):
    """Two mutuelles with the same persons, contract numbers and mailbox, and an operator that writes to practices."""
    rows = [replace(row, sender=sender) for row, sender in product((ALICE, BASILE, CHILD), SENDERS[:2])]
    practices = [
        Practice(
            company=f"Cabinet {number}", finess=f"99000000{number}", email="partage@exemple.example", sender=sender
        )
        for number, sender in product((1, 2), SENDERS)
    ]

    async def body(d):
        await d.export(*rows, *practices)
        members = []
        for sender in SENDERS[:2]:
            mail = {"email": "partage@exemple.example", "contract": "K1"}
            members += [
                both(replace(ALICE, sender=sender), **mail),
                # Of the second mutuelle the spouse has no mailbox: only the other one's row gives it.
                both(replace(BASILE, sender=sender), member_number="M2", link="C", contract="K1",
                     email=mail["email"] if sender == "clairval" else "", postal=ADDRESS),
                both(replace(CHILD, sender=sender), member_number="M3", link="E", contract="K1"),
            ]  # fmt: skip
        await d.directory(*members)
        await d.plan()
        notices = await d.notices()
        assert len(notices) == len(rows) + len(practices)
        for notice in notices:
            assert notice["reader_sender"] == notice["sender"], "I2"
        assert [(n["sender"], n["route"]) for n in notices if n["name"] == "Basile"].count(("valmont", "post")) == 1
        together = await d.rows(
            "SELECT n.delivery_id FROM notifications n JOIN persons p ON p.id = n.person_id "
            "GROUP BY n.delivery_id HAVING COUNT(DISTINCT p.sender) > 1"
        )
        assert together == []
        assert await crossing(d) == 0

    run(desk, body)


async def crossing(d):
    async with d.database.read() as connection:
        return await of_another_sender(connection)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE persons SET contact_id = (SELECT id FROM contacts WHERE sender = 'valmont') WHERE sender = 'clairval'",
        "UPDATE deliveries SET contact_id = (SELECT id FROM contacts WHERE sender = 'valmont')",
        "UPDATE notifications SET segment_id = (SELECT MAX(id) FROM segments)",
    ],
)
def test_I2_check_finds_a_contact_of_another_sender(desk, damage):
    async def body(d):
        mine = replace(ALICE, sender="valmont")
        await d.export(ALICE, mine)
        await d.directory(both(ALICE, email="a@exemple.example"), both(mine, email="v@exemple.example"))
        await d.plan()
        assert await crossing(d) == 0
        await d.run(damage)
        assert await crossing(d) == 1

    run(desk, body)


def test_the_accounts_instant_counts_in_the_groups_too(desk):
    async def body(d):
        await d.export(ALICE)
        await d.directory(both(ALICE, email="a@exemple.example"))
        await d.plan()
        await d.approve()
        await d.run("UPDATE deliveries SET state = 'accepted', observe_until_ms = :until", until=to_ms(NOW) - 1)
        await d.run("UPDATE campaign SET returns_read_ms = :now", now=to_ms(NOW))
        [group] = (await by_group(d.database, "wave", now=NOW)).waves["initial"].values()
        assert group.terms["presumed"] == 1

    run(desk, body)
