"""The deck of households: which cases a drill holds, and how often. Data, no code that decides.

A drill deals households from this deck, shuffled anew each time it is used up; so every case stands in every
drill of a few hundred persons, and its share is the same at 300 and at 3 million.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reach(StrEnum):
    """What the directory knows of a member's whereabouts."""

    MAILBOX = "mailbox"  # and an address, as a rule
    ADDRESS = "address"
    NOWHERE = "nowhere"


class Case(StrEnum):
    """What is special about a person of the drill (key ``case`` of truth.jsonl)."""

    HOLDER = "holder"
    SPOUSE = "spouse"
    MINOR = "minor"
    BOTH_OPERATORS = "both_operators"
    REPEATED_ROW = "repeated_row"
    SHARED_MAILBOX = "shared_mailbox"
    SPOUSE_UNDER_HOLDER_NIR = "spouse_under_holder_nir"
    TWINS_RANKED = "twins_ranked"
    TWINS_SAME_RANK = "twins_same_rank"
    HOLDER_NOT_AFFECTED = "holder_not_affected"
    ADULT_CHILD = "adult_child"
    PAST_MEMBER = "past_member"
    NO_MAILBOX = "no_mailbox"
    UNREACHABLE = "unreachable"
    DECEASED = "deceased"
    UNMATCHED = "unmatched"
    HOMONYM = "homonym"
    WRONG_NIR_KEY = "wrong_nir_key"
    PARTIAL_BIRTH_DATE = "partial_birth_date"
    ALSO_PROFESSIONAL = "also_professional"
    PROFESSIONAL = "professional"
    PROFESSIONAL_NO_MAILBOX = "professional_no_mailbox"
    ESTABLISHMENTS = "establishments"
    SEVERAL_LINES = "several_lines"
    # Only in a drill of all cases:
    TWINS_WITHOUT_RANK = "twins_without_rank"
    UNDER_OTHER_PARENT = "under_other_parent"
    SEPARATED_PARENTS = "separated_parents"
    OLD_DIRECTORY = "old_directory"
    GUARDIANSHIP = "guardianship"
    OPPOSITION = "opposition"
    WITHDRAWN = "withdrawn"
    AGENCY_MAILBOX = "agency_mailbox"
    CHAIN = "chain"


@dataclass(frozen=True, slots=True)
class Household:
    """One contract. ``case`` is what happens to the members whose link is in ``to`` ("A" holder, "C" spouse, "E"
    child); the others are ordinary.

    ``spouse``: under whose NIR, "own" or "holder"; "" = no spouse. ``twins``: the ranks under which the exports write
    them, "12" or "11", or "00" for none. ``affected``: the links that stand in an export. ``unlisted``: the links that
    stand in no directory. ``homonyms``: a second contract, of a person with the same name and birth date; 2 = listed,
    1 = not.
    ``other_parent``: the exports have the children under the spouse's NIR, the directory under the holder's;
    ``separated``: a second contract, of the other parent, with the same child; ``only_in_old``: who left before the
    directory was drawn, and stands in the old one alone; ``protected``, ``opposed``: a guardian, an objection to
    e-mail; ``withdrawn``: not in the corrected file any more; ``at_agency``: at an agency's mailbox.
    """

    case: Case
    to: str
    spouse: str = ""
    spouse_reach: Reach = Reach.MAILBOX
    shared_mailbox: bool = False
    minors: int = 0
    twins: str = ""
    adult_child: bool = False
    reach: Reach = Reach.MAILBOX
    child_reach: Reach = Reach.ADDRESS
    status: str = "actif"
    deceased: str = ""
    affected: str = "ACE"
    unlisted: str = ""
    homonyms: int = 0
    wrong_key: str = ""
    partial_birth_date: bool = False
    other_parent: bool = False
    separated: bool = False
    only_in_old: bool = False
    protected: bool = False
    opposed: bool = False
    withdrawn: bool = False
    at_agency: bool = False


_A, _C, _E = "A", "C", "E"
_POST, _NOWHERE = Reach.ADDRESS, Reach.NOWHERE

