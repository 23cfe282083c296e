"""Nobody stays unreachable once a newer file gives a way, and nobody is written to twice at a dead mailbox (I1, I3)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from people_desk import ADDRESS, NOW, Desk, Insured, Practice, both

from notifier.model import Postal, Term, WaveKind, to_ms
from notifier.people.waves import plan
from notifier.storage.accounting import account

ALICE = Insured(forename="Alice", contract="K1")
ZOE = replace(ALICE, forename="Zoé", birth="2012-06-01")
DEAD, NEW = "alice@dead.example", "alice@new.example"
MEMBER = both(ALICE, email=DEAD)
CHILD = both(ZOE, member_number="M2", link="E")
ELSEWHERE = Postal(("2 rue des Ormes",), "00000", "Clairval")


def story(desk, tell) -> None:
    async def whole() -> None:
        async with desk() as d:
            await tell(d)

    asyncio.run(whole())


async def failed(d: Desk, state: str = "refused", *members, rows=(ALICE,)) -> None:
    """Everybody is planned, approved, and every delivery fails with nothing in its place."""
    await d.export(*rows)
    if members:
        await d.directory(*members)
    await d.plan()
    await d.approve()
    await d.run("UPDATE deliveries SET state = :state, attempt = 1", state=state)


async def term_of(d: Desk) -> Term:
    """The one term under which everybody of the first wave counts; the round's account balances (I1)."""
    async with d.database.read() as connection:
        counted = await account(connection, now_ms=to_ms(NOW))
    assert all(wave.balances for wave in counted.waves)
    [term] = [term for term, count in counted.waves[0].terms.items() if count]
    return term


async def live(d: Desk) -> list[tuple[str, str, bool]]:
    """Channel, reader's address and approval of the deliveries that notifications hang on (I3: one each)."""
    return [(n["channel"], n["email"], n["batch_id"] is not None) for n in await d.notices() if n["delivery_id"]]


async def replanned(d: Desk) -> list[str]:
    rows = await d.rows("SELECT body FROM entries WHERE kind = 'notification_replanned' ORDER BY id")
    return [json.loads(body)["facts"]["reason"] for (body,) in rows]


@pytest.mark.parametrize("state", ["refused", "expired", "bounced"])
def test_I1_a_newer_mailbox_makes_a_person_reachable_again(desk, state):
    async def tell(d: Desk) -> None:
        await failed(d, state, MEMBER)
        assert await term_of(d) is Term.UNREACHABLE
        await d.directory(replace(MEMBER, email=NEW), as_of="2024-02-15")
        for _ in range(2):
            await d.plan()
            assert await live(d) == [("mail", NEW, False)]
            assert await term_of(d) is Term.PENDING
        assert await replanned(d) == ["reachable_again"]
        await d.approve()
        before = await d.dump()
        await d.plan()
        assert await live(d) == [("mail", NEW, True)]
        assert (await d.dump())["deliveries"] == before["deliveries"], "and stays as it was approved"
        assert await d.rows("SELECT state FROM deliveries ORDER BY id") == [(state,), ("queued",)]

    story(desk, tell)


@pytest.mark.parametrize("state", ["refused", "expired"])
def test_I3_never_again_to_the_same_dead_mailbox(desk, state):
    async def tell(d: Desk) -> None:
        await failed(d, state, MEMBER)
        await d.directory(replace(MEMBER, email=DEAD.upper(), language="de"), as_of="2024-02-15")
        await d.plan()
        assert await term_of(d) is Term.UNREACHABLE and await replanned(d) == []
        await d.directory(replace(MEMBER, postal=ADDRESS), as_of="2024-02-16")
        await d.plan()
        assert [each[0] for each in await live(d)] == ["post"]
        assert await term_of(d) is Term.POST

    story(desk, tell)


