"""The plain-text body."""

from __future__ import annotations

from markdown_it import MarkdownIt

from notifier.notices.reading import COLUMNS, plain_text

SOURCE = """# Titre

Un *premier* paragraphe avec **du gras** et une ligne
coupée.

## Liste

- un
- deux
  - deux bis

1. d'abord
2. ensuite

### Détail

> Une citation
> sur deux lignes.

***

Fin.
"""

EXPECTED = """Titre

Un premier paragraphe avec du gras et une ligne coupée.


Liste
-----

- un
- deux
  - deux bis

1. d'abord
2. ensuite

Détail

> Une citation sur deux lignes.

------------------------

Fin.
"""


def test_every_block_has_its_plain_form():
    assert plain_text(MarkdownIt("commonmark").parse(SOURCE)) == EXPECTED


def test_lines_are_wrapped_and_words_kept():
    words = [f"mot{number}" for number in range(60)] + ["x" * 90]
    text = plain_text(MarkdownIt("commonmark").parse(f"- {' '.join(words)}"))
    assert text.replace("- ", "").split() == words
    assert all(len(line) <= COLUMNS or line.strip() == "x" * 90 for line in text.split("\n"))
    assert all(line.startswith("  ") for line in text.split("\n")[1:-1])
