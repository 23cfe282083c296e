"""Deliveries in doubt, and what was refused by mistake: listed, and decided by name."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from notifier.app.opened import App, know_wave, utc_now
from notifier.errors import OperatorError
from notifier.model import to_ms

if TYPE_CHECKING:
    from notifier.delivery.doubts import Doubts, Settled, Which
    from notifier.delivery.requeue import MayWait, Requeued
    from notifier.storage.database import Connection
    from notifier.storage.requeue import Fault


async def list_doubts(app: App, wave: str | None) -> Doubts:
    """All in doubt, or those of one wave."""
    from notifier.delivery import doubts

    await know_wave(app, wave, may_be_first=wave is None)
    return await doubts.listed(app.database, app.vault, app.settings, wave=wave)


async def look_at_doubts(app: App, which: Which, *, resend: bool) -> Settled:
    """What :func:`resend_doubts` (or :func:`accept_doubts`) would change. Raises OperatorError."""
    from notifier.delivery import doubts

    await know_wave(app, which.wave)
    return await doubts.look(app.database, app.vault, which, resend=resend, may_wait=_may_wait(app))


async def resend_doubts(app: App, which: Which) -> Settled:
    """Have them sent once more. Raises OperatorError; nothing was changed then."""
    from notifier.delivery import doubts

    return await doubts.resend(app.database, app.vault, which, by=app.by, now=utc_now(), may_wait=_may_wait(app))


async def accept_doubts(app: App, which: Which, reason: str) -> Settled:
    """Take them as handed over. Raises OperatorError; nothing was changed then."""
    from notifier.delivery import doubts
    from notifier.delivery.replies import listed_domains, load_rules

    listed = listed_domains(load_rules(app.folder))
    return await doubts.accept(
        app.database, app.vault, app.settings, which, reason=reason, by=app.by, now=utc_now(), listed=listed
    )


async def name_fault(
    app: App, state: str, code: str, since: str, *, provider: str | None = None, wave: str | None = None
) -> Fault:
    """What failed by mistake. ``since``: ISO 8601, in the campaign's time zone unless it says another; "" = always.
    Raises OperatorError for what says too little, or names no wave or provider that there is."""
    from notifier.delivery.replies import load_rules
    from notifier.delivery.requeue import verified
    from notifier.storage.requeue import Fault

    await know_wave(app, wave)
    known = load_rules(app.folder).providers
    if provider is not None and provider not in known:
        raise OperatorError(f"there is no provider {provider!r} (there: {', '.join(sorted(known))})")
    since_ms = 0
    if since:
        try:
            at = datetime.fromisoformat(since)
        except ValueError:
            raise OperatorError("--since is a day or an instant: 2024-02-09, or 2024-02-09T18:30") from None
        since_ms = to_ms(at if at.tzinfo else at.replace(tzinfo=app.settings.zone))
    return verified(Fault(state, code, since_ms, provider, wave))


async def look_at_requeue(app: App, fault: Fault) -> Requeued:
    """What :func:`put_back` would change."""
    from notifier.delivery import requeue

    return await requeue.look(app.database, fault, _may_wait(app))


async def put_back(app: App, fault: Fault) -> Requeued:
    """Put back into the queue what failed so, by name."""
    from notifier.delivery import requeue

    return await requeue.put_back(app.database, fault, by=app.by, now=utc_now(), may_wait=_may_wait(app))


def _may_wait(app: App) -> MayWait:
    """Only what agrees with the settings now, beside what waits already (I7): else `send` could send neither."""
    from notifier.notices.agreement import must_agree

    async def check(connection: Connection, batches: frozenset[int]) -> None:
        await must_agree(connection, app.settings, also=batches)

    return check
