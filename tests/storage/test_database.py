"""Opening: the right campaign, the right keys, the right schema, or nothing."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlmodel import SQLModel

from notifier.errors import OperatorError, SettingsError, StorageError, TryLater, VaultError
from notifier.model import Entry
from notifier.storage import database as storage
from notifier.storage import journal, tables
from notifier.storage.database import create_database, open_database, sqlite_path
from notifier.storage.failures import failure
from notifier.vault import Keys, Vault


async def _open(path: Path, vault: Vault) -> None:
    async with open_database(path, vault):
        pass


def test_the_migrations_make_the_tables(folder: Path) -> None:
    engine = create_engine(f"sqlite:///{folder / 'campaign.db'}")
    with engine.connect() as connection:
        assert tables.Campaign.__tablename__ == "campaign"
        differences = compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)
    engine.dispose()
    assert differences == []


def test_the_wrong_campaign_and_the_wrong_key(folder: Path) -> None:
    path = folder / "campaign.db"
    before = path.read_bytes()
    with pytest.raises(VaultError, match="campaign other"):
        asyncio.run(_open(path, Vault(Keys.new("other"))))
    with pytest.raises(VaultError, match="key"):
        asyncio.run(_open(path, Vault(Keys.new("test-campaign"))))
    assert path.read_bytes() == before


def test_no_database_and_no_notifier_database(tmp_path: Path, vault: Vault) -> None:
    with pytest.raises(SettingsError, match="init"):
        asyncio.run(_open(tmp_path / "none.db", vault))
    assert not (tmp_path / "none.db").exists()
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(SettingsError, match="not a notifier database"):
        asyncio.run(_open(other, vault))
    other.write_text("no database at all, but a text of some length " * 100)
    with pytest.raises(SettingsError, match="not a notifier database"):
        asyncio.run(_open(other, vault))


def test_create_never_takes_an_existing_file(folder: Path, vault: Vault, now: datetime) -> None:
    with pytest.raises(SettingsError, match="already"):
        create_database(folder / "campaign.db", vault, now)


def test_a_failed_write_leaves_nothing(folder: Path, vault: Vault, now: datetime) -> None:
    async def work() -> int:
        async with open_database(folder / "campaign.db", vault) as database:
            with pytest.raises(StorageError):
                async with database.write() as connection:
                    await journal.append(connection, [Entry(now, "kind")])
                    await connection.execute(text("INSERT INTO no_such_table VALUES (1)"))
            async with database.read() as connection:
                return int(
                    (await connection.execute(text("SELECT count(*) FROM entries WHERE kind = 'kind'"))).scalar_one()
                )

    assert asyncio.run(work()) == 0


def test_a_lock_that_outlasts_patience_is_try_later(
    folder: Path, vault: Vault, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    pragmas = tuple(pragma for pragma in storage.PRAGMAS if "busy_timeout" not in pragma)
    monkeypatch.setattr(storage, "PRAGMAS", (*pragmas, "PRAGMA busy_timeout = 50"))

    async def work() -> None:
        async with open_database(folder / "campaign.db", vault) as database:
            blocker = sqlite3.connect(folder / "campaign.db", isolation_level=None)
            blocker.execute("BEGIN IMMEDIATE")
            try:
                async with database.write() as connection:
                    await journal.append(connection, [Entry(now, "kind")])
            finally:
                blocker.rollback()
                blocker.close()

    with pytest.raises(TryLater, match="locked"):
        asyncio.run(work())


def test_the_database_url(tmp_path: Path) -> None:
    assert sqlite_path("sqlite:///campaign.db", tmp_path) == tmp_path / "campaign.db"
    assert sqlite_path("sqlite:////var/x.db", tmp_path) == Path("/var/x.db")
    for url in ("postgresql+psycopg://h/d", "mysql://x", "campaign.db", "sqlite://"):
        with pytest.raises(SettingsError, match="database"):
            sqlite_path(url, tmp_path)


def test_writes_are_durable(folder: Path, vault: Vault) -> None:
    async def pragmas() -> tuple[str, int, int]:
        async with open_database(folder / "campaign.db", vault) as database, database.write() as connection:
            mode = (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar_one()
            synchronous = (await connection.exec_driver_sql("PRAGMA synchronous")).scalar_one()
            keys = (await connection.exec_driver_sql("PRAGMA foreign_keys")).scalar_one()
            return mode, synchronous, keys

    assert asyncio.run(pragmas()) == ("wal", 2, 1)


def test_what_the_disk_says_is_for_the_operator_and_not_a_foreign_database(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA max_page_count = 2")
        connection.execute("CREATE TABLE t (x)")
        with pytest.raises(sqlite3.OperationalError) as full:
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
        with pytest.raises(sqlite3.OperationalError) as ours:
            connection.execute("SELECT 1 FROM nosuch")
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    with closing(reader), pytest.raises(sqlite3.OperationalError) as readonly:
        reader.execute("CREATE TABLE u (x)")
    with pytest.raises(sqlite3.OperationalError) as missing:
        sqlite3.connect(tmp_path / "nowhere" / "some.db")
    for caught, says in ((full, "full"), (readonly, "readonly"), (missing, "unable to open")):
        told = failure(caught.value)
        assert isinstance(told, OperatorError) and says in str(told) and told.exit_code == 2
    assert isinstance(failure(ours.value), StorageError)


def test_a_plan_that_comes_second_leaves_the_first_one_s_file_alone(
    folder: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long plan outlasts the wait of a second one: what it has written until then must still be there (I5)."""
    monkeypatch.setattr(storage, "PRAGMAS", [*storage.PRAGMAS, "PRAGMA busy_timeout = 20"])
    path = folder / "campaign.db"
    beside = folder / "campaign.db-plan"

    async def plan_twice() -> None:
        async with open_database(path, vault) as first, open_database(path, vault) as second:
            async with first.plan():
                beside.write_bytes(b"half a plan")
                with pytest.raises(TryLater):
                    async with second.plan():
                        raise AssertionError("two plans at once")
                assert beside.read_bytes() == b"half a plan"
            assert not beside.exists()

    asyncio.run(plan_twice())
