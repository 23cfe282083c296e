"""Rules on how a notice looks and reads from outside: page and subject (DOMAIN F). Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from notifier.notices.catalogue import Language
from notifier.notices.compiled import CompiledNotice
from notifier.notices.exercise import unmarked
from notifier.notices.findings import Finding
from notifier.notices.inspection import Sight, colour, contrast, style_rules, words
from notifier.notices.page import Page
from notifier.notices.personal import Marker

SIZE_LIMIT = 100_000  # bytes of HTML; Gmail cuts off at 102 kB
SUBJECT_LIMIT = 110  # characters, with a name of usual length
CONTRAST = 4.5  # WCAG 2.1, 1.4.3
SMALLEST = 16.0  # px
LOADING_TAGS = frozenset(
    {"img", "link", "script", "iframe", "object", "embed", "video", "audio", "source", "svg", "base"}
)
ASKING_TAGS = frozenset({"form", "input", "button", "select", "textarea"})
TYPICAL_NAME = "Camille Exemple"

_EMPHASIS = re.compile(r"[A-ZÀ-Þ]{4,}(?:\s+[A-ZÀ-Þ]{4,})+")


def check_page(notice: CompiledNotice, sight: Sight, where: str) -> Iterator[Finding]:
    """DOMAIN F: loads nothing, asks nothing, links nowhere, is readable, says the same twice."""
    yield from check_bodies(notice.page, notice.composition.language, sight, where)


def check_bodies(page: Page, language: str, sight: Sight, where: str) -> Iterator[Finding]:
    """The same of any page with two bodies. ``sight``: what is seen of its HTML."""
    tags = [tag for tag, _ in sight.tags]
    if "a" in tags:
        yield Finding("link", where, "the notice holds a link: write official addresses as plain text")
    styled = sight.styles + "".join(attributes.get("style", "") for _, attributes in sight.tags)
    loading = LOADING_TAGS.intersection(tags) or any(
        {"src", "background", "srcset", "poster"} & set(attributes) for _, attributes in sight.tags
    )
    if loading or re.search(r"url\s*\(|@import|@font-face", styled) or re.search(r"https?://", page.html):
        yield Finding("remote-load", where, "the notice would load something or names an http address: take it out")
    if asking := sorted(ASKING_TAGS.intersection(tags)):
        yield Finding("form", where, f"the notice asks for input (<{asking[0]}>): take it out")
    if (size := len(page.html.encode())) >= SIZE_LIMIT:
        yield Finding("size", where, f"the HTML has {size} bytes, mail programs cut it off at {SIZE_LIMIT}: shorten it")
    languages = {tag: attributes.get("lang") for tag, attributes in sight.tags if attributes.get("lang")}
    if languages.get("html") != language or len(languages) < 2 or set(languages.values()) != {language}:
        yield Finding("lang", where, f'layout.html: put lang="{language}" on <html> and on the first element inside')
    yield from _frame(page.html, sight, where)
    if sight.words != (said := words(page.text)):
        yield Finding("parity", where, f"text and HTML differ, first at {_first_difference(sight.words, said)!r}")
    yield from _ink(sight, where)


def _frame(html: str, sight: Sight, where: str) -> Iterator[Finding]:
    """What a screen reader and a mail program look for in a page."""
    tags = [tag for tag, _ in sight.tags]
    if "title" not in tags or not re.search(r"<title>\s*[^<\s]", html):
        yield Finding("title", where, "layout.html: write <title>{{ title }}</title> into <head>")
    if not any(tag == "meta" and attributes.get("charset", "").lower() == "utf-8" for tag, attributes in sight.tags):
        yield Finding("charset", where, 'layout.html: write <meta charset="utf-8"> into <head>')
    if any(tag == "table" and attributes.get("role") != "presentation" for tag, attributes in sight.tags):
        yield Finding("table-role", where, 'layout.html: give each table role="presentation": it is layout, no data')
    if re.search(r"text-align\s*:\s*justify", html):
        yield Finding("justified", where, "layout.html: justified text is hard to read: text-align: left")
    if "h1" not in tags:
        yield Finding("heading", where, 'the notice has no heading: begin it with a line "# …"')


def _first_difference(one: Sequence[str], other: Sequence[str]) -> str:
    for first, second in zip(one, other, strict=False):
        if first != second:
            return first
    return "the end"


def _ink(sight: Sight, where: str) -> Iterator[Finding]:
    for piece in sight.inked:
        if piece.colour is None or piece.background is None:
            yield Finding("contrast", where, "layout.html: give every text a color and a background-color (#rrggbb)")
            break
        if (ratio := contrast(piece.colour, piece.background)) < CONTRAST:
            yield Finding("contrast", where, f"layout.html: a contrast of {ratio:.1f} to 1; WCAG asks for {CONTRAST}")
            break
    for selector, style in style_rules(sight.styles):
        ink, ground = colour(style.get("color", "")), colour(style.get("background-color", ""))
        if (ink is None) != (ground is None):
            yield Finding("contrast", where, f"layout.html: {selector}: give color and background-color together")
        elif ink and ground and (ratio := contrast(ink, ground)) < CONTRAST:
            yield Finding("contrast", where, f"layout.html: {selector}: a contrast of {ratio:.1f} to 1")
    if any(piece.pixels is None or piece.pixels < SMALLEST for piece in sight.inked):
        yield Finding("text-size", where, f"layout.html: text smaller than {SMALLEST:.0f} px, or of unknown size")


def check_subject(notice: CompiledNotice, language: Language) -> Iterator[Finding]:
    """DOMAIN F: plain, names the sender and the person, alarms nobody, tells a lock screen nothing."""
    pattern = notice.composition.subject
    where = f"{notice.composition.base}, line 1"
    subject = unmarked(pattern).replace(Marker.NAME.value, TYPICAL_NAME)
    said = f" {' '.join(words(subject)).casefold()} "
    if len(subject) > SUBJECT_LIMIT:
        yield Finding("subject-length", where, f"the subject has {len(subject)} characters: at most {SUBJECT_LIMIT}")
    if notice.composition.facts.sender.brand not in subject:
        yield Finding("subject-sender", where, "the subject does not name the sender: write {{ sender.brand }}")
    if Marker.NAME.value not in pattern:
        yield Finding("subject-person", where, "the subject does not say for whom it is: write {{ person.name }}")
    if "!" in subject or any(f" {word.casefold()} " in said for word in language.alarm):
        yield Finding("subject-alarm", where, "the subject sounds an alarm, as phishing does: say it plainly")
    if any(f" {word.casefold()} " in said for word in language.private):
        yield Finding("subject-private", where, "the subject tells a lock screen what leaked: leave it to the text")
    if _EMPHASIS.search(subject):
        yield Finding("subject-capitals", where, "the subject shouts in capitals: write small letters")
    if any(unicodedata.category(letter) in {"So", "Sk", "Cs"} for letter in subject):
        yield Finding("subject-symbol", where, "the subject holds a symbol or emoji: leave it out")
