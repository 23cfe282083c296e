"""Operator exports: files of affected persons, insured or professional."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path

from notifier.campaign import Settings
from notifier.intake.archives import Wrapping
from notifier.intake.custody import NOTHING_SAID, Custody
from notifier.intake.holds import HeldFile
from notifier.intake.mailboxes import providers
from notifier.intake.professionals import professionals
from notifier.intake.profiles import Profile
from notifier.intake.records import begin_insured
from notifier.intake.space import FreeBytes, free_bytes
from notifier.intake.staging import AlreadyImported, StagedImport, complete, stage, write_rejections
from notifier.intake.storing import Make
from notifier.model import PersonKind
from notifier.storage.database import Database
from notifier.vault import Vault

__all__ = ["AlreadyImported", "HeldFile", "StagedImport", "complete", "stage_export", "write_rejections"]


async def stage_export(
    database: Database,
    vault: Vault,
    settings: Settings,
    folder: Path,
    path: Path,
    profile_name: str,
    *,
    incident: str | None,
    now: datetime,
    custody: Custody = NOTHING_SAID,
    accepted_by: str = "",
    free: FreeBytes = free_bytes,
    wrapping: Wrapping | None = None,
    replaces: str = "",
) -> StagedImport | AlreadyImported | HeldFile:
    """Read an export: rows go to the staging file (a professional's also to ``contacts``, not current yet),
    rejections to ``rejections``. ``incident``: its code, instead of the profile's. ``accepted_by``: who lets any share
    of rejections pass; ``replaces``: the first digits of the SHA-256 of the file that this one corrects. Raises
    ExportError for a file that cannot be taken in, SettingsError for a profile, an incident or senders that do not fit,
    OperatorError when there is no room, an earlier reading informs somebody, or no such file can be replaced."""
    table = providers(folder)

    def make(profile: Profile) -> Make:
        return begin_insured if profile.person is PersonKind.INSURED else partial(professionals, providers=table)

    return await stage(
        database, vault, settings, folder, path,
        kind="export", profile_name=profile_name, incident=incident, as_of=None, now=now, make=make,
        custody=custody, accepted_by=accepted_by, free=free, wrapping=wrapping, replaces=replaces,
    )  # fmt: skip
