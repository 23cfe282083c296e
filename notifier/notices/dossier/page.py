"""The dossier as one HTML page: nothing is loaded from anywhere, no script, readable on a telephone, in dark mode and
on paper. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from notifier.notices.dossier.blocks import (
    Block,
    Document,
    Heading,
    Items,
    Letter,
    Paragraph,
    Seal,
    Table,
    Verbatim,
)

_STYLE = """
:root { color-scheme: light dark; --paper: #fdfdfc; --ink: #1d2733; --title: #12395b; --line: #7d8894; --soft: #eef2f6;
  --good: #e6f2e9; --attention: #fdf1d8; --plus: #e2f1e5; --minus: #fae3e1; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181d; --ink: #e8ebee; --title: #a9cdec; --line: #7d8894;
  --soft: #232b34; --good: #1d3325; --attention: #40341a; --plus: #1d3325; --minus: #452623; } }
body { margin: 0 auto; padding: 1rem; max-width: 56rem; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.6 Verdana, Arial, Helvetica, sans-serif; }
h1, h2, h3 { color: var(--title); line-height: 1.3; }
h1 { font-size: 1.75rem; }
h2 { font-size: 1.375rem; margin-top: 2.5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.125rem; margin-top: 2rem; }
.seal, .mood { padding: .75rem 1rem; border-left: .3rem solid var(--title); background: var(--soft); }
.good { background: var(--good); } .attention { background: var(--attention); font-weight: bold; }
.seal { font: 1rem/1.6 "DejaVu Sans Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; font-size: .9375rem; }
caption { text-align: left; padding-bottom: .4rem; font-weight: bold; }
th, td { border: 1px solid var(--line); padding: .4rem .6rem; text-align: left; vertical-align: top; }
th { background: var(--soft); } .number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
pre { padding: .75rem 1rem; background: var(--soft); white-space: pre-wrap; overflow-wrap: anywhere;
  font: .875rem/1.5 "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.plus { background: var(--plus); } .minus { background: var(--minus); }
.letter { border: 1px solid var(--line); border-radius: .3rem; margin: 1rem 0; }
.letter > p { margin: 0; padding: .75rem 1rem; border-bottom: 1px solid var(--line); }
.letter pre { margin: 0; background: none; font-size: .9375rem; }
a { color: var(--title); }
@media print { body { max-width: none; font-size: 10pt; } h3 { break-after: avoid; } }
"""


def draw_page(document: Document) -> str:
    """The whole page, UTF-8, lines ended by ``\\n``."""
    body = "\n".join(_draw(block) for block in document.blocks)
    title = escape(document.title)
    return (
        '<!doctype html>\n<html lang="fr">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="format-detection" content="telephone=no">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\n"
        "</main>\n</body>\n</html>\n"
    )


def _draw(block: Block) -> str:  # noqa: PLR0911  (a table, read downwards)
    match block:
        case Heading(level, text):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Paragraph(text, "plain"):
            return f"<p>{escape(text)}</p>"
        case Paragraph(text, mood):
            return f'<p class="mood {mood}">{escape(text)}</p>'
        case Items(items):
            return "<ul>\n" + "\n".join(f"<li>{escape(item)}</li>" for item in items) + "\n</ul>"
        case Verbatim(lines, is_difference):
            return "<pre>" + "\n".join(_line(line, is_difference) for line in lines) + "</pre>"
        case Seal(sha256):
            return f'<p class="seal">{sha256}</p>'
        case Letter():
            return _letter(block)
        case Table():
            return _table(block)


def _line(line: str, is_difference: bool) -> str:
    """A line of a difference keeps its sign: nothing is told by colour alone."""
    kind = {"+": "plus", "-": "minus"}.get(line[:1]) if is_difference else None
    return f'<span class="{kind}">{escape(line)}</span>' if kind else escape(line)


def _letter(letter: Letter) -> str:
    language, subject = escape(letter.language), escape(letter.subject)
    return (
        f'<div class="letter">\n<p><strong>Objet\u00a0:</strong> <span lang="{language}">{subject}</span></p>\n'
        f'<p><a href="{escape(letter.page)}">Voir ce message tel qu’il s’affiche ({escape(letter.page)})</a></p>\n'
        f'<pre lang="{language}">{escape(letter.text.rstrip())}</pre>\n</div>'
    )


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col"{_class(place, table)}>{escape(text)}</th>' for place, text in enumerate(table.head)
    )
    rows = "\n".join(f"<tr>{_cells(row, table)}</tr>" for row in table.rows)
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{escape(table.caption)}"><table>'
        f"<caption>{escape(table.caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>"
        "</table></div>"
    )


def _cells(row: Sequence[str], table: Table) -> str:
    return "".join(
        f"<td{_class(place, table)}{_language(place, table)}>{escape(cell)}</td>" for place, cell in enumerate(row)
    )


def _class(place: int, table: Table) -> str:
    return ' class="number"' if place in table.numeric else ""


def _language(place: int, table: Table) -> str:
    return ' lang="en"' if place in table.foreign else ""
