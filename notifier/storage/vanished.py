"""Queries for a corrected file: whom only the earlier one spoke of is excluded, and taken back when a later file speaks
of them again.

A person who is excluded already stays as it is: the first reason stands. The temporary table `excluding` holds who is
concerned, all in the transaction that completes the corrected file.
"""

# ruff: noqa: S608  (the SQL is put together from this module's own words)

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.model import WaveKind
from notifier.storage import notifications, waves
from notifier.storage.exposures import ExposureSets
from notifier.storage.persons import numbers
from notifier.storage.temporary import fresh

OPERATOR = "operator"
ABSENT = "absent from "  # how the reason begins of whom a corrected file speaks of no more


class Who(NamedTuple):
    """A person, as what the vault makes a pseudonym of."""

    sender: str
    identity: bytes


class Freed(NamedTuple):
    """A notification that was approved, and is to be planned anew: its delivery was taken back."""

    wave: str
    sender: str
    identity: bytes


class Excluded(NamedTuple):
    """Who is excluded now and was not before; whose notifications are free again (others told by the same notice
    too)."""

    persons: list[Who]
    freed: list[Freed]


async def _run(connection: AsyncConnection, sql: str, **parameters: object) -> int:
    return (await connection.execute(text(sql), parameters)).rowcount


async def exclude(connection: AsyncConnection, *, excluded: str, reason: str, by: str, now_ms: int) -> Excluded:
    """Exclude the persons in `excluding`. Their deliveries that nobody has begun are withdrawn, their open reviews go.
    Who was told, or is being told, stays told."""
    await _run(
        connection,
        "DELETE FROM excluding WHERE person_id NOT IN (SELECT id FROM persons WHERE excluded = '')",
    )
    found = await connection.execute(
        text("SELECT p.sender, p.identity FROM excluding e JOIN persons p ON p.id = e.person_id ORDER BY p.id")
    )
    persons = [Who(*row) for row in found]
    if not persons:
        return Excluded([], [])
    await _run(
        connection,
        "UPDATE persons SET excluded = :excluded, excluded_reason = :reason, excluded_by = :by, excluded_ms = :now "
        "WHERE id IN (SELECT person_id FROM excluding)",
        excluded=excluded,
        reason=reason,
        by=by,
        now=now_ms,
    )
    await _run(
        connection, "DELETE FROM reviews WHERE state = 'open' AND person_id IN (SELECT person_id FROM excluding)"
    )
    freed = await take_back(connection, "excluding", now_ms)
    # What is not approved says at once what the next plan would say.
    await _run(
        connection,
        "UPDATE notifications SET excluded = :excluded, route = 'none', route_reason = 'excluded', review = '', "
        "delivery_id = NULL WHERE batch_id IS NULL AND person_id IN (SELECT person_id FROM excluding)",
        excluded=excluded,
    )
    await _run(
        connection,
        "DELETE FROM deliveries WHERE batch_id IS NULL AND id NOT IN "
        "(SELECT delivery_id FROM notifications WHERE delivery_id IS NOT NULL)",
    )
    return Excluded(persons, freed)


async def gone(connection: AsyncConnection) -> list[int]:
    """Whom :func:`exclude` has just taken out."""
    rows = await connection.execute(text("SELECT person_id FROM excluding ORDER BY person_id"))
    return [int(row[0]) for row in rows]


async def _take_back_of(connection: AsyncConnection, table: str, wave: waves.WaveRow, now_ms: int) -> list[Freed]:
    """:func:`take_back` in one wave."""
    await fresh(connection, "taken_back", "delivery_id INTEGER PRIMARY KEY")
    await _run(
        connection,
        f"INSERT INTO taken_back (delivery_id) SELECT DISTINCT n.delivery_id FROM {table} t "
        "CROSS JOIN notifications n WHERE n.person_id = t.person_id AND n.wave_id = :wave "
        "AND n.batch_id IS NOT NULL AND n.delivery_id IS NOT NULL",
        wave=wave.id,
    )
    found = await notifications.take_back(connection, "taken_back", wave.id, now_ms)
    return [Freed(wave.name, sender, identity) for sender, identity in found]


async def take_back(connection: AsyncConnection, table: str, now_ms: int) -> list[Freed]:
    """Withdraw, in every wave, the approved deliveries that nobody has begun and that speak of somebody in the
    temporary ``table`` (`person_id`)."""
    freed: list[Freed] = []
    for wave in await waves.waves(connection):
        freed += await _take_back_of(connection, table, wave, now_ms)
    return freed


# -- a corrected file takes the place of an earlier one ----------------------------------------------------------------


async def gather_vanishing(connection: AsyncConnection, import_id: int) -> None:
    """Note whom this import alone speaks of, before its records go."""
    await fresh(connection, "excluding", "person_id INTEGER PRIMARY KEY")
    await _run(
        connection,
        "INSERT INTO excluding (person_id) SELECT DISTINCT r.person_id FROM records r WHERE r.import_id = :id "
        "AND NOT EXISTS (SELECT 1 FROM records o WHERE o.person_id = r.person_id AND o.import_id <> :id)",
        id=import_id,
    )


async def keep_vanished(connection: AsyncConnection) -> None:
    """Of whom :func:`gather_vanishing` noted, only those stay of whom no record speaks now."""
    await _run(
        connection,
        "DELETE FROM excluding WHERE EXISTS (SELECT 1 FROM records r WHERE r.person_id = excluding.person_id) "
        "OR person_id NOT IN (SELECT id FROM persons)",
    )


