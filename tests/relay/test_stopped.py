"""A sender that was stopped for long (a laptop asleep, SIGSTOP) writes nothing until it has asked whether it is still
the sender; one that is no more ends, and what it had begun is in doubt with whoever took over (I4, I5)."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing

import pytest

from notifier.delivery import pulse
from notifier.delivery.outbox import Outbox
from notifier.delivery.outcomes import Kind
from notifier.delivery.pipeline import Pipeline
from notifier.delivery.pulse import GAP_SECONDS, Pulse
from notifier.errors import CampaignBusy
from tests.relay.server import Act, Server
from tests.relay.test_pipeline import PATIENCE, RULES, Post, Wire


class Clock:
    """The machine's, and what it slept."""

    def __init__(self) -> None:
        self.slept = 0.0

    def __call__(self) -> int:
        return time.monotonic_ns() + int(self.slept * 1e9)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pulse, "boot_ns", clock)
    return clock


def many(count: int) -> list[str]:
    return [f"p{number}@courriel.example" for number in range(count)]


def at_message(server: Server, number: int, happens) -> None:
    def look() -> None:
        if len(server.taken) == number:
            happens()

    server.on_take = look


def test_a_gap_is_remembered_until_the_database_was_asked():
    now = [0]
    beating = Pulse(lambda: now[0])
    for _ in range(30):
        now[0] += int(GAP_SECONDS * 1e9) - 1
        assert beating.is_steady()
        beating.beat()
    now[0] += int(GAP_SECONDS * 1e9) + 1
    assert not beating.is_steady()
    beating.beat()
    assert not beating.is_steady(), "a beat after the gap does not close it"
    beating.checked()
    assert beating.is_steady()


@pytest.mark.parametrize("pipelining", [True, False])
def test_i5_after_a_sleep_it_goes_on_where_nobody_took_over(rows, server, sending, clock, pipelining):
    rows.deliver(*many(80))
    at_message(server, 25, lambda: setattr(clock, "slept", 3600.0))
    report = sending(server, wait=True, tune={"pipelining": pipelining, "retry__first_seconds": 0.05})
    assert report.exit_code == 0 and rows.states() == {"accepted": 80}
    assert len(server.taken) == 80 + len(rows.entries("delivery_in_doubt")), "no duplicate without a trace"


def test_i4_i5_after_a_sleep_nothing_goes_out_where_somebody_took_over(rows, server, sending, clock, folder):
    """The database cannot be asked at once: until it can, no MAIL and no dot is written."""
    rows.deliver(*many(80))
    with closing(sqlite3.connect(folder / "campaign.db", isolation_level=None)) as other:

        def sleep() -> None:
            other.execute("UPDATE campaign SET sender_epoch = sender_epoch + 1")
            other.execute("BEGIN IMMEDIATE")
            asyncio.get_running_loop().call_later(0.3, other.execute, "ROLLBACK")
            clock.slept += 3600

        at_message(server, 25, sleep)
        with pytest.raises(CampaignBusy, match="took over"):
            sending(server)
    assert len(server.taken) <= 25 + 3, "what the other connections had on the wire"
    # Deferred: a machine that really stood still before has cut sessions.
    assert sum(rows.states().get(state, 0) for state in ("queued", "accepted", "sending", "deferred")) == 80


@pytest.mark.parametrize("size", [0, 100_000])
def test_i5_no_dot_is_written_across_a_gap(size):
    """It slept between its DATA and the server's 354: nothing was handed over, and it is safe to try again."""

    async def whole() -> None:
        steady = [True]
        wire = Wire()
        wire.protocol = Pipeline(wire, {"pipelining": ""}, PATIENCE, lambda: True, RULES, lambda: steady[0])
        post = Post()
        wire.protocol.submit(post.transaction(1, size))
        wire.protocol.submit(post.transaction(2))
        steady[0] = False
        wire.protocol.data_received(b"250 ok\r\n250 ok\r\n354 go\r\n")
        assert post.kind(1) is Kind.LOST and b"\r\n.\r\n" not in wire.written
        assert wire.closing and post.begun == [1] and wire.protocol.unstage() is not None

    asyncio.run(whole())


def test_i5_a_sender_that_slept_before_the_dot_begins_that_message_anew(rows, server, sending, clock):
    """The server's 354 comes after the sleep: the session ends without the dot, and another one carries the message."""
    rows.deliver("a@courriel.example")
    server.on("a@courriel.example", Act("data", then="held"))

    async def sleeps(_database) -> None:
        async with asyncio.timeout(20):
            while not any(command.startswith("DATA") for command in server.commands):
                await asyncio.sleep(0)
        clock.slept = 3600.0
        server.allowed.set()

    report = sending(server, wait=True, tune={"connections": 1}, meanwhile=sleeps)
    assert report.accepted == 1 and len(server.taken) == 1
    assert rows.all("SELECT number, outcome FROM attempts ORDER BY number") == [(1, "lost"), (2, "accepted")]


def test_i5_no_mail_is_written_across_a_gap(vault, now, clock):
    outbox = Outbox(vault, lambda: now)
    assert outbox.is_running()
    clock.slept += GAP_SECONDS + 1
    assert not outbox.is_running() and not outbox.stopping.is_set()
    outbox.pulse.checked()
    assert outbox.is_running()


def test_i5_who_is_no_more_the_sender_learns_it_with_the_next_cycle(rows, server, sending):
    """Without any sleep: another machine, whose lock we cannot see, took over."""
    rows.deliver(*many(400))
    at_message(server, 25, lambda: rows.run("UPDATE campaign SET sender_epoch = sender_epoch + 1"))
    with pytest.raises(CampaignBusy, match="took over"):
        sending(server)
    assert len(server.taken) <= 25 + 2 * 16, "the window, and what the cycle under way had claimed"
