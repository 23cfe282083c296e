"""Disposing of rejections: somebody looked at them, says why nobody is to be informed from them, and signs for it.

Only open rejections are disposed of, and what was disposed of can be opened again. Each file gets one entry, with the
number by code, the reason and the author. A reason is for the journal: what looks like an address or a number of
somebody in it is taken out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from notifier.errors import OperatorError
from notifier.model import Entry, to_ms
from notifier.storage import journal, rejections
from notifier.storage.database import Connection, Database
from notifier.storage.rejections import LAST_LINE, Chosen
from notifier.vault import redact

_WORD = re.compile(r"([0-9a-f]{8,64})(?::([0-9]{1,12})(?:-([0-9]{1,12}))?)?")
Counts = dict[str, dict[str, int]]
"""File (SHA-256) → code → rejections."""


@dataclass(frozen=True, slots=True)
class Which:
    """What somebody names. ``words``: ``SHA``, ``SHA:LINE`` or ``SHA:LINE-LINE``, SHA being the first 8 or more digits
    of a file's SHA-256; ``every``: of all files; ``code``: "" = any."""

    words: tuple[str, ...] = ()
    every: bool = False
    code: str = ""


def parsed(word: str) -> tuple[str, int, int]:
    """(start of the SHA-256, first line, last line). Raises OperatorError.

    >>> parsed("0c4f1e2a:12-40")
    ('0c4f1e2a', 12, 40)
    """
    found = _WORD.fullmatch(word.strip().lower())
    if not found:
        raise OperatorError(f"{word[:80]!r}: say SHA, SHA:LINE or SHA:LINE-LINE, with 8 or more digits of the SHA-256")
    first = int(found[2]) if found[2] else 0
    last = int(found[3]) if found[3] else first or LAST_LINE
    if last < first:
        raise OperatorError(f"{word[:80]}: the last line stands before the first")
    return found[1], first, last


async def _chosen(connection: Connection, which: Which) -> list[Chosen]:
    if which.every == bool(which.words):
        raise OperatorError("say which files by their SHA-256, or --all")
    if which.every:
        return [Chosen(sha256, code=which.code) for sha256 in await rejections.files_of(connection, "")]
    chosen = []
    for word in which.words:
        start, first, last = parsed(word)
        files = await rejections.files_of(connection, start)
        if len(files) != 1:
            what = "no file that was taken in has" if not files else "several files have"
            raise OperatorError(f"{what} a SHA-256 that begins with {start}: nothing was changed")
        chosen.append(Chosen(files[0], first, last, which.code))
    return chosen


async def look(database: Database, which: Which, *, reopen: bool = False) -> Counts:
    """What :func:`dispose` (or :func:`reopen`) would change. Raises OperatorError when that is nothing."""
    async with database.read() as connection:
        return await _counted(connection, await _chosen(connection, which), reopen=reopen)


async def _counted(connection: Connection, chosen: Sequence[Chosen], *, reopen: bool) -> Counts:
    found = await rejections.counted(connection, chosen, rejections.DISPOSED if reopen else rejections.OPEN)
    if not found:
        raise OperatorError(f"no rejection there is {'disposed of' if reopen else 'open'}: nothing was changed")
    return found


async def dispose(database: Database, which: Which, *, reason: str, by: str, now: datetime) -> Counts:
    """Dispose of the open rejections among those named. Raises OperatorError; nothing was changed then."""
    said = redact(" ".join(reason.split()))
    async with database.write() as connection:
        chosen = await _chosen(connection, which)
        counts = await _counted(connection, chosen, reopen=False)
        for each in chosen:
            await rejections.dispose(connection, each, reason=said, by=by, now_ms=to_ms(now))
        await _tell(connection, "rejections_disposed", counts, {"reason": said, "by": by}, now)
    return counts


async def reopen(database: Database, which: Which, *, by: str, now: datetime) -> Counts:
    """Undo a disposal. Raises OperatorError; nothing was changed then."""
    async with database.write() as connection:
        chosen = await _chosen(connection, which)
        counts = await _counted(connection, chosen, reopen=True)
        for each in chosen:
            await rejections.reopen(connection, each)
        await _tell(connection, "rejections_reopened", counts, {"by": by}, now)
    return counts


async def _tell(connection: Connection, kind: str, counts: Counts, said: dict[str, str], now: datetime) -> None:
    await journal.append(
        connection,
        [
            Entry(now, kind, sha256, {"count": sum(codes.values()), "codes": codes, **said})
            for sha256, codes in counts.items()
        ],
    )
