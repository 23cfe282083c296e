"""The kit says what the notices say, of the same version, and nothing that a notice may not say."""

from __future__ import annotations

import html
from collections.abc import Callable
from datetime import date

import pytest

from notifier.campaign import DrillSection, Settings
from notifier.errors import TemplateError
from notifier.model import SegmentKey, WaveKind
from notifier.notices.catalogue import Catalogue
from notifier.notices.compose import compose
from notifier.notices.inspection import words
from notifier.notices.kit import KitPage, kit_version, make_kit, senders_of
from notifier.notices.kit_lint import check_kit, lint_kit
from tests.notices.conftest import INSURED, PROFESSIONAL

pytestmark = pytest.mark.thorough

DAY = date(2024, 2, 9)
ALL = {"page-site", "faq-assures", "faq-professionnels", "telephone-assures", "telephone-professionnels",
       "note-ordres", "note-interne"}  # fmt: skip

Edited = Callable[[str, str, str], Catalogue]


@pytest.fixture
def keys(make_key) -> list[SegmentKey]:
    return [
        make_key("insured", "own", ["nir", "civil_status"]),
        make_key("insured", "own", ["contract"], ("almerys",)),
        make_key("past_member", "own", ["birth_date"]),
        make_key("dependant", "children", INSURED),
        make_key("professional", "own", PROFESSIONAL, profession="pharmacien"),
        make_key("professional", "establishments", ["rib"], ("almerys",)),
    ]


def made(keys, catalogue: Catalogue, settings: Settings, **more) -> dict[str, KitPage]:
    version = kit_version(catalogue, settings, "initial", day=DAY, **more)
    return {page.name: page for page in make_kit("clairval", keys, catalogue, settings, version=version)}


def codes(keys, catalogue, settings) -> set[str]:
    return {finding.code for finding in lint_kit(keys, catalogue, settings, DAY)}


def told(text: str, part: str) -> bool:
    return f" {' '.join(words(part))} " in f" {' '.join(words(text))} "


def test_every_text_is_made_holds_the_rules_and_says_its_version(keys, catalogue, settings):
    pages = made(keys, catalogue, settings, approved=[1, 2])
    assert set(pages) == ALL
    assert check_kit(pages.values(), "clairval", catalogue, settings, WaveKind.INITIAL) == []
    version = kit_version(catalogue, settings, "initial", day=DAY)
    for page in pages.values():
        for body in (page.markdown, page.page.html, page.page.text):
            said = " ".join(html.unescape(body).split())
            assert version.code in said
            assert "9 février 2024" in said
            assert "lots 1 et 2" in said
    assert senders_of(keys) == ["clairval"]


def test_a_kit_that_nobody_approved_says_that_it_is_not_to_be_published(keys, catalogue, settings):
    for page in made(keys, catalogue, settings).values():
        assert "ne sont pas approuvés" in page.markdown


def test_the_kit_is_the_same_each_time_whatever_the_order_of_the_segments(keys, catalogue, settings):
    first, second = made(keys, catalogue, settings), made(reversed(keys), catalogue, settings)
    assert {name: page.page.html for name, page in first.items()} == {
        name: page.page.html for name, page in second.items()
    }


def test_what_the_notices_say_of_each_category_stands_on_the_website_page(keys, catalogue, settings):
    """Art. 34(3)(c): equally effective. Word for word what each person's own notice says."""
    page = made(keys, catalogue, settings)["page-site"].page.text
    for key in keys:
        if key.audience == "past_member" or key.form == "establishments":
            continue  # told in the words of their group
        for paragraph in compose(key, catalogue, settings).paragraphs:
            assert told(page, paragraph.consequence), (key.audience, paragraph.path)
    for value in ("29 janvier 2024", "2 février 2024", "dpo@mutuelle-clairval.example", "01 99 00 12 34"):
        assert told(page, value)


def test_a_text_changed_in_a_paragraph_changes_the_kit_and_its_version(keys, catalogue, settings, edited: Edited):
    new = edited("templates/fr/insured/nir.md", "Dans votre compte ameli", "Dans ce compte-là")
    before, after = made(keys, catalogue, settings), made(keys, new, settings)
    assert "Dans ce compte-là" in after["faq-assures"].markdown
    assert before["page-site"].version.code != after["page-site"].version.code


