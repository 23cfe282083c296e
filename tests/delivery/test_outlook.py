"""The forecast of a campaign, read from its rows."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from notifier import app as wiring
from notifier.delivery.forecast import Forecast
from notifier.delivery.lanes import FOREVER_MS
from notifier.delivery.limits import Limits
from notifier.delivery.outlook import look_ahead
from notifier.model import to_ms
from notifier.storage import tempo
from tests.delivery.rows import Rows, tuned

NINE = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)  # in Paris


def many(count: int, prefix: str) -> list[str]:
    return [f"{prefix}{number}@courriel.example" for number in range(count)]


@pytest.fixture
def rows(folder, vault) -> Rows:
    return Rows(folder / "campaign.db", vault)


@pytest.fixture
def ahead(opened, settings, folder):
    def look(now: datetime = NINE, **tune) -> Forecast:
        async def work() -> Forecast:
            async with opened() as database, database.read() as connection:
                return await look_ahead(connection, tuned(settings, **tune), folder, now)

        return asyncio.run(work())

    return look


def test_what_waits_is_counted_from_rows_approved_or_not(rows, ahead):
    rows.deliver(*many(30, "o"), provider="orange")
    rows.deliver(*many(20, "g"), provider="gmail", approved=False)
    rows.deliver(*many(4, "d"), provider="orange", state="deferred", due_ms=to_ms(NINE + timedelta(minutes=70)))
    rows.deliver(*many(9, "a"), state="accepted")
    rows.deliver(*many(2, "b"), state="in_doubt")
    forecast = ahead(rate=0.5)
    assert {one.provider: one.messages for one in forecast.providers} == {"orange": 34, "gmail": 20}
    assert forecast.ends_at == NINE + timedelta(hours=2, seconds=8), "what is deferred comes due within its hour"
    assert forecast.as_json()["days"] == [{"date": "2024-02-09", "messages": 54}]
    head, by_provider = forecast.lines(None, Limits(UTC))
    assert head.startswith("Projected end: 2024-02-09 10:00") and "orange 34 until" in by_provider


def test_a_proposal_that_is_kept_and_a_rate_that_was_written(rows, ahead):
    rows.deliver(*many(60, "o"), provider="orange")
    free = {"pace__providers": True}
    assert ahead(rate=100.0, **free).ends_at == NINE + timedelta(seconds=30), "2 per second are proposed"
    slow = ahead(rate=100.0, pace__providers=True, pace__rates={"orange": 0.5})
    assert slow.ends_at == NINE + timedelta(seconds=120) and slow.limited_by.startswith("the pace of orange")
    assert ahead(rate=100.0, pace__providers=True, pace__rates={"orange": 0.0}).ends_at == NINE + timedelta(seconds=1)


def test_a_lane_that_rests_is_waited_for_and_a_throttled_one_has_its_share(rows, ahead):
    rows.deliver(*many(60, "o"), provider="orange")
    until = NINE + timedelta(hours=3)
    rows.run("INSERT INTO lanes VALUES ('orange', 0.5, 1, ?, 0, 'too many connections', 2.0)", to_ms(until))
    forecast = ahead(rate=100.0)
    assert forecast.ends_at == until + timedelta(seconds=60)
    assert forecast.assumes == [
        "orange asked for less and gets 50% of its pace (1 per second): reckoned as if that lasted"
    ]


def attempted(rows: Rows, ids: list[int], begun: list[float]) -> None:
    """One attempt each, begun so many seconds after some instant of yesterday."""
    for number, seconds in zip(ids, begun, strict=True):
        rows.run("UPDATE deliveries SET state = 'accepted' WHERE id = ?", number)
        rows.run(
            "INSERT INTO attempts (delivery_id, number, outcome, late, phase, enhanced, reply, notice_sha256, "
            "started_ms, ended_ms) VALUES (?, 1, 'accepted', 0, '', '', '', '', ?, 0)",
            number,
            to_ms(NINE - timedelta(days=1)) + round(seconds * 1000),
        )


@pytest.mark.parametrize("breaks", [(400,), (120, 90), (36_000,)])
def test_a_break_is_no_sending(rows, ahead, breaks):
    """A second pause, a provider's rest, a night: what it bore while it was sent to is the rate."""
    ids = rows.deliver(*many(100, "o"), provider="orange")
    before = {20 * place: seconds for place, seconds in enumerate(breaks, 1)}
    begun = [place / 2 + sum(seconds for at, seconds in before.items() if at <= place) for place in range(60)]
    attempted(rows, ids[:60], begun)
    forecast = ahead()
    assert forecast.limited_by.startswith("the observed rate (2 per second)") and forecast.messages == 40
    assert forecast.ends_at == NINE + timedelta(seconds=20)


