"""Queries on deliveries that were being sent when somebody whom they inform was taken out of the campaign.

Whoever takes somebody out marks them (storage/removals.py): a message on the wire cannot be called back, but what
becomes of it afterwards can. Whoever records how the attempt ended finds the mark in the guard of its own statement,
and only then asks this module, on the sender's own connection: no other message costs a query for it.
"""

from __future__ import annotations

from sqlite3 import Connection

from notifier.storage.deliveries import Claim

# Somebody of the delivery d is still to be told. A rectification tells whom the operator withdrew.
SOMEBODY_IS_OWED = (
    "EXISTS (SELECT 1 FROM notifications n CROSS JOIN persons p CROSS JOIN waves w WHERE n.delivery_id = {delivery} "
    "AND p.id = n.person_id AND w.id = n.wave_id "
    "AND (p.excluded = '' OR (p.excluded = 'operator' AND w.kind = 'rectification')))"
)


def unmark(connection: Connection, held: Claim) -> bool:
    """Take the mark off, if this attempt's delivery bears one. False: it has none, or is this attempt's no more."""
    changed = connection.execute(
        "UPDATE deliveries SET is_recalled = FALSE "
        "WHERE id = ? AND state = 'sending' AND attempt = ? AND epoch = ? AND is_recalled = TRUE",
        (held.id, held.attempt, held.epoch),
    )
    return changed.rowcount == 1


def is_owed(connection: Connection, delivery: int) -> bool:
    """Whether it informs somebody who is not out."""
    (found,) = connection.execute(f"SELECT {SOMEBODY_IS_OWED.format(delivery='?')}", (delivery,)).fetchone()
    return bool(found)


def may_have_told(connection: Connection, delivery: int) -> bool:
    """Whether the answer to an attempt was lost: to one of its own, or of the e-mail whose place it took (RFC 1047)."""
    (found,) = connection.execute(
        "SELECT d.doubts > 0 OR EXISTS (SELECT 1 FROM deliveries o WHERE o.id = d.replaces_id AND o.doubts > 0) "
        "FROM deliveries d WHERE d.id = ?",
        (delivery,),
    ).fetchone()
    return bool(found)


def settle(connection: Connection, delivery: int, *, was: str, state: str, now_ms: int) -> int:
    """Move it, from the state that it ``was`` in, to one in which nobody sends it by itself; its last attempt."""
    ((attempt,),) = connection.execute(
        "UPDATE deliveries SET state = :state, since_ms = :now, due_ms = 0 WHERE id = :id AND state = :was "
        "RETURNING attempt",
        {"state": state, "now": now_ms, "id": delivery, "was": was},
    ).fetchall()
    return int(attempt)


def free(connection: Connection, delivery: int) -> list[tuple[str, bytes]]:
    """Its notifications leave it, and say at once what the next plan would say: excluded. (sender, identity) of each
    person, in order."""
    found = connection.execute(
        "SELECT p.sender, p.identity FROM notifications n CROSS JOIN persons p "
        "WHERE n.delivery_id = ? AND p.id = n.person_id ORDER BY p.id",
        (delivery,),
    ).fetchall()
    connection.execute(
        "UPDATE notifications SET excluded = (SELECT p.excluded FROM persons p WHERE p.id = person_id), "
        "route = 'none', route_reason = 'excluded', review = '', batch_id = NULL, delivery_id = NULL "
        "WHERE delivery_id = ?",
        (delivery,),
    )
    return [(sender, identity) for sender, identity in found]
