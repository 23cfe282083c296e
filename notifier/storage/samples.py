"""Queries for the sample: matched pairs of a person and a contact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

_MATCHED = (
    "FROM persons p WHERE p.kind = 'insured' AND p.contact_id IS NOT NULL AND p.excluded = '' AND NOT EXISTS ("
    "SELECT 1 FROM reviews v WHERE v.person_id = p.id AND v.state = 'open' AND v.reason = 'wrong_match')"
)


class MatchedPair(NamedTuple):
    """A person and the contact that matching gave it. ``rung``: what led there."""

    person: int
    sender: str
    identity: bytes
    sealed: bytes
    rung: str
    contact: int
    member: bytes
    member_sealed: bytes


async def count(connection: AsyncConnection) -> int:
    """How many insured persons have a contact, and nobody doubts it."""
    return int((await connection.execute(text(f"SELECT COUNT(*) {_MATCHED}"))).scalar_one())


async def at_places(connection: AsyncConnection, places: Iterable[int]) -> Sequence[MatchedPair]:
    """The pairs at these places (from 1), in order of the persons' ids."""
    query = text(
        "SELECT p.id, p.sender, p.identity, p.sealed, p.rung, c.id, c.identity, c.sealed FROM ("  # noqa: S608
        f"SELECT id, place FROM (SELECT p.id, ROW_NUMBER() OVER (ORDER BY p.id) AS place {_MATCHED}) AS numbered "
        "WHERE place IN :places) AS k CROSS JOIN persons p CROSS JOIN contacts c "
        "WHERE p.id = k.id AND c.id = p.contact_id ORDER BY p.id"
    ).bindparams(bindparam("places", expanding=True))
    rows = await connection.execute(query, {"places": list(places)})
    return [MatchedPair(*row) for row in rows]
