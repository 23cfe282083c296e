"""The index of a preview: every segment with its counts and its files. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from notifier.model import WaveKind
from notifier.notices.pages import words
from notifier.notices.pages.document import document, facts, warning
from notifier.notices.pages.sheets import Sheet, all_digest, article, overview


@dataclass(frozen=True, slots=True)
class Previewed:
    """What the index says of the whole. ``planned``: in the campaign's time zone; ``segments``: how many the wave has,
    which may be more than are shown."""

    campaign: str
    is_sample: bool
    wave: str
    kind: WaveKind
    planned: datetime
    segments: int


def index(previewed: Previewed, sheets: Sequence[Sheet]) -> str:
    """The page. ``sheets``: at least one, in order of segment; their files stand beside the page as ``segment-N.…``."""
    every = list(sheets)
    total = sum(sheet.notifications for sheet in every)
    shown = words.counted(len(every), "segment")
    if len(every) < previewed.segments:
        shown += f" sur {words.number(previewed.segments)} (aperçu partiel)"
    described = facts(
        [
            ("Campagne", previewed.campaign + (" (campagne d'exemple)" if previewed.is_sample else "")),
            ("Vague", f"{previewed.wave} ({words.KINDS[previewed.kind]})"),
            ("Plan établi le", words.moment(previewed.planned)),
            ("Notifications", f"{words.number(total)} dans {shown}"),
            (
                "Empreinte des textes",
                Markup('<span class="code">{}</span>').format(all_digest(every)),
            ),
        ]
    )
    lead = Markup("{}").format(
        warning(
            "Aperçu. Toutes les personnes nommées dans ces messages sont inventées : aucune donnée réelle ne figure "
            "dans ce dossier."
        )
    )
    parts = [
        Markup('<section aria-labelledby="ensemble">\n<h2 id="ensemble">Vue d\'ensemble</h2>\n{}\n</section>').format(
            described
        ),
        Markup('<section aria-labelledby="segments">\n<h2 id="segments">Les segments</h2>\n{}\n</section>').format(
            overview(every)
        ),
    ]
    for place, (code, brand) in enumerate(dict.fromkeys((sheet.sender.code, sheet.sender.brand) for sheet in every), 1):
        own = [article(sheet, files=stem(sheet.id)) for sheet in every if sheet.sender.code == code]
        parts.append(
            Markup('<section aria-labelledby="expediteur-{}">\n<h2 id="expediteur-{}">{}</h2>\n{}\n</section>').format(
                place, place, f"Messages de {brand}", Markup("\n").join(own)
            )
        )
    return document(
        title=f"Aperçu des messages – vague « {previewed.wave} »",
        lead=lead,
        body=Markup("\n").join(parts),
        foot=Markup(
            "<p>Les textes sont ceux du dossier de campagne au moment de l'aperçu. Seule l'approbation fige ce qui "
            "sera envoyé.</p>"
        ),
    )


def stem(segment: int) -> str:
    """The name of a segment's files, without suffix."""
    return f"segment-{segment}"
