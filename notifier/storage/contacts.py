"""Queries on contacts: which row of a member is the current one, and what the ladder reads and writes.

Keys are digests over normal forms with the sender inside, so that a join can never leave its sender; the joins ask for
the sender all the same (I2).
"""

# ruff: noqa: S608  (the SQL is put together from this module's own words)

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.storage.database import insert_many
from notifier.storage.dead_ends import FAILED, mail_lives, post_lives
from notifier.storage.temporary import fresh, make_room

# Newest first: the date that the directory bears, then the later import, then the later line.
NEWEST_FIRST = "as_of DESC, import_id DESC, line DESC"

# A person who was approved with a delivery keeps the contact that was approved (I7), unless a delivery failed for good,
# nothing took its place, and nothing else is on its way to the person.
_APPROVED_IN = (
    "SELECT 1 FROM notifications n CROSS JOIN deliveries d WHERE n.person_id = {id} "
    "AND n.batch_id IS NOT NULL AND d.id = n.delivery_id AND d.state "
)
_NOT_APPROVED = (
    f"(NOT EXISTS ({_APPROVED_IN} NOT IN {FAILED}) OR (EXISTS ({_APPROVED_IN} IN {FAILED}) "
    f"AND NOT EXISTS ({_APPROVED_IN} NOT IN ('accepted', 'delivered', 'posted') AND d.state NOT IN {FAILED})))"
)

# Nor does somebody's decision on the match give way to the ladder (`own`: the row is matched as a person of its own;
# that a near-miss is not the person says nothing about the others).
_NOT_DECIDED = (
    "NOT EXISTS (SELECT 1 FROM reviews v WHERE v.person_id = {id} AND v.state = 'decided' "
    "AND v.reason IN ('ambiguous', 'missing_forename', 'near_miss', 'wrong_match') AND v.decision <> 'own' "
    "AND NOT (v.reason = 'near_miss' AND v.decision = 'none'))"
)


async def _run(connection: AsyncConnection, sql: str, **parameters: object) -> None:
    await connection.execute(text(sql), parameters)


# -- the current row --------------------------------------------------------------------------------------------------


async def mark_current(connection: AsyncConnection, import_id: int) -> None:
    """Of each identity that this import speaks of, the newest row is current and no other."""
    mine = (
        "EXISTS (SELECT 1 FROM contacts mine WHERE mine.sender = {0}.sender AND mine.identity = {0}.identity "
        "AND mine.import_id = :import_id)"
    )
    await fresh(connection, "newest", "contact_id INTEGER PRIMARY KEY")
    await _run(
        connection,
        "INSERT INTO newest (contact_id) SELECT id FROM ("
        f"SELECT c.id, ROW_NUMBER() OVER (PARTITION BY c.sender, c.identity ORDER BY {NEWEST_FIRST}) AS place "
        f"FROM contacts c WHERE {mine.format('c')}) AS placed WHERE place = 1",
        import_id=import_id,
    )
    await _run(
        connection,
        "UPDATE contacts SET current = (id IN (SELECT contact_id FROM newest)) "
        f"WHERE current <> (id IN (SELECT contact_id FROM newest)) AND {mine.format('contacts')}",
        import_id=import_id,
    )


async def formats(connection: AsyncConnection, wave_id: int) -> dict[str, int]:
    """By the form that members asked to be written to in: how many persons of the wave are told by e-mail or letter and
    asked for it."""
    found = await connection.execute(
        text(
            "SELECT c.format, COUNT(*) FROM contacts c CROSS JOIN persons p CROSS JOIN notifications n "
            "WHERE c.format <> '' AND p.contact_id = c.id AND n.person_id = p.id AND n.wave_id = :wave_id "
            "AND n.route <> 'none' GROUP BY c.format ORDER BY c.format"
        ),
        {"wave_id": wave_id},
    )
    return {row[0]: row[1] for row in found}


