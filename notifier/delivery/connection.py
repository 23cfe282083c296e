"""One connection's life: take claims, make their messages, hand them to a pipeline, give their outcomes back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import aiosmtplib

from notifier.campaign import RelayAccess
from notifier.delivery.envelopes import Ready
from notifier.delivery.exchange import OnEnd, Transaction
from notifier.delivery.handover import take_over
from notifier.delivery.outbox import Made, Outbox
from notifier.delivery.outcomes import Kind, Outcome, Phase
from notifier.delivery.pipeline import Patience, Pipeline, nothing
from notifier.delivery.relay import Relay, RelayRefused, session_facts
from notifier.delivery.relays import Relays
from notifier.delivery.transaction import Posting
from notifier.delivery.turnstile import Turnstile
from notifier.delivery.weather import Weather
from notifier.errors import OperatorError
from notifier.model import Entry
from notifier.storage.deliveries import Claim

NAP_SECONDS = 5.0  # before a connection that the relay did not want is asked for again
IDLE_SECONDS = 10.0  # after which a connection without work says QUIT


@dataclass(frozen=True, slots=True)
class Means:
    """What all connections of a run use."""

    relays: Relays
    outbox: Outbox
    turnstile: Turnstile
    weather: Weather
    patience_seconds: float


class Parcel(Transaction):
    """The transaction of a claim whose message is made."""

    __slots__ = ("claim", "ready")

    def __init__(
        self, claim: Claim, ready: Ready, posting: Posting, on_begin: Callable[[], None], on_end: OnEnd
    ) -> None:
        super().__init__(posting, on_begin, on_end, claim.provider)
        self.claim = claim
        self.ready = ready


class Connection:
    """Runs as one task (:meth:`live`) until the outbox says that no more claims will come."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._outbox = means.outbox
        self._relay: Relay | None = None
        self._session: aiosmtplib.SMTP | None = None
        self._pipeline: Pipeline | None = None
        self._most = 0  # messages that the session may carry
        self._is_free = False  # holds no message, waits for none, but for room
        self._timer: asyncio.TimerHandle | None = None  # of the wait for a message
        self._leaving: asyncio.Future[None] | None = None  # the end of a session that waited for long
        self._again: deque[Parcel] = deque()  # staged on a session that ended before their MAIL was written

    async def live(self) -> None:
        try:
            while (parcel := await self._next()) is not None:
                if not self._means.weather.is_calm:
                    await self._means.weather.calm(self._outbox.ending)
                await self._carry(parcel)
            await self._leave()
            if self._leaving is not None:
                await self._leaving
        finally:  # cancelled: a crash says no QUIT
            self._drop()
            if self._leaving is not None:
                self._leaving.cancel()

    # -- what is to be sent ----------------------------------------------------------------------------------------

    async def _next(self) -> Parcel | None:
        """The next message that is ready to go; None at the end of all. Returns only when there is room for it."""
        while True:
            await self._room()
            if self._again:
                parcel = self._again.popleft()
                if self._outbox.is_running():
                    return parcel
                self._outbox.release(parcel.claim)
                continue
            made = await self._claim()
            if made is None:
                return None
            if not self._outbox.is_running():
                self._outbox.release(made.claim)
                continue
            return self._parcel(made)

    async def _room(self) -> None:
        """Until the session can take one more; with a pace, until it could be written at once. Meanwhile, and at no
        other time, the session may take messages by itself: whoever holds one, or waits for one, finds the room that it
        has seen."""
        pipeline = self._pipeline
        if pipeline is None:
            return
        paced = self._means.turnstile.gate is not None
        self._is_free = True
        try:
            await pipeline.until(
                lambda: (pipeline.writes_at_once if paced else pipeline.has_room) or not self._outbox.is_running()
            )
        finally:
            self._is_free = False
        if not pipeline.is_open or not self._outbox.is_running():
            self._take_back()

    async def _clear(self, pipeline: Pipeline) -> None:
        """Until :meth:`Pipeline.submit` would write at once."""
        await pipeline.until(lambda: pipeline.writes_at_once or not self._outbox.is_running())

    def _take_back(self) -> None:
        staged = self._pipeline.unstage() if self._pipeline is not None else None
        if staged is not None:
            assert isinstance(staged, Parcel)
            self._again.append(staged)

    async def _claim(self) -> Made | None:
        """The next message; None at the end. A session that waits long for it is closed: servers do it otherwise."""
        made = self._outbox.made
        if made.empty() and self._pipeline is not None:
            self._wait_longer()
        try:
            return await made.get()
        finally:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _wait_longer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._waited)

    def _waited(self) -> None:
        """Nothing has come for long."""
        pipeline, relay, session = self._pipeline, self._relay, self._session
        if pipeline is None or relay is None or session is None:
            return
        if not pipeline.is_idle:
            self._wait_longer()
            return
        # Whatever comes from here on goes over another session.
        pipeline.refill = nothing
        self._pipeline = self._relay = self._session = None
        self._leaving = asyncio.ensure_future(_depart(pipeline, relay, session))

    def _refill(self) -> Parcel | None:
        """What the pipeline may begin without :meth:`_carry`: a message that is ready, and nothing stands before it."""
        means, outbox, pipeline = self._means, self._outbox, self._pipeline
        if (
            not self._is_free
            or outbox.made.empty()
            or self._again
            or means.turnstile.may_hold
            or not means.weather.is_calm
            or not outbox.is_running()
            or pipeline is None
            or pipeline.begun >= self._most
        ):
            return None
        made = outbox.made.get_nowait()
        if made is None:
            outbox.made.put_nowait(made)
            return None
        return self._parcel(made)

    def _parcel(self, made: Made) -> Parcel:
        assert made.ready.posting is not None
        return Parcel(made.claim, made.ready, made.ready.posting, self._outbox.begun, self._ended)

    # -- the session -----------------------------------------------------------------------------------------------

    async def _carry(self, parcel: Parcel) -> None:
        """Begin the transaction, or give the claim back."""
        while self._outbox.is_running():
            pipeline, relay = self._pipeline, self._relay
            if pipeline is not None and (not pipeline.is_open or pipeline.begun >= self._most):
                await self._leave()
                pipeline = None
            if pipeline is None or relay is None:
                if not await self._open(parcel):
                    return
                continue
            turnstile, provider = self._means.turnstile, parcel.claim.provider
            if turnstile.is_paced(provider):
                # MAIL has to follow the gate at once, so the session must have room for it before.
                await self._clear(pipeline)
            if not await turnstile.passed(self._outbox, parcel.claim):
                self._outbox.release(parcel.claim)
                return
            if pipeline.is_open:  # else it closed while the gate was waited for: that slot is waste
                pipeline.submit(parcel)
                turnstile.wrote(provider)
                return
        self._outbox.release(parcel.claim)

    def _ended(self, parcel: Transaction, outcome: Outcome) -> None:
        weather, used = self._means.weather, parcel.number > 1
        try:
            assert isinstance(parcel, Parcel) and self._relay is not None
            relay = self._relay.name
            weighed = weather.weigh(parcel.claim, outcome, used=used, to=parcel.posting.path)
            self._outbox.end(parcel.claim, weighed, parcel.ready, relay)
            if not used and outcome.kind is Kind.LOST and outcome.phase is Phase.MAIL:
                self._relay.is_fickle = True
        except Exception as error:
            # Called by the transport, where an exception would end nothing but the connection. The delivery stays
            # marked SENDING, which is what a crash leaves (I5).
            self._outbox.crashed(error)
            return
        if (refused := weather.heed(outcome, used=used, relay=relay)) is not None:
            self._outbox.fail(refused)

    async def _open(self, parcel: Parcel) -> bool:
        """A session; False when there is none to be had and the claim was given back."""
        means, outbox = self._means, self._outbox
        means.relays.asking += 1
        try:
            opened = await means.relays.open(patience_seconds=means.patience_seconds, stopping=outbox.stopping)
            if opened is None:
                # The relay allows fewer connections than we want: the others go on, this one asks again later.
                outbox.bring(Made(parcel.claim, parcel.ready))
                with suppress(TimeoutError):
                    async with asyncio.timeout(NAP_SECONDS):
                        await outbox.ending.wait()
                return False
        except RelayRefused as refusal:
            outbox.pause(refusal.outcome)
        except OperatorError as error:
            outbox.fail(error)
        else:
            relay, session = opened
            facts = session_facts(session, relay.name)
            pipeline = take_over(
                session,
                patience(relay.section),
                outbox.is_running,
                relay.rules,
                pipelining=relay.section.pipelining,
                may_end=outbox.pulse.is_steady,
                login=relay.login,
            )
            if pipeline is None:
                # It closed at once, as if it had not answered: patience asks the next one whether it stays.
                relay.gone(session)
                relay.is_fickle = True
                return True
            outbox.note(Entry(outbox.clock(), "connection_opened", facts=facts))
            self._relay, self._session, self._pipeline = relay, session, pipeline
            self._most = relay.section.messages_per_connection
            pipeline.refill, pipeline.on_fault = self._refill, outbox.crashed
            return True
        finally:
            means.relays.asking -= 1
        outbox.release(parcel.claim)
        return False

    async def _leave(self) -> None:
        """Let what is under way end, say QUIT, close."""
        pipeline = self._pipeline
        if pipeline is not None:
            await pipeline.until(lambda: pipeline.is_idle)
            self._take_back()
            await pipeline.leave()
            self._drop()

    def _drop(self) -> None:
        if self._pipeline is not None and self._relay is not None and self._session is not None:
            self._pipeline.abort()
            self._relay.gone(self._session)
        self._pipeline = self._relay = self._session = None


async def _depart(pipeline: Pipeline, relay: Relay, session: aiosmtplib.SMTP) -> None:
    try:
        await pipeline.leave()
    finally:
        pipeline.abort()
        relay.gone(session)


def patience(section: RelayAccess) -> Patience:
    """The settings' waits."""
    return Patience(section.reply_seconds, section.data_seconds, section.block_seconds, section.final_reply_seconds)
