"""Queries on near-misses: members that hold the near key of a person whom the ladder left unmatched.

They run in the transaction of a plan, over temporary tables: :func:`note` slice by slice when the ladder has been
climbed (storage/ladder.py), the rest when everybody is matched. Always within one sender (I2).
"""

# ruff: noqa: S608  (the SQL is put together from this module's own words)

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.storage.contacts import NEWEST_FIRST
from notifier.storage.database import insert_many
from notifier.storage.temporary import PART, fresh


async def prepare(connection: AsyncConnection) -> None:
    """The temporary tables, empty."""
    await fresh(
        connection,
        "near_pairs",
        "person_id INTEGER, sender TEXT, identity BLOB, PRIMARY KEY (person_id, sender, identity)",
    )
    await fresh(connection, "near_offered", "person_id INTEGER PRIMARY KEY")


async def note(connection: AsyncConnection, rows: list[tuple[int, str, bytes]]) -> None:
    """Note members that hold somebody's near key: (person, sender, the member's identity)."""
    await insert_many(connection, "near_pairs", ("person_id", "sender", "identity"), rows, or_ignore=True)


class Pair(NamedTuple):
    """A person and a member who may be the same. ``is_claimed``: another person was matched to the member."""

    person: int
    sender: str
    identity: bytes
    sealed: bytes
    contact: int
    member: bytes
    member_sealed: bytes
    is_claimed: bool


async def pairs(connection: AsyncConnection) -> AsyncIterator[Pair]:
    """All pairs, person by person, of those whom nothing matched, excluded or holds for another reason; the member as
    its newest row says."""
    rows = await connection.stream(
        text(
            "SELECT p.id, p.sender, p.identity, p.sealed, c.id, c.identity, c.sealed, EXISTS ("
            "SELECT 1 FROM contacts x CROSS JOIN persons q WHERE x.sender = n.sender AND x.identity = n.identity "
            "AND q.contact_id = x.id) FROM near_pairs n CROSS JOIN persons p CROSS JOIN contacts c "
            "WHERE p.id = n.person_id AND p.sender = n.sender AND p.contact_id IS NULL AND p.rung = '' "
            "AND p.excluded = '' AND c.id = (SELECT b.id FROM contacts b WHERE b.sender = n.sender "
            f"AND b.identity = n.identity ORDER BY b.current DESC, {NEWEST_FIRST} LIMIT 1) "
            "AND NOT EXISTS (SELECT 1 FROM reviews v WHERE v.person_id = p.id AND v.state = 'open' "
            "AND v.reason IN ('ambiguous', 'missing_forename', 'wrong_match')) ORDER BY n.person_id, n.identity"
        )
    )
    async for part in rows.partitions(PART):
        for row in part:
            yield Pair(*row)


async def offer(connection: AsyncConnection, cases: dict[int, list[int]]) -> None:
    """Open a case for each person, or bring the open one up to date; a decided one stays as it is."""
    values = [
        {"person": person, "candidates": ",".join(str(number) for number in sorted(contacts))}
        for person, contacts in cases.items()
    ]
    if not values:
        return
    await connection.execute(
        text(
            "INSERT INTO reviews (person_id, reason, candidates, state, decision, decided_by) "
            "VALUES (:person, 'near_miss', :candidates, 'open', '', '') "
            "ON CONFLICT (person_id, reason) DO UPDATE SET candidates = excluded.candidates "
            "WHERE reviews.state = 'open' AND reviews.candidates <> excluded.candidates"
        ),
        values,
    )
    await insert_many(connection, "near_offered", ("person_id",), [(person,) for person in cases])


async def close_others(connection: AsyncConnection) -> None:
    """Drop the open cases of persons who were not offered one: they are matched now, or the member has gone."""
    await connection.execute(
        text(
            "DELETE FROM reviews WHERE reason = 'near_miss' AND state = 'open' "
            "AND person_id NOT IN (SELECT person_id FROM near_offered)"
        )
    )


async def refused(connection: AsyncConnection) -> dict[int, set[bytes]]:
    """Person → the members of whom somebody decided that none is the person."""
    cases = await connection.execute(
        text(
            "SELECT person_id, candidates FROM reviews "
            "WHERE reason = 'near_miss' AND state = 'decided' AND decision = 'none'"
        )
    )
    shown = [(person, int(number)) for person, numbers in cases for number in numbers.split(",") if number]
    await fresh(connection, "near_refused", "person_id INTEGER, contact_id INTEGER")
    await insert_many(connection, "near_refused", ("person_id", "contact_id"), shown)
    rows = await connection.execute(
        text("SELECT r.person_id, c.identity FROM near_refused r CROSS JOIN contacts c WHERE c.id = r.contact_id")
    )
    found: dict[int, set[bytes]] = {}
    for person, identity in rows:
        found.setdefault(person, set()).add(identity)
    return found


async def reopen(connection: AsyncConnection, person: int) -> None:
    """A case that was decided `none` is open again: another member is near now."""
    await connection.execute(
        text(
            "UPDATE reviews SET state = 'open', decision = '', decided_by = '', decided_ms = NULL "
            "WHERE person_id = :person AND reason = 'near_miss' AND decision = 'none'"
        ),
        {"person": person},
    )
