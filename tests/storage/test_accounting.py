"""The I1 table, counted from rows: every state under its term, and an imbalance told whenever a row is missing."""

from __future__ import annotations

import asyncio
import random
import secrets
import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from notifier.delivery.states import State
from notifier.model import Term, to_ms
from notifier.storage.accounting import account, listing

MAIL = (
    "queued",
    "sending",
    "deferred",
    "withdrawn",
    "in_doubt",
    "unmade",
    "accepted",
    "delivered",
    "refused",
    "expired",
    "bounced",
)
LETTERS = ("to_print", "printed", "posted", "returned")
EXPECTED = {
    "queued": Term.PENDING,
    "sending": Term.PENDING,
    "deferred": Term.PENDING,
    "withdrawn": Term.PENDING,
    "unmade": Term.PENDING,
    "in_doubt": Term.IN_DOUBT,
    "accepted": Term.HANDED_OVER,
    "delivered": Term.CONFIRMED,
    "refused": Term.UNREACHABLE,
    "expired": Term.UNREACHABLE,
    "bounced": Term.UNREACHABLE,
    "to_print": Term.POST,
    "printed": Term.POST,
    "posted": Term.POST,
    "returned": Term.UNREACHABLE,
}


class Tables:
    """Rows written straight into the database."""

    def __init__(self, path, now):
        self.path, self.now_ms, self.count = path, to_ms(now), 0
        self.insert("exposure_sets", id=1, canonical="viamedis:nir")
        self.file(1, rows=0, records=0, rejections=0)
        self.wave(1, "initial", "initial")

    def insert(self, table, **values):
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join(f":{name}" for name in values)
        with closing(sqlite3.connect(self.path)) as database, database:
            return database.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", values).lastrowid

    def run(self, sql):
        with closing(sqlite3.connect(self.path)) as database, database:
            assert database.execute(sql).rowcount > 0

    def file(self, number, *, rows, records, rejections, kind="export", state="complete"):
        self.insert(
            "imports", id=number, kind=kind, state=state, sha256=f"f{number}", profile="p", settings_digest="s",
            incident="", name="n", size_bytes=1, encoding="", as_of="", rows_read=rows, records=records,
            rejections=rejections, persons_new=0, persons_known=0,
        )  # fmt: skip
        for line in range(rejections):
            self.insert("rejections", import_id=number, line=line, column="NIR", code="c", state="open", reason="",
                        decided_by="")  # fmt: skip

    def wave(self, number, name, kind):
        self.insert("waves", id=number, name=name, kind=kind, created_ms=0, planned_ms=0)
        self.insert("segments", id=number, wave_id=number, sender="clairval", audience="insured", profession="",
                    form="own", exposure_set_id=1, language="fr")  # fmt: skip

    def person(self, *, contact=True, import_id=1):
        self.count += 1
        identity = self.count.to_bytes(16, "big")
        contact_id = None
        if contact:
            contact_id = self.insert(
                "contacts", import_id=import_id, line=self.count, sender="clairval", identity=identity, kind="member",
                link="A", status="active", language="fr", as_of="", current=1, has_postal=1, provider="other",
                sealed=b"",
            )  # fmt: skip
        person = self.insert(
            "persons", sender="clairval", identity=identity, kind="insured", profession="", exposure_set_id=1,
            sealed=b"", contact_id=contact_id, rung="", identity_review="", excluded="", excluded_reason="",
            excluded_by="",
        )  # fmt: skip
        self.insert("records", import_id=import_id, line=self.count, person_id=person, exposure_set_id=1, warnings="")
        self.run(f"UPDATE imports SET rows_read = rows_read + 1, records = records + 1 WHERE id = {import_id}")
        return person

    def delivery(self, state, *, wave=1, observe=None, doubts=0):
        return self.insert(
            "deliveries", token=secrets.token_bytes(16), wave_id=wave, segment_id=wave, contact_id=1,
            channel="post" if state in LETTERS else "mail", state=state, batch_id=None, attempt=1, retries=0,
            doubts=doubts, epoch=1, provider="other", due_ms=0, since_ms=0, observe_until_ms=observe,
        )  # fmt: skip

    def notify(
        self, person, *, wave=1, route="email", delivery=None, review="", excluded="", frozen=True, reason="why"
    ):
        self.insert(
            "notifications", wave_id=wave, person_id=person, segment_id=wave, route=route, route_reason=reason,
            review=review, excluded=excluded, batch_id=1 if frozen else None, delivery_id=delivery,
        )  # fmt: skip

    def returns_read(self, until_ms):
        self.run(f"UPDATE campaign SET returns_read_ms = {until_ms}")


@pytest.fixture
def tables(folder, now):
    return Tables(folder / "campaign.db", now)


@pytest.fixture
def counted(opened, now):
    def count(*, later_ms=0):
        async def work():
            async with opened() as database, database.read() as connection:
                return await account(connection, now_ms=to_ms(now) + later_ms)

        return asyncio.run(work())

    return count


