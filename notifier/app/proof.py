"""The evidence handed over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from notifier.app.opened import App, utc_now

if TYPE_CHECKING:
    from notifier.proof.export import ExportReport
    from notifier.proof.person import PersonReport


async def export_proof(app: App, out: Path, *, overwrite: bool) -> ExportReport:
    """Seal, and write the proof pack."""
    from notifier.proof.export import export

    return await export(app.database, app.vault, app.settings, out, now=utc_now(), overwrite=overwrite)


async def person_proof(app: App, reference: str, out: Path) -> PersonReport:
    """One person's own proof."""
    from notifier.proof.person import person_proof as write

    return await write(app.database, app.vault, reference=reference, out=out, now=utc_now())
