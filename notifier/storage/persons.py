"""Queries on persons and records: what an export brings, and what settling a group changes.

All of it runs in the transaction that completes the import. Decisions that are a join are made by the database, over
the whole file at once; temporary tables hold what is between two steps.
"""

# ruff: noqa: S608  (the SQL is put together from this module's own words)

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.errors import StorageError
from notifier.storage.database import insert_many
from notifier.storage.exposures import ExposureSets
from notifier.storage.temporary import PART, fresh, make_room
from notifier.storage.waiting import IS_SETTLED

MISSING_FORENAME = "missing_forename"

_TABLES = {
    # One row per person that the file speaks of; of a first file, only those of whom several rows speak.
    # `line`: its first row; `sets`: the numbers of its exposure sets.
    "arriving": "sender TEXT, identity BLOB, line INTEGER, row_count INTEGER, sets TEXT, profession TEXT",
    "combinations": "sets TEXT PRIMARY KEY, set_id INTEGER",
    "widenings": "old_set INTEGER, new_set INTEGER, both INTEGER",
    # Groups with a row that gives no forename, touched by this file.
    "touched_groups": "group_key BLOB PRIMARY KEY",
    # Nameless records that change their person; `to_person` null: they become their own.
    "moves": "record_id INTEGER PRIMARY KEY, sender TEXT, from_person INTEGER, to_person INTEGER",
    # Persons known from an import that is withdrawn. `is_first`: no earlier file spoke of them.
    "departing": "person_id INTEGER PRIMARY KEY, is_first INTEGER",
    "remaining": "person_id INTEGER PRIMARY KEY, sets TEXT, profession TEXT",
}


# What several rows about one person say together. (A DISTINCT inside the concatenation would open a table of its own
# for every person.)
_SETS = (
    "CASE WHEN MIN(exposure_set_id) = MAX(exposure_set_id) THEN CAST(MIN(exposure_set_id) AS TEXT) "
    "ELSE GROUP_CONCAT(exposure_set_id) END"
)
_PROFESSION = "COALESCE(MIN(NULLIF(profession, '')), '')"


async def _run(connection: AsyncConnection, sql: str, **parameters: object) -> None:
    await connection.execute(text(sql), parameters)


async def _prepare(connection: AsyncConnection) -> None:
    await make_room(connection)
    for table, columns in _TABLES.items():
        await fresh(connection, table, columns)


async def last_person(connection: AsyncConnection) -> int:
    """The highest id in use, 0 if there is none: later ones are new."""
    return int((await connection.execute(text("SELECT COALESCE(MAX(id), 0) FROM persons"))).scalar_one())


# -- a file's rows become persons ------------------------------------------------------------------------------------


async def gather(connection: AsyncConnection, import_id: int, sets: ExposureSets) -> None:
    """Group the staged rows by person, and unite each person's exposures."""
    await _prepare(connection)
    await _run(
        connection,
        "INSERT INTO arriving (sender, identity, line, row_count, sets, profession) "
        f"SELECT sender, identity, MIN(line), COUNT(*), {_SETS}, {_PROFESSION} "
        "FROM staged_records WHERE import_id = :import_id GROUP BY sender, identity",
        import_id=import_id,
    )
    await _combine(connection, sets)


async def _combine(connection: AsyncConnection, sets: ExposureSets) -> None:
    combinations = (await connection.execute(text("SELECT DISTINCT sets FROM arriving"))).scalars().all()
    rows = [(spelled, await sets.union(numbers(spelled))) for spelled in combinations]
    await insert_many(connection, "combinations", ("sets", "set_id"), rows)


async def is_empty(connection: AsyncConnection) -> bool:
    """Whether no file has brought anybody yet."""
    there = await connection.execute(text("SELECT EXISTS (SELECT 1 FROM persons) OR EXISTS (SELECT 1 FROM records)"))
    return not there.scalar_one()


