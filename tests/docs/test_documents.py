"""Documents are true: the command reference is current, README's commands exist, links lead somewhere."""

import re
from pathlib import Path

import click
import pytest

from notifier.cli.main import main
from notifier.cli.reference import reference

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_command_reference_is_current() -> None:
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == reference()


def test_commands_in_the_readme_exist_with_their_options() -> None:
    lines = re.findall(
        r"^\$ notifier (.+?)(?:\s+#.*)?$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(lines) > 8
    for line in lines:
        words = line.split()
        command: click.Command = main
        while isinstance(command, click.Group) and (words[0] in command.commands or not command.params):
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), target


def test_paths_named_in_documents_exist() -> None:
    for document in DOCUMENTS:
        for path in re.findall(
            r"`((?:data|tests|docs|templates|notifier)/[\w./-]+\.\w+)`", document.read_text("utf-8")
        ):
            assert (ROOT / path).exists(), f"{document.name}: {path}"


def test_what_shows_a_promise_has_a_test_of_that_name() -> None:
    """A test that moved away leaves its file behind, and the document would go on naming it."""
    promises = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
    rows = re.findall(r"^\| (I\d) \|.*\| (.+?) \|$", promises, re.MULTILINE)
    assert [number for number, _ in rows] == [f"I{number}" for number in range(1, 10)]
    for number, shown in rows:
        for place in (ROOT / path for path in re.findall(r"`(tests/[\w./]+)`", shown)):
            files = place.rglob("test_*.py") if place.is_dir() else [place]
            text = "\n".join(one.read_text("utf-8") for one in files)
            assert re.search(rf"^def test_(i\d_)*{number}_", text, re.MULTILINE | re.IGNORECASE), f"{number}: {place}"


def test_every_state_and_word_of_the_model_is_in_the_glossary() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    for word in (
        "incident",
        "exposure",
        "sender",
        "wave",
        "notification",
        "delivery",
        "attempt",
        "in doubt",
        "journal",
    ):
        assert f"| {word}" in glossary
