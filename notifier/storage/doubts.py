"""Queries on deliveries in doubt (RFC 1047), for whoever decides on them.

Every function runs in the caller's transaction; the guard (state) stands in the statement, so that a sender that takes
one up at the same time wins or loses as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection


class DoubtRow(NamedTuple):
    """A delivery in doubt. ``attempt``: its last one; ``doubts``: how often the answer was lost; ``due_ms``: when the
    sender sends it once more by itself, 0 = held; ``is_excluded``: one whom it informs was taken out since; ``batch``:
    the approval that it goes out by."""

    id: int
    token: bytes
    wave: str
    provider: str
    attempt: int
    doubts: int
    since_ms: int
    due_ms: int
    is_excluded: bool
    batch: int


_IN_DOUBT = (
    "SELECT d.id, d.token, w.name, d.provider, d.attempt, d.doubts, d.since_ms, d.due_ms, "
    "EXISTS (SELECT 1 FROM notifications n JOIN persons p ON p.id = n.person_id "
    "WHERE n.delivery_id = d.id AND p.excluded <> '') AS is_excluded, d.batch_id "
    "FROM {rows} WHERE d.wave_id = w.id AND d.state = 'in_doubt' "
)


async def in_doubt(connection: AsyncConnection, wave: str | None = None) -> list[DoubtRow]:
    """All of them, or those of one wave, in order of id."""
    rows = await connection.execute(
        text(
            # Wave by wave, along the index on (wave_id, state): doubts are few, deliveries are millions.
            _IN_DOUBT.format(rows="waves w CROSS JOIN deliveries d")
            + "AND (:wave IS NULL OR w.name = :wave) ORDER BY d.id"
        ),
        {"wave": wave},
    )
    return [DoubtRow(*row)._replace(is_excluded=bool(row.is_excluded)) for row in rows]


async def still_in_doubt(connection: AsyncConnection, ids: Sequence[int]) -> list[DoubtRow]:
    """Those of these that are in doubt now, as they are now."""
    query = text(_IN_DOUBT.format(rows="deliveries d CROSS JOIN waves w") + "AND d.id IN :ids ORDER BY d.id")
    rows = await connection.execute(query.bindparams(bindparam("ids", expanding=True)), {"ids": list(ids)})
    return [DoubtRow(*row)._replace(is_excluded=bool(row.is_excluded)) for row in rows]


_TOLD = (
    "SELECT 'contact', c.identity, c.sealed FROM deliveries d JOIN contacts c ON c.id = d.contact_id "
    "WHERE d.id IN :ids "
    "UNION SELECT 'person', p.identity, p.sealed FROM notifications n JOIN persons p ON p.id = n.person_id "
    "WHERE n.delivery_id IN :ids "
    "UNION SELECT 'contact', own.identity, own.sealed FROM notifications n JOIN persons p ON p.id = n.person_id "
    "JOIN contacts own ON own.id = p.contact_id WHERE n.delivery_id IN :ids"
)


async def told(connection: AsyncConnection, ids: Sequence[int]) -> list[tuple[str, bytes, bytes]]:
    """Whom these deliveries reach and whom they inform, as directory and exports write them: (``contact`` or
    ``person``, identity, sealed)."""
    query = text(_TOLD).bindparams(bindparam("ids", expanding=True))
    rows = await connection.execute(query, {"ids": list(ids)})
    return [(row[0], row[1], row[2]) for row in rows]


async def being_sent(connection: AsyncConnection, wave: str | None = None) -> int:
    """How many are marked SENDING: by a sender at work, or by one that was killed."""
    found = await connection.execute(
        text(
            "SELECT COUNT(*) FROM waves w CROSS JOIN deliveries d WHERE d.wave_id = w.id AND d.state = 'sending' "
            "AND (:wave IS NULL OR w.name = :wave)"
        ),
        {"wave": wave},
    )
    return int(found.scalar_one())


async def exists(connection: AsyncConnection, token: bytes) -> bool:
    """Whether there is, or was, a delivery with this token."""
    found = await connection.execute(text("SELECT 1 FROM deliveries WHERE token = :token"), {"token": token})
    return found.first() is not None


async def move(
    connection: AsyncConnection, ids: Sequence[int], *, state: str, now_ms: int, observe_until_ms: int | None = None
) -> None:
    """Take these out of doubt, into ``state``, due at once; if they are to be sent once more, the schedule of retries
    begins anew (storage/requeue.py does the same): they may have been held for longer than it lasts."""
    again = ", retries = 0, first_ms = NULL" if observe_until_ms is None else ""
    await connection.execute(
        text(
            f"UPDATE deliveries SET state = :state, since_ms = :now, due_ms = :due, observe_until_ms = :observe{again} "  # noqa: S608
            "WHERE id = :id AND state = 'in_doubt'"
        ),
        [
            {
                "id": number,
                "state": state,
                "now": now_ms,
                "due": now_ms if observe_until_ms is None else 0,
                "observe": observe_until_ms,
            }
            for number in ids
        ],
    )
