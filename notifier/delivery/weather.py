"""What the relay as a whole does to a run, apart from what single replies say: connections that break over the same
delivery, and mail that is turned away at MAIL, again and again."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from notifier.delivery import replies
from notifier.delivery.breakers import OddReplies
from notifier.delivery.outcomes import Kind, Outcome, Phase
from notifier.errors import RelayUnavailable

LOSSES = 3  # connections lost over one delivery before it goes to the schedule
NAP_SECONDS = 5.0
_RECIPIENT_ANSWERED = frozenset({Phase.RCPT, Phase.DATA, Phase.FINAL})


class Weather:
    """One run's."""

    def __init__(self, patience_seconds: float) -> None:
        self._patience = patience_seconds
        self._losses: dict[int, int] = {}
        self._turned_away = 0  # 4yz at MAIL, in a row
        self._since = 0.0  # monotonic
        self._odd = OddReplies()

    def weigh(self, delivery_id: int, outcome: Outcome, *, used: bool, to: str = "") -> Outcome:
        """A connection lost over the same delivery again and again is that delivery's: to the schedule. A used
        connection that the server ends at MAIL has had its number of messages: at once on a new one, and no loss of
        that delivery's, however often it is the one that stands there (each connection has carried others, so this
        ends). A reply that is ours when repeated is ours once several recipients in a row got it; ``to``: the address
        as RCPT named it."""
        if used and outcome.phase is Phase.MAIL and (outcome.code == 421 or outcome.kind is Kind.LOST):
            return outcome._replace(kind=Kind.LOST)
        if outcome.kind is not Kind.LOST:
            self._losses.pop(delivery_id, None)
            return self._repeated(delivery_id, outcome, to)
        self._losses[delivery_id] = self._losses.get(delivery_id, 0) + 1
        if self._losses[delivery_id] < LOSSES:
            return outcome
        del self._losses[delivery_id]
        return outcome._replace(kind=Kind.DEFERRED)

    def _repeated(self, delivery_id: int, outcome: Outcome, to: str) -> Outcome:
        if outcome.verdict is not None and outcome.verdict.repeated:
            if self._odd.odd(delivery_id, to.rpartition("@")[2].lower()):
                return outcome._replace(kind=Kind.OURS)
        elif not self._odd.is_quiet and outcome.phase in _RECIPIENT_ANSWERED:
            self._odd.others()
        return outcome

    def heed(self, outcome: Outcome, *, used: bool, relay: str) -> RelayUnavailable | None:
        """4yz at MAIL is nobody's mailbox: the relay takes no mail now, be it closing or its disk full (RFC 5321 3.8,
        4.2.3). The more of them in a row, the longer before the next is begun (:meth:`calm`); when patience ends, so
        does the run, with this error. Else such a relay would have everybody deferred in minutes, and as many entries
        written."""
        if outcome.phase is not Phase.MAIL:
            self._turned_away = 0
            return None
        code = outcome.code or 0
        if not 400 <= code < 500 or (used and code == 421):
            return None
        now = time.monotonic()
        self._turned_away += 1
        if self._turned_away == 1:
            self._since = now
        if now - self._since < self._patience:
            return None
        words = replies.redacted(outcome.text, ())
        return RelayUnavailable(f"the relay {relay} takes no mail now ({code} {words}): try again")

    @property
    def is_calm(self) -> bool:
        return self._turned_away == 0

    async def calm(self, ending: asyncio.Event) -> None:
        """Wait before the next is begun, if mail is being turned away."""
        if self._turned_away:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(NAP_SECONDS, 0.05 * 2 ** min(self._turned_away, 10))):
                    await ending.wait()
