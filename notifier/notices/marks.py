"""Marks: a notice that is none, and says so in its subject and on top of both bodies.

A marked notice is made of the same texts as the real one; only the mark is added, and the name of its round in
Feedback-ID is another, so that a provider's reports never mix the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from notifier.campaign import Settings
from notifier.errors import TemplateError
from notifier.model import SegmentKey
from notifier.notices.catalogue import Catalogue
from notifier.notices.compiled import CompiledNotice
from notifier.notices.compose import Composition, compose
from notifier.notices.page import make_page


@dataclass(frozen=True, slots=True)
class Mark:
    """``word``: before the subject, and bold on top; ``lines``: language → what it means, whole sentences, plain text
    (the campaign's own language must be there)."""

    word: str
    lines: Mapping[str, str]

    def said(self, language: str) -> str:
        """The sentences in ``language``, else in French."""
        return self.lines.get(language) or self.lines["fr"]


TEST = Mark(
    "TEST",
    {
        "fr": "Ce message est un essai. La personne nommée est inventée. Ne tenez pas compte de son contenu.",
        "en": "This message is a test. The person named in it is invented. Please disregard its content.",
    },
)


def mark(composition: Composition, marked: Mark) -> Composition:
    """The composition with the mark before its subject and on top of its body."""
    banner = f"> **{marked.word}.** {marked.said(composition.language)}\n\n"
    return replace(
        composition, subject=f"{marked.word} – {composition.subject}", markdown=banner + composition.markdown
    )


def compile_marked(key: SegmentKey, catalogue: Catalogue, settings: Settings, marked: Mark) -> CompiledNotice:
    """Like `compile_segment`, with the mark. Raises TemplateError or SettingsError."""
    composition = mark(compose(key, catalogue, settings), marked)
    page = make_page(composition, catalogue)
    words = catalogue.languages[composition.language].words
    other = replace(key, wave=f"{marked.word}.{key.wave}")
    try:
        return CompiledNotice(other, composition, page, settings.sender(key.sender), words, settings.campaign.name)
    except ValueError as error:
        raise TemplateError(f"{composition.base}: {error}") from error