def test_a_changed_fact_changes_the_version(catalogue, settings):
    other = settings.model_copy(
        update={
            "incidents": (settings.incidents[0].model_copy(update={"unknown_yet": "Rien."}), *settings.incidents[1:])
        }
    )
    one, two = (kit_version(catalogue, each, "initial", day=DAY).code for each in (settings, other))
    assert one != two


def test_a_wave_without_professionals_has_no_texts_for_them(make_key, catalogue, settings):
    pages = made([make_key("insured", "own", ["nir"])], catalogue, settings)
    assert set(pages) == ALL - {"faq-professionnels", "telephone-professionnels", "note-ordres"}
    assert "01 99 00 56 78" not in pages["page-site"].page.text
    assert "Votre compte bancaire" not in pages["page-site"].markdown


def test_several_exposures_of_one_group_are_told_together_and_once(keys, catalogue, settings):
    text = made(keys, catalogue, settings)["faq-assures"].page.text
    assert text.count("Votre numéro de sécurité sociale\n") == 1
    assert text.count("Votre contrat de complémentaire santé\n") == 1


@pytest.mark.parametrize(("path", "old", "new", "code"), [
    ("kit/page-site.md", '{% include "kit/parts/measures.md" %}', "Nous avons agi.", "measures"),
    ("kit/page-site.md", "{{ paragraph.consequence }}", "", "consequences"),
    ("kit/page-site.md", "{{ paragraph.actions }}", "", "advice"),
    ("kit/page-site.md", '{% include "kit/parts/exposed.md" %}', "", "exposed"),
    ("kit/page-site.md", '{% include "kit/parts/contacts.md" %}', "", "contact"),
    ("kit/page-site.md", '{% include "kit/parts/events.md" %}', "", "nature"),
    ("kit/page-site.md", '{% include "kit/parts/version.md" %}', "", "version"),
    ("kit/note-interne.md", "# Note interne", "# Note interne\n\nToutes les mesures ont été prises.", "vague"),
    ("kit/note-interne.md", "# Note interne", "# Note\n\nExemple : 2 55 08 14 168 025 38.", "number"),
    ("kit/faq-assures.md", "## Suis-je", "Appelez le 01 99 00 56 78.\n\n## Suis-je", "helpline"),
    ("kit/layout.html", "<main ", '<script src="x.js"></script><main ', "remote-load"),
    ("kit/layout.html", "color: #1d2733; overflow", "color: #cccccc; overflow", "contrast"),
])  # fmt: skip
def test_what_a_notice_may_not_say_or_leave_out(keys, catalogue, settings, edited: Edited, path, old, new, code):
    assert code in codes(keys, edited(f"templates/fr/{path}", old, new), settings)


@pytest.mark.parametrize("wrong", ["{{ person.name }}", "{{ sender.numero }}", "{% if x %}"])
def test_a_word_that_does_not_exist_is_told_with_file_and_line(keys, settings, edited: Edited, wrong):
    """Nothing of a person can stand in the kit: its templates do not know `person` (I8)."""
    catalogue = edited("templates/fr/kit/note-interne.md", "## En bref", f"## En bref\n\n{wrong}")
    with pytest.raises(TemplateError, match=r"templates/fr/kit/note-interne\.md, line \d+"):
        made(keys, catalogue, settings)
    assert "kit" in codes(keys, catalogue, settings)


def test_the_kit_of_a_drill_says_so_first_and_last(keys, catalogue, settings):
    drill = settings.model_copy(update={"drill": DrillSection()})
    for page in made(keys, catalogue, drill).values():
        lines = [line for line in page.page.text.splitlines() if line.strip()]
        assert lines[0].startswith("EXERCICE")
        assert "EXERCICE" in lines[-1]


def test_every_category_has_a_name_in_the_kit(catalogue):
    assert set(catalogue.kit_words.categories) == set(catalogue.categories)


def test_a_catalogue_without_a_kit_is_no_error_until_one_is_asked_for(keys, settings, catalogue):
    rules = catalogue.files["templates/catalogue.toml"].decode().split("# -- the kit")[0]
    bare = Catalogue.of({**catalogue.files, "templates/catalogue.toml": rules.encode()}, settings)
    assert lint_kit(keys, bare, settings, DAY) == []
    with pytest.raises(TemplateError, match="no \\[\\[kit\\]\\]"):
        made(keys, bare, settings)
