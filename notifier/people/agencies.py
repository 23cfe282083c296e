"""Members behind an address that is nobody's own: an agency's or a call centre's, typed in for those without one.

A notice in an agency's mailbox tells the wrong person (I2): whoever has such an address is written to by letter.

- *Named*: addresses of which somebody says so ([placeholders] addresses in data/mailboxes.toml). A directory that is
  read afterwards takes them for none; of one that is there already, the mailbox is set aside here, for good (route
  reason ``agency_mailbox``).
- *Shared*: an address of so many members ([intake] shared_mailbox) that no household is as large. It is set aside at
  each plan (``shared_mailbox``), and given back when fewer have it or somebody says that it is fine ([shared] fine).

What was approved before stays as it was approved (I7). A professional's mailbox is never looked at: a chain answers
for its establishments.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from notifier.campaign import Settings
from notifier.model import Entry
from notifier.people.identity import normal_email
from notifier.storage import agencies, journal
from notifier.storage.database import Connection, Database
from notifier.vault import Vault


@dataclass(frozen=True, slots=True)
class Addresses:
    """What data/mailboxes.toml says of whole addresses: which are nobody's, and which are fine however many share
    them."""

    nobodys: frozenset[str] = frozenset()
    fine: frozenset[str] = frozenset()


NOTHING_SAID = Addresses()


async def set_aside(
    connection: Connection, vault: Vault, settings: Settings, addresses: Addresses, *, now: datetime
) -> None:
    """Set these mailboxes aside for every sender, in the plan's transaction. Running it again changes nothing."""
    entries = []
    if addresses.nobodys and (
        members := await agencies.set_aside(connection, _digests(vault, settings, addresses.nobodys))
    ):
        entries.append(Entry(now, "agency_mailboxes_set_aside", "", {"members": members}))
    least = settings.intake.shared_mailbox
    await agencies.find_shared(connection, least, _digests(vault, settings, addresses.fine))
    shared = await agencies.set_aside_shared(connection)
    if any(shared):
        facts = {"members": shared.set_aside, "given_back": shared.given_back, "least": least}
        entries.append(Entry(now, "shared_mailboxes_set_aside", "", facts))
    await journal.append(connection, entries)


async def count_shared(database: Database, vault: Vault, settings: Settings, addresses: Addresses) -> tuple[int, int]:
    """How many addresses are shared by so many members, and by how many in all."""
    async with database.read() as connection:
        fine = _digests(vault, settings, addresses.fine)
        return await agencies.find_shared(connection, settings.intake.shared_mailbox, fine)


def _digests(vault: Vault, settings: Settings, addresses: Iterable[str]) -> list[bytes]:
    return [
        vault.digest("mailbox", sender.code, normal_email(address))
        for sender in settings.senders
        for address in sorted(addresses)
    ]
