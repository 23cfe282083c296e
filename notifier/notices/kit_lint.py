"""The rules that hold for the kit: what is forbidden in a notice is forbidden here, and the website page tells all that
Art. 34(2) asks for, because it also serves Art. 34(3)(c). Pure, given a loaded catalogue.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from markdown_it import MarkdownIt

from notifier.campaign import Settings
from notifier.errors import OperatorError
from notifier.model import SegmentKey, WaveKind
from notifier.notices.appearance import check_bodies
from notifier.notices.catalogue import RULES, Catalogue, Language
from notifier.notices.facts import Markdown
from notifier.notices.findings import Finding
from notifier.notices.inspection import look, words
from notifier.notices.kit import KitPage, kit_version, make_kit, senders_of
from notifier.notices.lint import FULL, MEASURE_WORDS
from notifier.notices.reading import plain_text
from notifier.vault import NUMBER, redact

_MARKDOWN = MarkdownIt("commonmark", {"html": False})


def lint_kit(keys: Iterable[SegmentKey], catalogue: Catalogue, settings: Settings, today: date) -> list[Finding]:
    """All findings on the kit that belongs to these segments; none if the catalogue has no kit."""
    known = list(keys)
    if not known or not catalogue.kit:
        return []
    found: list[Finding] = []
    for sender in senders_of(known):
        try:
            version = kit_version(catalogue, settings, known[0].wave, day=today)
            pages = make_kit(sender, known, catalogue, settings, version=version)
        except OperatorError as error:
            found.append(Finding("kit", RULES, str(error)))
            continue
        found += check_kit(pages, sender, catalogue, settings, known[0].wave_kind)
    return list(dict.fromkeys(found))


def check_kit(
    pages: Iterable[KitPage], sender: str, catalogue: Catalogue, settings: Settings, kind: WaveKind
) -> list[Finding]:
    """Findings on finished pages."""
    found: list[Finding] = []
    for page in pages:
        assert catalogue.kit_words is not None  # the page was made with them
        language = catalogue.languages[catalogue.kit_words.language]
        found += check_bodies(page.page, catalogue.kit_words.language, look(page.page.html), page.path)
        found += _forbidden(page, language)
        found += _version(page)
        found += _other_lines(page, sender, settings)
        if page.rule.art34:
            found += _contact(page)
            if kind in FULL:
                found += _art34(page, language)
    return found


def _said(page: KitPage) -> str:
    return f" {' '.join(words(page.page.text))} "


def _tells(said: str, part: str) -> bool:
    return f" {' '.join(words(part))} " in said


def _plain(markdown: Markdown) -> str:
    return plain_text(_MARKDOWN.parse(markdown))


def _forbidden(page: KitPage, language: Language) -> Iterator[Finding]:
    text = " ".join(page.page.text.split())
    if NUMBER in redact(text):
        yield Finding("number", page.path, "holds a number shaped like a NIR, an IBAN or a RIB: take it out")
    for phrase in language.vague:
        if phrase.casefold() in text.casefold():
            yield Finding("vague", page.path, f"says {phrase!r}: say what was done (DOMAIN A2)")


def _version(page: KitPage) -> Iterator[Finding]:
    said = _said(page)
    if not (_tells(said, page.version.code) and _tells(said, page.version.date) and _tells(said, page.wave)):
        yield Finding("version", page.path, 'does not say its version: {% include "kit/parts/version.md" %}')


def _other_lines(page: KitPage, sender: str, settings: Settings) -> Iterator[Finding]:
    """A line that is one audience's own is not printed for another (DOMAIN F)."""
    own = {group.helpline.phone for group in page.groups if group.helpline}
    for line in settings.sender(sender).helplines.values():
        if line.phone not in own and _tells(_said(page), line.phone):
            yield Finding("helpline", page.path, "prints another audience's telephone number: take it out")


def _contact(page: KitPage) -> Iterator[Finding]:
    """Art. 33(3)(b)."""
    said, sender = _said(page), page.facts[0].sender
    for name in ("dpo_address", "postal_address", "website"):
        if not _tells(said, getattr(sender, name)):
            yield Finding("contact", page.path, f"gives no sender.{name}: print {{{{ sender.{name} }}}}")
    for group in page.groups:
        if group.helpline and not _tells(said, group.helpline.phone):
            yield Finding("contact", page.path, f"gives no telephone number for {group.code}: print group.helpline")


def _art34(page: KitPage, language: Language) -> Iterator[Finding]:
    """Nature, consequences, advice, measures: each where the notices have it, and not otherwise."""
    said = _said(page)
    measures = {measure for each in page.facts for measure in each.measures}
    for incident in {incident.code: incident for each in page.facts for incident in each.incidents}.values():
        measures |= set(incident.operator_measures)
        for name in ("operator", "occurred", "what_happened"):
            if not _tells(said, getattr(incident, name)):
                yield Finding("nature", page.path, f"incident {incident.code}: does not say incident.{name}")
    for group in page.groups:
        for label in (label for incident in group.incidents for label in incident.labels):
            if not _tells(said, _plain(label)):
                yield Finding("exposed", page.path, f"{group.code}: leaves out what came out: print incident.labels")
        for told in group.paragraphs:
            codes = ", ".join(sorted(told.categories))
            if not _tells(said, _plain(told.consequence)):
                yield Finding("consequences", page.path, f"{group.code}: leaves out the risks for {codes}")
            if not _tells(said, _plain(told.actions)):
                yield Finding("advice", page.path, f"{group.code}: leaves out the advice for {codes}")
    if any(not _tells(said, measure) for measure in measures):
        yield Finding("measures", page.path, "leaves out measures: print incident.operator_measures and measures")
    vague = [phrase.casefold() for phrase in language.vague]
    concrete = (len(words(each)) >= MEASURE_WORDS and not any(one in each.casefold() for one in vague)
                for each in measures)  # fmt: skip
    if not any(concrete):
        yield Finding("measures", page.path, "names no concrete measure: what was cut off, changed, reported, watched")
