"""One odd mailbox stops nobody else; what several in a row are told is ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.relay.server import Act

NOW = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
ONE = {"connections": 1, "window": 1}
DENIED = "550 5.7.1 relaying denied"

ODD = "drole@cabinet.example"
CASES = [
    ("550 5.5.0 requested action not taken", "deferred"),
    ("501 5.5.2 syntax error in parameters", "deferred"),
    ("503 bad sequence", "deferred"),
    ("550 5.6.1 media not supported", "deferred"),
    ("552 5.2.3 message length exceeds this mailbox's limit", "refused"),
]


@pytest.mark.parametrize(("reply", "state"), CASES)
def test_one_odd_reply_at_rcpt_is_about_that_recipient(rows, server, sending, reply, state):
    """RFC 3463 3.6, 3.7: the protocol or the content, says one server of one mailbox. The other 40 go out."""
    (odd,) = rows.deliver(ODD)
    others = rows.deliver(*(f"p{number}@courriel.example" for number in range(40)))
    server.on(ODD, Act("rcpt", reply))
    report = sending(server)
    assert report.reason == "done" and report.paused_reason == ""
    assert rows.state(odd) == state and {rows.state(one) for one in others} == {"accepted"}
    assert rows.entries("campaign_paused") == []


def test_the_same_to_several_recipients_in_a_row_is_ours(rows, server, sending):
    addresses = [f"p@domaine{number}.example" for number in range(40)]
    rows.deliver(*addresses)
    for address in addresses:
        server.on(address, *[Act("rcpt", "501 5.5.4 unsupported parameter")] * 3)
    report = sending(server, tune={"connections": 1})
    assert report.reason == "paused" and "unsupported parameter" in report.paused_reason
    assert rows.states()["queued"] > 30, "it stops at once"
    (paused,) = rows.entries("campaign_paused")
    assert "5.5.4" in paused["facts"]["reason"]


def test_i1_repeated_refusals_for_the_size_leave_few_letters(rows, server, sending):
    addresses = [f"p@domaine{number}.example" for number in range(40)]
    rows.deliver(*addresses)
    for address in addresses:
        server.on(address, Act("rcpt", "552 5.2.3 message too long"))
    report = sending(server, tune={"connections": 1})
    assert report.reason == "paused" and rows.states()["to_print"] == rows.states()["refused"] == 2


def test_colleagues_behind_one_odd_server_do_not_stop_the_campaign(rows, server, sending):
    """A row from one domain alone is that domain's, unless it is a long one."""
    colleagues = [f"c{number}@cabinet.example" for number in range(6)]
    rows.deliver(*colleagues)
    rows.deliver(*(f"p{number}@courriel.example" for number in range(10)))
    for address in colleagues:
        server.on(address, Act("rcpt", "550 5.5.0 not today"))
    report = sending(server, tune={"connections": 1})
    assert report.reason == "done" and rows.states() == {"deferred": 6, "accepted": 10}


# -- "ours" at RCPT or later: only when several recipients met it ------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "reply"),
    [("rcpt", DENIED), ("data", "554 5.5.1 what?"), ("final", "550 5.6.0 bare LF received")],
)
def test_i1_one_recipient_stops_nobody_and_goes_to_the_post_at_the_limit(rows, server, sending, phase, reply):
    """Whoever chooses an address in a directory must not be able to stop the campaign."""
    (odd,) = rows.deliver(ODD)
    others = rows.deliver(*(f"p{number}@courriel.example" for number in range(20)))
    rows.run("UPDATE deliveries SET priority = 1 WHERE id <> ?", odd)
    server.on(ODD, *[Act(phase, reply)] * 20)
    report = sending(server, clock=lambda: NOW, tune=ONE)
    assert report.reason == "done" and report.accepted == len(others) and rows.entries("campaign_paused") == []
    assert rows.one("SELECT state, retries FROM deliveries WHERE id = ?", odd) == ("deferred", 1)
    assert report.next_due >= NOW + timedelta(minutes=15), "behind the others"
    for hours in (12, 24, 36, 48, 60):
        sending(server, clock=lambda hours=hours: NOW + timedelta(hours=hours), tune=ONE)
    last = sending(server, clock=lambda: NOW + timedelta(hours=72), tune=ONE)
    assert last.reason == "done" and rows.state(odd) == "expired" and rows.states()["to_print"] == 1


def deny(server, addresses: list[str], phase: str = "rcpt", reply: str = DENIED) -> list[str]:
    for address in addresses:
        server.on(address, *[Act(phase, reply)] * 9)
    return addresses


