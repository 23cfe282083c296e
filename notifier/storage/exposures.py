"""Queries on exposure sets: each distinct set is one row, so that a person carries a number instead of a list."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.model import Exposure, canonical_exposures, parse_exposures

_ALL = text("SELECT id, canonical FROM exposure_sets")
_INSERT = text("INSERT INTO exposure_sets (canonical) VALUES (:canonical)")
_FIND = text("SELECT id FROM exposure_sets WHERE canonical = :canonical")


class ExposureSets:
    """The interned sets in memory (a campaign has some tens of them); unions are made once per distinct combination.

    Lives as long as the transaction it was loaded in.
    """

    def __init__(self, connection: AsyncConnection, sets: dict[int, frozenset[Exposure]]) -> None:
        self._connection = connection
        self._sets = sets
        self._ids = {exposures: number for number, exposures in sets.items()}
        self._unions: dict[frozenset[int], int] = {}

    @classmethod
    async def load(cls, connection: AsyncConnection) -> ExposureSets:
        """All sets that the database knows."""
        rows = await connection.execute(_ALL)
        return cls(connection, {number: parse_exposures(canonical) for number, canonical in rows})

    def __getitem__(self, number: int) -> frozenset[Exposure]:
        return self._sets[number]

    def holds(self, outer: int, inner: int) -> bool:
        """Whether set ``outer`` contains set ``inner``."""
        return self._sets[inner] <= self._sets[outer]

    async def intern(self, exposures: Iterable[Exposure]) -> int:
        """The number of this set; a new row if it was never seen."""
        wanted = frozenset(exposures)
        number = self._ids.get(wanted)
        if number is None:
            canonical = canonical_exposures(wanted)
            await self._connection.execute(_INSERT, {"canonical": canonical})
            found = await self._connection.execute(_FIND, {"canonical": canonical})
            number = int(found.scalar_one())
            self._ids[wanted] = number
            self._sets[number] = wanted
        return number

    async def union(self, numbers: Iterable[int]) -> int:
        """The number of the union of the sets with these numbers."""
        combination = frozenset(numbers)
        if combination not in self._unions:
            union: frozenset[Exposure] = frozenset()
            self._unions[combination] = await self.intern(union.union(*(self._sets[number] for number in combination)))
        return self._unions[combination]
