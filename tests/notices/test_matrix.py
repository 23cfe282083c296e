"""The matrix of texts: which files tell which cell, who is in it, and where nothing tells it."""

from __future__ import annotations

import pytest

from notifier.model import WaveKind
from notifier.notices.catalogue import RULES, Catalogue
from notifier.notices.matrix import own_files, read_matrix

pytestmark = pytest.mark.thorough


def matrix(catalogue, settings, planned=(), kind=WaveKind.INITIAL, own=frozenset()):
    return read_matrix(own, list(planned), catalogue, settings, kind)


def cells(found, audience, form, category):
    return [
        cell
        for cell in found.cells
        if (cell.audience.value, cell.form.value, cell.category) == (audience, form, category)
    ]


def ruled(catalogue, settings, old, new):
    source = catalogue.files[RULES].decode()
    assert old in source
    return Catalogue.of({**catalogue.files, RULES: source.replace(old, new, 1).encode()}, settings)


def test_before_any_plan_every_category_of_every_audience_has_a_cell(catalogue, settings):
    found = matrix(catalogue, settings)
    for category in catalogue.categories.values():
        for audience in category.audiences:
            assert cells(found, audience.value, "own", category.code), (audience, category.code)
    (cell,) = cells(found, "insured", "own", "nir")
    assert (cell.told.base, cell.told.paragraph, cell.told.gap) == ("base/own.md", "insured/nir.md", "")
    assert cell.only == {} and cell.notifications == 0
    assert found.paths(cell, cell.told.paragraph)[0].endswith("/insured/nir.md")
    assert found.blocking == []


def test_somebody_counts_once_in_each_of_its_cells_even_after_two_incidents(catalogue, settings, make_key):
    planned = [
        (make_key("insured", categories=["nir", "contract"], incidents=("viamedis", "almerys")), 10),
        (make_key("insured", categories=["nir"]), 5),
        (make_key("dependant", "children", categories=["nir"]), 2),
    ]
    found = matrix(catalogue, settings, planned)
    counts = {
        (cell.audience.value, cell.form.value, cell.category): cell.notifications
        for cell in found.cells
        if cell.notifications
    }
    assert counts == {
        ("insured", "own", "nir"): 15, ("insured", "own", "contract"): 10, ("dependant", "children", "nir"): 2,
    }  # fmt: skip
    assert found.planned == 17


def test_a_gap_blocks_only_when_somebody_is_in_it(catalogue, settings, make_key):
    gapped = ruled(catalogue, settings, 'categories = ["nir"]', 'categories = ["rib"]')
    (cell,) = cells(matrix(gapped, settings), "insured", "own", "nir")
    assert "no paragraph" in cell.told.gap and not cell.is_blocking
    found = matrix(gapped, settings, [(make_key("insured", categories=["nir"]), 3)])
    assert [(cell.category, cell.notifications) for cell in found.blocking] == [("nir", 3)]


def test_a_paragraph_without_a_line_for_the_category_is_a_gap(edited, settings):
    changed = edited("templates/fr/insured/nir.md", "- nir :", "- nirr :")
    english, cell = cells(matrix(changed, settings), "insured", "own", "nir")
    assert (cell.languages, english.languages, english.told.gap) == (("fr",), ("en",), "")
    assert 'write a line "- nir' in cell.told.gap and cell.told.paragraph == "insured/nir.md"


def test_a_file_that_is_not_there_is_a_gap(catalogue, settings):
    files = {path: content for path, content in catalogue.files.items() if not path.endswith("fr/insured/nir.md")}
    found = matrix(Catalogue.of(files, settings), settings)
    gaps = [cell for cell in cells(found, "insured", "own", "nir") if "fr" in cell.languages]
    assert [cell.told.gap for cell in gaps] == ["no file templates/fr/insured/nir.md"]


def test_a_cell_is_divided_where_senders_incidents_or_professions_get_other_files(catalogue, settings, make_key):
    special = '[[paragraphs]]\nfile = "{}"\n{}\ncategories = ["nir"]\n\n[[paragraphs]]\nfile = "insured/nir.md"'
    by_incident = ruled(
        catalogue,
        settings,
        '[[paragraphs]]\nfile = "insured/nir.md"',
        special.format("insured/identity.md", 'incidents = ["almerys"]'),
    )
    planned = [(make_key("insured", categories=["nir"], incidents=("viamedis", "almerys")), 4)]
    found = cells(matrix(by_incident, settings, planned), "insured", "own", "nir")
    # That file has no line for the NIR, which is a gap of its own in each language; nobody is in the English one.
    french = [cell for cell in found if "fr" in cell.languages]
    assert {(cell.told.paragraph, cell.only["incident"], cell.notifications) for cell in french} == {
        ("insured/nir.md", ("viamedis",), 4),
        ("insured/identity.md", ("almerys",), 4),
    }
    other = settings.senders[0].model_copy(update={"code": "autre", "names": ("Autre",)})
    two = settings.model_copy(update={"senders": (*settings.senders, other)})
    by_sender = ruled(
        catalogue,
        two,
        '[[paragraphs]]\nfile = "insured/nir.md"',
        special.format("insured/identity.md", 'senders = ["autre"]'),
    )
    found = cells(matrix(by_sender, two), "insured", "own", "nir")
    assert {cell.told.paragraph: cell.only["sender"] for cell in found} == {
        "insured/nir.md": ("clairval",),
        "insured/identity.md": ("autre",),
    }
    (only,) = cells(matrix(by_sender, settings), "insured", "own", "nir")
    assert only.only == {}


def test_the_campaigns_own_text_is_marked(catalogue, settings, folder):
    own = folder / "templates" / "fr" / "insured" / "nir.md"
    own.parent.mkdir(parents=True)
    own.write_bytes(catalogue.files["templates/fr/insured/nir.md"])
    found = matrix(Catalogue.load(folder, settings), settings, own=own_files(folder))
    (nir,) = cells(found, "insured", "own", "nir")
    (contract,) = cells(found, "insured", "own", "contract")
    assert found.is_own(nir, nir.told.paragraph) and not found.is_own(contract, contract.told.paragraph)
    assert found.own == {"templates/fr/insured/nir.md"}


def test_other_kinds_of_rounds_have_frames_of_their_own(catalogue, settings):
    (cell,) = cells(matrix(catalogue, settings, kind=WaveKind.RECTIFICATION), "insured", "own", "nir")
    assert cell.told.base == "base/rectification.md"
