"""Queries on reviews: what only somebody can decide (I2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Row, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.storage import notifications, waves
from notifier.storage.temporary import fresh

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


async def listed(
    connection: AsyncConnection, *, state: str = OPEN, reason: str = "", limit: int | None = None
) -> list[ReviewRow]:
    """Cases in a state, of one reason ("" = of all), the oldest first; at most ``limit``."""
    rows = await connection.execute(
        text(_SELECT + "WHERE state = :state AND (:reason = '' OR reason = :reason) ORDER BY id LIMIT :limit"),
        {"state": state, "reason": reason, "limit": -1 if limit is None else limit},
    )
    return [_row(row) for row in rows]


async def counts(connection: AsyncConnection, state: str = OPEN) -> dict[str, int]:
    """How many cases of each reason are in a state."""
    rows = await connection.execute(
        text("SELECT reason, COUNT(*) FROM reviews WHERE state = :state GROUP BY reason ORDER BY reason"),
        {"state": state},
    )
    return {row[0]: int(row[1]) for row in rows}


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


async def open_anew(connection: AsyncConnection, person: int, reason: str, candidates: Iterable[int]) -> None:
    """Open a case, a decided one too."""
    await connection.execute(
        text("DELETE FROM reviews WHERE person_id = :person AND reason = :reason"), {"person": person, "reason": reason}
    )
    await open_case(connection, person, reason, candidates)


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


async def revise_decision(connection: AsyncConnection, case: int, decision: str, by: str, at_ms: int) -> None:
    """Decide a decided case anew."""
    await connection.execute(
        text(
            "UPDATE reviews SET decision = :decision, decided_by = :by, decided_ms = :at_ms "
            "WHERE id = :case AND state = 'decided'"
        ),
        {"case": case, "decision": decision, "by": by, "at_ms": at_ms},
    )


async def take_back(connection: AsyncConnection, person: int, now_ms: int) -> list[tuple[str, str, bytes]] | None:
    """Withdraw what was approved for a person and nobody has begun, in every wave. Returns (wave, sender, identity) of
    everybody whose notification is free again (others told by the same notice too); None when something of it was
    begun: the caller then has to undo all of it."""
    freed: list[tuple[str, str, bytes]] = []
    for wave in await waves.waves(connection):
        await fresh(connection, "reviewed_deliveries", "delivery_id INTEGER PRIMARY KEY")
        await connection.execute(
            text(
                "INSERT INTO reviewed_deliveries (delivery_id) SELECT delivery_id FROM notifications "
                "WHERE person_id = :person AND wave_id = :wave AND batch_id IS NOT NULL AND delivery_id IS NOT NULL"
            ),
            {"person": person, "wave": wave.id},
        )
        persons = await notifications.take_back(connection, "reviewed_deliveries", wave.id, now_ms)
        freed += [(wave.name, sender, identity) for sender, identity in persons]
    begun = await connection.execute(
        text(
            "SELECT 1 FROM notifications WHERE person_id = :person AND batch_id IS NOT NULL "
            "AND delivery_id IS NOT NULL LIMIT 1"
        ),
        {"person": person},
    )
    return None if begun.one_or_none() is not None else freed


class Compared(NamedTuple):
    """A candidate, and which keys it shares with the person. ``…_same``: one of the person's rows holds the same key;
    ``…_both``: both sides have one."""

    contact: int
    identity: bytes
    sealed: bytes
    status: str
    as_of: str
    nir_same: bool
    nir_both: bool
    rank_same: bool
    rank_both: bool
    contract_same: bool
    contract_both: bool
    member_same: bool
    member_both: bool


_COMPARED = (
    "SELECT c.id, c.identity, c.sealed, c.status, c.as_of, "
    "COALESCE(MAX(r.key_near = c.key_near_nir OR r.key_nir_forename = c.key_nir_forename "
    "OR r.key_nir_rank = c.key_nir_rank), 0), "
    "COALESCE(MAX((r.key_nir_rank IS NOT NULL OR r.key_nir_forename IS NOT NULL) "
    "AND c.key_near_nir IS NOT NULL), 0), "
    "COALESCE(MAX(r.key_nir_rank = c.key_nir_rank), 0), "
    "COALESCE(MAX(r.key_nir_rank IS NOT NULL AND c.key_nir_rank IS NOT NULL), 0), "
    "COALESCE(MAX(r.key_contract = c.key_contract OR r.key_contract = c.key_contract_birth "
    "OR r.key_near = c.key_near_contract), 0), "
    "COALESCE(MAX(r.key_contract IS NOT NULL AND c.key_contract IS NOT NULL), 0), "
    "COALESCE(MAX(r.key_member = c.key_member), 0), "
    "COALESCE(MAX(r.key_member IS NOT NULL AND c.key_member IS NOT NULL), 0) "
    "FROM contacts c LEFT JOIN records r ON r.person_id = :person WHERE c.id IN :contacts GROUP BY c.id ORDER BY c.id"
)


async def compared(connection: AsyncConnection, person: int, contacts: Iterable[int]) -> list[Compared]:
    """The contacts beside the person, in order of their numbers; one that is not there is left out."""
    query = text(_COMPARED).bindparams(bindparam("contacts", expanding=True))
    rows = await connection.execute(query, {"person": person, "contacts": list(contacts)})
    return [Compared(*row[:5], *map(bool, row[5:])) for row in rows]


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
