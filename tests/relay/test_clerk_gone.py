"""I5 when the clerk dies in the middle of a cycle: the sender finds out whether the commit held, and goes on alone."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from notifier.delivery import registry
from notifier.delivery.clerical import Taken
from notifier.delivery.registry import Registry
from notifier.proof.verifier.verify import Ledger
from tests.relay.server import Act
from tests.relay.test_staff import (
    BENCH,
    CLERK,
    assert_each_has_its_own,
    beside,
    findable,
    hired,
    noting,
    processes,
)
from tests.relay.test_unmade import many

__all__ = ["findable"]

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc which processes there are")
thorough = pytest.mark.thorough


@pytest.fixture
def unhurried(rows) -> None:
    """A cycle that takes its time, within its transaction, after the first of what it records."""
    rows.run(
        "CREATE TRIGGER slowly AFTER INSERT ON attempts BEGIN SELECT COUNT(*) FROM "
        "(SELECT 1 FROM deliveries a, deliveries b, deliveries c, deliveries d LIMIT 300000); END"
    )


def stands(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


async def is_locked(path: Path) -> bool:
    """Somebody is in a transaction that writes, and stays in it."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
        for _ in range(6):
            try:
                other.execute("BEGIN IMMEDIATE")
                other.execute("ROLLBACK")
                return False
            except sqlite3.OperationalError:
                await asyncio.sleep(0.02)  # the sealer's takes less
    return True


def inside(server, path: Path, struck: list[int], how: signal.Signals = signal.SIGKILL):
    """``meanwhile``: strike the clerk in the middle of its transaction, once some messages are taken."""

    async def strike(_) -> None:
        while not (found := processes(CLERK)) or len(server.taken) < 6:
            await asyncio.sleep(0.01)
        (pid,) = found
        while True:
            os.kill(pid, signal.SIGSTOP)
            while not stands(pid):
                await asyncio.sleep(0)
            if await is_locked(path):
                break
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(0.03)  # it must get on: one that makes no message for half a minute is dismissed
        struck.append(pid)
        os.kill(pid, how)
        server.allowed.set()

    return strike


@pytest.fixture
def unheard(monkeypatch) -> list[int]:
    """The clerk is killed after the commit of a cycle that has recorded and claimed; its answer does not come."""
    heard, struck = Registry.heard, []

    def hear(self, item) -> None:
        if not struck and isinstance(item, Taken) and item.fates and item.claims:
            struck.extend(processes(CLERK))
            os.kill(struck[0], signal.SIGKILL)
        if not struck:
            heard(self, item)

    monkeypatch.setattr(Registry, "heard", hear)
    return struck


def assert_nothing_happened(rows, server, vault, folder, count: int) -> None:
    """As if no clerk had died: each once, at the first attempt, told once, in a journal that adds up."""
    assert_each_has_its_own(rows, server, vault)
    assert rows.all("SELECT COUNT(*), MIN(number), MAX(number), MAX(late) FROM attempts") == [(count, 1, 1, 0)]
    assert rows.one("SELECT COUNT(*) FROM deliveries WHERE attempt <> (state = 'accepted')") == 0
    read = Ledger("")
    for entry in rows.entries():
        read.add(entry)
    assert set(read.states.values()) == {"accepted"} and len(read.states) == count
    told = [line for line in (folder / "logs" / "mail.log").read_text().splitlines() if " accepted " in line]
    assert len(told) == len({line.split()[2] for line in told}) == count
    assert processes(CLERK) == processes(BENCH) == []


@pytest.mark.parametrize("count", [1, pytest.param(2, marks=thorough)])
def test_i5_a_clerk_killed_before_its_commit_costs_nobody_anything(
    rows, server, sending, vault, folder, unhurried, count
):
    rows.deliver(*many(60))
    server.on("p009@courriel.example", Act("rcpt", then="held"))
    struck: list[int] = []
    report = sending(server, tune=beside(count), meanwhile=inside(server, folder / "campaign.db", struck))
    assert struck and (report.reason, report.accepted, report.in_doubt) == ("done", 60, 0)
    assert_nothing_happened(rows, server, vault, folder, 60)


@pytest.mark.parametrize("count", [1, pytest.param(2, marks=thorough)])
def test_i5_a_clerk_killed_after_its_commit_and_before_its_answer_costs_nobody_anything(
    rows, server, sending, vault, folder, unheard, count
):
    rows.deliver(*many(60))
    report = sending(server, tune=beside(count))
    assert unheard and (report.reason, report.accepted, report.in_doubt) == ("done", 60, 0)
    assert_nothing_happened(rows, server, vault, folder, 60)


def test_i5_a_clerk_that_stands_still_in_its_transaction_is_ended_before_the_sender_goes_on(
    rows, server, sending, vault, folder, unhurried, monkeypatch
):
    monkeypatch.setattr(registry, "ANSWER_SECONDS", 0.5)
    rows.deliver(*many(60))
    server.on("p009@courriel.example", Act("rcpt", then="held"))
    struck: list[int] = []
    strike = inside(server, folder / "campaign.db", struck, signal.SIGSTOP)
    report = sending(server, tune=beside(1), meanwhile=strike)
    assert struck and (report.reason, report.accepted, report.in_doubt) == ("done", 60, 0)
    assert_nothing_happened(rows, server, vault, folder, 60)


