"""Queries on rejections: how they are stored, how each ends, and which are open.

A rejection is a row of its file for ever (I1: rows = records + rejections, whatever their states); it goes only with
its import. All ends that a file brings are written in the transaction that completes it.

========== ==========================================================================================================
corrected   a later accepted row answers its trace (`ended_import_id`, `ended_line`: that row)
duplicate   an earlier rejection has the same cells (`ended_…`: the first of them, which stays as it is)
not_a_person a line of totals, of the end, or of headings: known when it was read
disposed    somebody disposed of it, by name and reason
========== ==========================================================================================================
"""

# ruff: noqa: S608  (the SQL is put together from this module's own words)

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.model import Rejection
from notifier.storage.database import insert_many
from notifier.storage.temporary import fresh

OPEN, CORRECTED, DUPLICATE, NOT_A_PERSON, DISPOSED = "open", "corrected", "duplicate", "not_a_person", "disposed"
LAST_LINE = 1 << 60
STATES = (OPEN, CORRECTED, DUPLICATE, NOT_A_PERSON, DISPOSED)
_COLUMNS = ("import_id", "line", "column", "code", "state", "trace", "cells", "reason", "decided_by")
_ENDED = "rejection_id INTEGER PRIMARY KEY, import_id INTEGER, line INTEGER"
_REOPENED = "state = 'open', reason = '', decided_by = '', decided_ms = NULL, ended_import_id = NULL, ended_line = NULL"


async def insert(connection: AsyncConnection, import_id: int, rejections: Iterable[Rejection]) -> None:
    """The rejections of a batch."""
    rows = [
        (import_id, each.line, each.column, each.code, each.state, each.trace, each.cells, "", "")
        for each in rejections
    ]
    await insert_many(connection, "rejections", _COLUMNS, rows)


async def of_import(connection: AsyncConnection, import_id: int) -> AsyncIterator[Rejection]:
    """The rejections of an import, by line."""
    found = await connection.stream(
        text('SELECT line, "column", code, state FROM rejections WHERE import_id = :id ORDER BY line, id'),
        {"id": import_id},
    )
    async for line, column, code, state in found:
        yield Rejection(line, column, code, state)


# -- ends that a file brings -----------------------------------------------------------------------------------------


async def open_traces(connection: AsyncConnection, incident: str, *sha256: str) -> list[bytes]:
    """The traces that rows of the file with the first SHA-256 may answer: of open rejections in complete exports of its
    incident, and of those that an earlier reading of the same file, or one of the other files, whose place it takes,
    has corrected, and that open again then."""
    found = await connection.execute(
        text(
            "SELECT DISTINCT r.trace FROM imports i CROSS JOIN rejections r WHERE i.kind = 'export' "
            "AND i.state = 'complete' AND i.incident = :incident AND r.import_id = i.id AND r.trace IS NOT NULL "
            "AND (r.state = 'open' OR (r.state = 'corrected' AND i.sha256 NOT IN :files AND r.ended_import_id IN "
            "(SELECT id FROM imports WHERE sha256 IN :files)))"
        ).bindparams(bindparam("files", expanding=True)),
        {"incident": incident, "files": list(sha256)},
    )
    return list(found.scalars())


class Ends(NamedTuple):
    """How many rejections ended with a file: its own, and those of earlier files that its rows correct."""

    corrected: int
    duplicate: int
    not_a_person: int


async def settle(
    connection: AsyncConnection, import_id: int, answers: Sequence[tuple[bytes, int]], *, now_ms: int
) -> Ends:
    """End what the rows of an import end, in the transaction that completes it. ``answers``: (trace, line) of accepted
    rows. What answers comes later: further down in the same file, or in a later one of the same incident."""
    corrected = await _correct(connection, import_id, answers, now_ms) if answers else 0
    duplicate = await _find_duplicates(connection, import_id, now_ms)
    nobody = await connection.execute(
        text(
            "UPDATE rejections SET decided_ms = :now_ms WHERE import_id = :id AND state = 'not_a_person' "
            "AND decided_ms IS NULL"
        ),
        {"now_ms": now_ms, "id": import_id},
    )
    return Ends(corrected, duplicate, nobody.rowcount)


async def _correct(
    connection: AsyncConnection, import_id: int, answers: Sequence[tuple[bytes, int]], now_ms: int
) -> int:
    await fresh(connection, "answers", "trace BLOB PRIMARY KEY, line INTEGER")
    await fresh(connection, "ended", _ENDED)
    await insert_many(connection, "answers", ("trace", "line"), list(answers))
    await connection.execute(
        text(
            "INSERT INTO ended (rejection_id, import_id, line) SELECT r.id, mine.id, a.line "
            "FROM imports mine CROSS JOIN imports i CROSS JOIN rejections r CROSS JOIN answers a "
            "WHERE mine.id = :id AND (i.id = :id OR (i.kind = 'export' AND i.state = 'complete' "
            "AND i.incident = mine.incident)) AND r.import_id = i.id AND r.state = 'open' AND a.trace = r.trace "
            "AND (i.id <> :id OR r.line < a.line)"
        ),
        {"id": import_id},
    )
    return await _end(connection, CORRECTED, now_ms)


