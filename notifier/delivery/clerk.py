"""A process that writes the cycles of a sender, and does nothing else: one connection to the database, no network, and
not the key that signs the journal. The sender's end of it is registry.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from notifier.delivery.clerical import Failed, Taken
from notifier.delivery.frames import READY, Send, portable, serve
from notifier.delivery.turn import take_turn
from notifier.storage.cycle import connect, transact
from notifier.vault import Vault


def work(items: Iterator[Any], send: Send) -> None:
    """One wish, one transaction, one answer, until there is nothing more. What was begun when the sender ends is
    finished: it is what the sender had claimed or had seen end."""
    office = next(items, None)
    if office is None:
        return
    vault, connection = Vault(office.keys), connect(office.database)
    send(READY)
    for asked in items:
        try:
            turn = transact(connection, partial(take_turn, vault=vault, wish=asked.given(office.rules)))
        except Exception as error:
            send(Failed(portable(error)))
        else:
            send(Taken.of(turn))


if __name__ == "__main__":
    serve(work)
