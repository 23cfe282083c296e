"""Which of several members a person is: the decision of one rung of the ladder. Pure.

Nobody is guessed (I2): the forename decides only by equality, and only if it singles out exactly one member; a member
whose forename contradicts is never the match. Everything else is ambiguous and goes to somebody who can look.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Agreement(IntEnum):
    """How the forenames of two sides compare."""

    CONTRADICTS = -1
    SILENT = 0  # one side gives none
    EQUAL = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A member who holds the person's key at this rung. ``identity``: digest; rows of one member count once."""

    identity: bytes
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class Match:
    """It is this member."""

    identity: bytes


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """It may be any of these members; the ladder ends here. Sorted."""

    identities: tuple[bytes, ...]


def choose(candidates: Iterable[Candidate]) -> Match | Ambiguous | None:
    """Decide one rung; None = nobody here, the next rung is tried.

    One member: the match, unless the forenames contradict. Several (twins under one NIR, a member listed twice): the
    one with the equal forename; if none or several have it, ambiguous among those who do not contradict.
    """
    members = {candidate.identity: candidate.agreement for candidate in candidates}
    equal = [identity for identity, agreement in members.items() if agreement is Agreement.EQUAL]
    possible = sorted(identity for identity, agreement in members.items() if agreement is not Agreement.CONTRADICTS)
    if not possible:
        return None
    if len(equal) == 1:
        return Match(equal[0])
    if len(members) == 1:
        return Match(possible[0])
    return Ambiguous(tuple(possible))
