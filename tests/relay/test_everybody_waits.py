"""A relay that tells everybody to wait, at RCPT, where policy daemons answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from notifier.delivery import breakers, weather
from tests.relay.server import Act

NOW = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
LIMIT = "450 4.7.1 rate limit exceeded"
ONE = {"connections": 1, "window": 1}


@pytest.fixture
def hasty(monkeypatch):
    """A run whose patience with its relay ends soon."""
    monkeypatch.setattr("notifier.delivery.run.PATIENCE", 0.3)
    monkeypatch.setattr(weather, "REST_SECONDS", 0.1)


def many(count: int) -> list[str]:
    return [f"p@domaine{number}.example" for number in range(count)]


def limit(server, addresses: list[str], times: int = 1000) -> list[str]:
    for address in addresses:
        server.on(address, *[Act("rcpt", LIMIT)] * times)
    return addresses


def test_it_is_given_rest_and_then_the_campaign_pauses_with_its_words(rows, server, sending, hasty):
    rows.deliver(*limit(server, many(200)))
    told = []
    report = sending(server, on_progress=told.append)
    assert report.reason == "paused" and report.paused_reason == f"the relay said at rcpt: 450 {LIMIT[4:]}"
    assert len(server.mails) < breakers.WAITS + 40 and rows.states()["queued"] > 130
    assert any("tells everybody to wait" in progress.why for progress in told)
    assert rows.one("SELECT MAX(retries) FROM deliveries") == 0, "nobody's own"
    assert len(rows.entries("campaign_paused")) == 1


def test_one_acceptance_ends_it(rows, server, sending, monkeypatch):
    monkeypatch.setattr(weather, "REST_SECONDS", 0.1)
    rows.deliver(*limit(server, many(breakers.WAITS + 3)), *(f"q{number}@courriel.example" for number in range(100)))
    report = sending(server, tune=ONE)
    assert report.reason == "done" and report.accepted == 100 and rows.states()["deferred"] == breakers.WAITS + 3


def test_one_server_of_many_colleagues_is_not_the_relay(rows, server, sending, monkeypatch):
    def never(self: object, *_: object) -> None:
        raise AssertionError("it rests")

    monkeypatch.setattr(weather.Weather, "calm", never)
    rows.deliver(*limit(server, [f"p{number}@cabinet.example" for number in range(breakers.WAITS + 5)]))
    report = sending(server, tune=ONE)
    assert report.reason == "done" and len(server.mails) == breakers.WAITS + 5


def test_waits_back_off_until_the_limit(rows, server, sending):
    """Some ten attempts in 72 hours, not 290; none is counted, and the post takes over."""
    (one,) = rows.deliver(*limit(server, many(1)))
    now, dues = NOW, []
    while rows.state(one) in ("queued", "deferred"):
        report = sending(server, clock=lambda now=now: now)
        if report.next_due is not None:
            dues.append(report.next_due - now)
            now = report.next_due
    assert 9 <= len(dues) <= 16 and dues[0] >= timedelta(minutes=15) and dues[6] >= timedelta(hours=6)
    assert max(dues) <= timedelta(hours=12) * 1.2
    assert rows.one("SELECT state, retries FROM deliveries WHERE id = ?", one) == ("expired", 0)
