"""Many doubts without a crash are ours; a crash's are not the breaker's business (DESIGN 9)."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest

from notifier.delivery.sender import resume
from tests.relay.server import Act

pytestmark = pytest.mark.thorough

GOOD, BAD = 600, 200


def addresses(count: int, prefix: str = "p") -> list[str]:
    return [f"{prefix}{number:04}@courriel.example" for number in range(count)]


def test_a_relay_that_begins_to_drop_late_in_a_long_run_pauses_as_soon(rows, server, sending):
    """What went well before does not pay for it: the doubts are looked for among the latest outcomes."""
    rows.deliver(*addresses(GOOD))
    rows.deliver(*addresses(BAD, "q"))
    for address in addresses(BAD, "q"):
        server.on(address, Act("final", then="take_drop"))
    report = sending(server, tune={"connections": 2})
    assert report.reason == "paused"
    assert re.match(r"1[0-8] of the last \d+ deliveries are in doubt: ", report.paused_reason)
    assert 10 <= report.in_doubt <= 10 + 8, "the number that is too many, and one window"
    assert report.accepted == GOOD


def test_i5_what_a_crash_left_in_doubt_does_not_pause(rows, server, sending):
    ids = rows.deliver(*addresses(60), state="sending")
    rows.run("UPDATE deliveries SET attempt = 1, epoch = 1, started_ms = 1, first_ms = 1")
    more = rows.deliver(*addresses(30, "q"))
    report = sending(server, tune={"connections": 2})
    assert report.reason == "done" and report.recovered == 60
    assert {rows.state(one) for one in ids} == {"in_doubt"} and {rows.state(one) for one in more} == {"accepted"}
    assert rows.entries("campaign_paused") == []


def test_after_resume_it_counts_anew_and_pauses_again_if_nothing_was_mended(rows, server, sending, opened):
    rows.deliver(*addresses(100))
    for address in addresses(100):
        server.on(address, Act("final", then="take_drop"))
    tune = {"connections": 1, "doubt__policy": "hold"}
    first = sending(server, tune=tune)
    assert first.reason == "paused" and sending(server, tune=tune).in_doubt == 0, "paused stays paused"

    async def allow():
        async with opened() as database:
            assert await resume(database, by="ops", now=datetime.now(UTC))

    asyncio.run(allow())
    second = sending(server, tune=tune)
    assert second.reason == "paused" and 5 <= second.in_doubt <= 5 + 4
    assert rows.states()["in_doubt"] == first.in_doubt + second.in_doubt


def test_a_few_doubts_among_many_pause_nothing(rows, server, sending):
    rows.deliver(*addresses(300))
    for address in addresses(300)[::40]:
        server.on(address, Act("final", then="take_drop"))
    report = sending(server, tune={"connections": 1})
    assert report.reason == "done" and report.in_doubt == 8
    later = sending(server, clock=lambda: datetime.now(UTC) + timedelta(hours=1))
    assert later.accepted == 8 and later.exit_code == 0


def test_every_tenth_is_told_as_that(rows, server, sending):
    rows.deliver(*addresses(300))
    for address in addresses(300)[::9]:
        server.on(address, Act("final", then="take_drop"))
    report = sending(server, tune={"connections": 1})
    doubts, last = map(int, re.match(r"(\d+) of the last (\d+) deliveries are in doubt", report.paused_reason).groups())
    assert 5 <= doubts <= report.in_doubt and doubts * 7 <= last <= 50 + 4
