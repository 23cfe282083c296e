"""A cycle that died with its clerk leaves the same behind, whether its commit held or not (I1, I3, I4, I5, I6)."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from notifier.delivery.limits import Limits
from notifier.delivery.outcomes import Kind, Outcome, Phase
from notifier.delivery.pace import Lease
from notifier.delivery.record import Ended, Policy, decide
from notifier.delivery.recovery import recover
from notifier.delivery.replies import load_rules
from notifier.delivery.salvage import salvage
from notifier.delivery.slots import LaneWish
from notifier.delivery.turn import Turn, Wish, take_turn
from notifier.errors import CampaignBusy
from notifier.model import Entry, to_ms
from notifier.storage.cycle import connect, transact
from notifier.vault import Vault
from tests.delivery.rows import Rows, tuned

NOW = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
CAPPED = {"pace__hotline_per_hour": 40, "pace__canary": 30}
# Lost is due again at once, and released too: the dying cycle claims both once more.
KINDS = [Kind.ACCEPTED, Kind.REFUSED, Kind.DEFERRED, Kind.IN_DOUBT, Kind.RELEASED, Kind.LOST, Kind.UNMADE,
         Kind.PROVIDER_WAIT, Kind.ACCEPTED]  # fmt: skip
WINDOW = 12


@dataclass
class Desk:
    """A campaign's database, and turns that are taken on it as by a sender or its clerk."""

    folder: Path
    vault: Vault

    def __post_init__(self) -> None:
        self.rows = Rows(self.folder / "campaign.db", self.vault)

    def write(self, work):
        with closing(connect(self.folder / "campaign.db")) as connection:
            return transact(connection, work)

    def take(self, wish: Wish) -> Turn:
        return self.write(partial(take_turn, vault=self.vault, wish=wish))

    def salvage(self, wish: Wish, held) -> Turn:
        return self.write(partial(salvage, vault=self.vault, wish=wish, held=held))

    def twin(self) -> Desk:
        """The same, to go another way."""
        self.write(lambda connection: None)
        with closing(connect(self.folder / "campaign.db")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return Desk(Path(shutil.copytree(self.folder, self.folder.with_name("twin"))), self.vault)

    def left(self) -> dict[str, list]:
        """All that a cycle can change, but for its mark and the random salts. What was given back is as any other that
        waits: it is queued, and remembers who had it."""
        tables = {table: self.rows.all(f"SELECT * FROM {table} ORDER BY 1") for table in
                  ("attempts", "notifications", "lanes", "begun")}  # fmt: skip
        tables["deliveries"] = self.rows.all(
            "SELECT id, token, channel, IIF(state IN ('queued', 'deferred'), 'waits', state), attempt, retries, "
            "doubts, due_ms, first_ms, priority, observe_until_ms, replaces_id, replaces_attempt, "
            "IIF(state IN ('queued', 'deferred'), NULL, epoch || ' ' || started_ms || ' ' || since_ms) "
            "FROM deliveries ORDER BY id"
        )
        told = self.rows.all("SELECT kind, subject, delivery_id, body FROM entries ORDER BY id")
        campaign = self.rows.all("SELECT sender_epoch, paused_reason, canary FROM campaign")
        return {**tables, "told": told, "campaign": campaign}


@pytest.fixture
def desk(folder, vault) -> Desk:
    return Desk(folder, vault)


@pytest.fixture
def begun(desk, settings, folder):
    """A wish whose cycle will record one end of every kind and claim more, and the ids held meanwhile."""

    def begin() -> tuple[Wish, set[int]]:
        chosen = tuned(settings, **CAPPED)
        policy = Policy.of(chosen)
        desk.rows.deliver(*(f"p{number:02}@courriel.example" for number in range(30)), provider="orange")
        epoch, _ = desk.write(partial(recover, vault=desk.vault, policy=policy, now=NOW, roll=0.0))
        wish = Wish(
            ends=[], notes=[], room=WINDOW, among=None, lease=None, relay="relay", unwritten=0, wave_id=None,
            epoch=epoch, resends=True, pause_words="", by="ops", now=NOW, provider_of=load_rules(folder).provider,
            limits=Limits.of(chosen), longest_ms=policy.longest_ms, last=None, outstanding=0, number=1,
        )  # fmt: skip
        first = desk.take(wish)
        assert len(first.claims) == WINDOW
        later = NOW + timedelta(seconds=1)
        ends = []
        for claim, kind in zip(first.claims, KINDS, strict=False):
            text = "relay" if kind is Kind.UNMADE else "said"
            outcome = Outcome(kind, Phase.FINAL, None if kind in (Kind.RELEASED, Kind.UNMADE) else 250, text=text)
            end = Ended(claim, outcome, later, reply=text, relay="relay.example:25")
            ends.append((end, decide(claim, outcome, now=later, policy=policy, roll=0.0)))
        held = {claim.id for claim in first.claims[len(KINDS) :]}
        notes = [Entry(later, "connection_opened", facts={"relay": "relay.example:25"})]
        wish = replace(wish, ends=ends, notes=notes, room=9, now=later, last=NOW, outstanding=WINDOW, number=2)
        return wish, held

    return begin


def test_i5_the_same_is_left_whether_the_commit_held_or_not(desk, begun):
    wish, held = begun()
    twin = desk.twin()
    told = desk.take(wish)  # committed, and nobody hears of it
    assert len(told.claims) == 9 and {claim.id for claim in told.claims} & {end.held.id for end, _ in wish.ends}
    found, done = desk.salvage(wish, held), twin.salvage(wish, held)
    assert found.fates == done.fates == told.fates, "each is told once, as it was recorded"
    assert found == done and found.claims == []
    assert desk.left() == twin.left()
    assert dict(desk.left()["begun"])["canary"] == len(held) + len(KINDS) - 1, "the released one was not begun"
    assert desk.rows.states()["sending"] == len(held) == 3, "what the sender holds it keeps"


@pytest.mark.parametrize("held_it", [True, False])
def test_i3_what_was_given_back_is_claimed_next_as_if_for_the_first_time(desk, begun, held_it):
    wish, held = begun()
    if held_it:
        lost = {claim.id: claim for claim in desk.take(wish).claims}
    else:
        lost = {claim.id: claim for claim in desk.twin().take(wish).claims}
    assert desk.salvage(wish, held).room == 0
    again = desk.take(replace(wish, ends=[], notes=[], last=wish.now, outstanding=len(held), number=0))
    assert {claim.id: claim for claim in again.claims} == lost
    assert desk.rows.states()["sending"] == len(held) + len(lost) == WINDOW


def test_i6_slots_that_were_leased_are_thrown_away_and_no_other_is_taken_for_them(desk, begun):
    wish, held = begun()
    until = 1_707_465_601_000_000
    lease = Lease(0, until, 5)
    lanes = LaneWish("relay", {"orange": Lease(0, until + 7, 5)}, frozenset({"orange"}), "")
    wish = replace(wish, lease=lease, lanes=lanes, unwritten=1)
    assert desk.take(wish).leased
    found = desk.salvage(wish, held)
    assert not found.leased and found.overtaken == until, "the gate begins behind the lease, as after a crash"
    assert not found.lanes.leased and found.lanes.overtaken == {"orange": until + 7}
    assert dict(desk.rows.all("SELECT name, next_us FROM pace")) == {"relay": until, "relay orange": until + 7}


def test_i5_a_cycle_that_changed_nothing_leaves_no_mark_and_is_taken_again(desk, begun):
    wish, held = begun()
    desk.salvage(wish, held)
    before, idle = desk.rows.snapshot(), replace(wish, ends=[], notes=[], room=0, last=wish.now, number=3)
    assert desk.take(idle).fates == [] and desk.rows.snapshot() == before
    assert desk.salvage(idle, held).fates == [] and desk.rows.snapshot() == before


def test_i5_the_mark_of_an_earlier_sender_is_nobodys(desk, begun, settings):
    """A cycle of the same number: the numbers begin anew with each sender."""
    wish, _ = begun()
    desk.take(wish)
    policy = Policy.of(settings)
    epoch, orphans = desk.write(partial(recover, vault=desk.vault, policy=policy, now=wish.now, roll=0.0))
    assert len(orphans) == WINDOW
    note = Entry(wish.now, "connection_opened", facts={"relay": "another"})
    mine = replace(wish, ends=[], notes=[note], outstanding=0, epoch=epoch)
    assert desk.salvage(mine, []).fates == []
    assert desk.rows.entries("connection_opened")[-1]["facts"] == {"relay": "another"}, "it had not been committed"


@pytest.mark.parametrize("held_it", [True, False])
def test_i5_when_another_sender_has_begun_nothing_is_changed(desk, begun, held_it):
    wish, held = begun()
    if held_it:
        desk.take(wish)
    desk.rows.run("UPDATE campaign SET sender_epoch = sender_epoch + 1")
    before = desk.rows.snapshot()
    with pytest.raises(CampaignBusy):
        desk.salvage(wish, held)
    assert desk.rows.snapshot() == before


def test_i4_an_end_that_came_late_is_told_as_late(desk, begun):
    wish, held = begun()
    first = wish.ends[0][0].held
    desk.rows.run("UPDATE deliveries SET state = 'deferred', epoch = 0 WHERE id = ?", first.id)
    told = desk.take(wish)
    assert told.fates[0].late
    assert desk.salvage(wish, held).fates == told.fates
    late = [entry for entry in desk.rows.entries("delivery_accepted") if entry["facts"]["late"]]
    assert [entry["subject"] for entry in late] == [first.token.hex()]


@pytest.mark.parametrize(("postal", "second"), [(True, ""), (False, ""), (False, "b@x.example"), (True, "b@x.example")])
@pytest.mark.parametrize("kind", [Kind.REFUSED, Kind.DEFERRED])
def test_i1_what_takes_a_failed_mails_place_is_told_as_it_was_recorded(desk, begun, settings, postal, second, kind):
    wish, held = begun()
    (one,) = desk.rows.deliver("failing@courriel.example", postal=postal, second=second)
    desk.rows.run("UPDATE deliveries SET first_ms = ? WHERE id = ?", to_ms(NOW - timedelta(days=30)), one)
    (claim,) = desk.take(replace(wish, ends=[], notes=[], among=[one], number=0)).claims
    at = NOW + timedelta(seconds=5)  # deferred once more, it expires
    end = Ended(claim, Outcome(kind, Phase.RCPT, 550), at, reply="said", relay="relay.example:25")
    decision = decide(claim, end.outcome, now=at, policy=Policy.of(settings), roll=0.0)
    wish = replace(wish, ends=[*wish.ends, (end, decision)])
    told = desk.take(wish)
    facts = [json.loads(body)["facts"] for (body,) in desk.rows.all(
        "SELECT body FROM entries WHERE delivery_id = ? AND kind IN ('delivery_refused', 'delivery_expired')", one
    )]  # fmt: skip
    assert desk.salvage(wish, held).fates == told.fates
    assert told.fates[-1].then == facts[0]["then"] != ""


@pytest.mark.parametrize("kind", [Kind.REFUSED, Kind.DEFERRED])
def test_i1_that_nothing_takes_its_place_is_told_where_its_person_was_taken_out_meanwhile(desk, begun, settings, kind):
    wish, held = begun()
    (one,) = desk.rows.deliver("failing@courriel.example", postal=True)
    desk.rows.run("UPDATE deliveries SET first_ms = ? WHERE id = ?", to_ms(NOW - timedelta(days=30)), one)
    (claim,) = desk.take(replace(wish, ends=[], notes=[], among=[one], number=0)).claims
    at = NOW + timedelta(seconds=5)  # deferred once more, it expires
    end = Ended(claim, Outcome(kind, Phase.RCPT, 550), at, reply="said", relay="relay.example:25")
    decision = decide(claim, end.outcome, now=at, policy=Policy.of(settings), roll=0.0)
    desk.rows.run(
        "UPDATE persons SET excluded = 'deceased' WHERE id IN "
        "(SELECT person_id FROM notifications WHERE delivery_id = ?)", one
    )  # fmt: skip
    desk.rows.run("UPDATE deliveries SET is_recalled = TRUE WHERE id = ?", one)
    wish = replace(wish, ends=[*wish.ends, (end, decision)])
    told = desk.take(wish)
    assert told.fates[-1].then == "excluded"
    assert desk.salvage(wish, held).fates == told.fates
