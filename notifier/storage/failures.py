"""What an error of the database's driver is for whoever ran the command."""

from __future__ import annotations

from notifier.errors import OperatorError, StorageError, TryLater

# The driver of columns (ADBC) gives SQLite's sentence and no name for it.
_FULL = "database or disk is full"


def failure(error: BaseException | None) -> OperatorError | StorageError:
    """What an error of the driver is for the operator: a lock that outlasted the busy time (TryLater), a disk or a
    permission that can be mended (OperatorError), or ours (StorageError)."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or "locked" in str(error):
        return TryLater("the database is locked by another program; try again")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")) or _FULL in str(error):
        return OperatorError(
            f"the disk of the database is full or failing ({error}): make room there and run the command again; what "
            "was committed is safe"
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return OperatorError(
            f"the database cannot be used ({error}): this user needs to write in its folder, and in the files beside "
            "it whose names begin like its own (-wal, -shm)"
        )
    return StorageError(f"the database failed: {error}")
