"""The sender's side of a process that writes its cycles (clerk.py): a wish goes out, what came of it comes back.

In the sender's own process a cycle waits for the interpreter's lock at each of its statements, while answers come in
and messages go out: three times as long as the cycle itself takes. All that a message waits for its cycle counts, for
no more than a window of them may be outstanding (I5).
"""

from __future__ import annotations

import asyncio
from typing import Any

from notifier.delivery.clerical import Asked, Failed
from notifier.delivery.partner import Partner
from notifier.delivery.turn import Turn, Wish
from notifier.errors import TryLater


class Registry(Partner):
    """One wish at a time."""

    module = "notifier.delivery.clerk"

    def __init__(self) -> None:
        super().__init__()
        self._answer: asyncio.Future[Any] | None = None

    async def take(self, wish: Wish) -> Turn:
        """One cycle, one transaction, committed when this returns. Raises what the transaction has raised, and TryLater
        when the clerk ends in the middle of it: nobody knows then whether the commit held, as after a crash; the next
        sender finds out."""
        self._answer = asyncio.get_running_loop().create_future()
        self.send(Asked.of(wish))
        answer = await self._answer
        if isinstance(answer, Failed):
            raise answer.error
        turn: Turn = answer.given(wish.ends)
        return turn

    def heard(self, item: Any) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(item)

    def lost(self) -> None:
        if self._answer is not None and not self._answer.done():
            words = "the process that writes the journal has ended: send again, it finds out what was under way"
            self._answer.set_exception(TryLater(words))
