"""A copy of a database that is being written, and one put in its place beside a log that a crash left."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from notifier.errors import CampaignBusy, OperatorError
from notifier.storage import copies

NOW = datetime(2024, 2, 9, 2, 14, 7, tzinfo=UTC)
ROWS = 400  # some 200 pages


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Two tables that always say the same."""
    path = tmp_path / "campaign" / "campaign.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript("CREATE TABLE a (id INTEGER PRIMARY KEY, n INT, filler); CREATE TABLE b (n INT)")
        connection.execute("INSERT INTO b VALUES (0)")
        connection.execute("CREATE INDEX of_a ON a (n)")
        connection.execute("BEGIN")
        rows = [(number, 0, os.urandom(2000)) for number in range(ROWS)]
        connection.executemany("INSERT INTO a VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")
    return path


def step(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE a SET n = n + 1")
    connection.execute("UPDATE b SET n = n + 1")
    connection.execute("COMMIT")


def numbers(path: Path) -> set[int]:
    with closing(sqlite3.connect(path)) as connection:
        return {n for (n,) in connection.execute("SELECT n FROM a UNION SELECT n FROM b")}


def others(database: Path) -> list[str]:
    return sorted(path.name for path in database.parent.iterdir() if path != database)


def test_a_copy_beside_a_writer_ends_and_is_of_one_instant(database, tmp_path, monkeypatch):
    """Each of its steps sees a database that has been written to since the last."""
    monkeypatch.setattr(copies, "STEP_PAGES", 10)
    out, steps = tmp_path / "copy.db", []
    with closing(sqlite3.connect(database, isolation_level=None)) as writing:
        step(writing)

        def written() -> bool:
            step(writing)
            steps.append(1)
            return len(steps) > 1000  # it begins anew again and again

        made = copies.copy(database, out, stops=written)
    assert len(steps) > 10, "it was written to between the steps"
    assert numbers(out) == {1} and numbers(database) == {1 + len(steps)}
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert (made.size_bytes, made.path) == (out.stat().st_size, out)


def test_a_copy_has_what_only_the_log_holds_and_writes_nothing(database, tmp_path):
    out = tmp_path / "copy.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as writing:
        step(writing)
        before = [(path.name, path.read_bytes()) for path in sorted(database.parent.glob("campaign.db*"))]
        made = copies.copy(database, out)
        after = [(path.name, path.read_bytes()) for path in sorted(database.parent.glob("campaign.db*"))]
    shared = f"{database.name}-shm"  # who reads is noted there
    assert [each for each in before if each[0] != shared] == [each for each in after if each[0] != shared]
    assert hashlib.sha256(out.read_bytes()).hexdigest() == made.sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == ["campaign", "copy.db"]
    assert numbers(out) == {1}


def test_a_backup_is_never_overwritten(database, tmp_path):
    out = tmp_path / "copy.db"
    out.write_bytes(b"yesterday's")
    with pytest.raises(OperatorError, match="exists already"):
        copies.copy(database, out)
    out.unlink()
    out.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OperatorError, match="exists already"):
        copies.copy(database, out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["campaign", "copy.db"]


def test_one_that_appears_meanwhile_is_not_overwritten_either(database, tmp_path):
    out = tmp_path / "copy.db"

    def another() -> bool:
        out.write_bytes(b"another's")
        return False

    with pytest.raises(OperatorError, match="exists already"):
        copies.copy(database, out, stops=another)
    assert out.read_bytes() == b"another's" and len(list(tmp_path.iterdir())) == 2


def test_a_copy_that_is_given_up_leaves_nothing(database, tmp_path):
    with pytest.raises(copies.Stopped):
        copies.copy(database, tmp_path / "copy.db", stops=lambda: True)
    assert [path.name for path in tmp_path.iterdir()] == ["campaign"]


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 4096)


def test_no_copy_is_made_of_what_does_not_hold_together(database, tmp_path):
    damage(database)
    with pytest.raises(OperatorError, match=r"does not hold together.*Keep the backups"):
        copies.copy(database, tmp_path / "copy.db")
    assert [path.name for path in tmp_path.iterdir()] == ["campaign"]


def test_a_copy_where_nothing_can_be_written_is_told(database, tmp_path):
    with pytest.raises(OperatorError, match=r"copy\.db cannot be written: No such file"):
        copies.copy(database, tmp_path / "nowhere" / "copy.db")


# -- restoring -----------------------------------------------------------------------------------------------------

WRITER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0.2)
connection.execute("PRAGMA wal_autocheckpoint = 0")
for _ in range(3):
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE a SET n = n + 1")
    connection.execute("UPDATE b SET n = n + 1")
    connection.execute("COMMIT")
print("written", flush=True)
time.sleep(600)
"""


def writer(database: Path) -> subprocess.Popen[str]:
    """Another process, which has committed and holds the database open."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(database)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "written\n"
    return process


