"""An approval is taken back: what told nobody is free for a plan, what may have told somebody is held (I1, I3)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from notifier.errors import OperatorError
from notifier.model import Term, to_ms
from notifier.notices import taking_back
from notifier.notices.taking_back import TakenBack
from notifier.proof.verifier.verify import Ledger
from notifier.storage.accounting import account
from notifier.storage.batches import unfinished_batches
from notifier.storage.untold import Waiting
from tests.relay.server import Act

NOW = datetime.now(UTC)


@pytest.fixture
def asked(opened, vault):
    def run(what: str, wave: str = "initial"):
        async def whole():
            async with opened() as database:
                if what == "look":
                    return await taking_back.look(database, wave)
                if what == "take_back":
                    return await taking_back.take_back(database, vault, wave=wave, why="y", by="Anne", now=NOW)
                async with database.read() as connection:
                    if what == "unfinished":
                        return await unfinished_batches(connection)
                    return (await account(connection, now_ms=to_ms(NOW))).waves[0]

        return asyncio.run(whole())

    return run


def ledger(rows) -> Ledger:
    read = Ledger("")
    for entry in rows.entries():
        read.add(entry)
    return read


def test_i1_i3_what_told_nobody_is_free_and_what_may_have_told_is_held(rows, server, sending, asked, vault):
    addresses = ("ok", "later", "lost", "twice", "bad", "odd")
    ids = dict(zip(addresses, rows.deliver(*(f"{one}@courriel.example" for one in addresses)), strict=True))
    sealed = rows.one("SELECT sealed FROM contacts WHERE id = ?", ids["odd"])
    rows.run("UPDATE contacts SET sealed = x'00' WHERE id = ?", ids["odd"])
    later, lost = Act("rcpt", "451 4.2.0 later"), Act("final", then="take_drop")
    server.on("later@courriel.example", later)
    server.on("lost@courriel.example", lost)
    server.on("twice@courriel.example", lost, later)
    server.on("bad@courriel.example", Act("rcpt", "550 5.1.1 no such user"))
    sending(server)
    rows.run("UPDATE deliveries SET due_ms = 0 WHERE id <> ?", ids["twice"])
    rows.run("UPDATE deliveries SET due_ms = 1 WHERE id = ?", ids["lost"])
    server.on("lost@courriel.example", Act("final", then="take_drop"))
    waits = rows.deliver("a@courriel.example", form="children", children=("Zoé", "Anaïs"), due_ms=9)
    rows.run("UPDATE contacts SET sealed = ? WHERE id = ?", sealed, ids["odd"])
    states = {name: rows.state(one) for name, one in ids.items()}
    assert (states["ok"], states["later"], states["bad"], states["odd"]) == (
        "accepted", "deferred", "refused", "unmade",
    )  # fmt: skip
    assert states["lost"] == states["twice"] == "in_doubt"
    rows.run("UPDATE deliveries SET state = 'deferred', due_ms = 9 WHERE id = ?", ids["twice"])
    letters = rows.states()["to_print"]
    frozen = asked("account")
    assert asked("look") == Waiting(untold=3, persons=4, doubted=2, sending=0)

    assert asked("take_back") == TakenBack(deliveries=3, persons=4, held=2)
    assert asked("unfinished") == [], "nothing of it goes out by itself any more"
    assert {rows.state(one) for one in (ids["later"], ids["odd"], *waits)} == {"withdrawn"}
    assert rows.all("SELECT id, state, due_ms FROM deliveries WHERE state = 'in_doubt' ORDER BY id") == [
        (ids["lost"], "in_doubt", 0), (ids["twice"], "in_doubt", 0),
    ]  # fmt: skip
    assert rows.states()["to_print"] == letters, "the letter in the place of a refused e-mail stays"
    wave = asked("account")
    assert wave.not_frozen[Term.PENDING] == 4 and wave.frozen[Term.IN_DOUBT] == 2
    assert sum(wave.terms.values()) == sum(frozen.terms.values())
    assert rows.one("SELECT COUNT(*) FROM notifications n JOIN deliveries d ON d.id = n.delivery_id "
                    "WHERE d.state = 'withdrawn'") == 0  # fmt: skip
    assert rows.one("SELECT planned_ms FROM waves") == 0, "a plan comes before the next approval"

    (order,) = rows.entries("approval_taken_back")
    assert order["facts"] == {"wave": "initial", "why": "y", "by": "Anne"}
    replanned = rows.entries("notification_replanned")
    assert len(replanned) == 4 and {entry["facts"]["reason"] for entry in replanned} == {"approval_taken_back"}
    held = {rows.one("SELECT token FROM deliveries WHERE id = ?", ids[one]).hex() for one in ("lost", "twice")}
    read = ledger(rows)
    assert {token for token in held if read.states[token] == "in_doubt"} == held
    assert [(wave, by) for _, wave, by in read.taken_back] == [("initial", "Anne")]

    before = rows.snapshot()
    assert asked("take_back") == TakenBack() and rows.snapshot() == before, "safe to run twice"
    assert sending(server, clock=lambda: NOW + timedelta(days=4)).accepted == 0, "nothing of it goes out"


def test_in_slices_and_of_one_wave_alone(rows, asked, monkeypatch):
    monkeypatch.setattr(taking_back, "SLICE", 2)
    rows.deliver(*(f"n{number}@courriel.example" for number in range(5)))
    (other,) = rows.deliver("o@courriel.example", wave="supplement")
    rows.deliver("p@courriel.example", approved=False)
    assert asked("take_back") == TakenBack(deliveries=5, persons=5)
    assert len(rows.entries("approval_taken_back")) == 1 and len(rows.entries("notification_replanned")) == 5
    assert rows.state(other) == "queued" and rows.states() == {"withdrawn": 5, "queued": 2}
    with pytest.raises(OperatorError, match="no wave x"):
        asked("take_back", "x")


def test_a_second_address_after_a_lost_answer_is_held(rows, server, sending, asked):
    rows.deliver("r@courriel.example", second="zweite@orange.example")
    server.on("r@courriel.example", Act("rcpt", "550 5.1.1 no such user"))
    sending(server, limit=1)
    second = rows.one("SELECT id FROM deliveries WHERE is_second")
    rows.run("UPDATE deliveries SET doubts = 1 WHERE NOT is_second")
    assert asked("take_back") == TakenBack(held=1) and rows.state(second) == "in_doubt"


def test_a_second_address_that_told_nobody_is_free(rows, server, sending, asked):
    rows.deliver("r@courriel.example", second="zweite@orange.example")
    server.on("r@courriel.example", Act("rcpt", "550 5.1.1 no such user"))
    sending(server, limit=1)
    assert asked("take_back") == TakenBack(deliveries=1, persons=1)
    assert rows.states() == {"refused": 1, "withdrawn": 1}
