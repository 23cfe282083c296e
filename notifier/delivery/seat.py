"""Who sends: one machine at a time, as far as a database can know.

The sender's lock is the operating system's and cannot see another machine. So the database remembers the digest of the
machine that sent last; another one has to say that it takes over. Whoever says so answers for it that the first one
has stopped: a copy of the folder knows nothing of what is done in the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from notifier.errors import OtherHost
from notifier.model import Entry, to_ms
from notifier.storage import clocks, cycle, deliveries
from notifier.storage.cycle import Connection

_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Seat:
    """``host``: digest of this machine, "" = nobody asks; ``takes_over``: from another one."""

    host: str = ""
    takes_over: bool = False


ANYWHERE = Seat()


def take_seat(connection: Connection, seat: Seat, *, by: str, now: datetime) -> None:
    """For whoever holds the sender's lock, before anything is claimed, in the caller's transaction. Raises OtherHost
    when another machine was the last to send; nothing was changed then."""
    last = deliveries.sender_host(connection)
    if seat.host and last != seat.host:
        if last:
            if not seat.takes_over:
                raise OtherHost(
                    "another machine was the last to send from this campaign, and the lock on the folder cannot see "
                    "it: make sure that no sender runs there, nor will, and that this is not an old copy of the "
                    "folder; then `notifier send --take-over`"
                )
            epoch = deliveries.next_epoch(connection)
            facts = {"from": last, "to": seat.host, "by": by, "epoch": epoch}
            cycle.append(connection, [Entry(now, "taken_over", facts=facts)])
        deliveries.sit(connection, seat.host)
    # The pace's stored moments are the wall clock's.
    clocks.heed_step(connection, to_ms(now) * 1000 + _DAY_US)
