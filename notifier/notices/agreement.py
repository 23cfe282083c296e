"""Whether what was approved and still waits agrees with the settings now (I7).

``send`` goes by one set of bound values. Two unfinished batches under different ones would lock each other: whatever is
set, it is wrong for one of them. So nothing is approved, and nothing goes back into the queue, that could not be sent
beside what waits already.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from notifier.campaign import Settings
from notifier.errors import OperatorError
from notifier.notices.bound import bound_settings, differences
from notifier.notices.findings import Finding
from notifier.storage import batches
from notifier.storage.database import Connection

TAKE_BACK = "`notifier approve --take-back --wave W --why TEXT` (docs/approval.md)"
WAY_OUT = (
    "Set it back until that has gone out (`notifier send --wait`); where it cannot be set back, take the approval of "
    f"what waits back: {TAKE_BACK}"
)


async def verify_bound(
    connection: Connection, settings: Settings, *, wave: str | None = None, also: Collection[int] = ()
) -> list[str]:
    """Which bound values differ now from what was approved, over the batches of which a sender would begin something by
    itself. ``also``: batches of which something is about to wait again."""
    waiting = await batches.unfinished_batches(connection, wave)
    known = {batch.id for batch in waiting}
    for number in sorted(set(also) - known):
        if (batch := await batches.batch(connection, number)) is not None:
            waiting.append(batch)
    told: dict[str, None] = {}
    for batch in waiting:
        told |= dict.fromkeys(differences(json.loads(batch.bound), bound_settings(settings, batch.wave)))
    return list(told)


async def must_agree(connection: Connection, settings: Settings, *, also: Collection[int] = ()) -> None:
    """Raises OperatorError, with what differs and the way out, if ``send`` would refuse what waits of the campaign; or
    would once something of the batches ``also`` waits too."""
    if told := await verify_bound(connection, settings):
        raise OperatorError(f"nothing was changed: {_waiting(told)}. {WAY_OUT}")
    if told := await verify_bound(connection, settings, also=also):
        raise OperatorError(
            "nothing was changed: what would go back was approved under other values, and would stop `send`: "
            f"{'; '.join(told)}. Let go out first what waits under today's values (`notifier send --wait`), then set "
            "it back for these"
        )


async def disagreements(connection: Connection, settings: Settings) -> list[Finding]:
    """:func:`must_agree` as a finding of `check`, at the first value that differs."""
    told = await verify_bound(connection, settings)
    if not told:
        return []
    return [Finding("approved-differs", told[0].split(" ", 1)[0], f"{_waiting(told)}. {WAY_OUT}")]


def _waiting(told: Sequence[str]) -> str:
    return "what is approved and waits goes out as it was approved, and this differs now: " + "; ".join(told)