async def end_missing(connection: AsyncConnection, import_id: int) -> int:
    """Members of this import's senders whose current row is older and who are not in it have left: their status is
    ended, and the row says by which import, so that its withdrawal undoes it. Returns how many."""
    ended = await connection.execute(
        text(
            "UPDATE contacts SET status = 'ended', ended_import_id = :import_id WHERE kind = 'member' "
            "AND current AND status = 'active' AND import_id <> :import_id "
            "AND sender IN (SELECT m.sender FROM contacts m WHERE m.import_id = :import_id) "
            "AND as_of <= (SELECT i.as_of FROM imports i WHERE i.id = :import_id) "
            "AND NOT EXISTS (SELECT 1 FROM contacts m WHERE m.sender = contacts.sender "
            "AND m.identity = contacts.identity AND m.import_id = :import_id)"
        ),
        {"import_id": import_id},
    )
    return ended.rowcount


_OWN = (
    "UPDATE persons SET contact_id = (SELECT c.id FROM contacts c WHERE c.sender = persons.sender "
    f"AND c.identity = persons.identity AND c.kind = 'professional' ORDER BY c.current DESC, {NEWEST_FIRST} LIMIT 1), "
    f"rung = 'own' WHERE kind = 'professional' AND {_NOT_APPROVED.format(id='persons.id')} AND "
)


async def adopt_own(connection: AsyncConnection, import_id: int) -> None:
    """Professionals are reached as the operator's export says, which carries their address: rung `own`."""
    await _run(
        connection, _OWN + "id IN (SELECT person_id FROM records WHERE import_id = :import_id)", import_id=import_id
    )


async def adopt_own_again(connection: AsyncConnection) -> None:
    """:func:`adopt_own` for the professionals whom a withdrawn import spoke of (persons.gather_departing)."""
    await _run(connection, _OWN + "id IN (SELECT person_id FROM departing)")


async def adopt_own_between(connection: AsyncConnection, after: int, upto: int) -> None:
    """:func:`adopt_own` for a slice of persons: ``after`` < id ≤ ``upto``."""
    await _run(connection, _OWN + "id > :after AND id <= :upto", after=after, upto=upto)


# -- the ladder (storage/ladder.py climbs it) ----------------------------------------------------------------------

_BEST = (
    "(SELECT b.id FROM contacts b WHERE b.sender = {sender} AND b.identity = {identity} "
    f"ORDER BY b.current DESC, {NEWEST_FIRST} LIMIT 1)"
)


# A round after the first writes to people where they are now: the row that was approved before may be years old.
NOW = (
    "(SELECT b.id FROM contacts a CROSS JOIN contacts b WHERE a.id = {contact} AND b.sender = a.sender "
    "AND b.identity = a.identity ORDER BY b.current DESC, b.as_of DESC, b.import_id DESC, b.line DESC LIMIT 1)"
)
"""SQL: the current row of the member whose row ``contact`` is; NULL for none."""


async def seekers(connection: AsyncConnection) -> str:
    """FROM …: the records of the insured persons of a slice whose contact was neither approved nor decided. What a
    first plan need not ask of millions is left out."""
    source = (
        "FROM persons p CROSS JOIN records r WHERE p.id > :after AND p.id <= :upto AND p.kind = 'insured' "
        "AND r.person_id = p.id"
    )
    for there, condition in (
        ("SELECT 1 FROM batches", _NOT_APPROVED),
        ("SELECT 1 FROM reviews WHERE state = 'decided'", _NOT_DECIDED),
    ):
        if (await connection.execute(text(f"SELECT EXISTS ({there})"))).scalar_one():
            source += f" AND {condition.format(id='p.id')}"
    return source


async def last_contact(connection: AsyncConnection) -> int:
    """The highest id in use, 0 if there is none."""
    return int((await connection.execute(text("SELECT COALESCE(MAX(id), 0) FROM contacts"))).scalar_one())


