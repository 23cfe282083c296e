"""Queries on entries and leaves. An entry is appended in the transaction that changes the state it speaks of (I4, I9);
its leaf is inserted later, by the sealer, and never changed.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.model import Entry
from notifier.storage.database import insert_many

SALT_BYTES = 32


@dataclass(frozen=True, slots=True)
class LeafRow:
    """A sealed entry: its place, its hash as stored, and what the hash covers."""

    index: int
    entry_id: int
    leaf_hash: bytes
    salt: bytes
    body: bytes


async def append(connection: AsyncConnection, entries: Iterable[Entry]) -> None:
    """Append, in order, in the caller's transaction. Each entry gets a random salt (DOMAIN E3, leaf privacy)."""
    rows = [(entry.kind, entry.subject, secrets.token_bytes(SALT_BYTES), entry.canonical()) for entry in entries]
    await insert_many(connection, "entries", ("kind", "subject", "salt", "body"), rows)


async def unsealed(connection: AsyncConnection, after_entry: int, limit: int) -> Sequence[tuple[int, bytes, bytes]]:
    """Up to ``limit`` entries (id, salt, body) after the last sealed one, in order of id.

    Ids grow in the order of commit because SQLite has one writer at a time; on PostgreSQL, where two writers may commit
    out of order, this will need a lock around appending or a wait for older transactions.
    """
    rows = await connection.execute(
        text("SELECT id, salt, body FROM entries WHERE id > :after ORDER BY id LIMIT :limit"),
        {"after": after_entry, "limit": limit},
    )
    return [(row[0], row[1], row[2]) for row in rows]


async def add_leaves(connection: AsyncConnection, leaves: list[tuple[int, int, bytes]]) -> None:
    """Insert (leaf index, entry id, leaf hash) rows."""
    await insert_many(connection, "leaves", ("leaf_index", "entry_id", "leaf_hash"), leaves)


_LEAF = (
    "SELECT l.leaf_index, l.entry_id, l.leaf_hash, e.salt, e.body FROM leaves l JOIN entries e ON e.id = l.entry_id "
)


async def last_leaf(connection: AsyncConnection) -> LeafRow | None:
    """The sealed entry with the highest leaf index. None as well when that leaf's entry is gone: see sealer."""
    rows = await connection.execute(text(_LEAF + "ORDER BY l.leaf_index DESC LIMIT 1"))
    row = rows.one_or_none()
    return LeafRow(*row) if row else None


async def sealed(connection: AsyncConnection, first: int, end: int) -> Sequence[tuple[int, bytes, bytes, bytes]]:
    """(leaf index, leaf hash, salt, body) of the leaves ``first`` … ``end - 1``, in order."""
    rows = await connection.execute(
        text(
            "SELECT l.leaf_index, l.leaf_hash, e.salt, e.body FROM leaves l JOIN entries e ON e.id = l.entry_id "
            "WHERE l.leaf_index >= :first AND l.leaf_index < :end ORDER BY l.leaf_index"
        ),
        {"first": first, "end": end},
    )
    return rows.all()


async def leaf_hashes(connection: AsyncConnection, first: int, end: int) -> list[bytes]:
    """The hashes of the leaves ``first`` … ``end - 1``, in order."""
    rows = await connection.execute(
        text("SELECT leaf_hash FROM leaves WHERE leaf_index >= :first AND leaf_index < :end ORDER BY leaf_index"),
        {"first": first, "end": end},
    )
    return list(rows.scalars())


async def of_subjects(connection: AsyncConnection, subjects: Iterable[str], size: int) -> list[LeafRow]:
    """The sealed entries about ``subjects`` among the first ``size``, in order of leaf index."""
    found: list[LeafRow] = []
    for subject in sorted(set(subjects)):
        rows = await connection.execute(text(OF_SUBJECT), {"subject": subject, "token": _bytes(subject), "size": size})
        found.extend(LeafRow(*row) for row in rows)
    return sorted(found, key=lambda leaf: leaf.index)


# What attempts said of a delivery is found by the delivery's id (tables.JournalEntry), all else by the subject.
OF_SUBJECT = (
    f"{_LEAF}WHERE e.subject = :subject AND e.delivery_id IS NULL AND l.leaf_index < :size UNION ALL "  # noqa: S608
    f"{_LEAF}WHERE e.delivery_id = (SELECT id FROM deliveries WHERE token = :token) AND e.subject = :subject "
    "AND l.leaf_index < :size"
)


def _bytes(subject: str) -> bytes:
    """A delivery's token, if the subject is one."""
    try:
        return bytes.fromhex(subject)
    except ValueError:
        return b""


async def of_kind(connection: AsyncConnection, kind: str, size: int) -> list[LeafRow]:
    """The sealed entries of a kind among the first ``size``, in order of leaf index. Reads all entries."""
    rows = await connection.execute(
        text(_LEAF + "WHERE e.kind = :kind AND l.leaf_index < :size ORDER BY l.leaf_index"),
        {"kind": kind, "size": size},
    )
    return [LeafRow(*row) for row in rows]


async def last_at(connection: AsyncConnection) -> datetime | None:
    """When the last entry was written down; None of an empty journal."""
    body = (await connection.execute(text("SELECT body FROM entries ORDER BY id DESC LIMIT 1"))).scalar_one_or_none()
    return None if body is None else datetime.fromisoformat(json.loads(body)["at"])


async def facts_of(connection: AsyncConnection, kind: str, subject: str) -> dict[str, Any] | None:
    """The facts of the first entry of a kind about a subject, sealed or not yet; None if there is none. Not for what
    attempts said of a delivery."""
    rows = await connection.execute(
        text(
            "SELECT body FROM entries WHERE subject = :subject AND delivery_id IS NULL AND kind = :kind "
            "ORDER BY id LIMIT 1"
        ),
        {"subject": subject, "kind": kind},
    )
    body = rows.scalar_one_or_none()
    if body is None:
        return None
    facts: dict[str, Any] = json.loads(body)["facts"]
    return facts


async def holds_kind(connection: AsyncConnection, kind: str) -> bool:
    """Whether there is an entry of this kind. Reads them all if there is none: not for the hot path."""
    found = await connection.execute(text("SELECT 1 FROM entries WHERE kind = :kind LIMIT 1"), {"kind": kind})
    return found.first() is not None
