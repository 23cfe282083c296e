"""The whole matrix of DOMAIN A7: every audience, form, profession and kind of round, with the categories of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from notifier.campaign import Settings, WaveTranslation, WaveWords
from notifier.model import Audience, DataCategory, Exposure, Form, SegmentKey, WaveKind

LANGUAGES = ("fr", "en")
PROFESSIONS = ("pharmacist", "optician", "audioprosthetist", "dentist", "other", "")
SECOND = "second"  # a supplement in which the incident is new: a second breach of the same person's data

WORDS = WaveWords(
    wrong="Nous vous avions écrit que votre adresse e-mail avait pu être consultée.",
    right="Votre adresse e-mail n'a pas été consultée.",
    news="L'enquête a établi que les données consultées ont été copiées.",
    advice=("Vérifiez vos remboursements chaque mois.",),
    translations={
        "en": WaveTranslation(
            wrong="We had written to you that your e-mail address may have been seen.",
            right="Your e-mail address was not seen.",
            news="The investigation has established that the data were copied.",
            advice=("Check your reimbursements every month.",),
        )
    },
)


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom one column of the matrix speaks to."""

    audience: Audience
    form: Form
    profession: str = ""


READERS = (
    Reader(Audience.INSURED, Form.OWN),
    Reader(Audience.DEPENDANT, Form.OWN),
    Reader(Audience.PAST_MEMBER, Form.OWN),
    Reader(Audience.DEPENDANT, Form.CHILDREN),
    *(
        Reader(Audience.PROFESSIONAL, form, profession)
        for form in (Form.OWN, Form.ESTABLISHMENTS)
        for profession in PROFESSIONS
    ),
    Reader(Audience.COMPANY, Form.OWN),
    Reader(Audience.COMPANY, Form.ESTABLISHMENTS),
)
ROUNDS = (*((kind.value, kind) for kind in WaveKind), (SECOND, WaveKind.SUPPLEMENT))


def worded(settings: Settings) -> Settings:
    """The settings with what only a campaign can say in later rounds; the wave is named after its kind."""
    waves = {name: WORDS for name, _ in ROUNDS if name != "initial"}
    waves[SECOND] = WORDS.model_copy(update={"new_incidents": ("viamedis",)})
    return settings.model_copy(update={"waves": waves})


def cell(
    reader: Reader,
    categories: Iterable[str],
    *,
    wave: str = "initial",
    language: str = "fr",
    incident: str = "viamedis",
) -> SegmentKey:
    """One cell. ``wave``: a name of ROUNDS."""
    return SegmentKey(
        wave=wave,
        wave_kind=dict(ROUNDS)[wave],
        sender="clairval",
        audience=reader.audience,
        profession=reader.profession,
        form=reader.form,
        exposures=frozenset(Exposure(incident, category) for category in categories),
        language=language,
    )


def kinds_for(reader: Reader, categories: Iterable[DataCategory]) -> list[str]:
    """The categories that can concern this reader (data/categories.toml)."""
    return [category.code for category in categories if reader.audience in category.audiences]


def blocks(markdown: str) -> list[str]:
    """Paragraphs, headings and list items."""
    return [block for block in re.split(r"\n\s*\n|\n(?=\s*[-#>])", markdown) if block.strip()]


def sentences(markdown: str) -> Iterator[str]:
    """The sentences of a text, as somebody reads them aloud: a list item is one, or several."""
    for block in blocks(markdown):
        text = " ".join(re.sub(r"^\s*(?:[->]|#+)\s*", "", block).replace("*", "").replace("\\", "").split())
        yield from (part for part in re.split(r"(?<=[.?!])\s+(?=[A-ZÀ-Þ«\"\ue000-\ue004])", text) if part)


def length(sentence: str) -> int:
    """Words of a sentence; an address or a number counts as one."""
    return len(re.findall(r"[^\s]*\w[^\s]*", sentence))