@pytest.mark.parametrize(
    ("phase", "reply"), [("rcpt", DENIED), ("final", "550 5.7.26 unauthenticated mail is not accepted")]
)
def test_several_recipients_are_ours_and_are_due_again_when_it_is_mended(rows, server, sending, phase, reply):
    rows.deliver(*deny(server, [f"p@domaine{number}.example" for number in range(30)], phase, reply))
    report = sending(server, clock=lambda: NOW, tune=ONE)
    assert report.reason == "paused" and reply[4:] in report.paused_reason
    assert len(server.mails) == 3 and rows.states() == {"queued": 27, "deferred": 3}
    assert rows.one("SELECT MAX(due_ms) FROM deliveries") == int(NOW.timestamp() * 1000), "due again, all of them"
    server.acts.clear()
    rows.run("UPDATE campaign SET paused_reason = NULL")
    assert sending(server, clock=lambda: NOW + timedelta(hours=80), tune=ONE).accepted == 30, "no letter for our fault"


def test_i1_no_letter_for_a_fault_of_ours_that_is_mended_after_the_limit(rows, server, sending):
    """Paused on Friday, resumed on Tuesday: their first attempt was none."""
    addresses = deny(server, [f"p@domaine{number}.example" for number in range(5)])
    rows.deliver(*addresses)
    assert sending(server, clock=lambda: NOW, tune=ONE).reason == "paused"
    rows.run("UPDATE campaign SET paused_reason = NULL")
    report = sending(server, clock=lambda: NOW + timedelta(hours=90), tune=ONE)
    assert "expired" not in rows.states() and report.to_post == 0


def test_those_that_led_to_a_pause_lead_to_no_second_one(rows, server, sending):
    """Somebody has looked and said: go on. Who stands first in every run must not stop it every time."""
    odd = rows.deliver(*deny(server, [f"p@domaine{number}.example" for number in range(4)]))
    others = rows.deliver(*(f"q{number}@courriel.example" for number in range(20)))
    rows.run("UPDATE deliveries SET priority = 1 WHERE id > ?", odd[-1])
    assert sending(server, clock=lambda: NOW, tune=ONE).reason == "paused"
    rows.run("UPDATE campaign SET paused_reason = NULL")
    report = sending(server, clock=lambda: NOW + timedelta(minutes=1), tune=ONE)
    assert report.reason == "done" and {rows.state(one) for one in others} == {"accepted"}


def test_an_acceptance_between_them_says_that_it_is_theirs(rows, server, sending):
    odd = [f"p@domaine{number}.example" for number in range(8)]
    for address in odd:
        rows.deliver(*deny(server, [address]), f"q{address}")
    report = sending(server, clock=lambda: NOW, tune=ONE)
    assert report.reason == "done" and rows.states() == {"deferred": 8, "accepted": 8}


@pytest.mark.parametrize(("left", "reason"), [(4, "done"), (5, "paused")])
def test_a_handful_that_is_left_and_is_told_nothing_else(rows, server, sending, left, reason):
    """Their first attempt was long ago; nothing else is tried, nothing is accepted."""
    ids = rows.deliver(*deny(server, [f"p@domaine{number}.example" for number in range(left)]))
    rows.run("UPDATE deliveries SET retries = 2, attempt = 2, state = 'deferred'")
    report = sending(server, clock=lambda: NOW, tune=ONE)
    assert report.reason == reason and len(server.mails) == left == len(ids)
    assert (rows.one("SELECT MIN(due_ms) FROM deliveries") == int(NOW.timestamp() * 1000)) == (reason == "paused")
    assert ("relaying denied" in report.paused_reason) == (reason == "paused")


def test_many_leftovers_are_not_all_tried_before_it_is_ours(rows, server, sending):
    rows.deliver(*deny(server, [f"p@domaine{number}.example" for number in range(80)]))
    rows.run("UPDATE deliveries SET retries = 2, attempt = 2, state = 'deferred'")
    assert sending(server, clock=lambda: NOW, tune=ONE).reason == "paused" and len(server.mails) == 50


@pytest.mark.parametrize("reply", [DENIED, "552 5.2.3 message too long"])
def test_a_handful_that_is_left_ends_the_run_whatever_became_of_them(rows, server, sending, reply):
    rows.deliver(*deny(server, [f"p@domaine{number}.example" for number in range(5)], reply=reply))
    rows.run("UPDATE deliveries SET retries = 2, attempt = 2, state = 'deferred'")
    report = sending(server, clock=lambda: NOW, tune=ONE)
    assert report.reason == "paused" and report.paused_reason == f"the relay said at rcpt: {reply}"


@pytest.mark.parametrize("processes", [0, 1])
def test_those_that_led_to_a_pause_are_due_with_it_whoever_writes_the_cycles(rows, server, sending, processes):
    rows.deliver(*deny(server, [f"p@domaine{number}.example" for number in range(12)]))
    report = sending(server, clock=lambda: NOW, tune={"connections": 2, "send__processes": processes})
    assert report.reason == "paused" and rows.one("SELECT MAX(due_ms) FROM deliveries") == NOW.timestamp() * 1000
    assert rows.one("SELECT COUNT(*) FROM deliveries WHERE state = 'deferred' AND (retries = 0 OR first_ms > 0)") == 0
