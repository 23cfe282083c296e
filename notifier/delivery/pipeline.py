"""The transactions of one session, on its open transport: as many at once as the server allows, each with one outcome.

With PIPELINING (RFC 2920) MAIL, RCPT and DATA go out together, DATA last; and the next transaction's three go out
behind the final dot of the last, so that a message costs one round trip. Without it, command by command.

What it promises:

- Each transaction has exactly one outcome. Replies come in the order of the commands (RFC 5321 4.1.4), so the n-th
  reply is the n-th command's and nobody else's. A reply that answers nothing, or is no SMTP, ends the session: nothing
  that comes after it is believed.
- *In doubt* is a transaction whose final dot was given to the transport and whose reply did not come; *lost*, and safe
  to try again, one whose dot was not. The dot is marked as out before it is written, and is written only when the
  server's 354 was the last thing it had said. Of a large body the dot is held back until the transport has room.
- MAIL is written only if ``may_begin`` agrees at that instant, a final dot only if ``may_end`` does; with a pace, MAIL
  only by :meth:`Pipeline.submit`, right after the gate has opened (I6).
- Nothing the server or the network does raises.

The transport comes from aiosmtplib (connect, TLS, AUTH; handover.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from notifier.delivery.answers import NOT_SMTP, Answer, AnswerReader
from notifier.delivery.exchange import Transaction
from notifier.delivery.outcomes import Kind, Outcome, Phase, classify, in_doubt, lost, timed_out
from notifier.delivery.rules import Rulebook
from notifier.delivery.transaction import commands, needs_utf8

LARGE = 65_536  # bytes; of a larger body the dot waits until the transport has room again
LEAVE_SECONDS = 5.0  # for QUIT and the end of TLS

NO_SMTPUTF8 = "the relay offers no SMTPUTF8, and this address cannot be named without it"

_DOT = b".\r\n"
_AFTER_THE_DOT = "connection lost after the final dot"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds (RFC 5321 4.5.3.2: minutes, not seconds; a short wait after the final dot makes
    duplicates). ``reply``: to MAIL, RCPT, RSET; ``data``: for the 354; ``block``: until the transport has room again;
    ``final``: after the final dot."""

    reply: float
    data: float
    block: float
    final: float


def nothing() -> None:
    """No further message."""


def _raised(error: Exception) -> None:
    raise error


def _always() -> bool:
    return True


# What is waited for, in the order in which it was written.
_RSET, _LONE_DOT, _QUIT = "rset", "lone dot", "quit"
_Expected = tuple[str, Transaction | None]


