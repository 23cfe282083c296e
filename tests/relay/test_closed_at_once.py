"""A relay that greets, answers EHLO and closes: as if it did not answer, and nobody's own."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

import pytest
import uvloop

from notifier.delivery import weather
from notifier.errors import RelayUnavailable
from tests.relay.server import Act, Server
from tests.relay.test_sessions import beside, many
from tests.relay.test_specimens import testing

__all__ = ["testing"]

LOOPS = {"asyncio": None, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr("notifier.delivery.run.PATIENCE", 0.5)
    monkeypatch.setattr("notifier.delivery.run.FIRST_PATIENCE", 0.5)


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS.keys())
@pytest.mark.parametrize("stays", [0.0, 0.02])
def test_it_costs_a_few_sessions_and_nobody_an_attempt(rows, server, sending, hasty, loop, stays):
    rows.deliver(*many(40))
    server.stays = stays
    with pytest.raises(RelayUnavailable) as caught:
        sending(server, loop=loop)
    assert caught.value.exit_code == 75 and server.sessions < 40
    assert rows.one("SELECT MAX(retries) FROM deliveries") == 0 and set(rows.states()) <= {"queued", "deferred"}
    server.stays = None
    assert sending(server, loop=loop).accepted == 40, "due at once"


@pytest.mark.parametrize("noop", ["250 2.0.0 Ok", "500 5.5.2 what?", "421 4.3.2 good-bye"])
def test_a_relay_that_hangs_up_on_every_mail(rows, server, sending, hasty, noop):
    rows.deliver(*many(40))
    server.noop = noop
    server.on_mail(*[Act("mail", then="drop")] * 10_000)
    with pytest.raises(RelayUnavailable):
        sending(server)
    assert server.sessions < 60 and rows.one("SELECT MAX(retries) FROM deliveries") == 0
    assert rows.one("SELECT COUNT(*) FROM attempts") < 60


def test_in_the_middle_too(rows, server, sending, hasty):
    rows.deliver(*many(60))

    def turn() -> None:
        if len(server.taken) == 10:
            server.stays = 0.0

    server.on_take = turn
    with pytest.raises(RelayUnavailable):
        sending(server, tune={"connections": 2, "messages_per_connection": 5})
    assert server.sessions < 50 and rows.states()["accepted"] == len(server.taken) < 60
    assert rows.one("SELECT MAX(retries) FROM deliveries") == 0


def test_the_fallback_takes_over(rows, server, sending, hasty):
    rows.deliver(*many(20))
    first = Server(stays=0.0)

    def tune(port: int) -> dict:
        return {"port": first.port, "fallback": {"host": "127.0.0.1", "port": port, "tls": "none", "rate": 0}}

    report = beside(sending, server, tune, first)
    assert report.accepted == 20 and first.sessions < 20


def test_ctrl_c_ends_it_at_once(rows, server, sending, monkeypatch):
    rows.deliver(*many(5))
    server.stays = 0.0
    monkeypatch.setattr("notifier.delivery.run.PATIENCE", 600.0)

    async def interrupt(_: object) -> None:
        while server.sessions < 2:
            await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGINT)

    with suppress(RelayUnavailable):  # or nothing was asked of it any more
        assert sending(server, meanwhile=interrupt).reason == "stopped"
    assert server.sessions < 10 and set(rows.states()) <= {"queued", "deferred"}


@pytest.mark.parametrize("stays", [0.0, 0.02])
def test_a_test_message_gives_up_too(server, testing, monkeypatch, stays):
    monkeypatch.setattr("notifier.delivery.specimens._FIRST_PATIENCE", 0.2)
    server.stays = stays
    with pytest.raises(RelayUnavailable):
        testing(server, count=1)
    assert server.sessions < 20


def test_one_delivery_over_which_sessions_break_before_mail_is_answered_waits_and_expires(rows, server, sending):
    """Replies in a lump: what breaks the session may be its RCPT. It is not counted, and it is not for ever."""
    assert weather.LOSSES == 3
    (one,) = rows.deliver("a@courriel.example")
    server.on_mail(*[Act("mail", then="drop")] * 50)
    report = sending(server)
    assert report.reason == "done" and len(server.mails) == 3
    assert rows.one("SELECT state, retries FROM deliveries WHERE id = ?", one) == ("deferred", 0)
