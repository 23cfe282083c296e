"""Queries on imports: staging, what belongs to it, completion.

A file is staged in several transactions (one per batch) under an import row with state 'staging'; nothing of it counts
until the transaction that sets 'complete'. A crash leaves a row 'staging'; the next stage wipes it with all it holds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.errors import StorageError
from notifier.model import Rejection
from notifier.storage.database import insert_many


@dataclass(frozen=True, slots=True)
class ImportRow:
    """An import as it was begun."""

    kind: str
    sha256: str
    profile: str
    settings_digest: str
    incident: str
    name: str
    size_bytes: int
    encoding: str
    as_of: str
    path: str = ""
    received_at: str = ""
    received_from: str = ""
    expected_rows: int | None = None
    begun_ms: int | None = None


@dataclass(frozen=True, slots=True)
class CompleteImport:
    """An import that is complete, with its counts."""

    import_id: int
    rows: int
    records: int
    rejections: int
    persons_new: int
    persons_known: int


async def find_complete(
    connection: AsyncConnection, *, kind: str, sha256: str, profile: str, settings_digest: str
) -> CompleteImport | None:
    """The complete import of these bytes under this profile and these senders."""
    found = await connection.execute(
        text(
            "SELECT id, rows_read, records, rejections, persons_new, persons_known FROM imports "
            "WHERE kind = :kind AND sha256 = :sha256 AND profile = :profile AND settings_digest = :settings_digest "
            "AND state = 'complete'"
        ),
        {"kind": kind, "sha256": sha256, "profile": profile, "settings_digest": settings_digest},
    )
    row = found.one_or_none()
    return CompleteImport(*row) if row else None


async def wipe_staging(connection: AsyncConnection) -> None:
    """Remove every import that did not complete, with all that was stored for it."""
    left = "(SELECT id FROM imports WHERE state = 'staging')"
    for table in ("staged_records", "contacts", "rejections"):
        await connection.execute(text(f"DELETE FROM {table} WHERE import_id IN {left}"))  # noqa: S608  (fixed names)
    await connection.execute(text("DELETE FROM imports WHERE state = 'staging'"))


async def begin(connection: AsyncConnection, row: ImportRow) -> int:
    """A new import row in state 'staging'; its id."""
    found = await connection.execute(
        text(
            "INSERT INTO imports (kind, state, sha256, profile, settings_digest, incident, name, size_bytes, encoding, "
            "as_of, path, received_at, received_from, expected_rows, begun_ms, held_reason, accepted_by, rows_read, "
            "records, rejections, persons_new, persons_known) VALUES (:kind, 'staging', :sha256, :profile, "
            ":settings_digest, :incident, :name, :size_bytes, :encoding, :as_of, :path, :received_at, :received_from, "
            ":expected_rows, :begun_ms, '', '', 0, 0, 0, 0, 0) RETURNING id"
        ),
        {name: getattr(row, name) for name in ImportRow.__dataclass_fields__},
    )
    return int(found.scalar_one())


async def exposure_sets(connection: AsyncConnection, canonicals: Iterable[str]) -> dict[str, int]:
    """The id of each canonical set of exposures; made when it is new."""
    ids: dict[str, int] = {}
    for canonical in canonicals:
        await connection.execute(
            text("INSERT INTO exposure_sets (canonical) VALUES (:canonical) ON CONFLICT (canonical) DO NOTHING"),
            {"canonical": canonical},
        )
        found = await connection.execute(
            text("SELECT id FROM exposure_sets WHERE canonical = :canonical"), {"canonical": canonical}
        )
        ids[canonical] = int(found.scalar_one())
    return ids


async def insert_staged(connection: AsyncConnection, columns: Sequence[str], rows: list[tuple[object, ...]]) -> None:
    """Rows of ``staged_records``."""
    await insert_many(connection, "staged_records", columns, rows)


async def insert_contacts(
    connection: AsyncConnection, import_id: int, columns: Sequence[str], rows: Iterable[tuple[object, ...]]
) -> None:
    """Rows of ``contacts``; the columns beside ``import_id``."""
    await insert_many(connection, "contacts", ("import_id", *columns), [(import_id, *row) for row in rows])


async def insert_rejections(connection: AsyncConnection, import_id: int, rejections: Iterable[Rejection]) -> None:
    """Open rejections."""
    rows = [(import_id, each.line, each.column, each.code, "open", "", "") for each in rejections]
    columns = ("import_id", "line", "column", "code", "state", "reason", "decided_by")
    await insert_many(connection, "rejections", columns, rows)


async def set_read(connection: AsyncConnection, import_id: int, *, rows: int, records: int, rejections: int) -> None:
    """What the staging counted."""
    await connection.execute(
        text(
            "UPDATE imports SET rows_read = :rows, records = :records, rejections = :rejections "
            "WHERE id = :id AND state = 'staging'"
        ),
        {"rows": rows, "records": records, "rejections": rejections, "id": import_id},
    )


async def counted(connection: AsyncConnection, import_id: int, kind: str) -> tuple[int, int]:
    """Records and rejections of a staged import, counted from rows (I1)."""
    table = "staged_records" if kind == "export" else "contacts"
    counts = []
    for each in (table, "rejections"):
        found = await connection.execute(
            text(f"SELECT count(*) FROM {each} WHERE import_id = :id"),  # noqa: S608  (fixed names)
            {"id": import_id},
        )
        counts.append(int(found.scalar_one()))
    return counts[0], counts[1]


async def complete(
    connection: AsyncConnection, import_id: int, *, persons_new: int, persons_known: int, completed_ms: int
) -> None:
    """The import counts from now on; its staged rows go. Raises StorageError if it is not being staged any more."""
    updated = await connection.execute(
        text(
            "UPDATE imports SET state = 'complete', persons_new = :new, persons_known = :known, "
            "completed_ms = :completed_ms WHERE id = :id AND state = 'staging'"
        ),
        {"new": persons_new, "known": persons_known, "completed_ms": completed_ms, "id": import_id},
    )
    if updated.rowcount != 1:
        raise StorageError("the staged import is gone: another intake ran at the same time; run this one again")
    await _unstage(connection, import_id)


async def _unstage(connection: AsyncConnection, import_id: int) -> None:
    """The import's staged rows go. As a rule they are the only ones: SQLite then lets go of the table's pages without
    touching a row, if the statement has no condition."""
    others = await connection.execute(
        text(
            "SELECT EXISTS (SELECT 1 FROM staged_records WHERE import_id < :id) "
            "OR EXISTS (SELECT 1 FROM staged_records WHERE import_id > :id)"
        ),
        {"id": import_id},
    )
    if others.scalar_one():
        await connection.execute(text("DELETE FROM staged_records WHERE import_id = :id"), {"id": import_id})
    else:
        await connection.execute(text("DELETE FROM staged_records"))


async def rejections_of(connection: AsyncConnection, import_id: int) -> AsyncIterator[Rejection]:
    """The rejections of an import, by line."""
    found = await connection.stream(
        text('SELECT line, "column", code FROM rejections WHERE import_id = :id ORDER BY line, id'), {"id": import_id}
    )
    async for line, column, code in found:
        yield Rejection(line, column, code)


# -- an import is withdrawn ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PastImport:
    """An import that is complete, or was withdrawn (``state`` 'undone')."""

    import_id: int
    kind: str
    state: str
    sha256: str
    profile: str


async def past(connection: AsyncConnection, sha256_start: str) -> list[PastImport]:
    """The imports, complete or withdrawn, of files whose SHA-256 (hex) begins so; the oldest first."""
    found = await connection.execute(
        text(
            "SELECT id, kind, state, sha256, profile FROM imports WHERE state IN ('complete', 'undone') "
            "AND substr(sha256, 1, :length) = :start ORDER BY id"
        ),
        {"length": len(sha256_start), "start": sha256_start},
    )
    return [PastImport(*row) for row in found]


async def withdraw(connection: AsyncConnection, import_id: int) -> None:
    """The import counts no more, nor do its rejections; its row stays, as history. Raises StorageError if it does not
    count already."""
    await connection.execute(text("DELETE FROM rejections WHERE import_id = :id"), {"id": import_id})
    updated = await connection.execute(
        text("UPDATE imports SET state = 'undone' WHERE id = :id AND state = 'complete'"), {"id": import_id}
    )
    if updated.rowcount != 1:
        raise StorageError("the import is not complete: it cannot be withdrawn")
