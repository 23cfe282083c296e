"""I6 beside the rate: sending hours, caps of the helpline, the canary, counted at a real server under a given clock."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from notifier.delivery.pause import pause, pause_lane, resume
from tests.relay.server import Act

PARIS = ZoneInfo("Europe/Paris")
MORNING = datetime(2024, 2, 9, 5, 30, tzinfo=UTC)  # 06:30 in Paris
HOURS = {"pace__hours": "08:00-20:00"}


def many(count: int, prefix: str = "p") -> list[str]:
    return [f"{prefix}{number}@courriel.example" for number in range(count)]


class Clock:
    """Says what the test says."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Stamped(list):
    """The server's MAIL commands by the test's clock, which each of them moves on."""

    def __init__(self, clock: Clock, step) -> None:
        self.clock, self.step, self.at = clock, step, []

    def append(self, item) -> None:
        super().append(item)
        self.at.append(self.clock.now)
        self.clock.now += self.step()


class Fuse:
    """A crash in the middle: an error that nothing expects, at the n-th cycle."""

    def __init__(self, cycles: int) -> None:
        self.left = cycles

    def __call__(self, progress) -> None:
        self.left -= 1
        if self.left == 0:
            raise ZeroDivisionError


def allow(by: str = "dpo"):
    async def meanwhile(database):
        await resume(database, by=by, now=MORNING)

    return meanwhile


# -- sending hours -------------------------------------------------------------------------------------------------


def test_outside_the_hours_nothing_is_begun_and_the_opening_is_told(rows, server, sending):
    rows.deliver(*many(3))
    report = sending(server, clock=lambda: MORNING, tune=HOURS)
    assert server.sessions == 0 and rows.states() == {"queued": 3}
    assert report.reason == "done" and report.exit_code == 1
    assert report.next_due == MORNING + timedelta(minutes=90) and report.waits_because == "outside the sending hours"
    assert sending(server, clock=lambda: MORNING + timedelta(minutes=90), tune=HOURS).accepted == 3


def test_with_wait_it_goes_on_when_the_hours_open(rows, server, sending, monkeypatch):
    monkeypatch.setattr("notifier.delivery.run.POLL_SECONDS", 0.01)
    rows.deliver(*many(3))
    clock, told = Clock(MORNING), []

    def watch(progress) -> None:
        told.append(len(server.mails))
        if len(told) == 3:
            clock.now = MORNING + timedelta(minutes=90)

    report = sending(server, clock=clock, tune=HOURS, wait=True, on_progress=watch)
    assert told[:3] == [0, 0, 0] and report.accepted == 3 and report.exit_code == 0


def test_the_hours_close_in_the_middle_of_a_run(rows, server, sending):
    rows.deliver(*many(20))
    clock = Clock(datetime(2024, 2, 9, 18, 51, tzinfo=UTC))
    server.mails = Stamped(clock, lambda: timedelta(minutes=1))
    report = sending(server, clock=clock, tune={**HOURS, "connections": 1, "window": 1})
    assert all(at.astimezone(PARIS).hour < 20 for at in server.mails.at) and len(server.mails) == report.accepted == 9
    assert report.next_due == datetime(2024, 2, 10, 7, 0, tzinfo=UTC)


# -- the helpline's caps -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_i6_no_hour_and_no_day_holds_more_than_the_helpline_bears(rows, server, sending, seed):
    """Over restarts, crashes in the middle of a cycle, dropped connections, claims that an hour's end overtakes."""
    dice = random.Random(seed)
    addresses = many(60)
    rows.deliver(*addresses)
    for address in dice.sample(addresses, 10):
        server.on(address, Act("rcpt", then="drop"))
    # In this night the clocks go forward.
    clock = Clock(datetime(2024, 3, 30, 18, 40, tzinfo=UTC))
    server.mails = Stamped(clock, lambda: timedelta(minutes=dice.choice([0, 0, 1, 3, 9])))
    tune = {"pace__hotline_per_hour": 6, "pace__hotline_per_day": 25, "connections": 2, "window": 4}
    crashes = runs = 0
    while set(rows.states()) & {"queued", "deferred", "sending"} or runs == 0:
        runs += 1
        assert runs < 200
        fuse = dice.choice([3, 5, 1000]) if crashes < 5 else 1000
        try:
            report = sending(server, clock=clock, tune=tune, on_progress=Fuse(fuse))
        except ZeroDivisionError:
            crashes += 1
            continue
        if report.next_due is not None:
            # Late in an hour, so that its end overtakes what is claimed.
            clock.now = max(clock.now, report.next_due + timedelta(minutes=dice.choice([0, 55, 58])))
    local = [at.astimezone(PARIS) for at in server.mails.at]
    assert crashes >= 3 and len(local) >= 60
    assert max(Counter(at.strftime("%Y-%m-%dT%H%z") for at in local).values()) <= 6
    days = Counter(at.date() for at in local)
    assert max(days.values()) <= 25 and len(days) >= 3