@pytest.fixture
def crashed(database, tmp_path) -> Path:
    """A copy from before the crash; the database has a log that its writer left."""
    copy = tmp_path / "copy.db"
    copies.copy(database, copy)
    process = writer(database)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert database.with_name("campaign.db-wal").stat().st_size > 100_000
    return copy


def restore(file: Path, database: Path) -> list[Path]:
    with copies.held_alone(database), copies.staged(file, database) as stage:
        assert copies.broken(stage) == ""
        return copies.put_in_place(stage, database, NOW)


def test_i5_a_log_that_a_crash_left_does_not_reach_the_restored_database(crashed, database):
    was = crashed.read_bytes()
    moved = restore(crashed, database)
    assert database.read_bytes() == was and crashed.read_bytes() == was
    name = "campaign.db.before-restore-20240209T021407Z"
    assert sorted(path.name for path in moved) == [name, f"{name}-shm", f"{name}-wal"] == others(database)
    assert copies.broken(database) == "" and numbers(database) == {0}
    assert numbers(moved[0]) == {3}, "what was there is whole, its log included"


def test_to_restore_twice_moves_aside_twice(crashed, database):
    first, second = restore(crashed, database), restore(crashed, database)
    assert [path.name for path in second] == ["campaign.db.before-restore-20240209T021407Z.2"]
    assert numbers(first[0]) == {3} and numbers(second[0]) == numbers(database) == {0}


def test_what_is_there_already_is_known(crashed, database):
    with copies.staged(crashed, database) as stage:
        assert not copies.is_there_already(stage, database)
    restore(crashed, database)
    with copies.staged(crashed, database) as stage:
        assert copies.is_there_already(stage, database)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("at", range(1, 14))
def test_i5_a_restoring_that_is_killed_anywhere_harms_nothing_and_is_run_again(
    crashed, database, monkeypatch, at, links
):
    steps, old_inode = [at], database.stat().st_ino

    def counting(real):
        def counted(*arguments, **options):
            steps[0] -= 1
            if not steps[0]:
                raise Killed
            return real(*arguments, **options)

        return counted

    def no_links(*_):
        raise OSError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", counting(Path.rename))
        patch.setattr(Path, "unlink", counting(Path.unlink))
        patch.setattr(os, "link", counting(os.link) if links else no_links)
        try:
            with copies.staged(crashed, database) as stage:
                copies.put_in_place(stage, database, NOW)
        except Killed:
            pass
        else:
            assert steps[0] > 0
    if database.exists():
        copied = database.parent.parent / "looked-at"
        copied.mkdir()
        for suffix in ("", "-wal"):
            if (old := database.with_name(database.name + suffix)).exists():
                shutil.copy(old, copied / old.name)
        assert copies.broken(copied / "campaign.db") == ""
        is_old = database.stat().st_ino == old_inode
        assert numbers(copied / "campaign.db") == ({3} if is_old else {0}), "the old one has its log, the new one none"
    restore(crashed, database)
    assert copies.broken(database) == "" and numbers(database) == {0}
    assert not database.with_name("campaign.db-wal").exists()
    if links:
        asides = [
            path for path in database.parent.glob("*before-restore-*") if not path.name.endswith(("-wal", "-shm"))
        ]
        assert {3} in [numbers(path) for path in asides], "what was there is somewhere whole"


def test_nothing_is_restored_while_a_command_has_it_open(crashed, database):
    process = writer(database)
    try:
        before = database.read_bytes()
        with pytest.raises(CampaignBusy, match=r"has .* open"):
            restore(crashed, database)
        assert database.read_bytes() == before
    finally:
        process.kill()
        process.communicate()
    restore(crashed, database)


def test_a_command_that_begins_meanwhile_waits(crashed, database):
    with copies.held_alone(database):
        attempt = subprocess.run(
            [sys.executable, "-c", WRITER, str(database)], capture_output=True, text=True, check=False, timeout=60
        )
    assert "locked" in attempt.stderr


def test_a_database_that_is_gone_is_restored(crashed, database):
    database.unlink()
    moved = restore(crashed, database)
    assert numbers(database) == {0} and [path.name.endswith(("-wal", "-shm")) for path in moved] == [True, True]


def test_what_cannot_be_restored_is_refused(crashed, database, tmp_path):
    before = (database.read_bytes(), others(database))
    with pytest.raises(OperatorError, match="is no file"):
        restore(tmp_path, database)
    with pytest.raises(OperatorError, match="the campaign's database itself"):
        restore(database, database)
    shutil.copy(database.with_name("campaign.db-wal"), tmp_path / "copy.db-wal")
    with pytest.raises(OperatorError, match=r"copy\.db-wal lies beside it"):
        restore(crashed, database)
    assert (database.read_bytes(), others(database)) == before
    damage(crashed)
    assert copies.broken(crashed) != ""
