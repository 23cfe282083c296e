"""When a delivery is tried again, and when it is given up (RFC 5321 4.5.4.1). Pure: ``roll`` is a random number in
[0, 1) that the caller draws.

The limit is one of *trying*. A campaign that was paused, a lane at rest, a `send` that nobody started for a weekend,
a million others that go first: of the time between two attempts, no more counts than the schedule's own longest
delay. (Postfix counts what lay on hold, and gives it up at the first refusal after it.)
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from notifier.campaign import RetrySection

JITTER = 0.2


def delay(retry: RetrySection, retries: int, roll: float) -> timedelta:
    """How long to wait after ``retries`` counted attempts (1 = the first): doubling from ``first_seconds`` up to
    ``max_seconds``, plus up to a fifth, so that what failed together does not come back together."""
    doublings = min(max(retries, 1) - 1, 40)
    seconds = min(retry.first_seconds * 2.0**doublings, max(retry.max_seconds, retry.first_seconds))
    return timedelta(seconds=seconds * (1 + JITTER * roll))


def longest(retry: RetrySection) -> timedelta:
    """The longest that this schedule lets pass between two attempts."""
    return delay(retry, 1000, 1.0)


def waited(retry: RetrySection, *, attempts: int, since: timedelta) -> int:
    """As :func:`delay`'s ``retries`` for waits that are not counted, so that they become longer too: one for each of
    ``attempts`` so far, but no wait longer than the time that has passed ``since`` the first attempt. (Attempts alone
    would say too much: those of before a `requeue` are among them, and connections that were lost.)"""
    doublings = math.log2(max(1.0, since.total_seconds() / retry.first_seconds))
    return min(attempts, 1 + int(doublings))


def next_due(retry: RetrySection, *, first: datetime, now: datetime, retries: int, roll: float) -> datetime | None:
    """The next attempt's time, or None when the delivery has had its time (``give_up_hours`` since ``first``, the
    beginning of the first attempt). The last attempt falls on the limit itself, not days before it."""
    limit = first + timedelta(hours=retry.give_up_hours)
    if now >= limit:
        return None
    return min(now + delay(retry, retries, roll), limit)
