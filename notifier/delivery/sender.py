"""The sender: claims what is due, hands it to the relay, records how it ended.

One cycle is one transaction on the dedicated connection: record what has ended, reserve slots of the pace, mark the
next SENDING. *Its commit is the point after which a first byte may go out.* The following cycle starts when the last
has committed and something has ended, so that at most ``window`` deliveries are marked SENDING at any moment: that is
all a crash can put in doubt (I5). Connections are tasks that take claims from one queue, reuse their session and hand
outcomes back.

Stopping (SIGINT, SIGTERM, SIGHUP, a pause, a failure) means: claim nothing more, finish what is on the wire, give back
what was not begun. A second SIGINT is a crash, and a crash is safe.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import aiosmtplib

from notifier.campaign import Settings
from notifier.delivery import outcomes, replies
from notifier.delivery.diversion import Diversion
from notifier.delivery.envelopes import NoticeFor, Ready, prepare
from notifier.delivery.outcomes import Kind, Outcome, Phase
from notifier.delivery.pace import HORIZON, Gate, Lease, Pace
from notifier.delivery.pause import pause, resume
from notifier.delivery.record import Ended, Policy, decide, ended
from notifier.delivery.recovery import recover
from notifier.delivery.rehearsal import rehearse
from notifier.delivery.relay import Relay, RelayRefused, open_relay
from notifier.delivery.report import MailLog, Progress, SendReport, Tally
from notifier.delivery.signals import stopping_signals
from notifier.delivery.transaction import Patience, transact
from notifier.delivery.turn import Turn, Wish, take_turn
from notifier.dkim import Signer, load_signers
from notifier.errors import OperatorError, RelayUnavailable
from notifier.model import from_ms, to_ms
from notifier.storage import deliveries
from notifier.storage import pace as pace_rows
from notifier.storage.cycle import Cycle, open_cycle
from notifier.storage.database import Database
from notifier.storage.deliveries import Claim
from notifier.storage.lock import sender_lock
from notifier.vault import Vault

__all__ = ["NoticeFor", "Progress", "SendReport", "pause", "resume", "send"]

POLL_SECONDS = 1.0  # how soon an idle sender sees a pause, a new approval
NAP_SECONDS = 5.0  # before a connection that the relay did not want is asked for again
IDLE_SECONDS = 10.0  # after which a connection without work says QUIT
FIRST_PATIENCE = 2.0  # for a relay that does not answer when `send` starts
PATIENCE = 60.0  # for one that stops answering later
PATIENCE_WAITING = 900.0  # the same with --wait: a relay may be restarted at night
LOSSES = 3  # connections lost over one delivery before it goes to the schedule
DOUBTS = 5  # per connection, in one run without a crash, before the campaign pauses

_log = logging.getLogger(__name__)


def utc_now() -> datetime:
    return datetime.now(UTC)


async def send(
    database: Database,
    vault: Vault,
    settings: Settings,
    folder: Path,
    notice_for: NoticeFor,
    *,
    wave: str | None = None,
    limit: int | None = None,
    wait: bool = False,
    dry_run: bool = False,
    by: str = "",
    clock: Callable[[], datetime] = utc_now,
    on_progress: Callable[[Progress], None] | None = None,
) -> SendReport:
    """Send approved mail until nothing is due now, or with ``wait`` until none is queued, sending, deferred or to be
    resent. ``wave``: only this one's; ``limit``: begin at most so many, spread over the segments; ``dry_run``: render
    and assert everything, open no connection, change nothing.

    Raises CampaignBusy (another sender), RelayUnavailable, SettingsError (a DKIM key that cannot be used is one),
    OperatorError (no such wave), and whatever
    ``notice_for`` raises, after what was claimed has been finished or given back.
    """
    async with open_cycle(database.path) as cycle:
        wave_id = None
        if wave is not None:
            wave_id = await cycle.read(partial(deliveries.wave_id, name=wave))
            if wave_id is None:
                raise OperatorError(f"there is no wave {wave!r}: `notifier plan` makes one")
        listed = replies.listed_domains(folder)
        signers = load_signers(settings, folder)  # a key that is no good is told before anything is begun
        if dry_run:
            return await rehearse(
                cycle,
                vault,
                settings,
                notice_for,
                listed=listed,
                wave_id=wave_id,
                limit=limit,
                now=clock(),
                signers=signers,
            )
        relay = await open_relay(settings, folder)
        with ExitStack() as stack:
            stack.enter_context(sender_lock(folder, clock()))
            mail_log = MailLog(folder)
            stack.callback(mail_log.close)
            run = _Run(
                cycle=cycle,
                vault=vault,
                settings=settings,
                relay=relay,
                notice_for=notice_for,
                listed=listed,
                signers=signers,
                mail_log=mail_log,
                wave_id=wave_id,
                limit=limit,
                wait=wait,
                by=by,
                clock=clock,
                on_progress=on_progress,
            )
            stack.enter_context(stopping_signals(run.stop))
            try:
                return await run.run()
            except BaseExceptionGroup as group:
                # One cause is one error; several at once are a bug and stay together.
                if len(group.exceptions) == 1:
                    raise group.exceptions[0] from None
                raise
            finally:
                await relay.close_kept()


class _Run:
    """One run of the sender: its window, its queue, its connections."""

    def __init__(
        self,
        *,
        cycle: Cycle,
        vault: Vault,
        settings: Settings,
        relay: Relay,
        notice_for: NoticeFor,
        listed: frozenset[str],
        signers: Mapping[str, Signer],
        mail_log: MailLog,
        wave_id: int | None,
        limit: int | None,
        wait: bool,
        by: str,
        clock: Callable[[], datetime],
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._on_progress = on_progress
        self._cycle = cycle
        self._vault = vault
        self._settings = settings
        self._relay = relay
        self._notice_for = notice_for
        self._listed = listed
        self._signers = signers
        self._mail_log = mail_log
        self._wave_id = wave_id
        self._limit = limit
        self._wait = wait
        self._by = by
        self._clock = clock
        self._policy = Policy.of(settings)
        self._diversion = Diversion.of(settings)
        self._patience = Patience(settings.relay.reply_seconds, settings.relay.final_reply_seconds)
        # Wall time at the start, moved on by the monotonic clock: a step of the wall clock cannot open the gate.
        self._anchor = int(clock().timestamp() * 1_000_000) - time.monotonic_ns() // 1000
        self._gate: Gate | None = None
        self._turnstile = asyncio.Lock()
        self._leased = asyncio.Condition()
        self._queue: asyncio.Queue[Claim | None] = asyncio.Queue()
        self._ended: list[Ended] = []
        self._outstanding = 0
        self._unwritten = 0
        self._picked: deque[int] | None = None
        self._losses: dict[int, int] = {}
        self._turned_away = 0  # 4yz at MAIL, in a row
        self._turned_away_since = 0.0  # monotonic
        self._epoch = 0
        self._waiting = 0
        self._tally = Tally()
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ending = asyncio.Event()  # no more claims will come: stopping, or all done
        self._stop_reason = "stopped"
        self._pause_words = ""
        self._failure: Exception | None = None

    # -- from outside ------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Claim nothing more; finish what is on the wire."""
        self._stopping.set()
        self._ending.set()
        self._wake.set()

    async def run(self) -> SendReport:
        if not await self._begin():
            return await self._report("paused" if self._pause_words else "done")
        async with asyncio.TaskGroup() as group:
            connections = self._settings.relay.connections or 1
            for _ in range(connections):
                group.create_task(self._connection())
            try:
                reason = await self._cycles()
            except BaseException:
                # The group cancels the connections, but asyncio.wait_for, inside the SMTP library, swallows a cancel
                # that meets an answer (Python 3.11): those must find the run stopped and their queue at its end.
                self.stop()
                raise
            finally:
                self._ending.set()
                for _ in range(connections):
                    self._queue.put_nowait(None)
        if self._failure is not None:
            raise self._failure
        return await self._report(reason)

    # -- the cycle ---------------------------------------------------------------------------------------------

    async def _begin(self) -> bool:
        """Recover, see whether anything is due, and open the first session before anything is claimed. False:
        there is nothing to run for."""
        now = self._clock()
        self._epoch, fates = await self._cycle.write(
            partial(recover, vault=self._vault, policy=self._policy, now=now, roll=random.random())  # noqa: S311
        )
        self._tally.recovered = len(fates)
        self._mail_log.write(fates)
        left = await self._cycle.read(partial(deliveries.left, wave_id=self._wave_id))
        self._waiting = left.waiting + left.resend
        paused = await self._cycle.read(deliveries.paused_reason)
        if paused is not None:
            self._pause_words = paused
            return False
        if (rate := self._settings.relay.rate or 0) > 0:
            stored = await self._cycle.read(partial(pace_rows.stored, name=self._relay.name))
            self._gate = Gate(Pace(rate, self._settings.relay.burst), stored, self._steady())
        if self._limit is not None:
            pick = partial(deliveries.spread, now_ms=to_ms(now), most=self._limit, wave_id=self._wave_id)
            self._picked = deque(await self._cycle.read(pick))
        due = await self._next_due()
        if due is None or (due > to_ms(now) and not self._wait):
            return False
        if due <= to_ms(now):
            try:
                self._relay.keep(await self._relay.open(patience_seconds=FIRST_PATIENCE, stopping=self._stopping))
            except RelayRefused as refusal:
                self._pause(refusal.outcome)
                await self._settle()
                return False
        return True

    async def _cycles(self) -> str:
        """Cycle after cycle until the run is over; why it is."""
        while True:
            self._wake.clear()
            turn = await self._turn()
            if not self._outstanding and not self._ended:
                reason = self._over(turn)
                if reason:
                    return reason
            if not self._ended:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._until_next(turn)):
                        await self._wake.wait()

    async def _turn(self) -> Turn:
        """One cycle, one transaction."""
        ends, self._ended = self._ended, []
        room = 0 if self._stopping.is_set() else self._settings.window - self._outstanding + len(ends)
        batch: list[int] | None = None
        lease = self._gate.wish(self._steady(), self._unwritten, room) if self._gate else None
        if lease is not None:
            room = min(room, lease.slots)
        if self._picked is not None:
            batch = [self._picked.popleft() for _ in range(min(room, len(self._picked)))]
        now = self._clock()
        decisions = [
            decide(end.held, end.outcome, now=end.at, policy=self._policy, roll=random.random())  # noqa: S311
            for end in ends
        ]
        wish = Wish(
            ends=list(zip(ends, decisions, strict=True)),
            room=room,
            among=batch,
            lease=lease,
            relay=self._relay.name,
            unwritten=self._unwritten,
            wave_id=self._wave_id,
            epoch=self._epoch,
            resends=self._policy.resends,
            pause_words=self._pause_words,
            by=self._by,
            now=now,
        )
        turn = await self._cycle.write(partial(take_turn, vault=self._vault, wish=wish))
        await self._took(turn, lease, batch)
        return turn

    async def _took(self, turn: Turn, lease: Lease | None, batch: list[int] | None) -> None:
        """After the commit: these claims may go out."""
        if self._gate is not None and lease is not None:
            if turn.overtaken is not None:
                self._gate.overtaken(turn.overtaken)
                if batch and self._picked is not None:
                    self._picked.extendleft(reversed(batch))
            elif turn.leased:
                self._gate.granted(lease)
            async with self._leased:
                self._leased.notify_all()
        self._outstanding += len(turn.claims) - len(turn.fates)
        self._unwritten += len(turn.claims)
        for claim in turn.claims:
            self._queue.put_nowait(claim)
        for fate in turn.fates:
            self._tally.add(fate)
            lost = fate.ended.outcome.kind in (Kind.LOST, Kind.RELEASED) and not fate.late
            if lost and self._picked is not None and not self._stopping.is_set():
                self._picked.append(fate.ended.held.id)
        self._mail_log.write(turn.fates)
        if turn.paused is not None and not self._stopping.is_set():
            self._pause_words, self._stop_reason = turn.paused, "paused"
            self.stop()
        self._watch_doubts()
        if self._on_progress is not None:
            asked = self._stopping.is_set() and self._stop_reason == "stopped" and self._failure is None
            self._on_progress(Progress(dict(self._tally.fates), self._waiting, self._outstanding, asked))
        _log.debug(
            "action=cycle recorded=%d claimed=%d outstanding=%d", len(turn.fates), len(turn.claims), self._outstanding
        )

    def _over(self, turn: Turn) -> str:
        """Why the run is over, "" if it is not. Asked only when nothing is outstanding."""
        if self._stopping.is_set():
            return self._stop_reason
        if self._picked is not None and not self._picked:
            return "limit"
        if turn.next_due is None or (not self._wait and turn.next_due > to_ms(self._clock())):
            return "" if turn.overtaken is not None else "done"
        return ""

    def _until_next(self, turn: Turn) -> float:
        """Seconds until the next cycle if nothing ends before."""
        due_in = None if turn.next_due is None else (turn.next_due - to_ms(self._clock())) / 1000
        more_is_due = bool(turn.claims) or (due_in is not None and due_in <= 0)
        if self._gate is not None and more_is_due and self._outstanding < self._settings.window:
            # Half the horizon: slots come in batches, and no commit is spent on each.
            opens_in = (self._gate.opens_at() - self._steady() - HORIZON // 2) / 1e6
            return min(POLL_SECONDS, max(HORIZON / 2e6, opens_in))
        if self._outstanding or due_in is None:
            return POLL_SECONDS
        return min(POLL_SECONDS, max(0.01, due_in))

    async def _next_due(self) -> int | None:
        return await self._cycle.read(partial(deliveries.next_due, wave_id=self._wave_id, resend=self._policy.resends))

    async def _settle(self) -> None:
        """A last cycle that claims nothing."""
        self.stop()
        await self._turn()

    async def _report(self, reason: str) -> SendReport:
        left = await self._cycle.read(partial(deliveries.left, wave_id=self._wave_id))
        due = await self._next_due()
        return self._tally.report(
            reason,
            left=left,
            next_due=None if due is None else max(from_ms(due), self._clock()),
            paused_reason=self._pause_words if reason == "paused" else "",
        )

    # -- what stops it -----------------------------------------------------------------------------------------

    def _pause(self, outcome: Outcome, reply: str | None = None) -> None:
        """A fault of ours: the campaign pauses with the server's words, in the next cycle's transaction."""
        words = replies.redacted(outcome.text, ()) if reply is None else reply
        self._pause_words = f"the relay said at {outcome.phase}: {outcome.code or ''} {words}".strip()
        self._stop_reason = "paused"
        self.stop()

    def _fail(self, error: Exception) -> None:
        """What the run cannot go on with; raised when everything claimed is finished or given back."""
        self._failure = self._failure or error
        self.stop()

    def _watch_doubts(self) -> None:
        """Many doubts without a crash are ours (DESIGN 9): a relay that drops after each dot, a time-out too short."""
        doubts, fates = self._tally.fates["in_doubt"], self._tally.fates.total()
        many = DOUBTS * (self._settings.relay.connections or 1)
        if doubts >= many and doubts * 10 >= fates and not self._stopping.is_set():
            self._pause_words = f"{doubts} deliveries in doubt in this run: does the relay answer after the final dot?"
            self._stop_reason = "paused"
            self.stop()

    # -- the connections ---------------------------------------------------------------------------------------

    async def _connection(self) -> None:
        """One connection's life: take a claim, hand it over, give its outcome back."""
        session: aiosmtplib.SMTP | None = None
        handed = 0
        try:
            while True:
                claim, session = await self._take(session)
                if claim is None:
                    if session is not None:
                        await self._relay.close(session)
                        session = None
                    return
                ready = await self._ready(claim)
                if ready is None:
                    continue
                if session is not None and (
                    not session.is_connected or handed >= self._settings.relay.messages_per_connection
                ):
                    await self._relay.close(session)
                    session = None
                if session is None:
                    session, handed = await self._open(claim), 0
                    if session is None:
                        continue
                if await self._pass(claim):
                    assert ready.envelope is not None
                    outcome = await transact(session, ready.envelope, self._patience)
                    self._end(claim, self._weigh(claim, outcome, used=handed > 0), ready)
                    await self._heed(outcome, used=handed > 0)
                    handed += 1
        finally:
            if session is not None:  # cancelled: a crash says no QUIT
                session.close()

    async def _take(self, session: aiosmtplib.SMTP | None) -> tuple[Claim | None, aiosmtplib.SMTP | None]:
        """The next claim; None at the end. A session that waits long for it is closed: servers do it otherwise."""
        try:
            return self._queue.get_nowait(), session
        except asyncio.QueueEmpty:
            pass
        if session is not None:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    return await self._queue.get(), session
            except TimeoutError:
                await self._relay.close(session)
        return await self._queue.get(), None

    async def _ready(self, claim: Claim) -> Ready | None:
        """The message; None when the claim was settled without one."""
        if self._stopping.is_set():
            self._release(claim)
            return None
        try:
            notice = await self._notice_for(claim.batch_id, claim.segment_id)
            sender, signer = self._settings.sender(claim.sender), self._signers.get(claim.sender)
            ready = prepare(claim, self._vault, sender, notice, self._listed, signer=signer, diversion=self._diversion)
        except Exception as error:  # raised when the claims are given back
            self._fail(error)
            self._release(claim)
            return None
        if ready.envelope is None:
            self._unwritten -= 1
            self._end(claim, Outcome(Kind.REFUSED, Phase.RCPT, text="no command can carry this address"), ready)
            return None
        return ready

    async def _open(self, claim: Claim) -> aiosmtplib.SMTP | None:
        """A session; None when there is none to be had and the claim was given back."""
        others = self._relay.live > 0
        patience = 0.0 if others else PATIENCE_WAITING if self._wait else PATIENCE
        try:
            return await self._relay.open(patience_seconds=patience, stopping=self._stopping)
        except RelayUnavailable as error:
            if others:
                # The relay allows fewer connections than we want: the others go on, this one asks again later.
                self._queue.put_nowait(claim)
                with suppress(TimeoutError):
                    async with asyncio.timeout(NAP_SECONDS):
                        await self._ending.wait()
                return None
            self._fail(error)
        except RelayRefused as refusal:
            self._pause(refusal.outcome)
        except OperatorError as error:
            self._fail(error)
        self._release(claim)
        return None

    async def _pass(self, claim: Claim) -> bool:
        """Wait for the gate. True: MAIL must be written now, before anything else happens (I6)."""
        if self._gate is not None:
            async with self._turnstile:
                while not self._stopping.is_set() and not self._gate.take(self._steady()):
                    wait = self._gate.opens_at() - self._steady()
                    if wait > 0:
                        await asyncio.sleep(wait / 1e6)
                    else:
                        # Open, but the lease does not cover a command so late: the next cycle extends it.
                        async with self._leased:
                            self._wake.set()
                            await self._leased.wait()
        if self._stopping.is_set():
            self._release(claim)
            return False
        self._unwritten -= 1
        return True

    def _weigh(self, claim: Claim, outcome: Outcome, *, used: bool) -> Outcome:
        """A connection lost over the same delivery again and again is that delivery's: to the schedule. A used
        connection that the server ends at MAIL has had its number of messages: at once on a new one, and no loss of
        that delivery's, however often it is the one that stands there (each connection has carried others, so this
        ends)."""
        if used and outcome.phase is Phase.MAIL and (outcome.code == 421 or outcome.kind is Kind.LOST):
            return replace(outcome, kind=Kind.LOST)
        if outcome.kind is not Kind.LOST:
            self._losses.pop(claim.id, None)
            return outcome
        self._losses[claim.id] = self._losses.get(claim.id, 0) + 1
        if self._losses[claim.id] < LOSSES:
            return outcome
        del self._losses[claim.id]
        return replace(outcome, kind=Kind.DEFERRED)

    async def _heed(self, outcome: Outcome, *, used: bool) -> None:
        """4yz at MAIL is nobody's mailbox: the relay takes no mail now, be it closing or its disk full (RFC 5321 3.8,
        4.2.3). The more of them in a row, the longer before the next is begun; when patience ends, so does the run.
        Else such a relay would have everybody deferred in minutes, and as many entries written."""
        if outcome.phase is not Phase.MAIL:
            self._turned_away = 0
            return
        code = outcome.code or 0
        if not 400 <= code < 500 or (used and code == 421):
            return
        now = time.monotonic()
        self._turned_away += 1
        if self._turned_away == 1:
            self._turned_away_since = now
        if now - self._turned_away_since >= (PATIENCE_WAITING if self._wait else PATIENCE):
            words = replies.redacted(outcome.text, ())
            self._fail(RelayUnavailable(f"the relay {self._relay.name} takes no mail now ({code} {words}): try again"))
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(min(NAP_SECONDS, 0.05 * 2 ** min(self._turned_away, 10))):
                await self._ending.wait()

    def _end(self, claim: Claim, outcome: Outcome, ready: Ready) -> None:
        end = ended(
            claim,
            outcome,
            at=self._clock(),
            vault=self._vault,
            forbidden=ready.forbidden,
            notice_sha256=ready.notice_sha256,
        )
        if outcome.kind is Kind.OURS:
            self._pause(outcome, end.reply)
        self._ended.append(end)
        self._wake.set()

    def _release(self, claim: Claim) -> None:
        self._unwritten -= 1
        self._ended.append(Ended(claim, outcomes.released(), self._clock()))
        self._wake.set()

    def _steady(self) -> int:
        """Microseconds since 1970 that never go back."""
        return self._anchor + time.monotonic_ns() // 1000
