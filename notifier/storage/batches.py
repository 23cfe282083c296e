"""Queries on batches: what an approval froze (I7). A batch is inserted once and never changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.model import from_ms, to_ms
from notifier.storage.database import insert_many

CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """One approval. ``bound``: JSON of the settings it binds; ``manifest``: JSON of all that its dossier shows."""

    id: int
    wave: str
    number: int
    digest: str
    bound: str
    notifications: int
    manifest: str


@dataclass(frozen=True, slots=True)
class FrozenNotification:
    """A notification of a batch, with what its journal entry says. ``token``: of its delivery, empty = none."""

    id: int
    sender: str
    identity: bytes
    route: str
    route_reason: str
    review: str
    excluded: str
    rung: str
    segment_id: int
    audience: str
    exposures: str
    token: bytes
    person: int


async def wave_id(connection: AsyncConnection, wave: str) -> int | None:
    """The wave's number, None if nothing was planned under that name."""
    found = await connection.execute(text("SELECT id FROM waves WHERE name = :wave"), {"wave": wave})
    return found.scalar_one_or_none()


async def files_since_plan(connection: AsyncConnection, wave: str) -> int:
    """How many exports and directories were completed after the wave was planned: what the plan cannot know."""
    found = await connection.execute(
        text(
            "SELECT COUNT(*) FROM imports i JOIN waves w ON w.name = :wave "
            "WHERE i.state = 'complete' AND i.completed_ms > w.planned_ms"
        ),
        {"wave": wave},
    )
    return int(found.scalar_one())


async def next_number(connection: AsyncConnection, wave: int) -> int:
    """The number that the wave's next batch gets."""
    found = await connection.execute(
        text("SELECT COALESCE(MAX(number), 0) + 1 FROM batches WHERE wave_id = :wave"), {"wave": wave}
    )
    return int(found.scalar_one())


async def insert_batch(
    connection: AsyncConnection,
    wave: int,
    *,
    digest: str,
    bound: str,
    notifications: int,
    approved_by: str,
    now: datetime,
    files: Mapping[str, tuple[str, bytes]],
    manifest: str = "",
) -> tuple[int, int]:
    """A new batch with its files (path → SHA-256 in hex, content). Returns its id and its number within the wave."""
    number = await next_number(connection, wave)
    made = await connection.execute(
        text(
            "INSERT INTO batches "
            "(wave_id, number, digest, bound, notifications, approved_by, approved_ms, manifest) VALUES "
            "(:wave, :number, :digest, :bound, :notifications, :approved_by, :approved_ms, :manifest) RETURNING id"
        ),
        {
            "wave": wave,
            "number": number,
            "digest": digest,
            "bound": bound,
            "notifications": notifications,
            "approved_by": approved_by,
            "approved_ms": to_ms(now),
            "manifest": manifest,
        },
    )
    batch_id = int(made.scalar_one())
    rows = [(batch_id, path, sha256, content) for path, (sha256, content) in sorted(files.items())]
    await insert_many(connection, "batch_files", ("batch_id", "path", "sha256", "content"), rows)
    return batch_id, number


REFERENCE = "case_reference"  # the name of a function


