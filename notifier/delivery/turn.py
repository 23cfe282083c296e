"""The body of one cycle's transaction: record what has ended, reserve slots, mark the next.

It runs on the cycle's thread, inside one transaction (storage/cycle.py), and touches nothing but what it is given:
all of it commits together or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from notifier.delivery import quota, slots, traffic
from notifier.delivery.lanes import Lane
from notifier.delivery.limits import Limits
from notifier.delivery.pace import Lease
from notifier.delivery.pause import pause_now
from notifier.delivery.quota import Quota
from notifier.delivery.record import Decision, Ended, Fate, record_all
from notifier.delivery.rules import Provider
from notifier.delivery.slots import LaneWish, Reserved
from notifier.delivery.states import Event, State, advance
from notifier.delivery.traffic import Wait
from notifier.model import Entry, to_ms
from notifier.storage import cycle, deliveries, pace
from notifier.storage.cycle import Connection
from notifier.storage.deliveries import Claim
from notifier.storage.due_lanes import Chosen
from notifier.vault import Vault


@dataclass(frozen=True, slots=True)
class Wish:
    """What a cycle is asked to do. ``room``: how many may be claimed; ``among``: only these ids; ``notes``: entries
    about the run itself; ``unwritten``: claimed before and not begun, covered by the lease too; ``pause_words``: not
    empty = pause the campaign; ``provider_of``: what the rules say of a provider; ``limits``: of the campaign;
    ``longest_ms``: between two attempts, as far as it counts (schedule.py); ``last``: when the cycle before was;
    ``outstanding``: claimed by then and not recorded; ``lanes``: slots of lanes that have a pace of their own (None: no
    lane has); ``number``: of the cycle, if it shall leave a mark by which :mod:`.salvage` knows that it was committed
    (0: it leaves none); ``again``: deliveries that led to the pause."""

    ends: list[tuple[Ended, Decision]]
    notes: list[Entry]
    room: int
    among: list[int] | None
    lease: Lease | None
    relay: str
    unwritten: int
    wave_id: int | None
    epoch: int
    resends: bool
    pause_words: str
    by: str
    now: datetime
    provider_of: Callable[[str], Provider]
    limits: Limits
    longest_ms: int
    last: datetime | None
    outstanding: int
    lanes: LaneWish | None = None
    number: int = 0
    again: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """What it brought back. ``room``: how many might have been claimed; ``next_due``: asked only when nothing was
    claimed, with what stands before it (``why``); ``overtaken``: the pace's bucket, when somebody else had moved it
    (nothing was claimed then); ``is_deposed``: another sender has begun, and what has ended came late; ``lanes``: what
    became of their slots; ``kept``: all lanes that were ever told to wait."""

    fates: list[Fate]
    claims: list[Claim]
    room: int
    paused: str | None = None
    next_due: int | None = None
    why: str = ""
    leased: bool = False
    overtaken: int | None = None
    is_deposed: bool = False
    lanes: Reserved = field(default_factory=Reserved)
    kept: Mapping[str, Lane] = field(default_factory=dict)


def take_turn(connection: Connection, *, vault: Vault, wish: Wish) -> Turn:
    """One cycle, in the caller's transaction."""
    before = connection.total_changes
    cycle.append(connection, wish.notes)
    lanes = traffic.read(connection)
    fates = record_all(connection, vault, traffic.move(connection, lanes, wish.ends, wish.provider_of))
    if deliveries.sender_epoch(connection) != wish.epoch:
        return Turn(fates, [], 0, is_deposed=True, kept=lanes)
    allowed = _count(connection, wish, fates)
    if wish.pause_words:
        pause_now(connection, reason=wish.pause_words, by=wish.by, now=wish.now)
        deliveries.due_again(connection, wish.again, now_ms=to_ms(wish.now))
    elif wish.outstanding == len(fates):
        allowed.sing(connection, wish.by)
    paused = deliveries.paused_reason(connection)
    lease, overtaken = wish.lease, None
    if lease is not None:
        stored = pace.stored(connection, wish.relay)
        overtaken = stored if stored != lease.was else None
    room = min(wish.room, allowed.allowance.most)
    claims: list[Claim] = []
    chosen: Chosen | None = None
    moved = slots.overtaken(connection, wish.lanes) if wish.lanes else {}
    if room > 0 and paused is None and overtaken is None:
        claims, chosen = _claim(connection, wish, room, traffic.resting(lanes, to_ms(wish.now)), moved)
        allowed.count(connection, len(claims))
    reserved = slots.reserve(connection, wish.lanes, moved, chosen, claims) if wish.lanes else Reserved()
    leased = False
    if lease is not None and overtaken is None and (claims or wish.unwritten) and lease.until != lease.was:
        leased = pace.lease(connection, wish.relay, lease.was, lease.until)
    due = None
    if not claims:
        due = next_due(connection, lanes, allowed, wave_id=wish.wave_id, resend=wish.resends)
    until, why = (None, "") if due is None else (due.until_ms, due.why)
    if wish.number and connection.total_changes != before:
        deliveries.mark(connection, wish.number)  # one that has changed nothing may as well be taken again
    return Turn(fates, claims, room, paused, until, why, leased, overtaken, lanes=reserved, kept=lanes)


def next_due(
    connection: Connection, lanes: dict[str, Lane], allowed: Quota, *, wave_id: int | None, resend: bool
) -> Wait | None:
    """When the next delivery may be claimed; None if none waits."""
    now_ms = to_ms(allowed.now)
    return allowed.later(traffic.next_due(connection, lanes, wave_id=wave_id, resend=resend, now_ms=now_ms))


def _count(connection: Connection, wish: Wish, fates: list[Fate]) -> Quota:
    """The counters after what has ended, and after an hour that has."""
    quota.carry(connection, wish.limits, last=wish.last, now=wish.now, outstanding=wish.outstanding)
    if any(fate.kind == "released" for fate in fates):
        quota.give_back(connection, wish.limits, fates, canary=True)
    return quota.read(connection, wish.limits, wish.now)


def _claim(
    connection: Connection, wish: Wish, room: int, resting: list[str], moved: Mapping[str, int]
) -> tuple[list[Claim], Chosen | None]:
    now_ms = to_ms(wish.now)
    if wish.resends:
        again = advance(State.IN_DOUBT, Event.RESEND)
        deliveries.resend(connection, state=again, now_ms=now_ms, wave_id=wish.wave_id)
    among = None if wish.among is None else wish.among[:room]
    chosen = None
    if wish.lanes:
        chosen = slots.choose(
            connection, wish.lanes, moved, now_ms=now_ms, most=room, wave_id=wish.wave_id, resting=resting, among=among
        )
        among = chosen.ids
    ids = deliveries.claim(
        connection,
        now_ms=now_ms,
        epoch=wish.epoch,
        most=room,
        wave_id=wish.wave_id,
        among=among,
        resting=resting,
        longest_ms=wish.longest_ms,
    )
    return deliveries.fetch(connection, ids), chosen
