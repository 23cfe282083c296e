"""Deliveries in doubt, decided by name: sent once more, or taken as handed over; both policies; the proof says it."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from notifier.delivery import doubts
from notifier.delivery.doubts import Which
from notifier.delivery.restoration import hold_slice
from notifier.errors import OperatorError
from notifier.model import Term, to_ms
from notifier.notices.agreement import must_agree
from notifier.notices.bound import bound_settings, canonical_json
from notifier.proof.verifier.verify import Ledger
from notifier.storage.accounting import account
from tests.delivery.rows import tuned
from tests.relay.server import Act

NOW = datetime.now(UTC)
HOLD = {"doubt__policy": "hold"}


@pytest.fixture
def decide(opened, vault, settings):
    """``decide("resend", Which(…))``: the decision, as the command takes it."""

    def run(what: str, *arguments, tune: dict | None = None, **more):
        async def whole():
            async with opened() as database:
                given = tuned(settings, **(tune or {}))
                if what == "resend":
                    return await doubts.resend(database, vault, *arguments, by="ops", now=NOW)
                if what == "accept":
                    return await doubts.accept(database, vault, given, *arguments, by="Anne", now=NOW, **more)
                if what == "account":
                    async with database.read() as connection:
                        return await account(connection, now_ms=to_ms(NOW))
                return await doubts.listed(database, vault, given, **more)

        return asyncio.run(whole())

    return run


def in_doubt(rows, server, sending, count: int = 1, *, times: int = 1, tune: dict | None = None) -> list[int]:
    addresses = [f"p{number}@courriel.example" for number in range(count)]
    ids = rows.deliver(*addresses)
    for address in addresses:
        server.on(address, *[Act("final", then="take_drop")] * times)
    sending(server, tune=tune)
    assert {rows.state(one) for one in ids} == {"in_doubt"}
    return ids


def ledger(rows) -> Ledger:
    read = Ledger("")
    for entry in rows.entries():
        read.add(entry)
    return read


def token(rows, one: int) -> str:
    return rows.one("SELECT token FROM deliveries WHERE id = ?", one).hex()


def test_the_list_says_where_each_stands_and_names_nobody(rows, server, sending, decide, vault):
    (one,) = in_doubt(rows, server, sending)
    (found,) = decide("list").as_json()["doubts"]
    assert found["delivery"] == token(rows, one) and found["reference"] == vault.reference(token(rows, one))
    assert (found["attempts"], found["doubts"], found["then"], found["provider"]) == (1, 1, "resend", "other")
    assert found["again_at"] > found["since"]
    held = decide("list", tune=HOLD)
    assert held.held == 1 and held.as_json()["doubts"][0]["then"] == "held"
    assert "courriel" not in str(held.as_json()) + str(held.lines())
    assert decide("list", wave="supplement").rows == []


def test_i5_sent_once_more_with_the_same_message_id_and_attempt_one_stays_in_doubt(rows, server, sending, decide):
    """Under the policy hold nothing but a decision sends it again."""
    (one,) = in_doubt(rows, server, sending, tune=HOLD)
    assert decide("resend", Which((token(rows, one).upper(),))).deliveries == [token(rows, one)]
    assert rows.state(one) == "queued" and server.copies("p0@courriel.example") == 1
    report = sending(server, tune=HOLD)
    assert report.accepted == 1 and report.exit_code == 0 and server.copies("p0@courriel.example") == 2
    assert rows.all("SELECT number, outcome FROM attempts ORDER BY number") == [(1, "in_doubt"), (2, "accepted")]
    ids = {line for taken in server.taken for line in taken.data.split(b"\r\n") if line.startswith(b"Message-ID")}
    assert len(ids) == 1
    (entry,) = rows.entries("doubt_resent")
    assert entry["subject"] == token(rows, one)
    assert entry["facts"] == {"attempt": 1, "doubts": 1, "by": "ops"}
    assert any("1 possible duplicates" in line for line in ledger(rows).doubts())


@pytest.mark.parametrize("how", ["held", "recovered"])
def test_sent_once_more_it_has_its_whole_schedule_however_long_it_was_held(rows, server, sending, decide, how):
    """A crash, or a restored backup, and days until somebody decides: the first greylisting makes no letter."""
    if how == "held":
        (one,) = in_doubt(rows, server, sending, tune=HOLD)
    else:
        (one,) = rows.deliver("p0@courriel.example")
        connection = sqlite3.connect(rows.path, isolation_level=None)
        assert hold_slice(connection, epoch=1, now=NOW) == 1
        connection.close()
    rows.run("UPDATE deliveries SET retries = 9, first_ms = first_ms - 100 * 3600000")  # four days go by
    decide("resend", Which(every=True))
    server.on("p0@courriel.example", Act("rcpt", "451 4.7.1 greylisted"))
    report = sending(server, tune=HOLD)
    assert (report.expired, report.deferred, rows.states()) == (0, 1, {"deferred": 1})
    assert rows.one("SELECT retries FROM deliveries WHERE id = ?", one) == 1


@pytest.mark.parametrize("tune", [None, HOLD])
def test_a_second_doubt_is_held_whatever_the_policy(rows, server, sending, decide, tune):
    (one,) = in_doubt(rows, server, sending, times=2, tune=tune)
    decide("resend", Which(every=True))
    report = sending(server, tune=tune)
    assert report.left.held == 1 and rows.one("SELECT doubts FROM deliveries WHERE id = ?", one) == 2
    later = sending(server, tune=tune, clock=lambda: datetime.now(UTC) + timedelta(days=2))
    assert later.accepted == 0 and server.copies("p0@courriel.example") == 2, "once means once"
    assert decide("list", tune=tune).held == 1


def test_running_it_twice_changes_nothing_more(rows, server, sending, decide, vault):
    ids = in_doubt(rows, server, sending, 3, tune=HOLD)
    references = tuple(vault.reference(token(rows, one)) for one in ids)
    rows.run("UPDATE deliveries SET reference = ? WHERE id = ?", vault.reference_number(token(rows, ids[0])), ids[0])
    assert len(decide("resend", Which(references[:1])).deliveries) == 1
    before = rows.snapshot()
    again = decide("resend", Which((references[0].lower(),)))
    assert (again.deliveries, again.already) == ([], 1) and rows.snapshot() == before
    assert len(decide("accept", Which(every=True), reason="relay's log").deliveries) == 2
    before = rows.snapshot()
    assert decide("accept", Which(every=True), reason="relay's log").deliveries == []
    assert rows.snapshot() == before


def test_a_word_that_names_nothing_changes_nothing(rows, server, sending, decide, vault):
    (one,) = in_doubt(rows, server, sending)
    before = rows.snapshot()
    known = vault.reference(token(rows, one))
    for words in (
        ("jean.martin@courriel.example",),
        (known, "0000-0000-0000"),
        (),
        ("f" * 32,),
        ("ZZZZ-ZZZZ-ZZZZ-ZZ",),
    ):
        with pytest.raises(OperatorError) as told:
            decide("resend", Which(words))
        assert "martin" not in str(told.value)
    with pytest.raises(OperatorError):
        decide("accept", Which((known,), every=True), reason="x")
    assert rows.snapshot() == before


def test_i1_taken_as_handed_over_by_decision_of_somebody_and_not_by_the_relay(rows, server, sending, decide):
    one, other = in_doubt(rows, server, sending, 2)
    reason = "found in the relay's log, for p0@courriel.example"
    assert decide("accept", Which((token(rows, one),)), reason=reason).deliveries == [token(rows, one)]
    assert rows.state(one) == "accepted" and rows.state(other) == "in_doubt"
    (wave,) = decide("account").waves
    assert wave.frozen[Term.HANDED_OVER] == 1 and wave.frozen[Term.IN_DOUBT] == 1 and wave.unsettled == 0
    assert rows.one("SELECT observe_until_ms FROM deliveries WHERE id = ?", one) == to_ms(NOW + timedelta(days=5))
    (entry,) = rows.entries("doubt_accepted")
    assert entry["facts"]["by"] == "Anne" and "courriel" not in entry["facts"]["reason"], "I8"
    assert rows.all("SELECT outcome FROM attempts WHERE delivery_id = ?", one) == [("in_doubt",)], "no invented answer"
    read = ledger(rows)
    assert read.states == {token(rows, one): "accepted", token(rows, other): "in_doubt"}
    assert list(read.doubts()) == ["1 deliveries count as accepted by decision of Anne, not by the relay"]
    late = sending(server, clock=lambda: datetime.now(UTC) + timedelta(hours=1))
    assert late.accepted == 1 and server.copies("p0@courriel.example") == 1, "only the other one is sent again"


def test_i8_a_typed_reason_keeps_nothing_of_those_whom_it_is_about(rows, server, sending, decide):
    """Reader and persons told, whatever the case and the accents; of several that were named, of all of them."""
    one, other = in_doubt(rows, server, sending, 2)
    (child,) = rows.deliver("foyer@courriel.example", name="Le Goff", forename="Maël", children=("Nolwenn", "Li"))
    server.on("foyer@courriel.example", Act("final", then="take_drop"))
    sending(server)
    reason = "Mme VASSEUR (elodie), for Nolwenn and Li Le Goff, 3 rue des Saules: seen in the relay's mailbox log"
    words = tuple(token(rows, each) for each in (one, child))
    assert len(decide("accept", Which(words), reason=reason).deliveries) == 2
    for entry in rows.entries("doubt_accepted"):
        kept = entry["facts"]["reason"].lower()
        assert not [name for name in ("vasseur", "elodie", "nolwenn", "goff", " li ", "saules") if name in kept]
        assert "seen in the relay's mailbox log" in kept
    assert rows.state(other) == "in_doubt"
    decide("accept", Which(every=True), reason="said Élodie Vasseur, in the log")
    kept = rows.entries("doubt_accepted")[-1]["facts"]["reason"]
    assert "Vasseur" not in kept and "in the log" in kept, "all, and these are few"


def test_the_reason_for_more_than_anybody_names_stays_readable(rows, decide, monkeypatch):
    """After a restored backup there may be millions: with the names of them all no word would be left."""
    rows.deliver(*[f"p{number}@courriel.example" for number in range(5)], name="Relay", state="in_doubt")
    monkeypatch.setattr(doubts, "SHOWN", 4)
    decide("accept", Which(every=True), reason="seen in the relay's log, for p0@courriel.example")
    kept = {entry["facts"]["reason"] for entry in rows.entries("doubt_accepted")}
    assert kept == {"seen in the relay's log, for <recipient>"}


def test_a_decision_does_not_count_in_a_journal_that_knows_no_doubt():
    """Somebody who writes it for what was refused, or for nothing, gains nothing by it."""
    read = Ledger("")
    at = "2024-02-09T08:00:00.000Z"
    facts = {"attempt": 1, "late": False}
    read.add({"kind": "delivery_deferred", "subject": "a", "facts": facts, "at": at})
    read.add({"kind": "doubt_accepted", "subject": "a", "facts": {"attempt": 1, "by": "x"}, "at": at})
    read.add({"kind": "doubt_accepted", "subject": "b", "facts": {"attempt": 1, "by": "x"}, "at": at})
    assert read.states == {"a": "deferred"} and list(read.doubts()) == []


def test_who_was_taken_out_since_is_not_written_to_again(rows, server, sending, decide):
    one, other = in_doubt(rows, server, sending, 2, tune=HOLD)
    rows.run("UPDATE persons SET excluded = 'deceased' WHERE id = (SELECT person_id FROM notifications "
             "WHERE delivery_id = ?)", one)  # fmt: skip
    done = decide("resend", Which(every=True))
    assert (done.excluded, done.deliveries) == (1, [token(rows, other)]) and rows.state(one) == "in_doubt"


def test_I1_what_came_in_doubt_after_it_was_shown_is_not_decided_with_all(rows, server, sending, decide):
    """Somebody saw one and said yes to one; meanwhile a sender left another in doubt."""
    (seen,) = in_doubt(rows, server, sending, tune=HOLD)
    shown = frozenset({rows.one("SELECT token FROM deliveries WHERE id = ?", seen).hex()})
    (late,) = rows.deliver("late@courriel.example")
    server.on("late@courriel.example", Act("final", then="take_drop"))
    sending(server, tune=HOLD)
    for verb, more in (("accept", {"reason": "seen"}), ("resend", {})):
        made = decide(verb, Which(every=True, among=shown), **more)
        assert made.deliveries == (sorted(shown) if verb == "accept" else [])
    assert (rows.state(seen), rows.state(late)) == ("accepted", "in_doubt")


def test_i5_what_a_killed_sender_left_marked_is_told_before_the_next_one_looks(rows, decide):
    (one,) = rows.deliver("a@courriel.example")
    assert decide("list").as_json()["sending"] == 0
    rows.run("UPDATE deliveries SET state = 'sending', attempt = 1 WHERE id = ?", one)
    found = decide("list")
    assert found.as_json()["sending"] == 1 and found.rows == []
    assert any("1 are being sent; if no `send` runs now" in line for line in found.lines())


def test_i4_a_decision_on_many_goes_page_by_page_and_goes_on_where_it_stopped(rows, decide, monkeypatch):
    """After a restored backup there may be millions: no transaction holds them all, each page has its entries."""
    rows.deliver(*(f"p{number}@courriel.example" for number in range(7)), state="in_doubt")
    monkeypatch.setattr(doubts, "PAGE", 3)
    append, pages = doubts.journal.append, []

    async def fails_at_the_second(connection, entries):
        pages.append(len(entries))
        if len(pages) == 2:
            raise OperatorError("the disk is full")
        await append(connection, entries)

    with monkeypatch.context() as broken:
        broken.setattr(doubts.journal, "append", fails_at_the_second)
        with pytest.raises(OperatorError):
            decide("accept", Which(every=True), reason="seen in the relay's log")
    assert rows.states() == {"accepted": 3, "in_doubt": 4} and len(rows.entries("doubt_accepted")) == 3
    assert len(decide("accept", Which(every=True), reason="seen in the relay's log").deliveries) == 4
    assert rows.states() == {"accepted": 7} and len(rows.entries("doubt_accepted")) == 7


def test_i7_what_was_approved_under_other_values_is_not_sent_once_more(rows, server, sending, opened, vault, settings):
    (one,) = in_doubt(rows, server, sending, tune=HOLD)
    rows.run("UPDATE batches SET bound = ?", canonical_json(bound_settings(settings, "initial")))
    moved = settings.model_copy(update={"relay": settings.relay.model_copy(update={"port": 26})})
    which = Which((token(rows, one),))

    async def decided(now_set):
        async def may_wait(connection, batches):
            await must_agree(connection, now_set, also=batches)

        async with opened() as database:
            await doubts.look(database, vault, which, resend=False, may_wait=may_wait)
            for step in (partial(doubts.look, resend=True), partial(doubts.resend, by="ops", now=NOW)):
                await step(database, vault, which, may_wait=may_wait)

    before = rows.snapshot()
    with pytest.raises(OperatorError, match=r"what would go back was approved under other values.*relay\.port"):
        asyncio.run(decided(moved))
    assert rows.snapshot() == before and rows.state(one) == "in_doubt"
    asyncio.run(decided(settings))
    assert rows.state(one) == "queued"
