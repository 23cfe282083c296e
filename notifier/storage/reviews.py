"""Queries on reviews: what only somebody can decide (I2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

OPEN = "open"
DECIDED = "decided"


class ReviewRow(NamedTuple):
    """One case. ``candidates``: contact ids; ``decision``: empty while it is open."""

    case: int
    person: int
    reason: str
    candidates: tuple[int, ...]
    state: str
    decision: str


_SELECT = "SELECT id, person_id, reason, candidates, state, decision FROM reviews "


def _row(row: Row[int, int, str, str, str, str]) -> ReviewRow:
    case, person, reason, candidates, state, decision = row
    numbers = tuple(int(number) for number in candidates.split(",") if number)
    return ReviewRow(case, person, reason, numbers, state, decision)


async def between(connection: AsyncConnection, after: int, upto: int) -> list[ReviewRow]:
    """Open and decided cases of a slice of persons."""
    rows = await connection.execute(
        text(_SELECT + "WHERE person_id > :after AND person_id <= :upto ORDER BY person_id, reason"),
        {"after": after, "upto": upto},
    )
    return [_row(row) for row in rows]


async def open_rows(connection: AsyncConnection) -> list[ReviewRow]:
    """All open cases, oldest first."""
    rows = await connection.execute(text(_SELECT + "WHERE state = 'open' ORDER BY id"))
    return [_row(row) for row in rows]


async def find(connection: AsyncConnection, case: int) -> ReviewRow | None:
    """One case by its number."""
    row = (await connection.execute(text(_SELECT + "WHERE id = :case"), {"case": case})).one_or_none()
    return _row(row) if row else None


async def open_case(connection: AsyncConnection, person: int, reason: str, candidates: Iterable[int]) -> None:
    """Open a case, or bring the candidates of the open one up to date; a decided one stays as it is."""
    await connection.execute(
        text(
            "INSERT INTO reviews (person_id, reason, candidates, state, decision, decided_by) "
            "VALUES (:person, :reason, :candidates, 'open', '', '') "
            "ON CONFLICT (person_id, reason) DO UPDATE SET candidates = excluded.candidates "
            "WHERE reviews.state = 'open' AND reviews.candidates <> excluded.candidates"
        ),
        {"person": person, "reason": reason, "candidates": ",".join(str(number) for number in sorted(candidates))},
    )


async def close_others(connection: AsyncConnection, after: int, upto: int, reason: str, persons: set[int]) -> None:
    """Drop the slice's open cases of this reason whose doubt is gone: those of persons not in ``persons``."""
    gone = [
        {"case": row.case}
        for row in await between(connection, after, upto)
        if row.reason == reason and row.state == OPEN and row.person not in persons
    ]
    if gone:
        await connection.execute(text("DELETE FROM reviews WHERE id = :case AND state = 'open'"), gone)


async def write_decision(connection: AsyncConnection, case: int, decision: str, by: str, at_ms: int) -> bool:
    """Decide an open case; False if it is open no more."""
    done = await connection.execute(
        text(
            "UPDATE reviews SET state = 'decided', decision = :decision, decided_by = :by, decided_ms = :at_ms "
            "WHERE id = :case AND state = 'open'"
        ),
        {"case": case, "decision": decision, "by": by, "at_ms": at_ms},
    )
    return done.rowcount == 1


class Sealed(NamedTuple):
    """Somebody's sealed fields and what their seal is bound to."""

    row: int
    sender: str
    identity: bytes
    sealed: bytes


async def sealed_person(connection: AsyncConnection, person: int) -> Sealed:
    """The person's own fields, as the export gave them."""
    rows = await connection.execute(
        text("SELECT id, sender, identity, sealed FROM persons WHERE id = :person"), {"person": person}
    )
    return Sealed(*rows.one())


async def sealed_contact(connection: AsyncConnection, contact: int) -> Sealed | None:
    """A candidate's fields, as the directory gives them."""
    rows = await connection.execute(
        text("SELECT id, sender, identity, sealed FROM contacts WHERE id = :contact"), {"contact": contact}
    )
    row = rows.one_or_none()
    return Sealed(*row) if row else None


async def naming_contacts(connection: AsyncConnection) -> list[ReviewRow]:
    """All cases, open or decided, that name a contact."""
    rows = await connection.execute(text(_SELECT + "WHERE candidates <> '' OR decision LIKE 'contact:%' ORDER BY id"))
    return [_row(row) for row in rows]


async def rewrite(connection: AsyncConnection, rows: Iterable[ReviewRow]) -> None:
    """Write candidates, state and decision of cases; of one that is open again, who decided it goes."""
    values = [
        {
            "case": row.case,
            "candidates": ",".join(str(number) for number in row.candidates),
            "state": row.state,
            "decision": row.decision,
        }
        for row in rows
    ]
    if values:
        await connection.execute(
            text(
                "UPDATE reviews SET candidates = :candidates, state = :state, decision = :decision, "
                "decided_by = CASE WHEN :state = 'open' THEN '' ELSE decided_by END, "
                "decided_ms = CASE WHEN :state = 'open' THEN NULL ELSE decided_ms END WHERE id = :case"
            ),
            values,
        )


async def remove(connection: AsyncConnection, cases: Iterable[int]) -> None:
    """Remove cases by number."""
    values = [{"case": case} for case in cases]
    if values:
        await connection.execute(text("DELETE FROM reviews WHERE id = :case"), values)
