"""The kit that goes with a wave's notices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from notifier.app.opened import App, know_wave, utc_now
from notifier.errors import OperatorError

if TYPE_CHECKING:
    from datetime import date

    from notifier.campaign import Settings
    from notifier.model import SegmentKey
    from notifier.notices.catalogue import Catalogue
    from notifier.notices.kit import KitPage


@dataclass(frozen=True, slots=True)
class WrittenKit:
    """What was written. ``version``: a digest of texts and facts; ``batches``: numbers of the approved ones."""

    files: list[Path]
    version: str
    approved: bool
    batches: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    keys: list[SegmentKey]
    catalogue: Catalogue
    settings: Settings
    day: date
    batches: tuple[int, ...]


async def write_kit(app: App, out: Path, *, wave: str) -> WrittenKit:
    """Write each text of the kit as .html and .md into ``out``, or into a folder of it for each of several senders.

    From the frozen copies of the wave's last approved batch, for the segments of all of them; if none is approved, from
    the texts and settings as they are now. Raises OperatorError, before anything is written, when a rule is broken.
    """
    from notifier.notices.kit import kit_version, make_kit, senders_of
    from notifier.notices.kit_lint import check_kit

    await know_wave(app, wave)
    source = await _source(app, wave)
    if not source.keys:
        raise OperatorError(f"wave {wave} has no notifications: `notifier plan` first")
    version = kit_version(source.catalogue, source.settings, wave, day=source.day, approved=source.batches)
    senders = senders_of(source.keys)
    made: dict[str, list[KitPage]] = {}
    errors = []
    for sender in senders:
        made[sender] = make_kit(sender, source.keys, source.catalogue, source.settings, version=version)
        kind = source.keys[0].wave_kind
        found = check_kit(made[sender], sender, source.catalogue, source.settings, kind)
        errors += [finding for finding in found if finding.severity == "error"]
    if errors:
        told = "; ".join(f"{each.code} ({each.where}): {each.text}" for each in dict.fromkeys(errors))
        raise OperatorError(f"nothing was written: {told}")
    files = [path for sender, pages in made.items() for path in _write(pages, _folder(out, sender, senders))]
    return WrittenKit(files, version.code, version.approved, source.batches)


async def _source(app: App, wave: str) -> _Source:
    from notifier.notices.approval import load_batch
    from notifier.notices.catalogue import Catalogue
    from notifier.storage import batches
    from notifier.storage.segments import segment_key, segments_of

    async with app.database.read() as connection:
        approved = await batches.batches(connection, wave)
        if not approved:
            keys = [segment.key for segment in await segments_of(connection, wave)]
            today = utc_now().astimezone(app.settings.zone).date()
            return _Source(keys, Catalogue.load(app.folder, app.settings), app.settings, today, ())
        numbers = {segment for batch in approved for segment in await batches.segments_of_batch(connection, batch.id)}
        keys = [await segment_key(connection, number) for number in sorted(numbers)]
        catalogue, settings = await load_batch(connection, approved[-1].id)
        at = await batches.approved_at(connection, approved[-1].id)
    return _Source(keys, catalogue, settings, at.astimezone(settings.zone).date(), tuple(b.number for b in approved))


def _folder(out: Path, sender: str, senders: list[str]) -> Path:
    return out if len(senders) == 1 else out / sender


def _write(pages: list[KitPage], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for page in pages:
        for ending, content in ((".html", page.page.html), (".md", page.markdown)):
            path = folder / f"{page.name}{ending}"
            path.write_text(content, encoding="utf-8")
            written.append(path)
    return written
