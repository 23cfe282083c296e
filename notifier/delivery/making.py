"""Messages are made where claims come in, many in a row, before connections take them.

Made one by one between a reply here and a write there, a message costs half as much again: its code and the fixed parts
of its notice have to be fetched anew each time. For a long list they are made by other processes (workshop.py); what
comes first, while those start, and what they leave undone, is made here.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from notifier.delivery.envelopes import Notice, NoticeFor
from notifier.delivery.orders import Result, Setup
from notifier.delivery.outbox import Made, Outbox
from notifier.delivery.outcomes import Kind, Outcome, Phase
from notifier.delivery.recipe import Recipe
from notifier.delivery.unmade import code_of
from notifier.delivery.workbench import made
from notifier.delivery.workshop import Workshop
from notifier.storage.deliveries import Claim

AT_ONCE = 24  # messages made, or given to a bench, at once


class Maker:
    """Makes the messages of one run."""

    def __init__(self, recipe: Recipe, notice_for: NoticeFor, outbox: Outbox, folder: Path) -> None:
        self._recipe = recipe
        self._notice_for = notice_for
        self._outbox = outbox
        self._folder = folder
        self._waiting: dict[int, tuple[Claim, float]] = {}  # at a bench, with the seconds they may wait then
        self._workshops: list[Workshop] = []

    async def live(self) -> None:
        """Make the messages of what is claimed, until no more will come. What has none is settled in the outbox."""
        try:
            while (claims := await self._outbox.claims.get()) is not None:
                for first in range(0, len(claims), AT_ONCE):
                    await self._bring(claims[first : first + AT_ONCE])
                    await asyncio.sleep(0)
        finally:
            for workshop in self._workshops:
                workshop.close()

    async def hire(self, benches: int) -> None:
        """So many benches; they begin when they can. Where there is no process to be had, it goes without."""
        setup = Setup(self._recipe.vault.keys_for_making(), self._recipe.settings, self._folder, self._recipe.listed)
        for _ in range(benches):
            workshop = Workshop(self._settle, self._take_back)
            with suppress(OSError):
                await workshop.start(setup)
                self._workshops.append(workshop)

    async def settled(self) -> None:
        """Until each bench is ready, or gone."""
        for workshop in self._workshops.copy():
            await workshop.settled()

    async def _bring(self, claims: list[tuple[Claim, float]]) -> None:
        idle = min(
            (workshop for workshop in self._workshops if workshop.is_ready),
            key=lambda workshop: workshop.pending,
            default=None,
        )
        for claim, seconds in claims:
            self._waiting[claim.id] = claim, seconds
        wanted = [claim for claim, _ in claims]
        if idle is None or not await self._told(idle, wanted):
            await self._make(wanted)
        else:
            idle.give(wanted)

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
        if result.code:
            outbox.set_aside(claim, result.code)
        elif ready is None:
            assert result.error is not None
            outbox.fail(result.error)  # raised when the claims are given back
            outbox.release(claim)
        elif not outbox.is_running():
            outbox.release(claim)
        elif ready.posting is None:
            outbox.messages.made()
            outbox.begun()
            outcome = Outcome(Kind.REFUSED, Phase.RCPT, text="no command can carry this address")
            outbox.end(claim, outcome, ready, "")
        else:
            outbox.messages.made()
            outbox.bring(Made(claim, ready), seconds)

    def _take_back(self, workshop: Workshop, claims: list[Claim]) -> None:
        """A bench has ended: what it had is made here."""
        workshop.close()
        self._workshops.remove(workshop)
        if claims:
            self._outbox.claims.put_nowait([self._waiting.pop(claim.id) for claim in claims])


def _failed(claim: Claim, error: Exception) -> Result:
    code = code_of(error)
    return Result(claim.id, error=error) if code is None else Result(claim.id, code=code)
