"""A process that writes the cycles of a sender: one connection to the database, no network, and not the key that signs
the journal. Where nobody else does, it also makes the messages of what it has claimed. The sender's end of it is
registry.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from notifier.delivery.clerical import Failed, Taken
from notifier.delivery.frames import READY, Send, portable, serve
from notifier.delivery.orders import Text
from notifier.delivery.turn import take_turn
from notifier.delivery.workbench import Bench
from notifier.storage.cycle import connect, transact
from notifier.storage.deliveries import Claim
from notifier.vault import Vault


def work(items: Iterator[Any], send: Send) -> None:
    """One wish, one transaction, one answer, until there is nothing more. What was begun when the sender ends is
    finished: it is what the sender had claimed or had seen end."""
    office = next(items, None)
    if office is None:
        return
    vault, connection = Vault(office.keys), connect(office.database)
    bench = Bench(office.setup, send) if office.setup is not None else None
    held: dict[int, Claim] = {}  # claimed here, and not told of since
    send(READY)
    for item in items:
        if isinstance(item, Text):
            if bench is not None:
                bench.learn(item)
            continue
        try:
            turn = transact(connection, partial(take_turn, vault=vault, wish=item.given(office.rules, held)))
        except Exception as error:
            send(Failed(portable(error)))
            continue
        held.update((claim.id, claim) for claim in turn.claims)
        making = [claim for claim in turn.claims if bench.knows(claim)] if bench is not None else []
        send(Taken.of(turn, making))
        if bench is not None:
            bench.make(making)


if __name__ == "__main__":
    serve(work)
