"""Lanes that rest: what a provider's replies do to a run (DOMAIN D5), against a server that speaks like them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from notifier.delivery.pause import open_lane, pause_lane
from notifier.errors import OperatorError
from notifier.model import to_ms
from notifier.storage import deliveries
from notifier.storage.cycle import open_cycle
from tests.relay.server import Act

NOW = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
CLOSED = "421 Service refuse. Veuillez essayer plus tard."  # Orange: an hour
THROTTLED = "421 Trop de connexions, veuillez verifier votre configuration. OFR004_104"
ONE = {"connections": 1, "window": 1}


def many(count: int, prefix: str = "p") -> list[str]:
    return [f"{prefix}{number}@courriel.example" for number in range(count)]


def test_a_closed_lane_stops_nobody_else_and_costs_nobody_an_attempt(rows, server, sending):
    orange, gmail = rows.deliver(*many(30, "o"), provider="orange"), rows.deliver(*many(30, "g"), provider="gmail")
    server.on("o0@courriel.example", Act("rcpt", CLOSED))
    report = sending(server, clock=lambda: NOW, tune=ONE)
    assert {taken.recipient[0] for taken in server.taken} == {"g"} and report.accepted == len(gmail)
    assert rows.one("SELECT MAX(attempt), SUM(attempt), SUM(retries) FROM deliveries WHERE provider = 'orange'") == (
        1, 1, 0,
    )  # fmt: skip
    assert report.reason == "done" and report.exit_code == 1 and report.remaining == len(orange)
    assert report.next_due == NOW + timedelta(hours=1) and "the lane orange rests" in report.waits_because
    (entry,) = rows.entries("lane_closed")
    assert entry["facts"]["provider"] == "orange" and entry["facts"]["until"].startswith("2024-02-09T09:00:00")

    again = sending(server, clock=lambda: NOW + timedelta(minutes=59), tune=ONE)
    assert again.accepted == 0 and again.next_due == NOW + timedelta(hours=1), "kept over restarts"
    last = sending(server, clock=lambda: NOW + timedelta(hours=1), tune=ONE)
    assert last.accepted == len(orange) and last.exit_code == 0


def test_somebody_opens_a_lane_by_name(rows, server, sending):
    rows.deliver(*many(5, "o"), provider="orange")
    server.on("o0@courriel.example", Act("rcpt", CLOSED))
    sending(server, clock=lambda: NOW, tune=ONE)
    opened = []

    async def open_it(database):
        opened.append(await open_lane(database, "orange", by="dpo", now=NOW))
        opened.append(await open_lane(database, "orange", by="dpo", now=NOW))
        with pytest.raises(OperatorError, match=r"no lane 'orage' .*: orange\)"):
            await open_lane(database, "orage", by="dpo", now=NOW)

    sending(server, clock=lambda: NOW, tune=ONE, wave="initial", meanwhile=open_it)
    assert opened == [True, False]
    report = sending(server, clock=lambda: NOW, tune=ONE)
    assert rows.states() == {"accepted": 5} and report.exit_code == 0, "who was told to wait is due at once"
    (entry,) = rows.entries("lane_opened")
    assert entry["facts"] == {"provider": "orange", "by": "dpo"}


@pytest.mark.thorough
def test_three_throttles_in_a_row_close_a_lane_over_restarts(rows, server, sending):
    rows.deliver(*many(4, "o"), provider="orange")
    server.on("o0@courriel.example", *[Act("rcpt", THROTTLED)] * 3)
    now, waits = NOW, []
    for _ in range(3):
        report = sending(server, clock=lambda now=now: now, tune=ONE, limit=1)
        waits.append(rows.one("SELECT until_ms FROM lanes") - to_ms(now))
        now += timedelta(milliseconds=waits[-1])
        # The next claim is again the one that is throttled.
        rows.run("UPDATE deliveries SET due_ms = 1 WHERE state = 'queued'")
        rows.run("UPDATE deliveries SET due_ms = 0 WHERE state = 'deferred'")
        assert report.accepted == 0
    assert waits == [60_000, 120_000, 3_600_000]
    assert rows.one("SELECT factor FROM lanes") == 1 / 8
    assert sending(server, clock=lambda: now, tune=ONE).accepted == 4
    assert rows.one("SELECT throttles FROM lanes") == 0


def test_a_provider_that_nobody_named_is_no_lane(rows, server, sending):
    """*other* is thousands of servers: one that is busy stops none of the rest."""
    rows.deliver(*many(20))
    server.on("p0@courriel.example", Act("rcpt", "421 4.3.2 Service shutting down"))
    report = sending(server, tune=ONE)
    assert report.accepted == 19 and rows.all("SELECT * FROM lanes") == []
    assert rows.one("SELECT retries FROM deliveries WHERE state = 'deferred'") == 0


def test_what_is_due_elsewhere_is_what_would_be_due_without_the_lane(rows, opened, folder):
    """By priority, the longest due first, whatever their lanes."""
    for number, provider in enumerate(["orange", "gmail", "free", "gmail", "orange", "other"] * 3):
        rows.deliver(f"a{number}@courriel.example", provider=provider, due_ms=100 - number)
    rows.run("UPDATE deliveries SET priority = id % 3")
    told = rows.all(
        "SELECT id FROM deliveries WHERE provider <> 'orange' AND due_ms <= 95 ORDER BY priority, due_ms, id LIMIT 7"
    )

    async def work():
        async with open_cycle(folder / "campaign.db") as cycle:
            resting = ["orange", "sfr"]
            due = await cycle.read(lambda c: deliveries._due_elsewhere(c, 95, 7, None, resting))
            following = await cycle.read(lambda c: deliveries.next_due(c, wave_id=None, resend=False, resting=resting))
            return due, following, await cycle.read(lambda c: deliveries.next_due_of_lane(c, "orange", wave_id=None))

    due, following, of_orange = asyncio.run(work())
    assert due == [number for (number,) in told]
    assert following == rows.one("SELECT MIN(due_ms) FROM deliveries WHERE provider <> 'orange'")
    assert of_orange == rows.one("SELECT MIN(due_ms) FROM deliveries WHERE provider = 'orange'")


def test_lanes_are_walked_along_their_own_index(rows, folder):
    """However many wait in a lane at rest."""
    values = {"now": 1, "most": 10, "wave_id": None, "priority": 1, "provider": "orange"}

    async def plan(sql: str) -> list[str]:
        async with open_cycle(folder / "campaign.db") as cycle:
            steps = await cycle.read(lambda c: c.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall())
        return [str(step[-1]) for step in steps]

    for sql, how in (
        (deliveries._OF_LANE, "INDEX deliveries_lane (provider=? AND priority=? AND due_ms<?)"),
        (deliveries._NEXT_OF_LANE, "INDEX deliveries_lane (provider=? AND priority=?)"),
        (deliveries._LANES, "INDEX deliveries_lane (provider>?)"),
    ):
        steps = asyncio.run(plan(sql))
        assert any(how in step for step in steps), steps
        assert not any("TEMP B-TREE" in step for step in steps), steps


def test_i4_a_lane_paused_by_name_stays_so_over_restarts(rows, server, sending, opened):
    """It is journaled, no reply and no time opens it, `send` ends without waiting for it, and who opens it is named."""
    orange, gmail = rows.deliver(*many(5, "o"), provider="orange"), rows.deliver(*many(3, "g"), provider="gmail")
    known = ("orange", "gmail")

    async def work():
        async with opened() as database:
            with pytest.raises(OperatorError, match=r"no provider 'orage' \(there are: gmail, orange, other\)"):
                await pause_lane(database, "orage", known=known, reason="r", by="dpo", now=NOW)
            return [
                await pause_lane(database, "orange", known=known, reason=reason, by="dpo", now=NOW)
                for reason in ("a call from Orange, dns@orange.example", "another")
            ]

    assert asyncio.run(work()) == [True, False]
    (entry,) = rows.entries("lane_paused")
    assert entry["facts"] == {"provider": "orange", "reason": "a call from Orange, <recipient>", "by": "dpo"}
    for now in (NOW, NOW + timedelta(days=400)):
        report = sending(server, clock=lambda now=now: now, wait=True, tune=ONE)
        assert report.reason == "done" and report.exit_code == 1 and report.next_due is None
        assert "the lane orange is paused by hand: a call from Orange" in report.waits_because
    assert rows.states() == {"accepted": len(gmail), "queued": len(orange)}

    async def resume_it():
        async with opened() as database:
            return await open_lane(database, "orange", by="dpo", now=NOW)

    assert asyncio.run(resume_it()) and sending(server, tune=ONE).accepted == len(orange)


def test_a_lane_is_paused_while_a_sender_runs(rows, server, sending):
    """From another connection: what is under way is finished, nothing more is taken, the other lanes go on."""
    rows.deliver(*many(200, "o"), provider="orange")
    rows.deliver(*many(20, "g"), provider="gmail", due_ms=5)

    async def pause_it(database):
        while not server.taken:
            await asyncio.sleep(0)
        assert await pause_lane(database, "orange", known=("orange",), reason="r", by="dpo", now=NOW)

    report = sending(server, clock=lambda: NOW, tune={"connections": 1, "window": 4}, meanwhile=pause_it)
    sent = [taken.recipient[0] for taken in server.taken]
    assert sent.count("g") == 20 and 0 < sent.count("o") < 200 and report.left.waiting == 200 - sent.count("o")


# -- those that were picked first, when their lane begins to rest ----------------------------------------------------


def test_a_limit_is_used_up_in_other_lanes_when_the_picked_one_begins_to_rest(rows, server, sending):
    """`--limit` says how many, not which: who was picked and cannot be claimed now takes nobody's place."""
    rows.deliver(*many(5, "o"), provider="orange")
    rows.deliver(*many(5, "g"), provider="gmail")
    server.on("o0@courriel.example", Act("rcpt", CLOSED))
    report = sending(server, clock=lambda: NOW, tune=ONE, limit=3)
    assert [taken.recipient[0] for taken in server.taken] == ["g", "g"]
    assert report.reason == "limit" and report.deferred == 1 and report.remaining == 8


