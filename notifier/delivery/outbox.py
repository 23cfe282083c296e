"""What the run and its connections share: claims on their way out, outcomes on their way back, and why it ends.

The run puts claims in after their commit and takes the outcomes with its next cycle; the maker makes their messages,
connections do the rest. All of
it lives on one event loop; nothing here waits for the database or the network.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from notifier.delivery import outcomes, replies
from notifier.delivery.breakers import UNMADE, UnmadeMessages
from notifier.delivery.envelopes import Ready
from notifier.delivery.outcomes import Kind, Outcome
from notifier.delivery.pulse import Pulse
from notifier.delivery.record import Ended, ended
from notifier.delivery.rules import Action
from notifier.delivery.unmade import unmade
from notifier.model import Entry
from notifier.storage.deliveries import Claim
from notifier.vault import Vault


@dataclass(frozen=True, slots=True, repr=False)
class Made:
    """A claim whose message is made. ``ready.posting`` is there."""

    claim: Claim
    ready: Ready


class _Told(NamedTuple):
    """How an attempt ended, as it was told."""

    claim: Claim
    outcome: Outcome
    at: datetime
    ready: Ready
    relay: str


class Outbox:
    """``claims``: to be made, with the seconds that each may wait then; ``made``: to be handed over (None in either:
    no more will come); ``unwritten``: claimed, and no MAIL written for it; ``wake``: something has ended;
    ``stopping``: begin nothing more; ``ending``: no more claims will come."""

    def __init__(self, vault: Vault, clock: Callable[[], datetime]) -> None:
        self._vault = vault
        self.clock = clock
        self.claims: asyncio.Queue[list[tuple[Claim, float]] | None] = asyncio.Queue()
        self.made: asyncio.Queue[Made | None] = asyncio.Queue()
        self.unwritten = 0
        self.pulse = Pulse()
        self.wake = asyncio.Event()
        self.stopping = asyncio.Event()
        self.ending = asyncio.Event()
        self.stop_reason = "stopped"
        self.pause_words = ""
        self.failure: Exception | None = None
        self.crash: Exception | None = None  # an outcome that could not be taken down: the run ends at once
        self.messages = UnmadeMessages()
        self._odd: _Told | None = None  # the last that is ours if others get it too
        self._aside: dict[int, tuple[Made, asyncio.TimerHandle]] = {}
        self._ended: list[Ended | _Told] = []
        self._notes: list[Entry] = []

    # -- claims and outcomes ---------------------------------------------------------------------------------------

    def put(self, claims: list[tuple[Claim, float]]) -> None:
        """These are marked SENDING, durably: their messages may be made, and may go out after so many seconds."""
        if claims:
            self.unwritten += len(claims)
            self.claims.put_nowait(claims)

    def bring(self, made: Made, seconds: float = 0.0) -> None:
        """A message that may go out after so many seconds, when its lane opens; at once when the run stops."""
        if seconds <= 0 or not self.is_running():
            self.made.put_nowait(made)
        else:
            timer = asyncio.get_running_loop().call_later(seconds, self._bring, made.claim.id)
            self._aside[made.claim.id] = made, timer

    def _bring(self, claim_id: int) -> None:
        made, timer = self._aside.pop(claim_id)
        timer.cancel()
        self.made.put_nowait(made)

    def begun(self) -> None:
        """MAIL is written for one of them, or it has ended without."""
        self.unwritten -= 1

    def end(self, claim: Claim, outcome: Outcome, ready: Ready, relay: str) -> None:
        """How an attempt ended."""
        told = _Told(claim, outcome, self.clock(), ready, relay)
        if outcome.kind is Kind.OURS:
            self.pause(outcome, self._kept(told).reply)
        elif (verdict := outcome.verdict) is not None and (verdict.action is Action.OURS or verdict.repeated):
            self._odd = told
        self._ended.append(told)
        self.wake.set()

    def _kept(self, told: _Told) -> Ended:
        claim, outcome, at, ready, relay = told
        return ended(
            claim,
            outcome,
            at=at,
            vault=self._vault,
            forbidden=ready.forbidden,
            notice_sha256=ready.notice_sha256,
            relay=relay,
        )

    def release(self, claim: Claim) -> None:
        """Give back a claim of which nothing was begun."""
        self.unwritten -= 1
        self._ended.append(Ended(claim, outcomes.released(), self.clock()))
        self.wake.set()

    def set_aside(self, claim: Claim, code: str) -> None:
        """Its message cannot be made (``code``: why, delivery/unmade.py). Several in a row: the campaign pauses."""
        self.unwritten -= 1
        self._ended.append(Ended(claim, unmade(code), self.clock(), reply=code))
        self.wake.set()
        if self.messages.unmade() and self.is_running():
            self.pause_with(
                f"{UNMADE} messages in a row could not be made ({code}): is it the key, the text, the data?"
            )

    def note(self, entry: Entry) -> None:
        """An entry for the journal, with the next cycle's transaction."""
        self._notes.append(entry)

    def take(self) -> tuple[list[Ended], list[Entry]]:
        """What has ended, and what was noted, since the last call."""
        # Replies are made fit to be kept (I8) many in a row, for the reason that messages are made so (making.py).
        ends = [self._kept(end) if isinstance(end, _Told) else end for end in self._ended]
        notes = self._notes
        self._ended, self._notes = [], []
        return ends, notes

    @property
    def has_ended(self) -> bool:
        """Something waits to be recorded."""
        return bool(self._ended)

    # -- why it ends -----------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Claim nothing more; finish what is on the wire."""
        self.stopping.set()
        self.ending.set()
        self.wake.set()
        for claim_id in list(self._aside):
            self._bring(claim_id)

    def is_running(self) -> bool:
        """Whether a further MAIL may be written: nobody asked to stop, and the process itself was not stopped."""
        return not self.stopping.is_set() and self.pulse.is_steady()

    def pause(self, outcome: Outcome, reply: str | None = None) -> None:
        """A fault of ours: the campaign pauses with the server's words, in the next cycle's transaction."""
        words = replies.redacted(outcome.text, ()) if reply is None else reply
        self.pause_with(f"the relay said at {outcome.phase}: {outcome.code or ''} {words}".strip())

    def pause_as_told(self) -> None:
        """What was each recipient's own affair, the last time too, turns out to be ours."""
        assert self._odd is not None
        self.pause(self._odd.outcome, self._kept(self._odd).reply)

    def pause_with(self, words: str) -> None:
        """The campaign pauses."""
        self.pause_words = words
        self.stop_reason = "paused"
        self.stop()

    def crashed(self, error: Exception) -> None:
        """Something that nobody could take down: the run ends at once, as it would by a crash (I5)."""
        self.crash = self.crash or error
        self.wake.set()

    def fail(self, error: Exception) -> None:
        """What the run cannot go on with; raised when everything claimed is finished or given back."""
        self.failure = self.failure or error
        self.stop()
