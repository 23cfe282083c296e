"""One rung's decision, as a table and as properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.people.candidates import Agreement, Ambiguous, Candidate, Match, choose

EQUAL, SILENT, NOT = Agreement.EQUAL, Agreement.SILENT, Agreement.CONTRADICTS
A, B, C = b"a", b"b", b"c"


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([], None),
        ([(A, EQUAL)], Match(A)),
        ([(A, SILENT)], Match(A)),
        ([(A, NOT)], None),
        ([(A, EQUAL), (B, NOT)], Match(A)),
        ([(A, EQUAL), (B, SILENT)], Match(A)),
        ([(A, EQUAL), (B, EQUAL)], Ambiguous((A, B))),
        ([(A, EQUAL), (B, EQUAL), (C, NOT)], Ambiguous((A, B))),
        ([(A, SILENT), (B, SILENT)], Ambiguous((A, B))),
        ([(A, SILENT), (B, NOT)], Ambiguous((A,))),
        ([(A, NOT), (B, NOT)], None),
        ([(A, EQUAL), (A, EQUAL)], Match(A)),
    ],
)
def test_choose(members, expected):
    assert choose(Candidate(*member) for member in members) == expected


@given(st.dictionaries(st.sampled_from([A, B, C, b"d"]), st.sampled_from(Agreement)), st.randoms())
def test_I2_never_one_who_contradicts_and_never_by_order(members, random):
    candidates = [Candidate(*member) for member in members.items()]
    shuffled = list(candidates)
    random.shuffle(shuffled)
    verdict = choose(candidates)
    assert verdict == choose(shuffled)
    if isinstance(verdict, Match):
        assert members[verdict.identity] is not NOT
        assert sum(agreement is EQUAL for agreement in members.values()) == 1 or len(members) == 1
    if isinstance(verdict, Ambiguous):
        assert all(members[identity] is not NOT for identity in verdict.identities)
