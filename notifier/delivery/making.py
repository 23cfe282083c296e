"""Messages are made where claims come in, many in a row, before connections take them.

Made one by one between a reply here and a write there, a message costs half as much again: its code and the fixed parts
of its notice have to be fetched anew each time. For a long list they are made by other processes (staff.py); what comes
first, while those start, and what they leave undone, is made here.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from notifier.delivery.envelopes import Notice, NoticeFor
from notifier.delivery.orders import Result, Setup
from notifier.delivery.outbox import Made, Outbox
from notifier.delivery.outcomes import Kind, Outcome, Phase
from notifier.delivery.recipe import Recipe
from notifier.delivery.rules import Rulebook
from notifier.delivery.staff import Staff
from notifier.delivery.unmade import code_of
from notifier.delivery.workbench import made
from notifier.delivery.workshop import Workshop
from notifier.storage.deliveries import Claim

LOOK_SECONDS = 1.0  # between two looks for a process that stands still
AT_ONCE = 24  # messages made, or given to a bench, at once


_log = logging.getLogger(__name__)


class Maker:
    """Makes the messages of one run."""

    def __init__(self, recipe: Recipe, notice_for: NoticeFor, outbox: Outbox, staff: Staff) -> None:
        self._recipe = recipe
        self._notice_for = notice_for
        self._outbox = outbox
        self._staff = staff
        self._waiting: dict[int, tuple[Claim, float]] = {}  # not made, with the seconds they may wait when they are
        self._early: dict[int, Result] = {}  # came back before the cycle that claimed them was told of

    async def live(self) -> None:
        """Make the messages of what is claimed, until no more will come. What has none is settled in the outbox."""
        watch = asyncio.ensure_future(self._watch())
        try:
            while (claims := await self._outbox.claims.get()) is not None:
                for first in range(0, len(claims), AT_ONCE):
                    await self._bring(claims[first : first + AT_ONCE])
                    await asyncio.sleep(0)
        finally:
            watch.cancel()
            self._staff.close()

    async def _watch(self) -> None:
        """A process that stands still (SIGSTOP, a disk that does not answer) keeps nobody's message."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if (silent := self._staff.silent()) is not None:
                _log.warning("action=process_dismissed process=%r", silent.name)
                self._take_back(self._staff.dismiss(silent))

    async def hire(self, count: int, folder: Path, database: Path, rules: Rulebook) -> None:
        """So many processes that do what can be done beside the sender."""
        setup = Setup(self._recipe.vault.keys_for_making(), self._recipe.settings, folder, self._recipe.listed)
        await self._staff.hire(count, setup, database, rules, on_result=self._heard, on_lost=self._take_back)

    async def _bring(self, claims: list[tuple[Claim, float]]) -> None:
        registry, bench = self._staff.registry, self._staff.bench()
        wanted: list[Claim] = []
        for claim, seconds in claims:
            self._waiting[claim.id] = claim, seconds
            if (early := self._early.pop(claim.id, None)) is not None:
                self._settle(early)
            elif registry is None or not registry.makes_of(claim):
                wanted.append(claim)
        if not wanted:
            return
        if registry is not None and registry.makes:
            await self._told(registry, wanted)  # it makes the next of these texts
        if bench is not None and await self._told(bench, wanted):
            bench.give(wanted)
        else:
            await self._make(wanted)

    def _heard(self, result: Result) -> None:
        if result.claim_id not in self._waiting:
            self._early[result.claim_id] = result
            return
        try:
            self._settle(result)
        except Exception as error:  # called by the transport, where it would end nothing but the process
            self._outbox.crashed(error)

    async def _told(self, workshop: Workshop, claims: list[Claim]) -> bool:
        """Whether the bench has the notices of these claims, or has them now."""
        for claim in claims:
            if not workshop.knows(claim.batch_id, claim.segment_id):
                try:
                    notice = await self._notice_for(claim.batch_id, claim.segment_id)
                except Exception:
                    return False  # told where the message is made
                workshop.tell(claim.batch_id, claim.segment_id, notice)
        return workshop.is_ready

    async def _make(self, claims: list[Claim]) -> None:
        wanted: list[tuple[Claim, Notice]] = []
        for claim in claims:
            if not self._outbox.is_running():
                self._waiting.pop(claim.id)
                self._outbox.release(claim)
                continue
            try:
                wanted.append((claim, await self._notice_for(claim.batch_id, claim.segment_id)))
            except Exception as error:
                self._settle(_failed(claim, error))
        for result in made(self._recipe, wanted):
            self._settle(result)

    def _settle(self, result: Result) -> None:
        outbox, ready = self._outbox, result.ready
        claim, seconds = self._waiting.pop(result.claim_id)
        if result.error is not None:
            outbox.fail(result.error)  # raised when the claims are given back
            outbox.release(claim)
        elif not outbox.is_running():
            outbox.release(claim)  # whatever it is: after many that cannot be made in a row, no more are set aside
        elif ready is None:
            outbox.set_aside(claim, result.code)
        elif ready.posting is None:
            outbox.messages.made()
            outbox.begun()
            outcome = Outcome(Kind.REFUSED, Phase.RCPT, text="no command can carry this address")
            outbox.end(claim, outcome, ready, "")
        else:
            assert ready.posting.token == claim.token.hex(), "the message is this delivery's (I2)"
            outbox.messages.made()
            outbox.bring(Made(claim, ready), seconds)

    def _take_back(self, claims: list[Claim]) -> None:
        """A process has ended: what it had is made here."""
        left = [self._waiting.pop(claim.id) for claim in claims if claim.id in self._waiting]
        if left:
            self._outbox.claims.put_nowait(left)


def _failed(claim: Claim, error: Exception) -> Result:
    code = code_of(error)
    return Result(claim.id, error=error) if code is None else Result(claim.id, code=code)
