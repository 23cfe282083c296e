"""One odd mailbox stops nobody else; what several in a row are told is ours."""

from __future__ import annotations

import pytest

from tests.relay.server import Act

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


def test_after_the_dot_it_is_still_ours_at_once(rows, server, sending):
    rows.deliver(ODD)
    server.on(ODD, Act("final", "550 5.6.0 bare LF received"))
    assert sending(server).reason == "paused"