async def absorb_first(connection: AsyncConnection, sets: ExposureSets) -> bool:
    """The whole of :func:`gather`, :func:`widen_known`, :func:`insert_new` and :func:`insert_records` for the file
    that finds the campaign empty, which is as a rule by far the largest: its staging file was settled
    (``storage.staging``), and its tables become the campaign's. False, and nothing done, when it was not. Raises
    StorageError when somebody is there already."""
    if not (await connection.execute(text(IS_SETTLED))).scalar_one():
        return False
    if not await is_empty(connection):
        raise StorageError("the campaign was empty when the file was read, and is not now: run the import again")
    await _prepare(connection)
    # Declared alike, and empty: SQLite copies pages, indexes too (sqlite.org, "xfer optimization" in insert.c).
    await _run(connection, "INSERT INTO main.persons SELECT * FROM staging.persons")
    await _run(connection, "INSERT INTO main.records SELECT * FROM staging.records")
    # Only of whom several rows speak, there is something to unite.
    await _run(
        connection,
        "INSERT INTO arriving (sender, identity, line, row_count, sets, profession) "
        f"SELECT p.sender, p.identity, k.line, k.row_count, k.sets, k.profession FROM (SELECT r.person_id, "
        f"MIN(r.line) AS line, COUNT(*) AS row_count, {_SETS} AS sets, {_PROFESSION} AS profession "
        "FROM staging.repeated d CROSS JOIN main.records r WHERE r.id = d.id GROUP BY r.person_id) AS k "
        "CROSS JOIN main.persons p WHERE p.id = k.person_id",
    )
    await _combine(connection, sets)
    await _run(
        connection,
        "UPDATE persons SET exposure_set_id = k.set_id, profession = a.profession FROM arriving a, combinations k "
        "WHERE persons.sender = a.sender AND persons.identity = a.identity AND k.sets = a.sets",
    )
    return True


def numbers(spelled: str) -> list[int]:
    """The numbers in a GROUP_CONCAT."""
    return [int(number) for number in spelled.split(",")]


async def widen_known(connection: AsyncConnection, sets: ExposureSets) -> None:
    """Persons known before this file get the union of what they had and what the file says. The rest of the row stays
    as the first file wrote it, except the profession: of several spellings the first in the alphabet, so that the order
    of files does not decide."""
    pairs = await connection.execute(
        text(
            "SELECT DISTINCT p.exposure_set_id, k.set_id FROM arriving a JOIN combinations k ON k.sets = a.sets "
            "CROSS JOIN persons p WHERE p.sender = a.sender AND p.identity = a.identity "
            "AND p.exposure_set_id <> k.set_id"
        )
    )
    rows = [(old, new, await sets.union((old, new))) for old, new in pairs.all()]
    await insert_many(
        connection, "widenings", ("old_set", "new_set", "both"), [row for row in rows if row[0] != row[2]]
    )
    if rows:
        await _run(
            connection,
            "UPDATE persons SET exposure_set_id = w.both FROM arriving a, combinations k, widenings w "
            "WHERE persons.sender = a.sender AND persons.identity = a.identity AND k.sets = a.sets "
            "AND w.old_set = persons.exposure_set_id AND w.new_set = k.set_id",
        )
    await _run(
        connection,
        "UPDATE persons SET profession = a.profession FROM arriving a WHERE a.profession <> '' "
        "AND persons.sender = a.sender AND persons.identity = a.identity "
        "AND (persons.profession = '' OR persons.profession > a.profession)",
    )


async def insert_new(connection: AsyncConnection, import_id: int) -> None:
    """Persons that no earlier file spoke of. Their sealed fields are those of the file's first row about them."""
    await _run(
        connection,
        "INSERT INTO persons (sender, identity, kind, profession, exposure_set_id, sealed, rung, identity_review, "
        "excluded, excluded_reason, excluded_by) "
        "SELECT a.sender, a.identity, s.kind, a.profession, k.set_id, s.sealed, '', '', '', '', '' "
        "FROM arriving a CROSS JOIN staged_records s JOIN combinations k ON k.sets = a.sets "
        "WHERE s.import_id = :import_id AND s.line = a.line "
        "ON CONFLICT (sender, identity) DO NOTHING",
        import_id=import_id,
    )


