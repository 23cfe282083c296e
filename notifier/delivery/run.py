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
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from notifier.campaign import Settings
from notifier.delivery import quota, slots, traffic
from notifier.delivery.breakers import Doubts
from notifier.delivery.connection import Connection, Means
from notifier.delivery.envelopes import NoticeFor
from notifier.delivery.lanes import FOREVER_MS, Lane
from notifier.delivery.limits import CANARY, Limits
from notifier.delivery.making import Maker
from notifier.delivery.outbox import Outbox
from notifier.delivery.outcomes import Kind
from notifier.delivery.pace import HORIZON, Gate, Lease, Pace
from notifier.delivery.paces import Paces
from notifier.delivery.recipe import Recipe
from notifier.delivery.record import Fate, Policy, decide
from notifier.delivery.recovery import recover
from notifier.delivery.relay import Relay, RelayRefused
from notifier.delivery.relays import Relays
from notifier.delivery.report import MailLog, Progress, SendReport, Tally
from notifier.delivery.slots import LaneGate, LaneWish
from notifier.delivery.staff import Staff, wanted
from notifier.delivery.traffic import Wait
from notifier.delivery.turn import Turn, Wish, next_due, take_turn
from notifier.delivery.turnstile import Turnstile
from notifier.delivery.weather import Weather
from notifier.errors import CampaignBusy, RelayUnavailable
from notifier.model import Entry, from_ms, to_ms
from notifier.storage import deliveries
from notifier.storage import pace as pace_rows
from notifier.storage.cycle import Connection as Transaction
from notifier.storage.cycle import Cycle
from notifier.vault import Vault

