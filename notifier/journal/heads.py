"""A database and its head: looked at when a campaign is opened, kept after each checkpoint.

Promises: a head is never replaced by one that says less, and never while its database is behind it; only `recover`,
which has settled what may have gone out, starts a new one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from notifier.journal import head_file
from notifier.journal.head import Head, difference, is_behind
from notifier.storage import heads
from notifier.storage.database import Database


@dataclass(frozen=True, slots=True)
class Look:
    """``known``: the head beside the key, None if there is none; ``database``: the one that the database would give;
    ``behind``: what is missing in it, in words, "" if nothing is."""

    known: Head | None
    database: Head
    behind: str = ""


async def look(database: Database, campaign_id: str, path: Path) -> Look:
    """What the head says of the database. Raises SettingsError for a file that is no head of this campaign."""
    known = await asyncio.to_thread(head_file.read, path, campaign_id)
    async with database.read() as connection:
        row = await heads.standing(connection)
        holds = known is not None and await heads.holds(connection, known.size, bytes.fromhex(known.root))
    there = Head(campaign_id, row.size, row.root.hex(), row.epoch, row.host, row.batches, row.attempts)
    is_less = known is not None and is_behind(known, there, holds_root=holds)
    return Look(known, there, difference(known, there) if known is not None and is_less else "")


async def keep(database: Database, campaign_id: str, path: Path, *, anew: bool = False) -> None:
    """Replace the head if the database has gone on. ``anew``: whatever the old one says. Raises OSError where it cannot
    be written."""
    seen = await look(database, campaign_id, path)
    if seen.database.size and (anew or not seen.behind) and seen.database != seen.known:
        await asyncio.to_thread(head_file.replace, path, seen.database)