def test_a_relay_that_takes_its_time_makes_no_breaks(rows, ahead):
    """Slow all along, or stalling again and again: it will do so, and an end told too early is worse than one told too
    late."""
    ids = rows.deliver(*many(140, "o"), provider="orange")
    attempted(rows, ids[:40], [place * 45.0 for place in range(40)])
    assert ahead().ends_at == NINE + timedelta(seconds=4500)
    attempted(rows, ids[40:100], [3600 + place / 2 + place // 10 * 20 for place in range(60)])
    assert ahead().ends_at == NINE + timedelta(seconds=88), "and not the 20 that two per second would take"


def test_of_ten_minutes_of_sending_the_last_tell(rows, ahead):
    ids = rows.deliver(*many(700, "o"), provider="orange")
    attempted(rows, ids[:300], [place / 10 for place in range(300)])
    attempted(rows, ids[300:600], [40 + place * 4 for place in range(300)])
    assert ahead().ends_at == NINE + timedelta(seconds=400), "one in four seconds, whatever it was before"


def test_without_a_rate_the_last_minutes_of_sending_tell(rows, ahead):
    ids = rows.deliver(*many(61, "o"), provider="orange")
    assert ahead().ends_at is None
    attempted(rows, ids[:31], [place / 2 for place in range(31)])
    forecast = ahead()
    assert forecast.limited_by == "the observed rate (2 per second)" and forecast.messages == 30
    assert forecast.ends_at == NINE + timedelta(seconds=15)


def test_a_lane_paused_by_name_makes_no_day_missed_and_has_the_pace_that_opening_gives_it(rows, ahead):
    rows.deliver(*many(60, "o"), provider="orange")
    rows.run("INSERT INTO lanes VALUES ('orange', 0.5, 1, ?, 0, 'paused by hand: a call', 2.0)", FOREVER_MS)
    forecast = ahead(rate=100.0, pace__rates={"orange": 2.0})
    assert forecast.ends_at == NINE + timedelta(seconds=30) and not forecast.is_late(NINE.date(), Limits(UTC))
    assert forecast.is_late(NINE.date() - timedelta(days=1), Limits(UTC)), "late by itself it is told as late"
    assert forecast.assumes == [
        "the lane orange is paused by hand: reckoned as if opened now (`resume --provider orange`)"
    ]


def test_the_canary_and_a_pause_are_said(rows, ahead):
    rows.deliver(*many(9, "o"))
    rows.run("UPDATE campaign SET paused_reason = 'x', paused_ms = 0")
    told = " ".join(ahead(rate=1.0, pace__canary=5).assumes)
    assert "paused" in told and "canary pauses after 5 more" in told
    rows.run("UPDATE campaign SET paused_reason = NULL, canary = 'passed'")
    assert ahead(rate=1.0, pace__canary=5).assumes == []


# -- attempts that nobody made -------------------------------------------------------------------------------------


@pytest.fixture
def restored(folder):
    """What waits is held, as `recover` does it after a backup was restored."""

    def hold() -> None:
        async def whole() -> None:
            async with wiring.open_unguarded(folder, by="Nour") as opened:
                await wiring.recover(opened, await wiring.look_at_restored(opened))

        asyncio.run(whole())

    return hold


def asked(rows: Rows, query, *values, **named):
    with closing(sqlite3.connect(rows.path)) as connection:
        return query(connection, *values, **named)


def test_what_a_recovery_holds_is_no_rate(rows, ahead, restored):
    attempted(rows, rows.deliver(*many(60, "a"), provider="orange"), [place / 2 for place in range(60)])
    rows.deliver(*many(218, "h"), provider="orange")
    restored()
    rows.run("UPDATE campaign SET paused_reason = NULL, paused_ms = NULL")
    rows.deliver(*many(40, "o"), provider="orange")
    assert rows.states()["in_doubt"] == 218 and rows.one("SELECT COUNT(*) FROM attempts") == 278
    assert ahead().limited_by == "the observed rate (2 per second)"
    since = to_ms(datetime.now(UTC)) - 60_000
    assert asked(rows, tempo.of_provider, "orange", since_ms=since) == (0, 0), "nor a pace that a lane was given"


def test_an_answer_that_comes_late_is_no_second_attempt(rows, ahead):
    attempted(rows, rows.deliver(*many(60, "a"), provider="orange"), [place / 2 for place in range(60)])
    rows.run(
        "INSERT INTO attempts (delivery_id, number, outcome, late, phase, enhanced, reply, notice_sha256, started_ms, "
        "ended_ms) SELECT delivery_id, number, outcome, TRUE, '', '', '', '', started_ms, 1 FROM attempts"
    )
    rows.deliver(*many(40, "o"), provider="orange")
    assert ahead().limited_by == "the observed rate (2 per second)"
    since = to_ms(NINE - timedelta(days=1))
    assert asked(rows, tempo.of_provider, "orange", since_ms=since) == (60, since)


def test_the_first_attempt_is_one_that_somebody_made(rows, restored):
    """The warm-up's first day: not that of a recovery, behind which millions of such rows may lie."""
    rows.deliver(*many(3, "h"))
    restored()
    assert rows.one("SELECT COUNT(*) FROM attempts") == 3 and asked(rows, tempo.first) is None
