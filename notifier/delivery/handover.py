"""How a session that aiosmtplib has opened (connect, TLS, AUTH) comes to a pipeline of ours.

:func:`take_over` replaces the protocol of its transport, with no await in between; its SMTP object is never called
again but for ``close``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import aiosmtplib

from notifier.delivery.exchange import Transaction
from notifier.delivery.login import Login
from notifier.delivery.outcomes import Outcome, Phase, lost
from notifier.delivery.pipeline import Patience, Pipeline
from notifier.delivery.rules import Rulebook
from notifier.delivery.transaction import Envelope, Posting, body


def take_over(
    session: aiosmtplib.SMTP,
    patience: Patience,
    may_begin: Callable[[], bool],
    rules: Rulebook,
    *,
    pipelining: bool = True,
    may_end: Callable[[], bool] = lambda: True,
    login: Login | None = None,
) -> Pipeline | None:
    """The session's transport under our own protocol; None if it is closing already. aiosmtplib's SMTP object may
    only be closed from here on. ``pipelining``: false = command by command, whatever the server offers;
    ``may_end``: asked right before a final dot; ``login``: what no outcome may repeat."""
    transport = cast(asyncio.Transport | None, session.transport)
    if transport is None or transport.is_closing():
        return None
    offers = {name: value for name, value in session.esmtp_extensions.items() if pipelining or name != "pipelining"}
    pipeline = Pipeline(transport, offers, patience, may_begin, rules, may_end, login.conceal if login else None)
    transport.set_protocol(pipeline)
    return pipeline


async def hand_over(pipeline: Pipeline, envelope: Envelope, wrote: Callable[[], None]) -> Outcome:
    """One message on a session on which nothing is under way. MAIL is written before the first await, and ``wrote``
    called right after it (I6)."""
    ended: list[Outcome] = []
    posting = Posting.of(envelope, body(envelope))
    pipeline.submit(Transaction(posting, lambda: None, lambda _, outcome: ended.append(outcome)))
    wrote()
    await pipeline.until(lambda: bool(ended) and pipeline.is_idle)
    pipeline.unstage()
    return ended[0] if ended else lost(Phase.MAIL)
