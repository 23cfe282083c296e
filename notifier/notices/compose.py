"""A segment becomes Markdown: base × paragraphs × facts, with markers for what is personal.

Pure, given a loaded catalogue: the same segment, catalogue and settings give the same characters. Templates run in
Jinja's sandbox with strict undefined names; whatever fails is a TemplateError with file and line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from jinja2 import FunctionLoader, StrictUndefined, TemplateNotFound, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notifier.campaign import Settings
from notifier.errors import TemplateError
from notifier.model import SegmentKey
from notifier.notices.catalogue import RULES, Catalogue, Language
from notifier.notices.choice import Choice, ChosenParagraph, choose
from notifier.notices.exercise import mark_body, mark_subject
from notifier.notices.facts import PERSON, Facts, IncidentFacts, Markdown, escaped, gather, plain
from notifier.notices.tongue import tongue, translated

_HEADING = re.compile(r"^# +(.+?) *$")
_LABEL = re.compile(r"^- +([a-z0-9_]+) : +(.+)$")
# A line that holds one block tag and nothing else leaves no line behind; tags inside a line leave theirs alone.
_TAG_LINE = re.compile(r"^[ \t]*\{%((?:(?!%\}|\n).)*)%\}[ \t]*\n", re.MULTILINE)
_NUMBER_GAP = re.compile(r"(?<=\d) (?=\w{1,3}\b)")
_PADDED = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True)
class ToldParagraph:
    """One paragraph as it is told. ``path``: its file; ``labels``: category → what the reader calls it."""

    path: str
    categories: frozenset[str]
    title: Markdown
    labels: Mapping[str, Markdown]
    consequence: Markdown
    today: Markdown
    actions: Markdown
    forward: Markdown


@dataclass(frozen=True, slots=True)
class Composition:
    """A notice before its two bodies are made. ``subject`` is plain text, ``markdown`` Markdown; both hold markers."""

    language: str
    subject: str
    markdown: str
    base: str
    paragraphs: tuple[ToldParagraph, ...]
    facts: Facts


def compose(key: SegmentKey, catalogue: Catalogue, settings: Settings) -> Composition:
    """The words of one segment.

    Raises TemplateError when a category has no paragraph for this audience, when no base fits, or when a template
    does not compile; SettingsError when campaign.toml lacks the incident or the sender.
    """
    language_code = tongue(key, catalogue, settings).language
    language = catalogue.languages[language_code]
    choice = choose(catalogue.bases, catalogue.paragraphs, key)
    base = _complete(choice, key)
    facts = gather(key, translated(key, settings, language_code), language)
    texts = _texts(catalogue, language_code)
    words: dict[str, object] = {
        "person": PERSON,
        "sender": facts.sender,
        "helpline": facts.helpline,
        "audience": key.audience.value,
        "form": key.form.value,
        "wave_kind": key.wave_kind.value,
        "wave": facts.wave,
        "profession": key.profession,
        "operators": _join(language, [incident.operator for incident in facts.incidents]),
        "several_incidents": len(facts.incidents) > 1,
        "new_operators": [incident.operator for incident in facts.incidents if incident.is_new],
        "known_operators": [incident.operator for incident in facts.incidents if not incident.is_new],
        "exposed": frozenset(exposure.category for exposure in key.exposures),
        "public": catalogue.services,
    }
    told = tuple(texts.paragraph(chosen, facts, words) for chosen in choice.paragraphs)
    incidents = tuple(_with_labels(texts, incident, choice.paragraphs, words) for incident in facts.incidents)
    words |= {
        "incidents": incidents,
        "paragraphs": told,
        "today": told[0].today if told else Markdown(""),
        "labels": [label for paragraph in told for label in paragraph.labels.values()],
        "services": facts.services,
        "measures": facts.measures,
        "unknowns": facts.unknowns,
        "next_news": facts.next_news,
        "complaints": facts.complaints,
    }
    subject, body = texts.base(base, words)
    if settings.drill is not None:
        subject, body = mark_subject(subject), mark_body(body, language_code)
    return Composition(
        language=language_code,
        subject=subject,
        markdown=_PADDED.sub("\n\n", _unbroken(body, language)).strip() + "\n",
        base=catalogue.path(language_code, base),
        paragraphs=told,
        facts=replace(facts, incidents=incidents),
    )


def _unbroken(text: str, language: Language) -> str:
    """No-break spaces where the language wants them, and inside numbers (a telephone number stays on its line)."""
    if language.no_break_before:
        text = re.sub(f" (?=[{re.escape(language.no_break_before)}])", "\u00a0", text)
    if language.no_break_after:
        text = re.sub(f"(?<=[{re.escape(language.no_break_after)}]) ", "\u00a0", text)
    return _NUMBER_GAP.sub("\u00a0", text)


def _complete(choice: Choice, key: SegmentKey) -> str:
    """The base of a choice without gaps; a gap is an error, never silence (DESIGN 8)."""
    if choice.base is None:
        raise TemplateError(
            f"{RULES}: no [[bases]] for form {key.form.value}, audience {key.audience.value}, "
            f"wave kind {key.wave_kind.value}"
        )
    if choice.uncovered:
        missing = ", ".join(sorted({exposure.category for exposure in choice.uncovered}))
        raise TemplateError(
            f"{RULES}: no [[paragraphs]] for {missing} (form {key.form.value}, audience {key.audience.value}): "
            "write one, or nobody may be told"
        )
    return choice.base


def _with_labels(
    texts: _Texts, incident: IncidentFacts, chosen: Sequence[ChosenParagraph], words: Mapping[str, object]
) -> IncidentFacts:
    """The incident with the labels of what was exposed in it, in the order of the paragraphs."""
    labels: list[Markdown] = []
    for paragraph in chosen:
        codes = frozenset(exposure.category for exposure in paragraph.exposures if exposure.incident == incident.code)
        labels += texts.labels(paragraph.file, codes, [incident], words).values()
    return replace(incident, labels=tuple(labels))


def _join(language: Language, items: Sequence[object]) -> Markdown:
    return Markdown(language.words.enumerate([escaped(item) for item in items]))


@dataclass(frozen=True, slots=True)
class _Section:
    first_line: int
    text: str


class _Texts:
    """The texts of one language, compiled by Jinja."""

    def __init__(self, catalogue: Catalogue, language: str) -> None:
        self._catalogue = catalogue
        self._code = language
        self._language = catalogue.languages[language]
        self._sections: dict[str, dict[str, _Section]] = {}
        self._markdown = self._environment(escaped)
        self._plain = self._environment(plain)

    def _environment(self, finalize: Callable[[object], str]) -> ImmutableSandboxedEnvironment:
        environment = ImmutableSandboxedEnvironment(
            loader=FunctionLoader(self._load),
            undefined=StrictUndefined,
            finalize=finalize,
            autoescape=False,
            keep_trailing_newline=True,
            cache_size=-1,
        )
        environment.filters["et"] = partial(_join, self._language)
        return environment

    def _load(self, name: str) -> tuple[str, str, Callable[[], bool]]:
        """``file``, ``file#section`` or ``file#section#label``, padded so that Jinja counts the file's own lines."""
        file, _, part = name.partition("#")
        path = self._catalogue.path(self._code, file)
        if path not in self._catalogue.files:
            raise TemplateNotFound(name)
        source = self._catalogue.text(self._code, file)
        if part == "subject":
            source = self._split_subject(file, source)[0]
        elif part == "body":
            source = self._split_subject(file, source)[1]
        elif part:
            section, _, code = part.partition("#")
            found = self.sections(file)[section]
            source = "\n" * (found.first_line - 1) + found.text
            if code:
                source = next(
                    "\n" * (found.first_line - 1 + offset) + match[2]
                    for offset, line in enumerate(found.text.split("\n"))
                    if (match := _LABEL.match(line)) and match[1] == code
                )
        # The newline moves into a comment: the line goes, its number stays.
        return _TAG_LINE.sub(r"{%\1%}{#\n#}", source), path, lambda: True

    def _split_subject(self, file: str, source: str) -> tuple[str, str]:
        line, _, rest = source.partition("\n")
        label, colon, subject = line.partition(":")
        if label.strip() != self._language.subject or not colon or not subject.strip():
            place = f"{self._catalogue.path(self._code, file)}, line 1"
            raise TemplateError(f'{place}: begin with "{self._language.subject} : …", the subject of the message')
        return subject.strip(), "\n" + rest

    def sections(self, file: str) -> dict[str, _Section]:
        """A paragraph file's sections by role. Raises TemplateError for an unknown or missing heading."""
        if file not in self._sections:
            self._sections[file] = self._divided(file)
        return self._sections[file]

    def _divided(self, file: str) -> dict[str, _Section]:
        path = self._catalogue.path(self._code, file)
        roles = {title: role for role, title in self._language.sections.model_dump().items()}
        found: dict[str, _Section] = {}
        role = ""
        for number, line in enumerate(self._catalogue.text(self._code, file).split("\n"), 1):
            if heading := _HEADING.match(line):
                if heading[1] not in roles:
                    known = ", ".join(f'"# {title}"' for title in roles)
                    raise TemplateError(f'{path}, line {number}: unknown heading "# {heading[1]}" (known: {known})')
                role = roles[heading[1]]
                if role in found:
                    raise TemplateError(f'{path}, line {number}: the heading "# {heading[1]}" stands twice')
                found[role] = _Section(number + 1, "")
            elif role:
                found[role] = _Section(found[role].first_line, f"{found[role].text}{line}\n")
            elif line.strip():
                raise TemplateError(f"{path}, line {number}: text before the first heading is printed nowhere")
        for title, role in roles.items():
            if role != "forward" and not (role in found and found[role].text.strip()):
                raise TemplateError(f'{path}: the section "# {title}" is missing or empty')
        return found

    def paragraph(self, chosen: ChosenParagraph, facts: Facts, words: Mapping[str, object]) -> ToldParagraph:
        """One paragraph with its labels, for the exposures it speaks of."""
        local = {
            **words,
            "categories": chosen.categories,
            "portals": self._portals(chosen, facts.incidents),
        }
        present = self.sections(chosen.file)

        def told(section: str) -> Markdown:
            return self._render(f"{chosen.file}#{section}", local) if section in present else Markdown("")

        incidents = [
            incident
            for incident in facts.incidents
            if any(exposure.incident == incident.code for exposure in chosen.exposures)
        ]
        return ToldParagraph(
            path=self._catalogue.path(self._code, chosen.file),
            categories=chosen.categories,
            title=told("title"),
            labels=self.labels(chosen.file, chosen.categories, incidents, words),
            consequence=told("consequence"),
            today=told("today"),
            actions=told("actions"),
            forward=told("forward"),
        )

    def labels(
        self, file: str, categories: frozenset[str], incidents: Sequence[IncidentFacts], words: Mapping[str, object]
    ) -> dict[str, Markdown]:
        """What the reader calls each category, in the order of the file."""
        lines = [match[1] for line in self.sections(file)["data"].text.split("\n") if (match := _LABEL.match(line))]
        if missing := sorted(categories - set(lines)):
            path = self._catalogue.path(self._code, file)
            title = self._language.sections.data
            raise TemplateError(f'{path}: under "# {title}", write a line "- {missing[0]} : …"')
        local = {
            **words,
            "categories": categories,
            "portals": [incident.portal for incident in incidents if incident.portal],
        }
        return {code: self._render(f"{file}#data#{code}", local) for code in lines if code in categories}

    def base(self, file: str, words: Mapping[str, object]) -> tuple[str, str]:
        """Subject and body."""
        subject = self._render(f"{file}#subject", words, as_subject=True)
        return " ".join(subject.split()), self._render(f"{file}#body", words)

    def whole(self, file: str, words: Mapping[str, object]) -> Markdown:
        """A text that is neither base nor paragraph: all of it, as it stands."""
        return Markdown(_PADDED.sub("\n\n", _unbroken(self._render(file, words), self._language)).strip() + "\n")

    @staticmethod
    def _portals(chosen: ChosenParagraph, incidents: Sequence[IncidentFacts]) -> list[str]:
        codes = {exposure.incident for exposure in chosen.exposures}
        return [incident.portal for incident in incidents if incident.code in codes and incident.portal]

    def _render(self, name: str, words: Mapping[str, object], *, as_subject: bool = False) -> Markdown:
        environment = self._plain if as_subject else self._markdown
        path = self._catalogue.path(self._code, name.partition("#")[0])
        try:
            return Markdown(environment.get_template(name).render(words).strip())
        except TemplateError:
            raise
        except TemplateNotFound as error:
            missing = self._catalogue.path(self._code, str(error.name).partition("#")[0])
            raise TemplateError(f"{path}: there is no file {missing}") from error
        except TemplateSyntaxError as error:
            raise TemplateError(f"{error.filename or path}, line {error.lineno}: {error.message}") from error
        except Exception as error:  # whatever an expression in a template can raise
            where, line = _place(error, self._catalogue.files, path)
            what = str(error).replace(f"{Facts.__module__}.", "")
            raise TemplateError(f"{where}, line {line}: {what or type(error).__name__}") from error


def _place(error: BaseException, files: Mapping[str, bytes], path: str) -> tuple[str, int | str]:
    """The template line that an error comes from: Jinja rewrites tracebacks to template lines."""
    place: tuple[str, int | str] = (path, "?")
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in files:
            place = (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    return place


def compose_whole(catalogue: Catalogue, language: str, file: str, words: Mapping[str, object]) -> Markdown:
    """A text of the catalogue with these words, and nothing personal. Raises TemplateError."""
    return _texts(catalogue, language).whole(file, words)


@lru_cache(maxsize=8)
def _texts(catalogue: Catalogue, language: str) -> _Texts:
    return _Texts(catalogue, language)
