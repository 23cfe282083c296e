"""Queries on deliveries and attempts, as fixed SQL on the sender's own connection (storage/cycle.py).

Every function runs in the caller's transaction. What a state may become is decided in delivery/states.py; the guards
here (id, state, attempt, epoch) only make sure that it is decided on what the row still says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from sqlite3 import Connection
from typing import NamedTuple

# Mail that was approved. The words of the partial index deliveries_due, so that SQLite uses it.
_WAITING = "channel = 'mail' AND state IN ('queued', 'deferred') AND batch_id IS NOT NULL"
_NOT_RESTING = "provider NOT IN (SELECT value FROM json_each(:resting)) AND "
_OF_WAVE = "(:wave_id IS NULL OR wave_id = :wave_id)"
PRIORITIES = (0, 1, 2)  # people/rounds.py says whose is which


def of_priority(priority: int | str, columns: str, condition: str, most: str) -> str:
    """Approved mail of this priority that waits, at most ``most``, in the order of ``due_ms``."""
    return (
        f"SELECT {columns} FROM deliveries WHERE {_WAITING} AND priority = {priority} "  # noqa: S608
        f"AND {condition} ORDER BY due_ms, id LIMIT {most}"
    )


# One walk along the index deliveries_due for each priority: what goes first and is not due yet must not be walked over
# to reach what is.
def of_each_priority(columns: str, condition: str, most: str) -> str:
    """:func:`of_priority` of all of them."""
    walks = (of_priority(priority, columns, condition, most) for priority in PRIORITIES)
    return " UNION ALL ".join(f"SELECT * FROM ({walk})" for walk in walks)  # noqa: S608


_DUE = (
    f"SELECT id FROM ({of_each_priority('id, priority, due_ms', f'due_ms <= :now AND {_OF_WAVE}', ':most')}) "  # noqa: S608
    "ORDER BY priority, due_ms, id LIMIT :most"
)
_NEXT_DUE = f"SELECT MIN(due_ms) FROM ({of_each_priority('due_ms', _OF_WAVE, '1')})"  # noqa: S608

# While lanes rest, the others are walked along the index deliveries_lane: a million deliveries that wait in a lane at
# rest must not be walked over to reach the few that are due in another.
_ALONG = f"FROM deliveries INDEXED BY deliveries_lane WHERE {_WAITING}"
_LANES = (
    f"WITH RECURSIVE lane(name) AS (SELECT * FROM (SELECT provider {_ALONG} ORDER BY provider LIMIT 1) "  # noqa: S608
    f"UNION ALL SELECT (SELECT provider {_ALONG} AND provider > name ORDER BY provider LIMIT 1) FROM lane "
    "WHERE name IS NOT NULL) SELECT name FROM lane WHERE name IS NOT NULL"
)
_OF_LANE = (
    f"SELECT due_ms, id {_ALONG} AND provider = :provider AND priority = :priority AND due_ms <= :now "
    f"AND {_OF_WAVE} ORDER BY due_ms, id LIMIT :most"
)
_NEXT_OF_LANE = (
    f"SELECT due_ms {_ALONG} AND provider = :provider AND priority = :priority AND {_OF_WAVE} ORDER BY due_ms LIMIT 1"
)


# What is made for every message is a NamedTuple: as immutable as a frozen dataclass, and made in a tenth of its time.


class Informed(NamedTuple):
    """A person whom a delivery informs. ``own_*``: the person's own contact, if it is not the one written to."""

    sender: str
    identity: bytes
    sealed: bytes
    own_identity: bytes | None
    own_sealed: bytes | None

    def __repr__(self) -> str:
        return "Informed()"


class Claim(NamedTuple):
    """A delivery and what its attempt needs; the personal part still sealed. Times in milliseconds since 1970 UTC."""

    id: int
    token: bytes
    wave_id: int
    wave: str
    batch_id: int
    segment_id: int
    contact_id: int
    provider: str
    attempt: int
    retries: int
    doubts: int
    first_ms: int
    started_ms: int
    epoch: int
    sender: str
    form: str
    identity: bytes
    sealed: bytes
    has_postal: bool
    is_second: bool = False  # to the contact's second address
    has_second: bool = False
    informed: tuple[Informed, ...] = ()

    def __repr__(self) -> str:
        return f"Claim({self.id}, attempt {self.attempt})"

    def at(self, now_ms: int) -> Claim:
        """The same as if its attempt had begun now (a dry run's)."""
        return self._replace(started_ms=now_ms, first_ms=self.first_ms or now_ms)