_COUNTED: tuple[tuple[int, Household], ...] = (
    (18, Household(Case.HOLDER, _A)),
    (3, Household(Case.REPEATED_ROW, _A)),
    (7, Household(Case.SPOUSE, _C, spouse="own")),
    (3, Household(Case.SHARED_MAILBOX, _C, spouse="own", shared_mailbox=True)),
    (3, Household(Case.SPOUSE_UNDER_HOLDER_NIR, _C, spouse="holder")),
    (1, Household(Case.SPOUSE_UNDER_HOLDER_NIR, _C, spouse="holder", spouse_reach=_POST, minors=1)),
    (6, Household(Case.MINOR, _E, spouse="own", minors=1)),
    (5, Household(Case.MINOR, _E, spouse="own", spouse_reach=_POST, minors=2)),
    (2, Household(Case.MINOR, _E, spouse="own", shared_mailbox=True, minors=3)),
    (4, Household(Case.MINOR, _E, minors=1)),
    (2, Household(Case.TWINS_RANKED, _E, spouse="own", twins="12")),
    (1, Household(Case.TWINS_RANKED, _E, minors=1, twins="12")),
    (2, Household(Case.TWINS_SAME_RANK, _E, spouse="holder", twins="11")),
    (2, Household(Case.HOLDER_NOT_AFFECTED, _E, minors=2, affected=_E)),
    (1, Household(Case.HOLDER_NOT_AFFECTED, _E, minors=1, affected=_E, reach=_POST)),
    (2, Household(Case.ADULT_CHILD, _E, adult_child=True, child_reach=Reach.MAILBOX)),
    (2, Household(Case.ADULT_CHILD, _E, spouse="own", adult_child=True)),
    (4, Household(Case.PAST_MEMBER, _A, status="radié")),
    (1, Household(Case.PAST_MEMBER, "AC", status="radié", spouse="own")),
    (1, Household(Case.PAST_MEMBER, _A, status="radié", reach=_POST)),
    (5, Household(Case.NO_MAILBOX, _A, reach=_POST)),
    (2, Household(Case.NO_MAILBOX, "ACE", reach=_POST, spouse="own", spouse_reach=_POST, minors=2)),
    (2, Household(Case.UNREACHABLE, _A, reach=_NOWHERE)),
    (1, Household(Case.UNREACHABLE, "AE", reach=_NOWHERE, minors=1)),
    (2, Household(Case.DECEASED, _A, deceased=_A)),
    (1, Household(Case.DECEASED, _C, deceased=_C, spouse="own")),
    (4, Household(Case.UNMATCHED, _A, unlisted=_A)),
    (1, Household(Case.UNMATCHED, "AC", spouse="holder", unlisted="AC")),
    (1, Household(Case.UNMATCHED, _E, minors=1, unlisted=_E)),
    (1, Household(Case.HOMONYM, _A, homonyms=2)),
    (1, Household(Case.HOMONYM, _A, homonyms=1)),
    (1, Household(Case.WRONG_NIR_KEY, _A, wrong_key="viamedis")),
    (1, Household(Case.WRONG_NIR_KEY, _A, wrong_key="almerys")),
    (1, Household(Case.WRONG_NIR_KEY, _C, spouse="own", wrong_key="viamedis")),
    (1, Household(Case.WRONG_NIR_KEY, _E, minors=1, wrong_key="almerys")),
    (1, Household(Case.PARTIAL_BIRTH_DATE, _A, partial_birth_date=True)),
    # Members whom neither operator lost: nobody may write to them.
    (9, Household(Case.HOLDER, _A, affected="")),
    (4, Household(Case.HOLDER, _A, spouse="own", affected=_A)),
    (1, Household(Case.MINOR, _E, spouse="own", minors=2, affected="")),
)

DECK: tuple[Household, ...] = tuple(household for count, household in _COUNTED for _ in range(count))

_HARD: tuple[tuple[int, Household], ...] = (
    (2, Household(Case.TWINS_WITHOUT_RANK, _E, spouse="own", twins="00")),
    (3, Household(Case.UNDER_OTHER_PARENT, _E, spouse="own", minors=1, other_parent=True)),
    (2, Household(Case.SEPARATED_PARENTS, _E, minors=1, separated=True)),
    (4, Household(Case.OLD_DIRECTORY, _A, only_in_old=True)),
    (1, Household(Case.OLD_DIRECTORY, _A, only_in_old=True, reach=_POST)),
    (2, Household(Case.GUARDIANSHIP, _A, protected=True)),
    (1, Household(Case.GUARDIANSHIP, _C, spouse="own", protected=True)),
    (3, Household(Case.OPPOSITION, _A, opposed=True)),
    (3, Household(Case.WITHDRAWN, _A, withdrawn=True)),
)

HARD_DECK: tuple[Household, ...] = DECK + tuple(household for count, household in _HARD for _ in range(count))
"""With what an ordinary drill leaves out, because it takes further files and options to take in."""

AGENCY = Household(Case.AGENCY_MAILBOX, _A, at_agency=True)
AT_AGENCY = 110  # members for whom an agency's own mailbox was typed in
LEAST_WITH_AGENCY = 300  # insured persons of a drill that has them

HARD_CASES = frozenset({household.case for _, household in _HARD} | {Case.CHAIN, Case.AGENCY_MAILBOX})
"""Those that an ordinary drill leaves out."""
