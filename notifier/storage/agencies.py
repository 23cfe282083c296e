"""Taking from contacts a mailbox that is nobody's own."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def set_aside(connection: AsyncConnection, mailboxes: Sequence[bytes]) -> int:
    """Members with one of these mailboxes have none any more, and their letter says why; of how many. One pass over the
    contacts for each, which have no index on it."""
    rows = [{"mailbox": mailbox} for mailbox in mailboxes]
    done = await connection.execute(
        text(
            "UPDATE contacts SET mailbox = NULL, letter = 'agency_mailbox' WHERE mailbox = :mailbox AND kind = 'member'"
        ),
        rows,
    )
    return done.rowcount
