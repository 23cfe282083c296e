"""I6 at a real server: MAIL commands written, by the sender's clock, per relay and per provider, over restarts."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta

import pytest

from notifier.delivery.pause import open_lane
from notifier.errors import SettingsError
from notifier.model import to_ms
from notifier.storage import deliveries, due_lanes
from notifier.storage.cycle import open_cycle
from tests.relay.server import Act

NOW = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
THROTTLED = "421 Trop de connexions, veuillez verifier votre configuration. OFR004_104"
UNKNOWN = "550 5.1.1 unknown user"


def many(count: int, prefix: str = "p") -> list[str]:
    return [f"{prefix}{number}@courriel.example" for number in range(count)]


@pytest.fixture(params=["pipelining", "lockstep"])
def manner(request, server) -> str:
    if request.param == "pipelining":
        server.extensions = (*server.extensions, "PIPELINING")
    return request.param


# -- the relay -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "burst", "count"), [(150.0, 1, 48), (90.0, 5, 36)])
def test_i6_the_pace_counted_at_a_real_server(rows, server, sending, written, manner, rate, burst, count):
    """Over a restart, four connections, one that drops and addresses that are refused: after a refusal the session is
    made clean before the gate is asked, not between the gate and MAIL."""
    addresses = many(count)
    rows.deliver(*addresses)
    server.on(addresses[3], Act("rcpt", then="drop"))
    for address in addresses[5::6]:
        server.on(address, Act("rcpt", UNKNOWN))
    tune = {"rate": rate, "burst": burst, "connections": 4}
    sending(server, limit=count // 2, tune=tune)
    sending(server, tune=tune)
    refused = len(addresses[5::6])
    assert rows.states() == {"accepted": count - refused, "refused": refused, "to_print": refused}
    assert len(written.mails) == count + 1 and written.keeps(rate, burst)
    assert not server.faults


# -- and its providers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "crashed"])
def test_i6_a_relay_and_two_providers_hold_together_over_a_restart(rows, server, sending, written, manner, crash):
    """A lane with a pace by the campaign, one with a pace by the proposals, one without, all behind the relay's."""
    rows.deliver(*many(12, "o"), provider="orange")
    rows.deliver(*many(18, "g"), provider="gmail")
    rows.deliver(*many(18, "x"))
    server.on("o2@courriel.example", Act("rcpt", then="drop"))
    tune = {"rate": 120.0, "connections": 3, "pace__rates": {"orange": 20.0, "gmail": 40.0}}
    cycles = 0

    def fuse(progress) -> None:
        nonlocal cycles
        cycles += 1
        if crash and cycles == 12:
            raise ZeroDivisionError

    if crash:
        with pytest.raises(ZeroDivisionError):
            sending(server, tune=tune, on_progress=fuse)
    else:
        sending(server, tune=tune, limit=24)
    sending(server, tune=tune)
    window = 4 * tune["connections"]
    assert set(rows.states()) <= {"accepted", "in_doubt"} and rows.states().get("in_doubt", 0) <= crash * window
    assert len(written.mails) >= 48 - window
    assert written.keeps(120.0)
    assert written.keeps(20.0, of="orange") and written.keeps(40.0, of="gmail")
    names = {name for (name,) in rows.all("SELECT name FROM pace")}
    assert names == {f"127.0.0.1:{server.port}{lane}" for lane in ("", " orange", " gmail")}


def test_i6_a_wall_clock_set_back_before_a_restart_opens_no_gate_and_closes_none(rows, server, sending, written):
    """By the clock that only goes forward."""
    rows.deliver(*many(20, "o"), provider="orange")
    tune = {"rate": 60.0, "burst": 2, "pace__rates": {"orange": 30.0}}
    sending(server, tune=tune, limit=10)
    sending(server, tune=tune, clock=lambda: datetime.now(UTC) - timedelta(hours=1))
    assert rows.states() == {"accepted": 20} and len(written.mails) == 20
    assert written.keeps(60.0, 2) and written.keeps(30.0, of="orange")


def test_a_slow_lane_holds_nobody_up(rows, server, sending, written):
    """However few connections there are, and whoever stands first."""
    rows.deliver(*many(20, "o"), provider="orange")
    rows.deliver(*many(40, "g"), provider="gmail")
    server.on_take = lambda: len(server.taken) == 41 and os.kill(os.getpid(), signal.SIGTERM)
    report = sending(server, tune={"connections": 1, "pace__rates": {"orange": 0.001}})
    assert report.reason == "stopped" and report.accepted == 41
    assert len(written.at("orange")) == 1 and rows.states() == {"accepted": 41, "queued": 19}
    assert rows.one("SELECT SUM(attempt) FROM deliveries") == 41


def test_with_a_limit_what_a_lane_cannot_take_now_waits_behind_the_others(rows, server, sending):
    rows.deliver(*many(5, "o"), provider="orange")
    rows.deliver(*many(5, "g"), provider="gmail", segment=1)
    server.on_take = lambda: len(server.taken) == 5 and os.kill(os.getpid(), signal.SIGTERM)
    report = sending(server, tune={"connections": 1, "pace__rates": {"orange": 0.001}}, limit=8)
    assert report.accepted == 5 and sorted(taken.recipient[0] for taken in server.taken) == ["g", "g", "g", "g", "o"]


