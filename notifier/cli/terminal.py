"""What every command shares: --json, --yes, one clear line for an operator's error, exit codes (DESIGN 11).

Exit 0 done · 1 done, with rejections, failures or something left to decide · 2 usage or operator error · 75 try later.
What was asked for goes to stdout; progress, logs and questions go to stderr.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import click

from notifier.errors import JournalError, OperatorError, StorageError

DONE = 0
LEFT = 1
OPERATOR = 2
TRY_LATER = 75
SOFTWARE = 70  # EX_SOFTWARE, sysexits.h: the fault is ours

# What a file or a disk says, and the operator can mend.
_OF_THE_MACHINE = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOENT,
    errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EMFILE, errno.ENFILE,
}  # fmt: skip

# Controls but for line feed and tab, line and paragraph separators, marks and overrides of writing direction.
_STEERING = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

_LONGEST = 500  # characters of what somebody says for the journal


@dataclass(frozen=True)
class Terminal:
    """Where a command is run: the campaign's folder, who runs it, and how to print."""

    folder: Path
    by: str
    as_json: bool
    assume_yes: bool

    def result(self, body: dict[str, Any], *lines: str) -> None:
        """The answer: one JSON object with --json, in UTF-8 whatever the locale says (RFC 8259 8.1); else the lines.
        Raises OperatorError when it cannot be written, a full disk for example: no program may take half an answer
        for the whole. A reader that has gone (`| head -1`) has had enough."""
        try:
            if self.as_json:
                text = json.dumps(body, ensure_ascii=False, sort_keys=False)
                # What no UTF-8 can carry, a file name's stray byte, becomes an escape that JSON knows.
                click.echo(text.encode("utf-8", "backslashreplace"))
            else:
                for line in lines:
                    click.echo(visible(line))
        except BrokenPipeError:
            _close(sys.stdout)
        except OSError as error:
            _close(sys.stdout)
            raise OperatorError(f"it is done, but the answer cannot be written: {error.strerror}") from error

    def note(self, line: str) -> None:
        """Progress and hints: stderr."""
        tell(line)

    def confirm(self, question: str) -> None:
        """Ask, unless --yes; without a terminal a question is an error, never a silent yes."""
        if self.assume_yes:
            return
        if not sys.stdin.isatty():
            raise OperatorError(f"{question} There is nobody to ask: say --yes.")
        if not click.confirm(question, default=False, err=True):
            raise OperatorError("nothing was done")


def signed(terminal: Terminal, by: str | None) -> Terminal:
    """``--by`` after the command says the same as before it."""
    return terminal if by is None else replace(terminal, by=by)


class Line(click.ParamType[str]):
    """Words for the journal and for other people's terminals: one line, of characters that can be seen."""

    name = "text"

    def convert(self, value: str, parameter: click.Parameter | None, context: click.Context | None) -> str:
        if not value.strip() or not value.isprintable():
            self.fail("one line of text, please, without control characters", parameter, context)
        if len(value) > _LONGEST:
            self.fail(f"at most {_LONGEST} characters, please", parameter, context)
        return value


def visible(text: str) -> str:
    """``text`` without what steers a terminal: a cell, a heading or the name of a file may hold anything."""
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


def tell(text: str, *, newline: bool = True) -> None:
    """Write to stderr. Nobody may be there to read it, a terminal that was closed, a pipe that ended: no reason to
    stop what is being done."""
    try:
        click.echo(visible(text), err=True, nl=newline)
    except OSError:
        _close(sys.stderr)


def _close(stream: TextIO) -> None:
    """No more of it, nor a complaint from the interpreter at the end: what it still holds goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def prepare_streams() -> None:
    """A locale without "≠" must not stop a command: what it cannot write is replaced."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace" if stream is sys.stdout else "backslashreplace")


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
                as_json=as_json or bool(root.get("as_json")),
                assume_yes=assume_yes or bool(root.get("assume_yes")),
            )
            sys.exit(guarded(lambda: function(terminal, **arguments)))

        make: Callable[[Callable[..., None]], click.Command] = click.command(name, **attributes)
        decorated = make(run)
        decorated.params.append(click.Option(["--json", "as_json"], is_flag=True, help="One JSON object on stdout."))
        decorated.params.append(click.Option(["--yes", "assume_yes"], is_flag=True, help="Ask no questions."))
        return decorated

    return decorate


def guarded(body: Callable[[], int | None]) -> int:  # noqa: PLR0911  (a table, read downwards)
    """Run a command's body; turn what it raises into one line and an exit code."""
    try:
        return body() or DONE
    except OperatorError as error:
        tell(f"notifier: {error}")
        return error.exit_code
    except (StorageError, JournalError) as error:
        # Ours or the disk's. The text is without parameters (storage/database.py), so it may be shown.
        tell(f"notifier: {error}")
        return SOFTWARE
    except KeyboardInterrupt:
        tell("notifier: stopped; nothing was half done: run the command again to go on")
        return 130
    except OSError as error:
        if error.errno not in _OF_THE_MACHINE:
            _tell_bug(error)
            return SOFTWARE
        where = f"{error.filename}: " if isinstance(error.filename, str | os.PathLike) else ""
        tell(f"notifier: {where}{error.strerror}")
        return OPERATOR
    except Exception as error:
        _tell_bug(error)
        return SOFTWARE


def _tell_bug(error: Exception) -> None:
    """Where it broke, without a value: an exception's own text may quote a row (I8)."""
    from notifier.vault import redact

    frames = traceback.extract_tb(error.__traceback__)
    tell(f"notifier: this is a fault of ours: {type(error).__name__}")
    for frame in frames[-12:]:
        tell(f"  {redact(frame.filename)}:{frame.lineno} in {frame.name}")
    tell("Nothing was half done; run the command again, and report these lines if it happens again.")
