"""What somebody decides, by name, on deliveries in doubt (RFC 1047): send once more, or take as handed over.

The doubted attempt stays in doubt for ever: its row and its entry are not touched, and the proof says "possible
duplicate" of what went out again. *Sent once more* means once: the same Message-ID, and if that answer is lost too it
is held, whatever the policy. *Taken as handed over* is a decision and no answer of the relay's: the entry bears its
author and reason, and every account that shows it says so. Both commit with their entries or not at all (I4), and are
safe to run twice: what is no longer in doubt is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from notifier.campaign import Settings
from notifier.delivery.reasons import impersonal
from notifier.delivery.record import Policy
from notifier.delivery.requeue import MayWait, anything
from notifier.delivery.states import Event, State, advance
from notifier.errors import OperatorError
from notifier.model import Contact, Entry, from_ms, to_ms, utc_text
from notifier.storage import doubts, evidence, journal
from notifier.storage.database import Connection, Database
from notifier.storage.doubts import DoubtRow
from notifier.vault import Vault, number_of_reference, spelled_reference

PAGE = 2_000  # decided in one transaction
SHOWN = 50  # on a terminal; --json lists all
_TOKEN = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Doubt:
    """One delivery in doubt, without personal data. ``again``: when `send` sends it once more by itself; None: it is
    held, and somebody decides."""

    row: DoubtRow
    reference: str
    again: datetime | None

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        row = self.row
        return {
            "delivery": row.token.hex(),
            "reference": self.reference,
            "wave": row.wave,
            "provider": row.provider,
            "since": utc_text(from_ms(row.since_ms)),
            "attempts": row.attempt,
            "doubts": row.doubts,
            "then": "resend" if self.again else "held",
            "again_at": utc_text(self.again) if self.again else None,
            "excluded": row.is_excluded,
        }

    def line(self) -> str:
        """For the terminal."""
        row = self.row
        then = f"sent again after {self.again:%Y-%m-%d %H:%M} UTC" if self.again else "held"
        out = "; a person was taken out since" if row.is_excluded else ""
        return (
            f"{self.reference}  {row.token.hex()}  wave {row.wave}, {row.provider}, since "
            f"{from_ms(row.since_ms):%Y-%m-%d %H:%M} UTC, attempts {row.attempt}, in doubt {row.doubts}×: {then}{out}"
        )


@dataclass(frozen=True, slots=True)
class Doubts:
    """All that are in doubt, under the policy that holds. ``sending``: being sent, or left so by a sender that was
    killed, of which the next one makes doubts."""

    policy: str
    rows: Sequence[Doubt]
    sending: int = 0

    @property
    def held(self) -> int:
        """On how many somebody has to decide."""
        return sum(each.again is None for each in self.rows)

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "policy": self.policy,
            "held": self.held,
            "resend": len(self.rows) - self.held,
            "sending": self.sending,
            "doubts": [each.as_json() for each in self.rows],
        }

    def lines(self) -> list[str]:
        """For the terminal."""
        lines = [each.line() for each in self.rows[:SHOWN]]
        if len(self.rows) > SHOWN:
            lines.append(f"… and {len(self.rows) - SHOWN} more (--json lists all)")
        lines.append(
            f"{len(self.rows)} in doubt: {self.held} held, {len(self.rows) - self.held} to be sent again "
            f"(policy {self.policy})."
        )
        if self.sending:
            lines.append(
                f"{self.sending} are being sent; if no `send` runs now, the last one was killed, and the next `send` "
                "puts them in doubt."
            )
        if self.held:
            lines.append("Next: `notifier doubt resend REF…`, or `notifier doubt accept REF… --reason TEXT`.")
        return lines


@dataclass(frozen=True, slots=True)
class Which:
    """What somebody names. ``words``: case references, or tokens of deliveries as logs/mail.log has them; ``every``:
    all, of ``wave`` if that is given. ``among``: of these only (tokens), which somebody was shown; a sender may leave
    others in doubt until it is decided."""

    words: tuple[str, ...] = ()
    every: bool = False
    wave: str | None = None
    among: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What a decision changed. ``deliveries``: tokens; ``again``: how many of them were in doubt more than once;
    ``already``: named, and no longer in doubt; ``excluded``: left, for one whom they inform was taken out since."""

    deliveries: list[str] = field(default_factory=list)
    again: int = 0
    already: int = 0
    excluded: int = 0

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "changed": len(self.deliveries),
            "deliveries": self.deliveries,
            "already": self.already,
            "excluded": self.excluded,
        }


