"""Cases in which one slip tells the wrong person, or somebody twice: from rows to notices."""

from __future__ import annotations

import asyncio

from people_desk import ADDRESS, Insured, Practice, both


def run(desk, story) -> None:
    async def work() -> None:
        async with desk() as d:
            await story(d)

    asyncio.run(work())


def test_I1_I3_a_chain_of_300_establishments_at_one_mailbox_is_one_message(desk):
    async def story(d) -> None:
        shops = [
            Practice(company=f"Pharmacie {number}", finess=f"99{number:07d}", email="siege@chaine.example")
            for number in range(300)
        ]
        await d.export(*shops)
        made = await d.plan()
        assert (made.notifications, len(made.segments)) == (300, 1)
        assert made.segments[0].form == "establishments"
        assert await d.rows("SELECT COUNT(*), COUNT(DISTINCT delivery_id) FROM notifications") == [(300, 1)]

    run(desk, story)


def test_I2_one_person_at_two_mutuelles_is_told_by_each_at_the_address_that_each_knows(desk):
    async def story(d) -> None:
        here, there = Insured(), Insured(sender="montfleury")
        await d.export(here, there)
        await d.directory(both(here, email="ici@courriel.example"), both(there, email="autre@courriel.example"))
        await d.plan()
        told = {(notice["sender"], notice["reader_sender"], notice["email"]) for notice in await d.notices()}
        assert told == {
            ("clairval", "clairval", "ici@courriel.example"),
            ("montfleury", "montfleury", "autre@courriel.example"),
        }

    run(desk, story)


def test_I2_a_mutuelle_that_does_not_know_the_person_never_uses_the_others_address(desk):
    async def story(d) -> None:
        here, there = Insured(), Insured(sender="montfleury")
        await d.export(here, there)
        await d.directory(both(here, email="ici@courriel.example"))
        await d.plan()
        routes = {notice["sender"]: (notice["route"], notice["reason"]) for notice in await d.notices()}
        assert routes == {"clairval": ("email", "own_mailbox"), "montfleury": ("none", "unmatched")}

    run(desk, story)


def test_I2_a_child_under_the_other_parents_nir_is_found_by_the_contract(desk):
    async def story(d) -> None:
        father, mother = "1840512345678", "2850623456789"
        child = Insured(nir=mother, birth="2020-03-04", forename="Zoé", contract="K7")
        await d.export(child)
        holder = Insured(nir=father)
        await d.directory(
            both(holder, email="pere@courriel.example", contract="K7", member_number="M1"),
            both(
                Insured(nir=father, birth="2020-03-04", forename="Zoé"),
                contract="K7", member_number="M2", link="E", postal=ADDRESS,
            ),
        )  # fmt: skip
        await d.plan()
        [notice] = await d.notices()
        assert (notice["rung"], notice["route"], notice["form"]) == ("contract", "email", "children")
        assert notice["email"] == "pere@courriel.example"

    run(desk, story)
