"""Another machine than the last sender's has to say that it takes over (I5)."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from notifier.delivery.seat import Seat, take_seat
from notifier.errors import OtherHost
from notifier.machine import Reading
from notifier.storage.cycle import open_cycle
from tests.delivery.rows import Rows

HERE, THERE = "aa" * 16, "bb" * 16


@pytest.fixture
def rows(folder, vault) -> Rows:
    return Rows(folder / "campaign.db", vault)


@pytest.fixture
def sit(folder, now):
    def take(host, *, takes_over=False):
        async def whole():
            async with open_cycle(folder / "campaign.db") as cycle:
                await cycle.write(partial(take_seat, seat=Seat(host, takes_over), by="Nour", now=now))

        asyncio.run(whole())

    return take


def test_i5_another_machine_asks(rows, sit):
    sit(HERE)
    sit(HERE)
    snapshot = rows.snapshot()
    with pytest.raises(OtherHost, match="--take-over"):
        sit(THERE)
    assert rows.snapshot() == snapshot, "nothing was changed"
    sit(THERE, takes_over=True)
    (entry,) = rows.entries("taken_over")
    assert entry["facts"] == {"from": HERE, "to": THERE, "by": "Nour", "epoch": 1}
    sit(THERE)
    with pytest.raises(OtherHost):
        sit(HERE)


def test_to_take_over_from_nobody_is_no_event(rows, sit):
    sit(HERE, takes_over=True)
    sit(HERE, takes_over=True)
    assert rows.entries("taken_over") == [] and rows.one("SELECT sender_host FROM campaign") == HERE


def test_i6_after_a_step_of_the_clock_no_stored_moment_of_the_pace_is_believed(rows, sit, now):
    """What was reserved an hour ago by a wrong clock may be a second ago: the gate waits its longest honest wait."""
    from notifier.delivery.pace import Gate, Pace

    rows.run("INSERT INTO pace (name, next_us) VALUES ('127.0.0.1:25', 1)")
    rows.run("UPDATE campaign SET clock = ?", Reading(1, 1, "boot", stepped=True).dump())
    sit(HERE)
    stored = rows.one("SELECT next_us FROM pace")
    now_us = int(now.timestamp() * 1e6)
    gate = Gate(Pace(10.0), stored, now_us)
    assert gate.opens_at() == now_us + Pace(10.0).reach, "and no longer, though the moment is far away"
    gate.granted(gate.wish(now_us + Pace(10.0).reach, 1, 0))
    assert gate.take(gate.opens_at())
    rows.run("UPDATE pace SET next_us = 1")
    sit(HERE)
    assert rows.one("SELECT next_us FROM pace") == 1, "heeded once"
