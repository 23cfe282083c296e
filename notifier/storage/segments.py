"""Queries on segments as keys: what decides a text, and how many notifications wait for it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.errors import StorageError
from notifier.model import Audience, Form, SegmentKey, WaveKind, parse_exposures

_COLUMNS = (
    "s.id, w.name, w.kind, s.sender, s.audience, s.profession, s.form, e.canonical, s.language "
    "FROM segments s JOIN waves w ON w.id = s.wave_id JOIN exposure_sets e ON e.id = s.exposure_set_id"
)


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment's number, its key, and how many notifications have it: all of them, and those not yet approved."""

    id: int
    key: SegmentKey
    notifications: int = 0
    waiting: int = 0


def _key(row: tuple[str, ...]) -> SegmentKey:
    wave, kind, sender, audience, profession, form, canonical, language = row
    return SegmentKey(
        wave=wave,
        wave_kind=WaveKind(kind),
        sender=sender,
        audience=Audience(audience),
        profession=profession,
        form=Form(form),
        exposures=parse_exposures(canonical),
        language=language,
    )


async def segments_of(connection: AsyncConnection, wave: str) -> list[StoredSegment]:
    """The segments of a wave that have notifications, by number."""
    rows = await connection.execute(
        text(
            "SELECT n.notifications, n.waiting, "  # noqa: S608  (a constant of this module)
            + _COLUMNS
            + " JOIN ("
            "SELECT segment_id, COUNT(*) AS notifications, "
            "SUM(CASE WHEN batch_id IS NULL THEN 1 ELSE 0 END) AS waiting "
            "FROM notifications WHERE wave_id = (SELECT id FROM waves WHERE name = :wave) GROUP BY segment_id"
            ") n ON n.segment_id = s.id ORDER BY s.id"
        ),
        {"wave": wave},
    )
    return [StoredSegment(row[2], _key(tuple(row[3:])), row[0], row[1]) for row in rows]


async def segment_key(connection: AsyncConnection, segment_id: int) -> SegmentKey:
    """The key of one segment. Raises StorageError if there is none of that number."""
    rows = await connection.execute(text("SELECT " + _COLUMNS + " WHERE s.id = :id"), {"id": segment_id})
    row = rows.one_or_none()
    if row is None:
        raise StorageError(f"there is no segment {segment_id}")
    return _key(tuple(row[1:]))
