"""Queries on the last reading of the machine's clocks, and on the times that move with the wall clock."""

from __future__ import annotations

import sqlite3

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.machine import Reading
from notifier.storage.deliveries import _WAITING, PRIORITIES

_READ = "SELECT clock FROM campaign WHERE id = 1"
_KEEP = "UPDATE campaign SET clock = :clock WHERE id = 1"


async def last_reading(connection: AsyncConnection) -> Reading | None:
    """The reading that was kept; None before the first."""
    return Reading.load((await connection.execute(text(_READ))).scalar_one())


async def keep(connection: AsyncConnection, reading: Reading) -> None:
    """Keep this one."""
    await connection.execute(text(_KEEP), {"clock": reading.dump()})


# What waits for a moment, or has begun to be tried: never what was never begun (due_ms = 0, first_ms NULL), nor a doubt
# that is held. Each goes along an index, however many millions are due at once or have gone out.
_MOVED = (
    # Back in the queue by `requeue`, `doubt resend` or a sender that gave its claim back, or deferred.
    f"{_WAITING} AND priority IN {PRIORITIES} AND due_ms > 0",
    "wave_id IN (SELECT id FROM waves) AND state = 'in_doubt' AND due_ms > 0",
    # What it ends in counts from these.
    "state = 'sending'",
)
_MOVE = (
    "UPDATE deliveries SET due_ms = CASE WHEN due_ms > 0 THEN MAX(1, due_ms + :step) ELSE 0 END, "
    "first_ms = first_ms + :step, started_ms = started_ms + :step WHERE "
)


async def move_times(connection: AsyncConnection, step_ms: int, forever_ms: int) -> None:
    """The wall clock was set by so much: what waits for a moment waits as long as it would have. Deliveries that were
    begun and have not ended (and the begin of their 72 hours, and of their last attempt, from which these are counted),
    doubts that are to be resent, lanes that rest; not those that somebody paused, ``forever_ms``. Files and plans keep
    their order: of a plan it is asked whether a file came after it. The days of a warm-up are counted on.

    What is over keeps its instants, and what was accepted the end of its observation: days by the wall clock, of
    millions of rows."""
    values = {"step": step_ms}
    for which in _MOVED:
        await connection.execute(text(_MOVE + which), values)
    await connection.execute(
        text(
            "UPDATE lanes SET since_ms = since_ms + :step, until_ms = CASE WHEN until_ms = 0 OR until_ms >= :forever "
            "THEN until_ms ELSE MAX(0, until_ms + :step) END"
        ),
        {**values, "forever": forever_ms},
    )
    await connection.execute(
        text("UPDATE imports SET begun_ms = begun_ms + :step, completed_ms = completed_ms + :step"), values
    )
    await connection.execute(text("UPDATE waves SET planned_ms = planned_ms + :step WHERE planned_ms > 0"), values)
    await connection.execute(text("UPDATE campaign SET first_attempt_ms = first_attempt_ms + :step"), values)


async def carry_counters(connection: AsyncConnection, names: list[tuple[str, str]]) -> None:
    """Of each pair, the second counter of deliveries begun holds at least what the first does."""
    for left, entered in names:
        await connection.execute(
            text(
                "INSERT INTO begun (name, number) SELECT :entered, number FROM begun WHERE name = :left "
                "ON CONFLICT (name) DO UPDATE SET number = MAX(begun.number, excluded.number)"
            ),
            {"left": left, "entered": entered},
        )


def heed_step(connection: sqlite3.Connection, until_us: int) -> bool:
    """For a sender that begins, in its own transaction: if the clock was set since the last one, no stored moment of
    the pace can be believed; all are put off until ``until_us``, which a gate cuts to the longest honest wait
    (delivery/pace.py). True: it was set."""
    reading = Reading.load(connection.execute(_READ).fetchone()[0])
    if reading is None or not reading.stepped:
        return False
    connection.execute("UPDATE pace SET next_us = :until", {"until": until_us})
    settled = Reading(reading.wall_ms, reading.boot_ms, reading.boot_id)
    connection.execute(_KEEP, {"clock": settled.dump()})
    return True
