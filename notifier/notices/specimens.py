"""Specimens: a segment's notice made out to somebody who does not exist.

Shown in a preview, or sent to one address of the house marked as a test. No value of a real person can get in: what
stands here is constants, and a compiled notice holds nothing personal (a segment is codes of campaign.toml, of
data/categories.toml and of a profile's word list).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from notifier.campaign import Sender, Settings
from notifier.model import PersonalFields
from notifier.notices.approval import load_batch
from notifier.notices.catalogue import Catalogue
from notifier.notices.compiled import CompiledNotice
from notifier.notices.invented import invented
from notifier.notices.marks import TEST, compile_marked
from notifier.storage import batches
from notifier.storage.database import Database
from notifier.storage.segments import segments_of


@dataclass(frozen=True, slots=True)
class Specimen:
    """One marked notice. ``batch``: the number of the approved batch it was made from; 0 = from the texts as they
    stand in the folder now, because something of the segment waits for approval."""

    segment: int
    sender: Sender
    notice: CompiledNotice
    fields: PersonalFields
    batch: int = 0


async def test_specimens(database: Database, settings: Settings, folder: Path, *, wave: str) -> list[Specimen]:
    """A notice of each segment of the wave, marked TEST: from the frozen texts where all of the segment is approved
    (I7: what goes out), else from the current ones (what would be approved). Raises TemplateError or SettingsError
    when a text does not compile, StorageError when a batch was altered."""
    async with database.read() as connection:
        segments = await segments_of(connection, wave)
        approved = await batches.batches(connection, wave)
        batch_of = {
            segment: batch for batch in approved for segment in await batches.segments_of_batch(connection, batch.id)
        }
        needed = {batch_of[each.id] for each in segments if not each.waiting}
        frozen = {batch.id: await load_batch(connection, batch.id) for batch in needed}
    current: tuple[Catalogue, Settings] | None = None
    made = []
    for segment in segments:
        if segment.waiting:
            current = current or (Catalogue.load(folder, settings), settings)
            (catalogue, said), number = current, 0
        else:
            batch = batch_of[segment.id]
            (catalogue, said), number = frozen[batch.id], batch.number
        notice = compile_marked(segment.key, catalogue, said, TEST)
        made.append(Specimen(segment.id, said.sender(segment.key.sender), notice, invented(segment.key), number))
    return made