async def prepare_matches(connection: AsyncConnection) -> None:
    """The temporary table of whom the ladder finds in a slice, empty."""
    await make_room(connection)
    await fresh(connection, "matched", "person_id INTEGER PRIMARY KEY")


async def write_matches(
    connection: AsyncConnection, rows: list[tuple[int, bytes, int | None, str]], after: int, upto: int
) -> None:
    """Give the slice's persons their contact: (person, the member's identity, contact if it is the current row, rung);
    none to whom the ladder found none."""
    there = await connection.execute(text(f"SELECT EXISTS (SELECT 1 {_MATCHED})"), {"after": after, "upto": upto})
    if there.scalar_one():
        await _clear_others(connection, [(row[0],) for row in rows], after, upto)
    found = []
    for person, identity, contact, rung in rows:
        current = contact if contact is not None else (await best_rows(connection, person, [identity]))[0]
        found.append((current, rung, person))
    if found:
        await connection.exec_driver_sql(
            "UPDATE persons SET contact_id = ?1, rung = ?2 WHERE id = ?3 "
            "AND (rung <> ?2 OR COALESCE(contact_id, 0) <> ?1)",
            found,
        )


_MATCHED = (
    "FROM persons p WHERE p.id > :after AND p.id <= :upto AND p.kind = 'insured' "
    "AND (p.contact_id IS NOT NULL OR p.rung <> '')"
)


async def _clear_others(connection: AsyncConnection, matched: list[tuple[int]], after: int, upto: int) -> None:
    await _run(connection, "DELETE FROM matched")
    await insert_many(connection, "matched", ("person_id",), matched)
    await _run(
        connection,
        f"UPDATE persons SET contact_id = NULL, rung = '' WHERE id IN (SELECT p.id {_MATCHED} "
        "AND p.id NOT IN (SELECT person_id FROM matched)) "
        f"AND {_NOT_APPROVED.format(id='persons.id')} AND {_NOT_DECIDED.format(id='persons.id')}",
        after=after,
        upto=upto,
    )


async def part_claimants(connection: AsyncConnection) -> list[tuple[int, bytes]]:
    """Take the contact from persons of different forenames who were all led to one member whose row gives none: at most
    one of them is that member. Returns (person, the member's identity). Who was approved or decided keeps the contact,
    and counts as one of them."""
    await fresh(connection, "unnamed", "contact_id INTEGER PRIMARY KEY, identity BLOB")
    made = await connection.execute(
        text(
            "INSERT INTO unnamed (contact_id, identity) SELECT id, identity FROM contacts "
            "WHERE forename_key IS NULL AND kind = 'member'"
        )
    )
    if not made.rowcount:
        return []
    await fresh(connection, "claimants", "person_id INTEGER PRIMARY KEY, identity BLOB, forename_key BLOB")
    await _run(
        connection,
        "INSERT INTO claimants (person_id, identity, forename_key) SELECT p.id, u.identity, "
        "(SELECT MAX(r.forename_key) FROM records r WHERE r.person_id = p.id) "
        "FROM unnamed u CROSS JOIN persons p WHERE p.contact_id = u.contact_id AND p.kind = 'insured'",
    )
    parted = await connection.execute(
        text(
            "SELECT k.person_id, k.identity FROM claimants k WHERE k.identity IN (SELECT identity FROM claimants "
            "GROUP BY identity HAVING MIN(forename_key) <> MAX(forename_key)) AND k.forename_key IS NOT NULL "
            f"AND {_NOT_APPROVED.format(id='k.person_id')} AND {_NOT_DECIDED.format(id='k.person_id')} "
            "ORDER BY k.person_id"
        )
    )
    found = [(row[0], row[1]) for row in parted]
    if found:
        await connection.execute(
            text("UPDATE persons SET contact_id = NULL, rung = '' WHERE id = :person"),
            [{"person": person} for person, _ in found],
        )
    return found