def test_a_limit_that_is_not_used_up_is_not_why_a_run_ends(rows, server, sending):
    rows.deliver(*many(5, "o"), provider="orange")
    server.on("o0@courriel.example", Act("rcpt", CLOSED))
    report = sending(server, clock=lambda: NOW, tune=ONE, limit=3)
    assert report.reason == "done" and report.next_due == NOW + timedelta(hours=1)
    assert "the lane orange rests" in report.waits_because and report.remaining == 5


def test_the_canary_goes_on_in_other_lanes_when_the_picked_one_begins_to_rest(rows, server, sending):
    """Nobody gave a limit, so none ends the run before the canary's number is begun."""
    rows.deliver(*many(5, "o"), provider="orange")
    rows.deliver(*many(5, "g"), provider="gmail")
    server.on("o0@courriel.example", Act("rcpt", CLOSED))
    report = sending(server, clock=lambda: NOW, tune={**ONE, "pace__canary": 3})
    assert [taken.recipient[0] for taken in server.taken] == ["g", "g"]
    assert report.reason == "paused" and report.paused_reason.startswith("canary: 3 begun")


def test_with_wait_a_limit_is_kept_until_the_lane_opens(rows, server, sending, monkeypatch):
    """Nothing could be picked at first, or only some: the others are begun when they may be."""
    monkeypatch.setattr("notifier.delivery.run.POLL_SECONDS", 0.01)
    rows.deliver(*many(5, "o"), provider="orange")
    server.on("o0@courriel.example", Act("rcpt", CLOSED))
    sending(server, clock=lambda: NOW, tune=ONE, limit=1)
    told = []

    def clock() -> datetime:
        return NOW + timedelta(hours=len(told) >= 3)

    report = sending(server, clock=clock, tune=ONE, limit=3, wait=True, on_progress=told.append)
    assert report.reason == "limit" and report.accepted == 3 and report.remaining == 2
