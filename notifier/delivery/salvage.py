"""What became of a cycle whose clerk died in the middle of it, and the cycle taken over by the sender.

A clerk's cycle leaves its number in the row that holds the sender's (turn.py), in the transaction that the number is
of: it stands there exactly when the commit held. Whoever asks must know that the clerk is *gone*, its process reaped,
so that nothing of it can still commit. Asked and acted upon is in one transaction, so that nothing comes between.

Nothing is claimed here: the wish may be minutes old, and the next cycle claims by the clock.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace

from notifier.delivery.outcomes import released
from notifier.delivery.record import Decision, Ended, recorded
from notifier.delivery.states import Event
from notifier.delivery.turn import Turn, Wish, take_turn
from notifier.errors import CampaignBusy
from notifier.storage import deliveries
from notifier.storage.cycle import Connection
from notifier.vault import Vault

_log = logging.getLogger(__name__)


def salvage(connection: Connection, *, vault: Vault, wish: Wish, held: Collection[int]) -> Turn:
    """The turn that answers ``wish``, in the caller's transaction. ``held``: ids of what the sender has claimed and
    whose end is not in the wish or an earlier one.

    If the commit held, all that the wish asked for is done but for the sender's knowing of it: the fates are read
    again, and what was claimed, of which nobody ever knew, is given back as if it had never been (I3). If not, the
    ends are recorded now. Either way no claim comes back. Raises CampaignBusy when another sender has begun: what had
    ended is for that one to put in doubt, as after a crash."""
    epoch, number = deliveries.marked(connection)
    if epoch != wish.epoch:
        raise CampaignBusy("another sender took over while this one's clerk wrote: this one has sent nothing since")
    has_held = number == wish.number
    _log.warning("action=cycle_salvaged committed=%s", str(has_held).lower())
    unclaiming = replace(wish, room=0, number=0)
    if not has_held:
        return take_turn(connection, vault=vault, wish=unclaiming)
    unheard = [one for one in deliveries.fetch(connection, deliveries.orphans(connection)) if one.id not in held]
    given_back = [
        (Ended(one, released(), wish.now), Decision(Event.RELEASE, 0, one.retries, one.doubts)) for one in unheard
    ]
    outstanding = wish.outstanding - len(wish.ends) + len(unheard)
    after = replace(unclaiming, ends=given_back, notes=[], last=wish.now, outstanding=outstanding)
    return replace(take_turn(connection, vault=vault, wish=after), fates=recorded(connection, wish.ends))
