"""The catalogue: the texts and the rules that assemble them, as bytes read once.

A catalogue is made either from a campaign folder (its own ``templates/`` over the shipped ones, file by file) or from
the copies that an approval froze (I7); from then on both are the same. Nothing is read from disk later.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from notifier.campaign import Settings, resource, shipped
from notifier.errors import SettingsError, TemplateError
from notifier.model import Audience, DataCategory, Form, WaveKind
from notifier.notices.choice import Rule
from notifier.notices.personal import Words, has_marker
from notifier.notices.services import SERVICES, PublicService, read_services
from notifier.toml_lines import TomlLines

TEMPLATES = "templates"
RULES = f"{TEMPLATES}/catalogue.toml"
CATEGORIES = "data/categories.toml"
SUFFIXES = {".md", ".html", ".toml"}


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _RuleText(_Strict):
    file: str
    forms: tuple[Form, ...] = ()
    audiences: tuple[Audience, ...] = ()
    waves: tuple[WaveKind, ...] = ()
    senders: tuple[str, ...] = ()
    professions: tuple[str, ...] = ()
    incidents: tuple[str, ...] = ()

    categories: tuple[str, ...] = ()

    def rule(self) -> Rule:
        return Rule(
            file=self.file,
            forms=frozenset(self.forms),
            audiences=frozenset(self.audiences),
            waves=frozenset(self.waves),
            senders=frozenset(self.senders),
            professions=frozenset(profession.casefold() for profession in self.professions),
            incidents=frozenset(self.incidents),
            categories=frozenset(self.categories),
        )


class Sections(_Strict):
    """The headings that divide a paragraph file, in its language."""

    title: str
    data: str
    consequence: str
    today: str
    actions: str
    forward: str


class Language(_Strict):
    """``[languages.…]``: what programs must be able to say in this language."""

    subject: str
    salutation: str
    neutral_salutation: str
    neutral_name: str
    unnamed: str
    conjunction: str = Field(alias="and")
    months: tuple[str, ...] = Field(min_length=12, max_length=12)
    first_day: str
    no_break_before: str = ""
    no_break_after: str = ""
    vague: tuple[str, ...] = ()
    alarm: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    sections: Sections

    @property
    def words(self) -> Words:
        return Words(self.salutation, self.neutral_salutation, self.neutral_name, self.unnamed, self.conjunction)


class KitText(_Strict):
    """``[[kit]]``: one text that accompanies the notices. ``groups``: to whom it speaks, or of whom; ``art34``: the
    four blocks of Art. 34(2) must stand in it."""

    file: str
    groups: tuple[str, ...] = Field(min_length=1)
    art34: bool = False


class KitWords(_Strict):
    """``[kit_words]``: the kit's language, its layout, and what programs must be able to say in it."""

    language: str
    layout: str
    draft: str
    batch: str
    batches: str
    groups: Mapping[str, str]
    categories: Mapping[str, str]


class _RulesText(_Strict):
    layout: str
    other_language: str = ""
    bases: tuple[_RuleText, ...]
    paragraphs: tuple[_RuleText, ...]
    languages: Mapping[str, Language]
    kit: tuple[KitText, ...] = ()
    kit_words: KitWords | None = None

    @model_validator(mode="after")
    def _kit_is_whole(self) -> _RulesText:
        if self.kit and (self.kit_words is None or self.kit_words.language not in self.languages):
            raise ValueError("[[kit]] needs [kit_words], in a language that has its [languages.…]")
        named = set(self.kit_words.groups) if self.kit_words else set()
        if unknown := sorted({group for text in self.kit for group in text.groups} - named):
            raise ValueError(f"[[kit]]: [kit_words.groups] has no name for {unknown[0]!r}")
        return self


class _CategoryText(_Strict):
    model_config = ConfigDict(frozen=True, extra="ignore")  # later rooms may add keys of their own
    label: str
    severity: int
    audiences: tuple[Audience, ...]


