"""The kit: what a campaign says beside its notices. A website page, questions and answers, scripts for the helpline, a
note to the professions, a note for the house.

Made from the same facts, the same texts and the same version as the notices: what leaked, the risks and the advice are
the very paragraphs that the notices print (``compose``), of all the wave's segments together. Nothing personal can
stand in it: its templates know no person. Pure, given a loaded catalogue; the same input gives the same characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeVar

from notifier.campaign import Settings
from notifier.errors import TemplateError
from notifier.model import Audience, Exposure, Form, SegmentKey
from notifier.notices.bound import bound_settings, digest
from notifier.notices.catalogue import CATEGORIES, RULES, TEMPLATES, Catalogue, KitText, KitWords, Language
from notifier.notices.compose import ToldParagraph, compose, compose_whole
from notifier.notices.exercise import mark_body
from notifier.notices.facts import Facts, HelplineFacts, IncidentFacts, Markdown, SenderFacts, WaveFacts, escaped
from notifier.notices.page import Page, lay_out

_Item = TypeVar("_Item")
SHOWN = 12  # characters of a version
_TITLE = re.compile(r"^# +(.+)$", re.MULTILINE)
_FACTS = ("incidents", "senders", "waves", "drill")

# Whom a text of the kit speaks to as one: who hears the same words from the paragraphs.
GROUPS: Mapping[str, tuple[Audience, ...]] = {
    "insured": (Audience.INSURED, Audience.DEPENDANT, Audience.PAST_MEMBER),
    "children": (Audience.DEPENDANT,),
    "professional": (Audience.PROFESSIONAL,),
    "company": (Audience.COMPANY,),
}


@dataclass(frozen=True, slots=True)
class KitVersion:
    """``version`` in the kit's templates. ``code``: a digest of texts and facts; ``batches``: the approved ones."""

    code: str
    date: str
    approved: bool
    batches: str = ""


@dataclass(frozen=True, slots=True)
class KitGroup:
    """One of ``audiences`` in the kit's templates: what its notices tell, taken together. ``labels``: what came out, in
    the words of the notices; ``categories``: the same, said to somebody else than the person."""

    code: str
    name: str
    helpline: HelplineFacts | None
    incidents: tuple[IncidentFacts, ...]
    paragraphs: tuple[ToldParagraph, ...]
    labels: tuple[Markdown, ...]
    categories: tuple[str, ...]
    today: Markdown
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KitLine:
    """One of ``lines`` in the kit's templates: a telephone number, and the groups that may call it."""

    name: str
    phone: str
    hours: str


@dataclass(frozen=True, slots=True)
class KitPage:
    """One finished text. ``name``: of its files, without ending; ``facts``: of each group in it."""

    rule: KitText
    path: str
    name: str
    title: str
    markdown: str
    page: Page
    groups: tuple[KitGroup, ...]
    facts: tuple[Facts, ...]
    version: KitVersion
    wave: str


def kit_version(
    catalogue: Catalogue, settings: Settings, wave: str, *, day: date, approved: Sequence[int] = ()
) -> KitVersion:
    """The version of the texts and facts. ``day``: of the approval, or of today if nothing is approved; ``approved``:
    the numbers of the wave's approved batches."""
    words, language = _words(catalogue)
    bound = bound_settings(settings, wave)
    hashed = {path: digest(content.hex()) for path, content in catalogue.files.items() if _is_text(path)}
    code = digest({"wave": wave, "facts": {key: bound.get(key) for key in _FACTS}, "texts": hashed})[:SHOWN]
    numbers = language.words.enumerate([str(number) for number in approved])
    batches = (words.batch if len(approved) == 1 else words.batches).format(numbers=numbers) if approved else ""
    number = language.first_day if day.day == 1 else str(day.day)
    return KitVersion(code, f"{number} {language.months[day.month - 1]} {day.year}", bool(approved), batches)


def _is_text(path: str) -> bool:
    return path.startswith(f"{TEMPLATES}/") or path == CATEGORIES


def _words(catalogue: Catalogue) -> tuple[KitWords, Language]:
    if catalogue.kit_words is None or not catalogue.kit:
        raise TemplateError(f"{RULES}: there is no [[kit]]: take it over from the file that ships")
    return catalogue.kit_words, catalogue.languages[catalogue.kit_words.language]


def senders_of(keys: Iterable[SegmentKey]) -> list[str]:
    """Whose kits there are to make."""
    return sorted({key.sender for key in keys})


def make_kit(
    sender: str, keys: Iterable[SegmentKey], catalogue: Catalogue, settings: Settings, *, version: KitVersion
) -> list[KitPage]:
    """The texts of one sender for the segments of one wave, those of whose groups the wave has any. Raises
    TemplateError when a text does not compile, SettingsError when campaign.toml lacks an incident or the sender."""
    words, language = _words(catalogue)
    own = [key for key in keys if key.sender == sender]
    told: dict[str, tuple[KitGroup, Facts]] = {}
    for code in words.groups:
        if (key := _together(code, own, words.language)) is not None:
            told[code] = _group(code, words, key, catalogue, settings)
    pages = []
    for rule in catalogue.kit:
        here = [told[code] for code in rule.groups if code in told]
        if here:
            present = {key.audience.value for key in own}
            pages.append(_page(rule, here, own[0].wave, present, catalogue, settings, version, words, language))
    return pages