async def matches_of_nameless(connection: AsyncConnection, after: int, upto: int) -> dict[int, int]:
    """Contact id by person, of those in the slice whose missing forename is still under review."""
    rows = await connection.execute(
        text(
            "SELECT p.id, p.contact_id FROM reviews v JOIN persons p ON p.id = v.person_id "
            "WHERE v.person_id > :after AND v.person_id <= :upto AND v.reason = 'missing_forename' "
            "AND v.state = 'open' AND p.contact_id IS NOT NULL"
        ),
        {"after": after, "upto": upto},
    )
    return {row[0]: row[1] for row in rows}


async def best_rows(connection: AsyncConnection, person: int, identities: Iterable[bytes]) -> list[int]:
    """Ids of the current rows of these identities, within the person's sender, ascending."""
    best = _BEST.format(sender="p.sender", identity=":identity")
    found = set()
    for identity in identities:
        row = await connection.execute(
            text(f"SELECT {best} FROM persons p WHERE p.id = :person"), {"person": person, "identity": identity}
        )
        found.add(int(row.scalar_one()))
    return sorted(found)


async def apply_decision(connection: AsyncConnection, person: int, contact: int | None) -> None:
    """Give a person the contact that somebody chose (the current row of the same member), or none; rung `review`.
    A contact of another sender is never given (I2)."""
    await _run(
        connection,
        "UPDATE persons SET rung = 'review', contact_id = (SELECT b.id FROM contacts d JOIN contacts b "
        "ON b.sender = d.sender AND b.identity = d.identity WHERE d.id = :contact AND d.sender = persons.sender "
        "ORDER BY b.current DESC, b.as_of DESC, b.import_id DESC, b.line DESC LIMIT 1) "
        f"WHERE id = :person AND {_NOT_APPROVED.format(id='persons.id')}",
        person=person,
        contact=contact,
    )


# -- an import is withdrawn -------------------------------------------------------------------------------------------


async def count_approved(connection: AsyncConnection, import_id: int) -> int:
    """Deliveries of an approved batch that go, or were to go, to a contact of this import."""
    found = await connection.execute(
        text(
            "SELECT COUNT(*) FROM deliveries d CROSS JOIN contacts c "
            "WHERE d.batch_id IS NOT NULL AND c.id = d.contact_id AND c.import_id = :import_id"
        ),
        {"import_id": import_id},
    )
    return int(found.scalar_one())


async def replacements(connection: AsyncConnection, import_id: int, contacts: Iterable[int]) -> dict[int, int | None]:
    """Of ``contacts``, those that this import brought → the newest row that other files hold of the same member, None
    if there is none. Numbers that no contact bears are left out."""
    best = _BEST.format(sender="c.sender", identity="c.identity").replace(
        "ORDER BY", "AND b.import_id <> c.import_id ORDER BY"
    )
    await fresh(connection, "named_contacts", "contact_id INTEGER PRIMARY KEY")
    await insert_many(connection, "named_contacts", ("contact_id",), [(contact,) for contact in sorted(set(contacts))])
    rows = await connection.execute(
        text(
            f"SELECT c.id, {best} FROM named_contacts n CROSS JOIN contacts c "
            "WHERE c.id = n.contact_id AND c.import_id = :import_id"
        ),
        {"import_id": import_id},
    )
    return {row[0]: row[1] for row in rows}


async def remove(connection: AsyncConnection, import_id: int) -> int:
    """Remove the import's contacts; of each member that other files hold, the newest row is current again. Who was
    matched to a removed one is matched to nobody, until the ladder is climbed anew. Returns how many there were."""
    mine = "SELECT id FROM contacts WHERE import_id = :import_id"
    await fresh(connection, "members", "sender TEXT, identity BLOB, PRIMARY KEY (sender, identity)")
    await _run(
        connection,
        "INSERT INTO members (sender, identity) SELECT DISTINCT sender, identity FROM contacts "
        "WHERE import_id = :import_id",
        import_id=import_id,
    )
    await _run(
        connection,
        f"UPDATE persons SET contact_id = NULL, rung = '' WHERE contact_id IN ({mine})",
        import_id=import_id,
    )
    await _run(
        connection,
        "UPDATE contacts SET status = 'active', ended_import_id = NULL WHERE ended_import_id = :import_id",
        import_id=import_id,
    )
    return await _delete(connection, f"import_id = {int(import_id)}")


