"""A wrong classification is undone: the e-mail goes back, the letter that took its place is withdrawn (I1, I3)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from notifier.delivery import requeue
from notifier.errors import OperatorError
from notifier.model import Term, to_ms
from notifier.notices.agreement import must_agree
from notifier.notices.bound import bound_settings, canonical_json
from notifier.people.exclusions import held_back
from notifier.proof.verifier.verify import Ledger
from notifier.storage import journal
from notifier.storage.accounting import account
from notifier.storage.evidence import chain
from notifier.storage.requeue import Fault
from tests.relay.server import Act

NOW = datetime.now(UTC)
REFUSED = Fault("refused", "550", to_ms(NOW - timedelta(hours=1)))
BAD = "550 5.1.1 no such user"


@pytest.fixture
def asked(opened):
    """``asked(requeue.look, fault)``, or any other function of an open database."""

    def run(function, *arguments, **more):
        async def whole():
            async with opened() as database:
                return await function(database, *arguments, **more)

        return asyncio.run(whole())

    return run


@pytest.fixture
def put_back(asked):
    return lambda fault=REFUSED: asked(requeue.put_back, fault, by="ops", now=datetime.now(UTC))


@pytest.fixture
def counted(asked):
    async def count(database):
        async with database.read() as connection:
            return (await account(connection, now_ms=to_ms(datetime.now(UTC)))).waves[0]

    return lambda: asked(count)


def refused(rows, server, sending, count: int = 1, *, reply: str = BAD, **given) -> list[int]:
    first = rows.one("SELECT COUNT(*) FROM contacts")
    addresses = [f"r{first + number}@courriel.example" for number in range(count)]
    ids = rows.deliver(*addresses, **given)
    for address in addresses:
        server.on(address, Act("rcpt", reply))
    sending(server, limit=count)
    assert {rows.state(one) for one in ids} == {"refused"}
    return ids


def live(rows) -> list[tuple]:
    """Each notification's delivery: its channel and state."""
    return rows.all("SELECT d.channel, d.state FROM notifications n JOIN deliveries d ON d.id = n.delivery_id "
                    "ORDER BY n.id")  # fmt: skip


def ledger(rows) -> Ledger:
    read = Ledger("")
    for entry in rows.entries():
        read.add(entry)
    return read


def test_i1_i3_the_letter_is_withdrawn_and_the_email_goes_out(rows, server, sending, put_back, counted):
    (one,) = refused(rows, server, sending)
    assert live(rows) == [("post", "to_print")]
    done = put_back()
    assert (done.deliveries, done.letters, dict(done.left)) == (1, 1, {})
    assert live(rows) == [("mail", "queued")] and rows.states() == {"queued": 1, "withdrawn": 1}
    wave = counted()
    assert wave.frozen[Term.PENDING] == 1 and sum(wave.frozen.values()) == 1 and not wave.unsettled
    (ordered,) = rows.entries("requeue_ordered")
    assert ordered["facts"]["by"] == "ops" and ordered["facts"]["code"] == "550"
    (entry,), (gone,) = rows.entries("delivery_requeued"), rows.entries("delivery_withdrawn")
    assert entry["facts"]["withdrawn"] == [gone["subject"]] and entry["facts"]["by"] == "ops"
    report = sending(server)
    assert report.accepted == 1 and rows.state(one) == "accepted" and report.left.letters == 0
    assert set(ledger(rows).states.values()) == {"accepted", "withdrawn"}


def test_i1_refused_again_it_gets_another_letter(rows, server, sending, put_back, asked, counted):
    (one,) = refused(rows, server, sending)
    put_back()
    server.on("r0@courriel.example", Act("rcpt", BAD))
    assert sending(server).to_post == 1
    assert live(rows) == [("post", "to_print")] and rows.states() == {"refused": 1, "withdrawn": 1, "to_print": 1}
    assert counted().frozen[Term.POST] == 1
    read = ledger(rows)
    token = rows.one("SELECT token FROM deliveries WHERE state = 'to_print'")
    read.waves["initial"] = {"x": rows.one("SELECT token FROM deliveries WHERE id = ?", one).hex()}
    assert read.table()["initial"]["post"] == 1 and read.states[token.hex()] == "to_print"

    async def linked(database):
        async with database.read() as connection:
            return await chain(connection, one, b"")

    assert len(asked(linked)) == 3, "a person's proof knows all three"
    assert put_back().deliveries == 1, "and once more, if that was a mistake too"
    assert live(rows) == [("mail", "queued")]


