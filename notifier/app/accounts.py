"""Where a campaign stands, from every side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from notifier.app.files import held_files
from notifier.app.opened import App, utc_now
from notifier.model import Term

if TYPE_CHECKING:
    from notifier.coverage import Coverage
    from notifier.delivery.flow import Flow
    from notifier.standing import Standing
    from notifier.storage.coverage import Bridge, Unnamed


async def standing(app: App) -> Standing:
    """The I1 equation, what needs a decision, what to do next."""
    from notifier.standing import take

    return await take(app.database, app.settings, app.folder, held=await held_files(app), now=utc_now())


async def flow(app: App) -> Flow:
    """How sending goes now: quick, whatever the campaign's size."""
    from notifier.delivery.flow import look

    async with app.database.read() as connection:
        return await look(connection, app.folder, utc_now())


async def coverage_by(app: App, by: str) -> Coverage:
    """The I1 table by file, incident, sender, audience or wave."""
    from notifier.coverage import by_group

    return await by_group(app.database, by, now=utc_now())


async def count_bridge(app: App) -> Bridge:
    """From rows to persons."""
    from notifier.coverage import bridge

    return await bridge(app.database)


async def other_side(app: App) -> list[Unnamed]:
    """The directory's members whom no export names."""
    from notifier.coverage import other_side as count

    return await count(app.database)


async def write_listing(app: App, term: Term, out: Path) -> int:
    """Who counts under a term, by pseudonym, as CSV. Returns how many."""
    from notifier.standing import write_list

    return await write_list(app.database, app.vault, term, out, now=utc_now())
