"""What the relay as a whole does to a run, apart from what single replies say: connections that break over the same
delivery, mail that is turned away at MAIL, everybody told to wait at RCPT, again and again; and replies that are ours
only if several recipients get them."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from notifier.delivery import replies
from notifier.delivery.breakers import OddReplies, Waits
from notifier.delivery.outcomes import Kind, Outcome, Phase
from notifier.delivery.rules import OTHER
from notifier.errors import RelayUnavailable
from notifier.storage.deliveries import Claim

LOSSES = 3  # connections lost over one delivery before it goes to the schedule
NAP_SECONDS = 5.0
REST_SECONDS = 30.0  # the longest for a relay that tells everybody to wait: it measures by the minute, or the hour
_RECIPIENT_ANSWERED = frozenset({Phase.RCPT, Phase.DATA, Phase.FINAL})


class Weather:
    """One run's."""

    def __init__(self, patience_seconds: float) -> None:
        self._patience = patience_seconds
        self._losses: dict[int, int] = {}
        self._turned_away = 0  # 4yz at MAIL, in a row
        self._since = 0.0  # monotonic: of those
        self._waits = Waits()
        self._waits_since = 0.0
        self.odd = OddReplies()

    def weigh(self, claim: Claim, outcome: Outcome, *, used: bool, to: str = "") -> Outcome:
        """A connection lost over the same delivery again and again is that delivery's: to the schedule; before MAIL is
        answered, nothing of it counts (nobody was named, or replies come in a lump). A used connection that the server
        ends at MAIL has had its number of messages: at once on a new one, and no loss of that delivery's, however often
        it is the one that stands there (each connection has carried others, so this ends). What is ours only if several
        recipients get it is their own until they do, and so is a wait; ``to``: the address as RCPT named it."""
        if used and outcome.phase is Phase.MAIL and (outcome.code == 421 or outcome.kind is Kind.LOST):
            return outcome._replace(kind=Kind.LOST)
        if outcome.kind is not Kind.LOST:
            self._losses.pop(claim.id, None)
            if outcome.kind is Kind.ACCEPTED:
                self.odd.accepted()
                self._waits.accepted()
            elif outcome.code is not None and outcome.phase in _RECIPIENT_ANSWERED:
                return self._answered(claim, outcome, to.rpartition("@")[2].lower())
            return outcome
        self._losses[claim.id] = self._losses.get(claim.id, 0) + 1
        if self._losses[claim.id] < LOSSES:
            return outcome
        del self._losses[claim.id]
        return outcome._replace(kind=Kind.PROVIDER_WAIT if outcome.phase is Phase.MAIL else Kind.DEFERRED)

    def _answered(self, claim: Claim, outcome: Outcome, domain: str) -> Outcome:
        """A recipient was told something else than 2yz after the dot."""
        kind, verdict = outcome.kind, outcome.verdict
        if kind is Kind.OURS or (verdict is not None and verdict.repeated):
            where = domain if outcome.phase is Phase.RCPT else ""
            if self.odd.odd(claim.id, where, first=claim.retries == 0):
                return outcome._replace(kind=Kind.OURS)
            return outcome._replace(kind=Kind.DEFERRED) if kind is Kind.OURS else outcome
        self.odd.others()
        if kind is Kind.PROVIDER_WAIT and claim.provider == OTHER:
            self._waits.told(claim.id, domain)
            if self._waits.beyond == 1:
                self._waits_since = time.monotonic()
            if self._waits.beyond and time.monotonic() - self._waits_since >= self._patience:
                return outcome._replace(kind=Kind.OURS)
        return outcome

    def heed(self, outcome: Outcome, *, used: bool, relay: str) -> RelayUnavailable | None:
        """4yz at MAIL, or a session that ends there and has carried nothing, is nobody's mailbox: the relay takes no
        mail now, be it closing or its disk full (RFC 5321 3.8, 4.2.3). The more of them in a row, the longer before the
        next is begun (:meth:`calm`); when patience ends, so does the run, with this error. Else such a relay would have
        everybody deferred in minutes, and as many entries written."""
        if outcome.phase is not Phase.MAIL:
            self._turned_away = 0
            return None
        code = outcome.code or 0
        ended = outcome.kind is Kind.LOST or code == 421
        if (used and ended) or not (outcome.kind is Kind.LOST or 400 <= code < 500):
            return None
        now = time.monotonic()
        self._turned_away += 1
        if self._turned_away == 1:
            self._since = now
        if now - self._since < self._patience:
            return None
        words = f"{code} {replies.redacted(outcome.text, ())}" if code else outcome.text
        return RelayUnavailable(f"the relay {relay} takes no mail now ({words}): try again")

    @property
    def is_calm(self) -> bool:
        return self._turned_away == 0 and self._waits.beyond == 0

    def why(self, relay: str) -> str:
        """What is wrong, in words; asked while it is not calm."""
        if self._turned_away:
            return f"the relay {relay} takes no mail now"
        return f"the relay {relay} tells everybody to wait: it is given rest"

    async def calm(self, ending: asyncio.Event) -> None:
        """Wait before the next is begun, if mail is being turned away or everybody told to wait."""
        if not self.is_calm:
            away, beyond = min(self._turned_away, 10), min(self._waits.beyond, 10)
            seconds = max(
                min(NAP_SECONDS, 0.05 * 2**away) if away else 0.0,
                min(REST_SECONDS, 0.05 * 2**beyond) if beyond else 0.0,
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await ending.wait()
