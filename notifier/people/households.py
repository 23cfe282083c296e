"""How a person is told, and through whom: own mailbox, letter, the contract's holder, or not at all. Pure.

The rules of DESIGN 7, in the order in which they are asked:

1.  Excluded, and deceased members, are told nothing; the reason stands in the notification.
2.  What is under review waits.
3.  Without a contact: unmatched.
4.  Professionals: own mailbox, else a letter. Several establishments at one mailbox share one notice (by e-mail).
5.  Children (link E, under 18 or not surely older): the holder of their household is told, in one notice about all
    the children concerned. On an ended contract, or without exactly one holder: review.
6.  Adults under guardianship, those who object to e-mail, and those whose mailbox is an agency's: a letter to their
    own address, by no other way.
7.  Everybody else is an adult, and gets a notice of their own, always: own mailbox; else a letter. Dependants whose
    contract runs and who have no mailbox: as ``[households] adult_dependants`` says.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from notifier.model import Audience, Form, Link, MemberStatus, PersonKind, Route

MAJORITY = 18

MINOR_WITHOUT_HOLDER = "minor_without_holder"
ENDED_CONTRACT_CHILD = "ended_contract_child"


class Reason(StrEnum):
    """Why a notification takes its route."""

    OWN_MAILBOX = "own_mailbox"
    NO_MAILBOX = "no_mailbox"  # or none that works: hence a letter
    ADULT_DEPENDANT = "adult_dependant"  # a letter, because the campaign decided so
    ADULT_DEPENDANT_UNDECIDED = "adult_dependant_undecided"  # a letter, because nobody decided yet
    CONTRACT_MAILBOX = "contract_mailbox"
    HOLDER_MAILBOX = "holder_mailbox"
    HOLDER_ADDRESS = "holder_address"
    CHILD_ADDRESS = "child_address"  # a decision on review
    UNREACHABLE = "unreachable"  # a contact, but neither mailbox nor address
    UNMATCHED = "unmatched"
    REVIEW = "review"
    PROTECTION = "protection"  # under guardianship: a letter, never an e-mail
    OPPOSITION = "opposition"  # the member objects to e-mail: a letter
    AGENCY_MAILBOX = "agency_mailbox"  # the only mailbox that is known is an agency's own: a letter
    SHARED_MAILBOX = "shared_mailbox"  # it is that of so many members that it is nobody's own: a letter
    EXCLUDED = "excluded"
    DECIDED = "decided"  # on review: nobody is told


class To(StrEnum):
    """Whose mailbox or letter box."""

    OWN = "own"
    HOLDER = "holder"
    NOBODY = "nobody"


class ChildDecision(StrEnum):
    """What somebody decided on a child under review."""

    UNDECIDED = ""
    CONTACT = "contact"  # tell this adult
    OWN_LETTER = "own_letter"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Reach:
    """How a contact can be reached."""

    mailbox: bool = False
    postal: bool = False

    @property
    def route(self) -> Route:
        """E-mail before post before nothing."""
        return Route.EMAIL if self.mailbox else Route.POST if self.postal else Route.NONE


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides. ``status`` None: no contact. ``holders``: how many current holders the household has;
    ``holder``: how the one can be reached. ``is_minor`` counts for link E alone. ``review``: an open one on the match
    or the identity."""

    kind: PersonKind
    status: MemberStatus | None = None
    link: str = ""
    own: Reach = Reach()
    is_minor: bool = False
    holders: int = 0
    holder: Reach = Reach()
    review: str = ""
    excluded: str = ""
    decision: ChildDecision = ChildDecision.UNDECIDED
    letter: str = ""  # why only a letter will do: protection, opposition, agency_mailbox, shared_mailbox


@dataclass(frozen=True, slots=True)
class Decision:
    """Route and reader. ``review``: the person waits for somebody's decision; ``excluded``: never told, and why."""

    route: Route
    reason: Reason
    audience: Audience
    form: Form = Form.OWN
    to: To = To.NOBODY
    review: str = ""
    excluded: str = ""


def is_minor(birth_date: str, on: date) -> bool:
    """Whether somebody born on ``birth_date`` (``YYYY-MM-DD``, 00 = not known) may be under 18 on that day.

    What is not known is taken at its latest: nobody is an adult by lack of data. Born on 29 February: of age on
    1 March of a common year.

    >>> is_minor("2006-02-00", date(2024, 2, 27)), is_minor("2006-01-31", date(2024, 1, 31))
    (True, False)
    """
    try:
        year, month, day = (int(part) for part in birth_date.split("-"))
    except ValueError:
        return True
    if not year:
        return True
    if not 1 <= month <= 12:
        month, day = 12, 31
    elif not day:
        day = monthrange(year, month)[1]
    return (on.year - MAJORITY, on.month, on.day) < (year, month, day)


