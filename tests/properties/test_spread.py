"""What a limit and the canary begin with: one of each segment and provider before a second of any. The statements on
the real schema, beside the rule in plain Python."""

from __future__ import annotations

import itertools
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from notifier.storage import spread as statements
from notifier.storage.spread import spread
from notifier.storage.tables import Delivery

NOW = 1_000
TABLE = Delivery.__table__


class Row(NamedTuple):
    segment: int
    provider: str
    priority: int = 2
    due_ms: int = 0
    wave: int = 1
    channel: str = "mail"
    state: str = "queued"
    batch: int | None = 1


ROWS = st.lists(
    st.builds(
        Row,
        segment=st.integers(1, 5),
        provider=st.sampled_from(["gmail", "orange", "other", "sfr"]),
        priority=st.integers(0, 2),
        due_ms=st.sampled_from([0, 0, 0, 7, 8, NOW, NOW + 1]),
        wave=st.sampled_from([1, 1, 1, 2]),
        channel=st.sampled_from(["mail"] * 9 + ["post"]),
        state=st.sampled_from(["queued"] * 7 + ["deferred", "accepted"]),
        batch=st.sampled_from([1] * 9 + [None]),
    ),
    max_size=80,
)


def database(rows: Iterable[Row]) -> sqlite3.Connection:
    """Their ids are their places, from 1."""
    connection = sqlite3.connect(":memory:")
    for part in (CreateTable(TABLE), *map(CreateIndex, TABLE.indexes)):
        connection.execute(str(part.compile(dialect=sqlite.dialect())))
    connection.executemany(
        "INSERT INTO deliveries (token, contact_id, attempt, retries, doubts, epoch, replaces_attempt, since_ms, "
        "segment_id, provider, priority, due_ms, wave_id, channel, state, batch_id) "
        "VALUES (randomblob(16), 1, 0, 0, 0, 0, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    return connection


def due_of(rows: list[Row], wave_id: int | None, resting: Iterable[str]) -> list[int]:
    """The most urgent, then the longest due first."""
    due = [
        (row.priority, row.due_ms, number)
        for number, row in enumerate(rows, 1)
        if row.channel == "mail" and row.state in ("queued", "deferred") and row.batch is not None
        and row.due_ms <= NOW and wave_id in (None, row.wave) and row.provider not in resting
    ]  # fmt: skip
    return [number for _, _, number in sorted(due)]


def by_the_rule(rows: list[Row], due: list[int]) -> list[int]:
    """In words of lists: pairs in turn, round after round."""
    queues: dict[tuple[int, str], list[int]] = {}
    urgency: dict[int, int] = {}
    for number in due:
        row = rows[number - 1]
        queues.setdefault((row.segment, row.provider), []).append(number)
        urgency[row.segment] = min(urgency.get(row.segment, 9), row.priority)
    order: list[tuple[int, str]] = []
    while len(order) < len(queues):
        for segment in sorted(urgency, key=lambda one: (urgency[one], one)):
            left = [pair for pair in queues if pair[0] == segment and pair not in order]
            if left:
                order.append(
                    min(
                        left,
                        key=lambda pair: (
                            [name for _, name in order].count(pair[1]),
                            [name for _, name in queues].count(pair[1]),
                            pair[1],
                        ),
                    )
                )
    rounds = itertools.zip_longest(*(queues[pair] for pair in order))
    return [number for one in rounds for number in one if number is not None]


@pytest.fixture(params=[1, 3, 1_000])
def looks_after(request, monkeypatch):
    """How many rows lie between two looks at which pairs have given enough."""
    monkeypatch.setattr(statements, "_LOOKS_AFTER", request.param)


@pytest.mark.usefixtures("looks_after")
def test_what_is_picked_is_what_the_rule_says():
    @given(
        rows=ROWS,
        most=st.integers(0, 90),
        wave_id=st.sampled_from([None, 1, 3]),
        resting=st.sets(st.sampled_from(["gmail", "orange"])).map(sorted),
    )
    def check(rows, most, wave_id, resting):
        due = due_of(rows, wave_id, resting)
        with closing(database(rows)) as connection:
            picked = spread(connection, now_ms=NOW, most=most, wave_id=wave_id, resting=resting)
        assert picked == by_the_rule(rows, due)[:most]

        pairs = {(rows[number - 1].segment, rows[number - 1].provider) for number in due}
        got = Counter((rows[number - 1].segment, rows[number - 1].provider) for number in picked)
        if most >= len(pairs):
            assert got.keys() == pairs, "each pair has one"
        segments = {segment for segment, _ in pairs}
        if most >= len(segments):
            assert {segment for segment, _ in got} == segments, "and each segment, where they are fewer"
        had = Counter((rows[number - 1].segment, rows[number - 1].provider) for number in due)
        least = min((got[pair] for pair in pairs if got[pair] < had[pair]), default=most)
        assert max(got.values(), default=0) <= least + 1, "nobody has two more than one who had more to give"

    check()


def test_of_a_large_segment_at_one_provider_the_canary_is_not_all():
    """Nearly all of it is gmail's, and planned first; two are the post office's, and planned last."""
    rows = [*[Row(1, "gmail")] * 900, *[Row(2, "gmail")] * 50, Row(1, "laposte"), Row(3, "laposte")]
    with closing(database(rows)) as connection:
        picked = spread(connection, now_ms=NOW, most=20, wave_id=None)
        assert spread(connection, now_ms=NOW, most=4, wave_id=None) == picked[:4]
    got = Counter((rows[number - 1].segment, rows[number - 1].provider) for number in picked)
    assert got == {(1, "gmail"): 9, (2, "gmail"): 9, (1, "laposte"): 1, (3, "laposte"): 1}


def test_so_few_that_not_each_pair_has_one_go_to_different_segments_and_providers():
    rows = [Row(segment, provider) for segment in (1, 2, 3) for provider in ("gmail", "orange", "sfr")]
    rows += [Row(4, "other", priority=0), Row(4, "gmail", priority=0)]
    with closing(database(rows)) as connection:
        picked = [rows[number - 1] for number in spread(connection, now_ms=NOW, most=4, wave_id=None)]
    assert [(row.segment, row.provider) for row in picked] == [(4, "other"), (1, "orange"), (2, "sfr"), (3, "gmail")]


def test_of_pairs_that_have_given_enough_nothing_more_is_read(monkeypatch):
    """Of ten thousand to one provider a few hundred come into Python, and the one at the end is among the picked."""
    monkeypatch.setattr(statements, "_LOOKS_AFTER", 50)
    rows = [*[Row(1, "gmail")] * 10_000, Row(1, "orange")]
    read = []
    with closing(database(rows)) as connection:
        connection.row_factory = lambda _, row: read.append(row) or row
        picked = spread(connection, now_ms=NOW, most=30, wave_id=None)
    assert len(picked) == 30 and 10_001 in picked and len(read) < 100


def test_what_is_due_is_walked_over_along_its_index():
    values = {"priority": 2, "now": NOW, "wave_id": None, "resting": "[]"}
    with closing(database([])) as connection:
        connection.execute(statements._ENOUGH)
        steps = [str(step[-1]) for step in connection.execute(f"EXPLAIN QUERY PLAN {statements._DUE}", values)]
    assert "SEARCH deliveries USING INDEX deliveries_due (priority=? AND due_ms<?)" in steps
    assert any(step.startswith("USING INDEX") and step.endswith("FOR IN-OPERATOR") for step in steps), steps
    assert not any("TEMP B-TREE" in step for step in steps), steps
