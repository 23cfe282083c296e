"""The front door: options before and after the command, exit codes, start-up that imports little."""

import subprocess
import sys

import click
import pytest

from notifier.cli.default_command import FilesOrCommand
from notifier.cli.main import main

DECIDED = set(
    "init intake directory plan people preview check approve send pause resume status proof drill demo doubt requeue "  # noqa: SIM905
    "hotline bounces letters public-notice close purge profile senders notices recover db worker workers "
    "console".split()
)


def _commands(command: click.Command, path: str = ""):
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _commands(child, f"{path} {name}".strip())
    if not isinstance(command, click.Group) or isinstance(command, FilesOrCommand):
        yield path, command


def test_every_decided_command_is_there() -> None:
    assert set(main.commands) == DECIDED


@pytest.mark.parametrize(
    ("path", "command"), list(_commands(main)), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_takes_json_and_yes_and_says_what_it_does(path: str, command: click.Command) -> None:
    assert command.help
    if "not there yet" in (command.short_help or ""):
        return
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"--json", "--yes"} <= options


def test_help_imports_none_of_the_heavy_libraries() -> None:
    """`--help` within half a second (DESIGN 11) means: no sqlmodel, polars, pyarrow, aiosmtplib, pydantic."""
    code = (
        "import sys; from notifier.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'sqlmodel','sqlalchemy','polars','pyarrow','aiosmtplib','pydantic','jinja2','cryptography'}\n"
        "sys.exit(','.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [["nosuch"], ["init"], ["intake", "--nosuch"], ["status", "--list", "nosuch"]])
def test_usage_errors_exit_2(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "notifier.cli.main", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