class Move(NamedTuple):
    """A step out of SENDING: the new state and what goes with it, in the order of :data:`_MOVE`."""

    state: str
    now_ms: int
    due_ms: int
    retries: int
    doubts: int
    observe_until_ms: int | None = None


class AttemptRow(NamedTuple):
    """How one attempt ended, in the order of its columns. ``reply``: redacted; ``reply_sealed``: verbatim."""

    outcome: str
    phase: str
    code: int | None
    enhanced: str
    reply: str
    reply_sealed: bytes | None
    notice_sha256: str
    ended_ms: int

    def __repr__(self) -> str:
        return f"AttemptRow({self.outcome}, {self.phase})"


@dataclass(frozen=True, slots=True)
class Left:
    """What a wave (or the campaign) still holds."""

    waiting: int  # approved, queued or deferred
    sending: int
    resend: int  # in doubt, to be sent once more
    held: int  # in doubt, somebody decides
    unapproved: int
    letters: int  # to print
    reviews: int
    unmade: int = 0  # set aside, somebody decides


# -- claiming ------------------------------------------------------------------------------------------------------


def claim(
    connection: Connection,
    *,
    now_ms: int,
    epoch: int,
    most: int,
    wave_id: int | None = None,
    among: Sequence[int] | None = None,
    resting: Sequence[str] = (),
    longest_ms: int | None = None,
) -> list[int]:
    """Mark at most ``most`` due deliveries SENDING, by priority, the longest due first; their ids. ``among``: only
    these; ``resting``: providers of which none is taken; ``longest_ms``: what lies between two attempts beyond this is
    time in which we did not try, and the limit of the retries moves by it (None: all is counted)."""
    if resting and among is None:
        among = _due_elsewhere(connection, now_ms, most, wave_id, resting)
    chosen = (
        _DUE
        if among is None
        else f"SELECT id FROM deliveries WHERE id IN (SELECT value FROM json_each(:among)) AND {_NOT_RESTING}"  # noqa: S608
        f"{_WAITING} AND due_ms <= :now LIMIT :most"
    )
    rows = connection.execute(
        "UPDATE deliveries SET state = 'sending', attempt = attempt + 1, epoch = :epoch, started_ms = :now, "  # noqa: S608
        "first_ms = COALESCE(first_ms + MAX(0, COALESCE(:now - started_ms - :longest, 0)), :now), since_ms = :now "
        f"WHERE id IN ({chosen}) RETURNING id",
        {
            "now": now_ms,
            "longest": longest_ms,
            "epoch": epoch,
            "most": most,
            "wave_id": wave_id,
            "among": None if among is None else json.dumps(list(among)),
            "resting": json.dumps(list(resting)),
        },
    )
    return [row[0] for row in rows.fetchall()]


def _due_elsewhere(
    connection: Connection, now_ms: int, most: int, wave_id: int | None, resting: Sequence[str]
) -> list[int]:
    """What :data:`_DUE` would choose, did the lanes that rest not exist."""
    chosen: list[int] = []
    lanes = open_lanes(connection, resting)
    for priority in PRIORITIES:
        values = {"now": now_ms, "most": most - len(chosen), "wave_id": wave_id, "priority": priority}
        found = sorted(row for lane in lanes for row in connection.execute(_OF_LANE, {**values, "provider": lane}))
        chosen += [number for _, number in found[: most - len(chosen)]]
        if len(chosen) == most:
            break
    return chosen


def open_lanes(connection: Connection, resting: Sequence[str]) -> list[str]:
    """The providers of which mail waits, without those that rest."""
    return [name for (name,) in connection.execute(_LANES) if name not in resting]


