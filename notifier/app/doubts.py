"""Deliveries in doubt, and what was refused by mistake: listed, and decided by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from notifier.app.opened import App, know_wave, utc_now

if TYPE_CHECKING:
    from notifier.delivery.doubts import Doubts, Settled, Which


async def list_doubts(app: App, wave: str | None) -> Doubts:
    """All in doubt, or those of one wave."""
    from notifier.delivery import doubts

    await know_wave(app, wave, may_be_first=wave is None)
    return await doubts.listed(app.database, app.vault, app.settings, wave=wave)


async def look_at_doubts(app: App, which: Which, *, resend: bool) -> Settled:
    """What :func:`resend_doubts` (or :func:`accept_doubts`) would change. Raises OperatorError."""
    from notifier.delivery import doubts

    await know_wave(app, which.wave)
    return await doubts.look(app.database, app.vault, which, resend=resend)


async def resend_doubts(app: App, which: Which) -> Settled:
    """Have them sent once more. Raises OperatorError; nothing was changed then."""
    from notifier.delivery import doubts

    return await doubts.resend(app.database, app.vault, which, by=app.by, now=utc_now())


async def accept_doubts(app: App, which: Which, reason: str) -> Settled:
    """Take them as handed over. Raises OperatorError; nothing was changed then."""
    from notifier.delivery import doubts

    return await doubts.accept(app.database, app.vault, app.settings, which, reason=reason, by=app.by, now=utc_now())
