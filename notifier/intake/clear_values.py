"""The rejected rows of a file with their values, in clear: only when somebody asks for them, and never unregistered.

``DIR/rejections/<first 12 of the file's sha256>-values.csv``, readable by its owner alone. Its values are read from
the operator's file once more, which has to lie there as it was (its SHA-256 says so): nothing of a rejected row is kept
in the database. The name is registered, and the journal says who asked, in a committed transaction before the first
byte is written: a crash leaves a name without a file, never a file without a name. What a purge or `--undo` has to
reach is found by that name; copies that somebody made are not.
"""

from __future__ import annotations

import asyncio
import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from notifier.errors import ExportError, OperatorError
from notifier.intake import archives, files, members, profiles, rows
from notifier.intake.columns import find_in_text
from notifier.intake.files import Form, Survey
from notifier.intake.profiles import Profile
from notifier.intake.rejections import EXPLANATIONS, FOLDER
from notifier.model import Entry, to_ms
from notifier.spreadsheets import disarmed
from notifier.storage import clear_files, journal, rejections
from notifier.storage.clear_files import ClearFile
from notifier.storage.database import Database
from notifier.storage.rejections import Listed

KIND = "rejections"
CONTINUED = 200  # lines at most that one record with line breaks inside quotes is followed over
_HEAD = ("line", "column", "code", "explication")


def values_path(sha256: str) -> str:
    """Relative to the campaign's folder."""
    return f"{FOLDER}/{sha256[:12]}-values.csv"


async def write_values(
    database: Database, folder: Path, path: Path, profile_name: str, *, sha256: str, by: str, now: datetime
) -> Path | None:
    """Write the values of the rejected rows of an export that is complete; None when it has none. Raises ExportError
    when ``path`` holds other bytes now, OperatorError when the file cannot be written."""
    profile, _ = profiles.load(folder, profile_name, "export")
    async with database.read() as connection:
        rejected = await rejections.of_file(connection, kind="export", sha256=sha256, profile=profile_name)
    if not rejected:
        return None
    with files.open_file(path) as file:
        wrapping = await asyncio.to_thread(members.holding, file, path.name, sha256)
        survey = await asyncio.to_thread(files.survey, file, path.name, profile.encoding, wrapping)
        if survey.sha256 != sha256:
            raise ExportError(f"{path.name} is not the file that was taken in any more: its values were not written")
        relative = values_path(sha256)
        async with database.write() as connection:
            await clear_files.register(connection, ClearFile(relative, KIND, sha256, by, to_ms(now)))
            facts = {"kind": KIND, "source": sha256, "rows": len(rejected), "by": by}
            await journal.append(connection, [Entry(now, "clear_file_written", sha256, facts)])
        try:
            await asyncio.to_thread(_write, folder / relative, file, path.name, survey, profile, rejected)
        except OSError as error:
            raise OperatorError(f"{folder / relative} cannot be written: {error.strerror}") from error
    return folder / relative


async def left_behind(database: Database, sha256_start: str) -> str | None:
    """The SHA-256 of a file that begins so, counts no more, and from which something in clear is there all the same:
    the withdrawal was cut short. None: there is no such file."""
    async with database.read() as connection:
        return await clear_files.of_nothing(connection, sha256_start)


async def remove_values(database: Database, folder: Path, sha256: str, *, by: str, now: datetime) -> list[str]:
    """Remove what was written in clear from a file, and say so; the paths that were registered."""
    async with database.read() as connection:
        found = await clear_files.there(connection, sha256)
    for each in found:
        (folder / each.path).unlink(missing_ok=True)
        _part(folder / each.path).unlink(missing_ok=True)
    if found:
        async with database.write() as connection:
            for each in found:
                await clear_files.mark_removed(connection, each.path, now_ms=to_ms(now))
            facts = {"kind": KIND, "source": sha256, "files": len(found), "by": by}
            await journal.append(connection, [Entry(now, "clear_file_removed", sha256, facts)])
    return [each.path for each in found]


def _part(path: Path) -> Path:
    return path.with_suffix(".csv.part")


def _write(
    path: Path, file: BinaryIO, name: str, survey: Survey, profile: Profile, rejected: Mapping[int, Listed]
) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    part = _part(path)
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(
            os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8-sig", newline=""
        ) as out:
            writer = csv.writer(out, delimiter=";")
            is_text = survey.form is Form.CSV
            headings, found = (_of_text if is_text else _of_sheet)(file, name, survey, profile, rejected)
            writer.writerow((*_HEAD, *map(disarmed, headings)))
            for line, cells in found:
                each = rejected[line]
                told = (line, disarmed(each.column), each.code, EXPLANATIONS.get(each.code, ""))
                writer.writerow((*told, *map(disarmed, cells)))
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


Found = tuple[Sequence[str], Iterator[tuple[int, Sequence[str]]]]


def _of_text(file: BinaryIO, name: str, survey: Survey, profile: Profile, rejected: Mapping[int, Listed]) -> Found:
    """Each line as it stands in the file, undivided: it may be just that which is wrong with it."""
    layout = find_in_text(survey.head, profile, name)
    content = archives.opened(file, name, survey.wrapping)
    content.read(survey.bom)
    return (layout.separator.join(layout.headings),), _records(content, survey, rejected)


def _records(content: BinaryIO, survey: Survey, rejected: Mapping[int, Listed]) -> Iterator[tuple[int, Sequence[str]]]:
    last = max(rejected)
    text = io.TextIOWrapper(content, survey.encoding, newline="")  # \n, \r and \r\n end a line, as in the first reading
    try:
        started, parts = 0, [""]
        for number, line in enumerate(text, start=1):
            ended = not started or number in rejected or "".join(parts).count('"') % 2 == 0
            if started and (ended or len(parts) >= CONTINUED):
                yield started, ("".join(parts).rstrip("\r\n"),)
                started = 0
            if number in rejected:
                started, parts = number, [line]
            elif started:
                parts.append(line)
            elif number > last:
                break
        if started:
            yield started, ("".join(parts).rstrip("\r\n"),)
    finally:
        text.detach()


def _of_sheet(file: BinaryIO, name: str, survey: Survey, profile: Profile, rejected: Mapping[int, Listed]) -> Found:
    """Each row's cells, under the sheet's own headings."""
    layout, batches = rows.read(file, name, survey, profile)
    roles = [role for role in layout.roles if role in profile.roles]

    def found() -> Iterator[tuple[int, Sequence[str]]]:
        for batch in batches:
            cells = {row["line"]: [row[role] for role in roles] for row in batch.frame.iter_rows(named=True)
                     if row["line"] in rejected}  # fmt: skip
            wide = {line: list(parts) for line, parts in batch.parts.items() if line in rejected}
            yield from sorted({**cells, **wide}.items())

    return [layout.heading(role) for role in roles], found()
