"""When several outcomes in a row say what one alone does not: that the fault is ours, and the campaign pauses. Pure.

One odd mailbox, one unreadable contact, one lost answer is that delivery's own affair. The same thing again and again
is not: each breaker counts until it is sure, and what the others deliver meanwhile sets it back. Their memory is one
run's: whoever resumes has looked, and a crash is none of their business (what it left in doubt is recovered before
they begin to count).
"""

from __future__ import annotations

from collections import deque

ODD = 3  # recipients in a row, of more than one domain, that get a reply which is ours when repeated
ODD_AT_ONE_DOMAIN = 10
UNMADE = 5  # messages in a row that cannot be made
DOUBTS = 5  # per connection …
SHARE = 10  # … among the last DOUBTS × SHARE outcomes per connection


class OddReplies:
    """Replies at RCPT that speak of one recipient, unless others get them too (``repeated`` in data/providers.toml)."""

    def __init__(self) -> None:
        self._row: dict[int, str] = {}  # delivery → the recipient's domain

    @property
    def is_quiet(self) -> bool:
        """Nothing odd was said last."""
        return not self._row

    def others(self) -> None:
        """A recipient was answered in another way."""
        self._row.clear()

    def odd(self, delivery: int, domain: str) -> bool:
        """One more. True: it is ours."""
        self._row[delivery] = domain
        row = len(self._row)
        return row >= ODD_AT_ONE_DOMAIN or (row >= ODD and len(set(self._row.values())) > 1)


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
