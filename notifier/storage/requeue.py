"""Queries for putting deliveries back into the queue that were refused, given up or set aside by mistake.

Every function runs in the caller's transaction. A *family* is a delivery with all that took its place, one after the
other: an e-mail to the second address, a letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class Fault:
    """What was a mistake. ``state``: refused, expired or unmade; ``code``: of the last attempt, 550 or 5.7.1 or, of a
    message that could not be made, its word; ``since_ms``: failed then or later; "" and None: any."""

    state: str
    code: str = ""
    since_ms: int = 0
    provider: str | None = None
    wave: str | None = None


class Failed(NamedTuple):
    """A delivery that failed so. ``attempt``: its last one; ``batch``: the approval that it goes out by."""

    id: int
    token: bytes
    attempt: int
    batch: int


class Kin(NamedTuple):
    """A delivery of a family. ``root``: the one whose family it is, itself among it."""

    root: int
    id: int
    token: bytes
    channel: str
    state: str
    doubts: int


class Informed(NamedTuple):
    """How many notifications hang on a family, and how many of their persons were taken out since."""

    notifications: int
    excluded: int


async def waves_of(connection: AsyncConnection, fault: Fault) -> list[int]:
    """The ids of the waves that are meant: all, or the one."""
    rows = await connection.execute(
        text("SELECT id FROM waves WHERE :wave IS NULL OR name = :wave ORDER BY id"), {"wave": fault.wave}
    )
    return [int(row[0]) for row in rows]


async def failed(connection: AsyncConnection, fault: Fault, *, wave: int, after: int, most: int) -> list[Failed]:
    """Up to ``most`` e-mails of a wave that failed so, in order of id, after this one."""
    code = fault.code
    rows = await connection.execute(
        text(
            # Along the index on (wave_id, state), whose rows are in order of id; the last attempt along its unique one.
            "SELECT d.id, d.token, d.attempt, d.batch_id FROM deliveries d CROSS JOIN attempts a "
            "WHERE d.wave_id = :wave AND d.state = :state AND d.channel = 'mail' AND d.id > :after "
            "AND d.since_ms >= :since AND a.delivery_id = d.id AND a.number = d.attempt AND a.late = FALSE "
            "AND (:provider IS NULL OR d.provider = :provider) "
            "AND (:code = '' OR a.code = :number OR a.enhanced = :code OR (a.outcome = 'unmade' AND a.reply = :code)) "
            "ORDER BY d.id LIMIT :most"
        ),
        {
            "state": fault.state,
            "after": after,
            "since": fault.since_ms,
            "wave": wave,
            "provider": fault.provider,
            "code": code,
            "number": int(code) if code.isdigit() else -1,
            "most": most,
        },
    )
    return [Failed(*row) for row in rows]


_FAMILY = (
    "WITH RECURSIVE family(root, id) AS (SELECT d.id, d.id FROM deliveries d WHERE d.id IN :ids UNION ALL "
    "SELECT f.root, e.id FROM family f JOIN deliveries e ON e.replaces_id = f.id) "
)


async def families(connection: AsyncConnection, ids: Sequence[int]) -> list[Kin]:
    """The families of these deliveries."""
    query = text(
        _FAMILY  # noqa: S608  (a constant of this module)
        + "SELECT f.root, d.id, d.token, d.channel, d.state, d.doubts FROM family f "
        "JOIN deliveries d ON d.id = f.id ORDER BY f.root, d.id"
    ).bindparams(bindparam("ids", expanding=True))
    return [Kin(*row) for row in await connection.execute(query, {"ids": list(ids)})]


async def informed(connection: AsyncConnection, ids: Sequence[int]) -> dict[int, Informed]:
    """Root → who hangs on its family; none where nobody does."""
    query = text(
        _FAMILY  # noqa: S608  (a constant of this module)
        + "SELECT f.root, COUNT(*), SUM(CASE WHEN p.excluded <> '' THEN 1 ELSE 0 END) FROM family f "
        "JOIN notifications n ON n.delivery_id = f.id JOIN persons p ON p.id = n.person_id GROUP BY f.root"
    ).bindparams(bindparam("ids", expanding=True))
    rows = await connection.execute(query, {"ids": list(ids)})
    return {root: Informed(count, excluded) for root, count, excluded in rows}


async def put_back(connection: AsyncConnection, ids: Sequence[int], *, was: str, state: str, now_ms: int) -> None:
    """These go back, from the state that they have (``was``), due at once; the schedule of retries begins anew."""
    await connection.execute(
        text(
            "UPDATE deliveries SET state = :state, since_ms = :now, due_ms = :now, retries = 0, first_ms = NULL "
            "WHERE id = :id AND state = :was"
        ),
        [{"id": number, "was": was, "state": state, "now": now_ms} for number in ids],
    )


async def withdraw(connection: AsyncConnection, kin: Sequence[Kin], *, state: str, now_ms: int) -> None:
    """What took a place and has told nobody is taken back; its notifications hang on the family's root again."""
    if kin:
        await connection.execute(
            text("UPDATE deliveries SET state = :state, since_ms = :now, due_ms = 0 WHERE id = :id AND state = :was"),
            [{"id": each.id, "was": each.state, "state": state, "now": now_ms} for each in kin],
        )


async def rehang(connection: AsyncConnection, kin: Sequence[Kin]) -> None:
    """The notifications that hang on one of these hang on their root now (I3)."""
    moved = [{"id": each.id, "root": each.root} for each in kin if each.id != each.root]
    if moved:
        await connection.execute(text("UPDATE notifications SET delivery_id = :root WHERE delivery_id = :id"), moved)
