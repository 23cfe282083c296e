"""How alike a person in an export and a member in a directory are written: the judgement of a near-miss. Pure.

A near-miss is never applied (I2): what is decided here is only whether somebody is asked. Names are compared in normal
form, after unsealing. *Near* is what one hand does to a name on its way through two systems: one slip of the keyboard
(a letter changed, dropped, added, or two swapped; two slips from LONG letters on), particles glued, a part of a double
name left out, a field cut off. In a name of two letters every other name is one slip away: there only equality counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from rapidfuzz.distance import OSA

from notifier.model import Contact
from notifier.people.identity import normal_name

LONG = 10  # letters; one slip in nine is what a typist makes, two need a long name
SHORTEST = 3
CUT = 20  # letters; systems cut names off after 25 to 27 characters, spaces and hyphens among them (DOMAIN B2)


class Closeness(IntEnum):
    """How two values compare."""

    DIFFERS = 0
    SILENT = 1  # one side gives none
    NEAR = 2
    EQUAL = 3


@dataclass(frozen=True, slots=True)
class Likeness:
    """A person and a member, value by value. ``is_swapped``: forename and name stand in each other's place."""

    name: Closeness
    forename: Closeness
    birth_date: Closeness
    is_swapped: bool = False

    @property
    def is_same_name(self) -> bool:
        """Whether both names may be the same ones (one side's missing forename contradicts nothing)."""
        return self.name >= Closeness.NEAR and self.forename >= Closeness.SILENT


def name_closeness(one: str, other: str) -> Closeness:
    """Compare two names in normal form.

    >>> name_closeness("LEFEVRE", "LEFEBVRE").name, name_closeness("DE LA TOUR", "DELATOUR").name
    ('NEAR', 'NEAR')
    """
    if not one or not other:
        return Closeness.SILENT
    if one == other:
        return Closeness.EQUAL
    glued, other_glued = one.replace(" ", ""), other.replace(" ", "")
    if glued == other_glued or _is_part(one.split(), other.split()) or _is_cut(glued, other_glued):
        return Closeness.NEAR
    longest = max(len(glued), len(other_glued))
    slips = 0 if longest < SHORTEST else 1 if longest < LONG else 2
    return Closeness.NEAR if OSA.distance(glued, other_glued, score_cutoff=slips) <= slips else Closeness.DIFFERS


def _is_part(one: list[str], other: list[str]) -> bool:
    """Whether one is a double name of which the other gives a part ("JEAN" and "JEAN PIERRE")."""
    fewer, more = sorted((one, other), key=len)
    return len(fewer) < len(more) and set(fewer) <= set(more) and max(map(len, fewer)) >= SHORTEST


def _is_cut(one: str, other: str) -> bool:
    shorter, longer = sorted((one, other), key=len)
    return len(shorter) >= CUT and longer.startswith(shorter)


def birth_closeness(one: str, other: str) -> Closeness:
    """Compare two birth dates in normal form (``YYYY-MM-DD``, ``00`` = not known): near are one digit changed, two
    neighbours swapped, a day, month or year off by one, day and month swapped, and dates of which one leaves open what
    the other says."""
    if not one or not other:
        return Closeness.SILENT
    if one == other:
        return Closeness.EQUAL
    parts, others = one.split("-"), other.split("-")
    open_parts = all(a == b or not int(a) or not int(b) for a, b in zip(parts, others, strict=False))
    swapped = parts[:1] == others[:1] and parts[1:] == others[:0:-1]
    off = [abs(int(a) - int(b)) for a, b in zip(parts, others, strict=False)]
    digits = OSA.distance("".join(parts), "".join(others), score_cutoff=1)
    return Closeness.NEAR if open_parts or swapped or sum(off) == 1 or digits <= 1 else Closeness.DIFFERS


def compare(person: Contact, member: Contact) -> Likeness:
    """Value by value; the name against the member's name and name at birth; both names also crosswise."""
    name, forename = normal_name(person.name), normal_name(person.forename)
    names = [normal_name(each) for each in (member.name, member.birth_name) if each] or [""]
    other = normal_name(member.forename)
    birth = birth_closeness(person.birth_date, member.birth_date)
    straight = Likeness(_best(name, names), name_closeness(forename, other), birth)
    if straight.is_same_name or not (name and forename and other):
        return straight
    crossed = Likeness(_best(forename, names), name_closeness(name, other), birth, is_swapped=True)
    return crossed if crossed.is_same_name else straight


def _best(name: str, others: Iterable[str]) -> Closeness:
    return max(name_closeness(name, each) for each in others)


def is_near_miss(likeness: Likeness, *, is_claimed: bool) -> bool:
    """Whether somebody is asked if this member, who holds the person's NIR (or contract and birth date), is the person.

    ``is_claimed``: another person was matched to the member: a sibling, a twin, a father of the same name. Asked then
    only where nothing else explains the likeness.
    """
    if likeness.is_same_name and (likeness.birth_date >= Closeness.NEAR or not is_claimed):
        return True
    if likeness.birth_date is not Closeness.EQUAL:
        return False
    return likeness.forename >= Closeness.NEAR or (likeness.name >= Closeness.NEAR and not is_claimed)
