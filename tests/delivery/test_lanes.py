"""A provider's replies are about its lane (DOMAIN D5)."""

from __future__ import annotations

from pathlib import Path

import pytest

from notifier.delivery.lanes import RECOVER_SECONDS, SLOWEST, Lane, after, opened
from notifier.delivery.outcomes import Phase, classify, lost
from notifier.delivery.replies import load_rules

RULES = load_rules(Path("no campaign here"))
ORANGE = RULES.provider("orange")
THROTTLE = (421, "Trop de connexions, veuillez verifier votre configuration. OFR004_104")
REFUSED = (421, "Service refuse. Veuillez essayer plus tard.")
MINUTE = 60_000


def reply(code: int, text: str, phase: Phase = Phase.RCPT):
    return classify(phase, code, text, rules=RULES, provider="orange")


ACCEPTED = reply(250, "2.0.0 ok", Phase.FINAL)


def test_a_throttle_halves_the_lane_and_lets_it_rest():
    lane = after(Lane("orange"), reply(*THROTTLE), ORANGE, 0)
    assert (lane.factor, lane.throttles, lane.until_ms) == (0.5, 1, MINUTE)
    assert lane.rests(MINUTE - 1) and not lane.rests(MINUTE)
    assert "too many connections" in lane.why


def test_what_was_under_way_brings_no_news():
    lane = after(Lane("orange"), reply(*THROTTLE), ORANGE, 0)
    assert after(lane, reply(*THROTTLE), ORANGE, 10) == lane
    assert after(lane, ACCEPTED, ORANGE, 20) == lane


def test_three_in_a_row_close_it_for_the_providers_time():
    lane, now = Lane("orange"), 0
    for _ in range(3):
        lane = after(lane, reply(*THROTTLE), ORANGE, now)
        last, now = now, lane.until_ms
    assert lane.until_ms - last == ORANGE.close_seconds * 1000
    assert lane.factor == 1 / 8


def test_what_is_accepted_ends_the_row_and_gives_the_pace_back_by_steps():
    lane = after(Lane("orange"), reply(*THROTTLE), ORANGE, 0)
    lane = after(lane, ACCEPTED, ORANGE, MINUTE)
    assert (lane.throttles, lane.factor) == (0, 0.5)
    now, steps = MINUTE, 0
    while lane.factor < 1:
        now += RECOVER_SECONDS * 1000
        lane, steps = after(lane, ACCEPTED, ORANGE, now), steps + 1
    assert (lane.factor, steps) == (1.0, 5)
    assert after(lane, ACCEPTED, ORANGE, now) is lane


def test_a_block_closes_at_once_and_a_shorter_wait_does_not_open_it():
    lane = after(Lane("orange"), reply(*REFUSED), ORANGE, 0)
    assert (lane.factor, lane.until_ms) == (1.0, 3600_000)
    wait = reply(421, "4.3.2 Service shutting down")
    assert after(lane, wait, ORANGE, 1000) == lane
    assert after(Lane("orange"), wait, ORANGE, 0).until_ms == 300_000


@pytest.mark.parametrize("outcome", [reply(550, "5.1.1 unknown"), reply(452, "4.2.2 full"), lost(Phase.MAIL)])
def test_what_is_about_the_person_or_the_line_leaves_the_lane(outcome):
    lane = Lane("orange", factor=0.5, throttles=1)
    assert after(lane, outcome, ORANGE, 0) is lane


def test_it_never_stops_for_ever_and_somebody_may_open_it():
    lane, now = Lane("orange"), 0
    for _ in range(50):
        lane = after(lane, reply(*THROTTLE), ORANGE, now)
        now = lane.until_ms
    assert lane.factor == SLOWEST
    assert opened(lane) == Lane("orange")
