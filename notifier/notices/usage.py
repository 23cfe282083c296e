"""Which notices a hash means: of a batch as it was approved, or of one text in it (`plan --who notice=HASH`).

The hashes are those of the journal's `batch_approved` entry: `digest`, and `files`, which `sha256sum` gives of a text.
"""

from __future__ import annotations

from notifier.campaign import Settings
from notifier.errors import OperatorError
from notifier.model import SegmentKey
from notifier.notices.approval import load_batch
from notifier.notices.catalogue import Catalogue
from notifier.notices.choice import choose
from notifier.notices.tongue import tongue
from notifier.storage import batches
from notifier.storage.database import Database
from notifier.storage.segments import segment_key


async def told_by(database: Database, start: str) -> list[tuple[int, int]]:
    """(batch, segment) of the approved notices that a batch's digest, or the SHA-256 of a text, means; ``start``: its
    first 8 or more hex digits. A text that is the frame or the paragraph of some notices means these; any other file
    (the layout, a part, the rules) all of its batch.

    Raises OperatorError if nothing approved has such a hash.
    """
    found: list[tuple[int, int]] = []
    async with database.read() as connection:
        for batch in await batches.batches(connection):
            whole = batch.digest.startswith(start)
            files = await batches.batch_files(connection, batch.id)
            paths = [path for path, (sha256, _) in files.items() if sha256.startswith(start)]
            if not whole and not paths:
                continue
            catalogue, settings = await load_batch(connection, batch.id)
            for segment in await batches.segments_of_batch(connection, batch.id):
                key = await segment_key(connection, segment)
                if whole or any(_uses(catalogue, settings, key, path) for path in paths):
                    found.append((batch.id, segment))
    if not found:
        raise OperatorError(f"--who notice={start}: no approved batch and no text of one has a hash that begins so")
    return found


def _uses(catalogue: Catalogue, settings: Settings, key: SegmentKey, path: str) -> bool:
    """Whether the notice of a segment is made of this text; of a file that is in all of them, always."""
    language = tongue(key, catalogue, settings).language
    chosen = {rule.file for rule in (*catalogue.bases, *catalogue.paragraphs)}
    if path not in {catalogue.path(code, file) for code in catalogue.languages for file in chosen}:
        return True
    choice = choose(catalogue.bases, catalogue.paragraphs, key)
    used = [*([choice.base] if choice.base else []), *(paragraph.file for paragraph in choice.paragraphs)]
    return path in {catalogue.path(language, file) for file in used}
