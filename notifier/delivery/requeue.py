"""Putting back into the queue what failed by mistake: a wrong classification, a message that can be made now.

Somebody says which (state, code, since when, provider) and signs for it. A delivery goes back only if nobody was told
since: a letter not yet printed, or an e-mail to the second address that has not gone out, is withdrawn in the same
transaction, and the notifications hang on the first delivery again (I1, I3). What was printed, posted or accepted
meanwhile, or concerns somebody who was taken out, is left and counted. Page by page, each a transaction of its own with
its entries (I4): stopped in the middle, running it again goes on, and running it once more changes nothing.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from notifier.delivery.states import Event, State, advance, sources
from notifier.errors import OperatorError
from notifier.model import Entry, from_ms, to_ms, utc_text
from notifier.storage import journal, requeue
from notifier.storage.database import Connection, Database
from notifier.storage.requeue import Failed, Fault, Informed, Kin

PAGE = 500
STATES = tuple(sorted(sources(Event.REQUEUE)))
_CODE = re.compile(r"[45]\d\d|[45]\.\d{1,3}\.\d{1,3}|[A-Za-z_]{3,40}")
_NOBODY_WAS_TOLD = frozenset({State.REFUSED, State.EXPIRED, State.BOUNCED, State.RETURNED, State.WITHDRAWN})
EXCLUDED, ELSEWHERE = "excluded", "elsewhere"
# Raises OperatorError if something of these batches must not wait again: approved under other values, it would stop
# `send` for all that waits.
MayWait = Callable[[Connection, frozenset[int]], Awaitable[None]]


async def anything(_connection: Connection, _batches: frozenset[int]) -> None:
    """Whatever was approved may wait again."""


@dataclass(slots=True)
class Requeued:
    """What goes back, or would. ``letters``, ``second_addresses``: withdrawn for it; ``left``: why → how many stay as
    they are: a state (printed, posted, accepted …: it tells, or told, the person), excluded, or elsewhere (the notice
    has another delivery)."""

    deliveries: int = 0
    letters: int = 0
    second_addresses: int = 0
    left: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "requeued": self.deliveries,
            "letters_withdrawn": self.letters,
            "second_addresses_withdrawn": self.second_addresses,
            "left": dict(sorted(self.left.items())),
        }

    def lines(self) -> list[str]:
        """For the terminal."""
        lines = [
            f"letters withdrawn that were not printed yet: {self.letters}; e-mails to a second address: "
            f"{self.second_addresses}"
        ]
        if self.left:
            told = ", ".join(f"{why} {count}" for why, count in sorted(self.left.items()))
            lines.append(f"left as they are: {told}")
        return lines


@dataclass(frozen=True, slots=True)
class Return:
    """One delivery that goes back. ``withdrawn``: what is taken back for it; ``family``: all of it."""

    failed: Failed
    withdrawn: tuple[Kin, ...]
    family: tuple[Kin, ...]


def verified(fault: Fault) -> Fault:
    """The same, if it says enough. Raises OperatorError: all refusals of a campaign are no mistake."""
    if fault.state not in STATES:
        raise OperatorError(f"--state is one of {', '.join(STATES)}")
    if fault.code and not _CODE.fullmatch(fault.code):
        raise OperatorError("--code is a reply code (550), an enhanced one (5.7.1), or the word of an unmade message")
    if fault.state == State.REFUSED and not (fault.code and fault.since_ms):
        raise OperatorError("say which refusals were a mistake: --code and --since")
    return fault


def blocks(kin: Sequence[Kin], root: int, hangs: Informed | None) -> str:
    """Why a family stays as it is; "" when its root may go back. Pure."""
    if hangs is None:
        return ELSEWHERE
    if hangs.excluded:
        return EXCLUDED
    for each in kin:
        if each.id != root and not (State(each.state) in _NOBODY_WAS_TOLD or _may_be_withdrawn(each)):
            return State.IN_DOUBT if each.doubts else each.state
    return ""


def _may_be_withdrawn(kin: Kin) -> bool:
    return State(kin.state) in sources(Event.WITHDRAW) and not kin.doubts


async def look(database: Database, fault: Fault, may_wait: MayWait = anything) -> Requeued:
    """What :func:`put_back` would change. Raises OperatorError if it would refuse."""
    counted = Requeued()
    concerned: set[int] = set()
    async with database.read() as connection:
        for wave in await requeue.waves_of(connection, verified(fault)):
            after = 0
            while page := await requeue.failed(connection, fault, wave=wave, after=after, most=PAGE):
                after = page[-1].id
                returns = await _returns(connection, page, counted)
                _count(counted, returns)
                concerned |= {each.failed.batch for each in returns}
        if concerned:
            await may_wait(connection, frozenset(concerned))
    return counted


async def put_back(
    database: Database, fault: Fault, *, by: str, now: datetime, may_wait: MayWait = anything
) -> Requeued:
    """Put them back, due at once. Raises OperatorError."""
    counted = Requeued()
    async with database.read() as connection:
        waves = await requeue.waves_of(connection, verified(fault))
    for wave in waves:
        after: int | None = 0
        while after is not None:
            async with database.write() as connection:
                after = await _page(connection, fault, wave, after, counted, may_wait, by=by, now=now)
    return counted


async def _page(
    connection: Connection,
    fault: Fault,
    wave: int,
    after: int,
    counted: Requeued,
    may_wait: MayWait,
    *,
    by: str,
    now: datetime,
) -> int | None:
    """One page, in the caller's transaction; the last id that it looked at, None when there is none."""
    page = await requeue.failed(connection, fault, wave=wave, after=after, most=PAGE)
    if returns := await _returns(connection, page, counted):
        await may_wait(connection, frozenset(each.failed.batch for each in returns))
        first = [] if counted.deliveries else [_ordered(fault, by, now)]
        await _put_back(connection, fault, returns, now)
        entries = [entry for each in returns for entry in _entries(each, fault, by, now)]
        await journal.append(connection, [*first, *entries])
        _count(counted, returns)
    return page[-1].id if page else None


