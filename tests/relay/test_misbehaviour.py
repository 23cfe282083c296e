"""Every way in which a relay can fail, through the real sender: what becomes of the delivery, and what is written."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from notifier.delivery.return_path import return_path
from notifier.model import to_ms
from tests.relay.server import Act

ADDRESS = "marie.lenoir@courrier-prive.example"
LATER = {"clock": lambda: datetime.now(UTC) + timedelta(hours=1)}


def test_a_well_behaved_relay_takes_each_once(rows, server, sending):
    addresses = [f"p{number}@courriel.example" for number in range(60)]
    ids = rows.deliver(*addresses)
    report = sending(server)
    assert sorted(taken.recipient for taken in server.taken) == sorted(addresses)
    assert report.accepted == 60 and report.remaining == 0 and report.exit_code == 0
    assert {rows.state(one) for one in ids} == {"accepted"}
    assert len(rows.entries("delivery_accepted")) == 60
    assert rows.one("SELECT COUNT(*) FROM attempts WHERE outcome = 'accepted' AND code = 250") == 60
    assert server.most_open == 4 and server.sessions <= 5, "sessions are reused"


def test_the_message_is_whole_and_the_envelope_opaque(rows, server, sending, vault):
    (one,) = rows.deliver(ADDRESS)
    sending(server)
    (taken,) = server.taken
    token = rows.one("SELECT token FROM deliveries WHERE id = ?", one).hex()
    assert taken.return_path == return_path(vault, bytes.fromhex(token), "retours.mutuelle-clairval.example")
    assert f"Message-ID: <{token}@mutuelle-clairval.example>\r\n".encode() in taken.data
    assert f"To: {ADDRESS}\r\n".encode() in taken.data
    assert b"\r\n.\r\nDossier" in taken.data, "a line with a lone dot survives (dot-stuffing)"
    (mail,) = [command for command in server.commands if command.startswith("MAIL")]
    assert f"SIZE={len(taken.data)} BODY=8BITMIME RET=HDRS ENVID={token}" in mail


CASES = [
    # phase, reply, state, exit code
    ("rcpt", "450 4.2.0 try later", "deferred"),
    ("rcpt", "452 4.2.2 mailbox full", "deferred"),
    ("rcpt", "550 5.1.1 <{address}>: user unknown", "to_print"),
    ("rcpt", "550 5.7.1 spam source", "deferred"),
    ("data", "451 4.3.0 not now", "deferred"),
    ("final", "452 4.3.1 no room", "deferred"),
    ("final", "550 5.1.1 no such user {address}", "to_print"),
    ("final", "554 5.7.1 looks like spam", "deferred"),
    ("rcpt", "421 4.3.2 going down", "deferred"),
    ("final", "421 4.7.0 slow down", "deferred"),
    ("data", "421 4.3.2 going down", "deferred"),
]


@pytest.mark.parametrize(("phase", "reply", "state"), CASES)
def test_a_reply_at_each_phase(rows, server, sending, phase, reply, state):
    (one,) = rows.deliver(ADDRESS)
    others = rows.deliver(*(f"q{number}@courriel.example" for number in range(8)))
    server.on(ADDRESS, Act(phase, reply.format(address=ADDRESS)))
    report = sending(server)
    assert report.exit_code == 1
    assert {rows.state(other) for other in others} == {"accepted"}, "the others are not held up"
    if state == "to_print":
        assert rows.state(one) == "refused"
        letter = rows.one("SELECT id FROM deliveries WHERE replaces_id = ?", one)
        assert rows.state(letter) == "to_print"
        assert rows.one("SELECT COUNT(*) FROM notifications WHERE delivery_id = ?", letter) == 1
        (entry,) = rows.entries("delivery_refused")
        token = rows.one("SELECT token FROM deliveries WHERE id = ?", letter).hex()
        assert entry["facts"]["then"] == "post" and entry["facts"]["letter"] == token
        assert report.to_post == 1 and report.left.letters == 1
    else:
        assert rows.state(one) == state and report.next_due is not None
        (entry,) = rows.entries("delivery_deferred")
    assert entry["facts"]["phase"] == phase and entry["facts"]["code"] == int(reply[:3])
    assert ADDRESS not in entry["facts"]["reply"]
    assert server.copies(ADDRESS) == 0


def test_refused_without_a_postal_address_is_unreachable(rows, server, sending):
    (one,) = rows.deliver(ADDRESS, postal=False)
    server.on(ADDRESS, Act("rcpt", "550 5.1.1 unknown"))
    report = sending(server)
    assert report.unreachable == 1 and report.exit_code == 1
    assert rows.one("SELECT delivery_id FROM notifications") == one
    assert rows.entries("delivery_refused")[0]["facts"]["then"] == "unreachable"


def test_deferred_is_accepted_later_with_the_same_message_id(rows, server, sending):
    (one,) = rows.deliver(ADDRESS)
    server.on(ADDRESS, Act("rcpt", "451 4.7.1 Greylisted, come back"))
    assert sending(server).exit_code == 1
    assert sending(server).accepted == 0, "not due yet"
    report = sending(server, **LATER)
    assert report.accepted == 1 and rows.state(one) == "accepted"
    assert rows.all("SELECT number, outcome FROM attempts ORDER BY number") == [(1, "deferred"), (2, "accepted")]


def test_wait_stays_until_what_is_deferred_is_through(rows, server, sending):
    rows.deliver(ADDRESS, "b@courriel.example")
    server.on(ADDRESS, Act("rcpt", "450 4.2.0 later"), Act("final", "451 4.3.0 later"))
    report = sending(server, wait=True, tune={"retry__first_seconds": 0.05})
    assert report.accepted == 2 and report.deferred == 2 and report.exit_code == 0


def test_given_up_after_the_limit_and_then_by_post(rows, server, sending):
    (one,) = rows.deliver(ADDRESS)
    begun, reports = datetime.now(UTC), []
    server.on(ADDRESS, *[Act("rcpt", "450 4.2.0 later")] * 7)
    for hours in (0, 12, 24, 36, 48, 60, 73):
        assert rows.state(one) in ("queued", "deferred"), hours
        reports.append(sending(server, clock=lambda hours=hours: begun + timedelta(hours=hours)))
    report = reports[-1]
    assert report.expired == 1 and rows.state(one) == "expired"
    assert rows.states() == {"expired": 1, "to_print": 1}
    assert rows.entries("delivery_expired")[0]["facts"]["then"] == "post"


def test_time_in_which_nobody_tried_does_not_count(rows, server, sending):
    """RFC 5321 4.5.4.1: it is given up after days of *trying*. A long weekend without `send`, a pause, a lane at rest,
    or many others that go first are no refusals; of such a time as much counts as the schedule's own longest wait."""
    (one,) = rows.deliver(ADDRESS)
    begun, longest = datetime.now(UTC), timedelta(hours=12 * 1.2)
    server.on(ADDRESS, *[Act("rcpt", "451 4.7.1 greylisted")] * 3)
    for hours in (0, 100, 200):
        sending(server, clock=lambda hours=hours: begun + timedelta(hours=hours))
        assert rows.state(one) == "deferred", hours
    first, due = rows.one("SELECT first_ms, due_ms FROM deliveries WHERE id = ?", one)
    assert abs(to_ms(begun + timedelta(hours=200) - 2 * longest) - first) < 5000
    assert to_ms(begun + timedelta(hours=200)) < due < to_ms(begun + timedelta(hours=202)), "tried again soon"