async def listed(database: Database, vault: Vault, settings: Settings, *, wave: str | None = None) -> Doubts:
    """All in doubt, or those of one wave."""
    resends = Policy.of(settings).resends
    async with database.read() as connection:
        rows = await doubts.in_doubt(connection, wave)
        sending = await doubts.being_sent(connection, wave)
    return Doubts(
        settings.doubt.policy,
        [
            Doubt(row, vault.reference(row.token.hex()), from_ms(row.due_ms) if row.due_ms and resends else None)
            for row in rows
        ],
        sending,
    )


async def look(
    database: Database, vault: Vault, which: Which, *, resend: bool, may_wait: MayWait = anything
) -> Settled:
    """What :func:`resend` (or :func:`accept`) would change. Raises OperatorError for a word that names no delivery, and
    if :func:`resend` would refuse."""
    async with database.read() as connection:
        chosen, settled = await _chosen(connection, vault, which, resend=resend)
        if resend and chosen:
            await may_wait(connection, frozenset(row.batch for row in chosen))
    return _settled(chosen, settled)


async def resend(
    database: Database, vault: Vault, which: Which, *, by: str, now: datetime, may_wait: MayWait = anything
) -> Settled:
    """Put them back into the queue, due at once: `send` sends each once more. Raises OperatorError; nothing was
    changed then."""
    state = advance(State.IN_DOUBT, Event.RESEND)
    settle = partial(_settle, state=state, now=now, entry=partial(_entry, "doubt_resent", now=now, by=by))

    async def settle_if_it_may(connection: Connection, rows: Sequence[DoubtRow]) -> None:
        if rows:
            await may_wait(connection, frozenset(row.batch for row in rows))
        await settle(connection, rows)

    return await _decide(database, vault, which, settle_if_it_may, resend=True)


async def accept(
    database: Database,
    vault: Vault,
    settings: Settings,
    which: Which,
    *,
    reason: str,
    by: str,
    now: datetime,
    listed: frozenset[str] = frozenset(),
) -> Settled:
    """Take them as handed over, observed from now on like what the relay accepted. ``reason``: for the journal; what
    names those whom the deliveries reach and inform is taken out of it, and what looks like somebody's address or
    number (``listed``: domains that may stand in it). Raises OperatorError; nothing was changed then."""
    said = await _impersonal(database, vault, which, reason, listed)
    state = advance(State.IN_DOUBT, Event.TAKE)
    until = to_ms(now + Policy.of(settings).observe)
    entry = partial(_entry, "doubt_accepted", now=now, by=by, reason=said)
    settle = partial(_settle, state=state, now=now, observe_until_ms=until, entry=entry)
    return await _decide(database, vault, which, settle, resend=False)


async def _impersonal(database: Database, vault: Vault, which: Which, reason: str, listed: frozenset[str]) -> str:
    """The reason as it may be kept. One reason is given for all of them, and may name any: everybody's values are
    taken out of it. Not where somebody says "all" and they are many: no word would be left."""
    about: list[Contact] = []
    async with database.read() as connection:
        chosen, _ = await _chosen(connection, vault, which, resend=False)
        ids = [row.id for row in chosen] if which.words or len(chosen) <= SHOWN else []
        for first in range(0, len(ids), PAGE):
            for kind, identity, sealed in await doubts.told(connection, ids[first : first + PAGE]):
                about.append(Contact.of(vault.unseal(kind, identity, sealed)))
    return impersonal(reason, about, listed)


