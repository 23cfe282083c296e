"""Queries for a file that is forgotten: what is known of it, and how its bytes leave the database file.

Two promises. In the transaction, what is deleted is overwritten with zeros (`secure`). Afterwards `scrub` writes the
whole database anew and cuts its log to nothing: rows that were deleted earlier and elsewhere (the staging, a file that
was withdrawn before, copies that a split page left behind) lie in free space that no DELETE reaches.
"""

# ruff: noqa: S608  (the SQL is put together from this module's own words)

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.errors import OperatorError, TryLater
from notifier.storage import waiting
from notifier.storage.database import BUSY_SECONDS
from notifier.storage.failures import failure
from notifier.storage.temporary import PART

FORGOTTEN = "forgotten"
SCRUB_ROOM = 2.2  # times the database: the new copy (a temporary file), and the log through which it comes back
_COUNTED = ("records", "contacts", "rejections", "reviews", "notifications", "deliveries", "held_names")


class KnownImport(NamedTuple):
    """One way in which a file was taken in. ``state``: staging, held, complete, undone or forgotten."""

    import_id: int
    kind: str
    state: str
    sha256: str
    profile: str
    incident: str
    as_of: str
    size_bytes: int
    rows: int
    records: int
    rejections: int
    begun_ms: int | None
    completed_ms: int | None


async def of_file(connection: AsyncConnection, sha256_start: str) -> list[KnownImport]:
    """The imports, in any state, of files whose SHA-256 (hex) begins so; the oldest first."""
    found = await connection.execute(
        text(
            "SELECT id, kind, state, sha256, profile, incident, as_of, size_bytes, rows_read, records, rejections, "
            "begun_ms, completed_ms FROM imports WHERE substr(sha256, 1, :length) = :start ORDER BY id"
        ),
        {"length": len(sha256_start), "start": sha256_start},
    )
    return [KnownImport(*row) for row in found]


async def from_archive(connection: AsyncConnection, sha256_start: str) -> list[str]:
    """The SHA-256 of the files that were taken out of an archive of several whose own SHA-256 begins so (that one
    stands in the text of their encoding)."""
    found = await connection.execute(
        text(
            "SELECT DISTINCT sha256 FROM imports WHERE encoding LIKE '%archive, SHA-256 ' || :start || '%' "
            "ORDER BY sha256"
        ),
        {"start": sha256_start},
    )
    return list(found.scalars())


class Extent(NamedTuple):
    """What is there of a file. ``persons``: known from it alone, as far as its records say."""

    records: int
    persons: int
    contacts: int
    rejections: int


async def extent(connection: AsyncConnection, sha256: str) -> Extent:
    """Counted from rows."""
    mine = "(SELECT id FROM imports WHERE sha256 = :sha256)"
    alone = (
        f"FROM (SELECT DISTINCT person_id FROM records WHERE import_id IN {mine}) AS k WHERE NOT EXISTS "
        f"(SELECT 1 FROM records r WHERE r.person_id = k.person_id AND r.import_id NOT IN {mine})"
    )
    counts = [
        (await connection.execute(text(f"SELECT COUNT(*) {of}"), {"sha256": sha256})).scalar_one()
        for of in (
            f"FROM records WHERE import_id IN {mine}",
            alone,
            f"FROM contacts WHERE import_id IN {mine}",
            f"FROM rejections WHERE import_id IN {mine}",
        )
    ]
    return Extent(*counts)


async def secure(connection: AsyncConnection) -> None:
    """What this connection deletes from now on is overwritten with zeros."""
    await connection.execute(text("PRAGMA secure_delete = ON"))


async def counted(connection: AsyncConnection) -> dict[str, int]:
    """Rows per table, of the tables that a file fills."""
    counts = {}
    for table in _COUNTED:
        counts[table] = int((await connection.execute(text(f"SELECT COUNT(*) FROM {table}"))).scalar_one())
    return counts