def test_running_it_twice_and_a_dry_run_change_nothing(rows, server, sending, put_back, asked):
    refused(rows, server, sending, 3)
    before = rows.snapshot()
    assert asked(requeue.look, REFUSED).deliveries == 3 and rows.snapshot() == before
    assert put_back().deliveries == 3
    before = rows.snapshot()
    assert put_back().deliveries == 0 and rows.snapshot() == before


@pytest.mark.parametrize("state", ["printed", "posted"])
def test_what_was_printed_since_is_left_and_counted(rows, server, sending, put_back, state):
    refused(rows, server, sending, 2)
    rows.run("UPDATE deliveries SET state = ? WHERE id = (SELECT MAX(id) FROM deliveries)", state)
    done = put_back()
    assert done.deliveries == 1 and dict(done.left) == {state: 1}
    assert sorted(live(rows)) == [("mail", "queued"), ("post", state)]


def test_without_an_address_it_was_unreachable_and_is_pending(rows, server, sending, put_back, counted):
    refused(rows, server, sending, postal=False)
    assert counted().frozen[Term.UNREACHABLE] == 1
    done = put_back()
    assert (done.deliveries, done.letters) == (1, 0) and counted().frozen[Term.PENDING] == 1


def test_an_email_to_the_second_address_is_withdrawn_unless_it_told_somebody(rows, server, sending, put_back):
    refused(rows, server, sending, 2, second="zweite@orange.example")
    first = rows.one("SELECT MIN(id) FROM deliveries WHERE is_second")
    rows.run("UPDATE deliveries SET state = 'accepted' WHERE id = ?", first)
    done = put_back()
    assert (done.deliveries, done.second_addresses, dict(done.left)) == (1, 1, {"accepted": 1})
    assert live(rows) == [("mail", "accepted"), ("mail", "queued")]


def test_both_addresses_refused_by_mistake_go_back_to_the_first(rows, server, sending, put_back, counted):
    (one,) = refused(rows, server, sending, second="zweite@orange.example")
    server.on("zweite@orange.example", Act("rcpt", BAD))
    sending(server)
    assert live(rows) == [("post", "to_print")]
    done = put_back()
    assert (done.deliveries, done.letters, dict(done.left)) == (1, 1, {"elsewhere": 1})
    assert rows.all("SELECT delivery_id FROM notifications") == [(one,)] and rows.state(one) == "queued"
    assert counted().frozen[Term.PENDING] == 1
    assert dict(put_back().left) == {"elsewhere": 1} and rows.state(one) == "queued", "safe to run again"
    server.on("r0@courriel.example", Act("rcpt", BAD))
    server.on("zweite@orange.example", Act("rcpt", BAD))
    sending(server)
    assert live(rows) == [("post", "to_print")], "and if both refuse again, a letter goes again"


def test_a_household_goes_back_together(rows, server, sending, put_back):
    refused(rows, server, sending, form="children", children=("Zoé", "Anaïs"))
    put_back()
    assert live(rows) == [("mail", "queued")] * 2


def test_who_was_taken_out_since_stays_so(rows, server, sending, put_back):
    refused(rows, server, sending, 2)
    rows.run("UPDATE persons SET excluded = 'deceased' WHERE id = (SELECT MIN(id) FROM persons)")
    done = put_back()
    assert done.deliveries == 1 and dict(done.left) == {"excluded": 1}


def test_only_what_was_named(rows, server, sending, put_back):
    refused(rows, server, sending)
    refused(rows, server, sending, reply="550 5.2.1 disabled", provider="orange")
    refused(rows, server, sending, reply="553 no such mailbox")
    since = REFUSED.since_ms
    assert put_back(Fault("refused", "5.2.1", since, provider="free")).deliveries == 0
    assert put_back(Fault("refused", "5.2.1", since, wave="supplement")).deliveries == 0
    assert put_back(Fault("refused", "550", to_ms(NOW + timedelta(hours=1)))).deliveries == 0
    assert put_back(Fault("refused", "5.2.1", since, provider="orange")).deliveries == 1
    assert put_back(Fault("refused", "553", since)).deliveries == 1
    assert rows.states()["refused"] == 1
    for fault in (Fault("refused"), Fault("refused", "550"), Fault("refused", "", since), Fault("accepted", "250")):
        with pytest.raises(OperatorError):
            put_back(fault)
    with pytest.raises(OperatorError):
        put_back(Fault("refused", "' OR 1", since))


