"""Rejected rows: listed, shown with their values, decided by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from notifier.app.opened import App, utc_now

if TYPE_CHECKING:
    from notifier.intake.disposals import Counts, Which
    from notifier.intake.rejected_rows import RejectedRows


async def write_rejected_values(app: App, path: Path, *, profile: str, sha256: str) -> Path | None:
    """The rejected rows of an export that was taken in, with their values, as a clear file; None: there are none.
    Raises ExportError, OperatorError."""
    from notifier.intake.clear_values import write_values
    from notifier.intake.staging import alone

    # Not beside an --undo or --forget, which removes the file that would be written after it.
    with alone(app.folder):
        return await write_values(app.database, app.folder, path, profile, sha256=sha256, by=app.by, now=utc_now())


async def rejections_standing(app: App) -> RejectedRows:
    """How many rejections are open, by file and code, and how the others ended."""
    from notifier.intake.rejected_rows import standing as counted

    return await counted(app.database)


async def write_rejections_list(app: App, out: Path, *, every: bool) -> int:
    """The open rejections, or every one, as CSV without values. Returns how many."""
    from notifier.intake.rejected_rows import write_list

    return await write_list(app.database, out, every=every)


def is_rejection_code(code: str) -> bool:
    """Whether a rejection can have this code."""
    from notifier.intake.rejections import EXPLANATIONS

    return code in EXPLANATIONS


async def look_at_rejections(app: App, which: Which, *, reopen: bool) -> Counts:
    """What `decide_rejections` would change: file → code → rejections. Raises OperatorError for nothing."""
    from notifier.intake.disposals import look

    return await look(app.database, which, reopen=reopen)


async def decide_rejections(app: App, which: Which, *, reason: str) -> Counts:
    """Dispose of open rejections, by name and reason; an empty reason opens again what was disposed of."""
    from notifier.intake.disposals import dispose, reopen
    from notifier.intake.staging import alone

    with alone(app.folder):
        if reason:
            return await dispose(app.database, which, reason=reason, by=app.by, now=utc_now())
        return await reopen(app.database, which, by=app.by, now=utc_now())
