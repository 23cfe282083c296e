"""Queries on held files: read to the end, nothing kept of their rows, waiting for a sender's name or for a word on
their rejections. One row of `imports` in state 'held' per file, kind and profile, its names in `held_names`, sealed.
"""

# ruff: noqa: S608  (the SQL is put together from this module's own words)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.storage.database import insert_many
from notifier.storage.imports import ImportRow


@dataclass(frozen=True, slots=True)
class HeldImport:
    """A held file. ``path``: where it lay; ``names``: how many names no sender has."""

    import_id: int
    kind: str
    sha256: str
    profile: str
    incident: str
    name: str
    as_of: str
    path: str
    received_at: str
    received_from: str
    expected_rows: int | None
    sha256_checked: bool
    reason: str
    rows: int
    records: int
    rejections: int
    begun_ms: int | None
    names: int
    replaces: str


_HELD = """SELECT i.id, i.kind, i.sha256, i.profile, i.incident, i.name, i.as_of, i.path, i.received_at,
    i.received_from, i.expected_rows, i.sha256_checked, i.held_reason, i.rows_read, i.records, i.rejections, i.begun_ms,
    (SELECT COUNT(*) FROM held_names h WHERE h.import_id = i.id), i.replaces FROM imports i WHERE i.state = 'held'"""


async def held(connection: AsyncConnection, sha256_start: str = "") -> list[HeldImport]:
    """The held files, the oldest first; of those whose SHA-256 (hex) begins so."""
    found = await connection.execute(
        text(f"{_HELD} AND substr(i.sha256, 1, :length) = :start ORDER BY i.id"),
        {"length": len(sha256_start), "start": sha256_start},
    )
    return [HeldImport(**{**dict(zip(HeldImport.__slots__, row, strict=True)), "sha256_checked": bool(row[11])})
            for row in found]  # fmt: skip


async def names_of(connection: AsyncConnection, import_id: int) -> Sequence[tuple[int, bytes]]:
    """(rows, sealed name), the most frequent first."""
    found = await connection.execute(
        text("SELECT rows, sealed FROM held_names WHERE import_id = :id ORDER BY rows DESC, id"), {"id": import_id}
    )
    return [(row[0], row[1]) for row in found]


async def insert(
    connection: AsyncConnection,
    row: ImportRow,
    *,
    reason: str,
    rows: int,
    records: int,
    rejections: int,
    names: Sequence[tuple[int, bytes]],
) -> None:
    """A new held file. ``names``: (rows, sealed)."""
    found = await connection.execute(
        text(
            "INSERT INTO imports (kind, state, sha256, profile, settings_digest, incident, name, size_bytes, encoding, "
            "as_of, path, received_at, received_from, expected_rows, sha256_checked, begun_ms, senders, held_reason, "
            "accepted_by, rows_read, records, rejections, persons_new, persons_known, replaces) VALUES (:kind, 'held', "
            ":sha256, :profile, :settings_digest, :incident, :name, :size_bytes, :encoding, :as_of, :path, "
            ":received_at, :received_from, :expected_rows, :sha256_checked, :begun_ms, '', :reason, '', :rows, "
            ":records, :rejections, 0, 0, :replaces) RETURNING id"
        ),
        {name: getattr(row, name) for name in ImportRow.__dataclass_fields__}
        | {"reason": reason, "rows": rows, "records": records, "rejections": rejections},
    )
    import_id = int(found.scalar_one())
    await insert_many(connection, "held_names", ("import_id", "rows", "sealed"), [(import_id, *each) for each in names])


async def release(connection: AsyncConnection, *, kind: str, sha256: str, profile: str | None) -> None:
    """The file is held no more: its row goes, with its names. ``profile``: None for whatever it was read with."""
    mine = "(SELECT id FROM imports WHERE state = 'held' AND kind = :kind AND sha256 = :sha256{})".format(
        "" if profile is None else " AND profile = :profile"
    )
    values = {"kind": kind, "sha256": sha256} | ({} if profile is None else {"profile": profile})
    await connection.execute(text(f"DELETE FROM held_names WHERE import_id IN {mine}"), values)
    await connection.execute(text(f"DELETE FROM imports WHERE id IN {mine}"), values)


async def withdraw(connection: AsyncConnection, import_id: int) -> None:
    """The hold is withdrawn; the row stays, as history, the names go."""
    await connection.execute(text("DELETE FROM held_names WHERE import_id = :id"), {"id": import_id})
    await connection.execute(
        text("UPDATE imports SET state = 'undone' WHERE id = :id AND state = 'held'"), {"id": import_id}
    )
