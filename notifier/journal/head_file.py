"""Where a head lies, and how it is replaced: written beside, made durable, moved into place. Mode 0600.

Beside the key file, under its name: ``campaign.key`` has ``campaign.head``. A key that comes from the environment has
no place of its own: its head lies in the user's config directory, under the campaign's id.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from notifier.errors import JournalError, SettingsError
from notifier.journal.head import MOST_BYTES, Head
from notifier.vault import ENVIRONMENT, config_home

SUFFIX = ".head"


def place(key_path: Path, campaign_id: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Where the head of this campaign lies."""
    if environment.get(ENVIRONMENT):
        return config_home(environment) / "notifier" / f"{campaign_id}{SUFFIX}"
    return key_path.with_suffix(SUFFIX)


def read(path: Path, campaign_id: str) -> Head | None:
    """The head that was kept; None if there is none. Raises SettingsError for a file that is none of this campaign's:
    what it held is not known, and nothing may be sent on a guess."""
    try:
        with path.open("rb") as file:
            return Head.load(file.read(MOST_BYTES).decode("utf-8"), campaign_id)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, JournalError) as error:
        why = str(error) if isinstance(error, JournalError) else "it cannot be read"
        raise SettingsError(
            f"{path}, which tells a restored database from the last one, is of no use: {why}. Put the right one there; "
            "if there is none, take it away and run `notifier recover`, unless this database is surely the last one"
        ) from error


def replace(path: Path, head: Head) -> None:
    """Put ``head`` in the place of the one before, durably: after a power cut one of the two is there, whole. Raises
    OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # A name of our own process: what is there is what it left when it was killed before.
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(head.dump())
            file.flush()
            os.fsync(file.fileno())
        beside.rename(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