def test_lanes_take_turns(rows, folder):
    """I6: within one priority from every lane that has slots, beginning behind the last; of each the longest due."""
    for lane in ("orange", "gmail", "free"):
        rows.deliver(*many(4, lane), provider=lane, due_ms=5)
    rows.run("UPDATE deliveries SET priority = 1 WHERE id IN (4, 8)")
    rows.run("UPDATE deliveries SET due_ms = 99 WHERE id = 9")

    async def work(**asked):
        async with open_cycle(folder / "campaign.db") as cycle:
            asked = {"now_ms": 10, "wave_id": None, "resting": [], "slots": {}, **asked}
            return await cycle.read(lambda connection: due_lanes.due(connection, **asked))

    first = asyncio.run(work(most=5))
    assert first.ids == [8, 4, 10, 5, 1] and first.last == "orange" and not first.hungry
    assert asyncio.run(work(most=4, after="free")).ids == [8, 4, 5, 1]
    few = asyncio.run(work(most=9, slots={"orange": 1, "gmail": 0}, resting=["free"]))
    assert few.ids == [4] and few.hungry == {"orange", "gmail"}


def test_a_lanes_turn_is_one_walk_along_its_index(rows, folder):
    values = {"now": 1, "most": 10, "wave_id": None, "provider": "orange"}

    async def plan() -> list[str]:
        async with open_cycle(folder / "campaign.db") as cycle:
            steps = await cycle.read(lambda c: c.execute(f"EXPLAIN QUERY PLAN {due_lanes._OF_LANE}", values).fetchall())
        return [str(step[-1]) for step in steps]

    steps = asyncio.run(plan())
    walks = [step for step in steps if "INDEX deliveries_lane (provider=? AND priority=? AND due_ms<?)" in step]
    assert len(walks) == len(deliveries.PRIORITIES), steps


# -- a provider that asks for less ---------------------------------------------------------------------------------


def test_i6_a_throttled_lane_slows_down_though_nobody_gave_it_a_pace(rows, server, sending, written):
    """Half of what it was given before, from a stored base, over restarts; the others go on as they were."""
    rows.deliver(*many(30, "o"), provider="orange")
    server.on("o20@courriel.example", Act("rcpt", THROTTLED))
    one = {"connections": 1, "window": 1}
    sending(server, clock=lambda: NOW, tune=one)
    factor, base, until = rows.one("SELECT factor, base, until_ms FROM lanes")
    assert (factor, until - to_ms(NOW)) == (0.5, 60_000)
    assert base == 20.0, "so many in less than a second"
    before = len(written.mails)
    rows.deliver(*many(10, "x"))
    began = datetime.now(UTC)

    def clock() -> datetime:  # goes on while one run ends and the next begins
        return NOW + timedelta(seconds=60) + (datetime.now(UTC) - began)

    sending(server, clock=clock, tune=one, limit=12)
    assert {provider for provider, in rows.all("SELECT provider FROM deliveries WHERE state <> 'accepted'")} == {
        "orange", "other"}, "both go on in the next run"  # fmt: skip
    sending(server, clock=clock, tune=one)
    assert rows.states() == {"accepted": 40}
    del written.mails[:before]
    assert len(written.at("orange")) == 10 and written.keeps(base * factor, of="orange")
    assert rows.all("SELECT name FROM pace") == [(f"127.0.0.1:{server.port} orange",)]


def test_what_is_claimed_when_its_lane_begins_to_rest_is_given_back(rows, server, sending, written):
    """Nobody's attempt is spent on it."""
    rows.deliver(*many(40, "o"), provider="orange")
    server.on("o0@courriel.example", Act("rcpt", THROTTLED))
    sending(server, clock=lambda: NOW, tune={"connections": 1, "window": 20, "rate": 200.0})
    assert rows.one("SELECT SUM(attempt) FROM deliveries") == len(written.mails)
    assert rows.one("SELECT MAX(attempt) FROM deliveries") == 1 and rows.states()["queued"] > 0


def test_somebody_opens_a_throttled_lane_and_it_is_as_it_was(rows, server, sending):
    rows.deliver(*many(4, "o"), provider="orange")
    server.on("o0@courriel.example", Act("rcpt", THROTTLED))
    sending(server, clock=lambda: NOW, tune={"connections": 1, "window": 1}, limit=1)

    async def open_it(database):
        await open_lane(database, "orange", by="dpo", now=NOW)

    sending(server, clock=lambda: NOW, wave="initial", meanwhile=open_it)
    sending(server, clock=lambda: NOW)
    assert rows.states() == {"accepted": 4} and rows.one("SELECT factor FROM lanes") == 1.0


def test_i4_who_gives_back_a_pace_after_the_rest_is_over_is_named_too(rows, server, sending, opened):
    """The lane goes on with half its pace: the whole one comes from somebody, so the journal says from whom."""
    rows.deliver(*many(4, "o"), provider="orange")
    server.on("o0@courriel.example", Act("rcpt", THROTTLED))
    sending(server, clock=lambda: NOW, tune={"connections": 1, "window": 1}, limit=1)

    async def open_it() -> list[bool]:
        async with opened() as database:
            later = NOW + timedelta(minutes=2)
            return [await open_lane(database, "orange", by="dpo", now=later) for _ in range(2)]

    assert asyncio.run(open_it()) == [True, False]
    assert rows.one("SELECT factor FROM lanes") == 1.0
    (entry,) = rows.entries("lane_opened")
    assert entry["facts"] == {"provider": "orange", "by": "dpo"}


# -- what may be written -------------------------------------------------------------------------------------------


def test_a_rate_for_a_provider_that_nobody_knows_is_told_before_anything_is_begun(rows, server, sending):
    rows.deliver(*many(2))
    with pytest.raises(SettingsError, match=r"pace\.rates\.orage: no such provider .*\borange\b"):
        sending(server, tune={"pace__rates": {"orage": 1.0}})
    assert server.sessions == 0 and rows.states() == {"queued": 2}