POLL_SECONDS = 1.0  # how soon an idle sender sees a pause, a new approval
FIRST_PATIENCE = 2.0  # for a relay that does not answer when `send` starts
PATIENCE = 60.0  # for one that stops answering later
LOCKED_SECONDS = 2.0  # a cycle takes so long only if somebody else holds the database
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
        self._hiring: asyncio.Future[None] | None = None
        self._maker = Maker(recipe, notice_for, self._outbox, self._staff)
        self._means = Means(
            relays,
            self._outbox,
            self._turnstile,
            Weather(patience),
            patience,
        )
        self._outstanding = 0
        self._picked: deque[int] | None = None
        self._unpicked = 0  # how many more may be picked when those are begun
        self._epoch = 0
        self._waiting: int | None = None  # counted once the first are on their way: of millions it takes seconds
        self._paces = Paces({})
        self._kept: Mapping[str, Lane] = {}  # lanes as the last cycle found them
        self._served = ""  # the lane that was claimed from last
        self._tally = Tally()
        self._turn_taken: Turn | None = None
        self._cycles_taken = 0
        self._cycle_seconds = 0.0
        self._writing_since: float | None = None  # monotonic
        self._canary = 0
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
        wait = self._waits()
        return Progress(
            dict(self._tally.fates),
            self._waiting or 0,
            self._outstanding,
            asked,
            self._settings.window,
            wait.why if wait else "",
            from_ms(wait.until_ms) if wait and 0 < wait.until_ms < FOREVER_MS else None,
            dict(self._tally.by_provider),
            self._cycles_taken,
            self._cycle_seconds,
        )

    def _waits(self) -> Wait | None:  # noqa: PLR0911  (a table, read downwards)
        """Why nothing, or not as much as the window holds, is begun now; None: nothing stands before it."""
        relay, turn = self._relays.current, self._turn_taken
        if self._outbox.stopping.is_set():
            return None
        if self._writing_since is not None and time.monotonic() - self._writing_since > LOCKED_SECONDS:
            clerk = f", or {self._staff.registry.name} does not answer" if self._staff.registry else ""
            return Wait(0, f"the database is locked: another command writes to it, or the disk is slow{clerk}")
        if silent := self._staff.why():
            return Wait(0, silent)
        if relay.silence and not relay.live:
            return Wait(0, relay.silence.removesuffix(": check [relay] and try again"))
        if not self._means.weather.is_calm:
            return Wait(0, f"the relay {relay.name} takes no mail now")
        if turn is None:
            return None
        if turn.next_due is not None and not self._outstanding and turn.next_due > to_ms(self._clock()):
            return Wait(turn.next_due, turn.why or "what was deferred waits for its next attempt")
        if self._picked is not None and self._canary:
            return Wait(0, f"the canary: {self._canary} messages at first, then a pause")
        gate = self._turnstile.gate
        if gate is not None and gate.opens_at() > self._turnstile.now():
            return Wait(0, f"the pace: the relay is given {relay.section.rate or 0:g} messages per second")
        if len(turn.claims) < turn.room:
            # All that is due in other lanes is claimed.
            paced = sorted(turn.lanes.hungry & self._turnstile.lanes.keys())
            given = [f"{name} is given {self._turnstile.lanes[name].gate.pace.rate:g}" for name in paced]
            return Wait(0, f"the pace: {', '.join(given)} messages per second") if given else None
        return None

    async def run(self) -> SendReport:
        if not await self._begin():
            return await self._report("paused" if self._outbox.pause_words else "done")
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
        await self._put_gate(self._relays.current)
        await self._pick(now)
        due = await self._next_due()
        if due is None or (due.until_ms > to_ms(now) and not self._order.wait):
            return False
        if due.until_ms <= to_ms(now):
            try:
                self._relays.keep(
                    *await self._relays.open(patience_seconds=FIRST_PATIENCE, stopping=self._outbox.stopping)
                )
            except RelayRefused as refusal:
                self._outbox.pause(refusal.outcome)
                await self._settle()
                return False
        return True

    def _recover(self, connection: Transaction, now: datetime) -> tuple[int, list[Fate]]:
        roll = random.random()  # noqa: S311
        epoch, fates = recover(connection, vault=self._vault, policy=self._policy, now=now, roll=roll)
        quota.take_over(connection, self._limits, fates, now)
        return epoch, fates

    async def _pick(self, now: datetime) -> None:
        """With a limit, and for the canary, the first are chosen from every segment."""
        allowed = await self._cycle.read(partial(quota.read, limits=self._limits, now=now))
        limit = self._order.limit
        if allowed.canary:
            left = max(0, self._limits.canary - allowed.begun.get(CANARY, 0))
            limit = left if limit is None else min(left, limit)
            self._canary = self._limits.canary
        if limit is None:
            return
        self._picked, self._unpicked = deque(), limit
        await self._pick_more(now)

    async def _pick_more(self, now: datetime) -> None:
        closed = traffic.resting(await self._cycle.read(traffic.read), to_ms(now))
        most, wave_id = self._unpicked, self._order.wave_id
        pick = partial(deliveries.spread, now_ms=to_ms(now), most=most, wave_id=wave_id, resting=closed)
        self._picked = deque(await self._cycle.read(pick))
        self._unpicked -= len(self._picked)

    def _wants_picks(self, now: datetime) -> bool:
        """Whether a limit is not used up, and something is due that was not when it was last picked: the lane of some
        that were has begun to rest, or only now others came due."""
        turn = self._turn_taken
        return (
            self._picked is not None
            and not self._picked
            and self._unpicked > 0
            and self._order.limit is not None
            and not self._outbox.stopping.is_set()
            and turn is not None
            and turn.next_due is not None
            and turn.next_due <= to_ms(now)
        )

    async def _put_gate(self, relay: Relay) -> None:
        """The relay's own pace, and its own row. The other's gate stands until then: there is none without a gate."""
        gate = None
        if (rate := relay.section.rate or 0) > 0:
            stored = await self._cycle.read(partial(pace_rows.stored, name=relay.name))
            gate = Gate(Pace(rate, relay.section.burst), stored, self._turnstile.now())
        self._paces = Paces.of(self._settings, relay.rules)
        self._kept = await self._cycle.read(traffic.read)
        lanes: dict[str, LaneGate] = {}
        await self._regate(relay, lanes)
        self._turnstile.gate, self._turnstile.lanes = gate, lanes

    async def _regate(self, relay: Relay, gates: dict[str, LaneGate]) -> None:
        """Let ``gates`` be those of the lanes that have a pace of their own now."""
        paces, section = self._paces.all(self._kept), self._settings.relay
        stored: dict[str, int] = {}
        behind: dict[str, int] = {}
        if new := paces.keys() - gates.keys():
            others = {section.name, section.fallback.name if section.fallback else section.name} - {relay.name}
            names = {slots.bucket(name, lane): lane for name in {*others, relay.name} for lane in new}
            for name, value in (await self._cycle.read(partial(pace_rows.stored_of, names=list(names)))).items():
                (stored if name == slots.bucket(relay.name, names[name]) else behind)[names[name]] = value
        slots.regate(gates, paces, stored, behind, self._turnstile.now())

    async def _relay_changed(self, relay: Relay, error: RelayUnavailable) -> None:
        """The first relay does not answer: the other takes over, for the rest of the run."""
        facts = {"from": self._relays.current.name, "to": relay.name, "reason": str(error)}
        self._outbox.note(Entry(self._clock(), "relay_changed", facts=facts))
        await self._put_gate(relay)

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
        if self._wants_picks(now := self._clock()):
            await self._pick_more(now)
        outbox, gate = self._outbox, self._turnstile.gate
        ends, notes = outbox.take()
        steady = outbox.pulse.is_steady()
        hiring = self._hiring is not None and not self._hiring.done()
        room = (
            0
            if outbox.stopping.is_set() or not steady or hiring
            else self._settings.window - self._outstanding + len(ends)
        )
        batch: list[int] | None = None
        lanes: LaneWish | None = None
        lease = gate.wish(self._turnstile.now(), outbox.unwritten, room) if gate else None
        if lease is not None:
            room = min(room, lease.slots)
        if gates := self._turnstile.lanes:
            # Of the relay that they belong to: another may take over while this cycle commits.
            lanes = slots.wish(gates, self._relays.current.name, self._turnstile.now(), room, self._served)
        if self._picked is not None and not self._picked and self._order.limit is None:
            self._picked, self._canary = None, 0  # those were the canary's
        if self._picked is not None:
            batch = [self._picked.popleft() for _ in range(min(room, len(self._picked)))]
        now = self._clock()
        decisions = [
            decide(end.held, end.outcome, now=end.at, policy=self._policy, roll=random.random())  # noqa: S311
            for end in ends
        ]
        wish = Wish(
            ends=list(zip(ends, decisions, strict=True)),
            notes=notes,
            room=room,
            among=batch,
            lease=lease,
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
            lanes=lanes,
        )
        self._writing_since = began = time.monotonic()
        turn = await self._write(wish)
        self._writing_since = None
        self._cycles_taken += 1
        self._cycle_seconds += time.monotonic() - began
        self._last_turn, self._turn_taken = now, turn
        if lanes or turn.kept:
            await self._took_lanes(turn, gates, lanes)
        await self._took(turn, gate, lease, batch or [])
        if turn.is_deposed:
            raise CampaignBusy("another sender took over while this one was stopped: this one has sent nothing since")
        if not steady:
            outbox.pulse.checked()
        return turn

    async def _took_lanes(self, turn: Turn, gates: dict[str, LaneGate], wished: LaneWish | None) -> None:
        """After the commit, before the claims are let go: ``gates`` have what was ``wished`` for and stored; lanes that
        have changed since have another pace."""
        if wished is not None:
            slots.granted(gates, wished, turn.lanes)
            self._served = turn.lanes.last
        for fate in turn.fates:
            self._turnstile.settled(fate.ended.held.provider, fate.ended.held.id)
        self._turnstile.resting = traffic.resting(turn.kept, to_ms(self._clock()))
        if turn.kept != self._kept:
            self._kept = turn.kept
            await self._regate(self._relays.current, self._turnstile.lanes)

    async def _took(self, turn: Turn, gate: Gate | None, lease: Lease | None, batch: list[int]) -> None:
        """After the commit: these claims may go out."""
        outbox = self._outbox
        if gate is not None and lease is not None:
            if turn.overtaken is not None:
                gate.overtaken(turn.overtaken)
            elif turn.leased:
                gate.granted(lease)
        await self._turnstile.lease_changed()
        if self._picked is not None:
            untried = batch if turn.overtaken is not None else batch[turn.room :]
            self._picked.extendleft(reversed(untried))
            self._picked.extend(turn.lanes.put_back)
            # The others cannot be claimed any more, or not now: as many may be picked in their place.
            self._unpicked += len(batch) - len(untried) - len(turn.claims) - len(turn.lanes.put_back)
        self._outstanding += len(turn.claims) - len(turn.fates)
        outbox.put(self._turnstile.expect(turn.claims))
        for fate in turn.fates:
            self._tally.add(fate)
            lost = fate.ended.outcome.kind in (Kind.LOST, Kind.RELEASED) and not fate.late
            if lost and self._picked is not None and not outbox.stopping.is_set():
                self._picked.append(fate.ended.held.id)
        self._mail_log.write(turn.fates)
        if turn.paused is not None and not outbox.stopping.is_set():
            outbox.pause_with(turn.paused)
        self._watch_doubts(turn.fates)
        if self._waiting is None:
            waits = await self._cycle.read(partial(deliveries.waits, wave_id=self._order.wave_id))
            self._waiting = waits + self._outstanding
            await self._hire(min(self._waiting, self._order.limit or self._waiting))
        if self._on_progress is not None:
            self._on_progress(self.look())
        _log.debug(
            "action=cycle recorded=%d claimed=%d outstanding=%d", len(turn.fates), len(turn.claims), self._outstanding
        )

    async def _hire(self, messages: int) -> None:
        """Processes beside this one, if so many messages are worth them. Those that somebody asked for are waited
        for."""
        chosen = self._settings.send.processes
        if count := wanted(chosen, messages):
            await self._maker.hire(count, self._folder, self._database, self._relays.current.rules)
            if chosen:
                # Nothing is claimed meanwhile; what ends is recorded.
                self._hiring = asyncio.ensure_future(self._staff.settled())
                self._hiring.add_done_callback(lambda _: self._outbox.wake.set())

    async def _write(self, wish: Wish) -> Turn:
        """One transaction: the clerk's, if there is one."""
        if (registry := self._staff.registry) is not None:
            return await registry.take(wish)
        return await self._cycle.write(partial(take_turn, vault=self._vault, wish=wish))

    def _over(self, turn: Turn) -> str:
        """Why the run is over, "" if it is not. Asked only when nothing is outstanding."""
        if self._outbox.stopping.is_set():
            return self._outbox.stop_reason
        if self._order.limit is not None and not self._picked and not self._unpicked:
            return "limit"
        if (
            turn.next_due is None
            or turn.next_due >= FOREVER_MS
            or (not self._order.wait and turn.next_due > to_ms(self._clock()))
        ):
            return "" if turn.overtaken is not None else "done"
        return ""

    def _until_next(self, turn: Turn) -> float:
        """Seconds until the next cycle if nothing ends before."""
        opens_at = self._opens_at(turn)
        due_in = None if turn.next_due is None else (turn.next_due - to_ms(self._clock())) / 1000
        more_is_due = bool(turn.claims) or (due_in is not None and due_in <= 0)
        if opens_at is not None and more_is_due and self._outstanding < self._settings.window:
            # Half the horizon: slots come in batches, and no commit is spent on each.
            opens_in = (opens_at - self._turnstile.now() - HORIZON // 2) / 1e6
            return min(POLL_SECONDS, max(HORIZON / 2e6, opens_in))
        if self._outstanding or due_in is None:
            return POLL_SECONDS
        return min(POLL_SECONDS, max(0.01, due_in))

    def _opens_at(self, turn: Turn) -> int | None:
        """When the pace has the next slot for what is due; None: no pace stands before it."""
        gate, gates = self._turnstile.gate, self._turnstile.lanes
        relay_opens = gate.opens_at() if gate is not None else None
        if len(turn.claims) >= turn.room:
            return relay_opens  # there may be more in any lane
        opens = [gates[name].opens_at() for name in turn.lanes.hungry if name in gates]
        return max(relay_opens or 0, min(opens)) if opens else relay_opens

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
                f"{doubts} deliveries in doubt one after the other: does the relay answer after the final dot?"
            )
