"""`status --watch` beside a sender, the sender's name in `status`, and lanes paused by name from the command line."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from notifier.storage.lock import FILE, Holder, holder, sender_lock
from tests.delivery.rows import Rows

pytestmark = pytest.mark.thorough

PROGRAM = [sys.executable, "-m", "notifier.cli.main"]


def started(folder, *words, stdout):
    return subprocess.Popen(
        [*PROGRAM, "-C", str(folder), "status", "--watch", "0.2", *words], stdout=stdout, stderr=subprocess.PIPE
    )


def test_an_object_a_line_beside_a_sender_until_ctrl_c(folder, now):
    """It reads beside a writer, holds nobody up, and ends with 0."""
    with sender_lock(folder, now), started(folder, "--json", stdout=subprocess.PIPE) as process:
        first = json.loads(process.stdout.readline())
        assert first["sending"]["sender"] == {"pid": os.getpid(), "since": "2024-02-09T08:00:00.000Z"}
        with closing(sqlite3.connect(folder / "campaign.db", timeout=0, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("UPDATE campaign SET paused_reason = 'a call', paused_ms = 1")
            assert json.loads(process.stdout.readline())["paused"] is None
            writer.execute("COMMIT")
            writer.execute("PRAGMA wal_checkpoint(PASSIVE)")
        while json.loads(line := process.stdout.readline())["paused"] is None:
            pass
        assert json.loads(line)["at"] > first["at"]
        for _ in range(2):  # somebody is impatient
            process.send_signal(signal.SIGINT)
        rest = process.stdout.read().splitlines()
        assert process.wait() == 0 and all(json.loads(each) for each in rest) and process.stderr.read() == b""


def test_on_a_terminal_it_is_redrawn_and_elsewhere_it_is_plain(folder):
    ours, theirs = pty.openpty()
    with started(folder, stdout=theirs) as drawn, started(folder, stdout=subprocess.PIPE) as plain:
        os.close(theirs)
        seen = b""
        while seen.count(b"counted at") < 2:
            select.select([ours], [], [])
            seen += os.read(ours, 65536)
        assert b"\x1b[" in seen and b"It balances." in seen
        block = b""
        while b"counted at" not in block:
            block += plain.stdout.readline()
        assert b"\x1b" not in block and b"It balances.\n" in block
        for process in (drawn, plain):
            process.send_signal(signal.SIGINT)
        plain.stdout.close()
        assert plain.wait() == 0
        while True:  # until it has closed its end
            try:
                if not os.read(ours, 65536):
                    break
            except OSError:
                break
        assert drawn.wait() == 0
    os.close(ours)


def test_watching_ends_when_nobody_reads_any_more(folder):
    with started(folder, "--json", stdout=subprocess.PIPE) as process:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait() == 0 and process.stderr.read() == b""


def test_watch_goes_with_nothing_that_ends(run):
    assert "--watch goes with --json alone" in run("status", "--watch", "--bridge", expect=2).output
    assert run("status", "--watch", "0", expect=2)


def test_a_sender_that_was_killed_is_none(folder, now):
    assert holder(folder) is None
    with sender_lock(folder, now):
        assert holder(folder) == Holder(os.getpid(), "2024-02-09T08:00:00.000Z")
    assert holder(folder) is None
    (folder / FILE).write_text(f"{os.getpid()} 2024-02-09T08:00:00.000Z\n")  # what kill -9 leaves
    assert holder(folder) is None
    (folder / FILE).write_bytes(b"\xff\x00 nonsense and more\n")
    assert holder(folder) is None


def test_looking_for_the_sender_stops_no_sender(folder, now):
    """A lock that is tried, even shared, would turn away a sender that begins in that moment."""
    before = (folder / FILE).exists()
    assert holder(folder) is None and (folder / FILE).exists() == before
    with sender_lock(folder, now):
        for _ in range(50):
            assert holder(folder)
    with sender_lock(folder, now):
        pass


def test_a_lane_paused_by_name_is_shown_until_it_is_opened(run):
    said = json.loads(run("pause", "--provider", "orange", "--reason", "a call", "--json").output)
    assert said == {"provider": "orange", "paused": True, "changed": True}
    assert "was paused already" in run("pause", "--provider", "orange").output
    assert "no provider 'orage'" in run("pause", "--provider", "orage", expect=2).output
    status = json.loads(run("status", "--json").output)
    [lane] = status["lanes"]
    assert lane["paused"] and lane["until"] is None and lane["why"] == "paused by hand: a call"
    assert status["paused"] is None and any("`resume --provider orange`" in each for each in status["decisions"])
    assert "Waits: the lane orange is paused by hand: a call" in run("status").output
    assert json.loads(run("resume", "--provider", "orange", "--json").output)["changed"]
    assert json.loads(run("status", "--json").output)["lanes"] == []


def test_who_pauses_and_resumes_is_named_behind_the_command_as_docs_at_night_writes_it(run, folder, vault):
    """I4: the author stands in the journal, for a lane and for everything."""
    run("pause", "--provider", "orange", "--reason", "they called", "--by", "Nour Diallo")
    run("resume", "--provider", "orange", "--by", "Nour Diallo")
    run("pause", "--by", "Nour Diallo")
    run("resume", "--by", "Nour Diallo")
    kinds = ("lane_paused", "lane_opened", "campaign_paused", "campaign_resumed")
    by = [entry["facts"]["by"] for entry in Rows(folder / "campaign.db", vault).entries() if entry["kind"] in kinds]
    assert by == ["Nour Diallo"] * 4


def test_a_paused_lane_is_reckoned_as_if_it_were_opened_now_and_named(run, folder, vault, monkeypatch):
    """As a paused campaign is: when it will be is somebody's decision, and no fact to project."""
    monkeypatch.setenv("NOTIFIER_RELAY__RATE", "1")
    rows = Rows(folder / "campaign.db", vault)
    rows.deliver("o1@courriel.example", "o2@courriel.example", provider="orange")
    run("pause", "--provider", "orange")
    run("pause", "--provider", "gmail")
    status = json.loads(run("status", "--json", expect=(0, 1)).output)
    lane = next(lane for lane in status["lanes"] if lane["provider"] == "orange")
    assert lane["waiting"] == 2 and status["forecast"]["messages"] == 2 and status["forecast"]["ends_at"]
    told = run("status", expect=(0, 1)).output
    assert "  orange               2  wait, 0.0/s, paused" in told
    [assumed] = status["forecast"]["assumes"]  # nothing waits for gmail
    assert assumed == "the lane orange is paused by hand: reckoned as if opened now (`resume --provider orange`)"
    assert f"  {assumed}" in told
