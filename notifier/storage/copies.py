"""Copies of the campaign's database: made while it is used, and put in its place.

Promises: :func:`copy` writes nothing into the database and waits for no writer, nor a writer for it: all that it copies
is of one instant, the last commit before it began. The copy appears under its name whole, durable and found intact, or
not at all. :func:`put_in_place` deletes nothing: what was there lies beside it under a dated name, and whoever is
killed in the middle leaves either the old database or none, never a new one beside an old one's log (which SQLite would
play back into it, and destroy it).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from notifier.errors import CampaignBusy, OperatorError

STEP_PAGES = 1024
# What lies beside a database and belongs to it alone: SQLite's logs, and the rows that wait (storage/waiting.py).
SUFFIXES = ("-wal", "-shm", "-journal", "-intake", "-plan")
ASIDE = "before-restore"

# The bytes of a database file that SQLite locks for as long as it has it open in WAL mode (sqlite.org/walformat.html,
# os.h: SHARED_FIRST, SHARED_SIZE).
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510


class Stopped(Exception):
    """The copy was given up, and nothing is left of it."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that holds a whole database."""

    path: Path
    size_bytes: int
    sha256: str


def copy(database: Path, out: Path, *, stops: Callable[[], bool] = lambda: False) -> Copy:
    """A copy of ``database`` at ``out``, mode 0600, synced to the disk. ``stops`` is asked every few megabytes: True
    raises Stopped. Raises OperatorError when ``out`` is there already or cannot be written, or when what was copied
    does not hold together."""
    if out.exists() or out.is_symlink():
        raise OperatorError(f"{out} exists already: name another file; a backup is never overwritten")
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        _must_have_room(database.stat().st_size, out.parent)
        _make(beside)
        try:
            _fill(database, beside, stops)
            if wrong := broken(beside, quickly=True):
                raise OperatorError(
                    f"{database} does not hold together ({wrong}): no copy was made of it. Keep the backups that you "
                    "have, and stop sending (docs/backups.md)"
                )
            made = Copy(out, beside.stat().st_size, _sha256(beside))
            _sync(beside)
            _appear(beside, out)
            _sync(out.parent)
        finally:
            beside.unlink(missing_ok=True)
    except FileExistsError as error:
        raise OperatorError(f"{out} exists already: name another file; a backup is never overwritten") from error
    except OSError as error:
        raise OperatorError(f"{out} cannot be written: {error.strerror}; no copy was made") from error
    return made


def _must_have_room(needed: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OperatorError(
            f"{folder} has {free / 1e6:.1f} MB free, and the copy takes {needed / 1e6:.1f} MB: make room, or name a "
            "file elsewhere; nothing was changed"
        )


def _make(path: Path) -> None:
    # A name of our own process: what is there is what it left when it was killed before.
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))


def _fill(database: Path, target: Path, stops: Callable[[], bool]) -> None:
    def ask(_status: int, _remaining: int, _total: int) -> None:
        if stops():
            raise Stopped

    source = f"{database.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(source, uri=True, isolation_level=None)) as reading:
            # The snapshot is held over all steps: without it each commit of another process would make the copy begin
            # anew, and beside `send` it would never end.
            reading.execute("BEGIN")
            reading.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            with closing(sqlite3.connect(target)) as writing:
                reading.backup(writing, pages=STEP_PAGES, progress=ask)
    except sqlite3.Error as error:
        raise OperatorError(f"{database} cannot be copied to {target.parent}: {error}; no copy was made") from error
    finally:
        for suffix in SUFFIXES:
            target.with_name(target.name + suffix).unlink(missing_ok=True)


def broken(path: Path, *, quickly: bool = False) -> str:
    """What is wrong with a database that nobody writes to, in SQLite's words; "" if it is whole. ``quickly``: without
    comparing each index with its table."""
    check = "quick_check" if quickly else "integrity_check"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            found = [str(row[0]) for row in connection.execute(f"PRAGMA {check}(1)")]
    except sqlite3.Error as error:
        return str(error)
    return "" if found == ["ok"] else " ".join("; ".join(found).split())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _appear(beside: Path, out: Path) -> None:
    """Under its name, unless that is taken: another backup may have begun in the same moment."""
    try:
        os.link(beside, out)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if out.exists():
            raise FileExistsError(out) from None
        beside.rename(out)


# -- restoring -----------------------------------------------------------------------------------------------------


