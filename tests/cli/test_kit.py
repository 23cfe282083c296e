"""`notices kit`: from the current texts before an approval, from the frozen ones after it (I7)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.stories.test_s01_one_row import DIRECTORY, EXPORT, _key

pytestmark = pytest.mark.thorough


def test_i7_after_the_approval_the_kit_is_that_of_the_approved_texts(run, folder: Path, tmp_path: Path):
    for name, text, encoding in (("export.csv", EXPORT, "cp1252"), ("directory.csv", DIRECTORY, "utf-8")):
        (tmp_path / name).write_text(text.replace(";93;", f";{_key('2950999126111')};"), encoding=encoding)
    run("notices", "kit", "--out", "none", expect=2)  # nothing is planned yet
    run("intake", tmp_path / "export.csv", "--profile", "viamedis-insured")
    run("directory", tmp_path / "directory.csv", "--profile", "directory")
    run("plan")
    before = json.loads(run("notices", "kit", "--out", "before", "--json").stdout)
    assert (before["approved"], before["batches"]) == (False, [])
    page = (tmp_path / "before" / "page-site.md").read_text("utf-8")
    assert "pas approuvés" in page
    assert "LEVEQUE" not in page.upper()  # I8

    run("approve", "--yes")
    own = folder / "templates" / "fr" / "kit"
    own.mkdir(parents=True)
    (own / "note-interne.md").write_text("# Une autre note\n", encoding="utf-8")
    after = json.loads(run("notices", "kit", "--out", "after", "--json").stdout)
    assert (after["approved"], after["batches"], after["version"]) == (True, [1], before["version"])
    assert "pas approuvés" not in (tmp_path / "after" / "page-site.md").read_text("utf-8")
    assert "Une autre note" not in (tmp_path / "after" / "note-interne.md").read_text("utf-8")
    again = json.loads(run("notices", "kit", "--out", "again", "--json").stdout)
    for one, two in zip(after["files"], again["files"], strict=True):
        assert Path(one).read_bytes() == Path(two).read_bytes()


def test_what_breaks_a_rule_is_not_written(run, folder: Path, tmp_path: Path):
    (tmp_path / "export.csv").write_text(EXPORT.replace(";93;", f";{_key('2950999126111')};"), encoding="cp1252")
    run("intake", tmp_path / "export.csv", "--profile", "viamedis-insured")
    run("plan")
    own = folder / "templates" / "fr" / "kit"
    own.mkdir(parents=True)
    (own / "note-interne.md").write_text("# Une autre note\n", encoding="utf-8")
    refused = run("notices", "kit", "--out", "out", expect=2)
    assert "version (templates/fr/kit/note-interne.md)" in refused.output
    assert not (tmp_path / "out").exists()
    assert "note-interne.md" in run("check", expect=2).output
