"""A run: claims what is due, lets connections hand it over, records how it ended.

One cycle is one transaction on the dedicated connection: record what has ended, reserve slots of the pace, mark the
next SENDING. *Its commit is the point after which a first byte may go out.* The following cycle starts when the last
has committed and something has ended, so that at most ``window`` deliveries are marked SENDING at any moment: that is
all a crash can put in doubt (I5). Connections are tasks that take claims from the outbox and put outcomes back.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from notifier.campaign import Settings
from notifier.delivery import quota, traffic
from notifier.delivery.breakers import Doubts
from notifier.delivery.connection import Connection, Means
from notifier.delivery.envelopes import NoticeFor
from notifier.delivery.gates import Gates
from notifier.delivery.lanes import FOREVER_MS
from notifier.delivery.limits import Limits
from notifier.delivery.making import Maker
from notifier.delivery.outbox import Outbox
from notifier.delivery.outcomes import Kind
from notifier.delivery.pace import HORIZON
from notifier.delivery.picks import Picks
from notifier.delivery.recipe import Recipe
from notifier.delivery.record import Fate, Policy, decide
from notifier.delivery.recovery import recover
from notifier.delivery.relay import Relay, RelayRefused
from notifier.delivery.relays import Relays
from notifier.delivery.report import MailLog, Progress, SendReport, Tally
from notifier.delivery.staff import Staff, wanted
from notifier.delivery.standstill import Standstill
from notifier.delivery.traffic import Wait
from notifier.delivery.turn import Turn, Wish, next_due
from notifier.delivery.turns import Turns
from notifier.delivery.turnstile import Turnstile
from notifier.delivery.weather import Weather
from notifier.errors import CampaignBusy, RelayUnavailable
from notifier.model import Entry, from_ms, to_ms
from notifier.storage import deliveries
from notifier.storage.cycle import Connection as Transaction
from notifier.storage.cycle import Cycle
from notifier.vault import Vault

POLL_SECONDS = 1.0  # how soon an idle sender sees a pause, a new approval
FIRST_PATIENCE = 2.0  # for a relay that does not answer when `send` starts, without --wait
PATIENCE = 60.0  # for one that stops answering later
PATIENCE_WAITING = 900.0  # the same with --wait: a relay may be restarted at night

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """What `send` was asked: ``wave_id``: only this one's; ``limit``: begin at most so many; ``wait``: until nothing
    is left to send."""

    wave_id: int | None
    limit: int | None
    wait: bool
    by: str


class Run:
    """One run of the sender: its window, its cycles, its connections."""

    def __init__(
        self,
        *,
        cycle: Cycle,
        vault: Vault,
        settings: Settings,
        relays: Relays,
        notice_for: NoticeFor,
        recipe: Recipe,
        folder: Path,
        database: Path,
        mail_log: MailLog,
        order: Order,
        clock: Callable[[], datetime],
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._on_progress = on_progress
        self._cycle = cycle
        self._vault = vault
        self._database = database
        self._folder = folder
        self._settings = settings
        self._relays = relays
        self._mail_log = mail_log
        self._order = order
        self._clock = clock
        self._policy = Policy.of(settings)
        self._limits = Limits.of(settings)
        self._last_turn: datetime | None = None
        self._outbox = Outbox(vault, clock)
        self._turnstile = Turnstile(clock())
        patience = PATIENCE_WAITING if order.wait else PATIENCE
        self._staff = Staff()
        self._turns = Turns(cycle, vault, self._staff, self._outbox.stopping)
        self._hiring: asyncio.Future[None] | None = None
        self._maker = Maker(recipe, notice_for, self._outbox, self._staff)
        self._means = Means(
            relays,
            self._outbox,
            self._turnstile,
            Weather(patience),
            patience,
        )
        self._gates = Gates(cycle, settings, self._turnstile)
        self._picks = Picks(cycle, self._limits, limit=order.limit, wave_id=order.wave_id)
        self._standstill = Standstill(self._means, self._staff, self._picks, clock)
        self._outstanding = 0
        self._epoch = 0
        self._waiting = -1  # settled and left, when it was counted; not yet
        self._hired = False
        self._tally = Tally()
        self._turn_taken: Turn | None = None
        self._cycles_taken = 0
        self._cycle_seconds = 0.0
        self._writing_since: float | None = None  # monotonic
        self._doubts = Doubts(settings.relay.connections or 1)
        relays.changed = self._relay_changed

    # -- from outside ------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Claim nothing more; finish what is on the wire."""
        self._outbox.stop()

    def look(self) -> Progress:
        """How it goes, from what it knows: costs nothing, waits for nothing."""
        outbox = self._outbox
        asked = outbox.stopping.is_set() and outbox.stop_reason == "stopped" and outbox.failure is None
        wait = self._standstill.why(self._turn_taken, outstanding=self._outstanding, writing_since=self._writing_since)
        return Progress(
            dict(self._tally.fates),
            max(0, self._waiting),
            self._outstanding,
            asked,
            self._settings.window,
            wait.why if wait else "",
            from_ms(wait.until_ms) if wait and 0 < wait.until_ms < FOREVER_MS else None,
            dict(self._tally.by_provider),
            self._cycles_taken,
            self._cycle_seconds,
        )

    async def run(self) -> SendReport:
        if not await self._begin():
            if self._outbox.failure is not None:
                raise self._outbox.failure
            stopped = self._outbox.stop_reason if self._outbox.stopping.is_set() else "done"
            return await self._report("paused" if self._outbox.pause_words else stopped)
        async with asyncio.TaskGroup() as group:
            connections = self._settings.relay.connections or 1
            for _ in range(connections):
                group.create_task(Connection(self._means).live())
            group.create_task(self._maker.live())
            group.create_task(self._outbox.pulse.live(self._outbox.ending))
            try:
                reason = await self._cycles()
            except BaseException:
                # The group cancels the connections, but asyncio.wait_for, inside the SMTP library, swallows a cancel
                # that meets an answer (Python 3.11): those must find the run stopped and their queue at its end.
                self.stop()
                raise
            finally:
                if self._hiring is not None:
                    self._hiring.cancel()
                self._outbox.ending.set()
                self._outbox.claims.put_nowait(None)
                for _ in range(connections):
                    self._outbox.made.put_nowait(None)
        if self._outbox.failure is not None:
            raise self._outbox.failure
        return await self._report(reason)

    # -- the cycle ---------------------------------------------------------------------------------------------

    async def _begin(self) -> bool:
        """Recover, see whether anything is due, and open the first session before anything is claimed. False:
        there is nothing to run for."""
        now = self._clock()
        self._epoch, fates = await self._cycle.write(partial(self._recover, now=now))
        self._tally.recovered = len(fates)
        self._mail_log.write(fates)
        paused = await self._cycle.read(deliveries.paused_reason)
        if paused is not None:
            self._outbox.pause_words = paused
            return False
        await self._gates.put(self._relays.current)
        await self._picks.begin(now)
        due = await self._next_due()
        if due is None or (due.until_ms > to_ms(now) and not self._order.wait):
            return False
        if due.until_ms <= to_ms(now):
            patience = PATIENCE_WAITING if self._order.wait else FIRST_PATIENCE
            pauses = asyncio.ensure_future(self._heed_pauses())  # which the cycles do later
            try:
                opened = await self._relays.open(patience_seconds=patience, stopping=self._outbox.stopping)
                if opened is None:
                    return False
                self._relays.keep(*opened)
            except RelayRefused as refusal:
                self._outbox.pause(refusal.outcome)
                await self._settle()
                return False
            finally:
                pauses.cancel()
        return True

    async def _heed_pauses(self) -> None:
        try:
            words = None
            while words is None:
                await asyncio.sleep(POLL_SECONDS)
                words = await self._cycle.read(deliveries.paused_reason)
            self._outbox.pause_with(words)
        except Exception as error:  # nobody waits for this task
            self._outbox.fail(error)

    def _recover(self, connection: Transaction, now: datetime) -> tuple[int, list[Fate]]:
        roll = random.random()  # noqa: S311
        epoch, fates = recover(connection, vault=self._vault, policy=self._policy, now=now, roll=roll)
        quota.take_over(connection, self._limits, fates, now)
        return epoch, fates

    async def _relay_changed(self, relay: Relay, error: RelayUnavailable) -> None:
        """The first relay does not answer: the other takes over, for the rest of the run."""
        facts = {"from": self._relays.current.name, "to": relay.name, "reason": str(error)}
        self._outbox.note(Entry(self._clock(), "relay_changed", facts=facts))
        await self._gates.put(relay)

    async def _cycles(self) -> str:
        """Cycle after cycle until the run is over; why it is."""
        while True:
            self._outbox.wake.clear()
            if self._outbox.crash is not None:
                raise self._outbox.crash
            turn = await self._turn()
            if not self._outstanding and not self._outbox.has_ended:
                reason = self._over(turn)
                if reason:
                    return reason
            if not self._outbox.has_ended:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._until_next(turn)):
                        await self._outbox.wake.wait()

    async def _turn(self) -> Turn:
        """One cycle, one transaction."""
        outbox = self._outbox
        if self._picks.are_wanted(self._turn_taken, now := self._clock()) and not outbox.stopping.is_set():
            await self._picks.add(now)
        ends, notes = outbox.take()
        steady = outbox.pulse.is_steady()
        hiring = self._hiring is not None and not self._hiring.done()
        room = (
            0
            if outbox.stopping.is_set() or not steady or hiring
            else self._settings.window - self._outstanding + len(ends)
        )
        asked = self._gates.ask(self._relays.current.name, outbox.unwritten, room)
        batch = self._picks.take(asked.room)
        now = self._clock()
        decisions = [
            decide(end.held, end.outcome, now=end.at, policy=self._policy, roll=random.random())  # noqa: S311
            for end in ends
        ]
        wish = Wish(
            ends=list(zip(ends, decisions, strict=True)),
            notes=notes,
            room=asked.room,
            among=batch,
            lease=asked.lease,
            relay=self._relays.current.name,
            unwritten=outbox.unwritten,
            wave_id=self._order.wave_id,
            epoch=self._epoch,
            resends=self._policy.resends,
            pause_words=outbox.pause_words,
            by=self._order.by,
            now=now,
            provider_of=self._relays.current.rules.provider,
            limits=self._limits,
            longest_ms=self._policy.longest_ms,
            last=self._last_turn,
            outstanding=self._outstanding,
            lanes=asked.wish,
            again=self._means.weather.odd.led if outbox.pause_words else (),
        )
        self._writing_since = began = time.monotonic()
        turn = await self._turns.take(wish)
        self._writing_since = None
        self._cycles_taken += 1
        self._cycle_seconds += time.monotonic() - began
        self._last_turn, self._turn_taken = now, turn
        await self._gates.answered(asked, turn, self._relays.current, to_ms(self._clock()))
        await self._took(turn, batch or [])
        if turn.is_deposed:
            raise CampaignBusy("another sender took over while this one was stopped: this one has sent nothing since")
        if not steady:
            outbox.pulse.checked()
        return turn

    async def _took(self, turn: Turn, batch: list[int]) -> None:
        """After the commit: these claims may go out."""
        outbox = self._outbox
        self._picks.took(turn, batch)
        self._outstanding += len(turn.claims) - len(turn.fates)
        outbox.put(self._turnstile.expect(turn.claims))
        for fate in turn.fates:
            self._tally.add(fate)
            lost = fate.ended.outcome.kind in (Kind.LOST, Kind.RELEASED) and not fate.late
            if lost and not outbox.stopping.is_set():
                self._picks.came_back(fate.ended.held.id)
        self._mail_log.write(turn.fates)
        if turn.paused is not None and not outbox.stopping.is_set():
            outbox.pause_with(turn.paused)
        self._watch_doubts(turn.fates)
        if self._tally.settled + self._outstanding > self._waiting:
            await self._count()
        if self._on_progress is not None:
            self._on_progress(self.look())
        _log.debug(
            "action=cycle recorded=%d claimed=%d outstanding=%d", len(turn.fates), len(turn.claims), self._outstanding
        )

    async def _count(self) -> None:
        """How many wait: once the first are on their way, because of millions it takes seconds, and again when one is
        met that was not counted, because others were approved since (or it goes out a second time)."""
        waits = await self._cycle.read(partial(deliveries.waits, wave_id=self._order.wave_id))
        settled, left = self._tally.settled, waits + self._outstanding
        self._waiting = settled + left
        if not self._hired and not self._outbox.stopping.is_set():
            limit = self._order.limit
            await self._hire(left if limit is None else min(left, limit - settled))

    async def _hire(self, messages: int) -> None:
        """Processes beside this one, if so many messages are worth them. Those that somebody asked for are waited
        for."""
        chosen = self._settings.send.processes
        if count := wanted(chosen, messages):
            self._hired = True
            await self._maker.hire(count, self._folder, self._database, self._relays.current.rules)
            if chosen:
                # Nothing is claimed meanwhile; what ends is recorded.
                self._hiring = asyncio.ensure_future(self._staff.settled())
                self._hiring.add_done_callback(lambda _: self._outbox.wake.set())

    def _over(self, turn: Turn) -> str:
        """Why the run is over, "" if it is not. Asked only when nothing is outstanding."""
        if self._outbox.stopping.is_set():
            return self._outbox.stop_reason
        picked = self._picks.are_used_up
        later = turn.next_due is None or turn.next_due > to_ms(self._clock())
        if (picked or later) and self._means.weather.odd.alone():
            self._outbox.pause_as_told()
            return ""
        if picked:
            return "limit"
        if turn.next_due is None or turn.next_due >= FOREVER_MS or (not self._order.wait and later):
            return "" if turn.overtaken is not None else "done"
        return ""

    def _until_next(self, turn: Turn) -> float:
        """Seconds until the next cycle if nothing ends before."""
        opens_at = self._gates.opens_at(turn)
        due_in = None if turn.next_due is None else (turn.next_due - to_ms(self._clock())) / 1000
        more_is_due = bool(turn.claims) or (due_in is not None and due_in <= 0)
        if opens_at is not None and more_is_due and self._outstanding < self._settings.window:
            # Half the horizon: slots come in batches, and no commit is spent on each.
            opens_in = (opens_at - self._turnstile.now() - HORIZON // 2) / 1e6
            return min(POLL_SECONDS, max(HORIZON / 2e6, opens_in))
        if self._outstanding or due_in is None:
            return POLL_SECONDS
        return min(POLL_SECONDS, max(0.01, due_in))

    async def _next_due(self) -> Wait | None:
        return await self._cycle.read(self._due_now)

    def _due_now(self, connection: Transaction) -> Wait | None:
        allowed = quota.read(connection, self._limits, self._clock())
        wave_id, resend = self._order.wave_id, self._policy.resends
        return next_due(connection, traffic.read(connection), allowed, wave_id=wave_id, resend=resend)

    async def _settle(self) -> None:
        """A last cycle that claims nothing."""
        self.stop()
        await self._turn()

    async def _report(self, reason: str) -> SendReport:
        left = await self._cycle.read(partial(deliveries.left, wave_id=self._order.wave_id))
        due = await self._next_due()
        return self._tally.report(
            reason,
            left=left,
            next_due=None if due is None or due.until_ms >= FOREVER_MS else max(from_ms(due.until_ms), self._clock()),
            waits_because="" if due is None else due.why,
            paused_reason=self._outbox.pause_words if reason == "paused" else "",
        )

    def _watch_doubts(self, fates: list[Fate]) -> None:
        """Many doubts without a crash are ours (DESIGN 9): a relay that drops after each dot, a time-out too short."""
        doubts = self._doubts.count(len(fates), sum(fate.kind == "in_doubt" for fate in fates))
        if doubts and not self._outbox.stopping.is_set():
            self._outbox.pause_with(
                f"{doubts} of the last {self._doubts.outcomes} deliveries are in doubt: does the relay answer after "
                "the final dot?"
            )
