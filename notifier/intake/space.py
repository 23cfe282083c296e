"""Room on the disk, before a file is staged: a database that runs full at row 20 million costs a night."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from notifier.errors import OperatorError
from notifier.intake.files import Form, Survey

# Measured as the greatest growth of the campaign's folder, and of SQLite's temporary files, per byte of content, looked
# at every 20 ms: an insured export of 1.5 million rows of 79 bytes into an empty campaign 12.4 and 1.7 (the rows that
# wait, the log, and the database a third of it each), a second one of which half is known 7.7 and 0.9, one that is read
# anew 8.2 and 2.1, a directory of 0.5 million rows 5.6 and 2.3. Longer rows take less.
CONTENT_FACTOR = 13.0
TEMPORARY_FACTOR = 2.5
# A workbook's bytes are packed: 19.2 and 2.9 per byte of one of 100,000 professionals; narrower rows pack tighter.
WORKBOOK_FACTOR = 2
LEAST_BYTES = 16 << 20  # what a small file takes all the same: the log of a few transactions, the journal

FreeBytes = Callable[[Path], int]


def free_bytes(folder: Path) -> int:
    """What this user may still write on the file system of ``folder``."""
    return shutil.disk_usage(folder).free


def needed(survey: Survey) -> tuple[int, int]:
    """What taking this file in writes at most, in bytes: beside the database, and in the folder for temporary files."""
    content = survey.content_bytes if survey.form is Form.CSV else WORKBOOK_FACTOR * survey.size_bytes
    return int(LEAST_BYTES + CONTENT_FACTOR * content), int(LEAST_BYTES + TEMPORARY_FACTOR * content)


def check(survey: Survey, folder: Path, free: FreeBytes, environment: Mapping[str, str] = os.environ) -> None:
    """Raises OperatorError when the file system of the database's ``folder``, or the one for temporary files, has too
    little room left for this file."""
    beside, temporary = needed(survey)
    elsewhere = temporary_folder(environment)
    if elsewhere is None or elsewhere.stat().st_dev == folder.stat().st_dev:
        must_fit(beside + temporary, free(folder), folder)
        return
    must_fit(beside, free(folder), folder)
    must_fit(temporary, free(elsewhere), elsewhere)


def temporary_folder(environment: Mapping[str, str]) -> Path | None:
    """Where SQLite puts its temporary files (sqlite.org, Temporary Files Used By SQLite, 5): the first of these that is
    a folder and can be written to."""
    named = (environment.get("SQLITE_TMPDIR"), environment.get("TMPDIR"), "/var/tmp", "/usr/tmp", "/tmp", ".")  # noqa: S108
    return next(
        (Path(each) for each in named if each and Path(each).is_dir() and os.access(each, os.W_OK | os.X_OK)), None
    )


def must_fit(needed: int, free: int, where: Path) -> None:
    """Raises OperatorError, with both figures, when ``needed`` bytes do not fit into ``free``. Pure."""
    if needed > free:
        raise OperatorError(
            f"{where} has {_told(free)} free, and taking this file in needs about {_told(needed)}: make room, then run "
            "the command again; nothing was stored"
        )


def _told(count: int) -> str:
    """12.3 GB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
