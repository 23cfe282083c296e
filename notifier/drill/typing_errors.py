"""Typing errors on the exports' side: one wrong letter of a name, one wrong figure of a birth date or NIR. Pure."""

from __future__ import annotations

from dataclasses import replace

from notifier.drill.draws import Draws
from notifier.drill.names import Spelling
from notifier.drill.people import Member

NAME, BIRTH_DATE, NIR = "name", "birth_date", "nir"
_FIELDS = (NAME, BIRTH_DATE, NIR)


class Typist:
    """Types rows, and makes an error in a ``share`` of them."""

    def __init__(self, draws: Draws, share: float) -> None:
        self._draws, self._share = draws, share

    def type(self, member: Member, person: str) -> tuple[Member, str]:
        """The member as the row will have it, and what `rows.jsonl` says of the row."""
        typed, noise = member, ""
        if self._share and self._draws.unit() < self._share:
            noise = self._draws.pick(_FIELDS)
            typed = self._mistyped(member, noise)
            if typed is member:
                noise = ""
            else:
                member.noise = noise
        return typed, f'"person": "{person}", "member": "A{member.number:08d}", "noise": "{noise}"'

    def _mistyped(self, member: Member, noise: str) -> Member:
        if noise == NAME:
            if self._draws.unit() < 0.5:
                return replace(member, name=self._letter(member.name))
            return replace(member, forename=self._letter(member.forename))
        if noise == BIRTH_DATE:
            if not member.day:
                return member
            if self._draws.unit() < 0.5:
                return replace(member, day=member.day % 28 + 1)
            return replace(member, year=member.year - 1)
        number = member.nir_exported or member.nir
        place = 7 + self._draws.below(6)  # the key that stands beside it is that of the right number, where one stands
        figure = str((int(number[place]) + 1 + self._draws.below(9)) % 10)
        return replace(member, nir_exported=number[:place] + figure + number[place + 1 :], key_of=number)

    def _letter(self, spelling: Spelling) -> Spelling:
        """The spelling with two neighbours exchanged, or one letter left out."""
        proper = spelling.proper
        place = 1 + self._draws.below(len(proper) - 2)
        pair = proper[place : place + 2]
        if pair[0] == pair[1] or not pair.isalpha() or self._draws.unit() < 0.5:
            return Spelling.of(proper[:place] + proper[place + 1 :])
        return Spelling.of(proper[:place] + pair[::-1] + proper[place + 2 :])