def decide(situation: Situation, adult_dependants: str | None) -> Decision:
    """Route and reader of one person's notification. ``adult_dependants``: letter, contract_mailbox, or None."""
    audience = _audience(situation)
    if (stopped := _stopped(situation, audience)) is not None:
        return stopped
    if situation.kind is PersonKind.INSURED and situation.link == Link.CHILD and situation.is_minor:
        return _child(situation, audience)
    if situation.letter and situation.own.postal:
        return Decision(Route.POST, Reason(situation.letter), audience, to=To.OWN)
    if situation.letter:
        return Decision(Route.NONE, Reason.UNREACHABLE, audience)
    if _is_dependant(situation) and situation.status is MemberStatus.ACTIVE and not situation.own.mailbox:
        return _adult_dependant(situation, audience, adult_dependants)
    return _own(situation.own, audience)


def _stopped(situation: Situation, audience: Audience) -> Decision | None:
    if situation.excluded:
        return Decision(Route.NONE, Reason.EXCLUDED, audience, excluded=situation.excluded)
    if situation.review:
        return Decision(Route.NONE, Reason.REVIEW, audience, review=situation.review)
    if situation.status is None:
        return Decision(Route.NONE, Reason.UNMATCHED, audience)
    if situation.status is MemberStatus.DECEASED:
        return Decision(Route.NONE, Reason.EXCLUDED, audience, excluded=MemberStatus.DECEASED.value)
    return None


def _is_dependant(situation: Situation) -> bool:
    return situation.link in (Link.SPOUSE, Link.CHILD)


def _audience(situation: Situation) -> Audience:
    if situation.kind is PersonKind.PROFESSIONAL:
        return Audience.PROFESSIONAL
    if situation.status is MemberStatus.ENDED:
        return Audience.PAST_MEMBER
    return Audience.DEPENDANT if _is_dependant(situation) else Audience.INSURED


def _own(own: Reach, audience: Audience) -> Decision:
    if own.route is Route.NONE:
        return Decision(Route.NONE, Reason.UNREACHABLE, audience)
    reason = Reason.OWN_MAILBOX if own.mailbox else Reason.NO_MAILBOX
    return Decision(own.route, reason, audience, to=To.OWN)


def _adult_dependant(situation: Situation, audience: Audience, policy: str | None) -> Decision:
    if policy == "contract_mailbox" and situation.holders == 1 and situation.holder.mailbox:
        return Decision(Route.EMAIL, Reason.CONTRACT_MAILBOX, audience, to=To.HOLDER)
    reason = Reason.ADULT_DEPENDANT if policy else Reason.ADULT_DEPENDANT_UNDECIDED
    if not situation.own.postal:
        # Undecided, it counts as such: the contract's mailbox may be the only way.
        return Decision(Route.NONE, Reason.UNREACHABLE if policy else reason, audience)
    return Decision(Route.POST, reason, audience, to=To.OWN)


def _child(situation: Situation, audience: Audience) -> Decision:
    match situation.decision:
        case ChildDecision.NONE:
            return Decision(Route.NONE, Reason.DECIDED, audience)
        case ChildDecision.OWN_LETTER if situation.own.postal:
            return Decision(Route.POST, Reason.CHILD_ADDRESS, audience, to=To.OWN)
        case ChildDecision.OWN_LETTER:
            return Decision(Route.NONE, Reason.UNREACHABLE, audience)
        case ChildDecision.UNDECIDED if doubt := _child_doubt(situation):
            return Decision(Route.NONE, Reason.REVIEW, audience, review=doubt)
    return _through_holder(situation.holder.route, audience)


def _child_doubt(situation: Situation) -> str:
    if situation.status is MemberStatus.ENDED:
        return ENDED_CONTRACT_CHILD
    return MINOR_WITHOUT_HOLDER if situation.holders != 1 else ""


def _through_holder(route: Route, audience: Audience) -> Decision:
    if route is Route.NONE:
        return Decision(Route.NONE, Reason.UNREACHABLE, audience)
    reason = Reason.HOLDER_MAILBOX if route is Route.EMAIL else Reason.HOLDER_ADDRESS
    return Decision(route, reason, audience, form=Form.CHILDREN, to=To.HOLDER)