def only(term, of):
    return {one: of if one is term else 0 for one in Term}


def test_i1_every_state_of_a_delivery_is_known_here():
    assert {*MAIL, *LETTERS} == {*EXPECTED} == {state.value for state in State}


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("state", [*MAIL, *LETTERS])
def test_i1_each_state_counts_under_its_term(tables, counted, state, frozen):
    person = tables.person()
    tables.notify(person, delivery=tables.delivery(state), frozen=frozen)
    found = counted()
    (wave,) = found.waves
    assert wave.terms == only(EXPECTED[state], 1)
    assert (wave.frozen if frozen else wave.not_frozen) == wave.terms
    assert wave.deliveries == {state: 1}
    assert found.balances


@pytest.mark.parametrize(
    ("term", "contact", "facts"),
    [
        (Term.UNMATCHED, False, {"route": "none", "reason": "unmatched"}),
        (Term.UNREACHABLE, True, {"route": "none", "reason": "unreachable"}),
        (Term.UNREACHABLE, True, {"route": "none", "reason": "adult_dependant_undecided"}),
        (Term.EXCLUDED, True, {"route": "none", "reason": "decided"}),
        (Term.PENDING, True, {"route": "none", "review": "ambiguous"}),
        (Term.PENDING, False, {"route": "none", "review": "ambiguous"}),
        (Term.PENDING, True, {"route": "email"}),
        (Term.EXCLUDED, True, {"route": "none", "excluded": "deceased"}),
        (Term.EXCLUDED, True, {"route": "email", "excluded": "operator", "review": "ambiguous"}),
    ],
)
def test_i1_without_a_delivery_the_route_decides(tables, counted, term, contact, facts):
    tables.notify(tables.person(contact=contact), **facts)
    found = counted()
    assert found.waves[0].terms == only(term, 1)
    assert found.balances


@pytest.mark.parametrize("state", ["accepted", "posted"])
def test_i1_presumed_needs_the_end_of_the_observation_and_returns_read_since(tables, counted, now, state):
    until = to_ms(now) + 1000
    tables.notify(tables.person(), delivery=tables.delivery(state, observe=until))
    waiting = EXPECTED[state]
    assert counted(later_ms=2000).waves[0].terms == only(waiting, 1)
    tables.returns_read(until - 1)
    assert counted(later_ms=2000).waves[0].terms == only(waiting, 1)
    tables.returns_read(until)
    assert counted(later_ms=999).waves[0].terms == only(waiting, 1)
    assert counted(later_ms=1000).waves[0].terms == only(Term.PRESUMED, 1)


def test_i1_a_household_counts_each_of_its_persons(tables, counted):
    delivery = tables.delivery("accepted")
    for _ in range(3):
        tables.notify(tables.person(), delivery=delivery)
    (wave,) = counted().waves
    assert (wave.terms[Term.HANDED_OVER], wave.deliveries, wave.owed) == (3, {"accepted": 1}, 3)


def test_i1_a_person_without_notification_is_owed_and_breaks_the_balance(tables, counted):
    tables.notify(tables.person(), delivery=tables.delivery("accepted"))
    tables.person()
    found = counted()
    assert (found.persons, found.waves[0].owed, sum(found.waves[0].terms.values())) == (2, 2, 1)
    assert not found.balances


def test_i1_a_state_that_nobody_foresaw_counts_nowhere(tables, counted):
    tables.notify(tables.person(), delivery=tables.delivery("evaporated"))
    found = counted()
    assert sum(found.waves[0].terms.values()) == 0
    assert found.waves[0].unknown == 1
    assert not found.balances


def test_i1_a_later_wave_owes_those_for_whom_it_was_planned(tables, counted):
    first, second = tables.person(), tables.person()
    tables.wave(2, "supplement-1", "supplement")
    for person in (first, second):
        tables.notify(person, delivery=tables.delivery("accepted"))
    tables.run("UPDATE waves SET owed = 1 WHERE id = 2")
    assert not counted().balances  # the plan found one person, and nobody is notified
    tables.notify(first, wave=2, delivery=tables.delivery("queued", wave=2))
    initial, supplement = counted().waves
    assert (initial.owed, supplement.owed) == (2, 1)
    assert supplement.terms == only(Term.PENDING, 1)
    assert counted().balances


@pytest.mark.parametrize(
    ("rows", "records", "rejections", "balances"),
    [(5, 3, 2, True), (6, 3, 2, False), (5, 2, 2, False), (4, 3, 1, False)],
)
def test_i1_rows_are_records_and_rejections_counted_not_said(tables, counted, rows, records, rejections, balances):
    tables.file(2, rows=0, records=0, rejections=2)
    for _ in range(3):
        tables.notify(tables.person(import_id=2), delivery=tables.delivery("accepted"))
    tables.run(f"UPDATE imports SET rows_read = {rows}, records = {records}, rejections = {rejections} WHERE id = 2")
    found = counted()
    assert (found.rows.read, found.rows.records, found.rows.rejections) == (rows, 3, 2)
    assert found.rows.open_rejections == 2
    assert found.balances is balances


