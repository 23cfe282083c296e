"""A backup is made while `send` is at work, the sender is killed, and the backup is put back beside the log that it
left: nothing is destroyed, and nobody is told twice by accident (I3, I5)."""

import signal
import sqlite3
import stat
import subprocess
from collections import Counter
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from tests.stories.test_s10_at_night import sent as approved

pytestmark = pytest.mark.thorough

PERSONS = 400


def count(path: Path, sql: str) -> int:
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return int(database.execute(sql).fetchone()[0])


def sender(cli) -> subprocess.Popen[str]:
    return subprocess.Popen(
        cli.argv("send", "--wait"), env=cli.env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )


def test_i3_i5_a_backup_beside_a_sender_is_restored_beside_what_its_kill_left(cli, sink, tmp_path: Path) -> None:
    cli.environment["NOTIFIER_RELAY__RATE"] = "80"
    approved(cli, tmp_path, PERSONS)
    copy, database, head = (cli.campaign / name for name in ("../copy.db", "campaign.db", "campaign.head"))
    running = sender(cli)
    while len(sink.accepted) < 20:
        assert running.poll() is None
    made = cli("db", "backup", "--out", copy, "--json").json
    assert running.poll() is None, "it was made while the sender was at work"
    assert (made["size_bytes"], made["sha256"]) == (copy.stat().st_size, sha256(copy.read_bytes()).hexdigest())
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    accepted = "SELECT COUNT(*) FROM deliveries WHERE state = 'accepted'"
    assert "exists already" in cli("db", "backup", "--out", copy, expect=2).err

    # Nothing is restored under a sender's feet.
    answer = cli("db", "restore", copy, "--yes", expect=75)
    assert f"process {running.pid}" in answer.err

    known = head.read_text()
    while head.read_text() == known or len(sink.accepted) < 60:
        assert running.poll() is None
    running.send_signal(signal.SIGKILL)
    running.wait()
    log = database.with_name("campaign.db-wal")
    assert log.stat().st_size > 0

    answer = cli("db", "restore", copy, expect=2)
    assert "Missing in it:" in answer.err and "say --yes" in answer.err and log.stat().st_size > 0

    told = cli("db", "restore", copy, "--yes", "--json", expect=1).json
    assert (told["restored"], told["behind"], told["next"]) == (True, True, "recover")
    aside = Path(told["moved"][0])
    assert aside.name.startswith("campaign.db.before-restore-") and len(told["moved"]) == 3
    assert not log.exists() or log.stat().st_size == 0
    again = cli("db", "restore", copy, "--yes", expect=1)
    assert "in place already" in again.out and "notifier recover" in again.out
    assert 20 <= count(copy, accepted) < count(aside, accepted)

    # The head stops what would tell somebody twice; `recover` holds it.
    assert "notifier recover" in cli("send", expect=2).err
    cli("recover", "--by", "Nour Exploitation", "--yes", "--mail-log", cli.campaign / "logs" / "mail.log", expect=1)
    cli("send", "--wait", expect=1)
    # By their numbers: two of a household may have one mailbox, and a notice each.
    assert max(Counter(str(message["Message-ID"]) for _, message in sink.messages()).values()) == 1
    assert cli("status", "--json", expect=(0, 1)).json["balances"] is True
    assert count(database, "SELECT COUNT(*) FROM deliveries WHERE state = 'sending'") == 0


def test_what_is_no_backup_of_this_campaign_is_refused(cli, tmp_path: Path) -> None:
    database, copy = cli.campaign / "campaign.db", tmp_path / "copy.db"
    cli("db", "backup", "--out", copy)
    before = database.read_bytes()
    other = tmp_path / "other"
    cli("-C", other, "init", other, "--sample")
    cli("-C", other, "db", "backup", "--out", tmp_path / "other.db")
    (tmp_path / "short.db").write_bytes(copy.read_bytes()[:-8192])
    (tmp_path / "none.db").write_bytes(b"no database" * 1000)
    for name, words in (
        ("other.db", "campaign"),
        ("short.db", "whole|hold|notifier database"),
        ("none.db", "database"),
    ):
        answer = cli("db", "restore", tmp_path / name, "--yes", expect=2)
        assert len(answer.err.splitlines()) == 1 and name in answer.err
        assert any(word in answer.err for word in words.split("|")), answer.err
    assert database.read_bytes() == before
    assert not list(cli.campaign.glob("*restore*"))

    # One that is not behind its head: nothing is to be recovered.
    for restored in (True, False):
        told = cli("db", "restore", copy, "--yes", "--json").json
        assert (told["restored"], told["behind"], told["missing"], told["next"]) == (restored, False, 0, "status")


@pytest.mark.parametrize("is_readable", [True, False])
def test_what_the_head_did_not_see_of_the_last_second_is_told(cli, tmp_path: Path, is_readable: bool) -> None:
    """An entry that no checkpoint covers yet, as a killed sender leaves it: the head does not know of it."""
    copy, database = tmp_path / "copy.db", cli.campaign / "campaign.db"
    cli("pause", "--reason", "une pause")
    cli("db", "backup", "--out", copy)
    with closing(sqlite3.connect(database)) as other, other:
        other.execute("INSERT INTO entries (salt, kind, subject, body) SELECT salt, kind, subject, body FROM entries")
        (more,) = other.execute("SELECT COUNT(*) / 2 FROM entries").fetchone()
    if not is_readable:
        database.write_bytes(b"\xff" * database.stat().st_size)
    told = cli("db", "restore", copy, "--yes", "--json", expect=1).json
    assert (told["behind"], told["missing"], told["next"]) == (False, more if is_readable else None, "recover")
    again = cli("db", "restore", copy, "--yes", expect=1).out
    assert "in place already" in again and "recover --restored" in again
    assert ("entries more" in again) is is_readable


def test_a_restored_database_without_a_head_says_that_nothing_stops_it(cli, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    cli("db", "backup", "--out", copy)
    cli("pause", "--reason", "une pause")
    (cli.campaign / "campaign.head").unlink()
    answer = cli("db", "restore", copy, "--yes", expect=1)
    assert "No head lies beside the key" in answer.err and "Nothing else stops `send`" in answer.out
