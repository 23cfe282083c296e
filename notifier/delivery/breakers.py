"""When several outcomes in a row say what one alone does not: that the fault is ours, and the campaign pauses. Pure.

One odd mailbox, one unreadable contact, one lost answer is that delivery's own affair. The same thing again and again
is not: each breaker counts until it is sure, and what the others deliver meanwhile sets it back. Their memory is one
run's: whoever resumes has looked, and a crash is none of their business (what it left in doubt is recovered before
they begin to count).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

ODD = 3  # recipients that get a reply which is ours if others get it: for the first time each, of more than one domain
ODD_AT_ONE_DOMAIN = 10  # the same, of one domain: a hospital's server may be odd to all who have their mailbox there
ODD_AND_LEFT = 5  # the same, whoever they are, when nothing else is left to try
ODD_AND_MANY = 50  # the same, whatever is left
WAITS = 20  # recipients of *other*, of more than one domain, that are told to wait while nothing is accepted
UNMADE = 5  # messages in a row that cannot be made
DOUBTS = 5  # per connection …
SHARE = 10  # … among the last DOUBTS × SHARE outcomes per connection


class OddReplies:
    """Replies to one recipient, at RCPT or later, that are ours if others get them too ("ours", and what is
    ``repeated`` in data/providers.toml). Whoever chooses an address chooses the server that speaks there: one reply
    must not stop the others. What is accepted says that those before were theirs, not ours.

    Counted at once are only recipients whose first answer of any weight it is. Who led to a pause has had one: somebody
    has looked, has said "go on", and must not find the campaign stopped by the same few again, first in every run. When
    nothing else is left to try, a handful of any recipients is enough: it stops nobody.
    """

    def __init__(self) -> None:
        self._met: dict[int, str] = {}  # delivery → the recipient's domain ("": not at RCPT), since the last acceptance
        self._first: dict[int, str] = {}  # those of them whose first it is
        self._others = False  # somebody was answered in another way since
        self._is_ours = False

    def accepted(self) -> None:
        """A message was."""
        if self._met or self._others:
            self._met.clear()
            self._first.clear()
            self._others = False

    def others(self) -> None:
        """A recipient was answered in another way."""
        self._others = True

    def odd(self, delivery: int, domain: str, *, first: bool) -> bool:
        """One more. True: it is ours."""
        self._met[delivery] = domain
        if first:
            self._first[delivery] = domain
        self._is_ours = self._is_ours or _enough(self._first, ODD) or len(self._met) >= ODD_AND_MANY
        return self._is_ours

    def alone(self) -> bool:
        """Nothing else is left to try now. True: it is ours."""
        self._is_ours = self._is_ours or (not self._others and _enough(self._met, ODD_AND_LEFT))
        return self._is_ours

    @property
    def led(self) -> tuple[int, ...]:
        """The deliveries that say so, once it is ours."""
        return tuple(self._met) if self._is_ours else ()


def _enough(row: Mapping[int, str], few: int) -> bool:
    if len(row) < few:
        return False
    domains = set(row.values())
    return len(row) >= ODD_AT_ONE_DOMAIN or len(domains) > 1 or "" in domains


class Waits:
    """Recipients of *other* that are told to wait, while nothing is accepted. Of one server that is its own affair, and
    a named provider has its lane; of many servers that know nothing of each other it is the relay that says so."""

    def __init__(self) -> None:
        self._told: dict[int, str] = {}  # delivery → domain, WAITS at most and one of another domain
        self._beyond = 0

    @property
    def beyond(self) -> int:
        """How many times it was said since it is the relay's; 0: it is not."""
        return self._beyond

    def accepted(self) -> None:
        """A message was."""
        if self._told:
            self._told.clear()
            self._beyond = 0

    def told(self, delivery: int, domain: str) -> None:
        """One more."""
        if self._beyond:
            self._beyond += 1
            return
        if len(self._told) < WAITS or domain not in self._told.values():
            self._told[delivery] = domain
        if len(self._told) >= WAITS and len(set(self._told.values())) > 1:
            self._beyond = 1


class UnmadeMessages:
    """Messages that cannot be made: one contact's fault, or the key's, the text's."""

    def __init__(self) -> None:
        self._row = 0

    def made(self) -> None:
        """One could be made."""
        self._row = 0

    def unmade(self) -> bool:
        """One could not. True: it is ours."""
        self._row += 1
        return self._row >= UNMADE


class Doubts:
    """Final dots without an answer (RFC 1047): a few are the network's; many without a crash are a relay that drops
    after each dot, or a wait that is too short. Looked for among the latest outcomes, however many went well before."""

    def __init__(self, connections: int) -> None:
        self._many = DOUBTS * connections
        self._most = self._many * SHARE
        self._cycles: deque[tuple[int, int]] = deque()  # (outcomes, doubts among them) of each cycle
        self._outcomes = self._doubts = 0

    @property
    def outcomes(self) -> int:
        """Among how many the doubts are counted now: the latest, in whole cycles."""
        return self._outcomes

    def count(self, outcomes: int, doubts: int) -> int:
        """What one cycle brought. Returns how many doubts there are lately if that is too many, else 0."""
        if outcomes:
            self._cycles.append((outcomes, doubts))
            self._outcomes += outcomes
            self._doubts += doubts
            while self._outcomes - self._cycles[0][0] >= self._most:
                gone = self._cycles.popleft()
                self._outcomes -= gone[0]
                self._doubts -= gone[1]
        return self._doubts if self._doubts >= self._many and self._doubts * SHARE >= self._outcomes else 0
