"""The first ones, for a limit and for the canary: of every segment, and of every provider that it writes to.

The rule, for those that are due:

1. A *pair* is a segment and a provider of which some are due. Pairs have an order: segments in turn, the urgent first
   (by their priority, then by number), each with one of its providers whose turn it was not yet: the one that the
   fewest of the pairs before have, then the one to which the fewest segments write, then by name.
2. Round after round, in this order, each pair gives one until it has none left: its most urgent, the longest due first.

So no pair has two more than another that has some left; who takes as many as there are pairs has one of each; who takes
fewer, but as many as there are segments, one of each segment. Those for a smaller number are the first of those for a
greater.

No index has both segment and provider: each message would pay for it. What is due is walked over once, along
deliveries_due, and nothing is brought back of pairs that have given enough: of five million, 1.5 seconds.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from sqlite3 import Connection

from notifier.storage.deliveries import PRIORITIES, of_priority

_LOOKS_AFTER = 1_000  # rows: then it reckons anew how much is enough

_DUE = of_priority(
    ":priority",
    "id, segment_id, provider",
    "due_ms <= :now AND (:wave_id IS NULL OR wave_id = :wave_id) "
    "AND (:resting = '[]' OR provider NOT IN (SELECT value FROM json_each(:resting))) "
    "AND (segment_id, provider) NOT IN (SELECT segment_id, provider FROM temp.enough)",
    "-1",
)
# SQLite looks into its key directly, row by row: what is added while the walk goes on is skipped from then on. Nothing
# depends on it but time.
_ENOUGH = (
    "CREATE TEMP TABLE enough (segment_id INTEGER NOT NULL, provider TEXT NOT NULL, "
    "PRIMARY KEY (segment_id, provider)) WITHOUT ROWID"
)

Pair = tuple[int, str]
"""Segment and provider."""


def spread(
    connection: Connection, *, now_ms: int, most: int, wave_id: int | None, resting: Sequence[str] = ()
) -> list[int]:
    """The ids of at most ``most`` due deliveries, in the order of the rule above. ``resting``: of these providers
    none. In the caller's transaction."""
    if most <= 0:
        return []
    connection.execute(_ENOUGH)
    values = {"now": now_ms, "wave_id": wave_id, "resting": json.dumps(list(resting))}
    given: dict[Pair, list[int]] = defaultdict(list)
    urgency: dict[int, int] = {}
    rounds, seen = most, 0
    for priority in PRIORITIES:
        for number, segment, provider in connection.execute(_DUE, {**values, "priority": priority}):
            pair = segment, provider
            urgency.setdefault(segment, priority)
            given[pair].append(number)
            seen += 1
            if len(given[pair]) >= rounds:
                _skip(connection, [pair])
            if seen % _LOOKS_AFTER == 0 and (fewer := _rounds(given, most)) < rounds:
                rounds = fewer
                _skip(connection, [each for each, ids in given.items() if len(ids) >= rounds])
    connection.execute("DROP TABLE temp.enough")
    order = _order(given, urgency)
    turns = range(min(_rounds(given, most), max(map(len, given.values()), default=0)))
    chosen = [given[pair][turn] for turn in turns for pair in order if turn < len(given[pair])]
    return chosen[:most]


def _skip(connection: Connection, pairs: Sequence[Pair]) -> None:
    connection.executemany("INSERT OR IGNORE INTO temp.enough VALUES (?, ?)", pairs)


def _rounds(given: Mapping[Pair, Sequence[int]], most: int) -> int:
    """After how many rounds ``most`` are taken of what the pairs have given so far, or all of it: what they give later
    can only make it fewer."""
    left, rounds = most, 0
    sizes = sorted(len(ids) for ids in given.values())
    for place, size in enumerate(sizes):
        pairs = len(sizes) - place  # that have at least so many
        if left <= (size - rounds) * pairs:
            return rounds - (-left // pairs)
        left -= (size - rounds) * pairs
        rounds = size
    return most


def _order(pairs: Mapping[Pair, object], urgency: Mapping[int, int]) -> list[Pair]:
    writes_to: dict[int, set[str]] = defaultdict(set)
    for segment, provider in pairs:
        writes_to[segment].add(provider)
    segments = sorted(writes_to, key=lambda segment: (urgency[segment], segment))
    known_to = Counter(provider for _, provider in pairs)
    taken: Counter[str] = Counter()
    order: list[Pair] = []
    while len(order) < len(pairs):
        for segment in segments:
            if left := writes_to[segment]:
                provider = min(left, key=lambda name: (taken[name], known_to[name], name))
                left.remove(provider)
                taken[provider] += 1
                order.append((segment, provider))
    return order
