"""I4: the bytes that a cycle writes of an attempt are what canonical JSON says of it, whatever a server replied."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifier.delivery.entries import in_time, written
from notifier.delivery.outcomes import Kind, Outcome, Phase
from notifier.delivery.record import Ended
from notifier.model import utc_text
from notifier.storage.deliveries import Claim

AT = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
HARD = '"\\/\b\f\n\r\t\x00\x1f\x7f\x85\u2028\u2029\ufeff\uffffé€😀'
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
KINDS = st.sampled_from(["delivery_accepted", "delivery_deferred", "delivery_in_doubt", "delivery_held"])


def ended(texts=(HARD,) * 5, *, at=AT, token=b"t" * 16, attempt=1, started_ms=0, phase=Phase.FINAL, code=250):
    enhanced, reply, reply_sha256, notice_sha256, relay = texts
    held = Claim(
        1, token, 1, "initial", 1, 1, 1, "other", attempt, 0, 0, 0, started_ms, 1, "clairval", "own", b"i", b"", True
    )
    outcome = Outcome(Kind.ACCEPTED, phase, code, enhanced, "verbatim")
    return Ended(held, outcome, at, reply, None, reply_sha256, notice_sha256, relay)


ENDS = st.builds(
    ended,
    st.tuples(TEXTS, TEXTS, TEXTS, TEXTS, TEXTS),
    at=st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001
    token=st.binary(min_size=16, max_size=16),
    attempt=st.integers(1),
    started_ms=st.integers(0, 253_402_300_799_999),
    phase=st.sampled_from(Phase),
    code=st.none() | st.integers(0, 999),
)


@given(end=ENDS, kind=KINDS)
@example(end=ended(), kind="delivery_accepted")
def test_i4_an_attempts_bytes_are_canonical_json(end, kind):
    at_once = in_time(kind, end)
    assert at_once == written(kind, end, {"late": False})
    facts = list(json.loads(at_once.body)["facts"])
    assert facts == sorted(facts) and len(facts) == 10


@pytest.mark.parametrize("place", range(5))
def test_i4_half_a_character_is_refused_alike(place):
    end = ended(tuple("\ud800" if place == each else "" for each in range(5)))
    for make in (lambda: in_time("delivery_accepted", end), lambda: written("delivery_accepted", end, {})):
        with pytest.raises(UnicodeEncodeError):
            make()


@given(at=st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)), minutes=st.integers(-1439, 1439))  # noqa: DTZ001
@example(at=datetime(1969, 12, 31, 23, 59, 59, 999_999), minutes=0)  # noqa: DTZ001
@example(at=datetime(9999, 12, 30, 23, 59, 59, 999_999), minutes=0)  # noqa: DTZ001
def test_an_instant_reads_the_same_whatever_its_zone(at, minutes):
    zone = timezone(timedelta(minutes=minutes), "elsewhere")
    instant = at.replace(tzinfo=UTC)
    assert utc_text(instant) == at.isoformat(timespec="milliseconds") + "Z" == utc_text(instant.astimezone(zone))


def test_i8_what_ended_prints_nothing_of_it():
    end = ended(("5.1.1", "said", "a" * 64, "b" * 64, "relay.example:25"))
    for printed in (repr(end), repr(end.held), repr(end.outcome), repr((end, {"end": end}))):
        assert "said" not in printed and "verbatim" not in printed and "b'i'" not in printed
