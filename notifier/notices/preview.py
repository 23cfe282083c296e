"""Previews: each segment's notice as files, with an invented person in it, and an index to open in a browser.

The same plan and the same texts give the same bytes. A folder of previews is no registered clear file: it holds
nobody's data (notices/specimens.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from notifier.campaign import Settings
from notifier.notices.catalogue import Catalogue
from notifier.notices.compiled import compile_segment
from notifier.notices.invented import invented
from notifier.notices.pages.index import Previewed, index, stem
from notifier.notices.pages.sheets import Sheet, make_sheet
from notifier.storage.segments import StoredSegment

MAILBOX = "camille.exemple@courriel.example"
MESSAGE_ID = "<apercu@notifier.example>"
INDEX = "index.html"
_OURS = re.compile(r"segment-\d+\.(?:html|txt|eml)")


def write_preview(
    folder: Path,
    settings: Settings,
    segments: Sequence[StoredSegment],
    out: Path,
    *,
    planned: datetime,
    segment: int | None = None,
) -> list[Path]:
    """``segment-N.html`` (the HTML body as it is sent), ``.txt`` and ``.eml`` of each segment, and ``index.html``;
    returns what was written. ``segment``: of this one alone. ``planned``: when the plan was made; the messages' Date.

    When all are shown, files of segments that are no more are taken out of ``out``: the folder shows one plan. Raises
    TemplateError, before anything is written, when a text does not compile.
    """
    chosen = [each for each in segments if segment is None or each.id == segment]
    if not chosen:
        return []
    catalogue = Catalogue.load(folder, settings)
    at = planned.astimezone(settings.zone)
    files: dict[str, bytes] = {}
    sheets: list[Sheet] = []
    for each in chosen:
        notice, fields = compile_segment(each.key, catalogue, settings), invented(each.key)
        reading = notice.read(fields)
        message = notice.render(fields, to=MAILBOX, message_id=MESSAGE_ID, date=at)
        files[f"{stem(each.id)}.html"] = reading.html.encode()
        files[f"{stem(each.id)}.txt"] = reading.text.encode()
        files[f"{stem(each.id)}.eml"] = message
        sheets.append(
            make_sheet(
                each.id,
                each.key,
                notice,
                catalogue,
                settings,
                notifications=each.notifications,
                waiting=each.waiting,
                fields=fields,
                message=message,
            )
        )
    key = chosen[0].key
    previewed = Previewed(
        settings.campaign.name, settings.campaign.sample, key.wave, key.wave_kind, at, segments=len(segments)
    )
    files[INDEX] = index(previewed, sheets).encode()
    out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (out / name).write_bytes(content)
    for path in sorted(out.iterdir()) if segment is None else ():
        if _OURS.fullmatch(path.name) and path.name not in files:
            path.unlink()
    return [out / name for name in files]
