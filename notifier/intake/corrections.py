"""Which earlier file a corrected one takes the place of (`intake --replaces`): asked before a long reading.

A correction is an export of the same incident under the same profile, with other bytes. Everything else would let a
slip of the hand withdraw the wrong file.
"""

from __future__ import annotations

from notifier.errors import OperatorError
from notifier.storage import imports
from notifier.storage.database import Database
from notifier.storage.imports import PastImport

_LEAST = 8


async def corrected(database: Database, start: str, sha256: str, profile: str, incident: str) -> tuple[PastImport, ...]:
    """The complete imports of the file whose SHA-256 begins with ``start``, which the file ``sha256`` corrects. Empty
    when nothing is to be replaced (``start`` is "") or that file took its place before. Raises OperatorError when there
    is no such file, or it was read otherwise."""
    start = start.strip().lower()
    if not start:
        return ()
    if len(start) < _LEAST or not set(start) <= set("0123456789abcdef"):
        raise OperatorError("--replaces takes the SHA-256 of the earlier file, or its first 8 or more hex digits")
    async with database.read() as connection:
        found = await imports.past(connection, start)
        names = sorted({each.sha256 for each in found})
        replaced_by = await imports.replacing(connection, names[0]) if len(names) == 1 else []
    if len(names) != 1:
        what = "no file" if not names else "more than one file"
        raise OperatorError(f"{what} with a SHA-256 that begins with {start[:12]} was taken in: nothing was changed")
    if names == [sha256]:
        raise OperatorError("a file cannot take its own place: --replaces names the earlier file")
    complete = [each for each in found if each.state == "complete"]
    if not complete and sha256 in replaced_by:
        return ()
    if not complete:
        raise OperatorError(f"the import {start[:12]} is withdrawn already: take the file in without --replaces")
    fitting = [each for each in complete if (each.kind, each.profile, each.incident) == ("export", profile, incident)]
    if not fitting:
        other = complete[0]
        raise OperatorError(
            f"the file {start[:12]} was taken in with the profile {other.profile}"
            + (f" for the incident {other.incident}" if other.incident else "")
            + ": a file takes the place of one of the same profile and incident only; nothing was changed"
        )
    return tuple(fitting)