@contextmanager
def held_alone(database: Path) -> Iterator[None]:
    """Nobody else has the database open, nor opens it meanwhile. It is not looked into: it may be damaged. Raises
    CampaignBusy."""
    try:
        descriptor = os.open(database, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
        except OSError as error:
            raise CampaignBusy(
                f"a command has {database} open (`notifier status --watch` is one): end it first; nothing was changed"
            ) from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def staged(file: Path, database: Path) -> Iterator[Path]:
    """A copy of ``file`` beside ``database``, to be looked into and then put in its place; removed if it was not.
    ``file`` itself is only read. Raises OperatorError when it is no file that can be restored."""
    if not file.is_file():
        raise OperatorError(f"{file} is no file; nothing was changed")
    if database.exists() and file.samefile(database):
        raise OperatorError(f"{file} is the campaign's database itself; nothing was changed")
    for suffix in ("-wal", "-journal"):
        log = file.with_name(file.name + suffix)
        if log.exists() and log.stat().st_size:
            raise OperatorError(
                f"{log} lies beside it: whether it belongs to {file.name} cannot be told, and without it the copy may "
                "lack what was committed last. Name a copy that `notifier db backup` made. Were both copied in one "
                f"instant while nothing ran: `sqlite3 {file} 'PRAGMA wal_checkpoint(TRUNCATE)'` puts them together"
            )
    stage = database.with_name(f"{database.name}-restore")
    try:
        _must_have_room(file.stat().st_size, database.parent)
        _make(stage)
        shutil.copyfile(file, stage)
        _sync(stage)
    except OSError as error:
        with suppress(OSError):
            stage.unlink()
        raise OperatorError(f"{file} cannot be copied to {stage}: {error.strerror}; nothing was changed") from error
    try:
        yield stage
    finally:
        for suffix in ("", *SUFFIXES):
            stage.with_name(stage.name + suffix).unlink(missing_ok=True)


def is_there_already(stage: Path, database: Path) -> bool:
    """Whether the database is, to the byte, what would be put in its place, and no log beside it says more."""
    log = database.with_name(f"{database.name}-wal")
    return (
        database.exists()
        and database.stat().st_size == stage.stat().st_size
        and not (log.exists() and log.stat().st_size)
        and _sha256(database) == _sha256(stage)
    )


def put_in_place(stage: Path, database: Path, now: datetime) -> list[Path]:
    """Move aside what is there and let ``stage`` be the database. Only with :func:`held_alone`. Returns what was moved,
    under its new names."""
    names = {database.with_name(database.name + suffix): suffix for suffix in ("", *SUFFIXES)}
    there = {old: _aside(database, now, suffix) for old, suffix in names.items() if old.exists()}
    # All of it has its second name before any loses its first: a log is of use beside its own database alone.
    with suppress(OSError):  # a file system without hard links: renamed below
        for old, new in there.items():
            os.link(old, new)
        _sync(database.parent)
    # The database first: a log that is left alone harms nobody; a database without its log has lost what was committed
    # last, and a new one beside it would be destroyed.
    for old, new in there.items():
        old.rename(new)  # where both names are one file this does nothing (rename(2)) ...
        old.unlink(missing_ok=True)  # ... and the first is taken away here
    _sync(stage)
    _sync(database.parent)
    stage.rename(database)
    _sync(database.parent)
    return list(there.values())


def newest_aside(database: Path) -> Path | None:
    """The database that was moved aside last."""
    found = (path for path in database.parent.glob(f"{database.name}.{ASIDE}-*") if not path.name.endswith(SUFFIXES))
    return max(found, default=None, key=lambda path: (path.stat().st_ctime_ns, path.name))


def last_entry(path: Path) -> int | None:
    """The number of the journal's last entry, its log included; None when that cannot be read."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT COALESCE(MAX(id), 0) FROM entries").fetchone()[0])
    except sqlite3.Error:
        return None


def _aside(database: Path, now: datetime, suffix: str) -> Path:
    """The dated name of what is moved; a number is put to it if that is taken."""
    numbers = ("", *(f".{number}" for number in range(2, 1000)))
    names = (f"{database.name}.{ASIDE}-{now:%Y%m%dT%H%M%SZ}{number}" for number in numbers)
    free = (name for name in names if not any(database.with_name(name + each).exists() for each in ("", *SUFFIXES)))
    return database.with_name(next(free) + suffix)
