"""Why a run begins nothing now, or not as much as its window holds: in words, for whoever watches it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from notifier.delivery.connection import Means
from notifier.delivery.picks import Picks
from notifier.delivery.staff import Staff
from notifier.delivery.traffic import Wait
from notifier.delivery.turn import Turn
from notifier.model import to_ms

LOCKED_SECONDS = 2.0  # a cycle takes so long only if somebody else holds the database


class Standstill:
    """Of one run. It looks at what the others know: that costs nothing, and waits for nothing."""

    def __init__(self, means: Means, staff: Staff, picks: Picks, clock: Callable[[], datetime]) -> None:
        self._means = means
        self._staff = staff
        self._picks = picks
        self._clock = clock

    def why(self, turn: Turn | None, *, outstanding: int, writing_since: float | None) -> Wait | None:  # noqa: PLR0911  (a table, read downwards)
        """None: nothing stands before it. ``turn``: the last; ``writing_since``: a cycle is being written (monotonic
        seconds)."""
        means, turnstile = self._means, self._means.turnstile
        relay = means.relays.current
        if means.outbox.stopping.is_set():
            return None
        if writing_since is not None and time.monotonic() - writing_since > LOCKED_SECONDS:
            clerk = f", or {self._staff.registry.name} does not answer" if self._staff.registry else ""
            return Wait(0, f"the database is locked: another command writes to it, or the disk is slow{clerk}")
        if silent := self._staff.why():
            return Wait(0, silent)
        if relay.silence and not relay.live:
            return Wait(0, _in_short(relay.silence))
        if not means.weather.is_calm:
            return Wait(0, means.weather.why(relay.name))
        if turn is None:
            return None
        if turn.next_due is not None and not outstanding and turn.next_due > to_ms(self._clock()):
            return Wait(turn.next_due, turn.why or "what was deferred waits for its next attempt")
        if self._picks.canary:
            return Wait(0, f"the canary: {self._picks.canary} messages at first, then a pause")
        gate = turnstile.gate
        if gate is not None and gate.opens_at() > turnstile.now():
            return Wait(0, f"the pace: the relay is given {relay.section.rate or 0:g} messages per second")
        if relay.silence and means.relays.asking:
            wanted = relay.live + means.relays.asking
            return Wait(0, f"sessions: {relay.live} of {wanted} are open: {_in_short(relay.silence)}")
        if len(turn.claims) < turn.room:
            # All that is due in other lanes is claimed.
            paced = sorted(turn.lanes.hungry & turnstile.lanes.keys())
            given = [f"{name} is given {turnstile.lanes[name].gate.pace.rate:g}" for name in paced]
            return Wait(0, f"the pace: {', '.join(given)} messages per second") if given else None
        return None


def _in_short(silence: str) -> str:
    """Without what to do about it: it is tried again."""
    return silence.partition(": check [")[0]
