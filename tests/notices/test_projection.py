"""The projected end, against a walk through every second of the same days."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from notifier.notices.dossier.projection import DAY, HOUR, Projection, Span, project


def walk(messages, *, rate, hours, per_hour, per_day, warm_up):
    """(days, second) of the last message, one message at a time. Whole rates alone."""
    span, day = Span.of(hours), 0
    while True:
        sent_today = 0
        for hour in range(24):
            this_hour = 0
            for second in range(max(span.opens, hour * HOUR), min(span.closes, (hour + 1) * HOUR)):
                for _ in range(rate):
                    if per_hour is not None and this_hour >= per_hour:
                        break
                    if any(sent_today >= cap for cap in (per_day, *warm_up[day : day + 1]) if cap is not None):
                        break
                    this_hour += 1
                    sent_today += 1
                    messages -= 1
                    if not messages:
                        return day + 1, second + 1
        day += 1


@hypothesis_settings(max_examples=25)
@given(
    messages=st.integers(1, 60_000),
    rate=st.integers(1, 3),
    hours=st.sampled_from(["08:00-20:00", "09:30-10:15", "00:00-01:00"]),
    per_hour=st.none() | st.integers(500, 5000),
    per_day=st.none() | st.integers(900, 20_000),
    warm_up=st.lists(st.integers(500, 9000), max_size=3),
)
def test_the_end_is_that_of_a_walk_second_by_second(messages, rate, hours, per_hour, per_day, warm_up):
    pace = {"rate": rate, "hours": hours, "per_hour": per_hour, "per_day": per_day, "warm_up": warm_up}
    end, (days, second) = project(messages, **pace), walk(messages, **pace)
    assert (end.days, end.ends) == (days, second)
    assert end.seconds == (days - 1) * DAY + second - Span.of(hours).opens


@pytest.mark.parametrize(
    ("messages", "pace", "days", "ends"),
    [
        (0, {"rate": 10}, 0, 0),
        (36_000, {"rate": 10}, 1, HOUR),
        (864_001, {"rate": 10}, 2, 1),
        (100_000, {"hours": "08:00-20:00", "per_hour": 2000}, 5, 10 * HOUR),
        (30_000, {"hours": "08:00-20:00", "per_hour": 2000, "per_day": 15_000}, 2, 15 * HOUR + HOUR // 2),
        (1_500_000, {"rate": 0.5}, 35, 62_400),
        (10, {"rate": 0.00001}, 12, DAY),
    ],
)
def test_some_campaigns(messages, pace, days, ends):
    asked = {"rate": None, "hours": "", "per_hour": None, "per_day": None} | pace
    end = project(messages, **asked)
    assert (end.days, end.ends) == (days, ends)


@pytest.mark.parametrize("rate", [None, 0])
def test_nobody_knows_when_the_relay_alone_limits(rate):
    assert project(1, rate=rate, hours="08:00-20:00", per_hour=None, per_day=None) is None


def test_the_last_day_to_begin():
    assert Projection(5, 0, 0).latest_start(date(2024, 3, 1)) == date(2024, 2, 26)
    assert Projection(1, 0, 0).latest_start(date(2024, 3, 1)) == date(2024, 3, 1)