async def insert_records(connection: AsyncConnection, import_id: int) -> None:
    """Every staged row becomes a record of exactly one person (I1)."""
    await _run(
        connection,
        "INSERT INTO records (import_id, line, person_id, group_key, forename_key, birth_rank, key_member, "
        "key_nir_rank, key_nir_forename, key_contract, key_near, exposure_set_id, warnings, profession, "
        "nameless_identity, nameless_sealed) "
        "SELECT s.import_id, s.line, p.id, s.group_key, s.forename_key, s.birth_rank, s.key_member, "
        "s.key_nir_rank, s.key_nir_forename, s.key_contract, s.key_near, s.exposure_set_id, s.warnings, "
        "NULLIF(s.profession, ''), "
        "CASE WHEN s.forename_key IS NULL AND s.group_key IS NOT NULL THEN s.identity END, "
        "CASE WHEN s.forename_key IS NULL AND s.group_key IS NOT NULL THEN s.sealed END "
        "FROM staged_records s CROSS JOIN persons p "
        "WHERE s.import_id = :import_id AND p.sender = s.sender AND p.identity = s.identity",
        import_id=import_id,
    )


async def warn_of_ranks(connection: AsyncConnection, newest: int) -> None:
    """Same group and forename, different birth ranks: one person all the same, and each of its rows says so."""
    await _run(
        connection,
        "UPDATE records SET warnings = CASE WHEN warnings = '' THEN 'rank_differs' "
        "ELSE warnings || ',rank_differs' END "
        "WHERE forename_key IS NOT NULL AND warnings NOT LIKE '%rank_differs%' AND person_id IN ("
        "SELECT r.person_id FROM arriving a CROSS JOIN persons p CROSS JOIN records r "
        "WHERE p.sender = a.sender AND p.identity = a.identity AND (a.row_count > 1 OR p.id <= :newest) "
        "AND r.person_id = p.id AND r.forename_key IS NOT NULL AND r.birth_rank IS NOT NULL "
        "GROUP BY r.person_id HAVING MIN(r.birth_rank) <> MAX(r.birth_rank))",
        newest=newest,
    )


async def has_professionals(connection: AsyncConnection, import_id: int) -> bool:
    """Whether the file being absorbed speaks of professionals."""
    found = await connection.execute(
        text("SELECT EXISTS (SELECT 1 FROM records WHERE import_id = :import_id AND profession IS NOT NULL)"),
        {"import_id": import_id},
    )
    return bool(found.scalar_one())


async def count_arrivals(connection: AsyncConnection, import_id: int, newest: int) -> tuple[int, int]:
    """Persons that are new since ``newest``, and older ones that the file speaks of; counted from rows, at the end."""
    new = await connection.execute(text("SELECT COUNT(*) FROM persons WHERE id > :newest"), {"newest": newest})
    known = await connection.execute(
        text(
            "SELECT COUNT(*) FROM (SELECT DISTINCT person_id FROM records "
            "WHERE import_id = :import_id AND person_id <= :newest) AS known"
        ),
        {"import_id": import_id, "newest": newest},
    )
    return int(new.scalar_one()), int(known.scalar_one())


# -- settling groups with a nameless row -----------------------------------------------------------------------------


class GroupRecord(NamedTuple):
    """A record of a group that is to be settled."""

    group_key: bytes
    record: int
    forename_key: bytes | None
    birth_rank: int | None
    person: int
    sender: str
    is_own: bool  # its person is the one made for nameless rows
    is_decided: bool  # somebody decided that it is its own person


async def touch_groups(connection: AsyncConnection, import_id: int) -> bool:
    """Note the groups that this file touches and that hold a nameless row; False if there are none."""
    await _run(
        connection,
        "INSERT INTO touched_groups (group_key) SELECT DISTINCT s.group_key FROM records s "
        "WHERE s.import_id = :import_id AND s.group_key IN "
        "(SELECT group_key FROM records WHERE forename_key IS NULL AND group_key IS NOT NULL)",
        import_id=import_id,
    )
    found = await connection.execute(text("SELECT 1 FROM touched_groups LIMIT 1"))
    return found.one_or_none() is not None


