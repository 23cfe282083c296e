"""The rules that block `approve`: Art. 34(2) RGPD as CNIL applies it, and what keeps a notice readable and unlike
phishing. Pure, given a loaded catalogue.

Every finding says where and what to write. ``error`` blocks; ``warning`` is for the DPO's eye. Nothing here proves that
a text is good: it proves that what the law asks for stands in the message itself, per category, in both bodies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace

from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markdown_it import MarkdownIt

from notifier.campaign import Settings
from notifier.errors import OperatorError
from notifier.model import Audience, Form, SegmentKey, WaveKind
from notifier.notices.appearance import check_page, check_subject
from notifier.notices.catalogue import RULES, TEMPLATES, Catalogue, Language
from notifier.notices.choice import choose
from notifier.notices.compiled import CompiledNotice, compile_segment
from notifier.notices.facts import Markdown, PersonMarkers
from notifier.notices.findings import Finding
from notifier.notices.inspection import look, words
from notifier.notices.personal import Marker
from notifier.notices.readiness import check_settings
from notifier.notices.reading import plain_text
from notifier.notices.tongue import tongue, translated
from notifier.vault import NUMBER, redact

__all__ = ["Finding", "check_settings", "lint", "name_of"]

CONSEQUENCE_WORDS = 8
MEASURE_WORDS = 5

# Rounds that tell of a breach owe all that Art. 34(2) asks for. The others speak of an earlier notice.
FULL = frozenset({WaveKind.INITIAL, WaveKind.SUPPLEMENT, WaveKind.PRECAUTION})
# What only the campaign can say, in [waves.NAME] of campaign.toml.
NEEDED: Mapping[WaveKind, Mapping[str, str]] = {
    WaveKind.CORRECTION: {"wrong": "what we wrote that was wrong", "right": "what is true"},
    WaveKind.FOLLOW_UP: {"news": "what is new"},
    WaveKind.PRECAUTION: {"news": "why these persons are written to"},
}

_LINK = re.compile(r"https?://|\]\(|<(?:a|img)\b", re.IGNORECASE)
_MARKDOWN = MarkdownIt("commonmark", {"html": False})
_PERSON_FIELDS = frozenset(field.name for field in fields(PersonMarkers))


def lint(keys: Iterable[SegmentKey], catalogue: Catalogue, settings: Settings) -> list[Finding]:
    """All findings on the texts of these segments, each told once; errors first."""
    found = [*_sources(catalogue)]
    for key in keys:
        found += _segment(key, catalogue, settings)
    return sorted(dict.fromkeys(found), key=lambda finding: finding.severity)


def name_of(key: SegmentKey) -> str:
    """A segment in words: ``insured, own, viamedis: birth_date nir``."""
    parts = [key.audience.value, key.form.value, *([key.profession] if key.profession else [])]
    for incident in sorted({exposure.incident for exposure in key.exposures}):
        codes = sorted(exposure.category for exposure in key.exposures if exposure.incident == incident)
        parts.append(f"{incident}: {' '.join(codes)}")
    return ", ".join(parts)


# -- sources -------------------------------------------------------------------------------------------------------


def _sources(catalogue: Catalogue) -> Iterator[Finding]:
    """What can be said of a text by itself: it parses, it names no forbidden value, it holds no link."""
    environment = ImmutableSandboxedEnvironment()
    for path, content in catalogue.files.items():
        if not path.startswith(f"{TEMPLATES}/") or not path.endswith(".md"):
            continue
        source = content.decode()
        for number, line in enumerate(source.split("\n"), 1):
            if _LINK.search(line):
                yield Finding(
                    "link",
                    f"{path}, line {number}",
                    "a notice holds no link: write the official address as plain text, to be typed by hand",
                )
        try:
            tree = environment.parse(source)
        except Exception as error:  # the segment that uses the file tells it with its own words
            line = getattr(error, "lineno", "?")
            yield Finding("template", f"{path}, line {line}", f"the template does not compile: {error}")
            continue
        for node in tree.find_all(nodes.Getattr):
            if isinstance(node.node, nodes.Name) and node.node.name == "person" and node.attr not in _PERSON_FIELDS:
                allowed = ", ".join(sorted(_PERSON_FIELDS))
                yield Finding(
                    "forbidden-field",
                    f"{path}, line {node.lineno}",
                    f"person.{node.attr} is never printed; what can be printed of a person: {allowed}",
                )
    told = {code for rule in catalogue.paragraphs for code in rule.categories}
    if untold := sorted(set(catalogue.categories) - told):
        yield Finding(
            "category-without-paragraph",
            RULES,
            f"no [[paragraphs]] at all for {', '.join(untold)}: persons with such an exposure cannot be told yet",
            "warning",
        )


# -- segments ------------------------------------------------------------------------------------------------------


def _segment(key: SegmentKey, catalogue: Catalogue, settings: Settings) -> list[Finding]:
    where = name_of(key)
    found = []
    told_in = tongue(key, catalogue, settings)
    if told_in.language != key.language:
        why = (
            f"campaign.toml lacks {'; '.join(told_in.missing)}" if told_in.missing else f"no texts in {key.language!r}"
        )
        found.append(
            Finding("language", where, f"{why}: these persons are written to in {told_in.language!r}", "warning")
        )
    uncovered = choose(catalogue.bases, catalogue.paragraphs, key).uncovered
    try:
        notice = compile_segment(key, catalogue, settings)
    except OperatorError as error:
        return [*found, Finding("category" if uncovered else "template", where, str(error))]
    sight = look(notice.page.html)
    language = catalogue.languages[notice.composition.language]
    told = [
        *_contact(notice, where, settings),
        *_nature(notice, where),
        *(_consequences_and_advice(notice, where) if key.wave_kind in FULL else _reminder(notice, where)),
        *(
            _measures(notice, where, translated(key, settings, told_in.language), language)
            if key.wave_kind in FULL
            else ()
        ),
        *_words_of_the_wave(notice, where),
        *_service(notice, settings),
        *_personal(notice, where),
        *check_page(notice, sight, where),
        *check_subject(notice, language),
    ]
    # Of what a segment's notice lacks, the frame is the file to begin with.
    frame = notice.composition.base
    return [*found, *(replace(each, file=frame) if each.where == where else each for each in told)]


def _tells(text_words: str, part: str) -> bool:
    """Whether the notice's words hold this fact's words, one after the other."""
    return f" {' '.join(words(part))} " in text_words


def _text_words(notice: CompiledNotice) -> str:
    return f" {' '.join(words(notice.page.text))} "


def _contact(notice: CompiledNotice, where: str, settings: Settings) -> Iterator[Finding]:
    """Art. 33(3)(b): name and contact details of the DPO or another contact point, in the message itself."""
    told, facts = _text_words(notice), notice.composition.facts
    for what, value in (
        ("sender.dpo_address", facts.sender.dpo_address),
        ("sender.postal_address", facts.sender.postal_address),
        ("sender.website", facts.sender.website),
    ):
        if not _tells(told, value):
            yield Finding("contact", where, f"the notice gives no {what}: print {{{{ {what} }}}} (Art. 33(3)(b))")
    if facts.helpline is None:
        yield Finding(
            "helpline",
            where,
            f"[[senders]] {notice.key.sender} has no telephone number for {notice.key.audience.value}: "
            "give helplines.default or one for this audience",
            "warning",
        )
    elif not _tells(told, facts.helpline.phone):
        yield Finding("contact", where, "the notice gives no telephone number: print {{ helpline.phone }}")
    other = {
        line.phone
        for audience, line in settings.sender(notice.key.sender).helplines.items()
        if audience not in {"default", notice.key.audience.value}
    } - {facts.helpline.phone if facts.helpline else ""}
    for phone in sorted(other):
        if _tells(told, phone):
            yield Finding("helpline", where, "the notice prints another audience's telephone number: take it out")


def _nature(notice: CompiledNotice, where: str) -> Iterator[Finding]:
    """Art. 34(2): the nature of the breach, in clear and plain language."""
    told = _text_words(notice)
    for incident in notice.composition.facts.incidents:
        for what, value in (
            ("operator", incident.operator),
            ("occurred", incident.occurred),
            *([("what_happened", incident.what_happened)] if notice.key.wave_kind in FULL else []),
        ):
            if not _tells(told, value):
                yield Finding(
                    "nature", where, f"incident {incident.code}: the notice does not say {what}: print incident.{what}"
                )
        if not incident.not_exposed and notice.key.wave_kind is WaveKind.INITIAL:
            yield Finding(
                "not-exposed",
                f"[[incidents]] {incident.code}",
                f"nothing says what was not exposed for {notice.key.audience.value}; "
                "ask the operator for a dated statement",
                "warning",
            )


def _consequences_and_advice(notice: CompiledNotice, where: str) -> Iterator[Finding]:
    """Art. 33(3)(c) and the advice of Art. 34(2): one concrete risk and one action per category (DOMAIN A2)."""
    told = _text_words(notice)
    for paragraph in notice.composition.paragraphs:
        codes = ", ".join(sorted(paragraph.categories))
        consequence = _plain(paragraph.consequence)
        if len(words(consequence)) < CONSEQUENCE_WORDS:
            yield Finding(
                "consequences", paragraph.path, f"name a concrete risk for {codes}, in at least a full sentence"
            )
        elif not _tells(told, consequence):
            yield Finding(
                "consequences", where, f"the notice leaves out the risks for {codes}: print paragraph.consequence"
            )
        actions = [line for line in paragraph.actions.split("\n") if re.match(r"\s*(?:[-*+]|\d+[.)]) +\S", line)]
        if not actions:
            yield Finding("advice", paragraph.path, f'give at least one action for {codes}, as a list: "- Changez …"')
        elif not _tells(told, _plain(paragraph.actions)):
            yield Finding("advice", where, f"the notice leaves out the advice for {codes}: print paragraph.actions")
    yield from _reminder(notice, where)


def _reminder(notice: CompiledNotice, where: str) -> Iterator[Finding]:
    """The categories that the notice is about, each in the reader's words."""
    told = _text_words(notice)
    for paragraph in notice.composition.paragraphs:
        for code, label in paragraph.labels.items():
            if not _tells(told, _plain(label)):
                yield Finding("exposed", where, f"the notice does not say that {code} came out: print incident.labels")


