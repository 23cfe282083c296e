"""What becomes of a delivery whose persons were all taken out while it was being sent.

What is on the wire cannot be called back; what follows can, and nobody is written to for it. Accepted is accepted, and
a rectification is owed. Where nothing can have arrived, it is withdrawn, and its persons are excluded, as if it had
never been begun: who took them out would have found it so a moment later. Where something may have arrived (RFC 1047),
it is held, and somebody decides. A failed address gets neither a second e-mail nor a letter.
"""

from __future__ import annotations

from datetime import datetime

from notifier.delivery.states import Event, State, advance, sources
from notifier.model import Entry, to_ms
from notifier.storage import cycle, recalled
from notifier.storage.cycle import Connection
from notifier.storage.deliveries import Claim
from notifier.vault import Vault

EXCLUDED, HELD = "excluded", "held"  # what then
_FAILED = frozenset({State.REFUSED, State.EXPIRED})


def settle(connection: Connection, vault: Vault, held: Claim, state: State, now: datetime) -> str:
    """What follows on the step to ``state`` that was just recorded, in the caller's transaction, with its entries:
    "excluded", "held", or "" where nothing does."""
    if state is State.ACCEPTED:
        return ""
    if not recalled.may_have_told(connection, held.id):
        _withdraw(connection, vault, held, state, now)
        return EXCLUDED
    if state is State.IN_DOUBT or state in sources(Event.SUSPECT):
        after = state if state is State.IN_DOUBT else advance(state, Event.SUSPECT)
        attempt = recalled.settle(connection, held.id, was=state, state=after, now_ms=to_ms(now))
        facts = {"attempt": attempt, "because": "excluded"}
        cycle.append(connection, [Entry(now, "delivery_held", held.token.hex(), facts)])
        return HELD
    return ""  # refused, expired or unmade after a doubt: nobody sends it by itself


def _withdraw(connection: Connection, vault: Vault, held: Claim, state: State, now: datetime) -> None:
    if state not in _FAILED:
        after = advance(state, Event.WITHDRAW)
        recalled.settle(connection, held.id, was=state, state=after, now_ms=to_ms(now))
    facts = {"wave": held.wave, "reason": "excluded"}
    persons = recalled.free(connection, held.id)
    cycle.append(
        connection,
        [Entry(now, "notification_replanned", vault.pseudonym(*person), facts) for person in persons],
    )
