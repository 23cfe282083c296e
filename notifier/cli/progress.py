"""Progress of `send`, on stderr: one live line on a terminal, a plain line every few seconds where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from notifier.delivery.report import Progress

PLAIN_SECONDS = 5.0


@contextmanager
def watch(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """A function to call with each new :class:`Progress`; draws nothing when ``quiet``."""
    if quiet:
        yield lambda _progress: None
        return
    live = sys.stderr.isatty()
    started = time.monotonic()
    told = started

    def draw(progress: Progress) -> None:
        nonlocal told
        now = time.monotonic()
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
        click.echo(f"\r\x1b[2K{line}" if live else line, err=True, nl=not live)

    yield draw
    if live:
        click.echo("\r\x1b[2K", err=True, nl=False)