def _group_of(key: SegmentKey) -> str:
    if key.form is Form.CHILDREN:
        return "children"
    return next(code for code, audiences in GROUPS.items() if key.audience in audiences)


def _together(group: str, keys: Sequence[SegmentKey], language: str) -> SegmentKey | None:
    """One segment that stands for all of a group: its exposures are theirs together; None: the wave has none."""
    found = [key for key in keys if _group_of(key) == group]
    if not found:
        return None
    audience = next(each for each in GROUPS[group] if any(key.audience is each for key in found))
    exposures: frozenset[Exposure] = frozenset().union(*(key.exposures for key in found))
    form = Form.CHILDREN if group == "children" else Form.OWN
    return replace(found[0], audience=audience, profession="", form=form, exposures=exposures, language=language)


def _group(
    code: str, words: KitWords, key: SegmentKey, catalogue: Catalogue, settings: Settings
) -> tuple[KitGroup, Facts]:
    notice = compose(key, catalogue, settings)
    facts, told = notice.facts, notice.paragraphs
    group = KitGroup(
        code=code,
        name=words.groups[code],
        helpline=facts.helpline,
        incidents=facts.incidents,
        paragraphs=told,
        labels=tuple(dict.fromkeys(label for paragraph in told for label in paragraph.labels.values())),
        categories=tuple(dict.fromkeys(_named(told, words))),
        today=told[0].today if told else Markdown(""),
        services=facts.services,
    )
    return group, facts


def _named(told: Iterable[ToldParagraph], words: KitWords) -> Iterator[str]:
    for paragraph in told:
        for code in paragraph.labels:
            if code not in words.categories:
                raise TemplateError(f"{RULES}: [kit_words.categories] has no name for {code}")
            yield words.categories[code]


def _lines(groups: Sequence[KitGroup], language: Language) -> list[KitLine]:
    """Each number once."""
    found: dict[HelplineFacts, list[str]] = {}
    for group in groups:
        if group.helpline:
            found.setdefault(group.helpline, []).append(group.name)
    return [KitLine(language.words.enumerate(names), line.phone, line.hours) for line, names in found.items()]


@dataclass(frozen=True, slots=True)
class _Together:
    """What the groups of one text share, each thing once, in the order of campaign.toml."""

    incidents: tuple[IncidentFacts, ...]
    sender: SenderFacts
    wave: WaveFacts

    @classmethod
    def of(cls, facts: Sequence[Facts], settings: Settings) -> _Together:
        by_code = {incident.code: incident for each in facts for incident in each.incidents}
        ordered = tuple(by_code[each.code] for each in settings.incidents if each.code in by_code)
        return cls(ordered, facts[0].sender, facts[0].wave)


def _page(
    rule: KitText,
    here: Sequence[tuple[KitGroup, Facts]],
    wave: str,
    present: set[str],
    catalogue: Catalogue,
    settings: Settings,
    version: KitVersion,
    kit_words: KitWords,
    language: Language,
) -> KitPage:
    groups, facts = tuple(group for group, _ in here), tuple(each for _, each in here)
    shared = _Together.of(facts, settings)
    words: dict[str, object] = {
        "sender": shared.sender,
        "wave": shared.wave,
        "wave_name": wave,
        "version": version,
        "audiences": groups,
        "lines": _lines(groups, language),
        "present": frozenset(present),
        "exposed": frozenset(code for group in groups for told in group.paragraphs for code in told.categories),
        "operators": Markdown(language.words.enumerate([escaped(each.operator) for each in shared.incidents])),
        "incidents": shared.incidents,
        "measures": _once(each.measures for each in facts),
        "services": _once(each.services for each in facts),
        "unknowns": _once(each.unknowns for each in facts),
        "next_news": _once(each.next_news for each in facts),
        "complaints": _once(each.complaints for each in facts),
    }
    markdown = compose_whole(catalogue, kit_words.language, rule.file, words)
    if settings.drill is not None:
        markdown = mark_body(markdown, kit_words.language)
    path = catalogue.path(kit_words.language, rule.file)
    heading = _TITLE.search(markdown)
    if heading is None:
        raise TemplateError(f'{path}: a text of the kit has a title: begin with "# …"')
    title = f"{heading[1]} – {shared.sender.brand}"
    layout = catalogue.text(kit_words.language, kit_words.layout)
    layout_path = catalogue.path(kit_words.language, kit_words.layout)
    return KitPage(
        rule=rule,
        path=path,
        name=rule.file.rpartition("/")[2].removesuffix(".md"),
        title=title,
        markdown=markdown,
        page=lay_out(markdown, kit_words.language, title, layout_path, layout),
        groups=groups,
        facts=facts,
        version=version,
        wave=wave,
    )


def _once(lists: Iterable[Iterable[_Item]]) -> tuple[_Item, ...]:
    return tuple(dict.fromkeys(item for items in lists for item in items))
