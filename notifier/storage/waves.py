"""Queries on waves and segments: a round, its texts' keys, and what a plan says in numbers."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.model import parse_exposures


class WaveRow(NamedTuple):
    """One round."""

    id: int
    name: str
    kind: str


async def waves(connection: AsyncConnection) -> list[WaveRow]:
    """All rounds, oldest first."""
    rows = await connection.execute(text("SELECT id, name, kind FROM waves ORDER BY id"))
    return [WaveRow(*row) for row in rows]


async def begin_wave(connection: AsyncConnection, name: str, kind: str, now_ms: int) -> WaveRow:
    """The wave of that name, made if there is none, marked as planned now."""
    await connection.execute(
        text(
            "INSERT INTO waves (name, kind, created_ms, planned_ms) VALUES (:name, :kind, :now, :now) "
            "ON CONFLICT (name) DO UPDATE SET planned_ms = excluded.planned_ms"
        ),
        {"name": name, "kind": kind, "now": now_ms},
    )
    rows = await connection.execute(text("SELECT id, name, kind FROM waves WHERE name = :name"), {"name": name})
    return WaveRow(*rows.one())


async def drop_unapproved(connection: AsyncConnection) -> None:
    """Delete the rounds of which nothing is left and nothing was ever approved."""
    await connection.execute(
        text(
            "DELETE FROM waves WHERE id NOT IN (SELECT wave_id FROM batches) "
            "AND id NOT IN (SELECT wave_id FROM notifications) AND id NOT IN (SELECT wave_id FROM deliveries) "
            "AND id NOT IN (SELECT wave_id FROM segments)"
        )
    )


class SegmentRow(NamedTuple):
    """What decides the words, without the wave: sender, audience, profession, form, number of the exposure set,
    language."""

    sender: str
    audience: str
    profession: str
    form: str
    exposure_set: int
    language: str


class Segments:
    """A wave's segments in memory (tens to hundreds of them), each made once. Lives as long as its transaction."""

    def __init__(self, connection: AsyncConnection, wave_id: int, numbers: dict[SegmentRow, int]) -> None:
        self._connection = connection
        self._wave_id = wave_id
        self.numbers = numbers

    @classmethod
    async def load(cls, connection: AsyncConnection, wave_id: int) -> Segments:
        """Those that the wave has."""
        rows = await connection.execute(
            text(
                "SELECT id, sender, audience, profession, form, exposure_set_id, language FROM segments "
                "WHERE wave_id = :wave_id"
            ),
            {"wave_id": wave_id},
        )
        return cls(connection, wave_id, {SegmentRow(*row[1:]): row[0] for row in rows})

    async def intern(self, key: SegmentRow) -> int:
        """The number of this segment; a new row if it was never seen."""
        number = self.numbers.get(key)
        if number is None:
            made = await self._connection.execute(
                text(
                    "INSERT INTO segments (wave_id, sender, audience, profession, form, exposure_set_id, language) "
                    "VALUES (:wave_id, :sender, :audience, :profession, :form, :exposure_set, :language) RETURNING id"
                ),
                {"wave_id": self._wave_id, **key._asdict()},
            )
            number = int(made.scalar_one())
            self.numbers[key] = number
        return number

    async def drop_unused(self) -> None:
        """Delete segments that no notification of the wave has any more."""
        await self._connection.execute(
            text(
                "DELETE FROM segments WHERE wave_id = :wave_id "
                "AND id NOT IN (SELECT segment_id FROM notifications WHERE wave_id = :wave_id) "
                "AND id NOT IN (SELECT segment_id FROM deliveries WHERE wave_id = :wave_id)"
            ),
            {"wave_id": self._wave_id},
        )


class PlannedSegment(NamedTuple):
    """A segment and how many notifications have it. ``exposures``: sorted "incident:category"."""

    id: int
    sender: str
    audience: str
    profession: str
    form: str
    exposures: list[str]
    language: str
    notifications: int


async def planned_segments(connection: AsyncConnection, wave_id: int) -> list[PlannedSegment]:
    """The wave's segments, counted from its notifications."""
    rows = await connection.execute(
        text(
            "SELECT s.id, s.sender, s.audience, s.profession, s.form, e.canonical, s.language, n.notifications "
            "FROM (SELECT segment_id, COUNT(*) AS notifications FROM notifications WHERE wave_id = :wave_id "
            "GROUP BY segment_id) AS n JOIN segments s ON s.id = n.segment_id "
            "JOIN exposure_sets e ON e.id = s.exposure_set_id ORDER BY s.id"
        ),
        {"wave_id": wave_id},
    )
    return [
        PlannedSegment(
            number,
            sender,
            audience,
            profession,
            form,
            sorted(str(exposure) for exposure in parse_exposures(canonical)),
            language,
            count,
        )
        for number, sender, audience, profession, form, canonical, language, count in rows
    ]


class RouteCount(NamedTuple):
    """How many notifications took one route for one reason."""

    route: str
    reason: str
    excluded: str
    is_held: bool
    notifications: int


async def counted_routes(connection: AsyncConnection, wave_id: int) -> list[RouteCount]:
    """The wave's notifications by route and reason."""
    rows = await connection.execute(
        text(
            "SELECT route, route_reason, excluded, review <> '' AS is_held, COUNT(*) FROM notifications "
            "WHERE wave_id = :wave_id GROUP BY route, route_reason, excluded, is_held "
            "ORDER BY route, route_reason, excluded, is_held"
        ),
        {"wave_id": wave_id},
    )
    return [RouteCount(route, reason, excluded, bool(held), count) for route, reason, excluded, held, count in rows]