@pytest.mark.parametrize("act", [Act("rcpt", then="drop"), Act("data", then="drop")])
def test_lost_before_the_dot_is_tried_again_at_once(rows, server, sending, act):
    (one,) = rows.deliver(ADDRESS)
    server.on(ADDRESS, act)
    report = sending(server)
    assert report.accepted == 1 and rows.state(one) == "accepted" and server.copies(ADDRESS) == 1
    assert rows.all("SELECT outcome FROM attempts ORDER BY number") == [("lost",), ("accepted",)]
    assert rows.one("SELECT retries FROM deliveries WHERE id = ?", one) == 0, "not counted"


def test_lost_at_mail_is_tried_again_at_once(rows, server, sending):
    rows.deliver(ADDRESS)
    server.on_mail(Act("mail", then="drop"))
    assert sending(server).accepted == 1


def test_lost_again_and_again_goes_to_the_schedule(rows, server, sending):
    (one,) = rows.deliver(ADDRESS)
    server.on(ADDRESS, *[Act("rcpt", then="drop")] * 9)
    report = sending(server)
    assert rows.state(one) == "deferred" and report.next_due is not None
    assert rows.one("SELECT retries FROM deliveries WHERE id = ?", one) == 1


@pytest.mark.parametrize("act", [Act("body"), Act("final", then="drop"), Act("final", then="take_drop")])
def test_lost_after_the_body_began_is_in_doubt_and_resent_once(rows, server, sending, act):
    (one,) = rows.deliver(ADDRESS)
    server.on(ADDRESS, act)
    report = sending(server)
    assert rows.state(one) == "in_doubt" and report.in_doubt == 1 and report.left.resend == 1
    report = sending(server, **LATER)
    assert rows.state(one) == "accepted" and report.exit_code == 0
    assert rows.all("SELECT number, outcome FROM attempts ORDER BY number") == [(1, "in_doubt"), (2, "accepted")]
    assert len(rows.entries("delivery_in_doubt")) == 1
    ids = {line for taken in server.taken for line in taken.data.split(b"\r\n") if line.startswith(b"Message-ID")}
    assert len(ids) == 1, "a duplicate can be known as one"


