"""Queries on waves and segments: a round, its texts' keys, and what a plan says in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.model import from_ms, parse_exposures

KINDS_AT_ONCE = 32  # combinations counted in one pass


class WaveRow(NamedTuple):
    """One round."""

    id: int
    name: str
    kind: str
    who: str = ""


async def waves(connection: AsyncConnection) -> list[WaveRow]:
    """All rounds, oldest first."""
    rows = await connection.execute(text("SELECT id, name, kind, who FROM waves ORDER BY id"))
    return [WaveRow(*row) for row in rows]


async def planned_at(connection: AsyncConnection, name: str) -> datetime | None:
    """When the wave was last planned; None if there is none of that name."""
    rows = await connection.execute(
        text("SELECT COALESCE(planned_ms, created_ms) FROM waves WHERE name = :name"), {"name": name}
    )
    found = rows.scalar_one_or_none()
    return None if found is None else from_ms(int(found))


async def begin_wave(connection: AsyncConnection, name: str, kind: str, now_ms: int, *, who: str = "") -> WaveRow:
    """The wave of that name, made if there is none, marked as planned now. Its kind stays what it was; ``who``: how its
    persons are chosen from now on."""
    await connection.execute(
        text(
            "INSERT INTO waves (name, kind, created_ms, planned_ms, who) VALUES (:name, :kind, :now, :now, :who) "
            "ON CONFLICT (name) DO UPDATE SET planned_ms = excluded.planned_ms, who = excluded.who"
        ),
        {"name": name, "kind": kind, "now": now_ms, "who": who},
    )
    rows = await connection.execute(text("SELECT id, name, kind, who FROM waves WHERE name = :name"), {"name": name})
    return WaveRow(*rows.one())


async def note_owed(connection: AsyncConnection, wave_id: int, owed: int) -> None:
    """How many persons a later round was found to concern: what its notifications must add up to (I1)."""
    await connection.execute(text("UPDATE waves SET owed = :owed WHERE id = :id"), {"owed": owed, "id": wave_id})


async def files_since_last_plan(connection: AsyncConnection) -> int:
    """How many exports and directories were completed after the last plan of any round: what no plan knows."""
    found = await connection.execute(
        text(
            "SELECT COUNT(*) FROM imports WHERE state = 'complete' "
            "AND completed_ms > (SELECT MAX(planned_ms) FROM waves)"
        )
    )
    return int(found.scalar_one())


async def ask_for_plan(connection: AsyncConnection, persons: Iterable[int]) -> None:
    """Something was decided on these persons that only a plan carries out: the rounds that owe them something are
    planned no more."""
    rows = [{"person": person} for person in persons]
    if rows:
        await connection.execute(
            text(
                "UPDATE waves SET planned_ms = 0 "
                "WHERE id IN (SELECT wave_id FROM notifications WHERE person_id = :person)"
            ),
            rows,
        )


async def plan_anew(connection: AsyncConnection, wave_id: int) -> None:
    """The wave is planned no more: nothing of it is approved before the next plan."""
    await connection.execute(text("UPDATE waves SET planned_ms = 0 WHERE id = :id"), {"id": wave_id})


async def awaiting_plan(connection: AsyncConnection) -> list[str]:
    """The rounds on whose persons something was decided since they were planned, oldest first."""
    found = await connection.execute(text("SELECT name FROM waves WHERE planned_ms = 0 ORDER BY id"))
    return list(found.scalars())


async def adult_dependants_undecided(connection: AsyncConnection, wave: str) -> int | None:
    """How many persons of the round get a letter, or nothing, only because nobody decided on adult dependants yet; None
    if there is no such round."""
    found = await connection.execute(
        text(
            "SELECT (SELECT COUNT(*) FROM notifications n WHERE n.wave_id = w.id "
            "AND n.route_reason = 'adult_dependant_undecided') FROM waves w WHERE w.name = :wave"
        ),
        {"wave": wave},
    )
    return found.scalar_one_or_none()


async def has_batch(connection: AsyncConnection, wave_id: int) -> bool:
    """Whether anything of the round was approved."""
    found = await connection.execute(text("SELECT 1 FROM batches WHERE wave_id = :id LIMIT 1"), {"id": wave_id})
    return found.one_or_none() is not None


async def has_segment(connection: AsyncConnection, segment_id: int) -> bool:
    """Whether there is such a segment, in whatever round."""
    found = await connection.execute(text("SELECT 1 FROM segments WHERE id = :id"), {"id": segment_id})
    return found.one_or_none() is not None


async def prioritise(connection: AsyncConnection, ranks: Mapping[int, int]) -> None:
    """Segment → its place within the wave, 0 first; approval copies it to the deliveries."""
    rows = [{"id": segment, "priority": rank} for segment, rank in ranks.items()]
    if rows:
        await connection.execute(text("UPDATE segments SET priority = :priority WHERE id = :id"), rows)


async def drop(connection: AsyncConnection, wave_id: int) -> None:
    """Delete a round that has no notification and no delivery any more."""
    await connection.execute(text("DELETE FROM segments WHERE wave_id = :id"), {"id": wave_id})
    await connection.execute(text("DELETE FROM waves WHERE id = :id"), {"id": wave_id})


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
    # Which of the few combinations there are, then how many rows each has: grouping would sort millions of words.
    kinds = await connection.execute(
        text(
            "SELECT DISTINCT route, route_reason, excluded, review <> '' AS is_held FROM notifications "
            "WHERE wave_id = :wave_id ORDER BY route, route_reason, excluded, is_held"
        ),
        {"wave_id": wave_id},
    )
    there = [tuple(kind) for kind in kinds]
    counted: list[RouteCount] = []
    for first in range(0, len(there), KINDS_AT_ONCE):
        some = there[first : first + KINDS_AT_ONCE]
        sums = ", ".join(
            f"SUM(CASE WHEN route_reason = :reason{place} AND route = :route{place} AND excluded = :excluded{place} "
            f"AND (review <> '') = :held{place} THEN 1 END)"
            for place in range(len(some))
        )
        asked = {
            f"{name}{place}": value
            for place, kind in enumerate(some)
            for name, value in zip(("route", "reason", "excluded", "held"), kind, strict=True)
        }
        row = await connection.execute(
            text(f"SELECT {sums} FROM notifications WHERE wave_id = :wave_id"),  # noqa: S608  (our own words)
            {"wave_id": wave_id, **asked},
        )
        counted += [
            RouteCount(route, reason, excluded, bool(held), count)
            for (route, reason, excluded, held), count in zip(some, row.one(), strict=True)
        ]
    return counted
