"""Queries for the dossier of an approval: what waits for it in numbers, its requests, its signatures (I7)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.model import to_ms
from notifier.storage.database import insert_many


class WaitingRoute(NamedTuple):
    """How many notifications that wait for an approval take one route for one reason. ``review``: what holds them."""

    route: str
    reason: str
    review: str
    excluded: str
    notifications: int


async def waiting_routes(connection: AsyncConnection, wave: str) -> list[WaitingRoute]:
    """The wave's notifications without a batch, by route and reason."""
    rows = await connection.execute(
        text(
            "SELECT route, route_reason, review, excluded, COUNT(*) FROM notifications "
            "WHERE wave_id = (SELECT id FROM waves WHERE name = :wave) AND batch_id IS NULL "
            "GROUP BY route, route_reason, review, excluded ORDER BY route, route_reason, review, excluded"
        ),
        {"wave": wave},
    )
    return [WaitingRoute(*row) for row in rows]


async def waiting_deliveries(connection: AsyncConnection, wave: str) -> dict[str, int]:
    """Channel → how many deliveries the wave's next batch makes: messages and letters, not persons."""
    rows = await connection.execute(
        text(
            "SELECT channel, COUNT(*) AS deliveries FROM deliveries "
            "WHERE wave_id = (SELECT id FROM waves WHERE name = :wave) "
            "AND batch_id IS NULL AND id IN (SELECT delivery_id FROM notifications WHERE batch_id IS NULL "
            "AND wave_id = (SELECT id FROM waves WHERE name = :wave)) GROUP BY channel ORDER BY channel"
        ),
        {"wave": wave},
    )
    return {row.channel: row.deliveries for row in rows}


class FileIn(NamedTuple):
    """A file that counts."""

    kind: str
    sha256: str
    profile: str
    incident: str
    as_of: str
    rows: int
    records: int
    rejections: int


async def files_in(connection: AsyncConnection) -> list[FileIn]:
    """The completed imports, the oldest first."""
    rows = await connection.execute(
        text(
            "SELECT kind, sha256, profile, incident, as_of, rows_read, records, rejections FROM imports "
            "WHERE state = 'complete' ORDER BY id"
        )
    )
    return [FileIn(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A dossier that was handed out. ``manifest``: canonical JSON; ``sha256``: of it, hex."""

    wave: str
    manifest: str
    sha256: str
    requested_by: str
    requested_ms: int


async def latest_request(connection: AsyncConnection, wave: str) -> StoredRequest | None:
    """The last dossier of the wave, None if none was requested."""
    rows = await connection.execute(
        text(
            "SELECT wave, manifest, sha256, requested_by, requested_ms FROM approval_requests WHERE wave = :wave "
            "ORDER BY id DESC LIMIT 1"
        ),
        {"wave": wave},
    )
    found = rows.one_or_none()
    return StoredRequest(*found) if found else None


async def requested_before(connection: AsyncConnection, wave: str) -> list[tuple[str, int]]:
    """(SHA-256, when, in milliseconds) of the wave's dossiers, the newest first."""
    rows = await connection.execute(
        text("SELECT sha256, requested_ms FROM approval_requests WHERE wave = :wave ORDER BY id DESC"), {"wave": wave}
    )
    return [(row.sha256, row.requested_ms) for row in rows]


async def insert_request(
    connection: AsyncConnection, wave: str, *, manifest: str, sha256: str, by: str, now: datetime
) -> None:
    """One more dossier of the wave."""
    await connection.execute(
        text(
            "INSERT INTO approval_requests (wave, manifest, sha256, requested_by, requested_ms) "
            "VALUES (:wave, :manifest, :sha256, :by, :now)"
        ),
        {"wave": wave, "manifest": manifest, "sha256": sha256, "by": by, "now": to_ms(now)},
    )


class StoredSignature(NamedTuple):
    """Who signed a batch, and with what. ``public_key``: base64 of the key's blob; ``signature``: armoured."""

    name: str
    role: str
    public_key: str
    signature: str


async def insert_signatures(connection: AsyncConnection, batch_id: int, signatures: Iterable[StoredSignature]) -> None:
    """What a batch was signed with, in this order."""
    rows = [(batch_id, place, *each) for place, each in enumerate(signatures, 1)]
    columns = ("batch_id", "place", "name", "role", "public_key", "signature")
    await insert_many(connection, "batch_signatures", columns, rows)


class SignedBatch(NamedTuple):
    """A batch's manifest and the armoured signatures over it."""

    wave: str
    number: int
    manifest: str
    signatures: list[str]


async def signed_batches(connection: AsyncConnection) -> list[SignedBatch]:
    """Every batch that has a manifest, in the order of approval."""
    rows = await connection.execute(
        text(
            "SELECT b.id, w.name, b.number, b.manifest FROM batches b JOIN waves w ON w.id = b.wave_id "
            "WHERE b.manifest <> '' ORDER BY b.id"
        )
    )
    batches = rows.all()
    found = await connection.execute(text("SELECT batch_id, signature FROM batch_signatures ORDER BY batch_id, place"))
    signatures: dict[int, list[str]] = {}
    for batch, signature in found:
        signatures.setdefault(batch, []).append(signature)
    return [SignedBatch(wave, number, manifest, signatures.get(id_, [])) for id_, wave, number, manifest in batches]