def fetch(connection: Connection, ids: Iterable[int]) -> list[Claim]:
    """What the attempts of these deliveries need, in order of id."""
    rows = connection.execute(
        "SELECT d.id, d.token, d.wave_id, w.name, d.batch_id, d.segment_id, d.contact_id, d.provider, d.attempt, "
        "d.retries, d.doubts, d.first_ms, d.started_ms, d.epoch, s.sender, s.form, c.identity, c.sealed, c.has_postal, "
        "d.is_second, c.second_mailbox IS NOT NULL, s.audience "
        "FROM deliveries d JOIN waves w ON w.id = d.wave_id JOIN segments s ON s.id = d.segment_id "
        "JOIN contacts c ON c.id = d.contact_id WHERE d.id IN (SELECT value FROM json_each(:ids)) ORDER BY d.id",
        {"ids": json.dumps(list(ids))},
    ).fetchall()
    # A notice to its reader alone needs no other names: most of them. A dependant's own may go to the contract's
    # mailbox, which is somebody else's.
    others = [row[0] for row in rows if row[15] != "own" or row[21] == "dependant"]
    theirs = _informed(connection, others) if others else {}
    # The last column gives way to the persons informed.
    return [Claim._make((*row[:-1], theirs.get(row[0], ()))) for row in rows]


def informed(connection: Connection, delivery_id: int) -> tuple[Informed, ...]:
    """The persons whom a delivery informs."""
    return _informed(connection, [delivery_id]).get(delivery_id, ())


# From the ids to the rows, in this order, whatever the planner thinks of a table's size.
_INFORMED = (
    "SELECT n.delivery_id, p.sender, p.identity, p.sealed, own.identity, own.sealed FROM json_each(:ids) AS ids "
    "CROSS JOIN deliveries d ON d.id = ids.value CROSS JOIN contacts reader ON reader.id = d.contact_id "
    "CROSS JOIN notifications n ON n.delivery_id = d.id CROSS JOIN persons p ON p.id = n.person_id "
    # A newer row of the same member is nobody else.
    "LEFT JOIN contacts own ON own.id = p.contact_id AND own.identity <> reader.identity ORDER BY n.delivery_id, p.id"
)


def _informed(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[Informed, ...]]:
    rows = connection.execute(_INFORMED, {"ids": json.dumps(list(ids))})
    return {number: tuple(Informed._make(row[1:]) for row in group) for number, group in groupby(rows, itemgetter(0))}


def approved_after(connection: Connection, *, after: int, most: int, wave_id: int | None) -> list[int]:
    """Ids of approved mail that waits, due or not, in order of id: what a dry run walks over."""
    rows = connection.execute(
        f"SELECT id FROM deliveries WHERE {_WAITING} AND id > :after AND {_OF_WAVE} ORDER BY id LIMIT :most",  # noqa: S608
        {"after": after, "most": most, "wave_id": wave_id},
    )
    return [row[0] for row in rows]


def next_due(connection: Connection, *, wave_id: int | None, resend: bool, resting: Sequence[str] = ()) -> int | None:
    """When the next mail delivery is due; None if none waits. ``resend``: those in doubt count too; ``resting``: those
    of these providers do not."""
    if resting:
        found = [next_due_of_lane(connection, lane, wave_id=wave_id) for lane in open_lanes(connection, resting)]
        dues = [due for due in found if due is not None]
    else:
        row = connection.execute(_NEXT_DUE, {"wave_id": wave_id}).fetchone()
        dues = [int(row[0])] if row[0] is not None else []
    if resend:
        row = connection.execute(
            "SELECT MIN(due_ms) FROM deliveries WHERE wave_id IN (SELECT id FROM waves) AND state = 'in_doubt' "  # noqa: S608
            f"AND due_ms > 0 AND {_OF_WAVE}",
            {"wave_id": wave_id},
        ).fetchone()
        dues += [int(row[0])] if row[0] is not None else []
    return min(dues, default=None)


def next_due_of_lane(connection: Connection, provider: str, *, wave_id: int | None) -> int | None:
    """When the next mail delivery of this provider is due; None if none waits."""
    values = {"wave_id": wave_id, "provider": provider}
    found = [connection.execute(_NEXT_OF_LANE, {**values, "priority": priority}).fetchone() for priority in PRIORITIES]
    return min((int(row[0]) for row in found if row is not None), default=None)


# -- moving --------------------------------------------------------------------------------------------------------


