"""The database: opening, creating, transactions.

Promises: a campaign's database is created by `init` alone; every other command finds the campaign's id in it or stops
(a forgotten override must never start a second, empty campaign). `write()` commits durably (WAL, synchronous=FULL)
before it returns: that return is the commit point that the rooms speak of.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from notifier.errors import SettingsError, StorageError, VaultError
from notifier.model import to_ms
from notifier.storage import migrations, waiting
from notifier.storage.failures import failure
from notifier.storage.waiting import PLANNED, planned_beside
from notifier.vault import Vault

# What rooms call an open transaction; only storage knows whose class it is.
Connection = AsyncConnection

BUSY_SECONDS = 30
PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}",
    "PRAGMA temp_store = FILE",  # sorting a country's rows takes more than memory; small ones never reach the disk
)


def sqlite_path(url: str, folder: Path) -> Path:
    """The file of a ``sqlite:///`` URL; a relative one lies in the campaign folder."""
    scheme, found, rest = url.partition(":///")
    if scheme == "sqlite" and found and rest:
        return folder / rest
    if scheme.startswith("postgresql"):
        raise SettingsError("database: PostgreSQL is not there yet; use sqlite:///campaign.db")
    raise SettingsError('database: write "sqlite:///campaign.db" (a file in the campaign folder)')


class Database:
    """An open database. Use :func:`open_database`; it also closes."""

    def __init__(self, path: Path, engine: AsyncEngine) -> None:
        self.path = path
        self._engine = engine

    def plan_file(self) -> Path | None:
        """Where a plan's rows wait: of one that is at work, or was killed."""
        path = planned_beside(self.path)
        return path if path.exists() else None

    def discard_plan(self) -> None:
        """Remove what a killed plan left. Only inside :meth:`write`."""
        waiting.discard_planned(self.path)

    def discard_staging(self) -> None:
        """Remove the rows of a file that will not be completed."""
        waiting.discard(self.path)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads: one consistent snapshot, blocks nobody."""
        with _translated():
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes; commits at the end of the block, rolls back on any exception."""
        with _translated():
            async with self._engine.connect() as connection:
                await connection.execution_options(notifier_write=True)
                async with connection.begin():
                    yield connection

    @asynccontextmanager
    async def plan(self) -> AsyncIterator[AsyncConnection]:
        """Like :meth:`write`, for a plan, with room for the file that it fills (``storage.planned``). As long as
        nothing was approved, keys between tables are not checked row by row: what a plan then writes is made of the
        numbers that it read in the same transaction, and without the check SQLite moves whole pages. Raises
        StorageError if something was approved meanwhile."""
        with _translated():
            async with self._engine.connect() as connection:
                driver: Any = (await connection.get_raw_connection()).driver_connection
                approved = "SELECT EXISTS (SELECT 1 FROM batches)"
                is_free = not (await (await driver.execute(approved)).fetchone())[0]
                try:
                    if is_free:  # cannot be done inside a transaction
                        await driver.execute("PRAGMA foreign_keys = OFF")
                    await connection.execution_options(notifier_write=True)
                    async with connection.begin():
                        if is_free and (await connection.execute(text(approved))).scalar_one():
                            raise StorageError("somebody approved while the plan began: run it again")
                        try:
                            yield connection
                        finally:
                            # Attached, it lives on.
                            waiting.discard_planned(self.path)
                finally:
                    await driver.execute("PRAGMA foreign_keys = ON")
                    attached = await (await driver.execute("PRAGMA database_list")).fetchall()
                    if any(name == PLANNED for _, name, _ in attached):
                        await driver.execute(f"DETACH DATABASE {PLANNED}")

    @asynccontextmanager
    async def absorb(self) -> AsyncIterator[AsyncConnection]:
        """Like :meth:`write`, with the rows of the file just read attached as the schema ``staging``, which end with
        the transaction. Raises StorageError when they are gone."""
        path = waiting.beside(self.path)
        waiting.must_be_there(path)
        try:
            with _translated():
                async with self._engine.connect() as connection:
                    driver: Any = (await connection.get_raw_connection()).driver_connection
                    # Neither can be done inside a transaction.
                    await driver.execute("ATTACH DATABASE ? AS staging", (str(path),))
                    try:
                        if (await (await driver.execute(waiting.IS_SETTLED)).fetchone())[0]:
                            # What was declared elsewhere is copied page by page only where no key refers to another
                            # table; the keys were made together, and `complete` counts what has moved.
                            await driver.execute("PRAGMA foreign_keys = OFF")
                        await connection.execution_options(notifier_write=True)
                        async with connection.begin():
                            yield connection
                    finally:
                        await driver.execute("PRAGMA foreign_keys = ON")
                        await driver.execute("DETACH DATABASE staging")
        finally:
            # Committed, or of no use any more: the import that failed is read anew.
            waiting.discard(self.path)


