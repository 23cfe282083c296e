"""Queries on clear files: what we wrote outside the database with personal data in clear, and what a purge must reach.

A file is registered before its first byte is written, so that a crash leaves a name too many and never a file too many.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class ClearFile:
    """``path``: in the campaign's folder; ``source``: SHA-256 of the file that its content was taken from."""

    path: str
    kind: str
    source: str
    written_by: str
    written_ms: int


async def register(connection: AsyncConnection, file: ClearFile) -> None:
    """The file is about to be written, or to be written again."""
    await mark_removed(connection, file.path, now_ms=file.written_ms)
    await connection.execute(
        text(
            "INSERT INTO clear_files (path, kind, sha256, written_by, written_ms) "
            "VALUES (:path, :kind, :source, :written_by, :written_ms)"
        ),
        {name: getattr(file, name) for name in ClearFile.__dataclass_fields__},
    )


async def there(connection: AsyncConnection, source: str = "") -> list[ClearFile]:
    """The files that were not removed yet, the oldest first; those taken from ``source``, "" = all."""
    found = await connection.execute(
        text(
            "SELECT path, kind, sha256, written_by, written_ms FROM clear_files WHERE removed_ms IS NULL "
            "AND (:source = '' OR sha256 = :source) ORDER BY id"
        ),
        {"source": source},
    )
    return [ClearFile(*row) for row in found]


async def of_nothing(connection: AsyncConnection, sha256_start: str) -> str | None:
    """The SHA-256 that begins so of a file of which no import counts, and a clear file is there still."""
    found = await connection.execute(
        text(
            "SELECT c.sha256 FROM clear_files c WHERE c.removed_ms IS NULL AND substr(c.sha256, 1, :length) = :start "
            "AND NOT EXISTS (SELECT 1 FROM imports i WHERE i.sha256 = c.sha256 AND i.state = 'complete') LIMIT 1"
        ),
        {"length": len(sha256_start), "start": sha256_start},
    )
    return found.scalar_one_or_none()


async def mark_removed(connection: AsyncConnection, path: str, *, now_ms: int) -> None:
    """The file is gone."""
    await connection.execute(
        text("UPDATE clear_files SET removed_ms = :now_ms WHERE path = :path AND removed_ms IS NULL"),
        {"now_ms": now_ms, "path": path},
    )
