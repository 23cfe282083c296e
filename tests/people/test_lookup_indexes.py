"""The helpline waits for no walk through a table: what a look-up reads, it reads along an index."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from people_desk import Desk, Insured, both
from sqlalchemy import text

from notifier.people.references import persons_of
from notifier.storage import batches, evidence, lookups, removals
from notifier.storage.database import Database

ALICE = Insured(forename="Alice", contract="K1")
BOB = replace(ALICE, nir="1820512345678", forename="Bob", contract="K2")
_MAILBOX = "SELECT id FROM contacts WHERE mailbox = :mailbox AND sender || '' = :sender AND kind = :kind"
_SPEAKS = {
    "reference": (evidence.BY_REFERENCE, {"reference": 1}, "deliveries", "deliveries_reference"),
    "no reference": (evidence.UNREFERENCED, {}, "deliveries", "deliveries_unreferenced"),
    "pseudonym": (removals.WITH_PSEUDONYM, {"first": b"", "last": b""}, "y", "sqlite_autoindex_pseudonyms_1"),
    "hotline": (lookups.GONE, {"wave": None}, "d", "deliveries_wave"),
    "hotline of a wave": (lookups.GONE, {"wave": "initial"}, "d", "deliveries_wave"),
    "e-mail": (_MAILBOX, {"mailbox": b"", "sender": "", "kind": ""}, "contacts", "contacts_mailbox"),
}


@pytest.mark.parametrize("asked", _SPEAKS)
def test_a_look_up_goes_by_an_index(opened, asked):
    sql, values, table, index = _SPEAKS[asked]

    async def steps(database: Database) -> list[str]:
        async with database.read() as connection:
            return [str(row[-1]) for row in await connection.execute(text(f"EXPLAIN QUERY PLAN {sql}"), values)]

    async def work() -> list[str]:
        async with opened() as database:
            return await steps(database)

    [step] = [step for step in asyncio.run(work()) if step.split()[1] == table]
    assert f"INDEX {index}" in step
    assert step.startswith("SEARCH") or asked == "no reference", "the last index is empty: a walk along it is none"


def test_the_approval_notes_what_a_look_up_finds(desk):
    async def tell(d: Desk) -> None:
        await d.export(ALICE, BOB)
        await d.directory(both(ALICE, email="alice@x.example"), both(BOB, member_number="M2", contract="K2"))
        await d.plan()
        vault = d.vault
        rows = await d.rows("SELECT sender, identity FROM persons ORDER BY id")
        names = [vault.pseudonym(*row) for row in rows]
        async with d.database.write() as connection:
            made = await connection.execute(
                text(
                    "INSERT INTO batches (wave_id, number, digest, bound, notifications, approved_by, approved_ms) "
                    "VALUES (1, 1, '', '{}', 0, 'dpo', 0) RETURNING id"
                )
            )
            batch = int(made.scalar_one())
            await batches.freeze_notifications(connection, 1, batch, lambda token: vault.reference_number(token.hex()))
            async for chunk in batches.frozen_notifications(connection, 1, batch):
                await batches.note_pseudonyms(
                    connection,
                    ((bytes.fromhex(vault.pseudonym(each.sender, each.identity)), each.person) for each in chunk),
                )
        assert await d.rows("SELECT COUNT(*) FROM pseudonyms") == [(2,)]
        [(token, reference)] = await d.rows("SELECT token, reference FROM deliveries")
        assert reference == vault.reference_number(token.hex())
        spelled = vault.reference(token.hex())
        # A stale number never leads to somebody else.
        await d.run("UPDATE pseudonyms SET person_id = 1 WHERE person_id = 2")
        async with d.database.read() as connection:
            found = await persons_of(connection, vault, [spelled, names[0][:13], names[1], "0" * 12])
        assert {word: [each.person for each in people] for word, people in found.items()} == {
            spelled: [1], names[0][:13]: [1], names[1]: [2], "0" * 12: [],
        }  # fmt: skip

    async def whole() -> None:
        async with desk() as d:
            await tell(d)

    asyncio.run(whole())
