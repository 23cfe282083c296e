"""What a sender and its clerk say to each other: a cycle's wish, and what came of it. What there is of for each message
goes as bare tuples, which takes a fourth of the time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from notifier.delivery.orders import Setup
from notifier.delivery.outcomes import Outcome
from notifier.delivery.record import Decision, Ended, Fate
from notifier.delivery.rules import Provider, Rulebook
from notifier.delivery.turn import Turn, Wish
from notifier.storage.deliveries import Claim
from notifier.vault import Keys


@dataclass(frozen=True, slots=True, repr=False)
class Office:
    """What a clerk is given first. ``database``: its path; ``rules``: what replies mean, for the lanes; ``setup``: to
    make the messages of what it claims, None = others make them."""

    database: Path
    keys: Keys
    rules: Rulebook
    setup: Setup | None


class Asked(NamedTuple):
    """A wish on its way to the clerk."""

    wish: Wish
    ends: tuple[tuple[Any, ...], ...]

    @classmethod
    def of(cls, wish: Wish, held: Collection[int]) -> Asked:
        """``held``: ids of the claims that the clerk holds."""
        ends = tuple(
            (end.held.id if end.held.id in held else tuple(end.held), tuple(end.outcome), *end[2:], tuple(decision))
            for end, decision in wish.ends
        )
        return cls(replace(wish, ends=[], provider_of=_elsewhere), ends)

    def given(self, rules: Rulebook, held: dict[int, Claim]) -> Wish:
        """The wish; its claims are taken out of those ``held``."""
        ends = [
            (
                Ended(
                    held.pop(claim) if isinstance(claim, int) else Claim._make(claim),
                    Outcome._make(outcome),
                    *others,
                ),
                Decision._make(decision),
            )
            for claim, outcome, *others, decision in self.ends
        ]
        return replace(self.wish, ends=ends, provider_of=rules.provider)


class Taken(NamedTuple):
    """What came of it, on its way back: one fate for each end, in their order. ``making``: the ids of the claims whose
    results will follow."""

    turn: Turn
    fates: tuple[tuple[str, bool, str], ...]
    claims: tuple[tuple[Any, ...], ...]
    making: frozenset[int]

    @classmethod
    def of(cls, turn: Turn, making: Iterable[Claim]) -> Taken:
        fates = tuple((fate.kind, fate.late, fate.then) for fate in turn.fates)
        bare, ids = tuple(map(tuple, turn.claims)), frozenset(claim.id for claim in making)
        return cls(replace(turn, fates=[], claims=[]), fates, bare, ids)

    def given(self, ends: Sequence[tuple[Ended, Decision]]) -> Turn:
        """The turn that answers a wish with these ``ends``."""
        fates = [Fate(kind, end, late, then) for (kind, late, then), (end, _) in zip(self.fates, ends, strict=True)]
        return replace(self.turn, fates=fates, claims=[Claim._make(claim) for claim in self.claims])


class Failed(NamedTuple):
    """The transaction was rolled back."""

    error: Exception


def _elsewhere(provider: str) -> Provider:
    raise AssertionError(f"the rules of {provider} are asked for on the clerk's side alone")