async def erase(connection: AsyncConnection, import_id: int) -> None:
    """Remove all that hangs on the import, and of its row all but facts and counts: names of files and folders may be
    those of persons."""
    await connection.execute(text("CREATE INDEX deliveries_contact_now ON deliveries (contact_id)"))
    for table in ("contacts", "rejections", "held_names"):
        await connection.execute(text(f"DELETE FROM {table} WHERE import_id = :id"), {"id": import_id})
    await connection.execute(text("DROP INDEX deliveries_contact_now"))
    await connection.execute(
        text(
            f"UPDATE imports SET state = '{FORGOTTEN}', name = '', path = '', received_from = '', senders = '' "
            "WHERE id = :id"
        ),
        {"id": import_id},
    )


async def foreign_fields(connection: AsyncConnection, sha256: str) -> AsyncIterator[list[tuple[int, bytes, bytes]]]:
    """(person, identity, sealed fields) of insured persons whom another file than this one knows, and whose fields a
    row of the withdrawn import gave. In the transaction of the withdrawal, whose temporary tables it reads; some
    thousands at a time."""
    after = 0
    while True:
        rows = await connection.execute(
            text(
                "SELECT p.id, p.identity, p.sealed FROM departing d CROSS JOIN remaining m CROSS JOIN persons p "
                "WHERE d.person_id > :after AND d.is_first AND m.person_id = d.person_id AND p.id = d.person_id "
                "AND p.kind = 'insured' AND NOT EXISTS (SELECT 1 FROM records r WHERE r.person_id = p.id "
                "AND r.nameless_identity = p.identity) AND EXISTS (SELECT 1 FROM records r WHERE r.person_id = p.id "
                "AND r.import_id NOT IN (SELECT id FROM imports WHERE sha256 = :sha256)) "
                "ORDER BY d.person_id LIMIT :many"
            ),
            {"after": after, "many": PART, "sha256": sha256},
        )
        part = [(person, identity, sealed) for person, identity, sealed in rows]
        if not part:
            return
        yield part
        after = part[-1][0]


# -- what the journal says -------------------------------------------------------------------------------------------


async def entries_of(connection: AsyncConnection, sha256: str) -> list[bytes]:
    """The bodies of the entries `file_forgotten` about a file, oldest first."""
    found = await connection.execute(
        text(
            "SELECT body FROM entries WHERE subject = :sha256 AND delivery_id IS NULL AND kind = 'file_forgotten' "
            "ORDER BY id"
        ),
        {"sha256": sha256},
    )
    return list(found.scalars())


# -- the bytes -------------------------------------------------------------------------------------------------------


def must_have_room(path: Path) -> None:
    """Raises OperatorError when the disk has no room to write the database at ``path`` anew."""
    wanted = int(path.stat().st_size * SCRUB_ROOM)
    free = shutil.disk_usage(path.parent).free
    if free < wanted:
        raise OperatorError(
            f"to leave nothing behind, the database is written anew: that takes {wanted >> 20} MB of free disk, and "
            f"there are {free >> 20} MB; nothing was changed"
        )


async def scrub(path: Path, *, wait_seconds: float = BUSY_SECONDS) -> None:
    """Write the database at ``path`` anew, without what was ever deleted from it, and cut its log to nothing; remove
    the rows that a crash left waiting beside it. No transaction of this process may be open, and no intake may run.

    Raises TryLater when another program reads or writes it for longer than ``wait_seconds``, OperatorError when the
    disk is full. Nothing but free space was changed then.
    """
    await asyncio.to_thread(_scrub, path, wait_seconds)


def _scrub(path: Path, wait_seconds: float) -> None:
    waiting.discard(path)
    try:
        with closing(sqlite3.connect(path, timeout=wait_seconds, isolation_level=None)) as connection:
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            waiting.discard_planned(path)
            connection.execute("COMMIT")
            connection.execute("VACUUM")
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        found = failure(error)
        if not isinstance(found, TryLater):
            raise found from error
        busy = True
    if busy:
        raise TryLater(
            "what came from the file is deleted, but another program keeps the database open, and old pages with it: "
            "end it, and run the same command again; the certificate is issued then"
        )