async def _find_duplicates(connection: AsyncConnection, import_id: int, now_ms: int) -> int:
    """Rejections of this import whose cells an earlier one has: in this file, or in another complete import of its
    kind, profile and incident. They point to the first."""
    ours = {"id": import_id}
    await fresh(connection, "firsts", "cells BLOB PRIMARY KEY, first_id INTEGER")
    await fresh(connection, "ended", _ENDED)
    await connection.execute(
        text(
            "INSERT INTO firsts (cells) SELECT DISTINCT cells FROM rejections WHERE import_id = :id "
            "AND state = 'open' AND cells IS NOT NULL"
        ),
        ours,
    )
    await connection.execute(
        text(
            "INSERT INTO firsts (cells, first_id) SELECT r.cells, MIN(r.id) FROM imports mine CROSS JOIN imports i "
            "CROSS JOIN rejections r CROSS JOIN firsts k WHERE mine.id = :id AND (i.id = :id OR (i.kind = mine.kind "
            "AND i.state = 'complete' AND i.profile = mine.profile AND i.incident = mine.incident)) "
            "AND r.import_id = i.id AND r.state <> 'duplicate' AND k.cells = r.cells GROUP BY r.cells "
            "ON CONFLICT (cells) DO UPDATE SET first_id = excluded.first_id"
        ),
        ours,
    )
    await connection.execute(
        text(
            "INSERT INTO ended (rejection_id, import_id, line) SELECT r.id, f.import_id, f.line FROM rejections r "
            "CROSS JOIN firsts k CROSS JOIN rejections f WHERE r.import_id = :id AND r.state = 'open' "
            "AND k.cells = r.cells AND k.first_id < r.id AND f.id = k.first_id"
        ),
        ours,
    )
    return await _end(connection, DUPLICATE, now_ms)


async def _end(connection: AsyncConnection, state: str, now_ms: int) -> int:
    """What the temporary table ``ended`` names is ended by the rows that it gives."""
    done = await connection.execute(
        text(
            "UPDATE rejections SET state = :state, decided_ms = :now_ms, ended_import_id = e.import_id, "
            "ended_line = e.line FROM ended e WHERE rejections.id = e.rejection_id"
        ),
        {"state": state, "now_ms": now_ms},
    )
    return done.rowcount


async def withdraw(connection: AsyncConnection, import_id: int, *, now_ms: int) -> int:
    """The import's rejections go. Those of other files that it had ended are open again; how many, in the end: a row
    that stands in a third file too is its duplicate now."""
    ended = {"id": import_id}
    touched = await connection.execute(
        text(
            "SELECT DISTINCT import_id FROM rejections WHERE ended_import_id = :id AND import_id <> :id "
            "AND state IN ('corrected', 'duplicate') ORDER BY import_id"
        ),
        ended,
    )
    others = [int(other) for other in touched.scalars()]
    opened = await connection.execute(
        text(
            f"UPDATE rejections SET {_REOPENED} WHERE ended_import_id = :id AND import_id <> :id "
            "AND state IN ('corrected', 'duplicate')"
        ),
        ended,
    )
    await connection.execute(text("DELETE FROM rejections WHERE import_id = :id"), ended)
    again = 0
    for other in others:
        again += await _find_duplicates(connection, other, now_ms)
    return opened.rowcount - again


async def pass_on(connection: AsyncConnection, import_id: int, by_import: int, *, now_ms: int) -> int:
    """The open rejections of an import whose place another one took are corrected by it, and stay as history; those of
    other files that it had ended are open again. Returns how many of the latter."""
    await connection.execute(
        text(
            "UPDATE rejections SET state = 'corrected', decided_ms = :now_ms, ended_import_id = :by, ended_line = NULL "
            "WHERE import_id = :id AND state = 'open'"
        ),
        {"id": import_id, "by": by_import, "now_ms": now_ms},
    )
    opened = await connection.execute(
        text(
            f"UPDATE rejections SET {_REOPENED} WHERE ended_import_id = :id AND import_id <> :id "
            "AND state IN ('corrected', 'duplicate')"
        ),
        {"id": import_id},
    )
    return opened.rowcount