async def touched_records(connection: AsyncConnection) -> AsyncIterator[GroupRecord]:
    """All records of the touched groups, over all files, group by group. (One pass over the records: their group has no
    index, because a random index kept up during intake costs more than the pass.)"""
    rows = await connection.stream(
        text(
            "SELECT r.group_key, r.id, r.forename_key, r.birth_rank, r.person_id, p.sender, "
            "r.forename_key IS NULL AND p.identity = r.nameless_identity, "
            "r.forename_key IS NULL AND EXISTS (SELECT 1 FROM persons q JOIN reviews v ON v.person_id = q.id "
            "WHERE q.sender = p.sender AND q.identity = r.nameless_identity "
            "AND v.reason = 'missing_forename' AND v.state = 'decided') "
            "FROM records r JOIN persons p ON p.id = r.person_id "
            "WHERE r.group_key IN (SELECT group_key FROM touched_groups) ORDER BY r.group_key, r.id"
        )
    )
    async for part in rows.partitions(PART):
        for group_key, record, forename_key, birth_rank, person, sender, is_own, is_decided in part:
            yield GroupRecord(
                group_key, record, forename_key, birth_rank, person, sender, bool(is_own), bool(is_decided)
            )


async def move(connection: AsyncConnection, moves: list[tuple[int, str, int, int | None]], sets: ExposureSets) -> None:
    """Give records another person: (record, sender, from person, to person or None for its own), then unite the
    exposures of all whom that concerns anew, from their records."""
    await insert_many(connection, "moves", ("record_id", "sender", "from_person", "to_person"), moves)
    await _run(
        connection,
        "INSERT INTO persons (sender, identity, kind, profession, exposure_set_id, sealed, rung, identity_review, "
        "excluded, excluded_reason, excluded_by) "
        "SELECT m.sender, r.nameless_identity, 'insured', '', r.exposure_set_id, r.nameless_sealed, '', '', '', '', '' "
        "FROM moves m JOIN records r ON r.id = m.record_id WHERE m.to_person IS NULL ORDER BY r.id "
        "ON CONFLICT (sender, identity) DO NOTHING",
    )
    await _run(
        connection,
        "UPDATE moves SET to_person = (SELECT p.id FROM records r JOIN persons p "
        "ON p.sender = moves.sender AND p.identity = r.nameless_identity WHERE r.id = moves.record_id) "
        "WHERE to_person IS NULL",
    )
    await _run(connection, "UPDATE records SET person_id = m.to_person FROM moves m WHERE m.record_id = records.id")
    spelled = await connection.execute(
        text(
            "SELECT r.person_id, GROUP_CONCAT(DISTINCT r.exposure_set_id) FROM records r WHERE r.person_id IN "
            "(SELECT from_person FROM moves UNION SELECT to_person FROM moves) GROUP BY r.person_id"
        )
    )
    united = [{"person": person, "set_id": await sets.union(numbers(of))} for person, of in spelled.all()]
    if united:
        await connection.execute(text("UPDATE persons SET exposure_set_id = :set_id WHERE id = :person"), united)


_EMPTY = (
    "SELECT m.from_person FROM moves m WHERE NOT EXISTS (SELECT 1 FROM records r WHERE r.person_id = m.from_person)"
)


async def drop_empty(connection: AsyncConnection) -> None:
    """Delete persons that lost their last record and were never part of an approval; an approved one stays (the
    journal speaks of it), no longer under review."""
    approved = "SELECT person_id FROM notifications WHERE batch_id IS NOT NULL"
    gone = f"({_EMPTY}) AND {{}} NOT IN ({approved})"
    for sql in (
        f"DELETE FROM reviews WHERE state = 'open' AND person_id IN ({_EMPTY})",
        f"DELETE FROM notifications WHERE batch_id IS NULL AND person_id IN ({_EMPTY})",
        "DELETE FROM deliveries WHERE batch_id IS NULL AND id NOT IN "
        "(SELECT delivery_id FROM notifications WHERE delivery_id IS NOT NULL)",
        f"DELETE FROM reviews WHERE person_id IN {gone.format('person_id')}",
        f"DELETE FROM persons WHERE id IN {gone.format('id')}",
    ):
        await _run(connection, sql)


async def flag_nameless(connection: AsyncConnection) -> None:
    """Nameless persons of the touched groups that stay their own go to review, once each."""
    await _run(
        connection,
        "INSERT INTO reviews (person_id, reason, candidates, state, decision, decided_by) "
        "SELECT DISTINCT r.person_id, 'missing_forename', '', 'open', '', '' "
        "FROM records r JOIN persons p ON p.id = r.person_id "
        "WHERE r.forename_key IS NULL AND r.group_key IN (SELECT group_key FROM touched_groups) "
        "AND p.identity = r.nameless_identity ON CONFLICT (person_id, reason) DO NOTHING",
    )
    await _run(
        connection,
        "UPDATE persons SET identity_review = 'missing_forename' WHERE identity_review = '' "
        "AND id IN (SELECT person_id FROM reviews WHERE reason = 'missing_forename')",
    )


