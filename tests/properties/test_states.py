"""A delivery driven at random through the real doors: claims, outcomes, crashes, late answers, resends."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import settings as effort
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from notifier.campaign import RetrySection
from notifier.delivery.outcomes import Kind, Outcome, Phase
from notifier.delivery.record import Ended, Policy, decide, record
from notifier.delivery.recovery import recover
from notifier.delivery.states import CLAIMABLE, FINAL, TRANSITIONS, Event, State, advance
from notifier.errors import IllegalTransition
from notifier.model import to_ms
from notifier.storage import deliveries
from notifier.storage.database import create_database
from notifier.storage.deliveries import Claim, Move
from notifier.vault import Keys, Vault
from tests.delivery.rows import Rows

NOW = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
VAULT = Vault(Keys.new("machine"))
POLICY = Policy(RetrySection(), resends=True, observe=timedelta(days=5))
_TEMPLATES: dict[bool, bytes] = {}


def template(postal: bool) -> bytes:
    """A campaign with one delivery to a holder about two children, as a database file's bytes."""
    if postal not in _TEMPLATES:
        folder = Path(tempfile.mkdtemp())
        create_database(folder / "c.db", VAULT, NOW)
        Rows(folder / "c.db", VAULT).deliver("a@courriel.example", postal=postal, form="children", children=("A", "B"))
        connection = sqlite3.connect(folder / "c.db")
        connection.execute("PRAGMA journal_mode = DELETE")  # a WAL database cannot live in memory
        _TEMPLATES[postal] = connection.serialize()
        connection.close()
        shutil.rmtree(folder)
    return _TEMPLATES[postal]


class Life(RuleBasedStateMachine):
    @initialize(postal=st.booleans())
    def begin(self, postal):
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.db.deserialize(template(postal))
        self.postal = postal
        self.now, self.epoch = NOW, deliveries.next_epoch(self.db)
        self.held: Claim | None = None
        self.gone: list[Claim] = []  # of senders that died: their answers may still come
        self.accepted = False

    def teardown(self):
        if hasattr(self, "db"):
            self.db.close()

    def row(self):
        return self.db.execute("SELECT state, attempt, due_ms FROM deliveries WHERE id = 1").fetchone()

    @property
    def state(self) -> State:
        return State(self.row()[0])

    def everything(self):
        return list(self.db.iterdump())

    @rule(hours=st.integers(0, 30))
    def time_passes(self, hours):
        self.now += timedelta(hours=hours)

    @precondition(lambda self: self.held is None)
    @rule()
    def claim(self):
        before, was = self.state, self.row()
        again = advance(State.IN_DOUBT, Event.RESEND)
        resent = deliveries.resend(self.db, state=again, now_ms=to_ms(self.now), wave_id=None)
        assert resent == (before is State.IN_DOUBT and 0 < was[2] <= to_ms(self.now))
        ids = deliveries.claim(self.db, now_ms=to_ms(self.now), epoch=self.epoch, most=5)
        may = (before in CLAIMABLE or resent) and was[2] <= to_ms(self.now)
        assert ids == ([1] if may else [])
        if ids:
            assert not self.accepted, "what was accepted is not sent again"
            (self.held,) = deliveries.fetch(self.db, ids)
            assert self.held.attempt == was[1] + 1

    @precondition(lambda self: self.held is not None)
    @rule(kind=st.sampled_from(Kind))
    def end(self, kind):
        held, self.held = self.held, None
        outcome = Outcome(kind, Phase.FINAL, 250)
        decision = decide(held, outcome, now=self.now, policy=POLICY, roll=0.0)
        fate = record(self.db, VAULT, Ended(held, outcome, self.now), decision)
        assert not fate.late and self.state is decision.state
        self.accepted |= kind is Kind.ACCEPTED

    @rule()
    def crash_and_recover(self):
        if self.held is not None:
            self.gone.append(self.held)
        orphaned, self.held = self.held is not None, None
        self.epoch, fates = recover(self.db, VAULT, POLICY, now=self.now, roll=0.0)
        assert len(fates) == orphaned and self.state is not State.SENDING

    @precondition(lambda self: self.gone)
    @rule(kind=st.sampled_from([Kind.ACCEPTED, Kind.REFUSED, Kind.DEFERRED, Kind.IN_DOUBT]))
    def late_answer(self, kind):
        held, before = self.gone.pop(), self.row()
        outcome = Outcome(kind, Phase.FINAL, 250)
        decision = decide(held, outcome, now=self.now, policy=POLICY, roll=0.0)
        fate = record(self.db, VAULT, Ended(held, outcome, self.now), decision)
        assert fate.late
        waits = State(before[0]) in (State.IN_DOUBT, State.QUEUED, State.DEFERRED, State.UNMADE)
        if kind is Kind.ACCEPTED and waits:
            assert self.state is State.ACCEPTED
            self.accepted = True
        else:
            assert self.row() == before, "late, and nothing to settle: only written down"

    @rule(event=st.sampled_from(Event))
    def an_illegal_step_changes_nothing(self, event):
        state, before = self.state, self.everything()
        if (state, event) not in TRANSITIONS:
            try:
                advance(state, event)
            except IllegalTransition:
                pass
            else:
                raise AssertionError("an illegal step was taken")
        if state is not State.SENDING:
            stranger = deliveries.fetch(self.db, [1])[0]
            assert not deliveries.move(self.db, stranger, Move("accepted", 0, 0, 0, 0))
            assert not deliveries.release(self.db, stranger, "queued", 0)
        assert self.everything() == before

    @invariant()
    def every_notification_hangs_on_one_live_delivery(self):
        """I1, I3."""
        if not hasattr(self, "db"):
            return
        targets = self.db.execute("SELECT DISTINCT delivery_id FROM notifications").fetchall()
        letters = self.db.execute("SELECT id FROM deliveries WHERE replaces_id = 1 AND state = 'to_print'").fetchall()
        failed = self.state in FINAL
        assert len(letters) == (failed and self.postal)
        assert targets == (letters or [(1,)])

    @invariant()
    def every_outcome_has_its_trace(self):
        """I4: an attempt row and an entry for each."""
        if not hasattr(self, "db"):
            return
        attempts = self.db.execute("SELECT COUNT(*) FROM attempts WHERE late = 0").fetchone()[0]
        entries = self.db.execute(
            "SELECT COUNT(*) FROM entries WHERE kind LIKE 'delivery_%' AND kind <> 'delivery_held' "
            "AND CAST(body AS TEXT) NOT LIKE '%\"late\":true%'"
        ).fetchone()[0]
        sending = self.state is State.SENDING
        assert attempts == entries == self.row()[1] - sending


TestLife = Life.TestCase
TestLife.settings = effort(max_examples=60, stateful_step_count=25, deadline=None)
