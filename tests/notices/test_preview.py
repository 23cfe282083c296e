"""A folder of previews: the bytes that would be sent, an index in French, nobody's data."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from html.parser import HTMLParser

import pytest

from notifier.errors import TemplateError
from notifier.notices.preview import write_preview
from notifier.storage.segments import StoredSegment

AT = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)


@pytest.fixture
def segments(make_key):
    return [
        StoredSegment(1, make_key("insured"), 1234, 1234),
        StoredSegment(2, make_key("dependant", "children", incidents=("viamedis", "almerys")), 7, 5),
        StoredSegment(3, make_key("professional", "establishments", profession="pharmacist"), 1, 1),
    ]


@pytest.fixture
def preview(folder, settings, segments, tmp_path):
    """``preview(**changed)``: the files by name."""

    def write(chosen=segments, **arguments):
        files = write_preview(folder, settings, chosen, tmp_path / "out", **{"planned": AT, **arguments})
        return {path.name: path.read_bytes() for path in files}

    return write


def test_the_html_file_is_exactly_the_html_body_of_the_message(preview):
    files = preview()
    for number in (1, 2, 3):
        message = message_from_bytes(files[f"segment-{number}.eml"], policy=default)
        assert not message.defects
        bodies = {part.get_content_type(): part.get_content() for part in message.iter_parts()}
        for kind, suffix in (("text/html", "html"), ("text/plain", "txt")):
            assert bodies[kind].replace("\r\n", "\n") == files[f"segment-{number}.{suffix}"].decode()
        assert message["To"].addresses[0].addr_spec == "camille.exemple@courriel.example"
        assert message["Date"].datetime == AT


class _Structure(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links, self.ids = [], [], set()

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.tags.append(tag)
        self.ids.add(named.get("id"))
        if "href" in named:
            self.links.append(named["href"])
        assert not {"src", "srcset", "onclick", "onload", "background"} & named.keys()


def test_the_index_says_of_every_segment_what_a_reader_must_know(preview):
    files = preview()
    page = files["index.html"].decode()
    for said in (
        "1\u202f242 dans 3 segments", "1\u202f234 notifications", "7 notifications, dont 2 dans un lot déjà approuvé",
        "première information", "9 février 2024 à 9 h 00", "Professionnels de santé (pharmaciens)",
        "Mutuelle Clairval &lt;information@mutuelle-clairval.example&gt;", "Chez Almerys", "français",
        "votre numéro de sécurité sociale", "Toutes les personnes nommées dans ces messages sont inventées",
        "Camille Exemple, Léa Exemple, Tom Exemple ; référence 0000-EXEM-P1E0", "templates/fr/insured/nir.md",
    ):  # fmt: skip
        assert said in page, said
    assert len(re.findall(r"[0-9a-f]{64}", page)) == 4
    seen = _Structure()
    seen.feed(page)
    assert not {"script", "link", "img", "iframe", "form", "object"} & set(seen.tags)
    for link in seen.links:
        assert link.removeprefix("#") in (seen.ids if link.startswith("#") else files), link
    assert sum(not link.startswith("#") for link in seen.links) == 9


def test_the_same_plan_and_texts_give_the_same_bytes_and_other_texts_another_digest(preview, folder):
    first = preview()
    assert preview() == first
    own = folder / "templates" / "fr" / "insured" / "nir.md"
    own.parent.mkdir(parents=True)
    source = first["segment-1.txt"].decode()
    from notifier.campaign import shipped

    text = (shipped("templates") / "fr" / "insured" / "nir.md").read_text("utf-8")
    own.write_text(text.replace("# Risques\n", "# Risques\n\nUn mot de plus.\n"), encoding="utf-8")
    changed = preview()
    assert "Un mot de plus." in changed["segment-1.txt"].decode() and "Un mot de plus." not in source
    digests = [re.findall(r"[0-9a-f]{64}", files["index.html"].decode()) for files in (first, changed)]
    # Of the whole and of the changed notice; the other two are as they were.
    assert [one == other for one, other in zip(*digests, strict=True)] == [False, False, True, True]


def test_one_segment_alone_says_that_it_is_not_all(preview, tmp_path):
    preview()
    files = preview(segment=2)
    assert set(files) == {"index.html", "segment-2.html", "segment-2.txt", "segment-2.eml"}
    assert "1 segment sur 3 (aperçu partiel)" in files["index.html"].decode()
    assert (tmp_path / "out" / "segment-1.html").exists()


def test_files_of_a_plan_that_is_no_more_go_and_nothing_else_does(preview, segments, tmp_path):
    preview()
    (tmp_path / "out" / "notes.txt").write_text("à relire")
    (tmp_path / "out" / "segment-x.html").write_text("not ours")
    preview(segments[:1])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "index.html", "segment-1.html", "segment-1.txt", "segment-1.eml", "notes.txt", "segment-x.html",
    }  # fmt: skip


def test_a_text_that_does_not_compile_writes_nothing(preview, folder, tmp_path):
    own = folder / "templates" / "fr" / "insured" / "nir.md"
    own.parent.mkdir(parents=True)
    own.write_text("# Titre\n\nSans le reste\n", encoding="utf-8")
    with pytest.raises(TemplateError, match=r"insured/nir\.md"):
        preview()
    assert not (tmp_path / "out").exists()


def test_settings_that_look_like_markup_stay_text(folder, settings, segments, tmp_path):
    named = settings.campaign.model_copy(update={"name": "<script>alert(1)</script> & Cie"})
    changed = settings.model_copy(update={"campaign": named})
    write_preview(folder, changed, segments, tmp_path / "out", planned=AT)
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; Cie" in page and "<script" not in page
