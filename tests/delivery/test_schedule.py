"""When a delivery is tried again (RFC 5321 4.5.4.1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from notifier.campaign import RetrySection
from notifier.delivery.schedule import delay, next_due, waited

RETRY = RetrySection(first_seconds=900, max_seconds=43200, give_up_hours=72)
FIRST = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)


def test_delays_double_up_to_the_longest():
    minutes = [delay(RETRY, retries, 0.0).total_seconds() / 60 for retries in range(1, 9)]
    assert minutes == [15, 30, 60, 120, 240, 480, 720, 720]
    assert delay(RETRY, 10**6, 0.0) == timedelta(hours=12)


def test_jitter_only_lengthens_and_stays_below_a_fifth():
    for roll in (0.0, 0.5, 0.999):
        assert timedelta(minutes=15) <= delay(RETRY, 1, roll) < timedelta(minutes=18)


def test_the_last_attempt_falls_on_the_limit_and_then_it_is_over():
    limit = FIRST + timedelta(hours=72)
    assert next_due(RETRY, first=FIRST, now=limit - timedelta(hours=1), retries=8, roll=0.5) == limit
    assert next_due(RETRY, first=FIRST, now=limit, retries=9, roll=0.5) is None


def test_a_whole_life():
    now, attempts = FIRST, 1
    while (due := next_due(RETRY, first=FIRST, now=now, retries=attempts, roll=0.0)) is not None:
        assert due > now
        now, attempts = due, attempts + 1
    assert now == FIRST + timedelta(hours=72) and attempts == 12


def test_waits_of_a_provider_back_off_by_attempts_and_by_no_more_than_has_passed():
    """Not counted, but not every quarter of an hour for three days either; after `requeue`, or a night without a
    sender, the first wait is a short one again."""
    hour = timedelta(hours=1)
    assert waited(RetrySection(), attempts=1, since=timedelta(0)) == 1
    assert waited(RetrySection(), attempts=9, since=timedelta(0)) == 1, "requeued: the schedule begins anew"
    assert waited(RetrySection(), attempts=2, since=9 * hour) == 2, "a night without a sender"
    assert [waited(RetrySection(), attempts=9, since=hour / 4 * 2**n) for n in range(5)] == [1, 2, 3, 4, 5]
    assert waited(RetrySection(first_seconds=0.001), attempts=10**9, since=hour * 72) < 40
