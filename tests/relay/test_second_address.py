"""The directory's second address is tried after a definite refusal of the first, before the post (I1, I2, I3)."""

from __future__ import annotations

import pytest

from notifier.delivery.envelopes import prepare
from notifier.storage.deliveries import fetch
from tests.delivery.rows import TinyNotice
from tests.relay.server import Act

FIRST, SECOND = "marie.lenoir@courrier-prive.example", "m.lenoir@orange.example"
GONE = Act("rcpt", f"550 5.1.1 unknown; forwards to {SECOND}")


def test_I2_the_second_address_after_a_refusal(rows, server, sending):
    (one,) = rows.deliver(FIRST, second=SECOND)
    server.on(FIRST, GONE)
    report = sending(server)
    assert (report.accepted, report.refused, report.to_second_address, report.to_post) == (1, 1, 1, 0)
    assert [taken.recipient for taken in server.taken] == [SECOND]
    assert f"To: {SECOND}\r\n".encode() in server.taken[0].data
    other = rows.one("SELECT id FROM deliveries WHERE replaces_id = ?", one)
    assert rows.one("SELECT state, channel, provider, is_second FROM deliveries WHERE id = ?", other) == (
        "accepted", "mail", "orange", 1,
    )  # fmt: skip
    assert rows.one("SELECT delivery_id FROM notifications") == other, "one live delivery (I3)"
    (entry,) = rows.entries("delivery_refused")
    token = rows.one("SELECT token FROM deliveries WHERE id = ?", other).hex()
    assert (entry["facts"]["then"], entry["facts"]["letter"]) == ("second_address", token)
    assert SECOND not in entry["facts"]["reply"] and "lenoir" not in entry["facts"]["reply"], "I8"


@pytest.mark.parametrize(("postal", "then"), [(True, "post"), (False, "unreachable")])
def test_I1_both_refused(rows, server, sending, postal, then):
    (one,) = rows.deliver(FIRST, second=SECOND, postal=postal)
    server.on(FIRST, GONE)
    server.on(SECOND, Act("rcpt", "550 5.1.1 unknown"))
    report = sending(server)
    assert (report.refused, report.to_second_address) == (2, 1)
    assert [entry["facts"]["then"] for entry in rows.entries("delivery_refused")] == ["second_address", then]
    states = rows.states()
    assert states == ({"refused": 2, "to_print": 1} if postal else {"refused": 2})
    last = rows.one("SELECT MAX(id) FROM deliveries")
    assert rows.one("SELECT delivery_id FROM notifications") == last and last > one


def test_one_that_only_never_answered_goes_to_the_post(rows, server, sending):
    rows.deliver(FIRST, second=SECOND)
    rows.run("UPDATE deliveries SET first_ms = 1, attempt = 3, retries = 3, state = 'deferred'")
    server.on(FIRST, Act("rcpt", "450 4.2.0 later"))
    report = sending(server)
    assert (report.expired, report.to_second_address, report.to_post) == (1, 0, 1)


def test_I1_without_an_address_for_a_letter_the_second_mailbox_is_tried(rows, server, sending):
    """Unreachable is who has no working route left: an untried mailbox is one, even if it comes late."""
    rows.deliver(FIRST, second=SECOND, postal=False)
    rows.run("UPDATE deliveries SET first_ms = 1, attempt = 3, retries = 3, state = 'deferred'")
    server.on(FIRST, Act("rcpt", "450 4.2.0 later"))
    report = sending(server)
    assert (report.expired, report.accepted, report.to_second_address) == (1, 1, 1)
    assert [taken.recipient for taken in server.taken] == [SECOND]
    (entry,) = rows.entries("delivery_expired")
    assert entry["facts"]["then"] == "second_address"


def test_I2_the_recipient_is_one_of_the_contacts_own_addresses(rows, vault, settings):
    import sqlite3

    rows.deliver(FIRST)
    rows.run("UPDATE deliveries SET first_ms = 1, started_ms = 1")
    connection = sqlite3.connect(rows.path)
    (held,) = fetch(connection, [1])
    connection.close()
    ready = prepare(held, vault, settings.sender("clairval"), TinyNotice(), frozenset())
    assert ready.posting is not None and ready.posting.path == FIRST
    wrong = held._replace(is_second=True)  # a second address that the contact has not
    assert prepare(wrong, vault, settings.sender("clairval"), TinyNotice(), frozenset()).posting is None
