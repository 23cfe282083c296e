"""Queries of a look-up: persons by the digests of what somebody said, what each is owed, and what went out.

A row's contract number and a delivery's contact have no index: such a question reads a table from end to end, which
takes seconds with millions of rows and spares every import and every plan an index.
"""

# ruff: noqa: S608  (the SQL is put together from this module's own words)

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection


class Affected(NamedTuple):
    """A person, as a look-up shows it."""

    person: int
    sender: str
    identity: bytes
    kind: str
    exposures: str
    excluded: str
    under_review: bool
    has_contact: bool
    sealed: bytes


class Owing(NamedTuple):
    """What a person is owed in one wave. ``sent_ms``: the attempt that was accepted, or may have been; a letter's day
    of posting; None: nothing has gone out; ``by_decision``: accepted because somebody said so, not the relay."""

    wave: str
    kind: str
    route: str
    reason: str
    excluded: str
    review: str
    approved: bool
    state: str
    token: bytes | None
    since_ms: int | None
    sent_ms: int | None
    by_decision: bool


class Gone(NamedTuple):
    """A notice that went out."""

    token: bytes
    sent_ms: int
    kind: str
    sender: str


async def _ids(connection: AsyncConnection, sql: str, **values: object) -> set[int]:
    return {int(row[0]) for row in await connection.execute(text(sql), values)}


async def by_identity(connection: AsyncConnection, sender: str, identity: bytes) -> set[int]:
    """The person with this identity."""
    return await _ids(
        connection,
        "SELECT id FROM persons WHERE identity = :identity AND sender = :sender",
        identity=identity,
        sender=sender,
    )


async def nameless(connection: AsyncConnection, group: bytes) -> set[int]:
    """Persons known from a row of this group that gave no forename."""
    return await _ids(
        connection,
        "SELECT person_id FROM records WHERE group_key = :group AND forename_key IS NULL AND group_key IS NOT NULL",
        group=group,
    )


async def by_contract(connection: AsyncConnection, key: bytes) -> set[int]:
    """Persons of whom a row gives this contract, birth date and name."""
    return await _ids(connection, "SELECT person_id FROM records WHERE key_contract = :key", key=key)


_MEMBER_KEYS = {"nir_forename": "key_nir_forename", "contract": "key_contract"}


async def members(connection: AsyncConnection, sender: str, rung: str, key: bytes) -> set[int]:
    """The contacts of the members who hold a key, older ones too."""
    return await _ids(
        connection,
        f"SELECT c.id FROM contacts c WHERE c.{_MEMBER_KEYS[rung]} = :key AND c.sender || '' = :sender "
        "AND c.kind = 'member' AND c.import_id IN (SELECT id FROM imports WHERE state = 'complete')",
        key=key,
        sender=sender,
    )


async def with_mailbox(connection: AsyncConnection, sender: str, mailbox: bytes, kind: str) -> set[int]:
    """The contacts of a kind (member, professional) with this mailbox."""
    return await _ids(
        connection,
        "SELECT id FROM contacts WHERE mailbox = :mailbox AND sender || '' = :sender AND kind = :kind "
        "AND import_id IN (SELECT id FROM imports WHERE state = 'complete')",
        mailbox=mailbox,
        sender=sender,
        kind=kind,
    )


async def reached_at(connection: AsyncConnection, contacts: Iterable[int]) -> tuple[set[int], set[int]]:
    """The persons whose own contact is one of these (or another one of the same member), and the persons of whom a
    notice to one of these tells."""
    ids = list(contacts)
    if not ids:
        return set(), set()
    own = text(
        "SELECT p.id FROM contacts x JOIN contacts c ON c.sender = x.sender AND c.identity = x.identity "
        "JOIN persons p ON p.contact_id = c.id WHERE x.id IN :ids"
    ).bindparams(bindparam("ids", expanding=True))
    told = text(
        "SELECT n.person_id FROM deliveries d JOIN notifications n ON n.delivery_id = d.id WHERE d.contact_id IN :ids"
    ).bindparams(bindparam("ids", expanding=True))
    themselves = {int(row[0]) for row in await connection.execute(own, {"ids": ids})}
    about = {int(row[0]) for row in await connection.execute(told, {"ids": ids})}
    return themselves, about - themselves


async def affected(connection: AsyncConnection, person: int) -> Affected:
    """One person."""
    row = await connection.execute(
        text(
            "SELECT p.id, p.sender, p.identity, p.kind, e.canonical, p.excluded, "
            "EXISTS (SELECT 1 FROM reviews v WHERE v.person_id = p.id AND v.state = 'open'), "
            "p.contact_id IS NOT NULL, p.sealed "
            "FROM persons p JOIN exposure_sets e ON e.id = p.exposure_set_id WHERE p.id = :id"
        ),
        {"id": person},
    )
    number, sender, identity, kind, exposures, excluded, reviewed, has_contact, sealed = row.one()
    return Affected(number, sender, identity, kind, exposures, excluded, bool(reviewed), bool(has_contact), sealed)


# The instant that the message's own Date header bears, of the accepted attempt; else of one that may have been.
_SENT = (
    "COALESCE("
    "(SELECT MIN(a.started_ms) FROM attempts a WHERE a.delivery_id = d.id AND a.outcome = 'accepted'), "
    "(SELECT MIN(a.started_ms) FROM attempts a WHERE a.delivery_id = d.id AND a.outcome = 'in_doubt'), "
    "CASE WHEN d.state IN ('posted', 'returned') THEN d.since_ms END)"
)


async def owing(connection: AsyncConnection, person: int) -> list[Owing]:
    """What a person is owed, wave by wave."""
    rows = await connection.execute(
        text(
            "SELECT w.name, w.kind, n.route, n.route_reason, n.excluded, n.review, n.batch_id IS NOT NULL, "
            f"COALESCE(d.state, ''), d.token, d.since_ms, {_SENT}, d.state = 'accepted' AND d.doubts > 0 "
            "AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.delivery_id = d.id AND a.outcome = 'accepted') "
            "FROM notifications n "
            "JOIN waves w ON w.id = n.wave_id LEFT JOIN deliveries d ON d.id = n.delivery_id "
            "WHERE n.person_id = :id ORDER BY w.id"
        ),
        {"id": person},
    )
    return [Owing(*row) for row in rows]


# What waits to be printed, or was printed, has told nobody. Round by round and state by state, along the index.
GONE = (
    f"SELECT token, sent_ms, kind, sender FROM (SELECT d.id, d.token, {_SENT} AS sent_ms, w.kind, s.sender "
    "FROM waves w CROSS JOIN deliveries d CROSS JOIN segments s WHERE (:wave IS NULL OR w.name = :wave) "
    "AND d.wave_id = w.id AND d.state IN ('queued', 'sending', 'deferred', 'in_doubt', 'unmade', 'accepted', "
    "'delivered', 'refused', 'expired', 'bounced', 'withdrawn', 'posted', 'returned') AND s.id = d.segment_id) AS sent "
    "WHERE sent_ms IS NOT NULL ORDER BY id"
)


async def gone(connection: AsyncConnection, wave: str | None) -> AsyncIterator[Gone]:
    """Every notice that went out, or may have, of one wave or of all."""
    rows = await connection.stream(text(GONE), {"wave": wave})
    async for row in rows:
        yield Gone(*row)