def _words_of_the_wave(notice: CompiledNotice, where: str) -> Iterator[Finding]:
    """What a later round is made for stands in campaign.toml, and in the notice."""
    told, said = _text_words(notice), notice.composition.facts.wave
    for name, what in NEEDED.get(notice.key.wave_kind, {}).items():
        value = str(getattr(said, name))
        if not value.strip():
            yield Finding("blank", f"[waves.{notice.key.wave}]", f'say {what}: {name} = "…", in whole sentences')
        elif not _tells(told, value):
            yield Finding("wave", where, f"the notice does not say {what}: print {{{{ wave.{name} }}}}")
    for advice in said.advice if notice.key.wave_kind in NEEDED else ():
        if not _tells(told, advice):
            yield Finding("wave", where, "the notice leaves out an advice of this round: print wave.advice")


def _service(notice: CompiledNotice, settings: Settings) -> Iterator[Finding]:
    """DESIGN 8: "when am I paid?" is answered to professionals in their own voice, or not at all."""
    if notice.key.audience not in {Audience.PROFESSIONAL, Audience.COMPANY} or notice.key.wave_kind not in FULL:
        return
    for facts in notice.composition.facts.incidents:
        if not settings.incident(facts.code).state_of_service_professionals.strip():
            where = f"[[incidents]] {facts.code}: state_of_service_professionals"
            yield Finding("blank", where, "professionals are told nothing of the service: say when they are paid")


