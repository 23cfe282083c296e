"""What a sender and its benches say to each other. Claims and results go as bare tuples, which takes a fourth of the
time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from notifier.campaign import Settings
from notifier.delivery.envelopes import Notice, Ready
from notifier.delivery.transaction import EnvelopeError, Posting
from notifier.delivery.wire import joined
from notifier.storage.deliveries import Claim
from notifier.vault import Keys


@dataclass(frozen=True, slots=True, repr=False)
class Setup:
    """What a bench is given first."""

    keys: Keys
    settings: Settings
    folder: Path
    listed: frozenset[str]


@dataclass(frozen=True, slots=True, repr=False)
class Text:
    """The compiled notice of a batch's segment, given before the first claim that needs it."""

    batch_id: int
    segment_id: int
    notice: Notice


class Work(NamedTuple):
    """Claims whose messages are to be made."""

    claims: tuple[tuple[Any, ...], ...]

    @classmethod
    def of(cls, claims: Iterable[Claim]) -> Work:
        return cls(tuple(map(tuple, claims)))

    def given(self) -> list[Claim]:
        """The claims."""
        return [Claim._make(claim) for claim in self.claims]


class Result(NamedTuple):
    """What became of a claim: a message, the code of what is wrong with this one, or an error that is everybody's."""

    claim_id: int
    ready: Ready | None = None
    code: str = ""
    error: Exception | None = None

    def __repr__(self) -> str:
        return f"Result({self.claim_id}, {self.code!r})"


Fixed = Callable[[int], tuple[bytes, ...]]  # of a claim's id: the fixed parts of its notice


class Results(NamedTuple):
    """What comes back at once. Of a message a person's own parts alone: the sender has the others."""

    results: tuple[tuple[Any, ...], ...]

    @classmethod
    def of(cls, results: Iterable[Result]) -> Results:
        return cls(tuple((one.claim_id, _bare(one.ready), one.code, one.error) for one in results))

    def given(self, fixed: Fixed) -> list[Result]:
        """The results, their wires joined again."""
        return [
            Result(number, None if bare is None else _ready(bare, lambda: fixed(number)), code, error)  # noqa: B023
            for number, bare, code, error in self.results
        ]


def _bare(ready: Ready | None) -> tuple[Any, ...] | None:
    if ready is None:
        return None
    posting, forbidden, notice_sha256, own = ready
    if posting is None:
        return None, forbidden, notice_sha256, own, 0
    return tuple(posting._replace(wire=b"") if own else posting), forbidden, notice_sha256, own, len(posting.wire)


def _ready(bare: tuple[Any, ...], fixed: Callable[[], tuple[bytes, ...]]) -> Ready:
    posting, forbidden, notice_sha256, own, size = bare
    if posting is None:
        return Ready(None, forbidden, notice_sha256)
    whole = Posting._make(posting)
    if own:
        whole = whole._replace(wire=joined(own, fixed()))
        if len(whole.wire) != size:
            raise EnvelopeError(f"delivery {whole.token}: joined again, it is not the message that was verified")
    return Ready(whole, forbidden, notice_sha256, own)