# -- an import is withdrawn ------------------------------------------------------------------------------------------


async def gather_departing(connection: AsyncConnection, import_id: int) -> None:
    """Note whom this import's records speak of, and the groups in which somebody's nameless row may change its person.
    Of a nameless row that has joined somebody, who it is by itself counts too: that person may have been approved."""
    await _prepare(connection)
    await _run(
        connection,
        "INSERT INTO departing (person_id, is_first) SELECT k.person_id, NOT EXISTS "
        "(SELECT 1 FROM records e WHERE e.person_id = k.person_id AND e.import_id < :import_id) FROM ("
        "SELECT person_id FROM records WHERE import_id = :import_id UNION "
        "SELECT q.id FROM records r CROSS JOIN persons p CROSS JOIN persons q WHERE r.import_id = :import_id "
        "AND r.nameless_identity IS NOT NULL AND p.id = r.person_id AND q.sender = p.sender "
        "AND q.identity = r.nameless_identity) AS k",
        import_id=import_id,
    )
    await _run(
        connection,
        "INSERT INTO touched_groups (group_key) SELECT DISTINCT s.group_key FROM records s "
        "WHERE s.import_id = :import_id AND s.group_key IN (SELECT group_key FROM records "
        "WHERE forename_key IS NULL AND group_key IS NOT NULL AND import_id <> :import_id)",
        import_id=import_id,
    )


async def count_frozen(connection: AsyncConnection, import_id: int) -> int:
    """Persons with a notification in an approved batch who are known from this import, or reached through one of its
    contacts."""
    found = await connection.execute(
        text(
            "SELECT COUNT(*) FROM (SELECT person_id FROM departing UNION SELECT p.id FROM contacts c "
            "CROSS JOIN persons p WHERE c.import_id = :import_id AND p.contact_id = c.id) AS k "
            "WHERE EXISTS (SELECT 1 FROM notifications n WHERE n.person_id = k.person_id AND n.batch_id IS NOT NULL)"
        ),
        {"import_id": import_id},
    )
    return int(found.scalar_one())


async def remove_records(connection: AsyncConnection, import_id: int) -> int:
    """Remove the import's records; how many there were."""
    gone = await connection.execute(text("DELETE FROM records WHERE import_id = :import_id"), {"import_id": import_id})
    return gone.rowcount


async def has_touched_groups(connection: AsyncConnection) -> bool:
    """Whether there is a group to settle anew."""
    return (await connection.execute(text("SELECT 1 FROM touched_groups LIMIT 1"))).one_or_none() is not None


async def narrow_known(connection: AsyncConnection, sets: ExposureSets) -> None:
    """Give the persons that other files speak of what these say, and no more: exposures, profession, the warning of
    differing ranks, and of a nameless person the sealed fields of its first row."""
    await _run(
        connection,
        "INSERT INTO remaining (person_id, sets, profession) SELECT d.person_id, "
        "GROUP_CONCAT(DISTINCT r.exposure_set_id), COALESCE(MIN(r.profession), '') "
        "FROM departing d CROSS JOIN records r WHERE r.person_id = d.person_id GROUP BY d.person_id",
    )
    combinations = (await connection.execute(text("SELECT DISTINCT sets FROM remaining"))).scalars().all()
    rows = [(spelled, await sets.union(numbers(spelled))) for spelled in combinations]
    await insert_many(connection, "combinations", ("sets", "set_id"), rows)
    await _run(
        connection,
        "UPDATE persons SET exposure_set_id = k.set_id, profession = m.profession FROM remaining m, combinations k "
        "WHERE persons.id = m.person_id AND k.sets = m.sets",
    )
    await _run(
        connection,
        "UPDATE records SET warnings = REPLACE(REPLACE(warnings, ',rank_differs', ''), 'rank_differs', '') "
        "WHERE person_id IN (SELECT person_id FROM remaining) AND warnings LIKE '%rank_differs%' "
        "AND person_id NOT IN (SELECT r.person_id FROM remaining m CROSS JOIN records r "
        "WHERE r.person_id = m.person_id AND r.forename_key IS NOT NULL AND r.birth_rank IS NOT NULL "
        "GROUP BY r.person_id HAVING MIN(r.birth_rank) <> MAX(r.birth_rank))",
    )
    own = "r.person_id = persons.id AND r.nameless_identity = persons.identity"
    await _run(
        connection,
        f"UPDATE persons SET sealed = (SELECT r.nameless_sealed FROM records r WHERE {own} "
        "ORDER BY r.import_id, r.line LIMIT 1) WHERE id IN (SELECT person_id FROM departing WHERE is_first) "
        f"AND EXISTS (SELECT 1 FROM records r WHERE {own})",
    )


