"""What an outcome means for a delivery: decided without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from notifier.campaign import RetrySection
from notifier.delivery.outcomes import Kind, Outcome, Phase
from notifier.delivery.record import Policy, decide
from notifier.delivery.states import OUTCOMES, State
from notifier.model import from_ms, to_ms
from notifier.storage.deliveries import Claim

NOW = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
POLICY = Policy(RetrySection(), resends=True, observe=timedelta(days=5))


def held(*, retries: int = 0, doubts: int = 0, first: datetime = NOW) -> Claim:
    return Claim(
        1, b"t" * 16, 1, "initial", 1, 1, 1, "other", 1, retries, doubts, to_ms(first), to_ms(NOW), 1,
        "clairval", "own", b"i" * 16, b"", True,
    )  # fmt: skip


def outcome(kind: Kind) -> Outcome:
    return Outcome(kind, Phase.RCPT, 450)


def decision(kind: Kind, policy: Policy = POLICY, **claim):
    return decide(held(**claim), outcome(kind), now=NOW, policy=policy, roll=0.0)


def test_accepted_is_observed_for_five_days():
    it = decision(Kind.ACCEPTED)
    assert it.state is State.ACCEPTED and from_ms(it.observe_until_ms) == NOW + timedelta(days=5)


def test_a_counted_and_an_uncounted_wait():
    counted, uncounted = decision(Kind.DEFERRED, retries=2), decision(Kind.PROVIDER_WAIT, retries=2)
    assert (counted.retries, uncounted.retries) == (3, 2)
    assert from_ms(counted.due_ms) == NOW + timedelta(hours=1)
    assert from_ms(uncounted.due_ms) == NOW + timedelta(minutes=30)


def test_given_up_after_the_limit_whatever_the_reason():
    for kind in (Kind.DEFERRED, Kind.PROVIDER_WAIT):
        it = decision(kind, first=NOW - timedelta(hours=72))
        assert it.state is State.EXPIRED and it.fails and it.kinds == ("delivery_expired",)


def test_what_seems_to_pass_while_a_server_answers_is_a_clock_that_was_set_or_a_sleep():
    """Of it, too, no more counts against the limit than the schedule's own longest wait."""
    one = held(first=NOW - timedelta(hours=40))
    for hours in (80, 0, -80):
        now = NOW + timedelta(hours=hours)
        it = decide(one, outcome(Kind.DEFERRED), now=now, policy=POLICY, roll=0.0)
        assert it.state is State.DEFERRED and timedelta(0) < from_ms(it.due_ms) - now <= timedelta(hours=12)
    old = held(first=NOW - timedelta(hours=60))
    it = decide(old, outcome(Kind.DEFERRED), now=NOW + timedelta(hours=80), policy=POLICY, roll=0.0)
    assert it.state is State.EXPIRED


@pytest.mark.parametrize("kind", [Kind.LOST, Kind.OURS])
def test_what_is_not_the_persons_never_expires_and_is_due_at_once(kind):
    it = decision(kind, retries=4, first=NOW - timedelta(days=30))
    assert (it.state, it.due_ms, it.retries) == (State.DEFERRED, to_ms(NOW), 4)


def test_in_doubt_once_then_held():
    first, second = decision(Kind.IN_DOUBT), decision(Kind.IN_DOUBT, doubts=1)
    assert first.state is second.state is State.IN_DOUBT
    assert from_ms(first.due_ms) == NOW + timedelta(minutes=15) and first.kinds == ("delivery_in_doubt",)
    assert second.due_ms == 0 and second.kinds == ("delivery_in_doubt", "delivery_held")


def test_the_policy_hold_holds_at_once():
    policy = Policy(RetrySection(), resends=False, observe=timedelta(0))
    assert decision(Kind.IN_DOUBT, policy).due_ms == 0


def test_every_kind_leads_out_of_sending():
    for kind in Kind:
        it = decision(kind)
        assert it.state in OUTCOMES
        assert it.fails == (kind is Kind.REFUSED)
        assert bool(it.kinds) == (kind is not Kind.RELEASED), "no outcome without a trace (I4)"
