"""Where rows wait until they count, in files beside the campaign's database: those of a file that is read
(``staging``), and those of a plan (``planned``)."""

from __future__ import annotations

from pathlib import Path

from notifier.errors import StorageError

SUFFIX = "-intake"
PLANNED = "planned"  # the name under which a plan's file is attached
IS_SETTLED = "SELECT COUNT(*) FROM staging.sqlite_master WHERE name = 'repeated'"
"""1 when the attached staging file was settled, else 0."""


def beside(database: Path) -> Path:
    """Where the rows of a file wait that is read into ``database``."""
    return database.with_name(database.name + SUFFIX)


def planned_beside(database: Path) -> Path:
    """Where notifications and deliveries wait that a plan makes."""
    return database.with_name(database.name + "-plan")


def discard(database: Path) -> None:
    """Remove the staging file, if there is one."""
    beside(database).unlink(missing_ok=True)


def discard_planned(database: Path) -> None:
    """Remove a plan's file, if there is one. Only while the database's write lock is held: a plan that lives holds it,
    so that the file is what one left that was killed."""
    planned_beside(database).unlink(missing_ok=True)


def must_be_there(path: Path) -> None:
    """Raises StorageError when the rows that wait are gone: attaching would make an empty file of them."""
    if not path.is_file():
        raise StorageError("the staged rows are gone: run the import again")
