"""Persons find their contacts: the ladder of DESIGN 7, within one sender, set-based, slice by slice.

The first rung that knows anybody decides: exactly one member = the match, several = ambiguous = review, never the next
rung (a weaker key must not overrule a stronger doubt). Nor is one member two persons: those of different forenames who
were led to one row without forename go to review. Running again gives the same result. Decisions on reviews are
applied each time; a person who was approved with a delivery keeps the contact that was approved.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

from notifier.people.candidates import Agreement, Ambiguous, Candidate, Match, choose
from notifier.people.near_misses import NEAR_MISS, offer
from notifier.storage import contacts, near_misses, persons, reviews
from notifier.storage.database import Connection
from notifier.vault import Vault

if TYPE_CHECKING:
    from notifier.storage.ladder import Contested, Ladder

SLICE = 500_000  # the members' keys are gone through once per slice and rung

AMBIGUOUS = "ambiguous"
WRONG_MATCH = "wrong_match"  # somebody looked at the match and found it wrong (people/samples.py)
MATCH_REVIEWS = (AMBIGUOUS, persons.MISSING_FORENAME, NEAR_MISS, WRONG_MATCH)
"""Reviews whose decision says which member a person is."""


def slices(last: int, size: int = SLICE) -> Iterator[tuple[int, int]]:
    """``(after, upto)`` bounds that cover the ids 1 … ``last``: memory stays the same however many there are."""
    for after in range(0, last, size):
        yield after, min(after + size, last)


async def match(connection: Connection, vault: Vault, now: datetime) -> None:
    """Match every person that may be matched, and open a review for every doubt and every near-miss."""
    from notifier.storage.ladder import RUNGS, Ladder  # columns take a third of a second to import

    await near_misses.prepare(connection)
    ladder = await Ladder.begin(connection)
    last = await persons.last_person(connection)
    doubts: dict[int, list[bytes]] = {}
    for after, upto in slices(last):
        await contacts.adopt_own_between(connection, after, upto)
        await ladder.seek(after, upto)
        for rung in RUNGS:
            doubts |= _climb(ladder, rung)
        await ladder.gather_near()
        await ladder.write(after, upto)
        await _apply_decisions(connection, after, upto)
    # Only when all are matched can two persons be seen who were led to one member.
    doubts |= {person: [identity] for person, identity in await contacts.part_claimants(connection)}
    for after, upto in slices(last):
        here = {person: who for person, who in doubts.items() if after < person <= upto}
        await _write_reviews(connection, after, upto, here)
    await offer(connection, vault, now)


def _climb(ladder: Ladder, rung: str) -> dict[int, list[bytes]]:
    contested = ladder.climb(rung)
    chosen: list[tuple[int, bytes]] = []
    doubts: dict[int, list[bytes]] = {}
    for person, rows in groupby(contested, key=lambda row: row.person):
        verdict = choose(_candidates(rows))
        if isinstance(verdict, Match):
            chosen.append((person, verdict.identity))
        elif isinstance(verdict, Ambiguous):
            doubts[person] = list(verdict.identities)
    ladder.settle(rung, chosen, doubts)
    return doubts


def _candidates(rows: Iterator[Contested]) -> Iterator[Candidate]:
    return (Candidate(row.identity, Agreement(row.agreement)) for row in rows)


async def _apply_decisions(connection: Connection, after: int, upto: int) -> None:
    for review in await reviews.between(connection, after, upto):
        if review.state == reviews.DECIDED and review.reason in MATCH_REVIEWS:
            kind, _, contact = review.decision.partition(":")
            if kind != "own" and not (review.reason == NEAR_MISS and kind == "none"):
                await contacts.apply_decision(connection, review.person, int(contact) if contact else None)


async def _write_reviews(connection: Connection, after: int, upto: int, doubts: dict[int, list[bytes]]) -> None:
    """Open what is doubtful now, and drop open doubts that a newer file has settled. While the identity itself is under
    review, its candidates are shown there: one case, not two."""
    unnamed = {
        review.person
        for review in await reviews.between(connection, after, upto)
        if review.reason == persons.MISSING_FORENAME and review.state == reviews.OPEN
    }
    found = {person: await contacts.best_rows(connection, person, who) for person, who in doubts.items()}
    matched = await contacts.matches_of_nameless(connection, after, upto)
    for person in unnamed:
        here = found.get(person) or ([matched[person]] if person in matched else [])
        await reviews.open_case(connection, person, persons.MISSING_FORENAME, here)
    ambiguous = {person: rows for person, rows in found.items() if person not in unnamed}
    for person, rows in ambiguous.items():
        await reviews.open_case(connection, person, AMBIGUOUS, rows)
    await reviews.close_others(connection, after, upto, AMBIGUOUS, set(ambiguous))
