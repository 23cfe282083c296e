"""Sending hours and the local hours and days of the helpline's caps; the clock changes included."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from notifier.delivery.hours import Hours, day_of, hour_of

PARIS = ZoneInfo("Europe/Paris")
DAYTIME = Hours.of("08:00-20:00", PARIS)


def paris(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS, fold=fold).astimezone(UTC)


def test_within_the_hours_now_is_the_time():
    assert DAYTIME.opens(paris("2024-02-09T08:00")) == paris("2024-02-09T08:00")
    assert DAYTIME.opens(paris("2024-02-09T19:59:59")) == paris("2024-02-09T19:59:59")
    assert DAYTIME.closes(paris("2024-02-09T12:00")) == paris("2024-02-09T20:00")


def test_outside_it_is_the_next_opening():
    assert DAYTIME.opens(paris("2024-02-09T03:00")) == paris("2024-02-09T08:00")
    assert DAYTIME.opens(paris("2024-02-09T20:00")) == paris("2024-02-10T08:00")
    assert Hours.of("", PARIS) is None


def test_the_day_the_clocks_change_opens_by_the_local_clock():
    # 2024-03-31: 02:00 becomes 03:00; 2024-10-27: 03:00 becomes 02:00.
    assert DAYTIME.opens(paris("2024-03-30T21:00")) == datetime(2024, 3, 31, 6, tzinfo=UTC)
    assert DAYTIME.opens(paris("2024-10-26T21:00")) == datetime(2024, 10, 27, 7, tzinfo=UTC)
    night = Hours.of("02:30-04:00", PARIS)
    assert night.opens(paris("2024-03-31T00:00")) <= datetime(2024, 3, 31, 1, 30, tzinfo=UTC)  # the gap's other side
    assert night.closes(paris("2024-03-31T00:00")) == datetime(2024, 3, 31, 2, tzinfo=UTC)


def test_the_hour_that_comes_twice_is_two_hours_and_the_days_have_23_and_25():
    first, second = hour_of(paris("2024-10-27T02:30"), PARIS), hour_of(paris("2024-10-27T02:30", fold=1), PARIS)
    assert first.name != second.name and second.ends - first.ends == timedelta(hours=1)
    for day, hours in ((date(2024, 3, 31), 23), (date(2024, 10, 27), 25), (date(2024, 2, 9), 24)):
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=PARIS).astimezone(UTC)
        before = noon - timedelta(days=1)
        assert day_of(noon, PARIS).ends - day_of(before, PARIS).ends == timedelta(hours=hours)
        assert day_of(noon, PARIS).name == day.isoformat()


@given(
    st.datetimes(datetime(2023, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from(["Europe/Paris", "America/Guadeloupe", "Indian/Reunion", "Pacific/Noumea", "Australia/Lord_Howe"]),
)
def test_periods_cover_time_without_gap(now: datetime, name: str):
    zone = ZoneInfo(name)
    hours = Hours.of("06:15-21:45", zone)
    for period in (hour_of, day_of):
        this = period(now, zone)
        assert now < this.ends
        assert period(this.ends - timedelta(microseconds=1), zone).name == this.name
        assert period(this.ends, zone).name != this.name
    opening = hours.opens(now)
    assert now <= opening < hours.closes(now) and hours.opens(opening) == opening
    local = opening.astimezone(zone)
    assert hours.first <= local.time() < hours.last
