"""The projected end: the sender's own limits, run ahead of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.delivery.forecast import Backlog, Brakes, Forecast, project
from notifier.delivery.hours import Hours
from notifier.delivery.limits import Limits

PARIS = ZoneInfo("Europe/Paris")
NINE = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)  # in Paris
DAYTIME = Hours(time(8), time(20), PARIS)
HOUR = timedelta(hours=1)


def ahead(messages: int | dict[str, int], limits: Limits | None = None, now: datetime = NINE, **brakes) -> Forecast:
    by = messages if isinstance(messages, dict) else {"other": messages}
    waiting = [Backlog(provider, now, number) for provider, number in by.items()]
    return project(waiting, Brakes(limits or Limits(PARIS), **brakes), now)


def ends(forecast: Forecast) -> dict[str, datetime | None]:
    return {share.provider: share.ends_at for share in forecast.providers}


def test_nothing_waits():
    forecast = ahead({})
    assert (forecast.messages, forecast.ends_at, forecast.days, forecast.assumes) == (0, None, [], [])


def test_the_relays_rate_alone():
    forecast = ahead(36_000, relay=10.0)
    assert forecast.ends_at == NINE + HOUR and forecast.limited_by == "relay.rate (10 per second)"
    assert forecast.days == [(date(2024, 2, 9), 36_000)]


def test_nothing_that_is_known_limits_it():
    forecast = ahead(36_000)
    assert forecast.ends_at is None and not forecast.is_endless and "the relay alone knows" in forecast.assumes[0]
    assert not forecast.is_late(date(2024, 2, 9), Limits(PARIS)), "nobody can say, so nobody says it is late"


def test_a_rate_that_was_measured_says_so():
    forecast = ahead(36_000, relay=10.0, observed=True)
    assert forecast.limited_by.startswith("the observed rate") and "no relay.rate is set" in forecast.assumes[0]


def test_hours_over_the_night_in_which_the_clocks_go_forward():
    # 30 March, 19:00 in Paris: an hour is left; the next one opens at 08:00 summer time.
    now = datetime(2024, 3, 30, 18, 0, tzinfo=UTC)
    forecast = ahead(3 * 3600, Limits(PARIS, DAYTIME), now, relay=1.0)
    assert forecast.ends_at == datetime(2024, 3, 31, 8, 0, tzinfo=UTC)
    assert forecast.days == [(date(2024, 3, 30), 3600), (date(2024, 3, 31), 7200)]


@pytest.mark.parametrize(("night", "hours"), [("2024-03-31", 3), ("2024-10-27", 5)])
def test_a_night_of_another_length_holds_as_many_messages_as_it_has_hours(night, hours):
    day = date.fromisoformat(night)
    now = datetime.combine(day, time(), PARIS).astimezone(UTC)
    limits = Limits(PARIS, Hours(time(0), time(4), PARIS))
    assert ahead(10 * 3600, limits, now, relay=1.0).days[0] == (day, hours * 3600)


def test_the_helplines_caps_and_what_is_begun_already():
    limits = Limits(PARIS, DAYTIME, per_hour=1000, per_day=5000)
    hour, day = limits.counters(NINE + HOUR / 2, canary=False)
    forecast = ahead(6000, limits, NINE + HOUR / 2, relay=100.0, begun={hour: 900, day: 2900})
    # 100 more before 10:00, then 1000 each at 10:00 and 11:00: the day is full; the next is filled from 08:00 on.
    assert forecast.days == [(date(2024, 2, 9), 2100), (date(2024, 2, 10), 3900)]
    assert forecast.ends_at == datetime(2024, 2, 10, 10, 0, 9, tzinfo=UTC), "11:00 in Paris, and 900 at 100 per second"
    assert forecast.limited_by == "pace.hotline_per_day"


def test_without_a_rate_a_cap_is_spread_over_its_hours():
    forecast = ahead(500, Limits(PARIS, DAYTIME, per_hour=1000))
    assert forecast.ends_at == NINE + HOUR / 2


def test_warm_up_counts_from_the_first_day_of_sending():
    limits = Limits(PARIS, DAYTIME, warm_up=(200, 500))
    fresh = ahead(1000, limits, relay=10.0)
    assert fresh.days == [(date(2024, 2, 9), 200), (date(2024, 2, 10), 500), (date(2024, 2, 11), 300)]
    assert fresh.limited_by == "pace.warm_up"
    begun = ahead(1000, limits, relay=10.0, first=NINE - timedelta(days=1), begun={"2024-02-09": 100})
    assert begun.days == [(date(2024, 2, 9), 400), (date(2024, 2, 10), 600)]
    assert len(ahead(1000, limits, relay=10.0, first=NINE - timedelta(days=9)).days) == 1


def test_a_slow_provider_ends_last_and_holds_nobody_up():
    forecast = ahead({"orange": 7200, "gmail": 3600, "other": 3600}, relay=10.0, rates={"orange": 1.0, "gmail": 3.0})
    assert forecast.ends_at == ends(forecast)["orange"] == NINE + 2 * HOUR
    assert ends(forecast)["gmail"] == NINE + timedelta(seconds=1200)
    assert ends(forecast)["other"] == NINE + timedelta(seconds=600), "what the others cannot take is its own"
    assert forecast.limited_by == "the pace of orange (1 per second)"
    assert [share.provider for share in forecast.providers] == ["orange", "gmail", "other"]


def test_without_paces_all_end_together():
    forecast = ahead({"orange": 9000, "gmail": 27_000}, relay=10.0)
    assert set(ends(forecast).values()) == {NINE + HOUR}


def test_what_comes_due_later_is_waited_for():
    waiting = [Backlog("other", NINE, 600), Backlog("other", NINE + 5 * HOUR, 60)]
    forecast = project(waiting, Brakes(Limits(PARIS), relay=10.0), NINE)
    assert forecast.ends_at == NINE + 5 * HOUR + timedelta(seconds=6) and forecast.limited_by == 'replies "later"'


def test_what_has_no_end_that_anybody_plans_with_is_late():
    forecast = ahead(10**9, relay=1.0)
    assert forecast.is_endless and forecast.ends_at is None and forecast.is_late(date(2099, 1, 1), Limits(PARIS))


def test_late_is_after_the_local_day():
    # 23:30 on the 9th in Paris is the 9th still; 00:10 is not.
    limits, late = Limits(PARIS), datetime(2024, 2, 9, 22, 30, tzinfo=UTC)
    assert not ahead(60, limits, late, relay=1.0).is_late(date(2024, 2, 9), limits)
    assert ahead(2400, limits, late, relay=1.0).is_late(date(2024, 2, 9), limits)


def test_what_it_takes_for_granted_is_told():
    told = ahead(10, Limits(PARIS, canary=5), relay=1.0, canary=3, paused=True).assumes
    assert any("canary pauses after 3" in one for one in told) and any("paused" in one for one in told)


@given(
    messages=st.dictionaries(st.sampled_from(["orange", "gmail", "free", "other"]), st.integers(1, 40_000), min_size=1),
    relay=st.floats(0.5, 200),
    rates=st.dictionaries(st.sampled_from(["orange", "gmail"]), st.floats(0.5, 50)),
    per_hour=st.one_of(st.none(), st.integers(200, 9000)),
    per_day=st.one_of(st.none(), st.integers(900, 30_000)),
    warm_up=st.lists(st.integers(100, 5000), max_size=3),
    start=st.integers(0, 96 * 3600).map(lambda after: datetime(2024, 3, 29, tzinfo=UTC) + timedelta(seconds=after)),
)
def test_nobody_is_lost_and_no_cap_is_passed(messages, relay, rates, per_hour, per_day, warm_up, start):
    limits = Limits(PARIS, DAYTIME, per_hour, per_day, warm_up=tuple(warm_up))
    forecast = ahead(messages, limits, start, relay=relay, rates=rates)
    assert sum(number for _, number in forecast.days) == forecast.messages == sum(messages.values())
    assert all(one < other for (one, _), (other, _) in pairwise(forecast.days))
    for place, (_, number) in enumerate(forecast.days):
        caps = [12.01 * 3600 * relay + 1, per_day, per_hour and 12 * per_hour, *warm_up[place : place + 1]]
        assert number <= min(cap for cap in caps if cap is not None) + 1
    assert forecast.ends_at == max(ends(forecast).values())
    local = forecast.ends_at.astimezone(PARIS)
    assert time(8) <= local.time() <= time(20) and local.date() == forecast.days[-1][0]
    for name, rate in rates.items():
        if name in messages:
            at_least = timedelta(seconds=messages[name] / rate)
            assert ends(forecast)[name] - start >= at_least - timedelta(seconds=1)
