"""A run of the sender: what it claims, when it ends, what stops it, what it tells."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from datetime import UTC, datetime

import pytest

from notifier.delivery import connection
from notifier.delivery.sender import pause, resume
from notifier.errors import CampaignBusy, OperatorError, RelayUnavailable, SettingsError, StorageError, TemplateError
from notifier.storage.lock import sender_lock
from tests.delivery.rows import TinyNotice
from tests.relay.server import Act

NOW = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)


def many(count: int, prefix: str = "p") -> list[str]:
    return [f"{prefix}{number}@courriel.example" for number in range(count)]


# -- what is claimed -----------------------------------------------------------------------------------------------


def test_nothing_that_was_not_approved_goes_out(rows, server, sending):
    rows.deliver(*many(3), approved=False)
    report = sending(server)
    assert server.sessions == 0 and report.left.unapproved == 3 and report.exit_code == 1


def test_an_empty_campaign_is_done(server, sending):
    report = sending(server)
    assert report.reason == "done" and report.exit_code == 0 and server.sessions == 0


def test_only_the_wave_asked_for(rows, server, sending):
    rows.deliver(*many(3), wave="initial")
    rows.deliver(*many(2, "q"), wave="supplement")
    report = sending(server, wave="supplement")
    assert report.accepted == 2 and report.exit_code == 0
    assert all(taken.recipient.startswith("q") for taken in server.taken)
    with pytest.raises(OperatorError, match="no wave 'x'"):
        sending(server, wave="x")


def test_a_limit_is_spread_over_the_segments(rows, server, sending):
    for segment in range(3):
        rows.deliver(*many(20, f"s{segment}-"), segment=segment)
    report = sending(server, limit=6)
    assert report.reason == "limit" and report.exit_code == 1 and report.remaining == 54
    assert sorted(taken.recipient[:2] for taken in server.taken) == ["s0", "s0", "s1", "s1", "s2", "s2"]


def test_children_are_named_in_one_notice_to_the_holder(rows, server, sending):
    rows.deliver("parent@courriel.example", form="children", children=("Zoé", "Anaïs"))
    sending(server)
    assert "Anaïs Vasseur, Zoé Vasseur".encode() in server.taken[0].data


def test_a_dry_run_renders_everything_and_changes_nothing(rows, sending, folder):
    rows.deliver(*many(30))
    before = rows.snapshot()
    report = sending(None, dry_run=True)
    assert report.rendered == 30 and report.exit_code == 0
    assert rows.snapshot() == before and not (folder / "logs").exists()


def test_a_message_for_somebody_else_never_goes_out(rows, server, sending):
    """I2: the envelope and the To header are asserted against the contact at the moment of sending."""

    class Mixed(TinyNotice):
        def render(self, fields, *, to, message_id, date):
            return super().render(fields, to="p0@courriel.example", message_id=message_id, date=date)

    async def notice_for(batch_id, segment_id):
        return Mixed()

    rows.deliver(*many(5)[1:])
    report = sending(server, notice_for=notice_for)
    assert server.taken == [] and rows.states() == {"unmade": 4} and report.exit_code == 1, "nothing in doubt"


@pytest.mark.parametrize("fault", [b"a\nb\r\n", b"a\r\n.\rb\r\n", b"a"])
def test_a_message_with_bare_line_ends_never_goes_out(rows, server, sending, fault):
    class Bare(TinyNotice):
        def render(self, fields, *, to, message_id, date):
            return super().render(fields, to=to, message_id=message_id, date=date) + fault

    async def notice_for(batch_id, segment_id):
        return Bare()

    rows.deliver("a@courriel.example")
    assert sending(server, notice_for=notice_for).unmade == 1
    assert server.taken == [] and rows.entries("delivery_unmade")[0]["facts"]["reply"] == "envelope"


def test_a_notice_that_does_not_compile_gives_the_claims_back(rows, server, sending):
    async def notice_for(batch_id, segment_id):
        raise TemplateError("base.md, line 3: no such field")

    rows.deliver(*many(50))
    with pytest.raises(TemplateError):
        sending(server, notice_for=notice_for)
    assert rows.states() == {"queued": 50} and rows.entries() == []
    assert rows.one("SELECT MAX(attempt) FROM deliveries") == 0


# -- what stops it -------------------------------------------------------------------------------------------------


def test_a_pause_stops_within_the_transactions_in_flight(rows, server, sending):
    rows.deliver(*many(300))
    seen = asyncio.Event()
    server.on_take = lambda: len(server.taken) >= 50 and seen.set()

    async def meanwhile(database):
        await seen.wait()
        assert await pause(database, reason="texte à corriger", by="dpo", now=datetime.now(UTC))

    report = sending(server, meanwhile=meanwhile)
    assert report.reason == "paused" and report.paused_reason == "texte à corriger" and report.exit_code == 1
    assert len(server.taken) < 300 and rows.states() == {"accepted": len(server.taken), "queued": report.remaining}
    assert len(server.taken) + report.remaining == 300

    again = sending(server)
    assert again.reason == "paused" and again.accepted == 0

    async def allow(database):
        assert await resume(database, by="dpo", now=datetime.now(UTC))
        assert not await resume(database, by="dpo", now=datetime.now(UTC))

    sending(server, meanwhile=allow)
    sending(server)
    assert rows.states() == {"accepted": 300}
    kinds = [entry["kind"] for entry in rows.entries() if entry["kind"].startswith("campaign")]
    assert kinds == ["campaign_paused", "campaign_resumed"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_finishes_what_is_on_the_wire_and_gives_back_the_rest(rows, server, sending, number):
    rows.deliver(*many(300))
    server.on_take = lambda: len(server.taken) == 40 and os.kill(os.getpid(), number)
    handler = signal.getsignal(number)
    report = sending(server)
    assert report.reason == "stopped" and report.exit_code == 1
    assert rows.states() == {"accepted": len(server.taken), "queued": 300 - len(server.taken)}
    assert signal.getsignal(number) is handler
    assert sending(server).accepted + report.accepted == 300
    assert len({taken.recipient for taken in server.taken}) == len(server.taken) == 300


def test_one_sender_at_a_time(rows, server, sending, folder):
    rows.deliver("a@courriel.example")
    with sender_lock(folder, NOW), pytest.raises(CampaignBusy, match=rf"process {os.getpid()} since 2024-02-09T08"):
        sending(server)
    assert sending(server).accepted == 1


def test_a_relay_that_does_not_answer_is_told_as_try_later(rows, sending, server):
    rows.deliver("a@courriel.example")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # ours, and nobody listens: nothing else can answer there
        with pytest.raises(RelayUnavailable) as caught:
            sending(None, tune={"port": bound.getsockname()[1]})
    assert caught.value.exit_code == 75
    server.greeting = "421 4.3.2 not now"
    with pytest.raises(RelayUnavailable):
        sending(server)
    assert rows.states() == {"queued": 1} and rows.entries() == []


def test_with_wait_a_relay_that_restarts_when_the_run_begins_is_waited_for(rows, server, sending, monkeypatch):
    monkeypatch.setattr("notifier.delivery.run.FIRST_PATIENCE", 0.01)
    rows.deliver(*many(5))
    ready, server.greeting = server.greeting, "421 4.3.2 restarting"

    def look(progress) -> None:
        if "does not answer (421" in progress.why:
            server.greeting = ready

    assert sending(server, wait=True, on_progress=look, looks_around=True).accepted == 5


def test_who_stops_a_run_that_waits_for_its_first_session_has_stopped_it(rows, sending):
    rows.deliver(*many(5))
    asked = []

    def look(progress) -> None:
        if "does not answer" in progress.why and not asked:
            asked.append(progress)
            os.kill(os.getpid(), signal.SIGTERM)

    report = sending(None, tune={"port": 9}, wait=True, on_progress=look, looks_around=True)
    assert report.reason == "stopped" and report.exit_code == 1 and rows.states() == {"queued": 5}


def test_a_pause_ends_a_run_that_waits_for_its_first_session(rows, server, sending, monkeypatch):
    monkeypatch.setattr("notifier.delivery.run.POLL_SECONDS", 0.05)
    rows.deliver(*many(5))
    server.greeting = "421 4.3.2 restarting"
    silent = asyncio.Event()

    async def pause_it(database) -> None:
        async with asyncio.timeout(20):
            await silent.wait()
        assert await pause(database, reason="texte à corriger", by="dpo", now=NOW)

    def look(progress) -> None:
        if "does not answer" in progress.why:
            silent.set()

    report = sending(server, wait=True, meanwhile=pause_it, on_progress=look, looks_around=True)
    assert (report.reason, report.paused_reason) == ("paused", "texte à corriger")
    assert rows.states() == {"queued": 5} and len(rows.entries("campaign_paused")) == 1


def test_a_database_that_fails_meanwhile_ends_a_run_that_waits_for_its_first_session(rows, sending, monkeypatch):
    monkeypatch.setattr("notifier.delivery.run.POLL_SECONDS", 0.05)
    rows.deliver(*many(5))

    def look(progress) -> None:
        if "does not answer" in progress.why:
            rows.run("ALTER TABLE campaign RENAME COLUMN paused_reason TO gone")

    with pytest.raises(StorageError, match="paused_reason"):
        sending(None, tune={"port": 9}, wait=True, on_progress=look, looks_around=True)


def test_a_relay_that_will_not_have_us_pauses_with_its_words(rows, server, sending):
    rows.deliver("a@courriel.example")
    server.greeting = "554 5.7.1 your address is blocked"
    report = sending(server)
    assert report.reason == "paused" and "your address is blocked" in report.paused_reason
    assert rows.states() == {"queued": 1}


def test_a_relay_that_dies_in_the_middle_loses_nobody(rows, server, sending, monkeypatch):
    monkeypatch.setattr("notifier.delivery.run.PATIENCE", 0.3)
    rows.deliver(*many(200))

    def die() -> None:
        if len(server.taken) == 60:
            server.most_sessions = -1  # from now on every new session gets 421 …
            server.messages_per_session = 0  # … and every old one too

    server.on_take = die
    with pytest.raises(RelayUnavailable):
        sending(server)
    states = rows.states()
    assert set(states) <= {"queued", "deferred", "accepted"} and states["accepted"] == len(server.taken)


@pytest.mark.parametrize("reply", ["421 4.3.2 closing", "452 4.3.1 insufficient system storage"])
def test_a_relay_that_takes_no_mail_now_ends_the_run_before_everybody_is_deferred(
    rows, server, sending, monkeypatch, reply
):
    monkeypatch.setattr("notifier.delivery.run.PATIENCE", 0.3)
    rows.deliver(*many(200))
    server.on_mail(*[Act("mail", reply)] * 10_000)
    with pytest.raises(RelayUnavailable, match=reply[:3]) as caught:
        sending(server)
    assert caught.value.exit_code == 75
    assert len(server.mails) < 30 and rows.states()["queued"] > 170
    server.mail_acts.clear()


def test_a_few_that_are_turned_away_at_mail_stop_nothing(rows, server, sending):
    rows.deliver(*many(20))
    server.on_mail(*[Act("mail", "451 4.3.0 busy")] * 3)
    report = sending(server)
    assert report.reason == "done" and report.accepted + rows.states().get("deferred", 0) == 20


# -- the session ---------------------------------------------------------------------------------------------------


def test_starttls_login_and_a_verified_certificate(rows, server, sending, certificate, tmp_path, folder):
    rows.deliver("a@courriel.example")
    server.starttls, server.login = certificate, ("clairval", "s3cret é")
    (folder / "relay.password").write_text("s3cret é\n", encoding="utf-8")
    tls = {"tls": "starttls", "ca_file": tmp_path / "ca.pem", "username": "clairval"}
    assert sending(server, tune={**tls, "password_file": "relay.password"}).accepted == 1
    rows.deliver("b@courriel.example")
    with pytest.raises(SettingsError, match=r"password_file"):
        sending(server, tune=tls)
    (folder / "relay.password").write_text("wrong\n", encoding="utf-8")
    report = sending(server, tune={**tls, "password_file": "relay.password"})
    assert report.reason == "paused" and "535" in report.paused_reason


def test_an_unknown_certificate_stops_before_anything_is_claimed(rows, server, sending, certificate):
    rows.deliver("a@courriel.example")
    server.starttls = certificate
    with pytest.raises(SettingsError, match=r"certificate of the relay .* does not verify"):
        sending(server, tune={"tls": "starttls"})
    server.starttls = None
    with pytest.raises(SettingsError, match="no STARTTLS"):
        sending(server, tune={"tls": "starttls"})
    assert rows.states() == {"queued": 1} and server.mails == []


def test_a_sample_campaign_cannot_reach_a_real_relay(rows, sending):
    rows.deliver("a@courriel.example")
    with pytest.raises(SettingsError, match="this machine only"):
        sending(None, tune={"host": "relay.mutuelle-clairval.example", "allow_plaintext": True})


def test_a_session_that_waits_for_long_is_closed_with_quit(rows, server, sending, monkeypatch):
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0.02)
    rows.deliver("a@courriel.example")
    server.on("a@courriel.example", Act("rcpt", "450 4.2.0 later"))
    report = sending(server, wait=True, tune={"connections": 1, "retry__first_seconds": 0.5})
    assert report.accepted == 1 and server.sessions == 2
    assert [line for line in server.commands if line == "QUIT"] == ["QUIT", "QUIT"] and not server.faults
