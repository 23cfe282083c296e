"""The whole matrix of DOMAIN A7, in both languages: every cell is there, is in order, and reads easily."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import pytest

from notifier.notices.compose import Composition, compose
from notifier.notices.lint import FULL, lint

from . import readers

pytestmark = pytest.mark.thorough

MOST = 22  # words: 95 of 100 sentences have no more
PARTS = {  # headings in their order; what only some notices have is left out
    "fr": (
        "## L'essentiel",
        "## Ce qui s'est passé",
        "## Les données concernées",
        "## Les risques pour ",
        "## Ce que nous vous conseillons de faire",
        "### Dans tous les cas",
        "## Ce qui a été fait",
        "## Ce que nous ne savons pas encore",
        "## Vos questions, vos droits",
        "## La suite",
    ),
    "en": (
        "## The essentials",
        "## What happened",
        "## The data concerned",
        "## The risks for ",
        "## What we advise you to do",
        "### In every case",
        "## What has been done",
        "## What we do not know yet",
        "## Your questions, your rights",
        "## What comes next",
    ),
}
# Advice that harms, words that say nothing, words that minimise or alarm, and words of the trade without a meaning for
# the reader. "sans attendre" is good advice; "attendez" is not.
BANNED = {
    "fr": r"\battendez\b|patientez|ne faites rien|toutes les mesures|meilleurs délais|aucun risque|pas de panique"
    r"|rassur|simple incident|cliquez|urgent|phishing|hameçonnage|credential|hacker|data breach|\(e\)"
    r"|RGPD|\bDPO\b(?!@)|\bNIR\b",
    "en": r"(?<!cannot )\bwait\b|do nothing|all necessary measures|as soon as possible|no risk|do not panic"
    r"|reassur|click|urgent|phishing|credential stuffing|hacker|\bGDPR\b|\bDPO\b(?!@)|\bNIR\b",
}
CARD = {"fr": r"\bcarte\b(?! bancaire)", "en": r"(?<!bank )\bcard\b"}
APOLOGY = {"fr": r"excuses|désolés", "en": r"apolog|sorry"}
FORBIDDEN_NUMBERS = re.compile(r"\b[12]\s?\d\d\s?\d\d\s?\d\d\s?\d{3}\s?\d{3}|FR\d\d(?:\s?\d{4}){3}")


@pytest.fixture
def worded(settings):
    return readers.worded(settings)


@dataclass(frozen=True, slots=True)
class Block:
    """What is to be said of a paragraph, wherever it stands: most stand in hundreds of cells."""

    lengths: tuple[int, ...]
    banned: str
    card: str
    number: bool


@cache
def weighed(block: str, language: str) -> Block:
    banned, card = re.search(BANNED[language], block, re.IGNORECASE), re.search(CARD[language], block)
    return Block(
        tuple(readers.length(sentence) for sentence in readers.sentences(block)),
        banned[0] if banned else "",
        block if card else "",
        FORBIDDEN_NUMBERS.search(block) is not None,
    )


def faults_of(words: Composition, language: str, is_full: bool, is_past: bool) -> Iterator[tuple[str, object]]:
    text = words.markdown.replace("\u00a0", " ")
    if words.language != language:
        yield "language", words.language
    if is_full:
        places = [text.find(f"\n{part}") for part in PARTS[language]]
        if -1 in places or places != sorted(places):
            yield "order", places
    blocks = [weighed(block, language) for block in (words.subject, *readers.blocks(text))]
    lengths = sorted(length for block in blocks for length in block.lengths)
    if lengths[int(0.95 * (len(lengths) - 1))] > MOST:
        yield "long", lengths[-8:]
    yield from (("banned", block.banned) for block in blocks if block.banned)
    yield from (("number", "") for block in blocks if block.number)
    yield from (("card", block.card) for block in blocks if is_past and block.card)
    if not re.search(APOLOGY[language], text):
        yield "apology", ""


def test_every_cell_has_words_that_somebody_can_read(catalogue, worded):
    """Each category alone and all together, for every reader, in every round and language: composed, and weighed for
    reading order, length of sentences, banned words, and numbers that no notice may hold."""
    faults, cells, seen = defaultdict(list), 0, set()
    for language in readers.LANGUAGES:
        for wave, kind in readers.ROUNDS:
            for reader in readers.READERS:
                kinds = readers.kinds_for(reader, catalogue.categories.values())
                for categories in [*([code] for code in kinds), kinds]:
                    words = compose(readers.cell(reader, categories, wave=wave, language=language), catalogue, worded)
                    cells += 1
                    if words.markdown not in seen:
                        seen.add(words.markdown)
                        is_past = reader.audience == "past_member"
                        for name, what in faults_of(words, language, kind in FULL, is_past):
                            faults[name].append((what, language, wave, reader, categories))
    assert cells == len(readers.LANGUAGES) * len(readers.ROUNDS) * (4 * 15 + 12 * 12 + 2 * 12)
    assert not faults, "\n".join(f"{name}: {len(found)}, as {found[:3]}" for name, found in faults.items())


def test_every_category_alone_passes_the_lint_in_the_first_round(catalogue, settings):
    """I1 on the side of the texts: whoever has only this one exposure can be told, lawfully, in both languages. A
    profession adds one part to a notice, the same in all its cells, so the cells take turns with the professions."""
    keys = []
    for language in readers.LANGUAGES:
        for audience, form in dict.fromkeys((reader.audience, reader.form) for reader in readers.READERS):
            column = [reader for reader in readers.READERS if (reader.audience, reader.form) == (audience, form)]
            for turn, code in enumerate(readers.kinds_for(column[0], catalogue.categories.values())):
                keys.append(readers.cell(column[turn % len(column)], [code], language=language))
    assert [finding for finding in lint(keys, catalogue, settings) if finding.severity == "error"] == []


def test_every_reader_passes_the_lint_in_every_round(catalogue, worded):
    """All that can concern a reader, at once; in the first round from two incidents. Where a round says the same to
    several professions, it is read once."""
    keys = {}
    for language in readers.LANGUAGES:
        for wave, _ in readers.ROUNDS:
            for reader in readers.READERS:
                kinds = readers.kinds_for(reader, catalogue.categories.values())
                key = readers.cell(reader, kinds, wave=wave, language=language)
                if wave == "initial":
                    second = readers.cell(reader, kinds[::2], incident="almerys").exposures
                    key = replace(key, exposures=key.exposures | second)
                keys.setdefault((key.audience, key.form, compose(key, catalogue, worded).markdown), key)
    assert len(keys) > 150
    assert [finding for finding in lint(keys.values(), catalogue, worded) if finding.severity == "error"] == []


def test_both_languages_tell_the_same_data_and_advise_as_much(catalogue, settings):
    """A translation that lost an advice is no translation: same paragraphs, same labels, same number of actions."""
    for reader in readers.READERS:
        kinds = readers.kinds_for(reader, catalogue.categories.values())
        french, english = (
            compose(readers.cell(reader, kinds, language=code), catalogue, settings) for code in readers.LANGUAGES
        )
        for one, other in zip(french.paragraphs, english.paragraphs, strict=True):
            assert one.path.replace("/fr/", "/en/") == other.path
            assert list(one.labels) == list(other.labels)
            assert one.actions.count("\n- ") == other.actions.count("\n- "), other.path
            assert bool(one.forward) == bool(other.forward)
        for mark in ("\n## ", "\n### ", "\n- "):
            assert french.markdown.count(mark) == english.markdown.count(mark), (reader, mark)


def test_both_languages_have_the_same_files(catalogue):
    files = {
        code: {path.split("/", 2)[2] for path in catalogue.files if path.startswith(f"templates/{code}/")}
        for code in readers.LANGUAGES
    }
    assert files["en"] == {file for file in files["fr"] if not file.startswith("kit/")}
