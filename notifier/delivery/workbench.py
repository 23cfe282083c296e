"""A process that makes messages and does nothing else: no database, no network, no journal.

``python -m notifier.delivery.workbench FD``: FD is one end of a pair of sockets whose other end only the sender holds
(workshop.py). What it is to work with comes in over it, its keys too: nothing stands in arguments or variables, and the
key that signs the journal is not among them. It ends when the sender does, however that ends, for then the pair closes.
"""

from __future__ import annotations

import gc
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from notifier.delivery.diversion import Diversion
from notifier.delivery.envelopes import Notice
from notifier.delivery.frames import READY, Frames, Result, Text, frame
from notifier.delivery.recipe import Recipe
from notifier.delivery.unmade import code_of
from notifier.dkim import load_signers
from notifier.storage.deliveries import Claim
from notifier.vault import Vault

AT_ONCE = 4  # messages to a frame: the first are on their way while the others are made


def made(recipe: Recipe, claim: Claim, notice: Notice) -> Result:
    """The message of one claim, or why there is none."""
    try:
        return Result(claim.id, recipe.make(claim, notice))
    except Exception as error:
        code = code_of(error)
        return Result(claim.id, code=code) if code is not None else Result(claim.id, error=error)


def work(items: Iterator[Any], send: Callable[[bytes], None]) -> None:
    """Until there is nothing more. Raises SettingsError for a DKIM key that cannot be used."""
    setup = next(items, None)
    if setup is None:
        return
    signers = load_signers(setup.settings, setup.folder)
    recipe = Recipe(Vault(setup.keys), setup.settings, setup.listed, signers, Diversion.of(setup.settings))
    notices: dict[tuple[int, int], Notice] = {}
    send(frame(READY))
    for item in items:
        if isinstance(item, Text):
            notices[item.batch_id, item.segment_id] = item.notice
            gc.freeze()
            continue
        for first in range(0, len(item.claims), AT_ONCE):
            claims: Iterable[Claim] = item.claims[first : first + AT_ONCE]
            send(frame([made(recipe, claim, notices[claim.batch_id, claim.segment_id]) for claim in claims]))


def _received(pair: socket.socket) -> Iterator[Any]:
    frames = Frames()
    while data := pair.recv(1 << 18):
        yield from frames.feed(data)


def main() -> None:
    """One end of the pair, by its number."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the sender is asked to stop, and still needs what it has claimed
    # The sender may be gone at any moment.
    with socket.socket(fileno=int(sys.argv[1])) as pair, suppress(BrokenPipeError, ConnectionResetError):
        work(_received(pair), pair.sendall)


if __name__ == "__main__":
    main()
