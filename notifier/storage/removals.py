"""Queries for taking one person, or a list, out: what these persons are owed, and taking back what nobody has begun.

All of it runs in one transaction of `people withdraw`. The guard (state, doubts) stands in the statement that takes
a delivery back: a sender that marks it at the same time wins or loses as a whole; if it wins, what becomes of it
afterwards is storage/recalled.py's. (`storage.exclusions` does it for all
whom a corrected file left out.)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import TextClause

from notifier.storage.contacts import NOW
from notifier.storage.database import insert_many
from notifier.storage.notifications import MAIL_TOLD_NOBODY, NONE_BEFORE_IT
from notifier.storage.recalled import SOMEBODY_IS_OWED
from notifier.storage.temporary import PART, fresh

AT_ONCE = 5_000


class Named(NamedTuple):
    """Somebody affected, as the vault makes a pseudonym of it."""

    person: int
    sender: str
    identity: bytes


class Subject(NamedTuple):
    """A person who is to be taken out, or taken in again."""

    person: int
    sender: str
    identity: bytes
    kind: str
    profession: str
    exposure_set: int
    sealed: bytes
    excluded: str


class Debt(NamedTuple):
    """What one person is owed in one wave. ``begun``: it is being told, or may have been: nothing can be taken back;
    ``delivery`` None: nothing is on its way."""

    notification: int
    person: int
    wave: int
    is_approved: bool
    delivery: int | None
    begun: bool
    audience: str
    language: str


class Companion(NamedTuple):
    """A person whom a delivery informs, with what its new notice is made of."""

    notification: int
    person: int
    sender: str
    identity: bytes
    profession: str
    exposure_set: int
    contact: int | None
    provider: str
    route: str
    reason: str
    is_approved: bool


class Shared(NamedTuple):
    """A delivery that nobody has begun, and the segment of its notice."""

    delivery: int
    wave: int
    contact: int
    provider: str
    is_approved: bool
    audience: str
    profession: str
    form: str
    exposure_set: int
    language: str


async def everybody(connection: AsyncConnection) -> AsyncIterator[list[Named]]:
    """All persons, some thousands at a time."""
    rows = await connection.stream(text("SELECT id, sender, identity FROM persons ORDER BY id"))
    async for part in rows.partitions(PART):
        yield [Named(*row) for row in part]


WITH_PSEUDONYM = (
    "SELECT p.id, p.sender, p.identity FROM pseudonyms y CROSS JOIN persons p "
    "WHERE y.pseudonym BETWEEN :first AND :last AND p.id = y.person_id ORDER BY p.id"
)


async def with_pseudonym(connection: AsyncConnection, first: bytes, last: bytes) -> list[Named]:
    """Persons whose noted pseudonym lies between these two. A number may be somebody else's by now: the caller makes
    the pseudonym anew."""
    rows = await connection.execute(text(WITH_PSEUDONYM), {"first": first, "last": last})
    return [Named(*row) for row in rows]


async def informed_by(connection: AsyncConnection, delivery: int) -> list[Named]:
    """The persons whose notification hangs on a delivery."""
    rows = await connection.execute(
        text(
            "SELECT p.id, p.sender, p.identity FROM notifications n JOIN persons p ON p.id = n.person_id "
            "WHERE n.delivery_id = :id ORDER BY p.id"
        ),
        {"id": delivery},
    )
    return [Named(*row) for row in rows]


def _of_persons(sql: str) -> TextClause:
    return text(sql).bindparams(bindparam("ids", expanding=True))


async def _in_parts(connection: AsyncConnection, query: TextClause, ids: Sequence[int]) -> list[Any]:
    found: list[Any] = []
    for first in range(0, len(ids), AT_ONCE):
        found.extend(await connection.execute(query, {"ids": list(ids[first : first + AT_ONCE])}))
    return found


async def subjects(connection: AsyncConnection, persons: Sequence[int]) -> list[Subject]:
    """These persons, in order of id."""
    query = _of_persons(
        "SELECT id, sender, identity, kind, profession, exposure_set_id, sealed, excluded FROM persons WHERE id IN :ids"
    )
    return sorted(Subject(*row) for row in await _in_parts(connection, query, persons))


async def exclude(
    connection: AsyncConnection, persons: Sequence[int], *, reason: str, why: str, by: str, now_ms: int
) -> None:
    """Mark them as taken out; what was to be reviewed about them is settled by that."""
    rows = [{"id": person, "reason": reason, "why": why, "by": by, "now": now_ms} for person in persons]
    if rows:
        await connection.execute(
            text(
                "UPDATE persons SET excluded = :reason, excluded_reason = :why, excluded_by = :by, excluded_ms = :now "
                "WHERE id = :id AND excluded = ''"
            ),
            rows,
        )
        await connection.execute(
            text("DELETE FROM reviews WHERE state = 'open' AND person_id = :id"), [{"id": row["id"]} for row in rows]
        )


async def include(connection: AsyncConnection, persons: Iterable[int]) -> None:
    """Undo :func:`exclude`. A row without forename is under review again; other doubts the next plan finds anew."""
    rows = [{"id": person} for person in persons]
    if rows:
        await connection.execute(
            text(
                "UPDATE persons SET excluded = '', excluded_reason = '', excluded_by = '', excluded_ms = NULL "
                "WHERE id = :id"
            ),
            rows,
        )
        await connection.execute(
            text(
                "INSERT INTO reviews (person_id, reason, candidates, state, decision, decided_by) "
                "SELECT id, 'missing_forename', '', 'open', '', '' FROM persons "
                "WHERE id = :id AND identity_review = 'missing_forename' ON CONFLICT (person_id, reason) DO NOTHING"
            ),
            rows,
        )


GATHERED = "gathered"


async def gather(connection: AsyncConnection, persons: Iterable[int]) -> None:
    """The temporary table ``gathered`` (`person_id`)."""
    await fresh(connection, GATHERED, "person_id INTEGER PRIMARY KEY")
    await insert_many(connection, GATHERED, ("person_id",), [(person,) for person in persons])


async def frozen_exclusions(connection: AsyncConnection, persons: Sequence[int]) -> set[int]:
    """Those of whom an approval froze that they are not told."""
    query = _of_persons(
        "SELECT person_id FROM notifications WHERE person_id IN :ids AND excluded <> '' AND batch_id IS NOT NULL"
    )
    return {int(row[0]) for row in await _in_parts(connection, query, persons)}


_NOT_BEGUN = f"({MAIL_TOLD_NOBODY} OR (attempt = 0 AND state = 'to_print')) AND {NONE_BEFORE_IT}"


async def debts(connection: AsyncConnection, persons: Sequence[int]) -> list[Debt]:
    """What these persons are owed, in every wave."""
    query = _of_persons(
        "SELECT n.id, n.person_id, n.wave_id, n.batch_id IS NOT NULL, n.delivery_id, "  # noqa: S608  (our words)
        f"n.delivery_id IS NOT NULL AND n.delivery_id NOT IN (SELECT id FROM deliveries WHERE {_NOT_BEGUN} "
        "AND id = n.delivery_id), s.audience, s.language "
        "FROM notifications n JOIN segments s ON s.id = n.segment_id WHERE n.person_id IN :ids"
    )
    rows = await _in_parts(connection, query, persons)
    return sorted(
        (
            Debt(number, person, wave, bool(approved), delivery, bool(begun), audience, language)
            for number, person, wave, approved, delivery, begun, audience, language in rows
        ),
        key=lambda debt: (debt.wave, debt.person),
    )


async def shared(connection: AsyncConnection, delivery: int) -> tuple[Shared, list[Companion]]:
    """A delivery and all whom it informs, in the order in which a plan takes them."""
    row = await connection.execute(
        text(
            "SELECT d.id, d.wave_id, d.contact_id, d.provider, d.batch_id IS NOT NULL, s.audience, s.profession, "
            "s.form, s.exposure_set_id, s.language FROM deliveries d JOIN segments s ON s.id = d.segment_id "
            "WHERE d.id = :id"
        ),
        {"id": delivery},
    )
    rows = await connection.execute(
        text(
            "SELECT n.id, p.id, p.sender, p.identity, p.profession, p.exposure_set_id, c.id, "  # noqa: S608
            "COALESCE(c.provider, 'other'), n.route, n.route_reason, n.batch_id IS NOT NULL FROM notifications n "
            "JOIN waves w ON w.id = n.wave_id JOIN persons p ON p.id = n.person_id LEFT JOIN contacts c ON c.id = "
            f"CASE WHEN w.kind = 'initial' THEN p.contact_id ELSE {NOW.format(contact='p.contact_id')} END "
            "WHERE n.delivery_id = :id ORDER BY p.identity"
        ),
        {"id": delivery},
    )
    return Shared(*row.one()), [Companion(*each) for each in rows]


async def take_back(connection: AsyncConnection, delivery: int, now_ms: int) -> None:
    """A delivery that nobody has begun comes to nothing, and its notifications are free: withdrawn if it was approved,
    else gone."""
    await connection.execute(
        text("UPDATE notifications SET batch_id = NULL, delivery_id = NULL WHERE delivery_id = :id"), {"id": delivery}
    )
    await connection.execute(text("DELETE FROM deliveries WHERE id = :id AND batch_id IS NULL"), {"id": delivery})
    await connection.execute(
        text(f"UPDATE deliveries SET state = 'withdrawn', since_ms = :now WHERE id = :id AND {_NOT_BEGUN}"),  # noqa: S608
        {"id": delivery, "now": now_ms},
    )


async def hold_resends(connection: AsyncConnection, persons: Sequence[int]) -> list[tuple[bytes, int]]:
    """Those deliveries that inform these persons, and nobody who is to be told still, and may have arrived, are not
    sent once more: by themselves, after a wait, or because somebody has put them back for it; nor is the e-mail to a
    second address. Token and last attempt of each."""
    query = _of_persons(
        "UPDATE deliveries SET state = 'in_doubt', due_ms = 0 "  # noqa: S608
        "WHERE ((state = 'in_doubt' AND due_ms > 0) OR (channel = 'mail' AND state IN ('queued', 'deferred') "
        f"AND batch_id IS NOT NULL AND NOT (doubts = 0 AND {NONE_BEFORE_IT}))) AND id IN "
        "(SELECT delivery_id FROM notifications WHERE person_id IN :ids) "
        f"AND NOT {SOMEBODY_IS_OWED.format(delivery='deliveries.id')} RETURNING token, attempt"
    )
    return sorted((row.token, row.attempt) for row in await _in_parts(connection, query, persons))


async def out_already(connection: AsyncConnection, deliveries: Sequence[int]) -> list[int]:
    """The persons whom these deliveries inform, and who are out."""
    query = _of_persons(
        "SELECT p.id FROM notifications n JOIN persons p ON p.id = n.person_id "
        "WHERE n.delivery_id IN :ids AND p.excluded <> ''"
    )
    return sorted(row[0] for row in await _in_parts(connection, query, deliveries))


async def recall(connection: AsyncConnection, persons: Sequence[int]) -> None:
    """Mark what is being sent and informs these persons: who records how that ends looks who is to be told still."""
    query = _of_persons(
        "UPDATE deliveries SET is_recalled = TRUE WHERE state = 'sending' "
        "AND id IN (SELECT delivery_id FROM notifications WHERE person_id IN :ids) RETURNING id"
    )
    await _in_parts(connection, query, persons)


async def detach(connection: AsyncConnection, notifications: Iterable[int]) -> None:
    """These notifications leave their delivery and their batch."""
    rows = [{"id": number} for number in notifications]
    if rows:
        await connection.execute(
            text("UPDATE notifications SET batch_id = NULL, delivery_id = NULL WHERE id = :id"), rows
        )


async def remove(connection: AsyncConnection, notification: int) -> None:
    """Make room for another notification of the same person in the same wave."""
    await connection.execute(
        text("DELETE FROM notifications WHERE id = :id AND delivery_id IS NULL"), {"id": notification}
    )
