"""Nobody is written to again where it did not work: refused mailboxes, and addresses from which a letter came back."""

from __future__ import annotations

from itertools import groupby

from notifier.model import Contact
from notifier.storage import dead_ends
from notifier.storage.database import Connection
from notifier.storage.dead_ends import Letterbox
from notifier.vault import Vault


async def note(connection: Connection, vault: Vault, wave_id: int) -> bool:
    """Know the dead ends for a plan of this round (the tables of `storage.dead_ends`). Returns whether there is any.

    Addresses are sealed, so that a letter box that came back is known again by its values alone: a newer directory
    that repeats it gives no way.
    """
    found = await dead_ends.prepare(connection, wave_id)
    rows = await dead_ends.letterboxes(connection) if found else []
    same: list[int] = []
    for _, group in groupby(rows, key=lambda row: row.identity):
        members = [(row, Contact.of(_fields(vault, row)).postal) for row in group]
        returned = {postal for row, postal in members if row.returned}
        same += [row.contact for row, postal in members if postal in returned]
    await dead_ends.add_letterboxes(connection, same)
    return found


def _fields(vault: Vault, row: Letterbox) -> dict[str, object]:
    return vault.unseal("contact", row.identity, row.sealed)