class Pipeline(asyncio.Protocol):
    """An open session. ``begun``: how many MAIL it has written."""

    def __init__(
        self,
        transport: asyncio.Transport,
        offers: Mapping[str, str],
        patience: Patience,
        may_begin: Callable[[], bool],
        rules: Rulebook,
        may_end: Callable[[], bool] = lambda: True,
        conceal: Callable[[str], str] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._offers = offers
        self._patience = patience
        self._may_begin = may_begin
        self._may_end = may_end
        self._rules = rules
        self._conceal = conceal  # takes out of the server's words what must not be kept of them
        # Asked, where the server pipelines, whenever one more can be staged: no task has to wake up for it.
        self.refill: Callable[[], Transaction | None] = nothing
        self.on_fault: Callable[[Exception], None] = _raised  # what to do with an error of that
        self.pipelines = "pipelining" in offers
        self.begun = 0
        self.is_open = True
        self._answers = AnswerReader()
        self._expected: deque[_Expected] = deque()
        self._current: Transaction | None = None  # begun, and its dot not out
        self._granted: Transaction | None = None  # its 354 came, and its dot is not out: the body's turn
        self._body_out = False  # of the granted one: all but its dot was given to the transport
        self._staged: Transaction | None = None  # goes out behind the current one's dot
        self._unclean = False  # the server may hold half a transaction: RSET comes first
        self._paused = False
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._waits_for: Callable[[], bool] = _always
        self._gone = self._loop.create_future()

    # -- what its owner does -------------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Nothing is under way, and nothing is staged that may begin."""
        return self._current is None and not self._expected and (self._staged is None or not self._may_begin())

    @property
    def has_room(self) -> bool:
        """:meth:`submit` may be called: it writes at once or stages."""
        return self._staged is None and (self.pipelines or self.is_idle)

    @property
    def writes_at_once(self) -> bool:
        """:meth:`submit` would write MAIL now."""
        return self.is_open and self._staged is None and self._current is None and (self.pipelines or self.is_idle)

    def submit(self, transaction: Transaction) -> None:
        """Begin the transaction now, else as soon as the current one's dot is out. One that the session's end
        overtakes before its MAIL was written comes back by :meth:`unstage`."""
        assert self.has_room
        transaction.commands = commands(transaction.posting, self._offers)
        self._staged = transaction
        if self._current is None and (self.pipelines or not self._expected) and self._stands():
            self._write(self._begin())

    def _refill(self) -> None:
        try:
            if (transaction := self.refill()) is not None:
                self.submit(transaction)
        except Exception as error:  # called by the transport, where it would end nothing but the connection
            self.on_fault(error)

    def unstage(self) -> Transaction | None:
        """Take back what was submitted and not begun."""
        staged, self._staged = self._staged, None
        return staged

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` (of this object) holds or the session has ended."""
        while self.is_open and not condition():
            self._waiter, self._waits_for = self._loop.create_future(), condition
            await self._waiter

    async def leave(self) -> None:
        """Say QUIT if nothing is under way, and close."""
        if self.is_open and self.is_idle and self._stands():
            self._expect(_QUIT, None)
            self._write(b"QUIT\r\n")
            try:
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self.until(lambda: not self._expected)
            except TimeoutError:
                pass
        self._close(_AFTER_THE_DOT)
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await asyncio.shield(self._gone)
        except TimeoutError:
            self._transport.abort()

    def abort(self) -> None:
        """Close without a word: a crash says no QUIT. What was under way is lost or in doubt."""
        self._close(_AFTER_THE_DOT, abruptly=True)

    # -- what the transport does ---------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        waited = due = len(self._expected)  # a reply to what is written only now cannot have come
        for answer in self._answers.feed(data):
            if not self.is_open:
                return
            if due:
                due -= 1
                self._hear(answer)
            else:
                self._hear_early(answer)
        if not self.is_open:
            return
        if due < waited and self._expected:
            self._deadline = self._loop.time() + self._wait_for(self._expected[0][0])
            self._arm()
        if self._granted is not None and not self._body_out:
            if not self._answers.is_between:
                self._hear_early(Answer(NOT_SMTP, "it spoke before the final dot"))
            elif not self._paused:
                self._write_body(self._granted)
        elif not self._expected and not self._answers.is_between:
            # It begins to say what nobody asked for: 421 before it closes, most of all.
            self._deadline = self._loop.time() + self._patience.reply
        if self._staged is None and self.pipelines:
            self._refill()
        self._notify()

    def eof_received(self) -> bool:
        self._close(_AFTER_THE_DOT)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._close(_AFTER_THE_DOT)
        if not self._gone.done():
            self._gone.set_result(None)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._granted is not None and self.is_open:
            if self._body_out:
                self._write_end(self._granted, _DOT)
            else:
                self._write_body(self._granted)
            self._notify()

    # -- writing -------------------------------------------------------------------------------------------------

    def _stands(self) -> bool:
        if self.is_open and self._transport.is_closing():
            self._close(_AFTER_THE_DOT)
        return self.is_open

    def _write(self, data: bytes) -> None:
        if data:
            self._transport.write(data)

    def _begin(self) -> bytes:
        """The staged transaction's first commands, to be written now; none if it may not begin or cannot."""
        transaction = self._staged
        if transaction is None or self._current is not None or not self._may_begin():
            return b""
        self._staged = None
        if needs_utf8(transaction.posting) and "smtputf8" not in self._offers:
            # RFC 6531 3.5: a mailbox that this relay cannot address. Not the person's fault, and no retry mends it. The
            # server was not asked: no code of its own.
            transaction.on_begin()
            transaction.end(Outcome(Kind.REFUSED, Phase.RCPT, text=NO_SMTPUTF8))
            return b""
        mail, rcpt = transaction.commands
        transaction.on_begin()
        self.begun += 1
        transaction.number = self.begun
        self._current = transaction
        reset = b""
        if self._unclean:
            self._unclean = False
            reset = b"RSET\r\n"
            self._expect(_RSET, transaction)
        self._expect(Phase.MAIL, transaction)
        if not self.pipelines:
            return mail
        self._expected += ((Phase.RCPT, transaction), (Phase.DATA, transaction))
        return b"%s%s%sDATA\r\n" % (reset, mail, rcpt)

    def _write_body(self, transaction: Transaction) -> None:
        if not self._stands():
            return
        wire = transaction.posting.wire
        if len(wire) > LARGE:
            # Until the dot is given to the transport, a loss is a safe loss.
            self._deadline = self._loop.time() + self._patience.block
            self._arm()
            self._body_out = True
            self._write(wire[: -len(_DOT)])
            if not self._paused:
                self._write_end(transaction, _DOT)
            return
        self._write_end(transaction, wire)

    def _write_end(self, transaction: Transaction, rest: bytes) -> None:
        """The rest of the body with the final dot, and behind it the next transaction's commands. From here on the dot
        may be on the wire."""
        if not self._stands():
            return
        if not self._may_end():
            self._close("this process was stopped before the final dot", abruptly=True)
            return
        transaction.dot_out = True
        self._granted = self._current = None
        self._body_out = False
        self._expect(Phase.FINAL, transaction)
        following = self._begin() if self.pipelines else b""
        self._write(rest + following if following else rest)

    # -- hearing -------------------------------------------------------------------------------------------------

    def _expect(self, phase: str, transaction: Transaction | None) -> None:
        if not self._expected:
            self._deadline = self._loop.time() + self._wait_for(phase)
            self._arm()
        self._expected.append((phase, transaction))

    def _hear(self, answer: Answer) -> None:
        if not self._expected:
            self._hear_early(answer)
            return
        phase, transaction = self._expected.popleft()
        code, text = answer
        if self.pipelines and 250 <= code <= 252 and (phase is Phase.RCPT or phase is Phase.MAIL):
            # Most of what is heard: taken, and what comes next was written long ago.
            if phase is Phase.RCPT and transaction is not None:
                transaction.recipient_taken = True
            return
        if phase is _QUIT:
            return
        if code in (421, NOT_SMTP):
            # It closes, or speaks something else than SMTP: its last answer that counts.
            if transaction is not None and phase != _LONE_DOT:
                transaction.end(self._last_words(phase, transaction, answer))
            self._close(_AFTER_THE_DOT)
            return
        if phase is _RSET:
            self._heard_reset(transaction, code)
        elif transaction is None or phase is _LONE_DOT:
            self._go_on()
        elif phase is Phase.FINAL:
            transaction.end(self._judge(transaction, Phase.FINAL, code, text))
            if not (200 <= code < 300 or 400 <= code < 600):
                self._close(_AFTER_THE_DOT)
            else:
                self._go_on()
        else:
            self._heard_command(cast(Phase, phase), transaction, code, text)

    def _judge(self, transaction: Transaction, phase: Phase, code: int, text: str) -> Outcome:
        recipient = transaction.posting.path
        outcome = classify(phase, code, text, rules=self._rules, provider=transaction.provider, recipient=recipient)
        return outcome if self._conceal is None else outcome._replace(text=self._conceal(text))

    def _last_words(self, phase: str, transaction: Transaction, answer: Answer) -> Outcome:
        if phase is _RSET:
            return lost(Phase.MAIL)
        if answer.code == NOT_SMTP:
            kind = Kind.IN_DOUBT if transaction.dot_out else Kind.DEFERRED
            text = answer.text if self._conceal is None else self._conceal(answer.text)
            return Outcome(kind, Phase(phase), NOT_SMTP, text=text)
        return self._judge(transaction, Phase(phase), answer.code, answer.text)

    def _heard_reset(self, transaction: Transaction | None, code: int) -> None:
        if code != 250:
            if transaction is not None:
                transaction.end(lost(Phase.MAIL, "the relay would not reset the session"))
            self._close(_AFTER_THE_DOT)
        elif transaction is None:
            self._go_on()

    def _heard_command(self, phase: Phase, transaction: Transaction, code: int, text: str) -> None:
        taken = code == 354 if phase is Phase.DATA else 250 <= code <= 252
        if phase is Phase.RCPT and taken:
            transaction.recipient_taken = True
        if not taken:
            self._unclean = True
            # Of a transaction that was refused before, this changes nothing.
            transaction.end(self._judge(transaction, phase, code, text))
            if not 400 <= code < 600:
                self._close(_AFTER_THE_DOT)
                return
        if phase is Phase.DATA:
            self._heard_data(transaction, granted=taken)
        elif not self.pipelines:
            if taken:
                self._next_command(Phase.RCPT if phase is Phase.MAIL else Phase.DATA, transaction)
            else:
                self._current = None
                self._go_on()

    def _heard_data(self, transaction: Transaction, *, granted: bool) -> None:
        if granted and not transaction.ended:
            self._granted = transaction  # data_received writes the body, if this was the last thing said
            self._deadline = self._loop.time() + self._patience.block
            return
        if granted and transaction.recipient_taken:
            # MAIL refused, RCPT taken, 354: to end the data would send an empty message to the recipient.
            self._close(_AFTER_THE_DOT, abruptly=True)
            return
        self._current = None
        if granted:
            # RFC 2920 3.1: 354 though no recipient was taken. A dot alone ends it, and nothing is sent to anybody.
            self._expect(_LONE_DOT, transaction)
            if self._stands():
                self._write(_DOT)
        self._go_on()

    def _next_command(self, phase: Phase, transaction: Transaction) -> None:
        """Without PIPELINING: one command, then its reply."""
        if not self._stands():
            return
        mail, rcpt = transaction.commands
        self._expect(phase, transaction)
        self._write({Phase.MAIL: mail, Phase.RCPT: rcpt, Phase.DATA: b"DATA\r\n"}[phase])

    def _go_on(self) -> None:
        """Something has ended: the staged one may begin. In lockstep a session is made clean before, and not when the
        next one begins: its MAIL has to follow the pace's gate at once (I6)."""
        if self._unclean and not self.pipelines:
            if self._stands():
                self._unclean = False
                self._expect(_RSET, None)
                self._write(b"RSET\r\n")
            return
        waits = self._staged is not None and self._current is None and (self.pipelines or not self._expected)
        if waits and self._stands():
            self._write(self._begin())

    def _hear_early(self, answer: Answer) -> None:
        """A reply that answers nothing. Between two transactions: the server closes, or raves. While a body is being
        written: its end did not go out, so 2yz cannot be about it; a refusal may be (too large), but no address is
        condemned on such words."""
        transaction = self._granted
        if transaction is not None:
            outcome = lost(Phase.DATA, "the relay spoke before the final dot")
            if 400 <= answer.code < 600:
                outcome = self._judge(transaction, Phase.FINAL, answer.code, answer.text)
                if outcome.kind is Kind.REFUSED:
                    outcome = Outcome(Kind.DEFERRED, Phase.FINAL, answer.code, outcome.enhanced, outcome.text)
            transaction.end(outcome)
        self._close(_AFTER_THE_DOT, abruptly=True)

    # -- ending --------------------------------------------------------------------------------------------------

    def _close(self, words: str, *, abruptly: bool = False) -> None:
        """The session is over: what was under way is in doubt if its dot was out, else lost."""
        if self.is_open:
            self.is_open = False
            if self._timer is not None:
                self._timer.cancel()
            for phase, transaction in self._expected:
                if transaction is not None and not transaction.ended:
                    where = Phase.MAIL if phase is _RSET else Phase(phase)
                    transaction.end(in_doubt(words) if transaction.dot_out else lost(where))
            self._expected.clear()
            for transaction in (self._granted, self._current):
                if transaction is not None:
                    transaction.end(lost(Phase.DATA))
            self._granted = self._current = None
            if not abruptly:
                self._transport.close()
        if abruptly:
            self._transport.abort()
        self._notify()

    def _notify(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done() and (not self.is_open or self._waits_for()):
            waiter.set_result(None)

    # -- patience ------------------------------------------------------------------------------------------------

    def _wait_for(self, phase: str) -> float:
        patience = self._patience
        if phase in (Phase.FINAL, _LONE_DOT):
            return patience.final
        return patience.data if phase == Phase.DATA else patience.reply

    def _arm(self) -> None:
        """One timer for all: it looks at the deadline when it goes off, for replies mostly come long before."""
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline, self._look)
        elif self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self.is_open or not (self._expected or self._granted):
            return
        if self._loop.time() < self._deadline:
            self._arm()
            return
        phase, transaction = self._expected[0] if self._expected else (Phase.DATA.value, self._granted)
        if transaction is not None:
            where = Phase.MAIL if phase in (_RSET, _LONE_DOT) else Phase(phase)
            transaction.end(
                in_doubt("no answer in time after the final dot") if transaction.dot_out else timed_out(where)
            )
        self._close(_AFTER_THE_DOT, abruptly=True)
