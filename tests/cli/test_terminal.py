"""What is said at a terminal: words, and nothing that steers it."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from notifier.cli.terminal import Line, Terminal, tell

TITLE = "Mut.\x1b]0;title\x07 \x9b31mInconnue\u202e\u2028é\u202f: 3 € \u2192 ok"
SHOWN = "Mut.\ufffd]0;title\ufffd \ufffd31mInconnue\ufffd\ufffdé\u202f: 3 € \u2192 ok"


def test_what_a_file_says_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A cell, a heading, the name of a file: anybody may have written it."""
    Terminal(Path(), "dpo", as_json=False, assume_yes=True).result({}, f"a\tb\n{TITLE}")
    tell(TITLE)
    said = capsys.readouterr()
    assert said.out == f"a\tb\n{SHOWN}\n"
    assert said.err == f"{SHOWN}\n"


@pytest.mark.parametrize("said", ["", " ", "a\nb", "\x1b[2J", "x" * 501])
def test_words_for_the_journal_are_one_short_line(said: str) -> None:
    """They stand in an entry each, of as many deliveries as somebody decides on, and nobody can take them out again."""
    with pytest.raises(click.BadParameter):
        Line().convert(said, None, None)
    assert Line().convert("x" * 500, None, None) == "x" * 500
