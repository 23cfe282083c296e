"""One sender at a time: an OS lock on ``DIR/sender.lock`` (SQLite campaigns).

The lock belongs to the open file and dies with the process, ``kill -9`` included: no stale lock, no timeout. Who holds
it therefore knows that every delivery marked SENDING is an orphan.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from notifier.errors import CampaignBusy
from notifier.model import utc_text

FILE = "sender.lock"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who sends: process id, and since when, as the lock file says it."""

    pid: int
    since: str


def holder(folder: Path) -> Holder | None:
    """The sender at work, None if there is none. It is only looked at: trying the lock would stop a sender that begins
    in that moment."""
    try:
        with (folder / FILE).open("rb") as file:
            pid, since = file.read(200).decode(errors="replace").split()
            inode = os.fstat(file.fileno()).st_ino
        return Holder(int(pid), since) if _is_locked(inode, int(pid)) else None
    except (OSError, ValueError):
        return None


def _is_locked(inode: int, pid: int) -> bool:
    """A sender that was killed leaves its line behind, and no lock."""
    with suppress(OSError):
        locks = Path("/proc/locks").read_text(encoding="ascii", errors="replace")
        return any(" FLOCK " in line and f":{inode} " in line for line in locks.splitlines())
    try:  # no Linux: whether the process lives
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return True


@contextmanager
def sender_lock(folder: Path, now: datetime) -> Iterator[None]:
    """Hold the campaign's sender lock. Raises CampaignBusy, with the holder's process id and since when."""
    # Never unlinked: somebody may hold the old file while another locks a new one of the same name.
    descriptor = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").split()
            who = f"process {holder[0]} since {holder[1]}" if len(holder) == 2 else "another process"
            raise CampaignBusy(f"the campaign is being sent by {who}; only one sender may run at a time") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {utc_text(now)}\n".encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)
