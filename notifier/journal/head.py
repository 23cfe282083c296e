"""The head of a campaign: what its database must hold at least. Pure.

A head is kept *beside the key*, not beside the database, and replaced after each checkpoint. A database that was
restored from a backup, or an old copy of the folder, does not hold what its head says: then nothing may be sent until
`recover`, for what the database believes to be waiting may have gone out since. A head behind its database is the
normal case: a crash may fall between a checkpoint and its head.

A head holds no personal data: sizes, hashes, counts.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from notifier.errors import JournalError

FORMAT = "notifier-head/1"
MOST_BYTES = 65_536  # a head has some 250
_MOST = 1 << 53  # a database counts no further than 2^63, and a sender is numbered after the last one
_LAST_SENDER = 1 << 52  # what a head says beyond this leaves no room for the heads of those that follow


@dataclass(frozen=True, slots=True)
class Head:
    """``size``, ``root`` (hex): of a checkpoint; ``epoch``: number of the last sender; ``host``: digest of its machine,
    "" before the first; ``batches``: approvals given; ``attempts``: recorded, by their highest number."""

    campaign: str
    size: int
    root: str
    epoch: int
    host: str
    batches: int
    attempts: int

    @property
    def last_sender(self) -> int:
        """``epoch``, as far as a campaign can have come: after a recovery senders are numbered behind it."""
        return min(self.epoch, _LAST_SENDER)

    def dump(self) -> str:
        """The file's text (JSON)."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def load(cls, text: str, campaign: str) -> Head:
        """Inverse of :meth:`dump`. Raises JournalError for what is no head of this campaign."""
        try:
            body: dict[str, Any] = json.loads(text)
            head = cls(**{key: value for key, value in body.items() if key != "format"})
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise JournalError("it is damaged") from error
        numbers = (head.size, head.epoch, head.batches, head.attempts)
        well_formed = all(type(each) is int and 0 <= each < _MOST for each in numbers) and all(
            isinstance(each, str) for each in (head.campaign, head.root, head.host)
        )
        if body.get("format") != FORMAT or not well_formed or not re.fullmatch(r"[0-9a-f]{64}", head.root):
            raise JournalError("it is damaged")
        if head.campaign != campaign:
            other = head.campaign if re.fullmatch(r"[\w-]{1,64}", head.campaign) else "another name"
            raise JournalError(f"it is the head of campaign {other}, not of {campaign}")
        return head


def is_behind(known: Head, database: Head, *, holds_root: bool) -> bool:
    """Whether the database is not the one, or not as far, as its head says. ``known``: the head beside the key;
    ``database``: the head that the database itself would give; ``holds_root``: it holds the checkpoint over
    ``known.size`` entries with ``known.root``. A database that went on after it was restored has the size and not the
    root."""
    return not holds_root or database.epoch < known.epoch


def difference(known: Head, database: Head) -> str:
    """What is missing, in words."""
    if database.size < known.size:
        return f"its journal has {database.size} entries, and had {known.size}"
    if database.epoch < known.epoch:
        return f"its last sender was number {database.epoch}, and number {known.epoch} has sent"
    return f"its journal is another one: the first {known.size} entries are not those that were there"
