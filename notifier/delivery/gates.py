"""The gates of a run's pace: those of the relay at hand and of its lanes, put where connections stand before them (the
turnstile), asked before each cycle, and told after its commit what they may let through (I6)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from notifier.campaign import Settings
from notifier.delivery import slots, traffic
from notifier.delivery.lanes import Lane
from notifier.delivery.pace import Gate, Lease, Pace
from notifier.delivery.paces import Paces
from notifier.delivery.relay import Relay
from notifier.delivery.slots import LaneGate, LaneWish
from notifier.delivery.turn import Turn
from notifier.delivery.turnstile import Turnstile
from notifier.storage import pace as pace_rows
from notifier.storage.cycle import Cycle


class Asked(NamedTuple):
    """What one cycle asks for. ``room``: how many may be claimed; ``lease``: of the relay's ``gate``; ``wish``: of the
    gates of ``lanes``. Another relay may take over while the cycle commits: these are those that were asked."""

    room: int
    gate: Gate | None
    lease: Lease | None
    lanes: dict[str, LaneGate]
    wish: LaneWish | None


class Gates:
    """Of one run."""

    def __init__(self, cycle: Cycle, settings: Settings, turnstile: Turnstile) -> None:
        self._cycle = cycle
        self._settings = settings
        self._turnstile = turnstile
        self._paces = Paces({})
        self._kept: Mapping[str, Lane] = {}  # lanes as the last cycle found them
        self._served = ""  # the lane that was claimed from last

    async def put(self, relay: Relay) -> None:
        """The relay's own pace, and its own row. The other's gate stands until then: there is none without a gate."""
        gate = None
        if (rate := relay.section.rate or 0) > 0:
            stored = await self._cycle.read(partial(pace_rows.stored, name=relay.name))
            gate = Gate(Pace(rate, relay.section.burst), stored, self._turnstile.now())
        self._paces = Paces.of(self._settings, relay.rules)
        self._kept = await self._cycle.read(traffic.read)
        lanes: dict[str, LaneGate] = {}
        await self._regate(relay, lanes)
        self._turnstile.gate, self._turnstile.lanes = gate, lanes

    async def _regate(self, relay: Relay, gates: dict[str, LaneGate]) -> None:
        """Let ``gates`` be those of the lanes that have a pace of their own now."""
        paces, section = self._paces.all(self._kept), self._settings.relay
        stored: dict[str, int] = {}
        behind: dict[str, int] = {}
        if new := paces.keys() - gates.keys():
            others = {section.name, section.fallback.name if section.fallback else section.name} - {relay.name}
            names = {slots.bucket(name, lane): lane for name in {*others, relay.name} for lane in new}
            for name, value in (await self._cycle.read(partial(pace_rows.stored_of, names=list(names)))).items():
                (stored if name == slots.bucket(relay.name, names[name]) else behind)[names[name]] = value
        slots.regate(gates, paces, stored, behind, self._turnstile.now())

    def ask(self, relay: str, unwritten: int, room: int) -> Asked:
        """How many may be claimed where there is ``room`` for so many, and which slots that takes. ``unwritten``:
        claimed before and not begun."""
        gate, lanes = self._turnstile.gate, self._turnstile.lanes
        lease = gate.wish(self._turnstile.now(), unwritten, room) if gate else None
        if lease is not None:
            room = min(room, lease.slots)
        wish = slots.wish(lanes, relay, self._turnstile.now(), room, self._served) if lanes else None
        return Asked(room, gate, lease, lanes, wish)

    async def answered(self, asked: Asked, turn: Turn, relay: Relay, now_ms: int) -> None:
        """After the commit, before the claims are let go: the gates have what was asked for and stored; lanes that have
        changed since have another pace."""
        if asked.wish or turn.kept:
            await self._answered_lanes(asked, turn, relay, now_ms)
        if asked.gate is not None and asked.lease is not None:
            if turn.overtaken is not None:
                asked.gate.overtaken(turn.overtaken)
            elif turn.leased:
                asked.gate.granted(asked.lease)
        await self._turnstile.lease_changed()

    async def _answered_lanes(self, asked: Asked, turn: Turn, relay: Relay, now_ms: int) -> None:
        if asked.wish is not None:
            slots.granted(asked.lanes, asked.wish, turn.lanes)
            self._served = turn.lanes.last
        for fate in turn.fates:
            self._turnstile.settled(fate.ended.held.provider, fate.ended.held.id)
        self._turnstile.resting = traffic.resting(turn.kept, now_ms)
        if turn.kept != self._kept:
            self._kept = turn.kept
            await self._regate(relay, self._turnstile.lanes)

    def opens_at(self, turn: Turn) -> int | None:
        """When the pace has the next slot for what is due; None: no pace stands before it."""
        gate, gates = self._turnstile.gate, self._turnstile.lanes
        relay_opens = gate.opens_at() if gate is not None else None
        if len(turn.claims) >= turn.room:
            return relay_opens  # there may be more in any lane
        opens = [gates[name].opens_at() for name in turn.lanes.hungry if name in gates]
        return max(relay_opens or 0, min(opens)) if opens else relay_opens
