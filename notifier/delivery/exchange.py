"""One message's way over one session: what a pipeline (pipeline.py) is given, and what it tells of it."""

from __future__ import annotations

from collections.abc import Callable

from notifier.delivery.outcomes import Outcome
from notifier.delivery.rules import OTHER
from notifier.delivery.transaction import EnvelopeError, Posting

OnEnd = Callable[["Transaction", Outcome], None]


class Transaction:
    """One message's way over one session. ``on_begin`` is called when MAIL is written, ``on_end`` once, with the
    outcome; ``provider``: the recipient's."""

    __slots__ = (
        "commands",
        "dot_out",
        "ended",
        "number",
        "on_begin",
        "on_end",
        "posting",
        "provider",
        "recipient_taken",
    )

    def __init__(
        self,
        posting: Posting,
        on_begin: Callable[[], None],
        on_end: OnEnd,
        provider: str = OTHER,
    ) -> None:
        if not posting.wire.endswith(b"\r\n.\r\n"):
            raise EnvelopeError(f"delivery {posting.token}: the body has no end")
        self.posting = posting
        self.on_begin = on_begin
        self.on_end = on_end
        self.provider = provider
        self.commands = (b"", b"")  # MAIL and RCPT as the session at hand takes them
        self.number = 0  # of the session's transactions, from 1
        self.recipient_taken = False
        self.dot_out = False
        self.ended = False

    def end(self, outcome: Outcome) -> None:
        """The outcome, the first one; what comes later is about a transaction that has ended."""
        if not self.ended:
            self.ended = True
            self.on_end(self, outcome)