def test_given_up_it_gets_the_whole_schedule_anew(rows, server, sending, put_back):
    (one,) = rows.deliver("e@courriel.example")
    server.on("e@courriel.example", *[Act("rcpt", "450 4.2.0 later")] * 7)
    for hours in (0, 12, 24, 36, 48, 60, 73):
        late = datetime.now(UTC) + timedelta(hours=hours)
        sending(server, clock=lambda late=late: late)
    assert rows.state(one) == "expired"
    assert put_back(Fault("expired")).letters == 1
    server.on("e@courriel.example", Act("rcpt", "450 4.2.0 later"))
    sending(server, clock=lambda: late + timedelta(minutes=1))
    assert rows.state(one) == "deferred", "not given up at the first delay"
    assert rows.one("SELECT retries FROM deliveries WHERE id = ?", one) == 1


def test_a_message_that_can_be_made_now_goes_out(rows, server, sending, put_back):
    (one,) = rows.deliver("u@courriel.example")
    sealed = rows.one("SELECT sealed FROM contacts")
    rows.run("UPDATE contacts SET sealed = x'00'")
    sending(server)
    assert rows.state(one) == "unmade"
    rows.run("UPDATE contacts SET sealed = ?", sealed)
    assert put_back(Fault("unmade", "envelope")).deliveries == 0
    assert put_back(Fault("unmade", "unreadable")).deliveries == 1
    assert sending(server).accepted == 1 and ledger(rows).states.popitem()[1] == "accepted"


def test_more_than_a_page(rows, server, sending, put_back, monkeypatch):
    monkeypatch.setattr(requeue, "PAGE", 4)
    refused(rows, server, sending, 10)
    assert put_back().deliveries == 10
    assert len(rows.entries("requeue_ordered")) == 1 and len(rows.entries("delivery_requeued")) == 10
    assert set(live(rows)) == {("mail", "queued")}


def test_i1_requeued_after_a_doubt_and_taken_out_the_proof_counts_as_the_campaign_does(
    rows, server, sending, put_back, asked
):
    """In doubt, resent and refused, put back, then its person is taken out: held, and both accounts say in doubt."""
    (one,) = rows.deliver("r@courriel.example")
    server.on("r@courriel.example", Act("final", then="take_drop"), Act("rcpt", BAD))
    sending(server, wait=True, tune={"retry__first_seconds": 0.02})
    assert rows.state(one) == "refused" and put_back().deliveries == 1
    person = rows.one("SELECT id FROM persons")
    rows.run("UPDATE persons SET excluded = 'deceased' WHERE id = ?", person)

    async def hold(database):
        async with database.write() as connection:
            await journal.append(connection, await held_back(connection, [person], NOW))

    asked(hold)
    token = rows.one("SELECT token FROM deliveries WHERE id = ?", one).hex()
    assert rows.state(one) == "in_doubt" and ledger(rows).states[token] == "in_doubt"


def guarded(rows, settings, now_set):
    """Batch 1 was approved under ``settings``, and ``now_set`` holds now."""
    rows.run("UPDATE batches SET bound = ?", canonical_json(bound_settings(settings, "initial")))
    return lambda connection, batches: must_agree(connection, now_set, also=batches)


def test_i7_what_was_approved_under_other_values_does_not_go_back(rows, server, sending, asked, settings):
    """It would stop `send` for what was approved since, and the letters would be gone already."""
    refused(rows, server, sending, 2)
    sender = settings.senders[0].model_copy(update={"from_address": "x@autre.example"})
    moved = guarded(rows, settings, settings.model_copy(update={"senders": (sender, *settings.senders[1:])}))
    same = guarded(rows, settings, settings)
    before = rows.snapshot()
    told = r"what would go back was approved under other values.*senders\.clairval\.from_address"
    with pytest.raises(OperatorError, match=told):
        asked(requeue.look, REFUSED, moved)
    with pytest.raises(OperatorError, match=told):
        asked(requeue.put_back, REFUSED, by="ops", now=NOW, may_wait=moved)
    assert rows.snapshot() == before, "no letter was withdrawn"
    assert asked(requeue.look, Fault("unmade"), moved).deliveries == 0, "nothing goes back: nothing to refuse"
    assert asked(requeue.look, REFUSED, same).deliveries == 2
    assert asked(requeue.put_back, REFUSED, by="ops", now=NOW, may_wait=same).letters == 2
    rows.run("UPDATE deliveries SET state = 'refused' WHERE id = 1")  # the other one waits
    with pytest.raises(OperatorError, match=r"what is approved and waits goes out as it was approved.*--take-back"):
        asked(requeue.put_back, REFUSED, by="ops", now=NOW, may_wait=moved)
