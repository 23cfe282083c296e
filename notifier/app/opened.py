"""An open campaign: settings, keys and database that belong together, its sessions on record, its journal sealed."""

from __future__ import annotations

import asyncio
import getpass
import platform
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from notifier.campaign import Settings, load
from notifier.dkim import with_public_keys
from notifier.errors import OperatorError, VaultError
from notifier.model import Entry
from notifier.storage import journal
from notifier.storage.database import Database, open_database, sqlite_path
from notifier.vault import Vault, read_keys

SEAL_SECONDS = 1.0


def utc_now() -> datetime:
    """The wall clock. Rooms take `now`; only here is it read."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class App:
    """An open campaign."""

    folder: Path
    settings: Settings
    vault: Vault
    database: Database
    by: str


def must_be_of_one_kind(settings: Settings, vault: Vault) -> None:
    """A rehearsal has a rehearsal's key, and a campaign a campaign's. Raises VaultError."""
    if vault.is_drill and settings.drill is None:
        raise VaultError("this is the key of a drill, and campaign.toml has no [drill]: nothing was changed")
    if settings.drill is not None and not vault.is_drill:
        raise VaultError("campaign.toml has a [drill] section, and this is a campaign's key: nothing was changed")


@asynccontextmanager
async def open_campaign(folder: Path, *, by: str, command: str, writes: bool = True) -> AsyncIterator[App]:
    """Settings, keys and database of ``folder``, after all three were found to belong together."""
    settings = with_public_keys(load(folder), folder)
    vault = Vault(read_keys(folder / settings.key.path))
    must_be_of_one_kind(settings, vault)
    async with open_database(sqlite_path(settings.database, folder), vault) as database:
        app = App(folder, settings, vault, database, by)
        if not writes:
            yield app
            return
        await _session_started(app, command)
        try:
            yield app
        finally:
            await seal(app, reason="command")


async def _session_started(app: App, command: str) -> None:
    host = app.vault.digest("host", socket.gethostname()).hex()
    facts = {
        "command": command,
        "os_user": _os_user(),
        "by": app.by,
        "version": metadata.version("notifier"),
        "python": platform.python_version(),
        "host": host,
        "utc_offset_seconds": -time.timezone,
    }
    async with app.database.write() as connection:
        await journal.append(connection, [Entry(utc_now(), "session_started", "", facts)])


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a passwd entry
        return "unknown"


async def seal(app: App, *, reason: str) -> None:
    """Give every unsealed entry its leaf, and sign a checkpoint over them."""
    from notifier.journal.sealer import seal as seal_entries

    await seal_entries(app.database, app.vault, reason=reason, now=utc_now())


@asynccontextmanager
async def sealing(app: App) -> AsyncIterator[None]:
    """Seal once a second while the block runs (DESIGN 10: unsealed lag at most a second)."""
    finished = asyncio.Event()

    async def keep_sealing() -> None:
        while not finished.is_set():
            try:
                async with asyncio.timeout(SEAL_SECONDS):
                    await finished.wait()
            except TimeoutError:
                await seal(app, reason="running")

    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keep_sealing())
            try:
                yield
            finally:
                finished.set()
    except BaseExceptionGroup as group:
        # One cause is one error, with its own exit code; several at once are a bug and stay together.
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise


async def know_wave(app: App, wave: str | None, *, may_be_first: bool = False) -> None:
    """A misspelt wave must not look like one with nothing to do. ``may_be_first``: fine as long as there is none."""
    from notifier.storage.waves import waves

    async with app.database.read() as connection:
        there = [each.name for each in await waves(connection)]
    if not there and not may_be_first:
        raise OperatorError("nothing is planned yet: run `notifier plan` first")
    if there and wave is not None and wave not in there:
        raise OperatorError(f"there is no wave {wave!r} (there: {', '.join(there)})")
