"""`status --watch`: the campaign's standing again and again, beside a running `send`.

How sending goes is read each time. The equation counts every row: it is counted again when that takes at most a tenth
of the time, and says of when it is. Every reading is a snapshot of its own and blocks nobody.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from notifier.cli.terminal import Terminal, visible

if TYPE_CHECKING:
    from notifier.app import App

SHOW_CURSOR = b"\x1b[?25h\n"
SHARE = 10  # of the time between two countings, one may take this part

Show = Callable[[list[str]], None]


def watch_standing(terminal: Terminal, seconds: float) -> int:
    """Until Ctrl-C, or until nobody reads: exit 0. A second Ctrl-C does not wait for the reading under way."""
    from notifier import app

    async def work() -> None:
        _end_at_ctrl_c()
        async with app.open_campaign(terminal.folder, by=terminal.by, command="status", writes=False) as opened:
            if terminal.as_json:
                await _objects(opened, seconds)
            else:
                await _blocks(opened, seconds)

    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        try:
            asyncio.run(work())
        except BrokenPipeError:  # whoever read has gone: enough
            _close_stdout()
    return 0


def _end_at_ctrl_c() -> None:
    """The running task is cancelled; whoever cannot wait, and nothing is half done, is let go at once."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None

    def end() -> None:
        if task.cancelling():
            if sys.stdout.isatty():
                os.write(sys.stdout.fileno(), SHOW_CURSOR)  # what was drawn on hid it
            os._exit(0)
        task.cancel()

    loop.add_signal_handler(signal.SIGINT, end)


async def _objects(opened: App, seconds: float) -> None:
    """One object a line."""
    from notifier import app

    while True:
        began = time.monotonic()
        standing = await app.standing(opened)
        body = {"at": _now(), **standing.as_json()}
        click.echo(json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace"))
        sys.stdout.flush()
        await asyncio.sleep(max(seconds, SHARE * (time.monotonic() - began)))


async def _blocks(opened: App, seconds: float) -> None:
    """Lines for somebody's eyes."""
    from notifier import app

    counted: list[str] = []
    at, due = "", float("-inf")
    with _screen() as show:
        while True:
            began = time.monotonic()
            if began >= due:
                standing = await app.standing(opened)
                counted, at = standing.lines(), _now()
                ended = time.monotonic()
                due = ended + max(0.0, SHARE * (ended - began) - seconds)
                show([f"{at} (Ctrl-C ends this, and nothing else)", "", *counted])
            else:
                flow = await app.flow(opened)
                show([f"{_now()}, counted at {at} (Ctrl-C ends this, and nothing else)", *flow.lines(), "", *counted])
            await asyncio.sleep(seconds)


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


@contextmanager
def _screen() -> Iterator[Show]:
    """Redrawn on a terminal; elsewhere one block after another."""
    if not sys.stdout.isatty():
        yield _block
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    # Drawn by our own calls alone, and cut where the screen ends.
    with Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="ellipsis") as live:
        yield lambda lines: live.update(Text("\n".join(visible(line) for line in lines)), refresh=True)


def _block(lines: list[str]) -> None:
    click.echo("\n".join(visible(line) for line in lines) + "\n")
    sys.stdout.flush()


def _close_stdout() -> None:
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
