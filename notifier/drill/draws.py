"""Chance, the same everywhere: all of it comes from ``random.Random.random``, whose sequence is the same in every
Python (``choice`` and ``shuffle`` are not promised to be), so that a seed gives the same drill on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

Item = TypeVar("Item")


class Draws:
    """A stream of draws that a seed fixes. ``unit`` draws from [0, 1)."""

    def __init__(self, seed: int) -> None:
        # The generator wants no secrecy: what is drawn is invented and reproducible on purpose.
        self.unit = Random(seed).random  # noqa: S311

    def below(self, bound: int) -> int:
        """An integer from 0 to ``bound`` - 1."""
        return int(self.unit() * bound)

    def pick(self, items: Sequence[Item]) -> Item:
        """One of ``items``."""
        return items[int(self.unit() * len(items))]

    def shuffle(self, items: list[Item]) -> None:
        """Shuffle in place (Fisher and Yates)."""
        unit = self.unit
        for last in range(len(items) - 1, 0, -1):
            other = int(unit() * (last + 1))
            items[last], items[other] = items[other], items[last]