def test_a_dead_mailbox_is_not_tried_in_a_later_round(desk):
    async def tell(d: Desk) -> None:
        await failed(d, "refused", replace(MEMBER, postal=ADDRESS))
        await d.run("UPDATE deliveries SET state = 'posted', channel = 'post'")
        await d.run(
            "INSERT INTO deliveries (token, wave_id, segment_id, contact_id, channel, state, batch_id, attempt, "
            "retries, doubts, epoch, provider, due_ms, since_ms) SELECT randomblob(16), wave_id, segment_id, "
            "contact_id, 'mail', 'refused', batch_id, 1, 0, 0, 0, 'other', 0, 0 FROM deliveries"
        )
        await d.export(replace(ALICE, exposures=("almerys:nir",)))
        await plan(d.database, d.vault, d.settings, wave="supplement", kind=WaveKind.SUPPLEMENT, now=NOW)
        rows = await d.rows("SELECT route, route_reason FROM notifications WHERE wave_id = 2")
        assert rows == [("post", "no_mailbox")]

    story(desk, tell)


def test_I2_a_second_address_is_taken_where_the_first_is_dead(desk):
    async def tell(d: Desk) -> None:
        await failed(d, "refused", MEMBER)
        await d.directory(replace(MEMBER, second_email=NEW), as_of="2024-02-15")
        await d.plan()
        assert await term_of(d) is Term.PENDING
        assert await d.rows("SELECT state, is_second FROM deliveries ORDER BY id") == [("refused", 0), ("queued", 1)]
        await d.approve()
        await d.run("UPDATE deliveries SET state = 'refused', attempt = 1 WHERE is_second")
        await d.plan()
        assert await term_of(d) is Term.UNREACHABLE

    story(desk, tell)


@pytest.mark.parametrize(("state", "kept"), [("expired", 1), ("refused", 0), ("bounced", 0)])
def test_I1_a_second_address_that_merely_expired_is_not_forgotten(desk, state, kept):
    """A full mailbox may be emptied until the next round; a mailbox that was refused for good leads nowhere again."""

    async def tell(d: Desk) -> None:
        await failed(d, "refused", replace(MEMBER, second_email=NEW))
        await d.run("UPDATE deliveries SET state = :state, is_second = TRUE", state=state)
        await d.directory(replace(MEMBER, email="alice@newest.example", second_email=NEW), as_of="2024-02-15")
        await d.plan()
        assert await live(d) == [("mail", "alice@newest.example", False)]
        rows = await d.rows("SELECT second_mailbox IS NOT NULL FROM contacts ORDER BY id DESC LIMIT 1")
        assert rows == [(kept,)]

    story(desk, tell)


def test_I1_a_child_is_told_when_the_holder_can_be_reached_again(desk):
    async def tell(d: Desk) -> None:
        await failed(d, "refused", MEMBER, CHILD, rows=(ZOE,))
        assert await term_of(d) is Term.UNREACHABLE
        await d.directory(replace(MEMBER, email=NEW), CHILD, as_of="2024-02-15")
        await d.plan()
        assert await live(d) == [("mail", NEW, False)]
        assert [each["reader"] for each in await d.notices()] == ["Alice"]

    story(desk, tell)


def test_I1_a_professional_whose_newer_row_gives_another_mailbox(desk):
    async def tell(d: Desk) -> None:
        shop = Practice(email="shop@dead.example")
        await failed(d, "refused", rows=(shop,))
        await d.plan()
        assert await term_of(d) is Term.UNREACHABLE
        await d.export(replace(shop, email="shop@new.example"))
        await d.plan()
        assert await live(d) == [("mail", "shop@new.example", False)]

    story(desk, tell)


def test_I3_a_letter_that_came_back_is_not_sent_there_again(desk):
    async def tell(d: Desk) -> None:
        letter = replace(MEMBER, email="", postal=ADDRESS)
        await failed(d, "returned", letter)
        await d.directory(letter, as_of="2024-02-15")
        await d.plan()
        assert await term_of(d) is Term.UNREACHABLE
        await d.directory(replace(letter, postal=ELSEWHERE), as_of="2024-02-16")
        await d.plan()
        assert await term_of(d) is Term.POST and await replanned(d) == ["reachable_again"]

    story(desk, tell)


def test_I7_who_was_told_keeps_the_contact_that_was_approved(desk):
    async def tell(d: Desk) -> None:
        await failed(d, "accepted", MEMBER)
        await d.directory(replace(MEMBER, email=NEW), as_of="2024-02-15")
        before = await d.dump()
        await d.plan()
        after = await d.dump()
        assert (before["persons"], before["deliveries"]) == (after["persons"], after["deliveries"])

    story(desk, tell)
