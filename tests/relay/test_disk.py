"""A full disk and a locked database while sending (I4, I5): one clear line, nobody lost, nothing more in doubt than the
window; and room is looked for before."""

from __future__ import annotations

import asyncio
import re
import resource
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime

import pytest

from notifier import app as wiring
from notifier.delivery import space
from notifier.delivery.evidence import accepted
from notifier.delivery.outcomes import Kind, Outcome, Phase
from notifier.delivery.record import Ended, Fate
from notifier.delivery.report import MailLog
from notifier.errors import OperatorError, TryLater
from notifier.storage import cycle
from tests.delivery.test_turnstile import CLAIM

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


# -- the mail log --------------------------------------------------------------------------------------------------


def test_a_mail_log_that_cannot_be_written_is_told_and_ends_nothing(rows, server, sending, folder, caplog):
    """The journal is the record; logs/ may lie on another file system, which is full."""
    rows.deliver(*many(100))
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "logs" / "mail.log").symlink_to("/dev/full")
    report = sending(server)
    assert report.exit_code == 0 and rows.states() == {"accepted": 100} and len(server.taken) == 100
    assert re.search(r"100 lines .*logs/mail\.log.*No space left", report.mail_log)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "logs/mail.log" in warning and "No space left" in warning and "sending goes on" in warning


def test_a_mail_log_that_cannot_be_opened_is_told_before_anything_is_claimed(rows, server, sending, folder):
    rows.deliver(*many(3))
    (folder / "logs" / "mail.log").mkdir(parents=True)
    with pytest.raises(OSError, match=r"logs/mail\.log"):
        sending(server)
    assert rows.states() == {"queued": 3} and server.sessions == 0


def test_a_line_that_was_cut_short_spoils_no_other(tmp_path, caplog):
    """Room for three lines and a half; then room again. What stands in the log is whole lines, and half a one."""
    fate = Fate("accepted", Ended(CLAIM, Outcome(Kind.ACCEPTED, Phase.FINAL, 250), datetime.now(UTC), "2.0.0 ok"))
    log, path = MailLog(tmp_path), tmp_path / "logs" / "mail.log"
    log.write([fate])
    assert log.trouble == ""
    most, ever = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(fate.line()) * 7 // 2, ever))
    try:
        log.write([fate, fate, fate, fate])
        log.write([fate])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, ever))
    log.write([fate, fate])
    log.close()
    *whole, empty = path.read_text().split("\n")
    assert [len(list(accepted([line]))) for line in whole] == [1, 1, 1, 0, 1, 1] and empty == ""
    assert fate.line().startswith(whole[3])
    assert log.trouble.startswith("3 lines "), "two of four fitted; then one did not"
    assert len(caplog.records) == 1
