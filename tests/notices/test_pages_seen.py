"""Notices and the index of a preview, looked at in Chromium: axe-core's rules, width, size of text, light and dark."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from notifier.notices.invented import invented
from notifier.notices.marks import TEST, compile_marked
from notifier.notices.preview import write_preview
from notifier.storage.segments import StoredSegment

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium on this machine: apt-get install --no-install-recommends chromium"
    ),
    pytest.mark.thorough,
]
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
WIDTHS = {"phone": 375, "desktop": 1280}
# The smallest text in px; how far the page is wider than the window; the colour behind the text.
MEASURE = """() => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let smallest = Infinity;
  while (texts.nextNode())
    if (texts.currentNode.textContent.trim())
      smallest = Math.min(smallest, parseFloat(getComputedStyle(texts.currentNode.parentElement).fontSize));
  const root = document.documentElement;
  const paper = getComputedStyle(document.body).backgroundColor;
  return {smallest, overflow: root.scrollWidth - root.clientWidth, paper};
}"""


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture
def pages(folder, settings, catalogue, make_key, tmp_path) -> Path:
    """A preview of each kind of notice, and the first of them again with a test's mark."""
    keys = [
        make_key("insured", incidents=("viamedis", "almerys")),
        make_key("dependant", "children"),
        make_key("professional", "establishments", profession="pharmacist"),
    ]
    out = tmp_path / "out"
    segments = [StoredSegment(number, key, number, number) for number, key in enumerate(keys, 1)]
    write_preview(folder, settings, segments, out, planned=datetime(2024, 2, 9, 8, 0, tzinfo=UTC))
    marked = compile_marked(keys[0], catalogue, settings, TEST).read(invented(keys[0]))
    (out / "test.html").write_text(marked.html, encoding="utf-8")
    return out


def test_no_rule_of_axe_is_broken_and_everything_can_be_read(browser, pages):
    """WCAG 2.1 AA and axe's best practices; no horizontal scroll, text of 16 px and more, the dark palette is used."""
    import axe_playwright_python

    axe = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
    names = ["index.html", "segment-2.html", "segment-3.html", "test.html"]  # the first segment is in its test
    found, papers = [], {}
    for scheme in ("light", "dark"):
        # The index forbids every script, ours of the test too, unless its policy is set aside.
        context = browser.new_context(color_scheme=scheme, bypass_csp=True, offline=True)
        context.set_default_timeout(120_000)  # a busy machine is no failure
        page = context.new_page()
        asked = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        for name in names:
            page.goto((pages / name).as_uri())
            assert page.title() and page.locator("h1").count() == 1, name
            for what, width in WIDTHS.items():
                page.set_viewport_size({"width": width, "height": 800})
                seen = page.evaluate(MEASURE)
                assert seen["overflow"] <= 0, (name, what, scheme)
                assert seen["smallest"] >= 16, (name, what, seen)
            papers.setdefault(name, set()).add(seen["paper"])
            page.evaluate(axe)
            result = page.evaluate("axe.run(document, {resultTypes: ['violations', 'incomplete']})")
            assert len(result["passes"]) > 10, "the rules ran"
            for kind in ("violations", "incomplete"):
                found += [(name, scheme, each["id"], each["nodes"][0]["html"][:120]) for each in result[kind]]
        assert sorted(asked) == sorted((pages / name).as_uri() for name in names), "nothing else was asked for"
        context.close()
    assert found == []
    assert all(len(colours) == 2 for colours in papers.values()), papers


def test_axe_and_the_measures_find_what_is_wrong(browser, tmp_path):
    """The watchman is awake: a page with known faults."""
    import axe_playwright_python

    bad = tmp_path / "bad.html"
    bad.write_text(
        '<!doctype html><html><head><meta charset="utf-8"></head><body><h1>a</h1><h3 style="font-size:12px">b</h3>'
        '<p style="color:#bbb;background:#fff">Un texte trop pâle pour être lu.</p>'
        '<div style="width:2000px">d</div></body></html>',
        encoding="utf-8",
    )
    context = browser.new_context(viewport={"width": 375, "height": 800})
    page = context.new_page()
    page.goto(bad.as_uri())
    seen = page.evaluate(MEASURE)
    assert seen["overflow"] > 1000 and seen["smallest"] == 12
    page.evaluate((Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8"))
    broken = {each["id"] for each in page.evaluate("axe.run()")["violations"]}
    assert {"document-title", "html-has-lang", "color-contrast", "heading-order", "region"} <= broken
    context.close()
