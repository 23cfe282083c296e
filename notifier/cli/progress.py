"""Progress of `send`, on stderr: a bar on a terminal, a plain line every few seconds where there is none.

A terminal that goes away in the night takes the bar with it and never the sending.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from notifier.cli.terminal import tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from notifier.delivery.report import Progress

PLAIN_SECONDS = 5.0
REFRESH_SECONDS = 0.2
STOPPING = "stopping: what is under way is finished first (a second Ctrl-C stops at once, and loses nobody)"


@contextmanager
def watch(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """A function to call with each new :class:`Progress`; draws nothing when ``quiet``, but says that it stops."""
    live = not quiet and sys.stderr is not None and sys.stderr.isatty()
    bar = _Bar() if live else None
    started = told = time.monotonic()
    stopping = False

    def draw(progress: Progress) -> None:
        nonlocal told, stopping
        now = time.monotonic()
        if progress.stopping and progress.outstanding and not stopping:
            stopping = True
            tell(STOPPING)
        if quiet or now - told < (REFRESH_SECONDS if bar else PLAIN_SECONDS):
            return
        told = now
        if bar:
            bar.show(progress)
        else:
            accepted = progress.counts.get("accepted", 0)
            rate = accepted / (now - started)
            tell(f"accepted {accepted} of {progress.waiting} · {_beside(progress)} · {rate:.0f}/s")

    try:
        yield draw
    finally:
        if bar:
            bar.close()


def _beside(progress: Progress) -> str:
    counts = progress.counts
    return (
        f"deferred {counts.get('deferred', 0)} · refused {counts.get('refused', 0)} · in doubt "
        f"{counts.get('in_doubt', 0)} · under way {progress.outstanding}"
    )


class _Bar:
    """rich's progress bar. It is drawn by our own calls alone: a thread of its own would meet the lost terminal where
    nobody catches it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("accepted"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[beside]}"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task("send", total=None, beside="")
        with suppress(OSError, ValueError):
            self._bar.start()

    def show(self, progress: Progress) -> None:
        with suppress(OSError, ValueError):
            self._bar.update(
                self._task,
                total=progress.waiting,
                completed=progress.counts.get("accepted", 0),
                beside=_beside(progress),
                refresh=True,
            )

    def close(self) -> None:
        with suppress(OSError, ValueError):
            self._bar.stop()
