"""Progress of `send`, on stderr: one live line on a terminal, a plain line every few seconds where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from notifier.cli.terminal import tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from notifier.delivery.report import Progress

PLAIN_SECONDS = 5.0
CLEAR = "\r\x1b[2K"  # the live line
STOPPING = "stopping: what is under way is finished first (a second Ctrl-C stops at once, and loses nobody)"


@contextmanager
def watch(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """A function to call with each new :class:`Progress`; draws nothing when ``quiet``, but says that it stops."""
    live = not quiet and sys.stderr is not None and sys.stderr.isatty()
    started = time.monotonic()
    told = started
    stopping = False

    def draw(progress: Progress) -> None:
        nonlocal told, stopping
        now = time.monotonic()
        if progress.stopping and progress.outstanding and not stopping:
            stopping = True
            tell(f"{CLEAR if live else ''}{STOPPING}")
        if quiet:
            return
        if not live and now - told < PLAIN_SECONDS:
            return
        told = now
        counts = progress.counts
        accepted = counts.get("accepted", 0)
        rate = accepted / (now - started) if now > started else 0.0
        line = (
            f"accepted {accepted} of {progress.waiting} · deferred {counts.get('deferred', 0)} · refused "
            f"{counts.get('refused', 0)} · in doubt {counts.get('in_doubt', 0)} · under way {progress.outstanding} · "
            f"{rate:.0f}/s"
        )
        tell(f"{CLEAR}{line}" if live else line, newline=not live)

    yield draw
    if live:
        tell(CLEAR, newline=False)