# Of this attempt still, and of nobody who was taken out meanwhile (storage/recalled.py).
_MINE = "id = ? AND state = 'sending' AND attempt = ? AND epoch = ? AND is_recalled = FALSE"
_MOVE = (
    "UPDATE deliveries SET state = ?, since_ms = ?, due_ms = ?, retries = ?, doubts = ?, observe_until_ms = ? "  # noqa: S608
    f"WHERE {_MINE}"
)


def _step(held: Claim, step: Move) -> tuple[object, ...]:
    return (*step, held.id, held.attempt, held.epoch)


def move(connection: Connection, held: Claim, step: Move) -> bool:
    """Take the step if the delivery is still this attempt's. False: somebody else settled it, we come late; or somebody
    whom it informs was taken out meanwhile."""
    return connection.execute(_MOVE, _step(held, step)).rowcount == 1


def move_all(connection: Connection, steps: Sequence[tuple[Claim, Move]]) -> bool:
    """:func:`move` for all of them at once. False: it would be of one of them, and none was moved."""
    connection.execute("SAVEPOINT moves")
    changed = connection.executemany(_MOVE, [_step(held, step) for held, step in steps]).rowcount
    if changed != len(steps):
        connection.execute("ROLLBACK TO moves")
    connection.execute("RELEASE moves")
    return changed == len(steps)


def release(connection: Connection, held: Claim, state: str, now_ms: int) -> bool:
    """Give back a claim of which nothing was begun, as if it had never been claimed."""
    changed = connection.execute(
        "UPDATE deliveries SET state = :state, since_ms = :now, attempt = attempt - 1, "
        "first_ms = CASE WHEN attempt = 1 THEN NULL ELSE first_ms END "
        "WHERE id = :id AND state = 'sending' AND attempt = :attempt AND epoch = :epoch AND is_recalled = FALSE",
        {"state": state, "now": now_ms, "id": held.id, "attempt": held.attempt, "epoch": held.epoch},
    )
    return changed.rowcount == 1


def late(connection: Connection, ids: Iterable[int]) -> set[tuple[int, int]]:
    """Of these deliveries the attempts that ended late: id and number."""
    rows = connection.execute(
        "SELECT delivery_id, number FROM attempts WHERE late AND delivery_id IN (SELECT value FROM json_each(:ids))",
        {"ids": json.dumps(list(ids))},
    )
    return {(int(one), int(number)) for one, number in rows}


def replaced(connection: Connection, ids: Iterable[int]) -> set[int]:
    """Those of these deliveries whose place another has taken."""
    rows = connection.execute(
        "SELECT replaces_id FROM deliveries WHERE replaces_id IN (SELECT value FROM json_each(:ids))",
        {"ids": json.dumps(list(ids))},
    )
    return {int(one) for (one,) in rows}


def state_of(connection: Connection, delivery_id: int) -> str:
    """The delivery's state now."""
    row = connection.execute("SELECT state FROM deliveries WHERE id = :id", {"id": delivery_id}).fetchone()
    return str(row[0])


def accept_late(connection: Connection, delivery_id: int, *, was: str, state: str, now_ms: int, observe: int) -> bool:
    """An attempt that was given up for lost turns out accepted: it is not sent again."""
    changed = connection.execute(
        "UPDATE deliveries SET state = :state, since_ms = :now, due_ms = 0, observe_until_ms = :observe "
        "WHERE id = :id AND state = :was",
        {"state": state, "now": now_ms, "observe": observe, "id": delivery_id, "was": was},
    )
    return changed.rowcount == 1


def resend(connection: Connection, *, state: str, now_ms: int, wave_id: int | None) -> int:
    """Move what is in doubt and due for its second sending to ``state``; how many."""
    changed = connection.execute(
        # The list of waves lets SQLite use the index on (wave_id, state): doubts are few, deliveries are millions.
        "UPDATE deliveries SET state = :state, since_ms = :now WHERE wave_id IN (SELECT id FROM waves) "  # noqa: S608
        f"AND state = 'in_doubt' AND due_ms > 0 AND due_ms <= :now AND channel = 'mail' AND {_OF_WAVE}",
        {"state": state, "now": now_ms, "wave_id": wave_id},
    )
    return changed.rowcount