def test_i1_directories_and_unfinished_files_are_not_rows_of_the_operators(tables, counted):
    tables.file(2, rows=9, records=9, rejections=0, kind="directory")
    tables.file(3, rows=9, records=0, rejections=0, state="staging")
    tables.file(4, rows=9, records=0, rejections=0, state="undone")
    assert counted().rows.read == 0
    assert counted().balances


def test_i1_a_record_without_its_person_breaks_the_balance(tables, counted):
    person = tables.person()
    tables.run(f"UPDATE records SET person_id = {person + 1}")
    assert not counted().balances


def test_i1_a_disposed_rejection_is_no_longer_open(tables, counted):
    tables.file(2, rows=2, records=0, rejections=2)
    tables.run("UPDATE rejections SET state = 'disposed' WHERE line = 0")
    assert (counted().rows.rejections, counted().rows.open_rejections) == (2, 1)


def test_status_json_has_the_documented_shape(tables, counted):
    tables.notify(tables.person(), delivery=tables.delivery("accepted"))
    tables.notify(tables.person(contact=False), route="none", reason="unmatched")
    assert counted().as_json("Exemple") == {
        "campaign": "Exemple",
        "persons": 2,
        "rows": {"read": 2, "records": 2, "rejections": 0, "open_rejections": 0},
        "waves": {
            "initial": {
                "notifications": {
                    "owed": 2,
                    "confirmed": 0,
                    "presumed": 0,
                    "handed_over": 1,
                    "pending": 0,
                    "in_doubt": 0,
                    "post": 0,
                    "unmatched": 1,
                    "unreachable": 0,
                    "excluded": 0,
                },
                "deliveries": {"accepted": 1},
            }
        },
        "balances": True,
    }


def test_the_list_of_a_term_names_exactly_those_who_count_under_it(tables, opened, now):
    tables.notify(tables.person(), delivery=tables.delivery("accepted"))
    tables.notify(tables.person(), delivery=tables.delivery("deferred"))
    tables.notify(tables.person(), review="ambiguous")
    tables.notify(tables.person(), excluded="deceased")
    tables.notify(tables.person(contact=False), route="none", reason="unmatched")

    async def work(term):
        async with opened() as database, database.read() as connection:
            return [row async for row in listing(connection, term, to_ms(now))]

    def identity(number):
        return number.to_bytes(16, "big")

    assert asyncio.run(work(Term.PENDING)) == [
        ("initial", "clairval", identity(2), "deferred"),
        ("initial", "clairval", identity(3), "ambiguous"),
    ]
    assert asyncio.run(work(Term.EXCLUDED)) == [("initial", "clairval", identity(4), "deceased")]
    assert asyncio.run(work(Term.UNMATCHED)) == [("initial", "clairval", identity(5), "unmatched")]
    assert asyncio.run(work(Term.POST)) == []


def test_what_stands_between_two_entries_is_told_apart(tables, counted):
    tables.notify(tables.person(), delivery=tables.delivery("sending"))
    tables.notify(tables.person(), delivery=tables.delivery("queued", doubts=1))
    tables.notify(tables.person(), delivery=tables.delivery("queued"))
    tables.notify(tables.person(), delivery=tables.delivery("sending"), frozen=False)
    assert counted().waves[0].unsettled == 2


def test_i1_what_is_counted_is_what_is_listed(tables, opened, now):
    """One rule, asked in two ways: the account groups by the rule's place, a list asks for the term's name."""
    dice = random.Random(5)
    tables.wave(2, "supplement", "supplement")
    for _ in range(40):
        person = tables.person(contact=dice.random() < 0.8)
        for wave in (1, 2):
            if dice.random() < 0.8:
                state = dice.choice([*MAIL, *LETTERS, ""])
                delivery = tables.delivery(state, wave=wave, observe=dice.choice([None, 0, 10])) if state else None
                tables.notify(
                    person, wave=wave, delivery=delivery, route="email" if state else dice.choice(["none", "post"]),
                    review=dice.choice(["", "", "ambiguous"]), excluded=dice.choice(["", "", "", "deceased"]),
                    frozen=dice.random() < 0.5, reason=dice.choice(["unmatched", "decided", "other"]),
                )  # fmt: skip
    tables.returns_read(5)

    async def work():
        async with opened() as database, database.read() as connection:
            told = await account(connection, now_ms=to_ms(now))
            listed = {term: Counter([row[0] async for row in listing(connection, term, to_ms(now))]) for term in Term}
            return told, listed

    told, listed = asyncio.run(work())
    for wave in told.waves:
        assert wave.terms == {term: listed[term][wave.name] for term in Term}
        assert sum(wave.terms.values()) > 20 and wave.unknown == 0
    assert len({term for term in Term if listed[term]}) >= 6
