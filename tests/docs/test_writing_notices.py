"""docs/writing-notices.md is true: its words are those that templates have, its codes those that `check` has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import date
from pathlib import Path

import pytest

from notifier.model import Audience, Exposure, Form, SegmentKey, WaveKind
from notifier.notices import compose as composing
from notifier.notices.catalogue import Catalogue
from notifier.notices.kit import kit_version, make_kit

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "writing-notices.md").read_text("utf-8")
# How the document calls one of a list.
ONE = {"incidents": "incident", "paragraphs": "paragraph", "complaints": "complaint", "not_exposed": "safe",
       "audiences": "group", "lines": "line"}  # fmt: skip
KEY = SegmentKey("initial", WaveKind.INITIAL, "clairval", Audience.PROFESSIONAL, "", Form.OWN,
                 frozenset({Exposure("viamedis", "rib"), Exposure("viamedis", "portal_login")}), "fr")  # fmt: skip
INSURED = SegmentKey("initial", WaveKind.INITIAL, "clairval", Audience.INSURED, "", Form.OWN,
                     frozenset({Exposure("viamedis", "nir")}), "fr")  # fmt: skip


def documented(section: str) -> set[str]:
    """The words in the first column of a section's table."""
    part = TEXT.split(f"## {section}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([\w.]+)` \|", part, re.MULTILINE))


def names(words: dict[str, object]) -> Iterator[str]:
    for name, value in words.items():
        yield from _names(name, value)


def _names(name: str, value: object) -> Iterator[str]:
    if is_dataclass(value):
        for field in fields(value):
            yield from _names(f"{name}.{field.name}", getattr(value, field.name))
        return
    yield name
    first = next(iter(value), None) if isinstance(value, tuple | list) else None
    one = ONE.get(name.rpartition(".")[2])
    if is_dataclass(first) and one:
        yield from _names(one, first)


@pytest.fixture
def seen(monkeypatch) -> dict[str, dict[str, object]]:
    """The words that each kind of text was rendered with, while the real thing renders."""
    found: dict[str, dict[str, object]] = {}
    render = composing._Texts._render

    def look(self, name, words, *, as_subject=False):
        kind = "paragraph" if "#" in name and not name.endswith(("#body", "#subject")) else "base"
        found.setdefault("kit" if name.startswith("kit/") else kind, {}).update(words)
        return render(self, name, words, as_subject=as_subject)

    monkeypatch.setattr(composing._Texts, "_render", look)
    return found


def test_the_words_of_notices_are_those_of_the_table(folder, settings, seen):
    catalogue = Catalogue.load(folder, settings)
    for key in (KEY, INSURED):
        composing.compose(key, catalogue, settings)
    words = set(names(seen["base"])) | set(names(seen["paragraph"]))
    table = documented("Les mots disponibles dans les messages")
    assert table - words == set(), "documented, and not there"
    assert words - table == set(), "there, and not documented"


def test_the_words_of_the_kit_are_those_of_its_table(folder, settings, seen):
    catalogue = Catalogue.load(folder, settings)
    version = kit_version(catalogue, settings, "initial", day=date(2024, 2, 9))
    make_kit("clairval", [KEY, INSURED], catalogue, settings, version=version)
    notices = documented("Les mots disponibles dans les messages")
    own = {name.removesuffix(".phone") for name in names(seen["kit"]) if name.split(".")[-1] not in {"reserved"}}
    own = {name for name in own if name not in notices and name not in {"group.helpline.hours", "line"}}
    table = documented("Les mots de la trousse")
    assert table - own - {"line.phone"} == set(), "documented, and not there"
    assert own - table - {"group.helpline"} == set(), "there, and not documented"


def test_the_headings_of_a_paragraph_are_those_of_the_catalogue(folder, settings):
    catalogue = Catalogue.load(folder, settings)
    headings = set(catalogue.languages["fr"].sections.model_dump().values())
    assert set(re.findall(r"^\| `# (.+?)` \|", TEXT, re.MULTILINE)) == headings


def test_the_errors_it_explains_are_codes_that_check_has():
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "notifier" / "notices").glob("*.py"))
    part = TEXT.split("## Les erreurs fréquentes\n")[1].split("\n## ")[0]
    codes = set(re.findall(r"^\| `([a-z-]+)` \|", part, re.MULTILINE))
    assert len(codes) > 12
    assert {code for code in codes if f'"{code}"' not in sources} == set()


def test_the_files_that_it_names_are_there():
    for path in re.findall(r"`((?:base|parts|insured|kit|professional|children)/[\w./-]+\.md)`", TEXT):
        assert (ROOT / "templates" / "fr" / path).is_file(), path
