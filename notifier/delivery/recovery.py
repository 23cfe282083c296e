"""What a sender that did not end well left behind. Recovery is the normal path: every sender starts with it.

Whoever holds the sender's lock and has claimed nothing yet knows that each delivery marked SENDING is an orphan: its
final dot may have gone out, and nobody recorded the answer. It goes in doubt through the same door as any other
outcome, and the policy decides whether it is sent once more (I5). Orphans are at most the window of the sender that
died.
"""

from __future__ import annotations

import random
from datetime import datetime

from notifier.campaign import Settings
from notifier.delivery import quota
from notifier.delivery.limits import Limits
from notifier.delivery.outcomes import in_doubt
from notifier.delivery.record import Ended, Fate, Policy, decide, record
from notifier.delivery.seat import Seat, take_seat
from notifier.model import Entry
from notifier.storage import cycle, deliveries
from notifier.storage.cycle import Connection
from notifier.vault import Vault


def recover(
    connection: Connection, vault: Vault, policy: Policy, *, now: datetime, roll: float
) -> tuple[int, list[Fate]]:
    """Begin a new epoch and put the orphans in doubt, in the caller's transaction; the epoch and their fates."""
    epoch = deliveries.next_epoch(connection)
    outcome = in_doubt("the sender stopped before the answer was recorded")
    fates = []
    for held in deliveries.fetch(connection, deliveries.orphans(connection)):
        end = Ended(held, outcome, now, reply=outcome.text)
        fates.append(record(connection, vault, end, decide(held, outcome, now=now, policy=policy, roll=roll)))
    if fates:
        cycle.append(connection, [Entry(now, "sender_recovered", facts={"orphans": len(fates), "epoch": epoch})])
    return epoch, fates


def recover_without_run(
    connection: Connection, vault: Vault, settings: Settings, seat: Seat, *, by: str, now: datetime
) -> list[Fate]:
    """:func:`recover` for whoever holds the sender's lock and sends nothing, in the caller's transaction. Raises
    OtherHost when another machine was the last to send; nothing was changed then."""
    take_seat(connection, seat, by=by, now=now)
    roll = random.random()  # noqa: S311
    _, fates = recover(connection, vault, Policy.of(settings), now=now, roll=roll)
    quota.take_over(connection, Limits.of(settings), fates, now)
    return fates