def test_the_caps_say_when_they_let_the_next_ones_go(rows, server, sending):
    rows.deliver(*many(10))
    tune = {"pace__hotline_per_hour": 4, "pace__hotline_per_day": 6}
    report = sending(server, clock=lambda: MORNING, tune=tune)
    assert report.accepted == 4 and report.reason == "done" and report.exit_code == 1
    assert report.next_due == datetime(2024, 2, 9, 6, 0, tzinfo=UTC)
    assert report.waits_because == "the helpline's 4 messages of this hour are begun"
    report = sending(server, clock=lambda: MORNING + timedelta(hours=1), tune=tune)
    assert report.accepted == 2 and report.next_due == datetime(2024, 2, 9, 23, 0, tzinfo=UTC), "midnight in Paris"
    assert sending(server, clock=lambda: MORNING + timedelta(days=1), tune={**tune, **HOURS}).accepted == 0
    assert sending(server, clock=lambda: MORNING + timedelta(days=1), tune=tune).accepted == 4


def test_what_was_claimed_and_not_begun_is_given_back(rows, server, sending):
    rows.deliver(*many(10))

    async def broken(batch_id, segment_id):
        raise ZeroDivisionError

    tune = {"pace__hotline_per_hour": 4, "pace__canary": 4}
    with pytest.raises(ZeroDivisionError):
        sending(server, clock=lambda: MORNING, tune=tune, notice_for=broken)
    assert set(rows.all("SELECT number FROM begun")) == {(0,)} and rows.states() == {"queued": 10}
    assert sending(server, clock=lambda: MORNING, tune=tune).accepted == 4


def test_i6_the_first_days_hold_no_more_than_the_warm_up_over_restarts_and_a_crash(rows, server, sending):
    """By the campaign's own days, from its first attempt on, with a day on which nothing was sent."""
    rows.deliver(*many(40))
    clock = Clock(datetime(2024, 3, 30, 20, 0, tzinfo=UTC))  # in the night that follows, the clocks go forward
    server.mails = Stamped(clock, lambda: timedelta(minutes=1))
    tune = {"pace__warm_up": (4, 7, 9, 11), "connections": 2, "window": 4}
    with pytest.raises(ZeroDivisionError):
        sending(server, clock=clock, tune=tune, on_progress=Fuse(2))
    report = sending(server, clock=clock, tune=tune)
    assert report.waits_because == "the 4 messages of day 1 of the warm-up are begun"
    assert report.next_due == datetime(2024, 3, 30, 23, 0, tzinfo=UTC), "midnight in Paris"
    clock.now = report.next_due
    report = sending(server, clock=clock, tune=tune)
    assert report.next_due == datetime(2024, 3, 31, 22, 0, tzinfo=UTC), "a day of 23 hours"
    clock.now = report.next_due + timedelta(days=1)  # nobody sent on the third day: it counts
    sending(server, clock=clock, tune=tune)
    clock.now = datetime(2024, 4, 3, 8, 0, tzinfo=UTC)
    sending(server, clock=clock, tune=tune)
    days = Counter(at.astimezone(PARIS).date().day for at in server.mails.at)
    assert days[30] <= 4 and days[31] == 7 and days[2] == 11
    assert days[3] >= 40 - 4 - 7 - 11 and not set(rows.states()) - {"accepted", "in_doubt"}


