"""Taking from contacts a mailbox that is nobody's own, and giving it back."""

# ruff: noqa: S608  (the SQL is put together from this module's own words)

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.storage.database import insert_many
from notifier.storage.temporary import fresh


class Shared(NamedTuple):
    """Members whose mailbox is that of very many: set aside now, and given back now."""

    set_aside: int
    given_back: int


async def set_aside(connection: AsyncConnection, mailboxes: Sequence[bytes]) -> int:
    """Members with one of these mailboxes have none any more, and their letter says why; of how many. What was set
    aside for another reason stays so for this one."""
    rows = [{"mailbox": mailbox} for mailbox in mailboxes]
    done = await connection.execute(
        text(
            "UPDATE contacts SET mailbox = NULL, second_mailbox = NULL, shared_mailbox = NULL, "
            "letter = 'agency_mailbox' "
            "WHERE (mailbox = :mailbox OR shared_mailbox = :mailbox) AND kind = 'member'"
        ),
        rows,
    )
    return done.rowcount


# The index on mailboxes alone says which may be shared; only for these the members are counted.
_CANDIDATES = (
    "SELECT mailbox FROM contacts WHERE mailbox IS NOT NULL GROUP BY mailbox HAVING COUNT(*) >= :least "
    "UNION SELECT shared_mailbox FROM contacts WHERE shared_mailbox IS NOT NULL"
)
_MEMBERS = (
    "(SELECT COUNT(DISTINCT c.identity) FROM contacts c WHERE (c.mailbox = k.mailbox OR c.shared_mailbox = k.mailbox) "
    "AND c.current AND c.kind = 'member')"
)


async def find_shared(connection: AsyncConnection, least: int, fine: Iterable[bytes]) -> tuple[int, int]:
    """The temporary table ``shared_now`` (`mailbox`, `members`): mailboxes of ``least`` current members or more, but
    for those that somebody said are ``fine``. How many mailboxes, and of how many members. Professionals' mailboxes
    are their own, however many establishments share one."""
    await fresh(connection, "fine_mailboxes", "mailbox BLOB PRIMARY KEY")
    await insert_many(connection, "fine_mailboxes", ("mailbox",), [(each,) for each in sorted(set(fine))])
    await fresh(connection, "shared_now", "mailbox BLOB PRIMARY KEY, members INTEGER")
    await connection.execute(
        text(
            f"INSERT INTO shared_now SELECT mailbox, members FROM (SELECT k.mailbox, {_MEMBERS} AS members "
            f"FROM ({_CANDIDATES}) AS k) AS counted WHERE members >= :least "
            "AND mailbox NOT IN (SELECT mailbox FROM fine_mailboxes)"
        ),
        {"least": least},
    )
    found = await connection.execute(text("SELECT COUNT(*), COALESCE(SUM(members), 0) FROM shared_now"))
    mailboxes, members = found.one()
    return int(mailboxes), int(members)


async def set_aside_shared(connection: AsyncConnection) -> Shared:
    """Members with a mailbox of ``shared_now`` are written to by letter; those whose mailbox was set aside for that
    and is not in it any more have it again. A second address that is one of these is none."""
    back = await connection.execute(
        text(
            "UPDATE contacts SET mailbox = shared_mailbox, shared_mailbox = NULL, letter = '' "
            "WHERE shared_mailbox IS NOT NULL AND shared_mailbox NOT IN (SELECT mailbox FROM shared_now)"
        )
    )
    aside = await connection.execute(
        text(
            "UPDATE contacts SET shared_mailbox = mailbox, mailbox = NULL, second_mailbox = NULL, "
            "letter = 'shared_mailbox' WHERE mailbox IN (SELECT mailbox FROM shared_now) AND kind = 'member'"
        )
    )
    some = await connection.execute(text("SELECT 1 FROM shared_now LIMIT 1"))
    if some.one_or_none() is not None:  # second addresses have no index: one pass, where there is a reason
        await connection.execute(
            text("UPDATE contacts SET second_mailbox = NULL WHERE second_mailbox IN (SELECT mailbox FROM shared_now)")
        )
    return Shared(aside.rowcount, back.rowcount)