async def count_remaining(connection: AsyncConnection) -> int:
    """How many of the departing persons other records speak of."""
    return int((await connection.execute(text("SELECT COUNT(*) FROM remaining"))).scalar_one())


class Resealing(NamedTuple):
    """A professional whose first row is gone, and the fields of the first row that remains (sealed as a contact's)."""

    person: int
    identity: bytes
    sealed: bytes


async def to_reseal(connection: AsyncConnection) -> AsyncIterator[list[Resealing]]:
    """The departing professionals who stay, and whose sealed fields a withdrawn row gave; some thousands at a time."""
    rows = await connection.execute(
        text(
            "SELECT d.person_id, p.identity, (SELECT c.sealed FROM contacts c WHERE c.sender = p.sender "
            "AND c.identity = p.identity ORDER BY c.import_id, c.line LIMIT 1) AS sealed "
            "FROM departing d CROSS JOIN remaining m CROSS JOIN persons p WHERE d.is_first "
            "AND m.person_id = d.person_id AND p.id = d.person_id AND p.kind = 'professional'"
        )
    )
    for part in rows.partitions(PART):
        yield [Resealing(*row) for row in part if row.sealed is not None]


async def reseal(connection: AsyncConnection, rows: list[tuple[int, bytes]]) -> None:
    """(person, sealed fields)."""
    values = [{"person": person, "sealed": sealed} for person, sealed in rows]
    if values:
        await connection.execute(text("UPDATE persons SET sealed = :sealed WHERE id = :person"), values)


async def take_staged_fields(connection: AsyncConnection, import_id: int) -> None:
    """Insured persons whose sealed fields a withdrawn row gave, and of whom the file being absorbed speaks, get those
    of its first row about them. (A value is sealed with its identity, and opens nowhere else.)"""
    await _run(
        connection,
        "UPDATE main.persons SET sealed = k.sealed FROM (SELECT p.id, w.sealed, MIN(w.line) "
        "FROM departing d CROSS JOIN main.persons p CROSS JOIN main.records r CROSS JOIN staging.staged_records w "
        "WHERE d.is_first AND p.id = d.person_id AND p.kind = 'insured' AND r.person_id = p.id "
        "AND r.import_id = :import_id AND w.line = r.line AND w.identity = p.identity AND w.sender = p.sender "
        "GROUP BY p.id) AS k WHERE main.persons.id = k.id",
        import_id=import_id,
    )


async def remove_departed(connection: AsyncConnection) -> tuple[int, int]:
    """Remove the departing persons that no record speaks of any more, with their reviews. Returns how many persons are
    gone (those that :func:`drop_empty` removed included), and how many decisions on reviews went with them."""
    gone = (
        "(SELECT d.person_id FROM departing d WHERE NOT EXISTS "
        "(SELECT 1 FROM records r WHERE r.person_id = d.person_id))"
    )
    decided = await connection.execute(
        text(f"SELECT COUNT(*) FROM reviews WHERE state = 'decided' AND person_id IN {gone}")
    )
    await _run(connection, f"DELETE FROM reviews WHERE person_id IN {gone}")
    await _run(connection, f"DELETE FROM persons WHERE id IN {gone}")
    removed = await connection.execute(
        text("SELECT COUNT(*) FROM departing WHERE person_id NOT IN (SELECT id FROM persons)")
    )
    return int(removed.scalar_one()), int(decided.scalar_one())