def due_again(connection: Connection, ids: Sequence[int], *, now_ms: int) -> None:
    """What these met was not their own: of those that are deferred, let the next attempt be due at once, and a first
    attempt be none as far as the limit of days goes. It stays counted, whoever counted it."""
    connection.execute(
        "UPDATE deliveries SET due_ms = :now, retries = MAX(retries, 1), "
        "first_ms = CASE WHEN attempt = 1 THEN NULL ELSE first_ms END "
        "WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'deferred'",
        {"ids": json.dumps(list(ids)), "now": now_ms},
    )


def add_attempts(connection: Connection, attempts: Iterable[tuple[Claim, AttemptRow]], *, late: bool) -> None:
    """Write down how attempts ended. A second late report of the same attempt adds nothing. The first of all is kept
    apart: the rows of attempts may begin with those that nobody made (restored.py), however many."""
    ended = [(held.id, held.attempt, late, held.started_ms, *row) for held, row in attempts]
    connection.executemany(
        "INSERT INTO attempts (delivery_id, number, late, started_ms, outcome, phase, code, enhanced, reply, "
        "reply_sealed, notice_sha256, ended_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        ended,
    )
    if ended and not late:
        connection.execute(
            "UPDATE campaign SET first_attempt_ms = ? WHERE id = 1 AND first_attempt_ms IS NULL",
            (min(started_ms for _, _, _, started_ms, *_ in ended),),
        )


def token_exists(connection: Connection, token: bytes) -> bool:
    """Whether a delivery has this token already."""
    return connection.execute("SELECT 1 FROM deliveries WHERE token = ?", (token,)).fetchone() is not None


def write_letter(connection: Connection, held: Claim, *, token: bytes, reference: int, state: str, now_ms: int) -> bool:
    """The letter that takes the place of a failed e-mail: its notifications now hang on it (I1, I3). False: the
    e-mail has its letter already. ``reference``: the number of the token's case reference."""
    return _replace(connection, held, "post", token=token, reference=reference, state=state, now_ms=now_ms)


def write_second(connection: Connection, held: Claim, *, token: bytes, reference: int, state: str, now_ms: int) -> bool:
    """:func:`write_letter`, but an e-mail to the same contact's second address (I2)."""
    return _replace(connection, held, "mail", token=token, reference=reference, state=state, now_ms=now_ms)


def _replace(
    connection: Connection, held: Claim, channel: str, *, token: bytes, reference: int, state: str, now_ms: int
) -> bool:
    inserted = connection.execute(
        "INSERT INTO deliveries (token, reference, wave_id, segment_id, contact_id, channel, is_second, state, "
        "batch_id, attempt, retries, doubts, epoch, provider, priority, due_ms, since_ms, replaces_id, "
        "replaces_attempt) VALUES (:token, :reference, :wave, :segment, "
        ":contact, :channel, :channel = 'mail', :state, :batch, 0, 0, 0, 0, CASE WHEN :channel = 'mail' "
        "THEN (SELECT second_provider FROM contacts WHERE id = :contact) ELSE :provider END, "
        "(SELECT priority FROM deliveries WHERE id = :replaces), 0, :now, :replaces, :attempt) ON CONFLICT DO NOTHING",
        {
            "token": token,
            "reference": reference,
            "channel": channel,
            "wave": held.wave_id,
            "segment": held.segment_id,
            "contact": held.contact_id,
            "state": state,
            "batch": held.batch_id,
            "provider": held.provider,
            "now": now_ms,
            "replaces": held.id,
            "attempt": held.attempt,
        },
    )
    if inserted.rowcount != 1:
        return False
    connection.execute(
        "UPDATE notifications SET delivery_id = (SELECT id FROM deliveries WHERE token = :token) "
        "WHERE delivery_id = :failed",
        {"token": token, "failed": held.id},
    )
    return True


# -- the sender and its campaign -----------------------------------------------------------------------------------


def next_epoch(connection: Connection) -> int:
    """A new sender begins: its number."""
    ((epoch,),) = connection.execute(
        "UPDATE campaign SET sender_epoch = sender_epoch + 1, sender_cycle = 0 WHERE id = 1 RETURNING sender_epoch"
    ).fetchall()
    return int(epoch)


def sender_epoch(connection: Connection) -> int:
    """The number of the last sender that began."""
    return int(connection.execute("SELECT sender_epoch FROM campaign WHERE id = 1").fetchone()[0])


