"""I6: for every window, MAIL commands written ≤ rate × w + burst. Counted on the commands, over restarts, for a relay
and for its providers together, by gates that share one database. Time is virtual."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.delivery import slots
from notifier.delivery.pace import HORIZON, MARGIN, SECOND, Gate, Pace
from notifier.storage import pace as rows
from notifier.storage.deliveries import Claim

START = 1_700_000_000 * SECOND


def exceeded(written: list[tuple[int, float]], burst: int) -> bool:
    """Whether any window (every one that matters begins and ends at a command) holds too many. Each command with the
    rate that held when it was written; a window's bound is the highest of its own."""
    for first, (begin, _) in enumerate(written):
        highest = 0.0
        for last in range(first, len(written)):
            end, rate = written[last]
            highest = max(highest, rate)
            if (last - first + 1 - burst) * SECOND > highest * (end - begin) + 1e-6:
                return True
    return False


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE TABLE pace (name TEXT PRIMARY KEY, next_us INTEGER)")
        yield connection
    finally:
        connection.close()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["cycle", "cycle", "write", "write", "write", "write", "crash", "back"]),
        st.integers(0, 3 * HORIZON),
        st.integers(0, HORIZON),
    ),
    max_size=120,
)


@given(rate=st.floats(0.2, 400), burst=st.integers(1, 6), window=st.integers(1, 40), steps=STEPS)
def test_i6_no_window_holds_too_many(rate, burst, window, steps):
    """Cycles, late writes, writes that take their time, slots left unused, crashes with what was reserved, a wall clock
    set back before a restart."""
    pace = Pace(rate, burst)
    with database() as connection:
        now = clock = START  # true time, and what the wall clock says
        gate = Gate(pace, rows.stored(connection, "r"), clock)
        unwritten, written = 0, []
        for step, lapse, delay in steps:
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
                    # Somewhere between the two readings of the clock it is on its way.
                    written.append((now + delay // 2, rate))
                    now, clock = now + delay, clock + delay
                    gate.wrote(clock)
                    unwritten -= 1
            elif step in ("crash", "back"):
                if step == "back":
                    clock -= 3600 * SECOND
                gate, unwritten = Gate(pace, rows.stored(connection, "r"), clock), 0
        assert not exceeded(written, burst)


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


def test_i6_a_restart_is_behind_a_command_that_took_its_time_at_the_end_of_its_lease():
    """Nothing stored says how long the writing took, nor that two processes read the clock alike."""
    pace = Pace(1.0)
    gate = Gate(pace, 0, START)
    lease = gate.wish(START, 0, 1)
    gate.granted(lease)
    last = lease.until - pace.interval
    assert gate.take(last) and not gate.admits(last + pace.interval)
    written = last + MARGIN
    assert Gate(pace, lease.until, written).opens_at() >= written + pace.interval


# -- several owners of one bucket ------------------------------------------------------------------------------------


def test_i6_two_owners_never_share_a_slot():
    with database() as connection:
        one, two = Gate(Pace(10.0), 0, 10**15), Gate(Pace(10.0), 0, 10**15)
        first, second = one.wish(10**15, 0, 9), two.wish(10**15, 0, 9)
        assert rows.lease(connection, "r", first.was, first.until)
        assert not rows.lease(connection, "r", second.was, second.until)
        two.overtaken(rows.stored(connection, "r"))
        assert not two.take(10**15) and two.opens_at() >= first.until


@given(
    rate=st.floats(0.5, 200),
    burst=st.integers(1, 4),
    steps=st.lists(
        st.tuples(
            st.integers(0, 2), st.sampled_from(["cycle", "write", "write", "crash"]), st.integers(0, HORIZON)
        ),
        max_size=150,
    ),
)  # fmt: skip
def test_i6_workers_that_share_a_bucket_never_exceed_it_together(rate, burst, steps):
    """Three gates, one row, the atomic update alone between them; any of them may crash and come back."""
    pace, clock = Pace(rate, burst), START
    with database() as connection:
        gates = [Gate(pace, 0, clock) for _ in range(3)]
        unwritten, written = [0, 0, 0], []
        for who, step, lapse in steps:
            clock += lapse
            gate = gates[who]
            if step == "cycle":
                lease = gate.wish(clock, unwritten[who], 10)
                if lease.until == lease.was:
                    continue
                if rows.lease(connection, "r", lease.was, lease.until):
                    gate.granted(lease)
                    unwritten[who] += lease.slots
                else:
                    gate.overtaken(rows.stored(connection, "r"))
            elif step == "write" and unwritten[who]:
                at = max(clock, gate.opens_at())
                if gate.admits(at):
                    clock = at
                    assert gate.take(clock)
                    written.append((clock, rate))
                    gate.wrote(clock)
                    unwritten[who] -= 1
            elif step == "crash":
                gates[who], unwritten[who] = Gate(pace, rows.stored(connection, "r"), clock), 0
        assert not exceeded(written, burst)


# -- a relay and its providers ---------------------------------------------------------------------------------------

RELAY, PROVIDERS = "relay.example:25", ("orange", "gmail")
CLAIM = Claim(
    1, b"t" * 16, 1, "initial", 1, 1, 1, "orange", 1, 0, 0, 0, 0, 1, "clairval", "own", b"i" * 16, b"", True,
)  # fmt: skip


@dataclass
class Sender:
    """One process: what it holds in memory and loses with a crash."""

    connection: sqlite3.Connection
    paces: dict[str, Pace]
    clock: int
    relay: Gate = field(init=False)
    lanes: dict[str, slots.LaneGate] = field(init=False)
    queue: list[Claim] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.relay = Gate(self.paces[RELAY], rows.stored(self.connection, RELAY), self.clock)
        self.lanes = {}
        self.regate()

    def regate(self) -> None:
        names = {slots.bucket(RELAY, lane): lane for lane in PROVIDERS}
        found = rows.stored_of(self.connection, names)
        of = {names[name]: value for name, value in found.items()}
        slots.regate(self.lanes, {name: self.paces[name] for name in PROVIDERS}, of, {}, self.clock)

    def cycle(self, number: int, window: int) -> None:
        """What run.py and turn.py do in one transaction: of each lane as many claims as it has slots."""
        room = window - len(self.queue)
        lease = self.relay.wish(self.clock, len(self.queue), room)
        room = min(room, lease.slots)
        wished = slots.wish(self.lanes, RELAY, self.clock, room, "")
        moved = slots.overtaken(self.connection, wished)
        assert not moved
        claims = []
        for name in PROVIDERS:
            many = min(wished.leases[name].slots, room - len(claims))
            claims += [CLAIM._replace(id=number * 1000 + len(claims) + one, provider=name) for one in range(many)]
        reserved = slots.reserve(self.connection, wished, moved, None, claims)
        if (claims or self.queue) and lease.until != lease.was:
            assert rows.lease(self.connection, RELAY, lease.was, lease.until)
            self.relay.granted(lease)
        slots.granted(self.lanes, wished, reserved)
        for claim in claims:
            self.lanes[claim.provider].waiting.add(claim.id)
        self.queue += claims


@given(
    rates=st.tuples(st.floats(1, 200), st.floats(0.2, 100), st.floats(0.2, 100)),
    window=st.integers(1, 20),
    steps=st.lists(
        st.tuples(
            st.sampled_from(["cycle", "cycle", "write", "write", "write", "slower", "faster", "crash", "back"]),
            st.integers(0, 2 * HORIZON),
            st.integers(0, HORIZON),
        ),
        max_size=120,
    ),
)
def test_i6_a_relay_and_two_providers_hold_together(rates, window, steps):
    """Over restarts, with slots left unused, a provider that is throttled and recovers, a clock set back."""
    paces = {RELAY: Pace(rates[0], 2), "orange": Pace(rates[1]), "gmail": Pace(rates[2])}
    written: list[tuple[int, str, float, float]] = []
    with database() as connection:
        now = START
        sender = Sender(connection, paces, START)
        for number, (step, lapse, delay) in enumerate(steps):
            now, sender.clock = now + lapse, sender.clock + lapse
            if step == "cycle":
                sender.cycle(number, window)
            elif step == "write" and sender.queue:
                claim = sender.queue.pop(0)
                lane = sender.lanes[claim.provider]
                lane.waiting.discard(claim.id)
                gates = [sender.relay, lane.gate]
                at = max(sender.clock, *(gate.opens_at() for gate in gates))
                if not all(gate.admits(at) for gate in gates):
                    continue  # given back: its slot is waste
                now, sender.clock = now + at - sender.clock, at
                assert all(gate.take(at) for gate in gates)
                written.append((now + delay // 2, claim.provider, paces[RELAY].rate, lane.gate.pace.rate))
                now, sender.clock = now + delay, sender.clock + delay
                for gate in gates:
                    gate.wrote(sender.clock)
            elif step in ("slower", "faster"):
                factor = 0.5 if step == "slower" else 1.5
                paces["orange"] = Pace(min(200.0, max(0.05, paces["orange"].rate * factor)))
                sender.regate()
            elif step in ("crash", "back"):
                clock = sender.clock - (3600 * SECOND if step == "back" else 0)
                sender = Sender(connection, paces, clock)
    assert not exceeded([(at, of_relay) for at, _, of_relay, _ in written], 2)
    for name in PROVIDERS:
        assert not exceeded([(at, own) for at, provider, _, own in written if provider == name], 1)


def test_i6_a_relay_that_takes_over_begins_behind_what_a_provider_was_given_by_the_other():
    """A row for each relay and provider, and one pace for the provider."""
    gate = Gate(Pace(1.0), 0, START, behind=START + SECOND)
    assert gate.opens_at() == START + SECOND + MARGIN


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_lane_that_goes_on_keeps_its_place(share):
    """I6: a new pace is the old gate's, which has not forgotten when it was last passed."""
    gates: dict[str, slots.LaneGate] = {}
    slots.regate(gates, {"orange": Pace(1.0)}, {}, {}, START)
    gate = gates["orange"].gate
    gate.granted(gate.wish(START, 0, 1))
    assert gate.take(START)
    slots.regate(gates, {"orange": Pace(share)}, {}, {}, START)
    assert gates["orange"].gate is gate and gate.opens_at() == START + SECOND
    slots.regate(gates, {}, {}, {}, START)
    assert gates == {}
