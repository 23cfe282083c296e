"""`send --test-to`: specimens to one address, over the campaign's relay, past its accounts."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import ssl
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

import pytest
import trustme

from notifier.delivery.specimens import Specimen, send_specimens
from notifier.errors import CampaignBusy, OperatorError, RelayUnavailable, SettingsError
from notifier.model import Contact, PersonalFields
from notifier.storage.lock import sender_lock
from tests.delivery.rows import TinyNotice, tuned
from tests.relay.server import Act, Server, serving

NOW = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
TO = "dpo@mutuelle-clairval.example"
FIELDS = PersonalFields(Contact("Exemple", "Camille"), "0000-EXEM-P1E0")


@pytest.fixture
def testing(opened, vault, settings, folder):
    """``testing(server, count=3, to=TO, tune={…})``: a test of so many segments against the server."""

    def run(server: Server | None, *, count: int = 3, to: str = TO, tune: dict | None = None):
        async def whole():
            chosen = tuned(settings, **(tune or {}))
            specimens = [Specimen(n, settings.senders[0], TinyNotice(), FIELDS) for n in range(1, count + 1)]
            arguments = {"to": to, "wave": "initial", "by": "dpo", "clock": lambda: datetime.now(UTC)}
            async with opened() as database:
                if server is None:
                    return await send_specimens(database, vault, chosen, folder, specimens, **arguments)
                async with serving(server):
                    chosen = tuned(chosen, port=server.port)
                    return await send_specimens(database, vault, chosen, folder, specimens, **arguments)

        return asyncio.run(whole())

    return run


def accounts(rows):
    return [rows.all(f"SELECT * FROM {table}") for table in ("deliveries", "attempts", "notifications", "campaign")]


def test_i1_i2_one_of_each_to_one_address_and_no_account_moves(rows, server, testing, vault):
    """I1: no delivery, attempt or notification changes. I2: nobody but the address is a recipient."""
    rows.deliver("a@courriel.example", "b@courriel.example")
    before = accounts(rows)
    report = testing(server)
    assert (report.messages, report.outcomes, report.exit_code) == (3, {"accepted": 3}, 0)
    assert [taken.recipient for taken in server.taken] == [TO] * 3
    assert accounts(rows) == before
    (entry,) = rows.entries()
    assert entry["kind"] == "test_sent" and entry["subject"] == ""
    assert entry["facts"] == {
        "wave": "initial", "by": "dpo", "messages": 3, "approved": 0, "outcomes": {"accepted": 3},
        "address": vault.digest("test address", TO).hex(),
    }  # fmt: skip
    assert "clairval" not in str(entry) and "dpo@" not in str(entry), "I8"


def test_a_tests_names_are_never_a_deliverys(rows, server, testing):
    rows.deliver("a@courriel.example")
    testing(server)
    delivery = rows.one("SELECT token FROM deliveries").hex()
    tokens = set()
    for taken in server.taken:
        message = message_from_bytes(taken.data, policy=default)
        found = re.fullmatch(r"<test-([0-9a-f]{32})@mutuelle-clairval\.example>", message["Message-ID"])
        back = re.fullmatch(r"bounces\+test-([0-9a-f]{32})@retours\.mutuelle-clairval\.example", taken.return_path)
        assert found and back and found[1] == back[1]
        # A delivery's own, as envelopes.prepare makes it, begins with 32 hex digits: neither fits the other's place.
        assert not re.match(r"bounces\+[0-9a-f]{32}\.", taken.return_path)
        tokens.add(found[1])
    assert len(tokens) == 3 and delivery not in tokens
    assert sum(f"ENVID=test-{token}" in command for command in server.commands for token in tokens) == 3


def test_refusals_are_told_without_the_address_and_the_rest_goes_on(rows, server, testing):
    server.on(TO, Act("rcpt", f"550 5.1.1 <{TO}> unknown"), Act("final", "451 4.3.0 later"))
    report = testing(server)
    assert report.outcomes == {"accepted": 1, "deferred": 1, "refused": 1} and report.exit_code == 1
    assert TO not in str(report.fates) and "<recipient>" in report.fates[0].reply
    assert rows.entries()[0]["facts"]["outcomes"] == report.outcomes


def test_a_connection_lost_before_the_body_is_made_anew_and_one_lost_after_is_in_doubt(server, testing):
    server.on(TO, Act("rcpt", then="drop"), Act("final", then="take_drop"))
    report = testing(server, count=2)
    # The first message's second try is the one whose answer never came.
    assert report.outcomes == {"accepted": 1, "in_doubt": 1} and server.copies(TO) == 2


def test_a_session_is_not_used_beyond_its_number_of_messages(server, testing):
    assert testing(server, count=5, tune={"messages_per_connection": 2}).exit_code == 0
    assert server.sessions == 3
    server.messages_per_session = 3
    assert testing(server, count=5).exit_code == 0


def test_a_relay_that_will_not_have_us_stops_the_test_and_pauses_nothing(rows, server, testing):
    server.greeting = "554 5.7.1 not you"
    report = testing(server)
    assert report.outcomes == {"not_tried": 3} and report.exit_code == 1 and "not you" in report.stopped
    assert rows.one("SELECT paused_reason FROM campaign") is None
    assert [entry["kind"] for entry in rows.entries()] == ["test_sent"]


def test_no_relay_is_75_and_still_on_record(rows, testing):
    with pytest.raises(RelayUnavailable) as unavailable:
        testing(None, tune={"port": 9})
    assert unavailable.value.exit_code == 75
    assert rows.entries()[0]["facts"]["outcomes"] == {"not_tried": 3}


@pytest.mark.parametrize("to", ["nobody", "@courriel.example", "a b@courriel.example", "a@x.example>,<b@x.example"])
def test_no_command_can_carry_it(rows, server, testing, to):
    with pytest.raises(OperatorError, match="test-to"):
        testing(server, to=to)
    assert server.sessions == 0 and rows.entries() == []


def test_a_sample_campaign_tests_on_this_machine_only(testing):
    with pytest.raises(SettingsError, match="this machine only"):
        testing(None, tune={"host": "relay.mutuelle-clairval.example", "allow_plaintext": True})


def test_while_a_sender_runs_it_waits_its_turn(folder, server, testing):
    with sender_lock(folder, NOW), pytest.raises(CampaignBusy):
        testing(server)
    assert server.sessions == 0


def test_i6_the_pace_holds_for_tests_and_over_two_of_them(rows, server, testing, written):
    """I6: of commands written, two tests after one another out of one bucket."""
    rate, burst = 40.0, 2
    for _ in range(2):
        assert testing(server, count=8, tune={"rate": rate, "burst": burst}).exit_code == 0
    assert len(written.mails) == 16 and written.keeps(rate, burst)
    assert rows.one("SELECT next_us FROM pace") > 0


def test_i6_a_test_to_a_provider_that_has_a_pace_keeps_it(server, testing, written):
    tune = {"pace__rates": {"orange": 25.0}}
    for _ in range(2):
        assert testing(server, count=4, to="dpo@wanadoo.fr", tune=tune).exit_code == 0
    assert len(written.mails) == 8 and written.keeps(25.0)


def test_the_same_address_written_otherwise_has_the_same_digest(rows, server, testing):
    testing(server, count=1)
    testing(server, count=1, to=TO.replace("dpo", "DPO"))
    one, other = (entry["facts"]["address"] for entry in rows.entries())
    assert one == other and server.taken[1].recipient.startswith("DPO@")


def test_tls_is_verified_as_for_every_message(server, testing, tmp_path):
    authority, context = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server.starttls = context
    with pytest.raises(SettingsError, match="does not verify"):
        testing(server, tune={"tls": "starttls"})
    assert not server.taken
    assert testing(server, tune={"tls": "starttls", "ca_file": tmp_path / "ca.pem"}).exit_code == 0
    assert "STARTTLS" in server.commands


def test_a_signal_ends_it_after_the_message_on_the_wire_and_it_is_on_record(rows, server, testing):
    server.on_take = lambda: len(server.taken) == 2 and os.kill(os.getpid(), signal.SIGTERM)
    report = testing(server, count=5, tune={"rate": 20.0})
    assert report.outcomes == {"accepted": 2, "not_tried": 3} and report.exit_code == 1
    assert report.stopped == "stopped by hand"
    assert rows.entries()[0]["facts"]["outcomes"] == report.outcomes
