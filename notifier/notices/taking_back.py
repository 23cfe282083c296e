"""An approval is taken back for what has told nobody: where settings cannot be set back to what was approved.

What waits, and what every server answered with "later", is withdrawn; its notifications are free, and the next plan
makes them anew, for an approval of their own (I1: nobody is lost; I3: what is withdrawn never goes out). What may have
told somebody is held in doubt, for a decision (RFC 1047). What was accepted, refused, printed or posted stays, the
letter that took a refused e-mail's place too. The batch itself stays as it was approved: what went out of it, did.

In slices, each a transaction with its entries (I4): stopped in the middle, the rest waits as it did, nothing is
approved in the wave before a plan, and running it again goes on. Running it once more changes nothing. The caller holds
the sender's lock.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from notifier.errors import OperatorError
from notifier.model import Entry, to_ms
from notifier.storage import batches, journal, untold, waves
from notifier.storage.database import Connection, Database
from notifier.storage.untold import Waiting
from notifier.vault import Vault

SLICE = 5_000  # deliveries in one transaction
REASON = "approval_taken_back"


@dataclass(slots=True)
class TakenBack:
    """What came of it. ``deliveries``: withdrawn; ``persons``: whose notifications are free; ``held``: in doubt now, or
    still, and waiting for a decision, that would have gone out once more."""

    deliveries: int = 0
    persons: int = 0
    held: int = 0

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"withdrawn": self.deliveries, "notifications": self.persons, "held": self.held}


async def look(database: Database, wave: str) -> Waiting:
    """What :func:`take_back` would change. Raises OperatorError when there is no such wave."""
    async with database.read() as connection:
        return await untold.count(connection, await _wave_id(connection, wave))


async def take_back(
    database: Database,
    vault: Vault,
    *,
    wave: str,
    why: str,
    by: str,
    now: datetime,
    orphans: Collection[bytes] = (),
) -> TakenBack:
    """Take back what told nobody, hold what may have told somebody. ``why``: without personal data; ``orphans``: tokens
    of what a killed sender was at, in doubt since, that count as held too. Raises OperatorError when there is no such
    wave; nothing was changed then."""
    made, doubted = TakenBack(held=len(orphans)), set(orphans)
    is_first = True
    while True:
        async with database.write() as connection:
            number = await _wave_id(connection, wave)
            held = await untold.hold(connection, number)
            withdrawn, freed = await untold.free(connection, number, now_ms=to_ms(now), most=SLICE)
            if not held and not withdrawn:
                return made
            order = [Entry(now, REASON, facts={"wave": wave, "why": why, "by": by})] if is_first else []
            is_first = False
            # Approved as they are now, the freed ones would be told by nothing: a plan comes first.
            await waves.plan_anew(connection, number)
            await journal.append(connection, [*order, *_entries(vault, wave, held, freed, now)])
        doubted.update(token for token, _ in held)
        made.deliveries += withdrawn
        made.persons += len(freed)
        made.held = len(doubted)


def _entries(
    vault: Vault, wave: str, held: Sequence[tuple[bytes, int]], freed: Sequence[tuple[str, bytes]], now: datetime
) -> list[Entry]:
    facts = {"wave": wave, "reason": REASON}
    return [
        *(Entry(now, "delivery_held", token.hex(), {"attempt": last, "because": REASON}) for token, last in held),
        *(Entry(now, "notification_replanned", vault.pseudonym(*person), dict(facts)) for person in freed),
    ]


async def _wave_id(connection: Connection, wave: str) -> int:
    number = await batches.wave_id(connection, wave)
    if number is None:
        raise OperatorError(f"there is no wave {wave}: `notifier plan` makes one")
    return number
