"""Operator exports: files of affected persons, insured or professional."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path

from notifier.campaign import Settings
from notifier.intake.mailboxes import providers
from notifier.intake.professionals import professionals
from notifier.intake.profiles import Profile
from notifier.intake.records import insured
from notifier.intake.staging import AlreadyImported, Make, StagedImport, complete, stage, write_rejections
from notifier.model import PersonKind
from notifier.storage.database import Database
from notifier.vault import Vault

__all__ = ["AlreadyImported", "StagedImport", "complete", "stage_export", "write_rejections"]


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
) -> StagedImport | AlreadyImported:
    """Read an export: rows go to ``staged_records`` (a professional's also to ``contacts``, not current yet),
    rejections to ``rejections``. ``incident``: its code, instead of the profile's. Raises ExportError for a file that
    cannot be taken in, SettingsError for a profile, an incident or senders that do not fit."""
    table = providers(folder)

    def make(profile: Profile) -> Make:
        return insured if profile.person is PersonKind.INSURED else partial(professionals, providers=table)

    return await stage(
        database, vault, settings, folder, path,
        kind="export", profile_name=profile_name, incident=incident, as_of=None, now=now, make=make,
    )  # fmt: skip
