"""Ways that led to nobody, and whom that leaves untold: temporary tables for whoever plans.

``dead_mailboxes``: keyed digests of mailboxes that were refused or bounced, in whatever round (``for_good``), and of
those that were given up after days of trying in this one (a full mailbox may be emptied until the next).
``dead_letterboxes``: contacts from whose address a letter came back. ``unreached``: this round's approved notifications
that hang on such a failure, with nothing in its place. All three are nearly always small.
"""

# ruff: noqa: S608  (the SQL is put together from this module's own words)

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.storage.temporary import fresh

FAILED = "('refused', 'expired', 'bounced', 'returned')"
"""States of a delivery that told nobody and that nothing but another delivery can mend."""

_MAILBOX = "CASE WHEN d.is_second THEN c.second_mailbox ELSE c.mailbox END"


def first_lives(contact: str) -> str:
    """SQL: whether the contact's first address may be written to. Needs the tables of :func:`prepare`."""
    return f"({contact}.mailbox IS NOT NULL AND {contact}.mailbox NOT IN (SELECT mailbox FROM dead_mailboxes))"


def mail_lives(contact: str) -> str:
    """SQL: whether one of the contact's addresses may be written to."""
    second = f"{contact}.second_mailbox"
    return (
        f"({first_lives(contact)} OR ({second} IS NOT NULL AND {second} NOT IN (SELECT mailbox FROM dead_mailboxes)))"
    )


def post_lives(contact: str) -> str:
    """SQL: whether a letter may be sent to the contact's address."""
    return f"({contact}.has_postal AND {contact}.id NOT IN (SELECT contact_id FROM dead_letterboxes))"


class Letterbox(NamedTuple):
    """A row of a member from whose address (``returned``), or another row of the same member, a letter came back."""

    contact: int
    identity: bytes
    sealed: bytes
    returned: bool


async def _run(connection: AsyncConnection, sql: str, **parameters: object) -> int:
    return (await connection.execute(text(sql), parameters)).rowcount


async def prepare(connection: AsyncConnection, wave_id: int) -> bool:
    """Fill the tables for a plan of this round. Returns whether there is any dead end."""
    await fresh(connection, "dead_mailboxes", "mailbox BLOB PRIMARY KEY, for_good BOOLEAN NOT NULL")
    await fresh(connection, "dead_letterboxes", "contact_id INTEGER PRIMARY KEY")
    await fresh(connection, "unreached", "notification_id INTEGER PRIMARY KEY")
    # The list of rounds lets SQLite use the index on (wave_id, state): failures are few, deliveries are millions.
    dead = await _run(
        connection,
        f"INSERT INTO dead_mailboxes SELECT {_MAILBOX}, MAX(d.state <> 'expired') FROM deliveries d "
        "CROSS JOIN contacts c "
        "WHERE d.wave_id IN (SELECT id FROM waves) AND (d.state IN ('refused', 'bounced') "
        "OR (d.state = 'expired' AND d.wave_id = :wave_id)) AND d.channel = 'mail' AND c.id = d.contact_id "
        f"AND {_MAILBOX} IS NOT NULL GROUP BY 1",
        wave_id=wave_id,
    )
    dead += await _run(
        connection,
        "INSERT INTO dead_letterboxes SELECT DISTINCT contact_id FROM deliveries "
        "WHERE wave_id IN (SELECT id FROM waves) AND state = 'returned'",
    )
    dead += await _run(
        connection,
        "INSERT INTO unreached SELECT n.id FROM deliveries d CROSS JOIN notifications n WHERE d.wave_id = :wave_id "
        f"AND d.state IN {FAILED} AND n.delivery_id = d.id AND n.batch_id IS NOT NULL",
        wave_id=wave_id,
    )
    return dead > 0


async def letterboxes(connection: AsyncConnection) -> list[Letterbox]:
    """All rows of the members from whose address a letter came back, member by member, that one first."""
    rows = await connection.execute(
        text(
            "SELECT x.id, x.identity, x.sealed, x.id = r.contact_id FROM dead_letterboxes r CROSS JOIN contacts c "
            "CROSS JOIN contacts x WHERE c.id = r.contact_id AND x.sender = c.sender AND x.identity = c.identity "
            "AND x.has_postal ORDER BY r.contact_id, x.id = r.contact_id DESC, x.id"
        )
    )
    return [Letterbox(contact, identity, sealed, bool(own)) for contact, identity, sealed, own in rows]


async def add_letterboxes(connection: AsyncConnection, contacts: Iterable[int]) -> None:
    """Other rows that give an address from which a letter came back."""
    new = sorted(set(contacts))
    if new:
        rows = [{"id": contact} for contact in new]
        await connection.execute(text("INSERT INTO dead_letterboxes VALUES (:id) ON CONFLICT DO NOTHING"), rows)


async def address_second(connection: AsyncConnection, wave_id: int) -> None:
    """Of the round's deliveries that are not approved, those to a dead first address go to the second. Behind a first
    one that lives, a second one that is dead for good is forgotten: a refusal shall not lead there again."""
    await _run(
        connection,
        "UPDATE contacts SET second_mailbox = NULL WHERE id IN (SELECT contact_id FROM deliveries "
        "WHERE wave_id = :wave_id AND batch_id IS NULL AND channel = 'mail') "
        f"AND second_mailbox IN (SELECT mailbox FROM dead_mailboxes WHERE for_good) AND {first_lives('contacts')}",
        wave_id=wave_id,
    )
    await _run(
        connection,
        "UPDATE deliveries SET is_second = TRUE, provider = c.second_provider FROM contacts c "
        "WHERE deliveries.wave_id = :wave_id AND deliveries.batch_id IS NULL AND deliveries.channel = 'mail' "
        f"AND deliveries.state = 'queued' AND c.id = deliveries.contact_id AND c.mailbox IS NOT NULL "
        f"AND NOT {first_lives('c')}",
        wave_id=wave_id,
    )
