"""A full disk and a locked database while sending (I4, I5): one clear line, nobody lost, nothing more in doubt than the
window; and room is looked for before."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from notifier import app as wiring
from notifier.delivery import space
from notifier.errors import OperatorError, TryLater
from notifier.storage import cycle

WINDOW = 16  # 4 connections of the sample


def many(count: int) -> list[str]:
    return [f"p{number}@courriel.example" for number in range(count)]


def test_i4_i5_a_full_disk_ends_the_run_and_loses_nobody(rows, server, sending, folder, monkeypatch):
    rows.deliver(*many(300))
    with closing(sqlite3.connect(folder / "campaign.db")) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    monkeypatch.setattr(cycle, "PRAGMAS", (*cycle.PRAGMAS, f"PRAGMA max_page_count = {pages + 12}"))
    with pytest.raises(OperatorError, match=r"full.*make room") as caught:
        sending(server)
    assert caught.value.exit_code == 2
    states = rows.states()
    assert 0 < states["accepted"] < 300 and states["sending"] <= WINDOW
    assert sum(states.values()) == 300
    monkeypatch.undo()
    sending(server, wait=True, tune={"retry__first_seconds": 0.05})
    assert rows.states() == {"accepted": 300}
    copies = Counter(taken.recipient for taken in server.taken)
    doubted = rows.one("SELECT COUNT(*) FROM attempts WHERE outcome = 'in_doubt'")
    assert len(copies) == 300 and sum(copies.values()) <= 300 + doubted and doubted <= WINDOW


def test_i5_a_database_that_is_locked_for_long_is_waited_for(rows, server, sending, folder, monkeypatch):
    """A plan of a country's persons holds the lock for longer than the busy timeout."""
    rows.deliver(*many(120))
    monkeypatch.setattr(cycle, "PRAGMAS", (*cycle.PRAGMAS, "PRAGMA busy_timeout = 1"))
    other = sqlite3.connect(folder / "campaign.db", isolation_level=None, check_same_thread=False)
    with closing(other):

        def lock() -> None:
            if len(server.taken) == 30:
                other.execute("BEGIN IMMEDIATE")
                asyncio.get_running_loop().call_later(0.3, other.execute, "ROLLBACK")

        server.on_take = lock
        assert sending(server).exit_code == 0
    assert rows.states() == {"accepted": 120} and len(server.taken) == 120


def test_i5_a_lock_without_end_is_told(rows, server, sending, folder, monkeypatch):
    rows.deliver(*many(3))
    monkeypatch.setattr(cycle, "PRAGMAS", (*cycle.PRAGMAS, "PRAGMA busy_timeout = 1"))
    monkeypatch.setattr(cycle, "LOCKED_SECONDS", 0.05)
    with closing(sqlite3.connect(folder / "campaign.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TryLater, match="locked"):
            sending(server)
    assert rows.states() == {"queued": 3} and server.taken == []


# -- before --------------------------------------------------------------------------------------------------------


def test_room_is_reckoned_from_what_waits(tmp_path):
    assert space.too_little(1_000_000, space.needed(1_000_000), tmp_path) == ""
    text = space.too_little(1_000_000, 5 << 20, tmp_path)
    assert "5.2 MB free" in text and "1000000 deliveries writes about 1.5 GB" in text
    space.must_begin(space.LEAST_BYTES, tmp_path)


def test_a_disk_that_is_almost_full_stops_before_anything_is_sent(rows, server, sending, monkeypatch):
    rows.deliver(*many(3))
    monkeypatch.setattr(space.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1 << 20}))
    snapshot = rows.snapshot()
    with pytest.raises(OperatorError, match=r"1\.0 MB free.*nothing was sent"):
        sending(server)
    assert rows.snapshot() == snapshot and server.sessions == 0


def test_check_names_what_is_missing(rows, folder, monkeypatch):
    rows.deliver(*many(5))
    monkeypatch.setattr(space.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1 << 20}))
    (folder / "copy.key").write_text((folder / "campaign.key").read_text().replace('"seal"', '"other"'))

    def found(**environment: str) -> dict[str, str]:
        async def work():
            async with wiring.open_campaign(folder, by="", command="check", writes=False) as opened:
                findings, _, _ = await wiring.check_wave(opened, "initial")
                return {each.code: each.text for each in findings}

        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return asyncio.run(work())

    told = found(NOTIFIER_RELAY__HOST="", NOTIFIER_KEY__BACKUP="copy.key")
    assert "5 deliveries" in told["disk-space"] and "no copy" in told["key-backup"]
    (folder / "copy.key").write_text((folder / "campaign.key").read_text())
    monkeypatch.undo()
    told = found(NOTIFIER_RELAY__HOST="", NOTIFIER_KEY__BACKUP="copy.key")
    assert not {"disk-space", "key-backup", "head-not-kept"} & set(told)