@dataclass(frozen=True, eq=False)  # compared and cached by identity
class Catalogue:
    """``files``: path (``templates/…``, two files of ``data/``) → bytes, all that notices are made from."""

    files: Mapping[str, bytes]
    layout: str
    bases: tuple[Rule, ...]
    paragraphs: tuple[Rule, ...]
    languages: Mapping[str, Language]
    categories: Mapping[str, DataCategory]
    default_language: str
    other_language: str
    services: Mapping[str, PublicService]
    kit: tuple[KitText, ...] = ()
    kit_words: KitWords | None = None

    @classmethod
    def load(cls, folder: Path, settings: Settings) -> Catalogue:
        """What lies in the campaign folder, over what ships. Raises TemplateError or SettingsError."""
        files = {f"{TEMPLATES}/{path}": source.read_bytes() for path, source in _templates(folder)}
        for path in (CATEGORIES, SERVICES):
            source = resource(folder, *path.split("/"))
            try:
                files[path] = source.read_bytes()
            except OSError as error:
                raise SettingsError(f"{source} cannot be read") from error
        return cls.of(files, settings)

    @classmethod
    def of(cls, files: Mapping[str, bytes], settings: Settings) -> Catalogue:
        """The same from bytes."""
        try:
            rules = _RulesText.model_validate(tomllib.loads(files[RULES].decode()))
        except KeyError as error:
            raise TemplateError(f"there is no {RULES}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise TemplateError(f"{RULES}: {error}") from error
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in fault["loc"])
            line = TomlLines(files[RULES].decode()).line(*fault["loc"])
            raise TemplateError(f"{RULES}, line {line}: {where}: {fault['msg']}") from error
        default = settings.campaign.language
        if default not in rules.languages:
            raise TemplateError(f"{RULES}: the campaign's language {default!r} has no [languages.{default}]")
        if rules.other_language and rules.other_language not in rules.languages:
            raise TemplateError(
                f"{RULES}: other_language {rules.other_language!r} has no [languages.{rules.other_language}]"
            )
        for path, content in files.items():
            if path.endswith((".md", ".html")):
                _check_text(path, content)
        return cls(
            files=dict(files),
            layout=rules.layout,
            bases=tuple(text.rule() for text in rules.bases),
            paragraphs=tuple(text.rule() for text in rules.paragraphs),
            languages=rules.languages,
            categories=_categories(files[CATEGORIES]),
            default_language=default,
            other_language=rules.other_language,
            services=read_services(files.get(SERVICES, b"")),
            kit=rules.kit,
            kit_words=rules.kit_words,
        )

    def language(self, wanted: str) -> str:
        """The best language that there are texts in (tongue.py asks for the campaign's facts as well)."""
        return self.languages_for(wanted)[0]

    def languages_for(self, wanted: str) -> list[str]:
        """The languages with texts for a reader of ``wanted``, the best first, the campaign's own last."""
        choice = [wanted] if wanted in self.languages else [self.other_language]
        return list(dict.fromkeys([*filter(None, choice), self.default_language]))

    def sources(self) -> list[str]:
        """Every text's source, in all languages."""
        return [content.decode() for path, content in self.files.items() if path.endswith(".md")]

    def path(self, language: str, file: str) -> str:
        """The path of a text, as it is told to people."""
        return f"{TEMPLATES}/{language}/{file}"

    def text(self, language: str, file: str) -> str:
        """A text's source. Raises TemplateError if the catalogue names a file that is not there."""
        path = self.path(language, file)
        try:
            return self.files[path].decode().replace("\r\n", "\n")
        except KeyError as error:
            raise TemplateError(f"{RULES} names {path}, and there is no such file") from error


def _templates(folder: Path) -> Iterator[tuple[str, Path]]:
    """Relative path and file of every template; the campaign's own stand in for the shipped ones."""
    roots = [shipped(TEMPLATES), folder / TEMPLATES]
    found = {
        path.relative_to(root).as_posix(): path
        for root in roots
        if root.is_dir()
        for path in sorted(root.rglob("*"))
        if path.suffix in SUFFIXES and path.is_file()
    }
    yield from sorted(found.items())


def _check_text(path: str, content: bytes) -> None:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        at = content.count(b"\n", 0, error.start) + 1
        raise TemplateError(f"{path}, line {at}: is not UTF-8: save it as UTF-8") from error
    for number, line in enumerate(text.split("\n"), 1):
        if has_marker(line):
            raise TemplateError(f"{path}, line {number}: holds a private-use character (U+E000 to U+E004); delete it")


def _categories(content: bytes) -> dict[str, DataCategory]:
    try:
        raw = tomllib.loads(content.decode())
        return {
            code: DataCategory(code, text.label, text.severity, frozenset(text.audiences))
            for code, text in ((code, _CategoryText.model_validate(body)) for code, body in raw.items())
        }
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise SettingsError(f"{CATEGORIES} cannot be read: {type(error).__name__}") from error
