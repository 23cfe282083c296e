"""Whoever watches a run is told why nothing is begun, what waits in each lane and how fast it goes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from notifier.errors import RelayUnavailable, StorageError
from notifier.storage import flow
from tests.relay.server import Act

NOW = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr("notifier.delivery.lookout.TICK_SECONDS", 0.01)
    monkeypatch.setattr("notifier.delivery.lookout.READ_SECONDS", 0.0)


def many(count: int, prefix: str = "p") -> list[str]:
    return [f"{prefix}{number}@courriel.example" for number in range(count)]


def test_lanes_are_told_between_cycles_with_what_waits_in_them(rows, server, sending):
    rows.deliver(*many(6, "o"), provider="orange")
    rows.deliver(*many(4, "g"), provider="gmail")
    server.on("o0@courriel.example", Act("rcpt", "421 Service refuse. Veuillez essayer plus tard."))
    server.on("g3@courriel.example", Act("final", then="held"))
    told = []

    def watch(progress):
        told.append(progress)
        lanes = {lane.provider: lane for lane in progress.lanes}
        if "orange" in lanes and lanes["orange"].rests:
            server.allowed.set()

    tune = {"connections": 1, "window": 1}
    report = sending(server, clock=lambda: NOW, tune=tune, on_progress=watch, looks_around=True)
    (orange,) = [lane for lane in told[-1].lanes if lane.provider == "orange"]
    assert (orange.waiting, orange.until, orange.share) == (6, NOW + timedelta(hours=1), 1.0) and orange.why
    assert report.accepted == 4 and told[-1].left == 6 and told[-1].window == 1
    assert told[-1].by_provider == {"gmail": 4} and told[-1].cycles >= 5


def test_a_relay_that_does_not_answer_is_named(rows, sending, monkeypatch):
    monkeypatch.setattr("notifier.delivery.run.FIRST_PATIENCE", 0.3)
    rows.deliver(*many(2))
    told = []
    with pytest.raises(RelayUnavailable):
        sending(
            None, tune={"port": 9}, on_progress=lambda progress: told.append(progress.why), looks_around=True,
            clock=lambda: NOW,
        )  # fmt: skip
    assert "the relay 127.0.0.1:9 does not answer (no connection)" in told


def test_a_database_that_somebody_holds_is_told_while_it_is_held(rows, server, sending, monkeypatch, folder):
    monkeypatch.setattr("notifier.delivery.standstill.LOCKED_SECONDS", 0.02)
    rows.deliver(*many(12))
    with closing(sqlite3.connect(folder / "campaign.db", isolation_level=None, check_same_thread=False)) as other:
        told = []

        def watch(progress):
            told.append(progress.why)
            if len(server.taken) == 3 and not other.in_transaction and not any("locked" in why for why in told):
                other.execute("BEGIN IMMEDIATE")
            if "locked" in progress.why and other.in_transaction:
                other.execute("ROLLBACK")

        report = sending(server, tune={"connections": 1, "window": 1}, on_progress=watch, looks_around=True)
    assert any("the database is locked" in why for why in told) and report.accepted == 12


def test_what_cannot_be_read_ends_no_run(rows, server, sending, monkeypatch):
    async def broken(connection):
        raise StorageError("disk I/O error")

    monkeypatch.setattr(flow, "waiting", broken)
    rows.deliver(*many(5))
    told = []
    report = sending(server, on_progress=told.append, looks_around=True)
    assert report.accepted == 5 and told[-1].counts["accepted"] == 5 and told[-1].lanes == ()


def test_a_run_ends_with_its_own_error_while_it_is_watched(rows, server, sending):
    rows.deliver(*many(3))

    broken = []

    def break_it(progress):
        if progress.counts and not broken:
            broken.append(progress)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sending(server, on_progress=break_it, looks_around=True)


def test_why_a_pace_is_told_with_its_rate_and_hours_with_their_end(rows, server, sending):
    rows.deliver(*many(5))
    told = []
    sending(server, tune={"rate": 50, "window": 40}, on_progress=told.append, looks_around=True)
    assert any(progress.why == "the pace: the relay is given 50 messages per second" for progress in told)


def test_a_provider_whose_pace_is_all_that_holds_a_run_back_is_named(rows, server, sending):
    """Else a slow tail looks like a run that is stuck: `left` without a rate and without a reason is an alarm."""
    rows.deliver(*many(3, "o"), provider="orange")
    rows.deliver(*many(3, "g"), provider="gmail")
    told = []
    sending(server, tune={"connections": 1, "pace__rates": {"orange": 1.5}}, on_progress=told.append, looks_around=True)
    assert {progress.why for progress in told} >= {"the pace: orange is given 1.5 messages per second"}
    assert told[-1].counts["accepted"] == 6 and told[-1].why == ""


def test_the_lanes_are_counted_along_an_index(folder):
    with closing(sqlite3.connect(folder / "campaign.db")) as database:
        for statement in (flow._WAITING, flow._STATES, flow._UNSEALED):
            plan = " ".join(row[3] for row in database.execute("EXPLAIN QUERY PLAN " + statement))
            assert "USING INDEX" in plan or "USING COVERING INDEX" in plan or "USING INTEGER PRIMARY KEY" in plan, plan
            assert "TEMP B-TREE" not in plan
