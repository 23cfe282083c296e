"""A file's rows become persons: identity over all files, at the end of intake (DESIGN 7).

Promises: every record belongs to exactly one person (I1). The result does not depend on the order of rows or files:
the persons, the exposures and records of each, and the reviews are the same (two things follow the order on purpose:
a person's sealed fields are those of the first row that spoke of it, and the newest contact is the current one).
Runs in the transaction that completes the import: a crash leaves either no trace of the file or all of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from notifier.people.identity import GroupRow, settle
from notifier.storage import contacts, persons
from notifier.storage.database import Connection
from notifier.storage.exposures import ExposureSets
from notifier.storage.persons import GroupRecord
from notifier.vault import Vault


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How many persons a file brought, and how many of its persons were known before."""

    persons_new: int
    persons_known: int


async def absorb_export(connection: Connection, vault: Vault, import_id: int) -> Arrivals:
    """Turn the staged rows of an operator's export into persons and records.

    ``vault`` is not needed to decide: identities are compared by digest, and nothing is unsealed.
    """
    sets = await ExposureSets.load(connection)
    newest = await persons.last_person(connection)
    if not await persons.absorb_first(connection, sets):
        await persons.gather(connection, import_id, sets)
        await persons.widen_known(connection, sets)
        await persons.insert_new(connection, import_id)
        await persons.insert_records(connection, import_id)
    if await persons.touch_groups(connection, import_id):
        await settle_touched(connection, sets)
    await persons.warn_of_ranks(connection, newest)
    await contacts.mark_current(connection, import_id)
    if await persons.has_professionals(connection, import_id):
        await contacts.adopt_own(connection, import_id)
    return Arrivals(*await persons.count_arrivals(connection, import_id, newest))


async def absorb_directory(connection: Connection, vault: Vault, import_id: int, *, is_whole: bool = False) -> int:
    """Let the newest row about each member be the current one: by date of the directory, then by import; older ones
    stay as second choice. ``is_whole``: members of its senders who are missing from it have left, and are past members
    from now on; returns how many."""
    await contacts.mark_current(connection, import_id)
    return await contacts.end_missing(connection, import_id) if is_whole else 0


async def settle_touched(connection: Connection, sets: ExposureSets) -> None:
    """Decide anew, for each touched group as a whole, whose the rows without forename are."""
    moves: list[tuple[int, str, int, int | None]] = []
    async for group in _groups(persons.touched_records(connection)):
        moves.extend(_moves(group))
    if moves:
        await persons.move(connection, moves, sets)
        await persons.drop_empty(connection)
    await persons.flag_nameless(connection)


async def _groups(records: AsyncIterator[GroupRecord]) -> AsyncIterator[list[GroupRecord]]:
    group: list[GroupRecord] = []
    async for record in records:
        if group and record.group_key != group[0].group_key:
            yield group
            group = []
        group.append(record)
    if group:
        yield group


def _moves(group: list[GroupRecord]) -> list[tuple[int, str, int, int | None]]:
    """What `settle` changes in this group. A nameless row of which somebody decided that it is its own person stays."""
    named = {record.forename_key: record.person for record in group if record.forename_key is not None}
    rows = {record.record: record for record in group if not record.is_decided}
    joins = settle(GroupRow(row.record, row.forename_key, row.birth_rank) for row in rows.values())
    moves: list[tuple[int, str, int, int | None]] = []
    for number, forename in joins.items():
        row = rows[number]
        person = named[forename] if forename is not None else None
        stays = row.is_own if person is None else row.person == person
        if not stays:
            moves.append((number, row.sender, row.person, person))
    return moves
