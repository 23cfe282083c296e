"""A restored database: what it believes to be waiting may have gone out since the backup was made.

Whatever waits, was being sent, or is to be resent goes in doubt and is *held*, whatever the campaign's policy for
doubts says: a policy is for a handful that a crash left, and this may be everybody. Nobody is told twice by accident,
nobody is passed over in silence: `doubt list | resend | accept` decides, by name.

It goes in slices, each a transaction of its own; a crash between two leaves the rest waiting, and the head, by which
every sending command is stopped, as it was: `recover` again does the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifier.campaign import RetrySection
from notifier.delivery.evidence import Accepted
from notifier.delivery.pause import pause_now
from notifier.delivery.record import Policy
from notifier.delivery.recovery import recover
from notifier.delivery.replies import redacted
from notifier.delivery.states import Event, State, advance
from notifier.model import Entry, from_ms, to_ms, utc_text
from notifier.storage import cycle, deliveries, restored
from notifier.storage.cycle import Connection
from notifier.storage.restored import Suspect
from notifier.vault import Vault

SLICE = 5_000
RESTORED = "restored"  # why it is in doubt
MAIL_LOG = "mail_log"  # by what it is known to be accepted
WORDS = "restored: the database is a backup, and this may have gone out since it was made"


def count(connection: Connection) -> int:
    """How many would be held."""
    return restored.count(connection)


def count_held(connection: Connection) -> int:
    """How many are in doubt and wait for a decision."""
    return deliveries.left(connection, wave_id=None).held


def begin(
    connection: Connection,
    vault: Vault,
    *,
    facts: Mapping[str, object],
    subject: str,
    is_new: bool,
    least_epoch: int,
    pause_words: str,
    by: str,
    now: datetime,
) -> int:
    """The admission, and the orphans that the backup itself held, in the caller's transaction; the sender's epoch from
    here on. ``is_new``: it was not admitted before; ``pause_words``: not empty = pause the campaign."""
    epoch = restored.raise_epoch(connection, least_epoch)
    if is_new:
        entry = Entry(now, "recovered_from_backup", subject, {**facts, "epoch": epoch})
        cycle.append(connection, [entry])
    # Hold, whatever the settings say: no time is read of them.
    policy = Policy(RetrySection(), resends=False, observe=now - now)
    epoch, _ = recover(connection, vault, policy, now=now, roll=0.0)
    if pause_words:
        pause_now(connection, reason=pause_words, by=by, now=now)
    return epoch


def hold_slice(connection: Connection, *, epoch: int, now: datetime) -> int:
    """Hold the next ones, in the caller's transaction; how many."""
    now_ms = to_ms(now)
    again = restored.hold_resends(connection, now_ms=now_ms, most=SLICE)
    state = advance(State.QUEUED, Event.SUSPECT)
    suspects = restored.suspect_waiting(connection, state=state, epoch=epoch, now_ms=now_ms, most=SLICE)
    restored.add_attempts(connection, suspects, reply=WORDS)
    entries = [_entry(kind, one, now) for one in suspects for kind in ("delivery_in_doubt", "delivery_held")]
    cycle.append(connection, [*(_entry("delivery_held", one, now) for one in again), *entries])
    return len(again) + len(suspects)


@dataclass(frozen=True, slots=True)
class Word:
    """Whose word it is that a mail log is to be believed, and the log's hash."""

    by: str
    sha256: str


def accept_slice(
    connection: Connection, lines: Sequence[Accepted], *, word: Word, observe: timedelta, now: datetime
) -> int:
    """What a mail log lists as accepted is, if it is held, in the caller's transaction: an answer that comes late. What
    it quotes is made fit to be kept like a server's own words (I8): the log bears no signature."""
    entries = []
    for line in lines:
        one = restored.accept(
            connection,
            line.token,
            was=State.IN_DOUBT,
            state=advance(State.IN_DOUBT, Event.ACCEPT_LATE),
            now_ms=to_ms(now),
            observe_until_ms=to_ms(now + observe),
        )
        if one is not None:
            reply = redacted(line.reply, ())
            restored.add_accepted(
                connection, one, code=line.code, enhanced=line.enhanced, reply=reply, now_ms=to_ms(now)
            )
            more = {"code": line.code, "enhanced": line.enhanced, "reply": reply, "late": True, "logged": line.at}
            word_of = {"because": MAIL_LOG, "mail_log": word.sha256, "by": word.by}
            entries.append(_entry("delivery_accepted", one, now, more | word_of))
    cycle.append(connection, entries)
    return len(entries)


def _entry(kind: str, one: Suspect, now: datetime, more: Mapping[str, object] | None = None) -> Entry:
    """As delivery/record.py writes them; ``because`` says that nobody saw this attempt."""
    facts: dict[str, object] = {
        "attempt": one.attempt,
        "started": utc_text(from_ms(one.started_ms)),
        "phase": "final",
        "code": 0,
        "enhanced": "",
        "reply": WORDS,
        "reply_sha256": "",
        "notice_sha256": "",
        "relay": "",
        "late": False,
        "because": RESTORED,
        **(more or {}),
    }
    return Entry(now, kind, one.token.hex(), facts)
