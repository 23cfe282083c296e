"""Near-misses: persons whom the ladder left unmatched, and members of the same sender who may be them all the same.

Of NIR, birth date, name and contract all but one agree: the digests say which members share the NIR (or, where the row
has no usable one, contract and birth date), then names and dates are compared unsealed (``people.likeness``). What is
found is offered for review and never applied (I2); until somebody decides, the person is held, and counts as pending
(I1). Matching again gives the same cases: one that is open follows the files, one that was decided stays, unless *none*
was decided and another member is near now.
"""

from __future__ import annotations

from datetime import datetime

from notifier.model import Contact, Entry
from notifier.people.likeness import compare, is_near_miss
from notifier.storage import journal, near_misses
from notifier.storage.database import Connection
from notifier.storage.near_misses import Pair
from notifier.vault import Vault

NEAR_MISS = "near_miss"

AT_ONCE = 1_000  # cases written together


async def offer(connection: Connection, vault: Vault, now: datetime) -> None:
    """Open a case for every near-miss, when everybody is matched; close those whose doubt is gone."""
    refused = await near_misses.refused(connection)
    found: dict[int, list[int]] = {}
    reopened: dict[int, Pair] = {}
    first: Pair | None = None  # of the person that is being looked at, as are the next two
    contacts: list[int] = []
    members: set[bytes] = set()

    def judged() -> None:
        if first is None or not contacts:
            return
        if first.person in refused:
            if members <= refused[first.person]:
                return
            reopened[first.person] = first
        found[first.person] = list(contacts)

    async for pair in near_misses.pairs(connection):
        if first is None or pair.person != first.person:
            judged()
            if len(found) >= AT_ONCE:
                await _write(connection, vault, found, reopened, now)
            first = pair
            contacts.clear()
            members.clear()
        if _is_near(pair, vault):
            contacts.append(pair.contact)
            members.add(pair.member)
    judged()
    await _write(connection, vault, found, reopened, now)
    await near_misses.close_others(connection)


def _is_near(pair: Pair, vault: Vault) -> bool:
    person = Contact.of(vault.unseal("person", pair.identity, pair.sealed))
    member = Contact.of(vault.unseal("contact", pair.member, pair.member_sealed))
    return is_near_miss(compare(person, member), is_claimed=pair.is_claimed)


async def _write(
    connection: Connection, vault: Vault, found: dict[int, list[int]], reopened: dict[int, Pair], now: datetime
) -> None:
    for person, pair in reopened.items():
        await near_misses.reopen(connection, person)
        facts = {"reason": NEAR_MISS, "because": "another_member"}
        subject = vault.pseudonym(pair.sender, pair.identity)
        await journal.append(connection, [Entry(now, "review_reopened", subject, facts)])
    await near_misses.offer(connection, found)
    found.clear()
    reopened.clear()
