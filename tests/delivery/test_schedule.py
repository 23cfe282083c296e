"""When a delivery is tried again (RFC 5321 4.5.4.1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from notifier.campaign import RetrySection
from notifier.delivery.schedule import delay, next_due

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
