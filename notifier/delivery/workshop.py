"""The sender's side of a process that makes messages (workbench.py): work goes out, messages come back.

Making a message is what takes longest of all that is done for it, needs nothing but the claim, and always gives the
same bytes: so it is done beside the process that speaks SMTP, on another processor. Should the bench end, for whatever
reason, its work is given back, to be done here: nothing of it has left the house.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from notifier.delivery.envelopes import Notice
from notifier.delivery.orders import Result, Results, Text, Work
from notifier.delivery.partner import Partner
from notifier.storage.deliveries import Claim


class Workshop(Partner):
    """``on_result`` is called with each result; ``on_lost`` once, with the claims that are left, when the bench
    ends."""

    module = "notifier.delivery.workbench"

    def __init__(self, on_result: Callable[[Result], None], on_lost: Callable[[Workshop, list[Claim]], None]) -> None:
        super().__init__()
        self._on_result = on_result
        self._on_lost = on_lost
        self._pending: dict[int, Claim] = {}
        self._since = 0.0  # when it last sent a result, or began to owe one
        self._texts: dict[tuple[int, int], tuple[bytes, ...]] = {}  # the fixed parts of what it has been given

    @property
    def pending(self) -> int:
        """Claims given and not come back."""
        return len(self._pending)

    @property
    def silence(self) -> float:
        """For how many seconds it has owed a result and sent none."""
        return asyncio.get_running_loop().time() - self._since if self._pending else 0.0

    def give_back(self) -> list[Claim]:
        """What it has not made; whatever it says of them later is about claims that it has no more."""
        left, self._pending = list(self._pending.values()), {}
        return left

    def knows(self, batch_id: int, segment_id: int) -> bool:
        """Whether it has this segment's notice."""
        return (batch_id, segment_id) in self._texts

    def tell(self, batch_id: int, segment_id: int, notice: Notice) -> None:
        """Give it a segment's notice."""
        self._texts[batch_id, segment_id] = notice.fixed
        self.send(Text(batch_id, segment_id, notice))

    def give(self, claims: Iterable[Claim]) -> None:
        """Have these made; it knows their notices."""
        given = tuple(claims)
        self._owes()
        self._pending.update((claim.id, claim) for claim in given)
        self.send(Work.of(given))

    def heard(self, item: Any) -> None:
        self._hear(item)

    def _hear(self, results: Results) -> None:
        self._since = asyncio.get_running_loop().time()
        for result in results.given(self._fixed):
            if self._pending.pop(result.claim_id, None) is not None:
                self._on_result(result)

    def _fixed(self, claim_id: int) -> tuple[bytes, ...]:
        claim = self._pending[claim_id]
        return self._texts[claim.batch_id, claim.segment_id]

    def _owes(self) -> None:
        if not self._pending:
            self._since = asyncio.get_running_loop().time()

    def lost(self) -> None:
        self._on_lost(self, self.give_back())
