"""What a page must hold, seen failing; and each finding on the shipped texts knows its file and its line."""

from __future__ import annotations

import pytest

from notifier.notices.lint import lint
from notifier.notices.places import places_of

LAYOUT, OWN = "templates/layout.html", "templates/fr/base/own.md"


@pytest.mark.parametrize(
    ("code", "path", "old", "new", "at"),
    [
        ("title", LAYOUT, "<title>{{ title }}</title>", "", None),
        ("title", LAYOUT, "<title>{{ title }}</title>", "<title> </title>", None),
        ("charset", LAYOUT, '<meta charset="utf-8">', "", None),
        ("table-role", LAYOUT, '<table class="frame" role="presentation"', '<table class="frame"', None),
        ("justified", LAYOUT, "text-align: left", "text-align: justify", None),
        ("contrast", LAYOUT, "#1d232a !important; color: #e8ebee", "#1d232a !important; color: #333333", "  .sheet {"),
        ("lang", LAYOUT, '<html lang="{{ language }}"', "<html", "<html"),
        ("text-size", LAYOUT, "font-size: 17px", "font-size: 13px", "font-size: 13px"),
        ("remote-load", LAYOUT, "{{ body }}", '{{ body }}<img src="cid:logo" alt="">', "<img"),
        ("form", LAYOUT, "{{ body }}", "{{ body }}<button>ok</button>", "<button>"),
        ("person", OWN, "{{ person.salutation }}", "Bonjour,", None),
        ("subject-person", OWN, "pour {{ person.name }} ", "", None),
        ("consequences", OWN, "{{ paragraph.consequence }}", "Voyez sur notre site.", "paragraph."),
    ],
)
def test_a_page_that_lacks_something_is_told_with_its_line(
    edited, settings, folder, make_key, code, path, old, new, at
):
    catalogue = edited(path, old, new)
    found = places_of(folder, catalogue).located(lint([make_key(categories=["nir"])], catalogue, settings))
    errors = [each for each in found if each.severity == "error"]
    assert code in {each.code for each in errors}
    for each in errors:
        assert each.file in catalogue.files, each
        rows = catalogue.files[each.file].decode().split("\n")
        assert 1 <= each.line <= len(rows)
        if at is not None and each.code == code:
            assert at in rows[each.line - 1]


def test_a_notice_without_a_heading_is_told(catalogue, settings, make_key):
    text = catalogue.files[OWN].decode().replace("\n# ", "\n")
    flat = type(catalogue).of({**catalogue.files, OWN: text.encode()}, settings)
    assert "heading" in {each.code for each in lint([make_key(categories=["nir"])], flat, settings)}
