"""What whoever watches a run is told: rates, lanes, the end, and when a plain line is written."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

from rich.console import Console

from notifier.cli.progress import PLAIN_SECONDS, PlainLines, picture
from notifier.delivery.lanes import Lane, after, opened, paused
from notifier.delivery.outcomes import Kind, Outcome, Phase
from notifier.delivery.report import Progress
from notifier.delivery.rules import Action, Provider, Verdict
from notifier.delivery.view import WINDOW_SECONDS, LaneView, Meter, ends_at, lane_views
from notifier.model import to_ms

NOW = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
NOW_MS = to_ms(NOW)


def test_the_rate_now_forgets_what_was_long_ago_and_the_mean_does_not():
    meter = Meter()
    for second in range(101):
        meter.read(second, {"": 10 * min(second, 50)})
    assert meter.now("") == 0 and meter.mean("") == 5
    meter.read(100 + WINDOW_SECONDS, {"": 500 + 30})
    assert meter.now("") == 1 and meter.now("nobody") == 0


def test_no_rate_is_told_of_less_than_a_second():
    meter = Meter()
    assert meter.now("") == meter.mean("") == 0
    meter.read(1.0, {"": 0})
    meter.read(1.5, {"": 50})
    assert meter.now("") == 0


def test_the_end_is_told_only_where_somebody_can_say():
    assert ends_at(3600, 2.0, NOW) == NOW + timedelta(minutes=30)
    assert [ends_at(0, 2.0, NOW), ends_at(5, 0.0, NOW), ends_at(10**12, 1.0, NOW)] == [None] * 3


def test_lanes_that_rest_come_first_then_the_longest():
    kept = {
        "orange": Lane("orange", 0.5, 1, NOW_MS + 60_000, NOW_MS, "too fast"),
        "free": paused(Lane("free"), "a call"),
        "gmail": Lane("gmail", 0.25, 0, NOW_MS - 1, 0, "was too fast"),
    }
    seen = lane_views(kept, {"other": 5, "gmail": 9, "orange": 1}, {"gmail": 3.0}, NOW_MS)
    assert [view.provider for view in seen] == ["orange", "free", "gmail", "other"]
    assert seen[0].until == NOW + timedelta(minutes=1) and seen[0].why == "too fast" and seen[0].share == 0.5
    assert seen[1].paused and seen[1].until is None and seen[1].rests and seen[1].waiting == 0
    assert (seen[2].why, seen[2].rests, seen[2].rate) == ("", False, 3.0)


def test_no_reply_and_no_time_opens_a_paused_lane():
    lane = paused(Lane("orange", 0.5), "a call")
    provider = Provider("orange")
    for action in Action:
        outcome = Outcome(Kind.PROVIDER_WAIT, Phase.RCPT, 421, verdict=Verdict(action, 60, "they say"))
        assert after(lane, outcome, provider, NOW_MS) == lane
    assert after(lane, Outcome(Kind.ACCEPTED, Phase.FINAL, 250), provider, NOW_MS + 10**12) == lane
    assert lane.rests(NOW_MS + 10**13) and opened(lane) == Lane("orange")


def progress(why: str = "", **more) -> Progress:
    return Progress({"accepted": 1200, "deferred": 3, "in_doubt": 1}, 5000, 40, why=why, **more)


def test_a_plain_line_every_few_seconds_and_at_each_change_of_why():
    lines = PlainLines(0.0)
    told = [(second / 4, line) for second in range(400) for line in lines.of(progress(), second / 4)]
    assert len(told) == 99.75 // PLAIN_SECONDS
    assert told[0][1].startswith("accepted 1,200 of 5,000 · deferred 3 · refused 0 · in doubt 1 · under way 40 · 0/s")
    assert lines.of(progress("the lane orange rests"), 100.5)[:1] != ["waits: the lane orange rests"], "not at once"
    assert lines.of(progress("the lane orange rests"), 101.6)[0] == "waits: the lane orange rests"
    assert lines.of(progress("the lane orange rests"), 103) == []
    assert lines.of(progress(), 104) == [] and lines.of(progress(), 105.5)[0] == "goes on"


def test_what_comes_and_goes_is_not_told():
    """A pace stands before some cycles and not before others: that is no news each time."""
    lines = PlainLines(0.0)
    assert all(lines.of(progress("the pace" if step % 2 else ""), step / 10) == [] for step in range(90))


def test_the_picture_shows_all_that_there_is_and_steers_no_terminal():
    lane = LaneView("orange", 300, 0.0, NOW + timedelta(days=900), "Trop de connexions \x1b[2J OFR_999", 0.25)
    others = tuple(LaneView(f"p{number}", number) for number in range(12))
    shown = progress(
        "outside the sending hours", until=NOW, rate=12.4, mean_rate=3.21, lanes=(lane, *others), ends_at=NOW
    )
    console = Console(width=140, force_terminal=True, color_system="standard", record=True, file=io.StringIO())
    console.print(picture(shown))
    text = console.export_text()
    for words in (
        "accepted 1,200 of 5,000", "12/s now, 3.2/s in the mean", "done ", "waits: outside the sending hours, until ",
        "orange", "25%", "rests until", "OFR_999", "and 5 more lanes",
    ):  # fmt: skip
        assert words in text, words
    assert "\x1b[2J" not in text and "\ufffd[2J" in text