def test_in_doubt_twice_is_held(rows, server, sending):
    (one,) = rows.deliver(ADDRESS)
    server.on(ADDRESS, *[Act("final", then="take_drop")] * 2)
    sending(server)
    report = sending(server, **LATER)
    assert report.left.held == 1 and report.left.resend == 0 and report.exit_code == 1
    again = sending(server, clock=lambda: datetime.now(UTC) + timedelta(days=3))
    assert again.accepted == 0 and rows.state(one) == "in_doubt" and server.copies(ADDRESS) == 2
    assert len(rows.entries("delivery_in_doubt")) == 2 and len(rows.entries("delivery_held")) == 1


def test_the_policy_hold_never_sends_again(rows, server, sending):
    rows.deliver(ADDRESS)
    server.on(ADDRESS, Act("final", then="take_drop"))
    tune = {"doubt__policy": "hold"}
    assert sending(server, tune=tune).left.held == 1
    assert sending(server, tune=tune, **LATER).left.held == 1
    assert server.copies(ADDRESS) == 1


def test_no_answer_before_the_dot_counts_and_after_it_is_in_doubt(rows, server, sending):
    before, after = rows.deliver("before@courriel.example", "after@courriel.example")
    server.on("before@courriel.example", Act("rcpt", then="hang"))
    server.on("after@courriel.example", Act("final", then="hang"))
    sending(server, tune={"reply_seconds": 0.2, "final_reply_seconds": 0.2})
    assert rows.state(before) == "deferred" and rows.state(after) == "in_doubt"


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (Act("mail", "550 5.7.1 sender not allowed"), "sender not allowed"),
        (Act("mail", "553 5.1.8 your domain does not exist"), "does not exist"),
    ],
)
def test_a_fault_of_ours_at_mail_pauses_the_campaign(rows, server, sending, act, words):
    ids = rows.deliver(*(f"p{number}@courriel.example" for number in range(40)))
    server.on_mail(act)
    report = sending(server, by="ops")
    assert report.reason == "paused" and words in report.paused_reason and report.exit_code == 1
    (entry,) = rows.entries("campaign_paused")
    assert words in entry["facts"]["reason"] and entry["facts"]["by"] == "ops"
    assert {rows.state(one) for one in ids} <= {"queued", "deferred", "accepted"}
    assert sending(server).accepted == 0, "paused stays paused"


def test_content_refused_as_spam_by_dkim_pauses(rows, server, sending):
    for address in (ADDRESS, "b@courriel.example", "c@courriel.example"):
        rows.deliver(address)
        server.on(address, Act("final", f"550 5.7.26 unauthenticated mail from {address} is not accepted"))
    report = sending(server)
    assert report.reason == "paused" and "unauthenticated mail" in report.paused_reason
    assert "courrier-prive" not in report.paused_reason and "@" not in report.paused_reason


def test_a_relay_without_extensions(rows, server, sending):
    rows.deliver(ADDRESS)
    server.extensions, server.knows_ehlo = (), False
    assert sending(server).accepted == 1
    assert any(command == f"RCPT TO:<{ADDRESS}>" for command in server.commands)


def test_no_smtputf8_goes_by_post_and_an_idn_domain_by_its_a_label(rows, server, sending):
    utf8, idn = rows.deliver("hélène@courriel.example", "marie@société.example")
    sending(server)
    assert rows.state(utf8) == "refused" and rows.state(idn) == "accepted"
    assert server.taken[0].recipient == "marie@xn--socit-esab.example"


def test_i4_what_no_server_said_is_recorded_as_our_finding(rows, server, sending):
    """The relay was not asked: a proof holds no answer that nobody gave."""
    (utf8,) = rows.deliver("hélène@courriel.example")
    sending(server)
    assert rows.state(utf8) == "refused" and server.mails == []
    assert rows.all("SELECT code, enhanced, reply_sealed FROM attempts") == [(None, "", None)]
    (entry,) = rows.entries("delivery_refused")
    facts = entry["facts"]
    assert (facts["code"], facts["enhanced"], facts["reply_sha256"], facts["then"]) == (0, "", "", "post")
    assert facts["reply"] == "the relay offers no SMTPUTF8, and this address cannot be named without it"