def test_i5_whoever_stops_a_run_waits_for_no_clerk_that_stands_still(
    rows, server, sending, vault, folder, unhurried, monkeypatch
):
    """What was accepted is recorded by the sender, and the run ends well."""
    monkeypatch.setattr(registry, "STOPPING_SECONDS", 0.5)
    rows.deliver(*many(60))
    server.on("p009@courriel.example", Act("rcpt", then="held"))
    struck: list[int] = []
    strike = inside(server, folder / "campaign.db", struck, signal.SIGSTOP)

    async def strike_and_stop(database) -> None:
        await strike(database)
        os.kill(os.getpid(), signal.SIGINT)

    began = time.monotonic()
    report = sending(server, tune=beside(1), meanwhile=strike_and_stop)
    assert struck and (report.reason, report.in_doubt) == ("stopped", 0) and processes(CLERK) == []
    assert time.monotonic() - began < registry.ANSWER_SECONDS / 3
    assert report.accepted == len(server.taken) >= 6
    assert rows.states() == {"accepted": report.accepted, "queued": 60 - report.accepted}
    assert sending(server, tune=beside(0)).accepted == 60 - report.accepted
    assert_nothing_happened(rows, server, vault, folder, 60)


@pytest.fixture(params=["before", "after"])
def dying(request, server, folder, rows) -> dict:
    """For ``sending``: its clerk is killed before or after a commit."""
    if request.param == "after":
        return {"struck": request.getfixturevalue("unheard"), "meanwhile": None}
    request.getfixturevalue("unhurried")
    server.on("p009@courriel.example", Act("rcpt", then="held"))
    struck: list[int] = []
    return {"struck": struck, "meanwhile": inside(server, folder / "campaign.db", struck)}


@thorough
@pytest.mark.parametrize("lanes", [{}, {"orange": 30.0}], ids=["relay", "lane"])
def test_i6_the_pace_holds_over_a_clerks_death(rows, server, sending, vault, folder, written, dying, lanes):
    rows.deliver(*many(20), provider="orange")
    rows.deliver(*many(40, "q"))
    tune = {**beside(1), "rate": 120.0, "pace__rates": lanes}
    report = sending(server, tune=tune, meanwhile=dying["meanwhile"])
    assert dying["struck"] and (report.reason, report.accepted) == ("done", 60)
    assert_nothing_happened(rows, server, vault, folder, 60)
    assert len(written.mails) == 60 and written.keeps(120.0)
    assert all(written.keeps(rate, of=name) for name, rate in lanes.items())


@thorough
@pytest.mark.parametrize("tune", [{}, {"pace__canary": 40}], ids=["limit", "canary"])
def test_i6_as_many_are_begun_as_were_allowed(rows, server, sending, vault, folder, dying, tune):
    for segment in range(3):
        rows.deliver(*many(20, "pqr"[segment]), segment=segment)
    limit = None if tune else 40
    report = sending(server, tune={**beside(1), **tune}, limit=limit, meanwhile=dying["meanwhile"])
    assert dying["struck"] and (report.reason, report.accepted) == ("paused" if tune else "limit", 40)
    assert_nothing_happened(rows, server, vault, folder, 40)
    if tune:
        assert rows.all("SELECT name, number FROM begun") == [("canary", 40)]


@thorough
def test_i4_outcomes_of_every_kind_are_told_once(rows, server, sending, folder, dying):
    names = many(24)
    ids = rows.deliver(*names)
    acts = [
        Act("rcpt", "550 5.1.1 no such user"),
        Act("rcpt", "452 4.2.2 mailbox full"),
        Act("final", then="take_drop"),
    ]
    for place, name in enumerate(names):
        if place % 4 and place != 9:
            server.on(name, acts[place % 4 - 1])
    report = sending(server, tune=beside(1), meanwhile=dying["meanwhile"])
    assert dying["struck"] and report.reason == "done"
    states = [rows.state(one) for one in ids]
    wanted = ["accepted", "refused", "deferred", "in_doubt"]
    assert states == ["accepted" if place == 9 else wanted[place % 4] for place in range(24)]
    kinds = [entry["kind"].removeprefix("delivery_") for entry in rows.entries() if entry["subject"]]
    assert sorted(kinds) == sorted(states), "an entry for each, and none twice"
    told = [line.split()[1] for line in (folder / "logs" / "mail.log").read_text().splitlines()]
    assert sorted(told) == sorted(states)
    assert rows.one("SELECT COUNT(*) FROM deliveries WHERE channel = 'post'") == states.count("refused")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_i5_a_clerk_is_reaped_before_anybody_hears_that_it_has_not_answered(vault, settings, folder, monkeypatch, how):
    """It could still commit, beside whoever takes the cycle over."""
    monkeypatch.setattr(registry, "ANSWER_SECONDS", 0.3)

    async def whole() -> None:
        clerk = await hired(vault, folder)
        (pid,) = processes(CLERK)
        os.kill(pid, how)
        try:
            assert await clerk.take(noting(settings, folder), asyncio.Event()) is None
            assert processes(CLERK) == [] and not Path(f"/proc/{pid}").exists()
        finally:
            clerk.patience = 0.0
            clerk.close()

    asyncio.run(whole())
