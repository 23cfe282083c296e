"""What is claimed next while lanes have a pace of their own: lane by lane, one walk along the index deliveries_lane for
each, in turn from all lanes that have slots.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from sqlite3 import Connection

from notifier.storage.deliveries import PRIORITIES, of_each_priority, open_lanes

_DUE = "provider = :provider AND due_ms <= :now AND (:wave_id IS NULL OR wave_id = :wave_id)"
_OF_LANE = (
    f"SELECT priority, due_ms, id FROM ({of_each_priority('id, priority, due_ms', _DUE, ':most')}) "  # noqa: S608
    "ORDER BY priority, due_ms, id LIMIT :most"
)
_PROVIDERS = "SELECT id, provider FROM deliveries WHERE id IN (SELECT value FROM json_each(:ids))"


@dataclass(frozen=True, slots=True)
class Chosen:
    """``ids``: to be claimed; ``hungry``: lanes that had more due than slots; ``put_back``: of those that were asked
    for by id, the ones whose lane has no slot left; ``last``: the lane of the last one, for whoever goes on."""

    ids: list[int]
    hungry: frozenset[str]
    put_back: list[int]
    last: str = ""


def due(
    connection: Connection,
    *,
    now_ms: int,
    most: int,
    wave_id: int | None,
    resting: Sequence[str],
    slots: Mapping[str, int],
    after: str = "",
) -> Chosen:
    """The next ``most``: by priority, and within one in turn from every lane that does not rest, of each the longest
    due first. ``slots``: how many of a lane; one that is not there has as many as there are; ``after``: the lane that
    came last in the cycle before."""
    queues: dict[str, list[tuple[int, int, int]]] = {}
    hungry = set()
    lanes = sorted(open_lanes(connection, resting), key=lambda lane: (lane <= after, lane))
    for lane in lanes:
        cap = min(most, slots.get(lane, most))
        values = {"provider": lane, "now": now_ms, "wave_id": wave_id, "most": cap + 1}
        rows = connection.execute(_OF_LANE, values).fetchall()
        if len(rows) > cap:
            hungry.add(lane)
        if cap:
            queues[lane] = rows[:cap]
    chosen: list[tuple[int, str]] = []
    for priority in PRIORITIES:
        waiting = [[(id_, lane) for of, _, id_ in rows if of == priority] for lane, rows in queues.items()]
        rounds = max(map(len, waiting), default=0)
        chosen += [queue[place] for place in range(rounds) for queue in waiting if place < len(queue)]
    del chosen[most:]
    return Chosen([id_ for id_, _ in chosen], frozenset(hungry), [], chosen[-1][1] if chosen else after)


def among(connection: Connection, ids: Sequence[int], *, slots: Mapping[str, int]) -> Chosen:
    """Of these, in their order, as many of each lane as it has slots."""
    provider_of = dict(connection.execute(_PROVIDERS, {"ids": json.dumps(list(ids))}).fetchall())
    left, taken, put_back = dict(slots), [], []
    for number in ids:
        lane = provider_of[number]
        if left.get(lane, 1) > 0:
            taken.append(number)
            if lane in left:
                left[lane] -= 1
        else:
            put_back.append(number)
    return Chosen(taken, frozenset(provider_of[number] for number in put_back), put_back)
