"""The sender's side of a process that writes its cycles (clerk.py): a wish goes out, what came of it comes back.

In the sender's own process a cycle waits for the interpreter's lock at each of its statements, while answers come in
and messages go out: three times as long as the cycle itself takes. All that a message waits for its cycle counts, for
no more than a window of them may be outstanding (I5).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from notifier.delivery.clerical import Asked, Failed
from notifier.delivery.orders import Result, Results
from notifier.delivery.record import Decision, Ended
from notifier.delivery.turn import Turn, Wish
from notifier.delivery.workshop import Workshop
from notifier.storage.cycle import LOCKED_SECONDS
from notifier.storage.deliveries import Claim

ANSWER_SECONDS = LOCKED_SECONDS + 60.0  # beyond what it waits itself for a locked database
# Once the run is to end, whatever it waits for: who takes its cycle over waits for a lock as well as it does.
STOPPING_SECONDS = 10.0
LOOK_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Registry(Workshop):
    """One wish at a time. Of what it claims it makes the messages, if it ``makes`` any and has been told the notice."""

    module = "notifier.delivery.clerk"
    patience = 10.0  # for the transaction that it is in

    def __init__(
        self,
        on_result: Callable[[Result], None],
        on_lost: Callable[[Workshop, list[Claim]], None],
        *,
        makes: bool,
    ) -> None:
        super().__init__(on_result, on_lost)
        self.makes = makes
        self._held: set[int] = set()  # ids of the claims that the clerk has, too
        self._ends: list[tuple[Ended, Decision]] = []
        self._answer: asyncio.Future[Turn | None] | None = None

    async def take(self, wish: Wish, stopping: asyncio.Event) -> Turn | None:
        """One cycle, one transaction, committed when this returns. Raises what the transaction has raised. None: the
        clerk has ended in the middle of it, and is reaped, so that it commits nothing any more; whether the commit held
        is to be found out (salvage.py). One that does not answer is ended: it may stand still, and go on at any
        moment. ``stopping``: the run is to end, and waits less long for it."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Turn | None] = loop.create_future()
        self._ends, self._answer = wish.ends, answer
        self.send(Asked.of(wish, self._held))
        self._held.difference_update(end.held.id for end, _ in wish.ends)
        asked = loop.time()
        while not answer.done():
            await asyncio.wait([answer], timeout=LOOK_SECONDS)
            if loop.time() - asked >= (STOPPING_SECONDS if stopping.is_set() else ANSWER_SECONDS):
                break
        if not answer.done():
            _log.warning("action=process_dismissed process=%r", self.name)
            self.lost()
        return answer.result()

    def makes_of(self, claim: Claim) -> bool:
        """Whether this claim's result is to come from it."""
        return claim.id in self._pending

    def heard(self, item: Any) -> None:
        answer = self._answer
        if isinstance(item, Results):
            self._hear(item)
        elif answer is None or answer.done():
            return
        elif isinstance(item, Failed):
            answer.set_exception(item.error)
        else:
            turn = item.given(self._ends)
            self._owes()
            self._pending.update((claim.id, claim) for claim in turn.claims if claim.id in item.making)
            self._held.update(claim.id for claim in turn.claims)
            answer.set_result(turn)

    def lost(self) -> None:
        self.patience = 0.0  # it is gone, or does not listen
        self.close()
        super().lost()

    def close(self) -> None:
        super().close()
        # Not before it is reaped: somebody else may write the cycle from here on.
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)
