"""Who was taken out is not written to afterwards, whatever became of the attempt under way then (I1, I3, I4)."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from notifier.delivery.outcomes import Kind, Outcome, Phase
from notifier.delivery.record import Ended, Policy, decide, record_all
from notifier.model import Entry, to_ms
from notifier.people.exclusions import Ground, withdraw
from notifier.proof.verifier.verify import Ledger
from notifier.storage import deliveries, journal
from notifier.storage.accounting import account
from notifier.storage.cycle import open_cycle
from tests.relay.server import Act

ADDRESS, SECOND = "a@courriel.example", "b@courriel.example"
DECEASED = Ground("deceased", "faire-part reçu")
LATER = datetime.now(UTC) + timedelta(days=2)
SOON = {"retry__first_seconds": 0.02}


@pytest.fixture
def campaign(rows, opened, vault):
    return Campaign(rows, opened, vault)


class Campaign:
    def __init__(self, rows, opened, vault) -> None:
        self.rows, self.opened, self.vault = rows, opened, vault

    def persons(self) -> list[str]:
        """Pseudonyms, in order."""
        return [self.vault.pseudonym(*row) for row in self.rows.all("SELECT sender, identity FROM persons ORDER BY id")]

    async def take_out(self, database, *persons: str):
        return await withdraw(
            database, self.vault, persons or self.persons(), DECEASED, by="dpo", now=datetime.now(UTC)
        )

    def out(self, *persons: str):
        async def work():
            async with self.opened() as database:
                return await self.take_out(database, *persons)

        return asyncio.run(work())

    def deliver(self, *addresses: str, **given) -> list[int]:
        """Delivered rows, with what their approval says of them in the journal."""
        ids = self.rows.deliver(*addresses, **given)
        frozen = self.rows.all(
            "SELECT p.sender, p.identity, d.token FROM notifications n JOIN persons p ON p.id = n.person_id "
            "JOIN deliveries d ON d.id = n.delivery_id ORDER BY n.id"
        )
        facts = {"wave": "initial", "batch": 1, "route": "email", "reason": "", "segment": 1, "excluded": ""}

        async def write():
            async with self.opened() as database, database.write() as connection:
                await journal.append(connection, [
                    Entry(datetime.now(UTC), "notification_frozen", self.vault.pseudonym(sender, identity),
                          {**facts, "delivery": token.hex()})
                    for sender, identity, token in frozen
                ])  # fmt: skip

        asyncio.run(write())
        return ids

    def terms(self) -> dict[str, int]:
        """The account, which balances, and of which the journal says the same (I1)."""

        async def work():
            async with self.opened() as database, database.read() as connection:
                return (await account(connection, now_ms=to_ms(datetime.now(UTC)))).waves[0]

        wave = asyncio.run(work())
        assert wave.balances, "I1"
        ledger = Ledger("")
        for entry in self.rows.entries():
            ledger.add(entry)
        told = {term: count for term, count in ledger.table().get("initial", {}).items() if count}
        assert told == {term.value: count for term, count in wave.frozen.items() if count}
        return {term.value: count for term, count in wave.terms.items() if count}


def begun(campaign, **given) -> int:
    """What a sender that was killed leaves behind."""
    (one,) = campaign.deliver(ADDRESS, **given)
    campaign.rows.run("UPDATE deliveries SET state = 'sending', attempt = 1, epoch = 1, started_ms = 1, first_ms = 1")
    return one


def test_I1_who_is_taken_out_after_a_kill_is_not_written_to_again(campaign, rows, server, sending):
    one = begun(campaign)
    assert len(campaign.out().begun) == 1
    for at in (datetime.now(UTC), LATER):
        sending(server, clock=lambda at=at: at)
    assert server.taken == [] and rows.state(one) == "in_doubt"
    assert rows.one("SELECT due_ms FROM deliveries WHERE id = ?", one) == 0
    kinds = [entry["kind"] for entry in rows.entries() if entry["kind"].startswith("delivery_")]
    assert kinds == ["delivery_in_doubt", "delivery_held"]
    assert rows.entries("delivery_held")[0]["facts"] == {"attempt": 1, "because": "excluded"}
    assert campaign.terms() == {"in_doubt": 1}


def test_I1_who_only_ever_heard_not_now_is_taken_back(campaign, rows, server, sending):
    (one,) = campaign.deliver(ADDRESS)
    server.on(ADDRESS, Act("rcpt", "451 4.7.1 greylisted"))
    assert sending(server).deferred == 1
    made = campaign.out()
    assert (made.taken_back, made.begun) == (1, []) and rows.state(one) == "withdrawn"
    assert campaign.terms() == {"excluded": 1}
    sending(server, clock=lambda: LATER)
    assert server.taken == []


def under_way(campaign, server, sending, act: Act, *, take=()):
    """Taken out while the server holds back its answer to RCPT, which is then ``act``."""
    server.on(ADDRESS, act)

    async def meanwhile(database):
        while not any(line.upper().startswith("RCPT") for line in server.commands):
            await asyncio.sleep(0.01)
        await campaign.take_out(database, *take)
        server.allowed.set()

    return sending(server, meanwhile=meanwhile)


@pytest.mark.parametrize(
    ("act", "state", "term"),
    [
        (Act("rcpt", "451 4.2.0 later", "held"), "withdrawn", "excluded"),
        (Act("rcpt", "550 5.1.1 no such user", "held"), "refused", "excluded"),
        (Act("rcpt", then="held"), "accepted", "handed_over"),
    ],
)
def test_I1_nothing_follows_on_what_was_under_way(campaign, rows, server, sending, act, state, term):
    """A temporary no is not tried again; after a definite one comes neither the second address nor a letter; what was
    accepted stays, and a rectification is owed."""
    (one,) = campaign.deliver(ADDRESS, second=SECOND)
    under_way(campaign, server, sending, act)
    sending(server, clock=lambda: LATER)
    assert rows.state(one) == state and campaign.terms() == {term: 1}
    assert server.copies(SECOND) == 0 and server.copies(ADDRESS) == (state == "accepted")
    assert sum(rows.states().values()) == 1, "nothing took its place"
    replanned = rows.entries("notification_replanned")
    assert [entry["facts"] for entry in replanned] == [{"wave": "initial", "reason": "excluded"}] * (term == "excluded")
    assert [entry["facts"]["then"] for entry in rows.entries("delivery_refused")] == ["excluded"] * (state == "refused")


@pytest.mark.parametrize("doubts", [0, 1])
@pytest.mark.parametrize("how", ["lost", "deferred", "released", "in_doubt", "refused", "unmade"])
def test_I1_i4_every_end_of_an_attempt(campaign, rows, server, sending, vault, settings, how, doubts):
    """Where an answer was lost before, it is held (what may have arrived cannot be unsaid), else withdrawn."""
    one, _ = campaign.deliver(ADDRESS, SECOND)
    rows.run("UPDATE deliveries SET doubts = ?, attempt = ?", doubts, doubts)
    if doubts:
        token = rows.one("SELECT token FROM deliveries WHERE id = ?", one)
        facts = {"attempt": 1, "late": False}
        entries = [Entry(datetime.now(UTC), "delivery_in_doubt", token.hex(), facts)]

        async def doubted():
            async with campaign.opened() as database, database.write() as connection:
                await journal.append(connection, entries)

        asyncio.run(doubted())
    policy = Policy.of(settings)

    async def whole():
        now = datetime.now(UTC)
        async with open_cycle(rows.path) as cycle:
            ids = await cycle.write(lambda it: deliveries.claim(it, now_ms=to_ms(now), epoch=1, most=5))
            claims = await cycle.write(lambda it: deliveries.fetch(it, ids))
            async with campaign.opened() as database:
                await campaign.take_out(database, campaign.persons()[0])
            ends = []
            for claim, kind in zip(claims, (Kind(how), Kind.ACCEPTED), strict=True):
                end = Ended(claim, Outcome(kind, Phase.RCPT, 450), now)
                ends.append((end, decide(claim, end.outcome, now=now, policy=policy, roll=0.0)))
            return await cycle.write(lambda it: record_all(it, vault, ends))

    fates = asyncio.run(whole())
    assert [fate.late for fate in fates] == [False, False]
    told = Counter(campaign.terms())
    assert told.pop("handed_over") == 1
    if how == "in_doubt":
        assert (rows.state(one), told) == ("in_doubt", {"in_doubt": 1}) and fates[0].then == "held"
    elif not doubts:
        assert told == {"excluded": 1} and fates[0].then == "excluded"
        assert rows.state(one) == ("refused" if how == "refused" else "withdrawn")
    elif how in ("lost", "deferred", "released"):
        assert (rows.state(one), told) == ("in_doubt", {"in_doubt": 1}) and fates[0].then == "held"
        assert rows.entries("delivery_held")[0]["facts"] == {"attempt": 1 + (how != "released"), "because": "excluded"}
    else:
        assert rows.state(one) == how and set(told) == {"unreachable" if how == "refused" else "pending"}
    attempts = rows.one("SELECT COUNT(*) FROM attempts WHERE delivery_id = ?", one)
    assert attempts == (how != "released"), "I4"
    assert sending(server, clock=lambda: LATER).accepted == 0 and server.taken == []


def test_I1_a_household_of_which_one_is_out_is_told_still(campaign, rows, server, sending):
    """The rule of a notice that was begun: it stays as it was approved, for the others; the next plan makes it anew."""
    (one,) = campaign.deliver(ADDRESS, form="children", children=("Léa", "Tom"))
    first, second = campaign.persons()
    under_way(campaign, server, sending, Act("rcpt", "451 4.2.0 later", "held"), take=(first,))
    assert rows.state(one) == "deferred" and campaign.terms() == {"pending": 2}
    made = campaign.out(second)
    assert (made.taken_back, rows.state(one)) == (1, "withdrawn"), "the one who left before leaves with the other"
    assert campaign.terms() == {"excluded": 2}
    sending(server, clock=lambda: LATER)
    assert server.taken == []


def test_I1_a_household_goes_out_to_those_who_stay(campaign, rows, server, sending):
    (one,) = campaign.deliver(ADDRESS, form="children", children=("Léa", "Tom"))
    under_way(campaign, server, sending, Act("rcpt", "451 4.2.0 later", "held"), take=campaign.persons()[:1])
    assert sending(server, clock=lambda: LATER).accepted == 1 and rows.state(one) == "accepted"


def test_I1_who_is_taken_in_again_meanwhile_is_told(campaign, rows, server, sending):
    """The mark that an exclusion leaves on what is being sent is a reason to look, and no verdict."""
    one = begun(campaign)
    campaign.out()
    rows.run("UPDATE persons SET excluded = '', excluded_ms = NULL")
    sending(server, wait=True, tune=SOON)
    assert rows.state(one) == "accepted" and server.copies(ADDRESS) == 1


def test_I1_the_second_address_of_an_email_that_may_have_arrived_is_held(campaign, rows, server, sending):
    """In doubt, sent once more and refused: the second address waits when its person is taken out."""
    (one,) = campaign.deliver(ADDRESS, second=SECOND)
    server.on(ADDRESS, Act("final", then="take_drop"), Act("rcpt", "550 5.1.1 no such user"))
    for _ in range(2):
        sending(server, wait=True, limit=1, tune=SOON)
    assert rows.state(one) == "refused" and rows.states() == {"refused": 1, "queued": 1}
    campaign.out()
    assert rows.states() == {"refused": 1, "in_doubt": 1} and campaign.terms() == {"in_doubt": 1}
    sending(server, clock=lambda: LATER + timedelta(days=1))
    assert server.copies(SECOND) == 0