async def freeze_notifications(
    connection: AsyncConnection, wave: int, batch_id: int, reference: Callable[[bytes], int]
) -> int:
    """Give every notification of the wave that has no batch this one, and their deliveries too. Returns how many
    notifications. A delivery that an earlier batch approved stays there (a household that grew). ``reference``: the
    number of the case reference that a token makes, by which a look-up finds the delivery."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    await driver.create_function(REFERENCE, 1, reference, deterministic=True)
    parameters = {"wave": wave, "batch": batch_id}
    frozen = await connection.execute(
        text("UPDATE notifications SET batch_id = :batch WHERE wave_id = :wave AND batch_id IS NULL"), parameters
    )
    await connection.execute(
        text(
            f"UPDATE deliveries SET batch_id = :batch, reference = {REFERENCE}(token), "  # noqa: S608  (our words)
            "priority = (SELECT s.priority FROM segments s WHERE s.id = deliveries.segment_id) "
            "WHERE wave_id = :wave AND batch_id IS NULL AND id IN "
            "(SELECT delivery_id FROM notifications WHERE wave_id = :wave AND batch_id = :batch)"
        ),
        parameters,
    )
    return frozen.rowcount


async def frozen_notifications(
    connection: AsyncConnection, wave: int, batch_id: int | None
) -> AsyncIterator[list[FrozenNotification]]:
    """A batch's notifications in order of id, some thousands at a time: memory stays flat at ten million. None: those
    that wait for an approval."""
    last = 0
    while True:
        rows = await connection.execute(
            text(
                "SELECT n.id, p.sender, p.identity, n.route, n.route_reason, n.review, n.excluded, p.rung, "
                "n.segment_id, s.audience, e.canonical, COALESCE(d.token, :no_token), p.id FROM notifications n "
                "JOIN persons p ON p.id = n.person_id JOIN segments s ON s.id = n.segment_id "
                "JOIN exposure_sets e ON e.id = s.exposure_set_id LEFT JOIN deliveries d ON d.id = n.delivery_id "
                "WHERE n.id > :last AND n.wave_id = :wave "
                "AND (n.batch_id = :batch OR (n.batch_id IS NULL AND :batch IS NULL)) "
                "ORDER BY n.id LIMIT :chunk"
            ),
            {"last": last, "wave": wave, "batch": batch_id, "chunk": CHUNK, "no_token": b""},
        )
        chunk = [FrozenNotification(*row) for row in rows]
        if not chunk:
            return
        yield chunk
        last = chunk[-1].id


async def note_pseudonyms(connection: AsyncConnection, persons: Iterable[tuple[bytes, int]]) -> None:
    """(pseudonym, person) of those whom an approval names, for look-ups."""
    rows = [{"pseudonym": pseudonym, "person": person} for pseudonym, person in persons]
    await connection.execute(
        text(
            "INSERT INTO pseudonyms (pseudonym, person_id) VALUES (:pseudonym, :person) "
            "ON CONFLICT (pseudonym) DO UPDATE SET person_id = excluded.person_id"
        ),
        rows,
    )


_BATCHES = (
    "SELECT b.id, w.name, b.number, b.digest, b.bound, b.notifications, b.manifest "
    "FROM batches b JOIN waves w ON w.id = b.wave_id "
)


async def batch(connection: AsyncConnection, batch_id: int) -> StoredBatch | None:
    """One batch, None if there is none of that id."""
    found = (await connection.execute(text(_BATCHES + "WHERE b.id = :id"), {"id": batch_id})).one_or_none()
    return StoredBatch(*found) if found else None


async def batches(connection: AsyncConnection, wave: str | None = None) -> list[StoredBatch]:
    """All batches, or those of one wave, in the order of approval."""
    rows = await connection.execute(
        text(_BATCHES + "WHERE :wave IS NULL OR w.name = :wave ORDER BY b.id"), {"wave": wave}
    )
    return [StoredBatch(*row) for row in rows]


async def approved_at(connection: AsyncConnection, batch_id: int) -> datetime:
    """When a batch was approved."""
    found = await connection.execute(text("SELECT approved_ms FROM batches WHERE id = :id"), {"id": batch_id})
    return from_ms(found.scalar_one())


async def unfinished_batches(connection: AsyncConnection, wave: str | None = None) -> list[StoredBatch]:
    """The batches of which a sender would begin something by itself: a mail delivery that waits, is being sent, or is
    in doubt and due to be sent once more. What is held or set aside waits for somebody, who may never come."""
    rows = await connection.execute(
        text(
            _BATCHES  # noqa: S608  (a constant of this module)
            + "WHERE (:wave IS NULL OR w.name = :wave) AND b.id IN ("
            # Wave by wave, along the index on (wave_id, state).
            "SELECT d.batch_id FROM waves v CROSS JOIN deliveries d WHERE d.wave_id = v.id AND d.channel = 'mail' "
            "AND d.state IN ('queued', 'sending', 'deferred', 'in_doubt') "
            "AND (d.state <> 'in_doubt' OR d.due_ms > 0)) ORDER BY b.id"
        ),
        {"wave": wave},
    )
    return [StoredBatch(*row) for row in rows]


async def segments_of_batch(connection: AsyncConnection, batch_id: int) -> list[int]:
    """The segments that have a notification in the batch."""
    rows = await connection.execute(
        text("SELECT DISTINCT segment_id FROM notifications WHERE batch_id = :id ORDER BY segment_id"), {"id": batch_id}
    )
    return list(rows.scalars())


async def batch_files(connection: AsyncConnection, batch_id: int) -> dict[str, tuple[str, bytes]]:
    """Path → SHA-256 (hex) and content of what the batch is rendered from."""
    rows = await connection.execute(
        text("SELECT path, sha256, content FROM batch_files WHERE batch_id = :id ORDER BY path"), {"id": batch_id}
    )
    return {path: (sha256, bytes(content)) for path, sha256, content in rows}
