"""Previews: each segment's notice as files, with an invented person in it. Holds nobody's data."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from notifier.campaign import Settings
from notifier.model import Audience, Contact, Form, PersonalFields, SegmentKey
from notifier.notices.catalogue import Catalogue
from notifier.notices.compiled import compile_segment
from notifier.notices.lint import name_of
from notifier.storage.segments import StoredSegment

MAILBOX = "camille.exemple@courriel.example"
MESSAGE_ID = "<apercu@notifier.example>"
REFERENCE = "0000-EXEM-P1E0"
PERSON = Contact(name="Exemple", forename="Camille")
COMPANY = Contact(name="Exemple", forename="Camille", company="Pharmacie de l'Exemple")
CHILDREN = ("Léa Exemple", "Tom Exemple")
ESTABLISHMENTS = ("Pharmacie de l'Exemple", "Optique de l'Exemple")

_INDEX = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Previews</title><style>
body {{ font-family: sans-serif; font-size: 17px; margin: 2em; color: #1d2733; background-color: #ffffff; }}
table {{ border-collapse: collapse; }} td, th {{ border: 1px solid #c9d1da; padding: 6px 10px; text-align: left; }}
</style></head><body><h1>Wave {wave}: {total} notifications in {count} segments</h1>
<p>Every notice shows an invented person.</p>
<table><tr><th>Segment</th><th>Notifications</th><th>For</th><th>Subject</th><th>Files</th></tr>
{rows}
</table></body></html>
"""
_ROW = (
    "<tr><td>{id}</td><td>{notifications}</td><td>{name}</td><td>{subject}</td>"
    '<td><a href="{stem}.html">html</a> <a href="{stem}.txt">text</a> <a href="{stem}.eml">eml</a></td></tr>'
)


def invented(key: SegmentKey) -> PersonalFields:
    """Somebody who does not exist, fit for this segment."""
    professional = key.audience in {Audience.PROFESSIONAL, Audience.COMPANY}
    concerned = {Form.OWN: (), Form.CHILDREN: CHILDREN, Form.ESTABLISHMENTS: ESTABLISHMENTS}[key.form]
    return PersonalFields(COMPANY if professional else PERSON, REFERENCE, concerned)


def write_preview(
    folder: Path, settings: Settings, segments: Sequence[StoredSegment], out: Path, *, now: datetime
) -> list[Path]:
    """``segment-N.html``, ``.txt`` and ``.eml`` for each segment, and ``index.html``; returns what was written.

    Raises TemplateError, before anything is written, when a text does not compile.
    """
    if not segments:
        return []
    catalogue = Catalogue.load(folder, settings)
    notices = [(segment, compile_segment(segment.key, catalogue, settings)) for segment in segments]
    out.mkdir(parents=True, exist_ok=True)
    written, rows = [], []
    for segment, notice in notices:
        fields = invented(segment.key)
        reading = notice.read(fields)
        stem = f"segment-{segment.id}"
        contents = {
            f"{stem}.html": reading.html.encode(),
            f"{stem}.txt": reading.text.encode(),
            f"{stem}.eml": notice.render(fields, to=MAILBOX, message_id=MESSAGE_ID, date=now),
        }
        for name, content in contents.items():
            (out / name).write_bytes(content)
            written.append(out / name)
        rows.append(
            _ROW.format(
                id=segment.id,
                notifications=segment.notifications,
                name=html.escape(name_of(segment.key)),
                subject=html.escape(reading.subject),
                stem=stem,
            )
        )
    index = out / "index.html"
    index.write_text(
        _INDEX.format(
            wave=html.escape(segments[0].key.wave),
            total=sum(segment.notifications for segment in segments),
            count=len(segments),
            rows="\n".join(rows),
        ),
        encoding="utf-8",
    )
    return [*written, index]
