"""What the campaign allows beside its rate (I6): pure."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from notifier.delivery.hours import Hours
from notifier.delivery.limits import CANARY, UNLIMITED, Limits

PARIS = ZoneInfo("Europe/Paris")
NOON = datetime(2024, 2, 9, 11, 20, tzinfo=UTC)


def test_without_limits_nothing_is_counted():
    limits = Limits(PARIS)
    assert limits.counters(NOON, canary=True) == [] and limits.allowance(NOON, {}, canary=True).most == UNLIMITED


def test_the_tighter_cap_holds_and_the_later_one_says_when():
    limits = Limits(PARIS, per_hour=10, per_day=12)
    hour, day = limits.counters(NOON, canary=False)
    assert limits.allowance(NOON, {hour: 3, day: 9}, canary=False).most == 3
    both = limits.allowance(NOON, {hour: 10, day: 12}, canary=False)
    assert both.most == 0 and both.goes_on == datetime(2024, 2, 9, 23, 0, tzinfo=UTC) and "day" in both.why
    assert limits.allowance(NOON, {hour: 11, day: 11}, canary=False).goes_on == datetime(2024, 2, 9, 12, 0, tzinfo=UTC)


def test_a_cap_that_ends_outside_the_hours_waits_for_the_opening():
    limits = Limits(PARIS, Hours(time(8), time(13), PARIS), per_hour=5)
    (hour,) = limits.counters(NOON, canary=False)
    allowed = limits.allowance(NOON, {hour: 5}, canary=False)
    assert (allowed.most, allowed.goes_on) == (0, datetime(2024, 2, 10, 7, 0, tzinfo=UTC))
    assert "helpline" in allowed.why


def test_what_is_outstanding_counts_in_the_hour_that_begins_i6():
    limits = Limits(PARIS, per_hour=5, per_day=9)
    assert limits.carried(None, NOON) == [] == limits.carried(NOON, NOON + timedelta(minutes=39))
    assert limits.carried(NOON, NOON + timedelta(minutes=40)) == ["2024-02-09T13+0100"]
    assert limits.carried(NOON, NOON + timedelta(hours=12)) == ["2024-02-10T00+0100", "2024-02-10"]
    autumn = datetime(2024, 10, 27, 0, 59, tzinfo=UTC)
    assert limits.carried(autumn, autumn + timedelta(minutes=1)) == ["2024-10-27T02+0100"], "the hour that comes twice"


def test_the_canary_leaves_what_it_has_not_begun():
    limits = Limits(PARIS, canary=5)
    assert limits.allowance(NOON, {CANARY: 3}, canary=True).most == 2
    assert limits.allowance(NOON, {CANARY: 7}, canary=True).most == 0 and limits.sings({CANARY: 5})
    assert limits.allowance(NOON, {CANARY: 7}, canary=False).most == UNLIMITED and not Limits(PARIS).sings({})


def test_the_first_days_have_caps_of_their_own_over_midnight_i6():
    limits = Limits(PARIS, warm_up=(5, 9))
    (today,) = limits.counters(NOON, canary=False)
    assert limits.allowance(NOON, {today: 3}, canary=False).most == 2, "nothing was sent: it is the first day"
    full = limits.allowance(NOON, {today: 5}, canary=False, first=NOON - timedelta(hours=1))
    assert full.goes_on == datetime(2024, 2, 9, 23, 0, tzinfo=UTC)
    assert full.why == "the 5 messages of day 1 of the warm-up are begun"
    midnight = datetime(2024, 2, 9, 23, 0, tzinfo=UTC)
    assert limits.allowance(midnight, {}, canary=False, first=NOON).most == 9
    assert limits.carried(NOON, midnight) == ["2024-02-10"]
    assert limits.allowance(midnight + timedelta(days=1), {}, canary=False, first=NOON).most == UNLIMITED


def test_the_helplines_day_and_the_warm_ups_are_one_counter():
    limits = Limits(PARIS, per_day=8, warm_up=(5, 9))
    (today,) = limits.counters(NOON, canary=False)
    assert limits.allowance(NOON, {today: 4}, canary=False).most == 1
    later = limits.allowance(NOON, {today: 4}, canary=False, first=NOON - timedelta(days=1))
    assert later.most == 4, "the tighter one holds"
