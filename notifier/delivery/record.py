"""The only door through which an attempt changes a delivery. (What somebody decides by name: doubts.py, requeue.py.)

:func:`decide` says what an outcome means for a delivery: pure, ``now`` and a random number passed in. :func:`record`
does it, in the caller's transaction: guarded update (id, state, attempt, epoch), attempt row, journal entry, and for a
failed address what takes its place: an e-mail to the contact's second address after a definite refusal of the first, or
where no letter can be sent, else a letter. All of it commits together or not at all (I4, I1).

An outcome that comes late (the guard finds another attempt or epoch) is written down as late, never dropped; if it
says accepted and the delivery still waits, it is not sent again. If everybody whom the delivery informs was taken out
while it was being sent, nothing that writes to them follows on the outcome (recalled.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from notifier.campaign import RetrySection, Settings
from notifier.delivery import recalled
from notifier.delivery.entries import in_time, written
from notifier.delivery.outcomes import Kind, Outcome
from notifier.delivery.replies import redacted, verbatim
from notifier.delivery.schedule import delay, longest, next_due, waited
from notifier.delivery.states import TRANSITIONS, Event, State, advance, sources
from notifier.model import from_ms, to_ms, utc_text
from notifier.storage import cycle, deliveries
from notifier.storage import recalled as marks
from notifier.storage.cycle import Connection
from notifier.storage.deliveries import AttemptRow, Claim, Move
from notifier.vault import Vault


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that decide."""

    retry: RetrySection
    resends: bool  # [doubt] policy
    observe: timedelta

    @property
    def longest_ms(self) -> int:
        """How much of the time between two attempts counts against the limit."""
        return int(longest(self.retry).total_seconds() * 1000)

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        return cls(settings.retry, settings.doubt.policy == "resend", timedelta(days=settings.campaign.observe_days))


class Decision(NamedTuple):
    """What becomes of a delivery after an attempt. ``kinds``: of the journal entries; ``fails``: a letter is due."""

    event: Event
    due_ms: int = 0
    retries: int = 0
    doubts: int = 0
    observe_until_ms: int | None = None
    kinds: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        return advance(State.SENDING, self.event)

    @property
    def fails(self) -> bool:
        return self.event in (Event.REFUSE, Event.EXPIRE)


def decide(  # noqa: PLR0911  (a table, read downwards)
    held: Claim, outcome: Outcome, *, now: datetime, policy: Policy, roll: float
) -> Decision:
    """The step out of SENDING. Counted are only attempts that say something of this person's mailbox; a wait for the
    provider, a fault of ours and a lost connection leave ``retries`` as it was. Waits become longer all the same."""
    retries, doubts = held.retries, held.doubts
    if outcome.kind is Kind.ACCEPTED:
        until = to_ms(now + policy.observe)
        return Decision(Event.ACCEPT, 0, retries, doubts, until, ("delivery_accepted",))
    if outcome.kind is Kind.REFUSED:
        return Decision(Event.REFUSE, 0, retries, doubts, None, ("delivery_refused",))
    if outcome.kind is Kind.IN_DOUBT:
        if policy.resends and doubts == 0:
            # Once more: being told twice is better than not at all (RFC 1047 leaves no third way).
            due = to_ms(now + delay(policy.retry, 1, roll))
            return Decision(Event.DOUBT, due, retries, 1, None, ("delivery_in_doubt",))
        return Decision(Event.DOUBT, 0, retries, doubts + 1, None, ("delivery_in_doubt", "delivery_held"))
    if outcome.kind is Kind.RELEASED:
        return Decision(Event.RELEASE, 0, retries, doubts)
    if outcome.kind is Kind.UNMADE:
        return Decision(Event.SET_ASIDE, 0, retries, doubts, None, ("delivery_unmade",))
    if outcome.kind in (Kind.LOST, Kind.OURS):
        return Decision(Event.DEFER, to_ms(now), retries, doubts, None, ("delivery_deferred",))
    counted = retries + (outcome.kind is Kind.DEFERRED)
    # No server takes that long: the clock was set meanwhile, or the machine slept. As between two attempts.
    untried = max(0, to_ms(now) - held.started_ms - policy.longest_ms)
    first = from_ms(held.first_ms + untried)
    so_far = counted
    if outcome.kind is Kind.PROVIDER_WAIT:
        so_far = max(counted, waited(policy.retry, attempts=held.attempt, since=now - first))
    due_at = next_due(policy.retry, first=first, now=now, retries=so_far, roll=roll)
    if due_at is None:
        return Decision(Event.EXPIRE, 0, counted, doubts, None, ("delivery_expired",))
    return Decision(Event.DEFER, to_ms(due_at), counted, doubts, None, ("delivery_deferred",))


