"""`db backup` and `db restore`: a copy of the database while it is used, and one put in its place."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from notifier.app.opened import App, look_at_head, must_be_of_one_kind, utc_now
from notifier.errors import OperatorError, SettingsError, VaultError

if TYPE_CHECKING:
    from collections.abc import Callable

    from notifier.journal.heads import Look
    from notifier.storage.copies import Copy


@dataclass(frozen=True, slots=True)
class Backup:
    """``entries``: of the journal at its last checkpoint when the copy began, or a little before."""

    copy: Copy
    entries: int


@dataclass(frozen=True, slots=True)
class Found:
    """What stands in the database that is put in place. ``until``: its last entry's instant; ``seen``: what the head
    beside the key says of it, None when that file cannot be read, which ``unreadable`` tells."""

    until: datetime | None
    seen: Look | None
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """``moved``: what was there, under its new names; empty and ``already``: this very copy was in place. ``missing``:
    how many entries what was there had more than the copy, None when that cannot be read."""

    found: Found
    moved: list[Path]
    already: bool
    missing: int | None

    @property
    def is_last(self) -> bool:
        """Nothing came after it, as far as can be known: the head, which is a second behind while `send` runs, knows of
        nothing, and what was there had no more."""
        seen = self.found.seen
        return seen is not None and seen.known is not None and not seen.behind and self.missing == 0


async def back_up(app: App, out: Path) -> Backup:
    """A consistent copy at ``out``, whoever writes meanwhile; nothing is written into the database. Given up, with
    nothing left of it, when this is cancelled."""
    from notifier.storage.copies import copy

    entries = (await look_at_head(app)).database.size
    given_up = threading.Event()
    try:
        return Backup(await asyncio.to_thread(copy, app.database.path, out, stops=given_up.is_set), entries)
    finally:
        given_up.set()


async def restore(folder: Path, file: Path, *, by: str, may: Callable[[Found, Path], None]) -> Placed:
    """Let a copy of ``file`` be the campaign's database; what was there is moved aside. ``may`` is told what was found
    in it, and raises to stop. Raises CampaignBusy while a command runs; OperatorError, VaultError or SettingsError when
    ``file`` is no whole database of this campaign: nothing was changed then."""
    from notifier.campaign import load
    from notifier.storage import copies
    from notifier.storage.database import open_database, sqlite_path
    from notifier.storage.lock import sender_lock
    from notifier.vault import Vault, read_keys

    settings = load(folder)
    vault = Vault(read_keys(folder / settings.key.path))
    must_be_of_one_kind(settings, vault)
    database = sqlite_path(settings.database, folder)
    with sender_lock(folder, utc_now()), copies.held_alone(database), copies.staged(file, database) as stage:
        try:
            async with open_database(stage, vault) as opened:
                found = await _look(App(folder, settings, vault, opened, by))
        except (SettingsError, VaultError) as error:  # which names the copy of the copy
            raise type(error)(str(error).replace(str(stage), str(file))) from error
        if wrong := await asyncio.to_thread(copies.broken, stage):
            raise OperatorError(f"{file} does not hold together ({wrong}): name an older backup; nothing was changed")
        already = await asyncio.to_thread(copies.is_there_already, stage, database)
        if not already:
            may(found, database)
        moved = [] if already else copies.put_in_place(stage, database, utc_now())
    return Placed(found, moved, already, _missing(database, moved, already=already))


def _missing(database: Path, moved: list[Path], *, already: bool) -> int | None:
    from notifier.storage import copies

    before = copies.newest_aside(database) if already else next(iter(moved), None)
    if already and before is None:
        return 0
    there, now = (copies.last_entry(before) if before is not None else None), copies.last_entry(database)
    return None if there is None or now is None else max(0, there - now)


async def _look(app: App) -> Found:
    from notifier.storage.journal import last_at

    async with app.database.read() as connection:
        until = await last_at(connection)
    try:
        return Found(until, await look_at_head(app))
    except OperatorError as error:
        return Found(until, None, str(error))