async def gather_sets(connection: AsyncConnection) -> None:
    """Note the exposures of those whom the import that goes speaks of (persons.gather_departing)."""
    await fresh(connection, "sets_before", "person_id INTEGER PRIMARY KEY, set_id INTEGER")
    await _run(
        connection,
        "INSERT INTO sets_before (person_id, set_id) SELECT p.id, p.exposure_set_id FROM departing d "
        "JOIN persons p ON p.id = d.person_id",
    )


async def take_back_narrowed(connection: AsyncConnection, now_ms: int) -> list[Freed]:
    """Take back what nobody has begun and would tell more than is true now (:func:`gather_sets`)."""
    await _run(
        connection,
        "DELETE FROM sets_before WHERE EXISTS (SELECT 1 FROM persons p WHERE p.id = sets_before.person_id "
        "AND p.exposure_set_id = sets_before.set_id)",
    )
    return await take_back(connection, "sets_before", now_ms)


async def reinstate(connection: AsyncConnection, import_id: int, sets: ExposureSets) -> list[Who]:
    """Persons whom a corrected file had left out, and of whom this import speaks: excluded no more. Their exposures are
    those of the records that speak of them now."""
    await fresh(connection, "comers_back", "person_id INTEGER PRIMARY KEY, sets TEXT")
    await _run(
        connection,
        "INSERT INTO comers_back (person_id, sets) SELECT p.id, GROUP_CONCAT(DISTINCT r.exposure_set_id) "
        "FROM persons p CROSS JOIN records r WHERE p.excluded = :operator "
        "AND substr(p.excluded_reason, 1, :length) = :absent AND r.person_id = p.id GROUP BY p.id "
        "HAVING MAX(r.import_id = :id)",
        operator=OPERATOR,
        absent=ABSENT,
        length=len(ABSENT),
        id=import_id,
    )
    spelled = (await connection.execute(text("SELECT person_id, sets FROM comers_back"))).all()
    if not spelled:
        return []
    united = [{"person": person, "set_id": await sets.union(numbers(of))} for person, of in spelled]
    await connection.execute(
        text(
            "UPDATE persons SET exposure_set_id = :set_id, excluded = '', excluded_reason = '', excluded_by = '', "
            "excluded_ms = NULL WHERE id = :person"
        ),
        united,
    )
    found = await connection.execute(
        text("SELECT p.sender, p.identity FROM comers_back t JOIN persons p ON p.id = t.person_id ORDER BY p.id")
    )
    return [Who(*row) for row in found]


async def drop_rectifications(connection: AsyncConnection, table: str, now_ms: int) -> list[Freed]:
    """Persons in the temporary ``table`` (`person_id`) are concerned after all: that they are not must not be told them
    any more. What nobody has begun to tell of it is withdrawn, and owed no more."""
    freed: list[Freed] = []
    for wave in await waves.waves(connection):
        if wave.kind != WaveKind.RECTIFICATION:
            continue
        freed += await _take_back_of(connection, table, wave, now_ms)
        gone = await _run(
            connection,
            "DELETE FROM notifications WHERE wave_id = :wave AND batch_id IS NULL "
            f"AND person_id IN (SELECT person_id FROM {table})",
            wave=wave.id,
        )
        await _run(
            connection,
            "DELETE FROM deliveries WHERE wave_id = :wave AND batch_id IS NULL AND id NOT IN "
            "(SELECT delivery_id FROM notifications WHERE delivery_id IS NOT NULL)",
            wave=wave.id,
        )
        if gone:  # whoever shared a notice with them waits for the next plan: nothing is approved before it
            await _run(
                connection,
                "UPDATE waves SET owed = owed - :gone, planned_ms = 0 WHERE id = :wave",
                gone=gone,
                wave=wave.id,
            )
    return freed


async def count_told_vanished(connection: AsyncConnection, reason_start: str, reason_end: str) -> tuple[int, int]:
    """Persons whose reason begins and ends so and of whom no record speaks: all of them, and those who were approved.
    The approved ones' journal entries name them for ever."""
    found = await connection.execute(
        text(
            "SELECT COUNT(*), COALESCE(SUM(EXISTS (SELECT 1 FROM notifications n WHERE n.person_id = p.id "
            f"AND n.batch_id IS NOT NULL)), 0) {_VANISHED}"
        ),
        {"start": f"{reason_start}%", "ending": f"%{reason_end}"},
    )
    every, approved = found.one()
    return int(every), int(approved)


_VANISHED = (
    "FROM persons p WHERE p.excluded_reason LIKE :start AND p.excluded_reason LIKE :ending "
    "AND NOT EXISTS (SELECT 1 FROM records r WHERE r.person_id = p.id)"
)


async def remove_vanished(connection: AsyncConnection, reason_start: str, reason_end: str) -> int:
    """Remove them for good, when the file that spoke of them is forgotten; how many."""
    like = {"start": f"{reason_start}%", "ending": f"%{reason_end}"}
    mine = f"(SELECT p.id {_VANISHED})"
    for table in ("reviews", "notifications", "pseudonyms"):
        await _run(connection, f"DELETE FROM {table} WHERE person_id IN {mine}", **like)
    return await _run(connection, f"DELETE FROM persons WHERE id IN {mine}", **like)
