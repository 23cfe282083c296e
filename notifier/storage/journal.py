"""Queries on entries. An entry is appended in the transaction that changes the state it speaks of (I4, I9)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.model import Entry
from notifier.storage.database import insert_many

SALT_BYTES = 32


async def append(connection: AsyncConnection, entries: Iterable[Entry]) -> None:
    """Append, in order, in the caller's transaction. Each entry gets a random salt (DOMAIN E3, leaf privacy)."""
    rows = [(entry.kind, entry.subject, secrets.token_bytes(SALT_BYTES), entry.canonical()) for entry in entries]
    await insert_many(connection, "entries", ("kind", "subject", "salt", "body"), rows)
