"""The turns of one run: by its clerk while it has one, else by the sender itself. Each is one transaction, committed
when it is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

from notifier.delivery.salvage import salvage
from notifier.delivery.staff import Staff
from notifier.delivery.turn import Turn, Wish, take_turn
from notifier.storage.cycle import Cycle
from notifier.vault import Vault


class Turns:
    """One at a time, all of one epoch. ``stopping``: the run is to end."""

    def __init__(self, cycle: Cycle, vault: Vault, staff: Staff, stopping: asyncio.Event) -> None:
        self._stopping = stopping
        self._cycle = cycle
        self._vault = vault
        self._staff = staff
        self._held: set[int] = set()  # ids of what is claimed and has not ended
        self._number = 0

    async def take(self, wish: Wish) -> Turn:
        """One turn. Raises what its transaction raises; nobody knows then whether its commit held, and the run must
        end."""
        self._held.difference_update(end.held.id for end, _ in wish.ends)
        turn = await self._taken(wish)
        self._held.update(claim.id for claim in turn.claims)
        return turn

    async def _taken(self, wish: Wish) -> Turn:
        registry = self._staff.registry
        if registry is None:
            return await self._cycle.write(partial(take_turn, vault=self._vault, wish=wish))
        self._number += 1
        numbered = replace(wish, number=self._number)
        turn = await registry.take(numbered, self._stopping)
        if turn is None:
            turn = await self._cycle.write(partial(salvage, vault=self._vault, wish=numbered, held=self._held))
        return turn
