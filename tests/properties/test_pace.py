"""I6: for every window, MAIL commands written ≤ rate × w + burst. Counted on the commands, over restarts."""

from __future__ import annotations

import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from notifier.delivery.pace import HORIZON, SECOND, Gate, Pace
from notifier.storage import pace as rows


def exceeded(pace: Pace, written: list[int]) -> bool:
    """Whether any window (every one that matters begins and ends at a command) holds too many."""
    return any(
        (last - first + 1 - pace.burst) * SECOND > pace.rate * (written[last] - written[first]) + 1e-6
        for first in range(len(written))
        for last in range(first, len(written))
    )


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["cycle", "cycle", "write", "write", "write", "write", "crash", "back"]),
        st.integers(0, 3 * HORIZON),
    ),
    max_size=120,
)


@given(rate=st.floats(0.2, 400), burst=st.integers(1, 6), window=st.integers(1, 40), steps=STEPS)
def test_i6_no_window_holds_too_many(rate, burst, window, steps):
    """Cycles, late writes, crashes with what was reserved, a wall clock set back before a restart."""
    pace = Pace(rate, burst)
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE pace (name TEXT PRIMARY KEY, next_us INTEGER)")
    now = clock = 1_700_000_000 * SECOND  # true time, and what the wall clock says
    gate = Gate(pace, rows.stored(connection, "r"), clock)
    unwritten, written = 0, []
    for step, lapse in steps:
        now, clock = now + lapse, clock + lapse
        if step == "cycle":
            lease = gate.wish(clock, unwritten, window - unwritten)
            assert 0 <= lease.slots <= window - unwritten
            if lease.until != lease.was:
                assert rows.lease(connection, "r", lease.was, lease.until)
                gate.granted(lease)
            unwritten += lease.slots
        elif step == "write" and unwritten:
            at = max(clock, gate.opens_at())
            now, clock = now + at - clock, at
            if gate.take(clock):
                written.append(now)
                unwritten -= 1
        elif step in ("crash", "back"):
            if step == "back":
                clock -= 3600 * SECOND
            gate, unwritten = Gate(pace, rows.stored(connection, "r"), clock), 0
    assert not exceeded(pace, written)
    connection.close()


@given(rate=st.floats(0.5, 200), burst=st.integers(1, 4))
def test_it_is_not_much_slower_than_it_may_be(rate, burst):
    pace, clock, unwritten, count = Pace(rate, burst), 10**15, 0, 0
    gate, start = Gate(pace, 0, clock), clock
    while clock < start + 20 * SECOND:
        lease = gate.wish(clock, unwritten, 50)
        gate.granted(lease)
        unwritten += lease.slots
        while unwritten and gate.opens_at() <= clock + HORIZON:
            clock = max(clock, gate.opens_at())
            if not gate.take(clock):
                break
            unwritten, count = unwritten - 1, count + 1
        clock = max(clock + 1000, min(gate.opens_at(), clock + HORIZON))
    assert count >= 0.9 * rate * 20 - 1


def test_i6_two_owners_never_share_a_slot():
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE pace (name TEXT PRIMARY KEY, next_us INTEGER)")
    one, two = Gate(Pace(10.0), 0, 10**15), Gate(Pace(10.0), 0, 10**15)
    first, second = one.wish(10**15, 0, 9), two.wish(10**15, 0, 9)
    assert rows.lease(connection, "r", first.was, first.until)
    assert not rows.lease(connection, "r", second.was, second.until)
    two.overtaken(rows.stored(connection, "r"))
    assert not two.take(10**15) and two.opens_at() >= first.until
    connection.close()
