"""Markdown becomes the two bodies: an accessible HTML page with inlined styles, and plain text.

Raw HTML in Markdown is not let through (it would be text), addresses are not turned into links, nothing is loaded from
anywhere. Markers pass through untouched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import css_inline
from jinja2 import StrictUndefined
from jinja2 import TemplateError as JinjaError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markdown_it import MarkdownIt
from markupsafe import Markup

from notifier.errors import TemplateError
from notifier.notices.catalogue import TEMPLATES, Catalogue
from notifier.notices.compose import Composition
from notifier.notices.reading import plain_text

_MARKDOWN = MarkdownIt("commonmark", {"html": False, "linkify": False, "typographer": False})
_INLINER = css_inline.CSSInliner(
    keep_style_tags=False,
    keep_at_rules=True,  # the dark palette lives in a media query
    keep_link_tags=True,  # lint must see them
    load_remote_stylesheets=False,
    minify_css=False,
)
_GAP = re.compile(r"\n\s*\n+")


@dataclass(frozen=True, slots=True)
class Page:
    """The two bodies of a notice, with markers; lines end with ``\\n``."""

    html: str
    text: str


def make_page(composition: Composition, catalogue: Catalogue) -> Page:
    """Both bodies. Raises TemplateError when the layout does not compile."""
    path, layout = _layout(catalogue, composition.language)
    return lay_out(composition.markdown, composition.language, composition.facts.sender.brand, path, layout)


def lay_out(markdown: str, language: str, title: str, path: str, layout: str) -> Page:
    """Both bodies of a text in a layout (``path``: its file, for errors). Raises TemplateError."""
    tokens = _MARKDOWN.parse(markdown)
    body = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    try:
        html = (
            _environment()
            .from_string(layout)
            .render(
                language=language,
                title=title,
                body=Markup(body),  # noqa: S704  (markdown-it escaped it)
            )
        )
    except JinjaError as error:
        line = getattr(error, "lineno", "?")
        raise TemplateError(f"{path}, line {line}: {error}") from error
    try:
        inlined = _INLINER.inline(html)
    except css_inline.InlineError as error:
        raise TemplateError(f"{path}: {error}") from error
    return Page(_GAP.sub("\n", inlined).strip() + "\n", plain_text(tokens))


def _layout(catalogue: Catalogue, language: str) -> tuple[str, str]:
    """The language's own layout, or the one beside catalogue.toml."""
    own = catalogue.path(language, catalogue.layout)
    shared = f"{TEMPLATES}/{catalogue.layout}"
    path = shared if own not in catalogue.files and shared in catalogue.files else own
    if path == shared:
        return path, catalogue.files[path].decode()
    return path, catalogue.text(language, catalogue.layout)


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=True)
