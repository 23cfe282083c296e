"""The dossier as a PDF, tagged for screen readers, by Typst (extra ``post``). The same document gives the same bytes on
every machine: no clock, and the fonts that come with Typst alone.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from notifier.notices.dossier.blocks import Block, Document, Letter, Table

PDF = "dossier.pdf"
_TEMPLATE = Path(__file__).with_name("dossier.typ")
_EPOCH = 0  # creation date in seconds since 1970; the template leaves it out


def draw_pdf(document: Document, *, footer: str) -> bytes | None:
    """The PDF; None when Typst is not installed. ``footer``: stands at the foot of every page."""
    try:
        import typst
    except ImportError:
        return None
    told = {"title": document.title, "footer": footer, "blocks": [_plain(block) for block in document.blocks]}
    made: bytes = typst.compile(
        _TEMPLATE.read_bytes(),
        format="pdf",
        ignore_system_fonts=True,
        font_paths=[],
        sys_inputs={"document": json.dumps(told, ensure_ascii=False)},
        timestamp=_EPOCH,
    )
    return made


def _plain(block: Block) -> dict[str, Any]:
    """A block as the template reads it."""
    told: dict[str, Any] = {"is": type(block).__name__, **asdict(block)}
    if isinstance(block, Table):
        told["numeric"] = sorted(block.numeric)
        told["widths"] = block.widths or [0 if place in block.numeric else 1 for place in range(len(block.head))]
        del told["foreign"]
    if isinstance(block, Letter):
        told["text"] = block.text.rstrip()
    return told