class Ended(NamedTuple):
    """An attempt that has ended. ``reply``: redacted; ``reply_sealed``: verbatim; both empty when nobody replied.
    ``relay``: the one that it was tried with, "" if none was."""

    held: Claim
    outcome: Outcome
    at: datetime
    reply: str = ""
    reply_sealed: bytes | None = None
    reply_sha256: str = ""
    notice_sha256: str = ""
    relay: str = ""

    def __repr__(self) -> str:
        return f"Ended({self.held!r})"


def ended(
    held: Claim,
    outcome: Outcome,
    *,
    at: datetime,
    vault: Vault,
    forbidden: tuple[str, ...],
    notice_sha256: str,
    relay: str = "",
) -> Ended:
    """An attempt's end, its reply made fit to be kept (I8)."""
    if outcome.code is None:
        return Ended(held, outcome, at, reply=outcome.text, notice_sha256=notice_sha256, relay=relay)
    spoken = verbatim(outcome.text)
    return Ended(
        held,
        outcome,
        at,
        reply=redacted(outcome.text, forbidden),
        reply_sealed=vault.seal_bytes("reply", held.token, spoken),
        reply_sha256=vault.blinded_sha256("reply", held.token, held.attempt, spoken),
        notice_sha256=notice_sha256,
        relay=relay,
    )


class Fate(NamedTuple):
    """What was recorded, for the mail log and the counts: an entry's kind without ``delivery_``, or "released"."""

    kind: str
    ended: Ended
    late: bool = False
    then: str = ""

    def line(self) -> str:
        """One line of the mail log: ids, codes and the redacted reply, no personal data."""
        kind, (held, (_, phase, code, enhanced, _, _), at, reply, *_), is_late, then = self
        late = " late=1" if is_late else ""
        then = f" then={then}" if then else ""
        return (
            f"{utc_text(at)} {kind} delivery={held.token.hex()} attempt={held.attempt} "
            f'phase={phase!s} code={code or "-"} enhanced={enhanced or "-"}{then}{late} reply="{reply}"'
        )


def record_all(connection: Connection, vault: Vault, ends: Sequence[tuple[Ended, Decision]]) -> list[Fate]:
    """:func:`record` for each of them. What needs no letter goes in three statements for all; if one of them came
    late, one by one."""
    plain = [(end, decision, to_ms(end.at)) for end, decision in ends if decision.event in _PLAIN]
    if len(plain) < 2 or not deliveries.move_all(
        connection, [(end.held, _step(way, now_ms)) for end, way, now_ms in plain]
    ):
        return [record(connection, vault, end, decision) for end, decision in ends]
    deliveries.add_attempts(connection, [(end.held, _row(end, now_ms)) for end, _, now_ms in plain], late=False)
    cycle.append_written(connection, [in_time(kind, end) for end, way, _ in plain for kind in way.kinds])
    return [
        Fate(_word(decision), end) if decision.event in _PLAIN else record(connection, vault, end, decision)
        for end, decision in ends
    ]


_PLAIN = frozenset({Event.ACCEPT, Event.DEFER, Event.DOUBT})
_STATES = {event: str(state) for (source, event), state in TRANSITIONS.items() if source is State.SENDING}


def _step(way: Decision, now_ms: int) -> Move:
    event, due_ms, retries, doubts, observe_until_ms, _ = way
    return Move(_STATES[event], now_ms, due_ms, retries, doubts, observe_until_ms)


def recorded(connection: Connection, ends: Sequence[tuple[Ended, Decision]]) -> list[Fate]:
    """What :func:`record_all` told of them, read again after its commit."""
    late = deliveries.late(connection, (end.held.id for end, _ in ends))
    replaced = deliveries.replaced(connection, (end.held.id for end, decision in ends if decision.fails))
    fates = []
    for end, decision in ends:
        if decision.event is Event.RELEASE:
            fates.append(Fate("released", end))
            continue
        is_late = (end.held.id, end.held.attempt) in late
        then = _successor(end.held, decision) if decision.fails and not is_late else ""
        if then not in ("", "unreachable") and end.held.id not in replaced:
            then = recalled.EXCLUDED
        fates.append(Fate(decision.kinds[0].removeprefix("delivery_"), end, is_late, then))
    return fates