async def _decide(
    database: Database,
    vault: Vault,
    which: Which,
    settle: Callable[[Connection, Sequence[DoubtRow]], Awaitable[None]],
    *,
    resend: bool,
) -> Settled:
    """Choose, then settle page by page, each page with its entries (I4) and as its rows are by then: after a restored
    backup there may be millions, and a sender waits for none of them long. Stopped in the middle, running it again
    goes on."""
    async with database.read() as connection:
        chosen, left = await _chosen(connection, vault, which, resend=resend)
    settled: list[DoubtRow] = []
    for first in range(0, len(chosen), PAGE):
        async with database.write() as connection:
            now = await doubts.still_in_doubt(connection, [row.id for row in chosen[first : first + PAGE]])
            rows = [row for row in now if not (resend and row.is_excluded)]
            await settle(connection, rows)
        settled += rows
    return _settled(settled, replace(left, already=left.already + len(chosen) - len(settled)))


async def _settle(
    connection: Connection,
    rows: Sequence[DoubtRow],
    *,
    state: State,
    now: datetime,
    entry: Callable[[DoubtRow], Entry],
    observe_until_ms: int | None = None,
) -> None:
    if rows:
        ids = [row.id for row in rows]
        await doubts.move(connection, ids, state=state, now_ms=to_ms(now), observe_until_ms=observe_until_ms)
        await journal.append(connection, [entry(row) for row in rows])


def _entry(kind: str, row: DoubtRow, *, now: datetime, by: str, reason: str = "") -> Entry:
    facts = {"attempt": row.attempt, "doubts": row.doubts, "by": by}
    return Entry(now, kind, row.token.hex(), facts | ({"reason": reason} if reason else {}))


async def _chosen(
    connection: Connection, vault: Vault, which: Which, *, resend: bool
) -> tuple[list[DoubtRow], Settled]:
    """The rows that a decision changes, and the counts of those that it leaves."""
    if which.every == bool(which.words):
        raise OperatorError("say which, by case reference or token (`doubt list` names them), or --all")
    rows = await doubts.in_doubt(connection, which.wave)
    already = 0
    if not which.every:
        named = {row.token.hex(): row for row in rows} | {vault.reference(row.token.hex()): row for row in rows}
        found: dict[int, DoubtRow] = {}
        for word in which.words:
            row = named.get(word.strip().lower()) or named.get(spelled_reference(word))
            if row is not None:
                found[row.id] = row
            elif await _is_known(connection, vault, word):
                already += 1
            else:
                raise OperatorError(
                    f"a word of {len(word.strip())} characters names no delivery: give a case reference "
                    "(XXXX-XXXX-XXXX) or the 32 digits of its token; nothing was changed"
                )
        rows = [found[number] for number in sorted(found)]
    # Who was taken out since is not written to once more.
    chosen = [row for row in rows if not (resend and row.is_excluded)]
    settled = Settled(already=already, excluded=len(rows) - len(chosen))
    return [row for row in chosen if which.among is None or row.token.hex() in which.among], settled


async def _is_known(connection: Connection, vault: Vault, word: str) -> bool:
    token = word.strip().lower()
    if _TOKEN.fullmatch(token):
        return await doubts.exists(connection, bytes.fromhex(token))
    spelled = spelled_reference(word)
    try:
        number = number_of_reference(spelled)
    except ValueError:
        return False
    if number >= 1 << 60:
        return False
    return any(vault.reference(each.hex()) == spelled for _, each in await evidence.with_reference(connection, number))


def _settled(chosen: Sequence[DoubtRow], left: Settled) -> Settled:
    return Settled(
        [row.token.hex() for row in chosen], sum(row.doubts > 1 for row in chosen), left.already, left.excluded
    )
