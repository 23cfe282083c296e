"""The second relay: two servers, of which the first is restarted, dies, refuses, or gives few sessions."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest
import trustme

from notifier.delivery import run as runs
from notifier.delivery.report import SendReport
from notifier.delivery.sender import send
from notifier.errors import RelayUnavailable, SettingsError
from notifier.model import from_ms
from tests.delivery.rows import tiny_notice, tuned
from tests.relay.server import Act, Server

PIPELINING = ("PIPELINING", "SIZE 10000000", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES")


class Mortal(Server):
    """A server that can die, with all its sessions, and rise again at the same port."""

    def __init__(self, implicit: ssl.SSLContext | None = None, **given) -> None:
        super().__init__(**given)
        self.implicit = implicit
        self.writers: set[asyncio.StreamWriter] = set()
        self.asked = 0.0  # monotonic: the last time that somebody connected

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked = time.monotonic()
        self.writers.add(writer)
        try:
            await super().session(reader, writer)
        finally:
            self.writers.discard(writer)

    async def rise(self) -> None:
        self.closing = asyncio.Event()
        self.listener = await asyncio.start_server(
            self.session, "127.0.0.1", self.port, ssl=self.implicit, limit=2**24, backlog=200
        )
        self.port = self.listener.sockets[0].getsockname()[1]

    def die(self) -> None:
        self.listener.close()
        for writer in list(self.writers):
            writer.transport.abort()
        self.closing.set()

    async def end(self) -> None:
        self.die()
        await until(lambda: not self.open)

    async def still(self, sessions: int) -> None:
        """Until so many sessions have written MAIL and are kept waiting for the answer: nothing is at its dot."""
        self.on_mail(*[Act("mail", then="hang")] * sessions)
        while self.mail_acts:
            await asyncio.sleep(0)

    def dies(self, *, after: int, still: int) -> Callable[[], Awaitable[None]]:
        """For ``night``: once so many messages are taken and nothing of so many sessions is at its dot, it is gone."""

        async def death() -> None:
            await until(lambda: len(self.taken) >= after)
            await self.still(still)
            self.die()

        return death


@pytest.fixture
def hasty(monkeypatch) -> None:
    patience(monkeypatch, 3.0)


def patience(monkeypatch, seconds: float) -> None:
    monkeypatch.setattr(runs, "PATIENCE", seconds)
    monkeypatch.setattr(runs, "FIRST_PATIENCE", seconds)
    monkeypatch.setattr("notifier.delivery.connection.NAP_SECONDS", 0.2)


@pytest.fixture
def night(opened, vault, settings, folder):
    """``night(first, second, meanwhile)``: one run over these two; its report. ``first`` is None: nobody listens."""

    def run(
        first: Mortal,
        second: Mortal,
        meanwhile: Callable[[], Awaitable[None]] | None = None,
        *,
        tune: dict | None = None,
        fallback: dict | None = None,
        **arguments,
    ) -> SendReport:
        async def whole() -> SendReport:
            async with AsyncExitStack() as stack:
                database = await stack.enter_async_context(opened())
                for server in (first, second):
                    await server.rise()
                    stack.push_async_callback(server.end)
                other = {"host": "127.0.0.1", "port": second.port, "tls": "none", "rate": 0, **(fallback or {})}
                chosen = tuned(settings, port=first.port, **{"connections": 3, "fallback": other, **(tune or {})})
                given = {"clock": lambda: datetime.now(UTC), **arguments}
                beside = asyncio.ensure_future(meanwhile()) if meanwhile else None
                try:
                    return await send(database, vault, chosen, folder, tiny_notice, **given)
                finally:
                    if beside is not None:
                        beside.cancel()

        return asyncio.run(whole())

    return run


def many(count: int) -> list[str]:
    return [f"p{number}@courriel.example" for number in range(count)]


def copies(*servers: Server) -> Counter[str]:
    return Counter(taken.recipient for server in servers for taken in server.taken)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


@pytest.mark.parametrize("extensions", [PIPELINING, Server.extensions], ids=["pipelining", "lockstep"])
def test_a_restart_of_the_first_changes_nothing(rows, night, monkeypatch, extensions):
    """It is away for a second, of the sixty that it is given: the run stays with it."""
    patience(monkeypatch, 60.0)
    rows.deliver(*many(60))
    first, second = Mortal(extensions=extensions), Mortal()

    async def restart() -> None:
        await first.dies(after=20, still=3)()
        await asyncio.sleep(1.0)
        await first.rise()

    report = night(first, second, restart)
    assert (report.reason, report.accepted) == ("done", 60)
    assert not rows.entries("relay_changed") and not second.sessions
    assert copies(first) == Counter(many(60))


def test_the_fallback_takes_over_when_patience_ends(rows, night, hasty):
    """The first dies for good: not before its patience has ended, once, and then everything goes out, at once."""
    rows.deliver(*many(90))
    first, second = Mortal(), Mortal()
    died = []
    told = []

    async def death() -> None:
        await first.dies(after=20, still=3)()
        died.append(datetime.now(UTC))

    report = night(first, second, death, on_progress=told.append)
    over = datetime.now(UTC)
    assert (report.reason, report.accepted, report.in_doubt) == ("done", 90, 0)
    assert copies(first, second) == Counter(many(90)), "nobody is lost, nobody is told twice"
    (changed,) = rows.entries("relay_changed")
    assert (changed["facts"]["from"], changed["facts"]["to"]) == (first.name, second.name)
    assert "no connection" in changed["facts"]["reason"]
    at = datetime.fromisoformat(changed["at"])
    assert (at - died[0]).total_seconds() >= runs.PATIENCE - 0.1
    assert (over - at).total_seconds() < runs.PATIENCE / 2, "nobody goes on asking the first"
    assert any(progress.why.startswith(f"the relay {first.name} does not answer") for progress in told)
    accepted = Counter(entry["facts"]["relay"] for entry in rows.entries("delivery_accepted"))
    assert accepted == {first.name: len(first.taken), second.name: len(second.taken)}


@pytest.mark.thorough
def test_who_waited_while_it_died_is_sent_at_once(rows, night, monkeypatch):
    """One message for each connection is left: each of them waits for a session, and each has one when it changes."""
    patience(monkeypatch, 3.0)
    rows.deliver(*many(4))
    first, second = Mortal(), Mortal()

    async def death() -> None:
        await first.still(4)
        first.die()

    report = night(first, second, death, tune={"connections": 4})
    assert (report.reason, report.accepted) == ("done", 4)
    (changed,) = rows.entries("relay_changed")
    at = datetime.fromisoformat(changed["at"])
    last = from_ms(rows.one("SELECT MAX(since_ms) FROM deliveries"))
    assert (last - at).total_seconds() < 1.0 and len(second.taken) == 4


@pytest.mark.thorough
def test_a_first_that_cuts_at_the_dot_leaves_doubts_and_no_second_copy(rows, night, hasty):
    rows.deliver(*many(60))
    first, second = Mortal(extensions=PIPELINING), Mortal(extensions=PIPELINING)
    first.on_take = lambda: first.die() if len(first.taken) == 20 else None
    report = night(first, second)
    assert report.reason == "done" and 1 <= report.in_doubt <= 3
    assert report.accepted + report.in_doubt == 60 and max(copies(first, second).values()) == 1
    assert len(rows.entries("relay_changed")) == 1


def test_each_session_says_how_it_was_secured(rows, night, monkeypatch, authority, tmp_path):
    patience(monkeypatch, 0.5)
    rows.deliver(*many(30))
    contexts, prints = [], []
    for _ in range(2):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        issued = authority.issue_cert("127.0.0.1")
        issued.configure_cert(context)
        contexts.append(context)
        prints.append(fingerprint(issued))
    contexts[1].maximum_version = ssl.TLSVersion.TLSv1_2
    first, second = Mortal(starttls=contexts[0]), Mortal(implicit=contexts[1])

    secured = {"ca_file": tmp_path / "ca.pem"}
    report = night(
        first,
        second,
        first.dies(after=10, still=2),
        tune={"tls": "starttls", "connections": 2, **secured},
        fallback={"tls": "implicit", **secured},
    )
    assert report.accepted == 30
    opened = {}
    for entry in rows.entries("connection_opened"):
        facts = entry["facts"]
        opened.setdefault(facts["relay"], []).append((facts["tls"], facts["verified"], facts["certificate_sha256"]))
    assert opened == {
        first.name: [("TLSv1.3", True, prints[0])] * 2,
        second.name: [("TLSv1.2", True, prints[1])] * len(opened[second.name]),
    }


def fingerprint(issued: trustme.LeafCert) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())).hexdigest()


# -- what the fallback is not for ----------------------------------------------------------------------------------


def test_a_first_that_refuses_the_login_pauses(rows, night, hasty, monkeypatch):
    """A fault of ours at the first is not cured by the second: somebody has to look."""
    monkeypatch.setenv("NOTIFIER_RELAY_PASSWORD", "wrong")
    rows.deliver(*many(5))
    first, second = Mortal(login=("clairval", "right")), Mortal()
    report = night(first, second, tune={"username": "clairval"})
    assert report.reason == "paused" and report.paused_reason.startswith("the relay said at auth: 535")
    assert not second.sessions and not rows.entries("relay_changed") and rows.states() == {"queued": 5}


def test_a_first_that_refuses_the_login_after_a_restart_pauses(rows, night, hasty, monkeypatch):
    """In the middle, while the others wait for what it says: they ask it no more."""
    monkeypatch.setenv("NOTIFIER_RELAY_PASSWORD", "right")
    rows.deliver(*many(60))
    first, second = Mortal(login=("clairval", "right")), Mortal()

    async def restart() -> None:
        await first.dies(after=20, still=3)()
        first.login = ("clairval", "another")
        first.sessions = 0
        await asyncio.sleep(0.5)
        await first.rise()

    report = night(first, second, restart, tune={"username": "clairval"})
    assert report.reason == "paused" and "535" in report.paused_reason and first.sessions == 1
    assert not second.sessions and not rows.entries("relay_changed")
    assert rows.states()["accepted"] == len(first.taken) and set(rows.states()) == {"accepted", "queued", "deferred"}


def test_a_first_whose_certificate_does_not_verify_ends_the_run(rows, night, hasty, certificate):
    rows.deliver(*many(5))
    first, second = Mortal(implicit=certificate), Mortal()
    with pytest.raises(SettingsError, match=r"does not verify .* set relay\.ca_file"):
        night(first, second, tune={"tls": "implicit"})
    assert not second.sessions and not rows.entries("relay_changed")


def test_a_first_that_takes_no_mail_ends_the_run(rows, night, monkeypatch):
    """It answers: its disk is full, or it has had enough of us. Nobody takes that to another relay unasked."""
    patience(monkeypatch, 0.1)
    rows.deliver(*many(60))
    first, second = Mortal(), Mortal()
    first.on_mail(*[Act("mail", "452 4.3.1 insufficient system storage")] * 1000)
    with pytest.raises(RelayUnavailable, match=r"takes no mail now \(452"):
        night(first, second)
    assert not second.sessions and not rows.entries("relay_changed") and "refused" not in rows.states()


def test_neither_answers(rows, night, monkeypatch):
    patience(monkeypatch, 0.5)
    rows.deliver(*many(30))
    first, second = Mortal(), Mortal(greeting="421 4.3.2 closed")

    with pytest.raises(RelayUnavailable, match=r"421 at greeting.*\[relay\.fallback\]") as caught:
        night(first, second, first.dies(after=10, still=3))
    assert caught.value.exit_code == 75
    assert set(rows.states()) <= {"accepted", "queued", "deferred"} and rows.states()["accepted"] == len(first.taken)
    assert rows.one("SELECT MAX(retries) FROM deliveries") == 0


# -- what holds over both ------------------------------------------------------------------------------------------


def test_each_has_its_own_pace(rows, night, monkeypatch):
    patience(monkeypatch, 0.5)
    rows.deliver(*many(60))
    first, second = Mortal(), Mortal()

    night(
        first,
        second,
        first.dies(after=15, still=1),
        tune={"rate": 200, "burst": 5, "connections": 1},
        fallback={"rate": 50, "burst": 2},
    )
    assert len(second.mails) >= 40
    for server, rate, burst in ((first, 200, 5), (second, 50, 2)):
        for begin, one in enumerate(server.mails):
            for count, other in enumerate(server.mails[begin:], start=1):
                # The server's clock stands behind a socket: a few milliseconds either way.
                assert count <= (other - one + 0.02) * rate + burst + 1
    assert sorted(name for (name,) in rows.all("SELECT name FROM pace")) == sorted([first.name, second.name])


@pytest.mark.parametrize("limit", [25, 40])
def test_a_limit_counts_over_both(rows, night, monkeypatch, limit):
    patience(monkeypatch, 0.5)
    rows.deliver(*many(60))
    first, second = Mortal(), Mortal()

    report = night(first, second, first.dies(after=20, still=3), limit=limit)
    assert (report.reason, report.accepted) == ("limit", limit)
    assert len(first.taken) + len(second.taken) == limit and len(copies(first, second)) == limit
    assert rows.states() == {"accepted": limit, "queued": 60 - limit}


def test_a_stop_while_the_first_is_silent(rows, night, monkeypatch):
    """No fallback takes over for a run that ends, and nobody waits for patience."""
    patience(monkeypatch, 600.0)
    rows.deliver(*many(60))
    first, second = Mortal(), Mortal()

    async def death() -> None:
        await first.dies(after=20, still=3)()
        await asyncio.sleep(0.3)
        os.kill(os.getpid(), signal.SIGTERM)

    began = time.monotonic()
    report = night(first, second, death)
    assert time.monotonic() - began < 20 and report.reason == "stopped"
    assert not second.sessions and not rows.entries("relay_changed") and rows.states()["accepted"] == len(first.taken)


def test_fewer_sessions_than_wanted_are_told(rows, night, monkeypatch):
    """The relay gives one session of three: all goes out over it, and whoever watches learns why it is slow."""
    patience(monkeypatch, 60.0)
    rows.deliver(*many(120))
    first, second = Mortal(most_sessions=1), Mortal()
    told = []
    report = night(first, second, tune={"window": 6}, on_progress=told.append)
    assert report.accepted == 120 and not second.sessions and not rows.entries("relay_changed")
    words = f"sessions: 1 of 3 are open: the relay {first.name} does not answer (421 at greeting)"
    assert any(progress.why == words for progress in told), {progress.why for progress in told}
