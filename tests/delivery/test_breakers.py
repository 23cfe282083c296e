"""What several recipients are told says something of us, or of the relay; what one is told does not."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from notifier.delivery import breakers
from notifier.delivery.breakers import OddReplies, Waits
from notifier.delivery.outcomes import Kind, Outcome, Phase, classify
from notifier.delivery.replies import load_rules
from notifier.delivery.weather import Weather
from notifier.storage.deliveries import Claim

RULES = load_rules(Path("no campaign here"))


def claim(number: int, *, provider: str = "other", retries: int = 0) -> Claim:
    return Claim(
        number, b"t" * 16, 1, "initial", 1, 1, 1, provider, 1, retries, 0, 1, 1, 1, "clairval", "own", b"", b"", True
    )


def told(weather: Weather, number: int, reply: str, *, domain: str = "", phase: Phase = Phase.RCPT, **of) -> Kind:
    address = f"p@{domain or f'd{number}.example'}"
    held = claim(number, **of)
    outcome = classify(phase, int(reply[:3]), reply[4:], rules=RULES, provider=held.provider, recipient=address)
    return weather.weigh(held, outcome, used=True, to=address).kind


DENIED, LIMIT, TAKEN = "550 5.7.1 relaying denied", "450 4.7.1 rate limit exceeded", "250 2.0.0 Ok"


def test_three_first_ones_of_more_than_one_domain():
    weather = Weather(60)
    assert [told(weather, number, DENIED) for number in range(3)] == [Kind.DEFERRED, Kind.DEFERRED, Kind.OURS]
    assert weather.odd.led == (0, 1, 2)
    assert told(weather, 3, DENIED, retries=1) is Kind.OURS, "what was under way with them"


def test_what_is_accepted_between_them_says_that_they_are_theirs():
    weather = Weather(60)
    for number in range(30):
        assert told(weather, number, DENIED) is Kind.DEFERRED
        if number % 2:
            assert told(weather, 100 + number, TAKEN, phase=Phase.FINAL) is Kind.ACCEPTED
    assert weather.odd.led == () and not weather.odd.alone()


def test_one_domain_takes_ten_at_rcpt_and_three_after_the_dot():
    at_rcpt, after = Weather(60), Weather(60)
    kinds = [told(at_rcpt, number, DENIED, domain="cabinet.example") for number in range(10)]
    assert kinds == [Kind.DEFERRED] * 9 + [Kind.OURS]
    kinds = [told(after, n, "550 5.6.0 bare LF", domain="cabinet.example", phase=Phase.FINAL) for n in range(3)]
    assert kinds == [Kind.DEFERRED, Kind.DEFERRED, Kind.OURS]


def test_one_recipient_again_and_again_is_one():
    weather = Weather(60)
    assert {told(weather, 1, DENIED) for _ in range(100)} == {Kind.DEFERRED} and not weather.odd.alone()


def test_another_answer_says_that_a_handful_is_not_everybody():
    odd = OddReplies()
    for number in range(breakers.ODD_AND_LEFT):
        assert not odd.odd(number, f"d{number}.example", first=False)
    odd.others()
    assert not odd.alone() and odd.led == ()
    odd.accepted()
    for number in range(breakers.ODD_AND_LEFT):
        odd.odd(number, f"d{number}.example", first=False)
    assert odd.alone() and odd.led == tuple(range(breakers.ODD_AND_LEFT))


def test_who_is_told_to_wait_by_a_named_provider_says_nothing_of_the_relay():
    weather = Weather(60)
    for number in range(100):
        told(weather, number, LIMIT, provider="orange")
    assert weather.is_calm


def test_everybody_is_told_to_wait_until_one_is_accepted():
    weather = Weather(60)
    for number in range(breakers.WAITS):
        assert weather.is_calm and told(weather, number, LIMIT) is Kind.PROVIDER_WAIT
    assert not weather.is_calm and "tells everybody to wait" in weather.why("relay")
    told(weather, 99, "550 5.1.1 unknown")
    assert not weather.is_calm, "who is refused was not taken"
    told(weather, 100, TAKEN, phase=Phase.FINAL)
    assert weather.is_calm


def test_when_patience_ends_it_is_ours():
    weather = Weather(0.0)
    kinds = [told(weather, number, LIMIT) for number in range(breakers.WAITS + 1)]
    assert kinds == [Kind.PROVIDER_WAIT] * (breakers.WAITS - 1) + [Kind.OURS] * 2


def test_memory_is_bounded_and_one_more_domain_is_enough():
    waits = Waits()
    for number in range(10_000):
        waits.told(number, "cabinet.example")
    assert waits.beyond == 0 and len(waits._told) <= breakers.WAITS
    waits.told(10_000, "autre.example")
    assert waits.beyond == 1


@pytest.mark.parametrize(("reply", "phase"), [(LIMIT, Phase.RCPT), ("451 4.3.0 busy", Phase.MAIL)])
def test_a_nap_ends_when_the_run_does(reply, phase):
    weather, ending = Weather(60), asyncio.Event()
    for number in range(200):
        told(weather, number, reply, phase=phase)
        weather.heed(Outcome(Kind.DEFERRED, phase, int(reply[:3])), used=False, relay="r")

    async def nap() -> float:
        began = time.monotonic()
        asyncio.get_running_loop().call_later(0.02, ending.set)
        await weather.calm(ending)
        return time.monotonic() - began

    assert not weather.is_calm and 0.01 < asyncio.run(nap()) < 2
