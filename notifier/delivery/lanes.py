"""Lanes: one per provider, between the campaign's pace and a provider that does not bear it. Pure; ``now`` in ms.

A provider's reply is about its lane, never about the person (DOMAIN D5): *wait* lets the lane rest, *throttle* halves
its pace and lets it rest, three throttles in a row *close* it for the provider's own time, and what is accepted
afterwards gives the pace back step by step. A lane that rests is not claimed from: nobody's attempts are spent on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from notifier.delivery.outcomes import Kind, Outcome
from notifier.delivery.rules import Action, Provider, Verdict

IN_A_ROW = 3  # throttles that close a lane
REST_SECONDS = 60  # after a first throttle; doubled by the next
RECOVER_SECONDS = 600  # without a throttle, before the pace grows by a step
STEP = 0.1  # of the full pace
SLOWEST = 1 / 64
FOREVER_MS = 221_845_392_000_000  # the year 9000: of a lane that somebody paused, until somebody opens it
BY_HAND = "paused by hand: "


@dataclass(frozen=True, slots=True)
class Lane:
    """``factor``: share of the provider's pace that is used; ``until_ms``: it rests until then (0: it does not);
    ``throttles``: in a row; ``since_ms``: when the factor last changed; ``why``: of the rest, for whoever watches;
    ``base``: messages per second that it was given when the share began to fall, which is what a lane without a pace of
    its own has the share of (delivery/paces.py; 0: it never fell)."""

    provider: str
    factor: float = 1.0
    throttles: int = 0
    until_ms: int = 0
    since_ms: int = 0
    why: str = ""
    base: float = 0.0

    def rests(self, now_ms: int) -> bool:
        """Whether nothing is claimed from it now."""
        return now_ms < self.until_ms

    @property
    def is_paused(self) -> bool:
        """Whether somebody paused it: it does not open by itself."""
        return self.until_ms >= FOREVER_MS


def after(lane: Lane, outcome: Outcome, provider: Provider, now_ms: int) -> Lane:
    """The lane after an attempt on it ended. The same lane when nothing changed; its ``base`` is its owner's to set.

    Of several transactions that were under way when the first was throttled, each brings the same news: while the lane
    rests, a further throttle neither halves nor counts again.
    """
    verdict = outcome.verdict
    if outcome.kind is Kind.ACCEPTED:
        return _recovered(lane, now_ms)
    if outcome.kind is not Kind.PROVIDER_WAIT or verdict is None:
        return lane
    if verdict.action is Action.THROTTLE:
        return lane if lane.rests(now_ms) else _throttled(lane, verdict, provider, now_ms)
    usual = provider.close_seconds if verdict.action is Action.CLOSE else REST_SECONDS
    return _resting(lane, verdict.seconds or usual, now_ms, verdict.why)


def _throttled(lane: Lane, verdict: Verdict, provider: Provider, now_ms: int) -> Lane:
    throttles = lane.throttles + 1
    slower = replace(lane, factor=max(SLOWEST, lane.factor / 2), throttles=throttles, since_ms=now_ms)
    if throttles >= IN_A_ROW:
        return _resting(replace(slower, throttles=0), provider.close_seconds, now_ms, verdict.why)
    return _resting(slower, REST_SECONDS * 2 ** (throttles - 1), now_ms, verdict.why)


def _resting(lane: Lane, seconds: int, now_ms: int, why: str) -> Lane:
    """Until the later of the two ends: a short wait does not open what a block has closed."""
    until = now_ms + seconds * 1000
    return replace(lane, until_ms=until, why=why) if until > lane.until_ms else lane


def _recovered(lane: Lane, now_ms: int) -> Lane:
    """What was accepted ends a row of throttles; the pace comes back in steps (additive, as it was taken by half)."""
    if lane.rests(now_ms):
        return lane  # begun before the throttle
    if lane.factor < 1.0 and now_ms - lane.since_ms >= RECOVER_SECONDS * 1000:
        return replace(lane, factor=min(1.0, round(lane.factor + STEP, 4)), throttles=0, since_ms=now_ms)
    return replace(lane, throttles=0) if lane.throttles else lane


def paused(lane: Lane, reason: str) -> Lane:
    """Somebody says by name that nothing more is to go to this provider (`pause --provider`). No reply shortens it."""
    return replace(lane, until_ms=FOREVER_MS, why=BY_HAND + reason)


def opened(lane: Lane) -> Lane:
    """Somebody says by name that the lane may be used again (`resume --provider`)."""
    return Lane(lane.provider)
