"""Planning by situation writes what planning person by person writes."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from notifier.model import WaveKind, to_ms
from notifier.people.drafts import Drafts
from notifier.people.matching import match
from notifier.people.routing import Router
from notifier.storage import concerned, notifications
from notifier.storage import waves as rounds
from notifier.storage.exposures import ExposureSets

from .people_desk import ADDRESS, NOW, Desk, Insured, Member, Practice, both

ROWS = (
    "SELECT p.identity, p.contact_id, p.rung, n.route, n.route_reason, n.review, n.excluded, "
    "s.sender, s.audience, s.form, s.language, e.canonical, d.token, d.contact_id, d.channel, d.state, "
    "d.provider, d.attempt, d.since_ms "
    "FROM notifications n JOIN persons p ON p.id = n.person_id JOIN segments s ON s.id = n.segment_id "
    "JOIN exposure_sets e ON e.id = s.exposure_set_id LEFT JOIN deliveries d ON d.id = n.delivery_id "
    "ORDER BY p.identity"
)


def family() -> tuple[list[Insured], list[Member]]:
    """Every plain situation: holders and spouses with and without mailbox or address, past, dead and unknown; and what
    is not plain: children."""
    rows, members = [], []
    statuses = ("active", "ended", "deceased")
    for number in range(48):
        nir = f"2550814{168000 + number:06d}"
        row = Insured(nir, "1955-08-02", f"ANNE {number}", f"LEFEVRE {number}", 1, contract=f"CT{number // 2}")
        rows.append(row)
        if number % 8 == 7:
            continue
        link = "C" if number % 2 else ("E" if number % 12 == 0 else "A")
        members.append(
            both(
                row,
                link=link,
                status=statuses[number // 16],
                email=f"p{number}@orange.fr" if number % 3 else "",
                postal=None if number % 5 == 0 else ADDRESS,
                contract=f"CT{number // 2}",
            )
        )
    return rows, members


async def routed(desk: Desk, *, plain: bool) -> list[tuple[object, ...]]:
    async with desk.database.plan() as connection:
        wave = await rounds.begin_wave(connection, "initial", WaveKind.INITIAL, to_ms(NOW))
        await notifications.clear_unapproved(connection, wave.id)
        await concerned.prepare(connection)
        await match(connection, desk.vault, NOW)
        drafts = await Drafts.begin(connection, desk.vault, wave, NOW)
        if not plain:
            drafts._tokens_taken = True  # as if something of the wave were there already
        await Router(
            connection, desk.vault, wave, drafts, await ExposureSets.load(connection),
            today=NOW.date(), language="fr", adult_dependants="contract_mailbox",
        ).route_everybody()  # fmt: skip
    return [tuple(row) for row in await desk.rows(ROWS)]


def test_i1_by_situation_and_one_by_one_are_the_same_plan(opened, vault, settings) -> None:
    async def work() -> None:
        async with opened() as database:
            desk = Desk(database, vault, settings)
            rows, members = family()
            await desk.export(*rows)
            await desk.directory(*members)
            one_by_one = await routed(desk, plain=False)
            by_situation = await routed(desk, plain=True)
            assert by_situation == one_by_one
            assert len({row[3:10] for row in by_situation}) >= 8
            assert sum(row[12] is not None for row in by_situation) > 20

    asyncio.run(work())


def crowd(draw: Random) -> tuple[list[Insured | Practice], list[Member]]:
    """Families of every composition: children of all ages, contracts without a holder, with two, or a firm's; members
    listed twice, of one forename, past and dead; persons whom no directory knows; practices at shared mailboxes."""
    rows: list[Insured | Practice] = []
    members: list[Member] = []
    for home in range(40):
        contract = f"CT{home if draw.random() < 0.8 else 0}"
        for place in range(draw.randrange(1, 6)):
            link = draw.choice("ACEEE" if place else "AAAC")
            year = draw.randrange(2003, 2022) if link == "E" else draw.randrange(1940, 1990)
            birth = f"{year}-{draw.choice(('00', '02', '11'))}-{draw.choice(('00', '09', '28'))}"
            nir = f"1{year % 100:02d}0814{home:03d}{place:03d}"
            row = Insured(
                nir, birth, draw.choice(("Anne", "Bob", "")), f"Nom{home}", draw.choice((1, None)), contract=contract,
                sender=draw.choice(("clairval", "clairval", "meridienne")),
                exposures=draw.choice((("viamedis:nir",), ("viamedis:nir", "viamedis:contract"), ("almerys:nir",))),
            )  # fmt: skip
            if draw.random() < 0.9:
                rows.append(row)
            for number in range(draw.choice((0, 1, 1, 1, 1, 1, 1, 2))):
                member = both(
                    row, link=link, contract=contract, member_number=f"M{home}-{place}-{number}",
                    status=draw.choice(("active", "active", "active", "ended", "deceased")),
                    email=draw.choice(("", f"p{home}@orange.fr", f"p{home}{place}@exemple.example")),
                    postal=draw.choice((None, ADDRESS)), language=draw.choice(("fr", "fr", "de")),
                    forename=draw.choice((row.forename, row.forename, "")),
                )  # fmt: skip
                members.append(member)
    for place in range(6):
        rows.append(Practice(finess=f"99000000{place}", email=draw.choice(("", "soin@exemple.example"))))
    return rows, members


@pytest.mark.parametrize("seed", range(4))
def test_i1_i2_i3_a_first_plan_is_the_plan_that_one_by_one_would_be(opened, vault, settings, seed) -> None:
    """Who is told through whom, in which delivery, under which token, and what goes to review: on random campaigns."""

    async def planned(desk: Desk, *, plain: bool) -> list[list[tuple[object, ...]]]:
        rows = await routed(desk, plain=plain)
        cases = await desk.rows("SELECT person_id, reason, candidates, state FROM reviews ORDER BY person_id, reason")
        shared = await desk.rows(
            "SELECT d.token, COUNT(*) FROM deliveries d JOIN notifications n ON n.delivery_id = d.id GROUP BY d.token "
            "ORDER BY d.token"
        )
        assert not list(await desk.rows("PRAGMA foreign_key_check"))
        assert not list(await desk.rows("SELECT 1 FROM deliveries WHERE id NOT IN (SELECT delivery_id "
                                        "FROM notifications WHERE delivery_id IS NOT NULL)"))  # fmt: skip
        return [rows, [tuple(case) for case in cases], [tuple(one) for one in shared]]

    async def work() -> None:
        async with opened() as database:
            desk = Desk(database, vault, settings)
            rows, members = crowd(Random(seed))
            await desk.export(*rows)
            await desk.directory(*members)
            await desk.run("UPDATE contacts SET letter = 'opposition', mailbox = NULL WHERE id % 13 = 0")
            await desk.run("UPDATE persons SET excluded = 'exempt' WHERE id % 11 = 0")
            by_situation = await planned(desk, plain=True)
            one_by_one = await planned(desk, plain=False)
            again = await planned(desk, plain=True)
            assert by_situation == one_by_one == again
            assert len(by_situation[0]) == len(await desk.rows("SELECT id FROM persons"))
            assert {row[3] for row in by_situation[0]} == {"email", "post", "none"}
            assert by_situation[1], "somebody is under review"
            assert any(many > 1 for _, many in by_situation[2]), "some notice tells of several"

    asyncio.run(work())
