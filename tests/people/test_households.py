"""How a person is told: the decision as a table."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.model import Audience, Form, MemberStatus, PersonKind, Route
from notifier.people.households import (
    ChildDecision,
    Reach,
    Reason,
    Situation,
    To,
    decide,
    is_minor,
)

ACTIVE, ENDED, DECEASED = MemberStatus.ACTIVE, MemberStatus.ENDED, MemberStatus.DECEASED
MAIL, LETTER, NOWHERE = Reach(True, True), Reach(False, True), Reach()


def insured(**facts) -> Situation:
    return Situation(kind=PersonKind.INSURED, **{"status": ACTIVE, "link": "A", "own": MAIL, **facts})


def child(**facts) -> Situation:
    return insured(**{"link": "E", "is_minor": True, "holders": 1, "holder": MAIL, "own": LETTER, **facts})


@pytest.mark.parametrize(
    ("birth_date", "on", "minor"),
    [
        ("2006-02-09", date(2024, 2, 9), False),
        ("2006-02-10", date(2024, 2, 9), True),
        ("2006-02-00", date(2024, 2, 27), True),
        ("2006-02-00", date(2024, 2, 28), False),
        ("2005-00-00", date(2024, 2, 9), False),
        ("2006-00-00", date(2024, 2, 9), True),
        ("2004-02-29", date(2022, 2, 28), True),
        ("2004-02-29", date(2022, 3, 1), False),
        ("2005-31-00", date(2023, 12, 30), True),  # a "lunar" month
        ("0000-00-00", date(2024, 2, 9), True),
        ("", date(2024, 2, 9), True),
    ],
)
def test_nobody_is_an_adult_by_lack_of_data(birth_date, on, minor):
    assert is_minor(birth_date, on) is minor


@given(st.dates(date(1950, 1, 1), date(2023, 1, 1)), st.dates(date(2023, 1, 2), date(2060, 1, 1)))
def test_what_is_not_known_never_makes_somebody_older(born, on):
    whole = is_minor(born.isoformat(), on)
    month = is_minor(f"{born:%Y-%m}-00", on)
    year = is_minor(f"{born:%Y}-00-00", on)
    assert whole <= month <= year


@pytest.mark.parametrize(
    ("situation", "route", "reason", "audience"),
    [
        (insured(), Route.EMAIL, Reason.OWN_MAILBOX, Audience.INSURED),
        (insured(own=LETTER), Route.POST, Reason.NO_MAILBOX, Audience.INSURED),
        (insured(own=NOWHERE), Route.NONE, Reason.UNREACHABLE, Audience.INSURED),
        (insured(link="C"), Route.EMAIL, Reason.OWN_MAILBOX, Audience.DEPENDANT),
        (insured(link="E"), Route.EMAIL, Reason.OWN_MAILBOX, Audience.DEPENDANT),
        (insured(status=ENDED), Route.EMAIL, Reason.OWN_MAILBOX, Audience.PAST_MEMBER),
        (insured(status=ENDED, link="C", own=LETTER), Route.POST, Reason.NO_MAILBOX, Audience.PAST_MEMBER),
        (insured(status=None, link="", own=NOWHERE), Route.NONE, Reason.UNMATCHED, Audience.INSURED),
        (insured(status=DECEASED), Route.NONE, Reason.EXCLUDED, Audience.INSURED),
        (insured(review="ambiguous", status=None), Route.NONE, Reason.REVIEW, Audience.INSURED),
        (insured(excluded="operator"), Route.NONE, Reason.EXCLUDED, Audience.INSURED),
        (insured(excluded="operator", review="ambiguous"), Route.NONE, Reason.EXCLUDED, Audience.INSURED),
    ],
)
def test_adults_are_told_themselves(situation, route, reason, audience):
    decision = decide(situation, "letter")
    assert (decision.route, decision.reason, decision.audience, decision.form) == (route, reason, audience, Form.OWN)
    assert (decision.to is To.OWN) == (route is not Route.NONE)


def test_the_deceased_are_excluded_and_the_doubtful_held():
    assert decide(insured(status=DECEASED), None).excluded == "deceased"
    assert decide(insured(review="ambiguous", status=None), None).review == "ambiguous"


@pytest.mark.parametrize("link", ["C", "E"])
@pytest.mark.parametrize(
    ("policy", "own", "holder", "route", "reason", "to"),
    [
        ("letter", LETTER, MAIL, Route.POST, Reason.ADULT_DEPENDANT, To.OWN),
        ("letter", NOWHERE, MAIL, Route.NONE, Reason.UNREACHABLE, To.NOBODY),
        ("contract_mailbox", LETTER, MAIL, Route.EMAIL, Reason.CONTRACT_MAILBOX, To.HOLDER),
        ("contract_mailbox", NOWHERE, MAIL, Route.EMAIL, Reason.CONTRACT_MAILBOX, To.HOLDER),
        ("contract_mailbox", LETTER, LETTER, Route.POST, Reason.ADULT_DEPENDANT, To.OWN),
        ("contract_mailbox", MAIL, MAIL, Route.EMAIL, Reason.OWN_MAILBOX, To.OWN),
        (None, LETTER, MAIL, Route.POST, Reason.ADULT_DEPENDANT_UNDECIDED, To.OWN),
        (None, NOWHERE, MAIL, Route.NONE, Reason.ADULT_DEPENDANT_UNDECIDED, To.NOBODY),
    ],
)
def test_adult_dependants_without_a_mailbox_follow_the_policy(link, policy, own, holder, route, reason, to):
    decision = decide(insured(link=link, own=own, holders=1, holder=holder), policy)
    assert (decision.route, decision.reason, decision.to, decision.form) == (route, reason, to, Form.OWN)


@pytest.mark.parametrize(
    ("situation", "route", "form", "review"),
    [
        (child(), Route.EMAIL, Form.CHILDREN, ""),
        (child(own=MAIL), Route.EMAIL, Form.CHILDREN, ""),  # a child's own mailbox is not asked
        (child(holder=LETTER), Route.POST, Form.CHILDREN, ""),
        (child(holder=NOWHERE), Route.NONE, Form.OWN, ""),
        (child(holders=0), Route.NONE, Form.OWN, "minor_without_holder"),
        (child(holders=2), Route.NONE, Form.OWN, "minor_without_holder"),
        (child(status=ENDED), Route.NONE, Form.OWN, "ended_contract_child"),
        (child(status=ENDED, decision=ChildDecision.CONTACT), Route.EMAIL, Form.CHILDREN, ""),
        (child(holders=0, decision=ChildDecision.OWN_LETTER), Route.POST, Form.OWN, ""),
        (child(holders=0, own=NOWHERE, decision=ChildDecision.OWN_LETTER), Route.NONE, Form.OWN, ""),
        (child(holders=0, decision=ChildDecision.NONE), Route.NONE, Form.OWN, ""),
        (child(is_minor=False, own=MAIL), Route.EMAIL, Form.OWN, ""),
    ],
)
def test_minors_are_told_through_the_holder(situation, route, form, review):
    decision = decide(situation, "letter")
    assert (decision.route, decision.form, decision.review) == (route, form, review)
    assert (decision.to is To.HOLDER) == (form is Form.CHILDREN)


def test_professionals_have_their_own_mailbox_or_a_letter():
    routes = [
        decide(Situation(kind=PersonKind.PROFESSIONAL, status=ACTIVE, own=own), None).route
        for own in (MAIL, LETTER, NOWHERE)
    ]
    assert routes == [Route.EMAIL, Route.POST, Route.NONE]
