"""Queries on imports: staging, what belongs to it, completion.

A file is staged in several transactions (one per batch) under an import row with state 'staging'; nothing of it counts
until the transaction that sets 'complete'. A crash leaves a row 'staging'; the next stage wipes it with all it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.errors import StorageError
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
    sha256_checked: bool = False
    begun_ms: int | None = None
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class CompleteImport:
    """An import that is complete, with its counts and with what decided its reading: ``settings_digest``, ``senders``
    (profiles.Senders.met), ``as_of``."""

    import_id: int
    kind: str
    sha256: str
    profile: str
    settings_digest: str
    senders: str
    as_of: str
    rows: int
    records: int
    rejections: int
    persons_new: int
    persons_known: int
    completed_ms: int | None


async def find_complete(connection: AsyncConnection, *, kind: str, sha256: str) -> list[CompleteImport]:
    """The complete imports of these bytes, the oldest first: as a rule one; of a workbook, one for each profile."""
    found = await connection.execute(
        text(
            "SELECT id, kind, sha256, profile, settings_digest, senders, as_of, rows_read, records, rejections, "
            "persons_new, persons_known, completed_ms FROM imports "
            "WHERE kind = :kind AND sha256 = :sha256 AND state = 'complete' ORDER BY id"
        ),
        {"kind": kind, "sha256": sha256},
    )
    return [CompleteImport(*row) for row in found]


async def informs_somebody(connection: AsyncConnection, import_id: int) -> bool:
    """Whether somebody whom this import's rows speak of, or whom one of its contacts reaches, is in an approved batch.
    Asked before a long reading; what decides is `people.departures`, in the transaction that withdraws."""
    found = await connection.execute(
        text(
            "SELECT EXISTS (SELECT 1 FROM notifications n WHERE n.batch_id IS NOT NULL AND "
            "(EXISTS (SELECT 1 FROM records r WHERE r.person_id = n.person_id AND r.import_id = :id) "
            "OR EXISTS (SELECT 1 FROM persons p JOIN contacts c ON c.id = p.contact_id "
            "WHERE p.id = n.person_id AND c.import_id = :id)))"
        ),
        {"id": import_id},
    )
    return bool(found.scalar_one())


async def wipe_staging(connection: AsyncConnection) -> None:
    """Remove every import that did not complete, with all that was stored for it."""
    left = "(SELECT id FROM imports WHERE state = 'staging')"
    for table in ("contacts", "rejections"):
        await connection.execute(text(f"DELETE FROM {table} WHERE import_id IN {left}"))  # noqa: S608  (fixed names)
    await connection.execute(text("DELETE FROM imports WHERE state = 'staging'"))


async def begin(connection: AsyncConnection, row: ImportRow) -> int:
    """A new import row in state 'staging'; its id."""
    found = await connection.execute(
        text(
            "INSERT INTO imports (kind, state, sha256, profile, settings_digest, incident, name, size_bytes, encoding, "
            "as_of, path, received_at, received_from, expected_rows, sha256_checked, begun_ms, senders, held_reason, "
            "accepted_by, rows_read, records, rejections, persons_new, persons_known, replaces) VALUES (:kind, "
            "'staging', :sha256, :profile, :settings_digest, :incident, :name, :size_bytes, :encoding, :as_of, :path, "
            ":received_at, :received_from, :expected_rows, :sha256_checked, :begun_ms, '', '', '', 0, 0, 0, 0, 0, "
            ":replaces) "
            "RETURNING id"
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


async def insert_contacts(
    connection: AsyncConnection, import_id: int, columns: Sequence[str], rows: Iterable[tuple[object, ...]]
) -> None:
    """Rows of ``contacts``; the columns beside ``import_id``."""
    await insert_many(connection, "contacts", ("import_id", *columns), [(import_id, *row) for row in rows])


async def set_read(
    connection: AsyncConnection,
    import_id: int,
    *,
    rows: int,
    records: int,
    rejections: int,
    senders: str = "",
    accepted_by: str = "",
) -> None:
    """What the staging counted, the names of senders that it used, and who accepted its share of rejections ("":
    nobody had to)."""
    await connection.execute(
        text(
            "UPDATE imports SET rows_read = :rows, records = :records, rejections = :rejections, senders = :senders, "
            "accepted_by = :accepted_by WHERE id = :id AND state = 'staging'"
        ),
        {
            "rows": rows,
            "records": records,
            "rejections": rejections,
            "senders": senders,
            "accepted_by": accepted_by,
            "id": import_id,
        },
    )


async def set_verdicts(connection: AsyncConnection, import_id: int, verdicts: str) -> None:
    """What became of the rows (`intake.verdicts.Verdicts.canonical`)."""
    await connection.execute(
        text("UPDATE imports SET verdicts = :verdicts WHERE id = :id"), {"verdicts": verdicts, "id": import_id}
    )


async def verdicts_of(connection: AsyncConnection, import_id: int) -> str:
    """What :func:`set_verdicts` stored."""
    found = await connection.execute(text("SELECT verdicts FROM imports WHERE id = :id"), {"id": import_id})
    return str(found.scalar_one())


async def shared_mailboxes(connection: AsyncConnection, import_id: int, least: int) -> int:
    """How many addresses this import gives to ``least`` members or more."""
    found = await connection.execute(
        text(
            "SELECT count(*) FROM (SELECT 1 FROM contacts WHERE import_id = :id AND mailbox IS NOT NULL "
            "GROUP BY mailbox HAVING count(DISTINCT identity) >= :least) AS shared"
        ),
        {"id": import_id, "least": least},
    )
    return int(found.scalar_one())


async def counted(connection: AsyncConnection, import_id: int, kind: str) -> tuple[int, int]:
    """Records and rejections of a staged import, counted from rows (I1)."""
    table = "records" if kind == "export" else "contacts"
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


# -- an import is withdrawn ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PastImport:
    """An import that is complete, or was withdrawn (``state`` 'undone')."""

    import_id: int
    kind: str
    state: str
    sha256: str
    profile: str
    incident: str = ""


async def past(connection: AsyncConnection, sha256_start: str) -> list[PastImport]:
    """The imports, complete or withdrawn, of files whose SHA-256 (hex) begins so; the oldest first."""
    found = await connection.execute(
        text(
            "SELECT id, kind, state, sha256, profile, incident FROM imports WHERE state IN ('complete', 'undone') "
            "AND substr(sha256, 1, :length) = :start ORDER BY id"
        ),
        {"length": len(sha256_start), "start": sha256_start},
    )
    return [PastImport(*row) for row in found]


async def withdraw(connection: AsyncConnection, import_id: int) -> None:
    """The import counts no more; its row stays, as history. Raises StorageError if it does not count already."""
    updated = await connection.execute(
        text("UPDATE imports SET state = 'undone' WHERE id = :id AND state = 'complete'"), {"id": import_id}
    )
    if updated.rowcount != 1:
        raise StorageError("the import is not complete: it cannot be withdrawn")


# -- a file is corrected by a later one ------------------------------------------------------------------------------


async def replacing(connection: AsyncConnection, sha256: str) -> list[str]:
    """The SHA-256 of the complete files that took the place of this one, the oldest first."""
    found = await connection.execute(
        text("SELECT sha256 FROM imports WHERE replaces = :sha256 AND state = 'complete' ORDER BY id"),
        {"sha256": sha256},
    )
    return list(found.scalars())


async def set_replaces(connection: AsyncConnection, import_id: int, sha256: str) -> None:
    """Note which earlier file this one takes the place of."""
    await connection.execute(
        text("UPDATE imports SET replaces = :sha256 WHERE id = :id"), {"sha256": sha256, "id": import_id}
    )


async def has_replaced(connection: AsyncConnection) -> bool:
    """Whether any file ever took the place of an earlier one."""
    found = await connection.execute(text("SELECT EXISTS (SELECT 1 FROM imports WHERE replaces <> '')"))
    return bool(found.scalar_one())
