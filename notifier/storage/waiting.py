"""Where the rows of a file wait until they count: a file beside the campaign's database, filled by ``staging``."""

from __future__ import annotations

from pathlib import Path

from notifier.errors import StorageError

SUFFIX = "-intake"
IS_SETTLED = "SELECT COUNT(*) FROM staging.sqlite_master WHERE name = 'repeated'"
"""1 when the attached staging file was settled, else 0."""


def beside(database: Path) -> Path:
    """Where the rows of a file wait that is read into ``database``."""
    return database.with_name(database.name + SUFFIX)


def discard(database: Path) -> None:
    """Remove the staging file, if there is one."""
    beside(database).unlink(missing_ok=True)


def must_be_there(path: Path) -> None:
    """Raises StorageError when the rows that wait are gone: attaching would make an empty file of them."""
    if not path.is_file():
        raise StorageError("the staged rows are gone: run the import again")
