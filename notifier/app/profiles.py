"""Trying and drafting profiles; nothing is stored."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from notifier.app.opened import App, utc_now

if TYPE_CHECKING:
    from notifier.intake.drafts import Draft
    from notifier.intake.trials import Trial


async def try_profile(
    app: App, path: Path, *, profile: str, incident: str | None, rows: int | None, shown: int
) -> Trial:
    """The first ``rows`` rows of a file as a profile understands them (None: all). Nothing is stored."""
    from notifier.intake.trials import try_out

    return await asyncio.to_thread(
        try_out,
        app.vault,
        app.settings,
        app.folder,
        path,
        profile,
        incident=incident,
        most=rows,
        shown=shown,
        now=utc_now(),
    )


def draft_profile(folder: Path, path: Path, *, family: str | None, encoding: str) -> Draft:
    """Propose a profile for a file of an unknown layout. ``folder``: a campaign's, which need not exist."""
    from notifier.intake.drafts import draft

    return draft(folder, path, family=family, today=utc_now().date(), encoding=encoding)