def _plain(markdown: Markdown) -> str:
    return plain_text(_MARKDOWN.parse(markdown))


def _measures(notice: CompiledNotice, where: str, settings: Settings, language: Language) -> Iterator[Finding]:
    """Art. 33(3)(d): what was done, concretely; "all necessary measures" is what Free was fined for (DOMAIN A2)."""
    told = _text_words(notice)
    for facts in notice.composition.facts.incidents:
        incident = settings.incident(facts.code)
        every = (*incident.operator_measures, *incident.measures)
        if not any(_is_concrete(measure, language.vague) for measure in every):
            yield Finding(
                "measures",
                f"[[incidents]] {facts.code}",
                "name at least one concrete measure (what was cut off, changed, reported, watched), "
                'not only "toutes les mesures nécessaires"',
            )
        if missing := [measure for measure in every if not _tells(told, measure)]:
            yield Finding(
                "measures",
                where,
                f"incident {facts.code}: the notice leaves out {len(missing)} of {len(every)} measures: "
                "print incident.operator_measures and measures",
            )


def _is_concrete(measure: str, vague: Sequence[str]) -> bool:
    said = measure.casefold()
    return len(words(measure)) >= MEASURE_WORDS and not any(phrase.casefold() in said for phrase in vague)


def _personal(notice: CompiledNotice, where: str) -> Iterator[Finding]:
    """What tells the reader that it is about them, and nothing that tells others more."""
    needed = [(Marker.SALUTATION, "person.salutation"), (Marker.REFERENCE, "person.reference")]
    if notice.key.form is not Form.OWN:
        needed.append((Marker.CONCERNED, "person.concerned"))
    for marker, name in needed:
        if marker.value not in notice.page.text:
            yield Finding("person", where, f"the notice has no {{{{ {name} }}}}: print it")
    for body in (notice.composition.subject, notice.page.text):
        if NUMBER in redact(" ".join(body.split())):  # a number may stand across a line break
            yield Finding("number", where, "the notice holds a number shaped like a NIR, an IBAN or a RIB: take it out")
