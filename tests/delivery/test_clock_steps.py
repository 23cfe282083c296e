"""The wall clock is set: it is journaled once, and what waits for a moment waits as long as it would have (I6)."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from notifier import app as wiring
from notifier.app.opened import watch_clock
from notifier.delivery.lanes import FOREVER_MS
from notifier.machine import Reading, read_clocks, step_ms
from notifier.storage.clocks import _MOVE, _MOVED
from tests.delivery.rows import Rows

HOUR = 3_600_000


@pytest.fixture
def rows(folder, vault) -> Rows:
    return Rows(folder / "campaign.db", vault)


@pytest.fixture
def clock(monkeypatch):
    """``clock(ms)``: the wall clock is set by so much."""
    real, moved = time.time_ns, [0]
    monkeypatch.setattr(time, "time_ns", lambda: real() + moved[0] * 1_000_000)

    def put(milliseconds: int) -> None:
        moved[0] += milliseconds

    return put


def run(folder, *works):
    async def whole():
        async with wiring.open_campaign(folder, by="Nour", command="test") as opened:
            for work in works:
                if asyncio.iscoroutinefunction(work):
                    await work(opened)
                else:
                    work()

    asyncio.run(whole())


async def looks(opened) -> None:
    await watch_clock(opened, during="command")


@pytest.mark.parametrize(
    ("before", "after", "step"),
    [
        (Reading(1000, 500, "a"), Reading(61_000, 60_500, "a"), 0),
        (Reading(1000, 500, "a"), Reading(62_900, 60_500, "a"), 0),  # 1.9 s: the network adjusts
        (Reading(1000, 500, "a"), Reading(63_100, 60_500, "a"), 2100),
        (Reading(HOUR, 500, "a"), Reading(60_000, 60_500, "a"), -HOUR),
        (Reading(1000, 500_000, "a"), Reading(HOUR, 10, "b"), 0),  # it was off for an hour: who knows
        (Reading(HOUR, 500_000, "a"), Reading(1000, 10, "b"), 1000 - HOUR),
    ],
)
def test_when_the_clock_was_set(before, after, step):
    assert step_ms(before, after) == step


def test_a_sleep_is_no_step():
    """Both clocks go on while the machine sleeps."""
    assert step_ms(Reading(0, 0, "a"), Reading(8 * HOUR, 8 * HOUR, "a")) == 0
    assert Reading.load(read_clocks().dump()) and Reading.load("") is None


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_a_step_while_a_command_runs_is_journaled_once_and_moves_what_waits(folder, rows, clock, step):
    begun = int(time.time() * 1000)
    deferred = rows.deliver("a@courriel.example", state="deferred", due_ms=begun + 60_000)
    doubt = rows.deliver("b@courriel.example", state="in_doubt", due_ms=begun + 60_000)
    held = rows.deliver("c@courriel.example", state="in_doubt", due_ms=0)
    queued = rows.deliver("d@courriel.example")
    again = rows.deliver("e@courriel.example", due_ms=begun + 60_000)
    sending = rows.deliver("f@courriel.example", state="sending", due_ms=begun + 60_000)
    fresh = rows.deliver("g@courriel.example", state="sending")
    accepted = rows.deliver("h@courriel.example", state="accepted", due_ms=0)
    rows.run("UPDATE deliveries SET first_ms = ?, started_ms = ?", begun - 1000, begun - 500)
    rows.run("UPDATE deliveries SET first_ms = NULL, started_ms = NULL WHERE id = ?", *queued)
    rows.run(
        "INSERT INTO lanes VALUES ('orange', 0.5, 1, ?, ?, 'busy', 2), ('sfr', 1, 0, 0, ?, '', 0), "
        "('free', 1, 0, ?, ?, 'by hand: ', 0)",
        begun,
        begun,
        begun,
        FOREVER_MS,
        begun,
    )
    rows.run("UPDATE campaign SET first_attempt_ms = ?", begun)
    run(folder, looks, lambda: clock(step), looks, looks)
    assert abs(rows.one("SELECT first_attempt_ms FROM campaign") - begun - step) < 200, (
        "a warm-up's days are counted on"
    )
    (entry,) = rows.entries("clock_stepped")
    assert entry["facts"]["seconds"] == step // 1000 and entry["facts"]["during"] == "command"
    due = dict(rows.all("SELECT id, due_ms FROM deliveries"))
    for one in (*deferred, *doubt, *again, *sending):
        assert abs(due[one] - begun - 60_000 - step) < 200
    assert {due[one] for one in (*held, *queued, *fresh, *accepted)} == {0}, "who waits for nothing is due"
    for one in (*deferred, *doubt, *again, *sending, *fresh):
        first, started = rows.one("SELECT first_ms, started_ms FROM deliveries WHERE id = ?", one)
        assert abs(first - begun + 1000 - step) < 200 and started - first == 500, "72 hours stay 72 hours"
    others = rows.all("SELECT first_ms, started_ms FROM deliveries WHERE id IN (?, ?) ORDER BY id", *queued, *accepted)
    assert others == [(None, None), (begun - 1000, begun - 500)]
    lanes = dict(rows.all("SELECT provider, until_ms FROM lanes"))
    assert abs(lanes["orange"] - begun - step) < 200 and lanes["sfr"] == 0
    assert lanes["free"] == FOREVER_MS, "what somebody paused stays paused until somebody opens it"
    assert json.loads(rows.one("SELECT clock FROM campaign"))["stepped"] is True, "the next sender heeds it"


def test_a_step_reads_no_more_than_what_waits(rows):
    """Of millions that are due at once, or have gone out, none."""
    plans = [rows.all(f"EXPLAIN QUERY PLAN {_MOVE.replace(':step', '1')}{which}")[0][-1] for which in _MOVED]
    assert plans == [
        "SEARCH deliveries USING INDEX deliveries_due (priority=? AND due_ms>?)",
        "SEARCH deliveries USING INDEX deliveries_wave (wave_id=? AND state=?)",
        "SCAN deliveries USING INDEX deliveries_sending",
    ]


def test_of_a_file_and_a_plan_it_is_still_known_which_came_first(folder, rows, clock):
    begun = int(time.time() * 1000)
    rows.deliver("a@courriel.example")
    rows.run("UPDATE imports SET begun_ms = ?, completed_ms = ?", begun - 2000, begun - 1000)
    rows.run("UPDATE waves SET planned_ms = 0")
    rows.run("INSERT INTO waves (name, kind, created_ms, planned_ms) VALUES ('second', 'later', 0, ?)", begun - 500)
    run(folder, looks, lambda: clock(-HOUR), looks)
    ((read, complete),) = rows.all("SELECT begun_ms, completed_ms FROM imports")
    asked, planned = (row[0] for row in rows.all("SELECT planned_ms FROM waves ORDER BY id"))
    assert read < complete < planned < begun - HOUR + 200, "who plans now knows of every file"
    assert asked == 0, "whom a plan is still owed"


def test_a_step_between_two_commands_is_journaled(folder, rows, clock):
    run(folder)
    clock(-90_000)
    run(folder)
    run(folder)
    (entry,) = rows.entries("clock_stepped")
    assert entry["facts"]["seconds"] == -90 and entry["facts"]["during"] == "between_sessions"


def test_of_two_commands_that_saw_one_step_one_writes_it_down(folder, rows, clock):
    rows.deliver("a@courriel.example", state="deferred", due_ms=10 * HOUR)
    run(folder, lambda: clock(HOUR), lambda: None)  # its end sees the step
    run(folder)
    assert len(rows.entries("clock_stepped")) == 1
    assert abs(rows.one("SELECT due_ms FROM deliveries") - 11 * HOUR) < 200


def test_i6_a_step_does_not_allow_the_helplines_hour_twice(folder, rows, clock, monkeypatch):
    from datetime import UTC, datetime

    from notifier.campaign import load
    from notifier.delivery.limits import Limits

    monkeypatch.setenv("NOTIFIER_PACE__HOTLINE_PER_HOUR", "100")
    limits = Limits.of(load(folder))

    def this_hour() -> str:
        (name,) = limits.counters(datetime.fromtimestamp(time.time_ns() / 1e9, UTC), canary=False)
        return name

    rows.run("INSERT INTO begun VALUES (?, 80)", this_hour())
    run(folder, lambda: clock(HOUR))
    assert rows.one("SELECT number FROM begun WHERE name = ?", this_hour()) == 80
    rows.run("UPDATE begun SET number = 95 WHERE name = ?", this_hour())
    run(folder, lambda: clock(-HOUR))
    assert rows.one("SELECT number FROM begun WHERE name = ?", this_hour()) == 95