def mark(connection: Connection, cycle: int) -> None:
    """The caller's transaction is this sender's cycle of that number: it stands there if the commit holds."""
    connection.execute("UPDATE campaign SET sender_cycle = :cycle WHERE id = 1", {"cycle": cycle})


def marked(connection: Connection) -> tuple[int, int]:
    """The number of the last sender that began, and of its last cycle that left a mark (0: none has)."""
    epoch, cycle = connection.execute("SELECT sender_epoch, sender_cycle FROM campaign WHERE id = 1").fetchone()
    return int(epoch), int(cycle)


def sender_host(connection: Connection) -> str:
    """The machine that sent last, by its digest; "" before the first."""
    return str(connection.execute("SELECT sender_host FROM campaign WHERE id = 1").fetchone()[0])


def sit(connection: Connection, host: str) -> None:
    """This machine sends from now on."""
    connection.execute("UPDATE campaign SET sender_host = :host WHERE id = 1", {"host": host})


def orphans(connection: Connection) -> list[int]:
    """Ids of deliveries marked SENDING: whoever holds the sender's lock and has claimed nothing yet owns none."""
    return [row[0] for row in connection.execute("SELECT id FROM deliveries WHERE state = 'sending' ORDER BY id")]


def paused_reason(connection: Connection) -> str | None:
    """Why the campaign is paused; None if it is not."""
    row = connection.execute("SELECT paused_reason FROM campaign WHERE id = 1").fetchone()
    return None if row[0] is None else str(row[0])


def pause(connection: Connection, reason: str, now_ms: int) -> bool:
    """Pause the campaign. False: it was paused already, and keeps its first reason."""
    changed = connection.execute(
        "UPDATE campaign SET paused_reason = :reason, paused_ms = :now WHERE id = 1 AND paused_reason IS NULL",
        {"reason": reason, "now": now_ms},
    )
    return changed.rowcount == 1


def wave_id(connection: Connection, name: str) -> int | None:
    """The wave's id, None if there is none of that name."""
    row = connection.execute("SELECT id FROM waves WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row else None


def waits(connection: Connection, *, wave_id: int | None) -> int:
    """How many approved mails wait for an attempt, those to be resent after a doubt among them."""
    (count,) = connection.execute(
        "SELECT COUNT(*) FROM deliveries "  # noqa: S608
        f"WHERE wave_id IN (SELECT id FROM waves) AND {_OF_WAVE} AND channel = 'mail' AND batch_id IS NOT NULL "
        "AND (state IN ('queued', 'deferred') OR (state = 'in_doubt' AND due_ms > 0)) "
        "AND state IN ('queued', 'deferred', 'in_doubt')",
        {"wave_id": wave_id},
    ).fetchone()
    return int(count)


def left(connection: Connection, *, wave_id: int | None) -> Left:
    """What is still there, counted from rows."""
    row = connection.execute(
        "SELECT COALESCE(SUM(channel = 'mail' AND state IN ('queued', 'deferred') AND batch_id IS NOT NULL), 0), "  # noqa: S608
        "COALESCE(SUM(state = 'sending'), 0), COALESCE(SUM(state = 'in_doubt' AND due_ms > 0), 0), "
        "COALESCE(SUM(state = 'in_doubt' AND due_ms = 0), 0), "
        "COALESCE(SUM(channel = 'mail' AND state IN ('queued', 'deferred') AND batch_id IS NULL), 0), "
        "COALESCE(SUM(state = 'to_print'), 0), COALESCE(SUM(state = 'unmade'), 0) FROM deliveries "
        f"WHERE wave_id IN (SELECT id FROM waves) AND {_OF_WAVE} "
        "AND state IN ('queued', 'deferred', 'sending', 'in_doubt', 'to_print', 'unmade')",
        {"wave_id": wave_id},
    ).fetchone()
    reviews = connection.execute(
        f"SELECT COUNT(*) FROM notifications WHERE review <> '' AND excluded = '' AND {_OF_WAVE}",  # noqa: S608
        {"wave_id": wave_id},
    ).fetchone()
    *counts, unmade = row
    return Left(*(int(count) for count in (*counts, *reviews, unmade)))
