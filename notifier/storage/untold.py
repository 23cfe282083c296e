"""Queries on what is approved in a wave and has told nobody, for whoever takes an approval back.

Every function runs in the caller's transaction; the guard (state) stands in the statement, so that a sender that marks
at the same time wins or loses as a whole.
"""

# ruff: noqa: S608  (the SQL is put together from this module's own words)

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.storage import notifications
from notifier.storage.notifications import MAIL_TOLD_NOBODY, NONE_BEFORE_IT
from notifier.storage.temporary import fresh

_UNTOLD = f"wave_id = :wave AND batch_id IS NOT NULL AND {MAIL_TOLD_NOBODY} AND {NONE_BEFORE_IT}"
# What may have told somebody, and would go out once more by itself.
_DOUBTED = (
    "wave_id = :wave AND channel = 'mail' AND batch_id IS NOT NULL AND ((state = 'in_doubt' AND due_ms > 0) "
    f"OR (state IN ('queued', 'deferred') AND NOT (doubts = 0 AND {NONE_BEFORE_IT})))"
)


class Waiting(NamedTuple):
    """E-mails of a wave: ``untold``: approved, and they told nobody; ``persons``: whose notifications hang on these;
    ``doubted``: they may have told somebody, and would go out once more by themselves; ``sending``: marked so, by a
    sender at work or by one that was killed."""

    untold: int
    persons: int
    doubted: int
    sending: int


async def count(connection: AsyncConnection, wave: int) -> Waiting:
    """How many there are."""
    found = await connection.execute(
        text(
            f"SELECT (SELECT COUNT(*) FROM deliveries WHERE {_UNTOLD}), "
            "(SELECT COUNT(*) FROM notifications n WHERE n.delivery_id IN "
            f"(SELECT id FROM deliveries WHERE {_UNTOLD})), "
            f"(SELECT COUNT(*) FROM deliveries WHERE {_DOUBTED}), "
            "(SELECT COUNT(*) FROM deliveries WHERE wave_id = :wave AND state = 'sending')"
        ),
        {"wave": wave},
    )
    return Waiting(*found.one())


async def free(
    connection: AsyncConnection, wave: int, *, now_ms: int, most: int
) -> tuple[int, list[tuple[str, bytes]]]:
    """Withdraw up to ``most`` e-mails that told nobody, and free their notifications: how many, and (sender, identity)
    of each person."""
    await fresh(connection, "untold", "delivery_id INTEGER PRIMARY KEY")
    found = await connection.execute(
        text(f"INSERT INTO untold (delivery_id) SELECT id FROM deliveries WHERE {_UNTOLD} LIMIT :most"),
        {"wave": wave, "most": most},
    )
    return found.rowcount, await notifications.take_back(connection, "untold", wave, now_ms)


async def hold(connection: AsyncConnection, wave: int) -> list[tuple[bytes, int]]:
    """What may have told somebody is not sent once more by itself: token and last attempt of each."""
    rows = await connection.execute(
        text(f"UPDATE deliveries SET state = 'in_doubt', due_ms = 0 WHERE {_DOUBTED} RETURNING token, attempt"),
        {"wave": wave},
    )
    return sorted((bytes(token), int(attempt)) for token, attempt in rows)
