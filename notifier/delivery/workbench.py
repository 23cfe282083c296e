"""A process that makes messages and does nothing else: no database, no network, no journal, and not the key that signs
it. The sender's end of it is workshop.py.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from typing import Any

from notifier.delivery.diversion import Diversion
from notifier.delivery.envelopes import Notice, Ready
from notifier.delivery.frames import READY, Send, portable, serve
from notifier.delivery.orders import Result, Results, Setup, Text
from notifier.delivery.recipe import Recipe
from notifier.delivery.unmade import code_of
from notifier.dkim import load_signers
from notifier.storage.deliveries import Claim
from notifier.vault import Vault

AT_ONCE = 8  # messages to a frame: the first are on their way while the others are made


def made(recipe: Recipe, wanted: Sequence[tuple[Claim, Notice]]) -> list[Result]:
    """The message of each claim, or why there is none."""
    return [_result(claim.id, one) for (claim, _), one in zip(wanted, recipe.make(wanted), strict=True)]


def _result(claim_id: int, one: Ready | Exception) -> Result:
    if not isinstance(one, Exception):
        return Result(claim_id, one)
    code = code_of(one)
    return Result(claim_id, error=portable(one)) if code is None else Result(claim_id, code=code)


class Bench:
    """Recipe and notices, on one side of a pair."""

    def __init__(self, setup: Setup, send: Send) -> None:
        """Raises SettingsError for a DKIM key that cannot be used."""
        signers = load_signers(setup.settings, setup.folder)
        diversion = Diversion.of(setup.settings)
        self._recipe = Recipe(Vault(setup.keys), setup.settings, setup.listed, signers, diversion)
        self._notices: dict[tuple[int, int], Notice] = {}
        self._send = send

    def learn(self, text: Text) -> None:
        """A segment's notice."""
        self._notices[text.batch_id, text.segment_id] = text.notice
        gc.freeze()

    def knows(self, claim: Claim) -> bool:
        """Whether it has the claim's notice."""
        return (claim.batch_id, claim.segment_id) in self._notices

    def make(self, claims: Sequence[Claim]) -> None:
        """Make the messages of these claims, and send the results."""
        for first in range(0, len(claims), AT_ONCE):
            some = claims[first : first + AT_ONCE]
            wanted = [(claim, self._notices[claim.batch_id, claim.segment_id]) for claim in some]
            self._send(Results.of(made(self._recipe, wanted)))


def work(items: Iterator[Any], send: Send) -> None:
    """Until there is nothing more."""
    setup = next(items, None)
    if setup is None:
        return
    bench = Bench(setup, send)
    send(READY)
    for item in items:
        if isinstance(item, Text):
            bench.learn(item)
        else:
            bench.make(item.given())


if __name__ == "__main__":
    serve(work)
