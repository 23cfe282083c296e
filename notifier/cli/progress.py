"""Progress of `send`, on stderr: a picture on a terminal, plain lines where there is none.

A terminal that goes away in the night takes the picture with it and never the sending.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING

from notifier.cli.terminal import tell, visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from notifier.delivery.report import Progress
    from notifier.delivery.view import LaneView

PLAIN_SECONDS = 10.0
REFRESH_SECONDS = 0.25
LASTS_SECONDS = 1.0  # a reason that comes and goes within is none
STOPPING = "stopping: what is under way is finished first (a second Ctrl-C stops at once, and loses nobody)"
LANES_SHOWN = 8


@contextmanager
def watch(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """A function to call with each new :class:`Progress`; draws nothing when ``quiet``, but says that it stops."""
    live = not quiet and sys.stderr is not None and sys.stderr.isatty()
    picture = _Picture() if live else None
    lines = PlainLines(time.monotonic())
    drawn = float("-inf")
    stopping = False

    def draw(progress: Progress) -> None:
        nonlocal drawn, stopping
        if progress.stopping and progress.outstanding and not stopping:
            stopping = True
            tell(STOPPING)
        if quiet:
            return
        now = time.monotonic()
        if picture is None:
            for line in lines.of(progress, now):
                tell(line)
        elif now - drawn >= REFRESH_SECONDS:
            drawn = now
            picture.show(progress)

    try:
        yield draw
    finally:
        if picture:
            picture.close()


class PlainLines:
    """A line every ``PLAIN_SECONDS``, and when it is something else that one waits for, once it has lasted a moment.
    Pure; seconds are those of a clock that never goes back."""

    def __init__(self, began: float) -> None:
        self._told = began
        self._why = ""
        self._seen, self._since = "", began

    def of(self, progress: Progress, now: float) -> list[str]:
        """What is to be told now."""
        lines = []
        if progress.why != self._seen:
            self._seen, self._since = progress.why, now
        if progress.why != self._why and now - self._since >= LASTS_SECONDS:
            self._why = progress.why
            lines.append(f"waits: {_why(progress)}" if progress.why else "goes on")
        if lines or now - self._told >= PLAIN_SECONDS:
            self._told = now
            lines.append(" · ".join((_counts(progress), _pace(progress))))
            lines += [f"lane {_lane(lane)}" for lane in progress.lanes if lane.rests]
        return lines


def _counts(progress: Progress) -> str:
    counts = progress.counts
    told = [f"accepted {counts.get('accepted', 0):,} of {progress.waiting:,}"]
    told += [f"{kind.replace('_', ' ')} {counts.get(kind, 0):,}" for kind in ("deferred", "refused", "in_doubt")]
    told += [
        f"{words} {counts[kind]:,}"
        for kind, words in (("expired", "expired"), ("unmade", "set aside"))
        if counts.get(kind)
    ]
    return " · ".join([*told, f"under way {progress.outstanding:,}"])


def _pace(progress: Progress) -> str:
    told = f"{_rate(progress.rate)} now, {_rate(progress.mean_rate)} in the mean"
    return f"{told} · done {_clock(progress.ends_at)} at this rate" if progress.ends_at else told


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}/s" if per_second >= 10 or not per_second else f"{per_second:.1f}/s"


def _why(progress: Progress) -> str:
    return progress.why + (f", until {_clock(progress.until)}" if progress.until else "")


def _lane(lane: LaneView) -> str:
    told = f"{lane.provider}: {lane.waiting:,} wait, {_rate(lane.rate)}"
    if lane.share < 1:
        told += f", at {lane.share:.0%} of its pace"
    if lane.until is not None:
        told += f", rests until {_clock(lane.until)}"
    return told + (f" ({lane.why})" if lane.why else "")


def _clock(at: datetime | None) -> str:
    """In this machine's own time; with the day when it is not today."""
    if at is None:
        return ""
    local = at.astimezone()
    return f"{local:%H:%M}" if local.date() == datetime.now().astimezone().date() else f"{local:%a %d %b %H:%M}"


class _Picture:
    """Drawn by our own calls alone: a thread of rich's would meet the lost terminal where nobody catches it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(
            console=Console(stderr=True, highlight=False),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with suppress(OSError, ValueError):
            self._live.start()

    def show(self, progress: Progress) -> None:
        with suppress(OSError, ValueError):
            self._live.update(picture(progress), refresh=True)

    def close(self) -> None:
        with suppress(OSError, ValueError):
            self._live.stop()


def picture(progress: Progress) -> RenderableType:
    """The picture of this moment."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    bar = Table.grid(expand=True)  # a bar alone ends no line
    bar.add_row(ProgressBar(total=max(1, progress.waiting), completed=progress.counts.get("accepted", 0)))
    parts: list[RenderableType] = [
        bar,
        Text(_counts(progress)),
        Text(_pace(progress)),
    ]
    if progress.why:
        parts.append(Text(f"waits: {visible(_why(progress))}", style="yellow"))
    if progress.lanes:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
        for heading in ("lane", "waits", "rate", "share", ""):
            table.add_column(heading, justify="left" if heading in ("lane", "") else "right", style="dim")
        for lane in progress.lanes[:LANES_SHOWN]:
            rests = f"rests until {_clock(lane.until)}: " if lane.until else ""
            table.add_row(
                Text(lane.provider),
                f"{lane.waiting:,}",
                _rate(lane.rate),
                f"{lane.share:.0%}",
                Text(visible(rests + lane.why), style="yellow"),
            )
        parts.append(table)
        if (more := len(progress.lanes) - LANES_SHOWN) > 0:
            parts.append(Text(f"and {more} more lanes", style="dim"))
    return Group(*parts)
