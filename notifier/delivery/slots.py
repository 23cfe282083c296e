"""The slots of lanes that have a pace of their own: wished for by the run, reserved in the cycle's transaction together
with the claims that use them (I6), granted after its commit.

One bucket per relay and provider, one row each. A lane that nobody paces is not here, and while none is, nothing of
this is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from notifier.delivery.pace import Gate, Lease, Pace
from notifier.storage import due_lanes, pace
from notifier.storage.cycle import Connection
from notifier.storage.deliveries import Claim
from notifier.storage.due_lanes import Chosen


def bucket(relay: str, provider: str) -> str:
    """The name of its row. No relay's name holds a space."""
    return f"{relay} {provider}"


@dataclass(slots=True)
class LaneGate:
    """A lane's gate in this run. ``waiting``: claimed, and no MAIL written: the lease covers them; ``turn``: one of
    them stands before the gate at a time."""

    gate: Gate
    waiting: set[int] = field(default_factory=set)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def opens_at(self) -> int:
        """When it opens for one more, behind those that wait."""
        return self.gate.opens_at() + len(self.waiting) * self.gate.pace.interval


@dataclass(frozen=True, slots=True)
class LaneWish:
    """What a cycle asks for. ``leases``: by provider; ``unwritten``: lanes whose lease must reach further though
    nothing is claimed from them; ``after``: the lane that was served last."""

    relay: str
    leases: Mapping[str, Lease]
    unwritten: frozenset[str]
    after: str

    def __bool__(self) -> bool:
        return bool(self.leases)


@dataclass(frozen=True, slots=True)
class Reserved:
    """What became of it: ``leased`` were stored; ``overtaken``: another process had moved the bucket to that value, and
    nothing was claimed; ``hungry``, ``put_back``, ``last``: as in storage/due_lanes.py."""

    leased: frozenset[str] = frozenset()
    overtaken: Mapping[str, int] = field(default_factory=dict)
    hungry: frozenset[str] = frozenset()
    put_back: Sequence[int] = ()
    last: str = ""


def wish(gates: Mapping[str, LaneGate], relay: str, now: int, room: int, after: str) -> LaneWish:
    """As many slots as each lane has within the horizon, at most ``room`` of one."""
    leases = {name: one.gate.wish(now, len(one.waiting), room) for name, one in gates.items()}
    return LaneWish(relay, leases, frozenset(name for name, one in gates.items() if one.waiting), after)


def overtaken(connection: Connection, wished: LaneWish) -> dict[str, int]:
    """The buckets that are not where we left them, with their values: another process uses them too."""
    values = pace.stored_of(connection, (bucket(wished.relay, name) for name in wished.leases))
    found = {name: values.get(bucket(wished.relay, name), 0) for name in wished.leases}
    return {name: value for name, value in found.items() if value != wished.leases[name].was}


def choose(
    connection: Connection,
    wished: LaneWish,
    moved: Mapping[str, int],
    *,
    now_ms: int,
    most: int,
    wave_id: int | None,
    resting: Sequence[str],
    among: Sequence[int] | None,
) -> Chosen:
    """What is claimed: of each lane at most its slots, of one that was overtaken (``moved``) nothing."""
    slots = {name: 0 if name in moved else lease.slots for name, lease in wished.leases.items()}
    if among is not None:
        return due_lanes.among(connection, among, slots=slots)
    return due_lanes.due(
        connection, now_ms=now_ms, most=most, wave_id=wave_id, resting=resting, slots=slots, after=wished.after
    )


def reserve(
    connection: Connection, wished: LaneWish, moved: Mapping[str, int], chosen: Chosen | None, claims: Iterable[Claim]
) -> Reserved:
    """Move the buckets of the lanes that something was claimed from or waits in, in the caller's transaction."""
    used = ({claim.provider for claim in claims} | wished.unwritten) & wished.leases.keys() - moved.keys()
    leased = []
    for name in sorted(used):
        lease = wished.leases[name]
        if lease.until == lease.was:
            continue
        stored = pace.lease(connection, bucket(wished.relay, name), lease.was, lease.until)
        assert stored, "it was where we left it in this very transaction"
        leased.append(name)
    if chosen is None:
        return Reserved(frozenset(leased), moved, last=wished.after)
    return Reserved(frozenset(leased), moved, chosen.hungry, chosen.put_back, chosen.last)


def granted(gates: Mapping[str, LaneGate], wished: LaneWish, reserved: Reserved) -> None:
    """The transaction is committed."""
    for name in reserved.leased:
        if name in gates:
            gates[name].gate.granted(wished.leases[name])
    for name, value in reserved.overtaken.items():
        if name in gates:
            gates[name].gate.overtaken(value)


def regate(
    gates: dict[str, LaneGate],
    paces: Mapping[str, Pace],
    stored: Mapping[str, int],
    behind: Mapping[str, int],
    now: int,
) -> None:
    """Let ``gates`` be those of ``paces``: one that stands goes on at its new pace, one that is missing begins where
    its bucket is ``stored``, and not before what other relays' buckets of the provider say (``behind``)."""
    for name in gates.keys() - paces.keys():
        del gates[name]
    for name, rate in paces.items():
        if name in gates:
            gates[name].gate.pace = rate
        else:
            gates[name] = LaneGate(Gate(rate, stored.get(name, 0), now, behind.get(name, 0)))