# -- ends that somebody decides --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which rejections: of the file with this SHA-256 (hex), from line ``first`` to ``last``; with this code (""
    = any)."""

    sha256: str
    first: int = 0
    last: int = LAST_LINE
    code: str = ""


_CHOSEN = (
    "import_id IN (SELECT id FROM imports WHERE sha256 = :sha256 AND state = 'complete') "
    "AND line BETWEEN :first AND :last AND (:code = '' OR code = :code)"
)


def _of(chosen: Chosen) -> dict[str, object]:
    return {"sha256": chosen.sha256, "first": chosen.first, "last": chosen.last, "code": chosen.code}


async def counted(connection: AsyncConnection, chosen: Iterable[Chosen], state: str) -> dict[str, dict[str, int]]:
    """File (SHA-256) → code → how many of the chosen are in ``state``. What is chosen twice is counted once."""
    found: dict[str, dict[str, set[int]]] = {}
    for each in chosen:
        rows = await connection.execute(
            text(f"SELECT id, code FROM rejections WHERE {_CHOSEN} AND state = :state"), {**_of(each), "state": state}
        )
        for number, code in rows:
            found.setdefault(each.sha256, {}).setdefault(code, set()).add(number)
    return {sha: {code: len(ids) for code, ids in sorted(codes.items())} for sha, codes in found.items()}


async def dispose(connection: AsyncConnection, chosen: Chosen, *, reason: str, by: str, now_ms: int) -> None:
    """The chosen that are open are disposed of."""
    await connection.execute(
        text(
            "UPDATE rejections SET state = 'disposed', reason = :reason, decided_by = :by, decided_ms = :now_ms "
            f"WHERE {_CHOSEN} AND state = 'open'"
        ),
        {**_of(chosen), "reason": reason, "by": by, "now_ms": now_ms},
    )


async def reopen(connection: AsyncConnection, chosen: Chosen) -> None:
    """The chosen that somebody had disposed of are open again."""
    await connection.execute(
        text(f"UPDATE rejections SET {_REOPENED} WHERE {_CHOSEN} AND state = 'disposed'"), _of(chosen)
    )


# -- what is open ----------------------------------------------------------------------------------------------------


class FileRejections(NamedTuple):
    """The rejections of one complete import in one state, with one code."""

    import_id: int
    kind: str
    sha256: str
    name: str
    state: str
    code: str
    rows: int


async def by_file(connection: AsyncConnection, *, kind: str = "") -> list[FileRejections]:
    """Every complete import's rejections, counted by state and code; the oldest import first. ``kind``: export or
    directory, "" = both."""
    found = await connection.execute(
        text(
            "SELECT i.id, i.kind, i.sha256, i.name, r.state, r.code, COUNT(*) FROM imports i CROSS JOIN rejections r "
            "WHERE i.state = 'complete' AND (:kind = '' OR i.kind = :kind) AND r.import_id = i.id "
            "GROUP BY i.id, i.kind, i.sha256, i.name, r.state, r.code ORDER BY i.id, r.state, r.code"
        ),
        {"kind": kind},
    )
    return [FileRejections(*row) for row in found]


async def count_open(connection: AsyncConnection) -> int:
    """Open rejections of complete exports: while there is one, a campaign cannot close (I1). A directory's rejections
    are no affected persons, and do not count."""
    found = await connection.execute(
        text(
            "SELECT COUNT(*) FROM imports i CROSS JOIN rejections r WHERE i.kind = 'export' AND i.state = 'complete' "
            "AND r.import_id = i.id AND r.state = 'open'"
        )
    )
    return int(found.scalar_one())


async def files_of(connection: AsyncConnection, sha256_start: str) -> list[str]:
    """The SHA-256 of the complete imports that begin so; "" = all. The oldest first."""
    found = await connection.execute(
        text(
            "SELECT sha256 FROM imports WHERE state = 'complete' AND substr(sha256, 1, :length) = :start "
            "GROUP BY sha256 ORDER BY MIN(id)"
        ),
        {"length": len(sha256_start), "start": sha256_start},
    )
    return list(found.scalars())


class Listed(NamedTuple):
    """One rejection, for a list. ``ended_sha256``, ``ended_line``: the row that ended it."""

    sha256: str
    line: int
    column: str
    code: str
    state: str
    ended_sha256: str | None
    ended_line: int | None


async def listing(connection: AsyncConnection, states: Sequence[str]) -> AsyncIterator[Listed]:
    """The rejections of all complete imports in ``states``, by file and line."""
    marks = ", ".join(f"'{state}'" for state in STATES if state in states)
    found = await connection.stream(
        text(
            'SELECT i.sha256, r.line, r."column", r.code, r.state, e.sha256, r.ended_line FROM imports i '
            "CROSS JOIN rejections r LEFT JOIN imports e ON e.id = r.ended_import_id "
            f"WHERE i.state = 'complete' AND r.import_id = i.id AND r.state IN ({marks}) ORDER BY i.id, r.line, r.id"
        )
    )
    async for row in found:
        yield Listed(*row)


async def of_file(connection: AsyncConnection, *, kind: str, sha256: str, profile: str) -> Mapping[int, Listed] | None:
    """Line → rejection, of the newest complete import of a file under a profile; None when there is no such import."""
    newest = await connection.execute(
        text(
            "SELECT MAX(id) FROM imports WHERE state = 'complete' AND kind = :kind AND sha256 = :sha256 "
            "AND profile = :profile"
        ),
        {"kind": kind, "sha256": sha256, "profile": profile},
    )
    import_id = newest.scalar_one_or_none()
    if import_id is None:
        return None
    found = await connection.execute(
        text('SELECT line, "column", code, state FROM rejections WHERE import_id = :id ORDER BY line'),
        {"id": import_id},
    )
    return {row.line: Listed(sha256, row.line, row.column, row.code, row.state, None, None) for row in found}
