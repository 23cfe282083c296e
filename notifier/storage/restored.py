"""Queries of `recover`, on the sender's own connection: what a restored database believes to be waiting."""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection

from notifier.storage.deliveries import _WAITING


@dataclass(frozen=True, slots=True)
class Suspect:
    """A delivery that may have gone out since the backup was made. ``attempt``: the one that nobody knows of."""

    id: int
    token: bytes
    attempt: int
    started_ms: int


def count(connection: Connection) -> int:
    """How many a recovery would hold: approved mail that waits, that was being sent, that is to be resent."""
    (number,) = connection.execute(
        f"SELECT (SELECT COUNT(*) FROM deliveries WHERE {_WAITING}) "  # noqa: S608
        "+ (SELECT COUNT(*) FROM deliveries WHERE state = 'sending') "
        "+ (SELECT COUNT(*) FROM deliveries WHERE wave_id IN (SELECT id FROM waves) AND state = 'in_doubt' "
        "AND due_ms > 0)"
    ).fetchone()
    return int(number)


def raise_epoch(connection: Connection, least: int) -> int:
    """A number that no sender of the branch that was lost has had."""
    ((epoch,),) = connection.execute(
        "UPDATE campaign SET sender_epoch = MAX(sender_epoch, :least) + 1 WHERE id = 1 RETURNING sender_epoch",
        {"least": least},
    ).fetchall()
    return int(epoch)


def suspect_waiting(connection: Connection, *, state: str, epoch: int, now_ms: int, most: int) -> list[Suspect]:
    """Move at most ``most`` deliveries that wait to ``state``, held, as if an attempt had begun that nobody saw end."""
    rows = connection.execute(
        "UPDATE deliveries SET state = :state, attempt = attempt + 1, epoch = :epoch, started_ms = :now, "  # noqa: S608
        "first_ms = COALESCE(first_ms, :now), since_ms = :now, due_ms = 0, doubts = doubts + 1 WHERE id IN "
        f"(SELECT id FROM deliveries WHERE {_WAITING} LIMIT :most) RETURNING id, token, attempt, started_ms",
        {"state": state, "epoch": epoch, "now": now_ms, "most": most},
    )
    return sorted((Suspect(*row) for row in rows.fetchall()), key=lambda one: one.id)


def hold_resends(connection: Connection, *, now_ms: int, most: int) -> list[Suspect]:
    """At most ``most`` deliveries in doubt that were to be sent once more are not, for they may have been."""
    rows = connection.execute(
        "UPDATE deliveries SET since_ms = :now, due_ms = 0, doubts = doubts + 1 WHERE id IN (SELECT id FROM deliveries "
        "WHERE wave_id IN (SELECT id FROM waves) AND state = 'in_doubt' AND due_ms > 0 LIMIT :most) "
        "RETURNING id, token, attempt, started_ms",
        {"now": now_ms, "most": most},
    )
    return sorted((Suspect(*row) for row in rows.fetchall()), key=lambda one: one.id)


def accept(
    connection: Connection, token: bytes, *, was: str, state: str, now_ms: int, observe_until_ms: int
) -> Suspect | None:
    """Move a delivery that is held in doubt; None if it is not, or is no delivery of this database. ``attempt``: one
    more than it has had, for the attempt that was lost."""
    rows = connection.execute(
        "UPDATE deliveries SET state = :state, since_ms = :now, observe_until_ms = :until "
        "WHERE token = :token AND state = :was AND due_ms = 0 RETURNING id, token, attempt, started_ms",
        {"state": state, "now": now_ms, "until": observe_until_ms, "token": token, "was": was},
    ).fetchall()
    return Suspect(*rows[0]) if rows else None


def add_accepted(connection: Connection, one: Suspect, *, code: int, enhanced: str, reply: str, now_ms: int) -> None:
    """The answer to its attempt, which comes late."""
    connection.execute(
        "INSERT INTO attempts (delivery_id, number, outcome, late, phase, code, enhanced, reply, notice_sha256, "
        "started_ms, ended_ms) VALUES (?, ?, 'accepted', TRUE, 'final', ?, ?, ?, '', ?, ?) ON CONFLICT DO NOTHING",
        (one.id, one.attempt, code, enhanced, reply, one.started_ms, now_ms),
    )


def add_attempts(connection: Connection, suspects: list[Suspect], *, reply: str) -> None:
    """An attempt of each that nobody saw end. It begins and ends in one instant: by that tempo.py tells it from one
    that was made."""
    connection.executemany(
        "INSERT INTO attempts (delivery_id, number, outcome, late, phase, enhanced, reply, notice_sha256, started_ms, "
        "ended_ms) VALUES (?, ?, 'in_doubt', FALSE, 'final', '', ?, '', ?, ?) ON CONFLICT DO NOTHING",
        [(one.id, one.attempt, reply, one.started_ms, one.started_ms) for one in suspects],
    )
