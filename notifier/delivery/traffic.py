"""The lanes as they are kept: read, moved by what has ended, written down and journaled, in one cycle's transaction.

Only replies about a recipient (RCPT and later) of a provider that data/providers.toml names move its lane. What a relay
says before is the relay's, and *other* is thousands of servers that know nothing of each other: one that is busy says
nothing of the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from datetime import datetime

from notifier.delivery.lanes import Lane, after
from notifier.delivery.outcomes import Kind, Outcome, Phase
from notifier.delivery.record import Decision, Ended
from notifier.delivery.rules import OTHER, Provider
from notifier.delivery.states import Event
from notifier.model import Entry, from_ms, to_ms, utc_text
from notifier.storage import cycle, deliveries, lanes, tempo
from notifier.storage.cycle import Connection
from notifier.storage.lanes import LaneRow

MINUTE_MS = 60_000
_ABOUT_RECIPIENTS = frozenset({Phase.RCPT, Phase.DATA, Phase.FINAL})


@dataclass(frozen=True, slots=True)
class Wait:
    """When something may go on, and why not before, in words."""

    until_ms: int
    why: str


def read(connection: Connection) -> dict[str, Lane]:
    """By provider; who was never told to wait is not there."""
    return {row.provider: Lane(*row) for row in lanes.kept(connection)}


def move(
    connection: Connection,
    kept: dict[str, Lane],
    ends: Iterable[tuple[Ended, Decision]],
    provider_of: Callable[[str], Provider],
) -> list[tuple[Ended, Decision]]:
    """What the outcomes do to their lanes, stored and journaled; ``kept`` is changed. Whoever was told to wait by a
    provider waits for its lane, not for a schedule of their own: they come due when it opens, whoever opens it."""
    before, moved = dict(kept), []
    for end, decision in ends:
        way, name, outcome = decision, end.held.provider, end.outcome
        waits = outcome.kind is Kind.PROVIDER_WAIT
        if (waits or name in kept) and _counts(outcome, name):
            now_ms = to_ms(end.at)
            lane = kept.get(name) or Lane(name)
            was, lane = lane, after(lane, outcome, provider_of(name), now_ms)
            if lane.factor < 1.0 <= was.factor:
                lane = replace(lane, base=_given(connection, name, now_ms) or provider_of(name).per_second)
            kept[name] = lane
            if waits and way.event is Event.DEFER and lane.rests(now_ms):
                way = way._replace(due_ms=now_ms)
        moved.append((end, way))
    changed = [lane for name, lane in kept.items() if lane != before.get(name)]
    if changed:
        lanes.keep(connection, [LaneRow(*astuple(lane)) for lane in changed])
        closed = [lane for lane in changed if lane.until_ms > (before.get(lane.provider) or Lane("")).until_ms]
        at = max(end.at for end, _ in moved)
        cycle.append(connection, [_closed(lane, at) for lane in closed])
    return moved


def _given(connection: Connection, provider: str, now_ms: int) -> float:
    """Messages per second that a provider was given in the last minute, of which it wants less; 0 if nobody knows (then
    what data/providers.toml proposes is taken for it)."""
    count, first_ms = tempo.of_provider(connection, provider, since_ms=now_ms - MINUTE_MS)
    return count * 1000 / max(1000, now_ms - first_ms)


def _counts(outcome: Outcome, provider: str) -> bool:
    return outcome.phase in _ABOUT_RECIPIENTS and provider != OTHER


def _closed(lane: Lane, at: datetime) -> Entry:
    facts = {
        "provider": lane.provider,
        "until": utc_text(from_ms(lane.until_ms)),
        "share": f"{lane.factor:g}",
        "why": lane.why,
    }
    return Entry(at, "lane_closed", facts=facts)


def resting(kept: Mapping[str, Lane], now_ms: int) -> list[str]:
    """The providers of which nothing is claimed now."""
    return [name for name, lane in kept.items() if lane.rests(now_ms)]


def waits(lane: Lane) -> str:
    """Why nothing is taken from it, in words."""
    if lane.is_paused:
        return f"the lane {lane.provider} is {lane.why} (`notifier resume --provider {lane.provider}` opens it)"
    return f"the lane {lane.provider} rests: {lane.why}"


def next_due(
    connection: Connection, kept: dict[str, Lane], *, wave_id: int | None, resend: bool, now_ms: int
) -> Wait | None:
    """When the next delivery may be claimed, as far as schedules and lanes say; None if none waits."""
    closed = resting(kept, now_ms)
    due = deliveries.next_due(connection, wave_id=wave_id, resend=resend, resting=closed)
    first = None if due is None else Wait(due, "")
    if first is not None and first.until_ms <= now_ms:
        return first
    for lane in sorted((kept[name] for name in closed), key=lambda one: one.until_ms):
        if first is not None and first.until_ms <= lane.until_ms:
            break
        due = deliveries.next_due_of_lane(connection, lane.provider, wave_id=wave_id)
        if due is not None and (first is None or max(due, lane.until_ms) < first.until_ms):
            first = Wait(max(due, lane.until_ms), waits(lane))
    return first
