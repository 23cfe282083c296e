"""An open campaign: settings, keys and database that belong together, its sessions on record, its journal sealed.

A database that is behind its head (journal/head.py) was restored, or is a copy. Nothing writes into it but `recover`:
what would be sent may have gone out, what would be approved may have been, and whatever is sealed on top of it would be
signed twice, at the same place, as something else.
"""

from __future__ import annotations

import asyncio
import getpass
import logging
import platform
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from notifier.authorities import with_authorities
from notifier.campaign import Settings, load
from notifier.dkim import with_public_keys
from notifier.errors import DatabaseBehind, OperatorError, TryLater, VaultError
from notifier.journal.head_file import place
from notifier.machine import Reading, host_words, read_clocks, step_ms
from notifier.model import Entry, from_ms, utc_text
from notifier.storage import clocks, journal
from notifier.storage.database import Connection, Database, open_database, sqlite_path
from notifier.vault import Vault, read_keys

if TYPE_CHECKING:
    from notifier.journal.heads import Look

SEAL_SECONDS = 1.0

_log = logging.getLogger(__name__)


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

    @property
    def head(self) -> Path:
        """Where the campaign's head lies."""
        return place(self.folder / self.settings.key.path, self.vault.campaign_id)

    @property
    def host(self) -> str:
        """This machine, by a keyed digest."""
        return self.vault.digest("host", *host_words()).hex()


def must_be_of_one_kind(settings: Settings, vault: Vault) -> None:
    """A rehearsal has a rehearsal's key, and a campaign a campaign's. Raises VaultError."""
    if vault.is_drill and settings.drill is None:
        raise VaultError("this is the key of a drill, and campaign.toml has no [drill]: nothing was changed")
    if settings.drill is not None and not vault.is_drill:
        raise VaultError("campaign.toml has a [drill] section, and this is a campaign's key: nothing was changed")


@asynccontextmanager
async def open_campaign(folder: Path, *, by: str, command: str, writes: bool = True) -> AsyncIterator[App]:
    """Settings, keys and database of ``folder``, after all three were found to belong together. Raises DatabaseBehind
    for a database that was restored, if the command ``writes``; who only reads is warned."""
    async with open_unguarded(folder, by=by) as app:
        seen, wrong = None, None
        try:
            seen = await look_at_head(app)
        except OperatorError as error:
            wrong = error
        if seen is not None and seen.behind:
            wrong = DatabaseBehind(_behind(seen.behind))
        if wrong is not None:
            if writes:
                raise wrong
            _log.warning("notifier: %s", wrong)
        if not writes:
            yield app
            return
        async with session(app, command, has_head=seen is not None and seen.known is not None):
            yield app


def settings_of(folder: Path) -> Settings:
    """campaign.toml, with the digests of the files that it names and an approval binds."""
    return with_authorities(with_public_keys(load(folder), folder), folder)


@asynccontextmanager
async def open_unguarded(folder: Path, *, by: str) -> AsyncIterator[App]:
    """The same, whatever its head says, and without a session: for `recover`."""
    settings = settings_of(folder)
    vault = Vault(read_keys(folder / settings.key.path))
    must_be_of_one_kind(settings, vault)
    async with open_database(sqlite_path(settings.database, folder), vault) as database:
        yield App(folder, settings, vault, database, by)


@asynccontextmanager
async def session(app: App, command: str, *, has_head: bool, keeps_head: bool = True) -> AsyncIterator[None]:
    """On record from its first entry to its last checkpoint. ``keeps_head``: and that becomes the campaign's head."""
    await _session_started(app, command, has_head=has_head)
    try:
        yield
    finally:
        await watch_clock(app, during="command")
        await seal(app, reason="command", keeps_head=keeps_head)


def _behind(missing: str) -> str:
    return (
        f"this database was restored from a backup, or is an old copy: {missing}. What waits in it may have gone out "
        "since: bring back the last database, or run `notifier recover`; nothing is sent, approved or changed before"
    )


async def look_at_head(app: App) -> Look:
    """What the head beside the key says of the database."""
    from notifier.journal.heads import look

    return await look(app.database, app.vault.campaign_id, app.head)