async def remove_unused(connection: AsyncConnection, import_id: int) -> int:
    """:func:`remove` for a file whose place another one took: rows to which a delivery goes, or went, stay, and whoever
    is told through one keeps it."""
    await fresh(connection, "members", "sender TEXT, identity BLOB, PRIMARY KEY (sender, identity)")
    await fresh(connection, "unused", "contact_id INTEGER PRIMARY KEY")
    await _run(
        connection,
        "INSERT INTO unused (contact_id) SELECT id FROM contacts WHERE import_id = :import_id "
        "AND id NOT IN (SELECT contact_id FROM deliveries)",
        import_id=import_id,
    )
    await _run(
        connection,
        "INSERT INTO members (sender, identity) SELECT DISTINCT sender, identity FROM contacts "
        "WHERE import_id = :import_id",
        import_id=import_id,
    )
    unused = "SELECT contact_id FROM unused"
    await _run(connection, f"UPDATE persons SET contact_id = NULL, rung = '' WHERE contact_id IN ({unused})")
    return await _delete(connection, f"id IN ({unused})")


async def _delete(connection: AsyncConnection, which: str) -> int:
    """Delete contacts, and let the newest row of each in `members` be current again."""
    # For each contact that goes, the database looks for a delivery that names it; planning keeps no index for that.
    await _run(connection, "CREATE INDEX deliveries_contact_now ON deliveries (contact_id)")
    gone = await connection.execute(text(f"DELETE FROM contacts WHERE {which}"))
    await _run(connection, "DROP INDEX deliveries_contact_now")
    best = _BEST.format(sender="m.sender", identity="m.identity")
    await _run(connection, f"UPDATE contacts SET current = TRUE WHERE id IN (SELECT {best} FROM members m)")
    return gone.rowcount


# -- households -------------------------------------------------------------------------------------------------------


class Recipient(NamedTuple):
    """What decides how a notice reaches a contact."""

    contact: int
    has_mailbox: bool
    has_postal: bool
    language: str
    provider: str


_RECIPIENT = f"b.id, {mail_lives('b')}, {post_lives('b')}, b.language, b.provider"


async def recipient(connection: AsyncConnection, contact: int, sender: str) -> Recipient | None:
    """The current row of the member whose row ``contact`` is, if it belongs to ``sender`` and the member lives."""
    found = await connection.execute(
        text(
            f"SELECT {_RECIPIENT} FROM contacts d JOIN contacts b ON b.sender = d.sender AND b.identity = d.identity "
            "WHERE d.id = :contact AND d.sender = :sender AND b.status <> 'deceased' "
            f"ORDER BY b.current DESC, b.as_of DESC, b.import_id DESC, b.line DESC LIMIT 1"
        ),
        {"contact": contact, "sender": sender},
    )
    row = found.one_or_none()
    return Recipient(row[0], bool(row[1]), bool(row[2]), row[3], row[4]) if row else None


async def adults_of_household(connection: AsyncConnection, contact: int) -> list[int]:
    """Current rows of the holder and spouse of this contact's household who live: to whom a child's notice may go if
    somebody decides so. Ascending ids."""
    rows = await connection.execute(
        text(
            "SELECT a.id FROM contacts c JOIN contacts a ON a.household = c.household "
            "AND a.sender || '' = c.sender "
            "WHERE c.id = :contact AND a.kind = 'member' AND a.current AND a.link IN ('A', 'C') "
            "AND a.status <> 'deceased' ORDER BY a.id"
        ),
        {"contact": contact},
    )
    return list(rows.scalars())
