"""The one table: complete, drawn in docs/states.md, and the words of SQL agree with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from notifier.delivery import states
from notifier.delivery.states import TRANSITIONS, Event, State, advance
from notifier.errors import IllegalTransition
from notifier.storage import deliveries

ROOT = Path(__file__).parents[2]


def test_the_diagram_in_docs_is_current():
    assert (ROOT / "docs" / "states.md").read_text(encoding="utf-8") == states.document()


def test_every_state_and_event_is_used_and_described():
    assert {event for _, event in TRANSITIONS} == set(Event)
    assert {state for state, _ in TRANSITIONS} | set(TRANSITIONS.values()) == set(State)
    described = {line.split("  ")[0] for line in (states.__doc__ or "").splitlines()}
    assert set(State) <= described


def test_a_step_outside_the_table_raises():
    for state in State:
        for event in Event:
            if (state, event) not in TRANSITIONS:
                with pytest.raises(IllegalTransition):
                    advance(state, event)


def test_derived_sets():
    assert {State.QUEUED, State.TO_PRINT} == states.INITIAL
    assert {State.QUEUED, State.DEFERRED} == states.CLAIMABLE
    assert {State.REFUSED, State.EXPIRED, State.BOUNCED, State.WITHDRAWN, State.RETURNED} == states.FINAL
    assert State.ACCEPTED not in states.FINAL, "a late bounce may follow"


def test_everything_reaches_an_end():
    for state in State:
        seen, front = {state}, [state]
        while front:
            front = [target for source in front for target in states.targets(source) if target not in seen]
            seen.update(front)
        assert seen & (states.FINAL | {State.ACCEPTED, State.DELIVERED})


def test_what_sql_claims_is_what_the_table_lets_claim():
    words = ", ".join(f"'{state}'" for state in State if state in states.CLAIMABLE)
    assert f"state IN ({words})" in deliveries._WAITING