def test_a_relay_that_takes_fewer_connections_than_we_want(rows, server, sending):
    rows.deliver(*(f"p{number}@courriel.example" for number in range(30)))
    server.most_sessions = 2
    for number in range(30):
        server.on(f"p{number}@courriel.example", Act("rcpt", then="slow", wait=0.005))
    report = sending(server)
    assert report.accepted == 30 and server.most_open <= 4


def test_messages_per_connection_theirs_and_ours(rows, server, sending):
    rows.deliver(*(f"p{number}@courriel.example" for number in range(20)))
    server.messages_per_session = 3
    report = sending(server, tune={"connections": 1})
    assert report.accepted == 20, "421 at MAIL on a used connection: at once on a new one"
    assert server.sessions == 7
    rows.deliver(*(f"r{number}@courriel.example" for number in range(20)))
    server.messages_per_session, server.sessions = 1_000_000, 0
    sending(server, tune={"connections": 1, "messages_per_connection": 5})
    assert server.sessions == 4 and len(server.taken) == 40


def test_a_relay_that_always_drops_after_the_dot_pauses(rows, server, sending):
    addresses = [f"p{number}@courriel.example" for number in range(100)]
    rows.deliver(*addresses)
    for address in addresses:
        server.on(address, Act("final", then="take_drop"))
    report = sending(server, tune={"connections": 2})
    assert report.reason == "paused" and 10 <= report.in_doubt <= 10 + 8
    assert rows.states()["in_doubt"] == report.in_doubt


def test_the_reply_is_kept_without_personal_data_and_sealed_verbatim(rows, server, sending, vault, folder):
    (one,) = rows.deliver(ADDRESS, name="Lenoir", forename="Marie")
    reply = f"550 5.1.1 <{ADDRESS}>: MARIE.LENOIR unknown at courrier-prive.example (Lénoir, marie)"
    server.on(ADDRESS, Act("rcpt", reply))
    sending(server)
    stored, sealed, token = rows.one(
        "SELECT a.reply, a.reply_sealed, d.token FROM attempts a JOIN deliveries d ON d.id = a.delivery_id"
    )
    assert vault.unseal_bytes("reply", token, sealed).decode() == reply[4:]
    log = (folder / "logs" / "mail.log").read_text()
    assert (folder / "logs" / "mail.log").stat().st_mode & 0o077 == 0, "nobody else may read it"
    for text in (stored, log, str(rows.entries("delivery_refused"))):
        for forbidden in ("lenoir", "lénoir", "marie", "courrier-prive"):
            assert forbidden not in text.lower()
    assert "code=550" in log and "then=post" in log and len(log.splitlines()) == 1
    assert rows.state(one) == "refused"


def test_i8_an_answer_that_is_no_smtp_after_the_dot_is_redacted_like_any_other(rows, server, sending, vault, folder):
    (one,) = rows.deliver(ADDRESS, name="Lenoir", forename="Marie")
    spoken = f"thank you, Marie LENOIR <{ADDRESS}>"
    server.on(ADDRESS, Act("final", spoken))
    sending(server)
    assert rows.state(one) == "in_doubt", "who knows what it did with the message"
    stored, sealed, token = rows.one(
        "SELECT a.reply, a.reply_sealed, d.token FROM attempts a JOIN deliveries d ON d.id = a.delivery_id"
    )
    log = (folder / "logs" / "mail.log").read_text()
    for text in (stored, log, str(rows.entries("delivery_in_doubt"))):
        for forbidden in ("lenoir", "marie", "courrier-prive"):
            assert forbidden not in text.lower()
    assert spoken in vault.unseal_bytes("reply", token, sealed).decode()


def test_nothing_waits_for_a_slow_recipient(rows, server, sending):
    rows.deliver("slow@courriel.example", *(f"p{number}@courriel.example" for number in range(40)))

    async def when_others_are_through() -> None:
        while len(server.taken) < 40:
            await asyncio.sleep(0)

    server.on("slow@courriel.example", Act("rcpt", then="held"))

    async def meanwhile(database) -> None:
        await asyncio.wait_for(when_others_are_through(), 10)
        assert server.copies("slow@courriel.example") == 0
        server.allowed.set()

    assert sending(server, meanwhile=meanwhile).accepted == 41
