"""What a message costs `notifier send` with 100,000 deliveries in the database, and with millions, in one run.

Half of the deliveries beside those that go out were sent before: each has its attempt, its entry and its leaf, as in a
campaign's middle; the other half is due in a year. Both sides send the same messages. Goal (DESIGN 13): the same CPU
for each, within 10 %; the clock is the sink's too, and whoever else works on the machine. What a run costs before its
first message (it counts what is left) is told apart.

Run: python benchmarks/send.py --only flat [--rows 2000000] (about five minutes, three GB).
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

YEAR_MS = 366 * 86_400_000
SMALL = 100_000

# The digests of a copied contact are left out: sending reads none of them.
_DROPPED = frozenset({
    "household", "mailbox", "shared_mailbox", "forename_key", "key_member", "key_nir_rank", "key_nir_forename",
    "key_contract", "key_contract_birth", "key_near_nir", "key_near_contract",
})  # fmt: skip
_COPIES = "WITH RECURSIVE copy (k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM copy WHERE k < :copies) "


def grow(path: Path, rows: int) -> int:
    """Copy the deliveries of mail and their contacts, in SQL, until there are about ``rows`` of mail; how many there
    are. The copies are the campaign's past and future; what was there stays due now."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("synchronous = OFF", "journal_mode = OFF", "foreign_keys = OFF", "cache_size = -100000"):
        connection.execute(f"PRAGMA {pragma}")
    ((mail, last),) = connection.execute("SELECT SUM(channel = 'mail'), MAX(id) FROM deliveries")
    ((contacts, lines),) = connection.execute("SELECT MAX(id), MAX(line) FROM contacts")
    values = {
        "copies": max(0, rows // mail - 1), "last": last, "contacts": contacts, "lines": lines,
        "now": int(time.time() * 1000), "later": int(time.time() * 1000) + YEAR_MS,
    }  # fmt: skip
    connection.execute("BEGIN")
    if values["copies"]:
        _copy(connection, "contacts", values, {
            "id": "id + k * :contacts", "line": "line + k * :lines", **dict.fromkeys(_DROPPED, "NULL"),
        }, "1")  # fmt: skip
        _copy(connection, "deliveries", values, {
            "id": "id + k * :last", "contact_id": "contact_id + k * :contacts", "token": "randomblob(16)",
            "reference": "abs(random()) >> 4", "state": "iif(k % 2, 'accepted', 'queued')", "attempt": "k % 2",
            "first_ms": "iif(k % 2, :now, NULL)", "started_ms": "iif(k % 2, :now, NULL)",
            "due_ms": "iif(k % 2, 0, :later)", "observe_until_ms": "iif(k % 2, :later, NULL)",
        }, "channel = 'mail'")  # fmt: skip
        connection.execute(
            "INSERT INTO attempts (delivery_id, number, outcome, late, phase, code, enhanced, reply, notice_sha256, "
            "started_ms, ended_ms) "
            "SELECT id, 1, 'accepted', 0, 'final', 250, '', 'Ok', hex(randomblob(32)), :now, :now "
            "FROM deliveries WHERE state = 'accepted' ORDER BY id",
            values,
        )
        connection.execute(
            "INSERT INTO entries (kind, subject, delivery_id, salt, body) SELECT 'delivery_accepted', "
            "lower(hex(token)), id, randomblob(32), randomblob(420) FROM deliveries WHERE state = 'accepted' "
            "ORDER BY id"
        )
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    return int(int(mail) * (values["copies"] + 1))


def _copy(
    connection: sqlite3.Connection, table: str, values: dict[str, int], changed: dict[str, str], whose: str
) -> None:
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    chosen = ", ".join(changed.get(column, column) for column in columns)
    # ORDER BY: what is read is read to its end before anything is written, so that copies are not copied again.
    connection.execute(
        f"{_COPIES}INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} "
        f"FROM copy CROSS JOIN {table} WHERE {whose} ORDER BY k, id",
        values,
    )


@dataclass(frozen=True)
class Cost:
    """``cpu``: microseconds for a message in the middle of the run; ``before``: seconds of CPU before the first."""

    cpu: float
    before: float
    memory: float


def watched(command: list[str], environment: dict[str, str], path: Path) -> Cost:
    """Run `send`, and look every tenth of a second what it has used and how many attempts it has recorded."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    last = "SELECT COALESCE(MAX(id), 0) FROM attempts"
    ((first,),) = connection.execute(last)
    seen: list[tuple[int, float]] = []
    memory = 0.0
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            time.sleep(0.1)
            used = _used(process.pid)
            if used is None:
                break
            ((now,),) = connection.execute(last)
            seen.append((now - first, used[0]))
            memory = max(memory, used[1])
    connection.close()
    if process.returncode not in (0, 1):
        raise SystemExit(f"send ended with {process.returncode}")
    total = seen[-1][0]
    steady = [(count, cpu) for count, cpu in seen if total * 0.1 <= count <= total * 0.9]
    (begin, spent), (end, spent_then) = steady[0], steady[-1]
    before = max(cpu for count, cpu in seen if count == 0)
    return Cost((spent_then - spent) / (end - begin) * 1e6, before, memory)


def _used(pid: int) -> tuple[float, float] | None:
    """CPU seconds and MB at most of a process; None when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    if "VmHWM:" not in status:
        return None
    high = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), high
