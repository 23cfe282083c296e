"""Planning by situation writes what planning person by person writes."""

from __future__ import annotations

import asyncio

from notifier.model import WaveKind, to_ms
from notifier.people.drafts import Drafts
from notifier.people.matching import match
from notifier.people.routing import Router
from notifier.storage import concerned, notifications
from notifier.storage import waves as rounds
from notifier.storage.exposures import ExposureSets

from .people_desk import ADDRESS, NOW, Desk, Insured, Member, both

ROWS = (
    "SELECT p.identity, n.route, n.route_reason, n.review, n.excluded, s.sender, s.audience, s.form, s.language, "
    "e.canonical, d.token, d.contact_id, d.channel, d.state, d.provider, d.attempt, d.since_ms "
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
            assert len({row[1:8] for row in by_situation}) >= 8
            assert sum(row[10] is not None for row in by_situation) > 20

    asyncio.run(work())