async def _returns(connection: Connection, page: Sequence[Failed], counted: Requeued) -> list[Return]:
    ids = [each.id for each in page]
    families: defaultdict[int, list[Kin]] = defaultdict(list)
    for one in await requeue.families(connection, ids):
        families[one.root].append(one)
    hangs = await requeue.informed(connection, ids)
    returns: list[Return] = []
    below: set[int] = set()  # of a family whose root goes back already: both addresses were refused by mistake
    for each in page:
        kin = families[each.id]
        why = ELSEWHERE if each.id in below else blocks(kin, each.id, hangs.get(each.id))
        if why:
            counted.left[str(why)] += 1
            continue
        below |= {one.id for one in kin}
        withdrawn = tuple(one for one in kin if one.id != each.id and _may_be_withdrawn(one))
        returns.append(Return(each, withdrawn, tuple(kin)))
    return returns


async def _put_back(connection: Connection, fault: Fault, returns: Sequence[Return], now: datetime) -> None:
    now_ms = to_ms(now)
    state = advance(State(fault.state), Event.REQUEUE)
    gone = [one for each in returns for one in each.withdrawn]
    for one in gone:
        advance(State(one.state), Event.WITHDRAW)
    await requeue.withdraw(connection, gone, state=State.WITHDRAWN, now_ms=now_ms)
    await requeue.rehang(connection, [one for each in returns for one in each.family])
    ids = [each.failed.id for each in returns]
    await requeue.put_back(connection, ids, was=fault.state, state=state, now_ms=now_ms)


def _ordered(fault: Fault, by: str, now: datetime) -> Entry:
    facts = {
        "state": fault.state,
        "code": fault.code,
        "since": utc_text(from_ms(fault.since_ms)) if fault.since_ms else "",
        "provider": fault.provider or "",
        "wave": fault.wave or "",
        "by": by,
    }
    return Entry(now, "requeue_ordered", facts=facts)


def _entries(each: Return, fault: Fault, by: str, now: datetime) -> list[Entry]:
    withdrawn = [
        Entry(now, "delivery_withdrawn", one.token.hex(), {"reason": "requeued", "by": by}) for one in each.withdrawn
    ]
    facts = {
        "attempt": each.failed.attempt,
        "was": fault.state,
        "withdrawn": [one.token.hex() for one in each.withdrawn],
        "by": by,
    }
    return [*withdrawn, Entry(now, "delivery_requeued", each.failed.token.hex(), facts)]


def _count(counted: Requeued, returns: Sequence[Return]) -> None:
    counted.deliveries += len(returns)
    for each in returns:
        letters = sum(one.channel == "post" for one in each.withdrawn)
        counted.letters += letters
        counted.second_addresses += len(each.withdrawn) - letters
