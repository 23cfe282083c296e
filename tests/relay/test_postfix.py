"""A real neighbour: Postfix from Debian's package, in the clear, with STARTTLS and with implicit TLS."""

from __future__ import annotations

from collections import Counter

import pytest
import uvloop

from tests.relay import postfix as neighbour

pytestmark = [
    pytest.mark.skipif(bool(neighbour.missing()), reason=neighbour.missing() or "there"),
    pytest.mark.thorough,
]

BIG = 300


@pytest.fixture(scope="module")
def postfix():
    with neighbour.postfix() as running:
        yield running


def tuned(postfix, tls: str) -> dict:
    port = postfix.implicit if tls == "implicit" else postfix.port
    return {"port": port, "tls": tls} | ({} if tls == "none" else {"ca_file": postfix.ca_file})


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "lockstep"])
@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_accepted_refused_deferred(rows, sending, postfix, tls, pipelining):
    """The relay's own log holds each accepted recipient once, under the delivery's token."""
    prefix = f"{tls}-{pipelining}".lower()
    addresses = [f"{prefix}-{number}@courriel.example" for number in range(20)]
    ids = rows.deliver(*addresses[:10], "refused@courriel.example", "later@courriel.example", *addresses[10:])
    report = sending(
        None, tune={**tuned(postfix, tls), "pipelining": pipelining, "connections": 2}, loop=uvloop.new_event_loop
    )
    states = [rows.state(one) for one in ids]
    assert (states.pop(10), states.pop(10)) == ("refused", "deferred") and set(states) == {"accepted"}
    assert report.accepted == 20 and report.in_doubt == 0
    assert rows.entries("delivery_refused")[0]["facts"]["phase"] == "rcpt"
    opened = rows.entries("connection_opened")
    assert {entry["facts"]["verified"] for entry in opened} == {tls != "none"}
    assert {entry["facts"]["pipelining"] for entry in opened} == {True}, "what the relay offers, used or not"
    replies = [entry["facts"]["reply"] for entry in rows.entries("delivery_accepted")]
    assert all("queued as" in reply for reply in replies) and len(set(replies)) == 20, "each has its own queue id"
    assert Counter(postfix.took(prefix, 20)) == Counter(addresses)


@pytest.mark.parametrize("tls", ["none", "starttls"])
def test_a_big_run_with_many_refusals(rows, sending, postfix, tls):
    """Postfix slows down and hangs up on a client that errs too often (smtpd_hard_error_limit): nobody is lost."""
    good = [f"big-{tls}-{number}@courriel.example" for number in range(BIG)]
    mixed = list(good)
    bad = ["refused@courriel.example"] * 25
    for place, address in enumerate(bad):
        mixed.insert(place * 12, address)
    rows.deliver(*mixed)
    report = sending(
        None,
        tune={**tuned(postfix, tls), "connections": 4, "messages_per_connection": 40},
        loop=uvloop.new_event_loop,
    )
    assert report.accepted == BIG and report.refused == 25 and report.in_doubt == 0
    assert rows.states() == {"accepted": BIG, "refused": 25, "to_print": 25}
    assert Counter(postfix.took(f"big-{tls}-", BIG)) == Counter(good)
