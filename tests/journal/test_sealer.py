"""The sealer: places in order of entry, one checkpoint for what is new, and no step on ground that was altered."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from notifier.errors import JournalError
from notifier.journal import sealer
from notifier.journal.checkpoints import key_name, parse_checkpoint
from notifier.journal.merkle import leaf_hash, root_of
from notifier.journal.sealer import seal
from notifier.model import Entry
from notifier.storage import journal


def entries(now, count, start=0):
    return [Entry(now, "session_started", "", {"number": number}) for number in range(start, start + count)]


def rows(folder, sql):
    with closing(sqlite3.connect(folder / "campaign.db")) as database:
        return database.execute(sql).fetchall()


def alter(folder, sql):
    with closing(sqlite3.connect(folder / "campaign.db")) as database, database:
        assert database.execute(sql).rowcount > 0


async def append(database, some):
    async with database.write() as connection:
        await journal.append(connection, some)


async def append_and_seal(opened, vault, now, *counts):
    made = []
    async with opened() as database:
        for count in counts:
            await append(database, entries(now, count))
            made.append(await seal(database, vault, reason="test", now=now))
    return made


def test_i9_sealing_gives_places_in_order_of_entry_and_the_root_over_all(opened, vault, now, folder):
    made = asyncio.run(append_and_seal(opened, vault, now, 3, 1, 9))
    assert [checkpoint.size for checkpoint in made] == [3, 4, 13]
    stored = rows(
        folder,
        "SELECT leaf_index, entry_id, leaf_hash, salt, body FROM leaves JOIN entries ON id = entry_id ORDER BY 1",
    )
    assert [row[0] for row in stored] == list(range(13))
    assert [row[1] for row in stored] == sorted(row[1] for row in stored)
    assert all(leaf_hash(salt, body) == leaf for _, _, leaf, salt, body in stored)
    assert len({salt for *_, salt, _ in stored}) == 13
    for checkpoint in made:
        assert checkpoint.root == root_of([row[2] for row in stored[: checkpoint.size]])
        assert parse_checkpoint(checkpoint.note, key_name("test-campaign"), vault.public_key) == checkpoint


def test_i9_nothing_new_makes_no_checkpoint(opened, vault, now, folder):
    async def work():
        async with opened() as database:
            assert await seal(database, vault, reason="test", now=now) is None
            await append(database, entries(now, 2))
            assert await seal(database, vault, reason="test", now=now) is not None
            assert await seal(database, vault, reason="test", now=now) is None

    asyncio.run(work())
    assert rows(folder, "SELECT tree_size, reason FROM checkpoints") == [(2, "test")]


def test_i9_a_long_backlog_is_sealed_in_slices(opened, vault, now, folder, monkeypatch):
    monkeypatch.setattr(sealer, "SLICE", 4)
    made = asyncio.run(append_and_seal(opened, vault, now, 11))
    assert made[0].size == 11
    assert [size for (size,) in rows(folder, "SELECT tree_size FROM checkpoints ORDER BY 1")] == [4, 8, 11]


def test_i9_slices_give_the_same_root_as_one_piece(opened, vault, now, folder):
    asyncio.run(append_and_seal(opened, vault, now, 1, 2, 3, 4, 5))
    leaves = [row[0] for row in rows(folder, "SELECT leaf_hash FROM leaves ORDER BY leaf_index")]
    for size, root in rows(folder, "SELECT tree_size, root FROM checkpoints"):
        assert root == root_of(leaves[:size])


def test_i9_appending_goes_on_while_the_journal_is_sealed(opened, vault, now, folder):
    async def work():
        async with opened() as database:

            async def sending():
                for number in range(40):
                    await append(database, entries(now, 3, number * 3))

            async def sealing():
                for _ in range(20):
                    await seal(database, vault, reason="running", now=now)

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(sending())
                tasks.create_task(sealing())
                tasks.create_task(sealing())
            await seal(database, vault, reason="end", now=now)

    asyncio.run(work())
    leaves = rows(folder, "SELECT leaf_index, entry_id, leaf_hash FROM leaves ORDER BY leaf_index")
    assert [row[0] for row in leaves] == list(range(120))
    assert [row[1] for row in leaves] == [row[0] for row in rows(folder, "SELECT id FROM entries ORDER BY id")]
    for size, root in rows(folder, "SELECT tree_size, root FROM checkpoints"):
        assert root == root_of([leaf for _, _, leaf in leaves[:size]])


def test_i4_i9_a_crash_between_append_and_seal_loses_nothing(opened, vault, now, folder):
    class Crash(Exception):
        pass

    async def work():
        async with opened() as database:
            await append(database, entries(now, 5))
            with pytest.raises(Crash):
                async with database.write() as connection:
                    await sealer.seal_slice(connection, vault, reason="test", now=now, limit=10)
                    raise Crash
        assert rows(folder, "SELECT count(*) FROM leaves") == rows(folder, "SELECT count(*) FROM checkpoints") == [(0,)]
        async with opened() as database:
            checkpoint = await seal(database, vault, reason="test", now=now + timedelta(seconds=1))
            assert checkpoint is not None
            assert checkpoint.size == 5

    asyncio.run(work())


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE checkpoints SET root = zeroblob(32) WHERE tree_size = 7",
        "UPDATE checkpoints SET frontier = zeroblob(96) WHERE tree_size = 7",
        "UPDATE checkpoints SET frontier = zeroblob(5) WHERE tree_size = 7",
        "UPDATE checkpoints SET note = replace(note, char(10) || '7' || char(10), char(10) || '8' || char(10))",
        "UPDATE checkpoints SET tree_size = 6 WHERE tree_size = 7",
        "DELETE FROM checkpoints WHERE tree_size = 7",
        "DELETE FROM checkpoints",
        "DELETE FROM leaves WHERE leaf_index = 6",
        "DELETE FROM leaves WHERE leaf_index = 2",
        "UPDATE leaves SET leaf_hash = zeroblob(32) WHERE leaf_index = 6",
        "UPDATE leaves SET leaf_hash = zeroblob(32) WHERE leaf_index = 1",
        "UPDATE entries SET body = replace(body, 'number', 'member') WHERE id = 1",
        "UPDATE entries SET body = replace(body, 'number', 'member') WHERE id = 7",
        "UPDATE entries SET body = CAST(replace(body, 'number', 'member') AS BLOB) WHERE id = 2",
        "UPDATE entries SET salt = zeroblob(32) WHERE id = 3",
        "DELETE FROM entries WHERE id = 7",
        "DELETE FROM entries WHERE id = 4",
    ],
)
def test_i9_the_sealer_stops_on_what_was_altered_and_changes_nothing(opened, vault, now, folder, sql):
    asyncio.run(append_and_seal(opened, vault, now, 3, 4))
    alter(folder, sql)
    before = rows(folder, "SELECT count(*), max(leaf_index) FROM leaves")

    async def work():
        async with opened() as database:
            await append(database, entries(now, 1))
            with pytest.raises(JournalError):
                await seal(database, vault, reason="test", now=now)

    asyncio.run(work())
    assert rows(folder, "SELECT count(*), max(leaf_index) FROM leaves") == before


def test_i9_only_the_newest_leaves_are_read_again(opened, vault, now, folder, monkeypatch):
    """Sealing must not grow with the journal: what lies before the recheck is `proof export`'s to find."""
    monkeypatch.setattr(sealer, "RECHECKED", 4)
    asyncio.run(append_and_seal(opened, vault, now, 8, 4))
    alter(folder, "UPDATE entries SET body = x'7b7d' WHERE id = 2")
    assert asyncio.run(append_and_seal(opened, vault, now, 1))[0].size == 13
    alter(folder, "UPDATE entries SET body = '{}' WHERE id = 13")
    with pytest.raises(JournalError):
        asyncio.run(append_and_seal(opened, vault, now, 1))