async def _session_started(app: App, command: str, *, has_head: bool) -> None:
    facts = {
        "command": command,
        "os_user": _os_user(),
        "by": app.by,
        "version": metadata.version("notifier"),
        "python": platform.python_version(),
        "host": app.host,
        "utc_offset_seconds": -time.timezone,
    }
    entries = [Entry(utc_now(), "session_started", "", facts)]
    if not has_head:
        _log.warning(
            "notifier: there is no head at %s, so that nobody can tell whether this database is the last one. It is "
            "kept from now on; was this a backup, run `notifier recover --restored` first (docs/backups.md)",
            app.head,
        )
        entries.append(Entry(utc_now(), "head_missing"))
    async with app.database.write() as connection:
        app.database.discard_plan()
        await journal.append(connection, entries)
        await _note_clock(app, connection, read_clocks(), during="between_sessions", starts=True)


async def watch_clock(app: App, *, during: str) -> None:
    """Journal the wall clock's being set, and move with it what waits for a moment."""
    async with app.database.read() as connection:
        last = await clocks.last_reading(connection)
    if last is not None and step_ms(last, read_clocks()):
        async with app.database.write() as connection:
            await _note_clock(app, connection, read_clocks(), during=during)


async def _note_clock(app: App, connection: Connection, now: Reading, *, during: str, starts: bool = False) -> None:
    """In the caller's write transaction, against the reading that is kept: of two commands that saw the same step one
    writes it down."""
    last = await clocks.last_reading(connection)
    step = step_ms(last, now) if last is not None else 0
    if step:
        facts = {
            "seconds": round(step / 1000),
            "during": during,
            "before": utc_text(from_ms(now.wall_ms - step)),
        }
        await journal.append(connection, [Entry(from_ms(now.wall_ms), "clock_stepped", "", facts)])
        from notifier.delivery.lanes import FOREVER_MS

        await clocks.move_times(connection, step, FOREVER_MS)
        await _carry_caps(app, connection, from_ms(now.wall_ms - step), from_ms(now.wall_ms))
    if step or starts:
        stepped = bool(step) or (last is not None and last.stepped)
        await clocks.keep(connection, Reading(now.wall_ms, now.boot_ms, now.boot_id, stepped))


async def _carry_caps(app: App, connection: Connection, before: datetime, after: datetime) -> None:
    """The helpline's caps are of the wall clock's hours and days: the one that the clock was set into begins with what
    the one that it left had used, or a step would allow it once more (I6: waste, never excess)."""
    from notifier.delivery.limits import Limits

    limits = Limits.of(app.settings)
    names = zip(limits.counters(before, canary=False), limits.counters(after, canary=False), strict=True)
    await clocks.carry_counters(connection, [(left, entered) for left, entered in names if left != entered])


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a passwd entry
        return "unknown"


async def seal(app: App, *, reason: str, keeps_head: bool = True) -> None:
    """Give every unsealed entry its leaf, sign a checkpoint over them, and keep it as the campaign's head."""
    from notifier.journal import heads
    from notifier.journal.sealer import seal as seal_entries

    await seal_entries(app.database, app.vault, reason=reason, now=utc_now())
    if not keeps_head:
        return
    try:
        await heads.keep(app.database, app.vault.campaign_id, app.head)
    except OSError as error:
        # What was committed stands. But a backup that is restored now will not be noticed.
        if reason != "running":
            _log.warning("notifier: the head cannot be kept at %s: %s (docs/backups.md)", app.head, error.strerror)


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
                pass  # a second has passed
            if not finished.is_set():
                # Locked for long by another program: the next second seals what this one did not.
                with suppress(TryLater):
                    await watch_clock(app, during="command")
                    await seal(app, reason="running")

    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keep_sealing())
            try:
                yield
            finally:
                finished.set()
    except BaseExceptionGroup as group:
        # One cause is one error, with its own exit code; several at once are a bug and stay together. A full disk
        # stops the sender and the sealer alike.
        of_the_machine = [each for each in group.exceptions if isinstance(each, OperatorError | OSError)]
        if len(group.exceptions) in (1, len(of_the_machine)):
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