def record(connection: Connection, vault: Vault, end: Ended, decision: Decision) -> Fate:
    """Record how an attempt ended, in the caller's transaction."""
    if _step_out(connection, end, decision):
        return _record(connection, vault, end, decision)
    if not marks.unmark(connection, end.held):
        return _record_late(connection, end, decision)
    is_owed = marks.is_owed(connection, end.held.id)
    if decision.event is Event.DOUBT and not is_owed:
        decision = decision._replace(due_ms=0, kinds=decision.kinds[:1])  # not sent once more, whatever the policy
    _step_out(connection, end, decision)
    return _record(connection, vault, end, decision, is_owed=is_owed)


def _step_out(connection: Connection, end: Ended, decision: Decision) -> bool:
    now_ms = to_ms(end.at)
    if decision.event is Event.RELEASE:
        return deliveries.release(connection, end.held, decision.state, now_ms)
    return deliveries.move(connection, end.held, _step(decision, now_ms))


def _record(connection: Connection, vault: Vault, end: Ended, decision: Decision, *, is_owed: bool = True) -> Fate:
    """After the step. ``is_owed``: the delivery informs somebody who is not out."""
    held, now_ms, facts, then = end.held, to_ms(end.at), {}, ""
    if decision.fails:
        letter, then = b"", recalled.EXCLUDED
        if is_owed:
            letter, then = _replacement(connection, vault, held, decision, now_ms)
        facts = {"then": then, "letter": letter.hex()}
    if decision.event is not Event.RELEASE:
        deliveries.add_attempts(connection, [(held, _row(end, now_ms))], late=False)
        cycle.append_written(connection, [written(kind, end, {**facts, "late": False}) for kind in decision.kinds])
    if not is_owed:
        then = recalled.settle(connection, vault, held, decision.state, end.at) or then
    return Fate(_word(decision), end, then=then)


def _word(decision: Decision) -> str:
    return decision.kinds[0].removeprefix("delivery_") if decision.kinds else "released"


def _record_late(connection: Connection, end: Ended, decision: Decision) -> Fate:
    if decision.event is Event.RELEASE:
        return Fate("released", end)
    now_ms = to_ms(end.at)
    state = State(deliveries.state_of(connection, end.held.id))
    if decision.event is Event.ACCEPT and state in sources(Event.ACCEPT_LATE):
        deliveries.accept_late(
            connection,
            end.held.id,
            was=state,
            state=advance(state, Event.ACCEPT_LATE),
            now_ms=now_ms,
            observe=decision.observe_until_ms or now_ms,
        )
    deliveries.add_attempts(connection, [(end.held, _row(end, now_ms))], late=True)
    cycle.append_written(connection, [written(kind, end, {"late": True}) for kind in decision.kinds[:1]])
    return Fate(_word(decision), end, late=True)


def _successor(held: Claim, decision: Decision) -> str:
    """What takes a failed e-mail's place, and so what becomes of its persons: "second_address", "post" or
    "unreachable". Where the first address only never answered, the second would wait as long: by letter, then, if one
    can be sent."""
    second = held.has_second and not held.is_second
    if second and (decision.event is Event.REFUSE or not held.has_postal):
        return "second_address"
    return "post" if held.has_postal else "unreachable"


def _replacement(
    connection: Connection, vault: Vault, held: Claim, decision: Decision, now_ms: int
) -> tuple[bytes, str]:
    """What takes the e-mail's place: its token, and which it is."""
    successor = _successor(held, decision)
    if successor == "second_address":
        token = _free_token(connection, vault, held, "mail")
        number = vault.reference_number(token.hex())
        written = deliveries.write_second(
            connection, held, token=token, reference=number, state=State.QUEUED, now_ms=now_ms
        )
        return (token if written else b""), successor
    if successor == "unreachable":
        return b"", successor
    token = _free_token(connection, vault, held, "post")
    number = vault.reference_number(token.hex())
    written = deliveries.write_letter(
        connection, held, token=token, reference=number, state=State.TO_PRINT, now_ms=now_ms
    )
    return (token if written else b""), successor


def _free_token(connection: Connection, vault: Vault, held: Claim, channel: str) -> bytes:
    persons = sorted(f"{one.sender}:{one.identity.hex()}" for one in deliveries.informed(connection, held.id))
    parts = ["delivery", held.wave, channel, held.form, *persons]
    token, number = vault.token(*parts), 1
    while deliveries.token_exists(connection, token):
        number += 1
        token = vault.token(*parts, f"#{number}")
    return token


def _row(end: Ended, now_ms: int) -> AttemptRow:
    _, (kind, phase, code, enhanced, _, _), _, reply, reply_sealed, _, notice_sha256, _ = end
    return AttemptRow(str(kind), str(phase), code, enhanced, reply, reply_sealed, notice_sha256, now_ms)
