"""What every command shares: --json, --yes, one clear line for an operator's error, exit codes (DESIGN 11).

Exit 0 done · 1 done, with rejections, failures or something left to decide · 2 usage or operator error · 75 try later.
What was asked for goes to stdout; progress, logs and questions go to stderr.
"""

from __future__ import annotations

import functools
import json
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from notifier.errors import JournalError, OperatorError, StorageError

DONE = 0
LEFT = 1
OPERATOR = 2
TRY_LATER = 75
SOFTWARE = 70  # EX_SOFTWARE, sysexits.h: the fault is ours


@dataclass(frozen=True)
class Terminal:
    """Where a command is run: the campaign's folder, who runs it, and how to print."""

    folder: Path
    by: str
    as_json: bool
    assume_yes: bool

    def result(self, body: dict[str, Any], *lines: str) -> None:
        """The answer: one JSON object with --json, else the lines."""
        if self.as_json:
            click.echo(json.dumps(body, ensure_ascii=False, sort_keys=False))
        else:
            for line in lines:
                click.echo(line)

    def note(self, line: str) -> None:
        """Progress and hints: stderr."""
        click.echo(line, err=True)

    def confirm(self, question: str) -> None:
        """Ask, unless --yes; without a terminal a question is an error, never a silent yes."""
        if self.assume_yes:
            return
        if not sys.stdin.isatty():
            raise OperatorError(f"{question} There is nobody to ask: say --yes.")
        if not click.confirm(question, default=False, err=True):
            raise OperatorError("nothing was done")


def command(name: str | None = None, **attributes: Any) -> Callable[[Callable[..., int | None]], click.Command]:
    """Like ``click.command``; the function gets a :class:`Terminal` first and returns its exit code."""

    def decorate(function: Callable[..., int | None]) -> click.Command:
        @functools.wraps(function)
        def run(*, as_json: bool, assume_yes: bool, **arguments: Any) -> None:
            context = click.get_current_context()
            root = context.find_root().params
            terminal = Terminal(
                folder=Path(root.get("campaign") or "."),
                by=root.get("by") or "",
                as_json=as_json,
                assume_yes=assume_yes,
            )
            sys.exit(guarded(lambda: function(terminal, **arguments)))

        make: Callable[[Callable[..., None]], click.Command] = click.command(name, **attributes)
        decorated = make(run)
        decorated.params.append(click.Option(["--json", "as_json"], is_flag=True, help="One JSON object on stdout."))
        decorated.params.append(click.Option(["--yes", "assume_yes"], is_flag=True, help="Ask no questions."))
        return decorated

    return decorate


def guarded(body: Callable[[], int | None]) -> int:
    """Run a command's body; turn what it raises into one line and an exit code."""
    try:
        return body() or DONE
    except OperatorError as error:
        click.echo(f"notifier: {error}", err=True)
        return error.exit_code
    except (StorageError, JournalError) as error:
        # Ours or the disk's. The text is without parameters (storage/database.py), so it may be shown.
        click.echo(f"notifier: {error}", err=True)
        return SOFTWARE
    except KeyboardInterrupt:
        click.echo("notifier: stopped", err=True)
        return 130
    except Exception as error:
        _tell_bug(error)
        return SOFTWARE


def _tell_bug(error: Exception) -> None:
    """Where it broke, without a value: an exception's own text may quote a row (I8)."""
    from notifier.vault import redact

    frames = traceback.extract_tb(error.__traceback__)
    click.echo(f"notifier: this is a fault of ours: {type(error).__name__}", err=True)
    for frame in frames[-12:]:
        click.echo(f"  {redact(frame.filename)}:{frame.lineno} in {frame.name}", err=True)
    click.echo("Nothing was half done; run the command again, and report these lines if it happens again.", err=True)