class _translated:  # noqa: N801  (reads as a phrase)
    """Driver errors leave storage as StorageError; a lock that outlasted the busy time as TryLater."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DBAPIError):
            # SQLAlchemy's text quotes parameters; the driver's own does not.
            raise failure(error.orig) from error.orig


def _configure(engine: Any) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we write BEGIN ourselves, below
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        # IMMEDIATE: a writer takes its lock at the start and waits for it there; a deferred one that has read
        # already cannot wait, it fails (SQLITE_BUSY_SNAPSHOT).
        immediate = connection.get_execution_options().get("notifier_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@asynccontextmanager
async def open_database(path: Path, vault: Vault) -> AsyncIterator[Database]:
    """The campaign's database, after its id, its keys and its schema were found to be the right ones."""
    if not path.is_file():
        raise SettingsError(f"there is no database at {path}: `notifier init` makes one, nothing else does")
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", hide_parameters=True)
    _configure(engine.sync_engine)
    database = Database(path, engine)
    try:
        await _recognise(database, vault)
        yield database
    finally:
        await engine.dispose()


async def _recognise(database: Database, vault: Vault) -> None:
    try:
        async with database.read() as connection:
            row = (await connection.execute(text("SELECT campaign_id, probe FROM campaign WHERE id = 1"))).one_or_none()
            version = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one_or_none()
    except StorageError as error:
        raise SettingsError(f"{database.path} is not a notifier database") from error
    if row is None:
        raise SettingsError(f"{database.path} holds no campaign")
    if row.campaign_id != vault.campaign_id:
        raise VaultError(
            f"the key belongs to campaign {vault.campaign_id}, the database {database.path} to campaign "
            f"{row.campaign_id}: nothing was changed"
        )
    if not vault.recognises(row.probe):
        raise VaultError(f"the key is not the one that {database.path} was made with: nothing was changed")
    if version != migrations.HEAD:
        raise SettingsError(f"{database.path} has schema {version}, this notifier wants {migrations.HEAD}")


def create_database(path: Path, vault: Vault, now: datetime) -> None:
    """Make the schema and write the campaign's id into it, in one transaction. Only `init` calls this."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        raise SettingsError(f"there is a database at {path} already")
    engine = create_engine(f"sqlite:///{path}", hide_parameters=True)
    _configure(engine)
    try:
        with _translated(), engine.connect().execution_options(notifier_write=True) as connection, connection.begin():
            migrations.upgrade(connection)
            connection.execute(
                text(
                    "INSERT INTO campaign (id, campaign_id, created_ms, probe, public_key, sender_epoch) "
                    "VALUES (1, :campaign_id, :created_ms, :probe, :public_key, 0)"
                ),
                {
                    "campaign_id": vault.campaign_id,
                    "created_ms": to_ms(now),
                    "probe": vault.probe(),
                    "public_key": vault.public_key,
                },
            )
    finally:
        engine.dispose()
    path.chmod(0o600)


async def insert_many(
    connection: AsyncConnection,
    table: str,
    columns: Iterable[str],
    rows: list[tuple[Any, ...]],
    *,
    or_ignore: bool = False,
) -> None:
    """Many rows in one executemany, past the ORM (DESIGN 6: never one object per row). ``or_ignore``: those that are
    there already are left out."""
    if rows:
        names = list(columns)
        marks = ", ".join("?" * len(names))
        # Names come from this package's modules alone, never from input.
        quoted = ", ".join(f'"{name}"' for name in names)
        verb = "INSERT OR IGNORE" if or_ignore else "INSERT"
        await connection.exec_driver_sql(f"{verb} INTO {table} ({quoted}) VALUES ({marks})", rows)