# -- the canary ----------------------------------------------------------------------------------------------------


def test_the_canary_pauses_after_the_first_ones_of_every_segment(rows, server, sending):
    for segment in range(3):
        rows.deliver(*many(20, f"s{segment}-"), segment=segment)
    tune = {"pace__canary": 6}
    report = sending(server, clock=lambda: MORNING, tune=tune)
    assert sorted(taken.recipient[:2] for taken in server.taken) == ["s0", "s0", "s1", "s1", "s2", "s2"]
    assert report.reason == "paused" and report.paused_reason.startswith("canary: 6 begun") and report.exit_code == 1
    assert rows.states() == {"accepted": 6, "queued": 54}, "all of them have ended: there is something to look at"
    assert sending(server, clock=lambda: MORNING, tune=tune).accepted == 0
    sending(server, clock=lambda: MORNING, tune=tune, wave="initial", meanwhile=allow())
    sending(server, clock=lambda: MORNING, tune=tune)
    assert rows.states() == {"accepted": 60}, "passed for good"
    kinds = [entry["kind"] for entry in rows.entries() if entry["kind"].startswith("campaign_")]
    assert kinds[-2:] == ["campaign_paused", "campaign_resumed"]


def test_the_canary_and_a_limit_write_to_every_provider_of_a_segment(rows, server, sending):
    """However few of its mailboxes one has, and however late they were planned."""
    rows.deliver(*many(40, "g"), provider="gmail")
    rows.deliver(*many(3, "o"), provider="orange")
    rows.deliver(*many(1, "l"), provider="laposte")
    sending(server, clock=lambda: MORNING, tune={"pace__canary": 6}, limit=3)
    assert sorted(taken.recipient[0] for taken in server.taken) == ["g", "l", "o"]
    assert sending(server, clock=lambda: MORNING, tune={"pace__canary": 6}).reason == "paused"
    assert Counter(taken.recipient[0] for taken in server.taken) == {"g": 3, "l": 1, "o": 2}


def test_the_canary_counts_over_runs_and_a_pause_by_hand_does_not_pass_it(rows, server, sending):
    rows.deliver(*many(20))
    tune = {"pace__canary": 5}
    assert sending(server, clock=lambda: MORNING, tune=tune, limit=2).reason == "limit"

    async def by_hand(database):
        await pause(database, reason="texte à corriger", by="dpo", now=MORNING)
        await resume(database, by="dpo", now=MORNING)

    sending(server, clock=lambda: MORNING, tune=tune, limit=1, meanwhile=by_hand)
    report = sending(server, clock=lambda: MORNING, tune=tune, limit=15)
    assert report.reason == "paused" and "canary" in report.paused_reason and len(server.taken) == 5


def test_a_canary_larger_than_what_is_due_stops_nothing(rows, server, sending):
    rows.deliver(*many(3))
    report = sending(server, clock=lambda: MORNING, tune={"pace__canary": 50})
    assert report.reason == "done" and report.exit_code == 0 and rows.states() == {"accepted": 3}
    rows.deliver(*many(60, "q"))
    assert sending(server, clock=lambda: MORNING, tune={"pace__canary": 50}).reason == "paused"
    assert len(server.taken) == 50


@pytest.mark.parametrize("lane", [None, "orange"])
def test_i8_what_looks_like_an_address_or_a_number_is_taken_out_of_a_reason_to_pause(rows, opened, lane):
    async def work():
        async with opened() as database:
            said, now = "appel de zoe@courriel.example, 2 95 09 99 126 123 45", datetime.now(UTC)
            if lane is None:
                await pause(database, reason=said, by="ops", now=now)
            else:
                await pause_lane(database, lane, known=(lane,), reason=said, by="ops", now=now)

    asyncio.run(work())
    (entry,) = rows.entries("campaign_paused" if lane is None else "lane_paused")
    said = rows.one("SELECT paused_reason FROM campaign" if lane is None else "SELECT why FROM lanes")
    assert entry["facts"]["reason"] == said.removeprefix("paused by hand: ") == "appel de <recipient>, <number>"
