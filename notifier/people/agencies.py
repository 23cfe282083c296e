"""Members behind an address that is nobody's own: an agency's or a call centre's, typed in for those without one.

Such addresses are data ([placeholders] addresses in data/mailboxes.toml). A directory that is read afterwards takes
them for none; of one that is there already, the mailbox is set aside here, before a plan. Either way the member is
written to by letter (route reason ``agency_mailbox``): a notice in an agency's mailbox tells the wrong person (I2).
What was approved before stays as it was approved (I7).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from notifier.campaign import Settings
from notifier.model import Entry
from notifier.people.identity import normal_email
from notifier.storage import agencies, journal
from notifier.storage.database import Database
from notifier.vault import Vault


async def set_aside(
    database: Database, vault: Vault, settings: Settings, addresses: Iterable[str], *, now: datetime
) -> int:
    """Set these mailboxes aside for every sender; of how many members. Running it again finds none left."""
    mailboxes = [
        vault.digest("mailbox", sender.code, normal_email(address))
        for sender in settings.senders
        for address in sorted(addresses)
    ]
    if not mailboxes:
        return 0
    async with database.write() as connection:
        members = await agencies.set_aside(connection, mailboxes)
        if members:
            await journal.append(connection, [Entry(now, "agency_mailboxes_set_aside", "", {"members": members})])
    return members
