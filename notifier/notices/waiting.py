"""What waits for an approval, and what the rules say of it: the look that `check`, `approve` and a dossier share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from notifier.campaign import Settings
from notifier.errors import OperatorError, TryLater
from notifier.notices.agreement import disagreements, must_agree
from notifier.notices.catalogue import Catalogue
from notifier.notices.compiled import Reading, compile_segment
from notifier.notices.dossier.manifest import Listed, ListHash, Standing, hash_of, make_manifest, spell
from notifier.notices.findings import Finding
from notifier.notices.freshness import check_dates
from notifier.notices.invented import invented
from notifier.notices.kit_lint import lint_kit
from notifier.notices.lint import lint
from notifier.notices.places import places_of
from notifier.notices.readiness import check_settings
from notifier.notices.relay_files import check_relay_files
from notifier.notices.services import check_services
from notifier.notices.signatures import check_signatures
from notifier.storage import batches, dossiers, holds, rejections, reviews
from notifier.storage.database import Connection, Database
from notifier.storage.holds import HeldImport
from notifier.storage.segments import StoredSegment, segments_of
from notifier.storage.waves import adult_dependants_undecided, awaiting_plan
from notifier.vault import Vault


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the next batch would freeze: ``segments`` with notifications that no approval froze, their texts as an
    invented person reads them, and what `check` warns of."""

    wave: str
    catalogue: Catalogue
    segments: Sequence[StoredSegment]
    findings: Sequence[Finding]
    readings: Mapping[int, Reading]


@dataclass(frozen=True, slots=True)
class Draft:
    """The manifest of a batch that is not frozen yet. ``text``: canonical JSON; ``sha256``: of it, hex."""

    wave_id: int
    manifest: dict[str, Any]
    text: str
    sha256: str


async def findings(database: Database, settings: Settings, folder: Path, *, wave: str, now: datetime) -> list[Finding]:
    """All findings on the settings and on the texts of the wave's segments; errors first."""
    async with database.read() as connection:
        segments, held = await segments_of(connection, wave), await holds.held(connection)
        undecided = await adult_dependants_undecided(connection, wave)
        differing = await disagreements(connection, settings)
    return _findings(segments, held, Catalogue.load(folder, settings), settings, folder, now, undecided, differing)


def _findings(
    segments: Sequence[StoredSegment],
    held: Sequence[HeldImport],
    catalogue: Catalogue,
    settings: Settings,
    folder: Path,
    now: datetime,
    undecided: int | None,
    differing: Sequence[Finding],
) -> list[Finding]:
    today = now.astimezone(settings.zone).date()
    found = [
        *map(_of_held, held),
        *differing,
        *check_settings(settings, undecided=undecided),
        *check_dates(settings, today),
        *check_signatures(settings, folder),
        *check_relay_files(settings, folder),
        *check_services(catalogue.services, catalogue.sources(), today),
        *lint([segment.key for segment in segments], catalogue, settings),
        *lint_kit([segment.key for segment in segments], catalogue, settings, today),
    ]
    placed = places_of(folder, catalogue).located(found)
    return sorted(placed, key=lambda finding: finding.severity)


def _of_held(file: HeldImport) -> Finding:
    """Whoever signs must know who is not in what is signed (I1)."""
    why = "rows name senders that nobody has" if file.reason == "senders" else "too many of its rows are rejected"
    text = f"{file.rows} rows are held ({why}): nobody in them is informed; see `notifier status`"
    return Finding("file-held", f"file {file.sha256[:12]}", text, "warning")


async def look(database: Database, settings: Settings, folder: Path, *, wave: str, now: datetime) -> Waiting | None:
    """What waits in the wave, after the checks of texts and settings; None: nothing waits.

    Raises OperatorError, with every error in its text, when there is no such wave, files came in since it was planned,
    or the checks block.
    """
    catalogue = Catalogue.load(folder, settings)
    async with database.read() as connection:
        planned = await segments_of(connection, wave)
        if not planned and await batches.wave_id(connection, wave) is None:
            raise OperatorError(f"there is no wave {wave}: `notifier plan` makes one")
        newer = await batches.files_since_plan(connection, wave)
        decided = wave in await awaiting_plan(connection)
        held = await holds.held(connection)
        undecided = await adult_dependants_undecided(connection, wave)
        differing = await disagreements(connection, settings)
    segments = [segment for segment in planned if segment.waiting]
    if not segments:
        return None
    if decided:
        # Whom a decision made reachable, or took in again, would be frozen as it was planned before (I1).
        raise OperatorError(
            f"reviews were decided, persons taken in again or an approval taken back since wave {wave} was planned: "
            "run `notifier plan`, then approve"
        )
    if newer:
        # Whoever came in since would be missing from what is shown and signed, and nobody would notice (I1).
        raise OperatorError(f"{newer} files came in since wave {wave} was planned: run `notifier plan`, then approve")
    found = _findings(segments, held, catalogue, settings, folder, now, undecided, differing)
    errors = [finding for finding in found if finding.severity == "error"]
    if errors:
        told = "; ".join(f"{each.code} ({each.place}): {each.text}" for each in errors)
        raise OperatorError(f"{len(errors)} errors block the approval, nothing was frozen: {told}")
    readings = {each.id: compile_segment(each.key, catalogue, settings).read(invented(each.key)) for each in segments}
    return Waiting(wave, catalogue, segments, found, readings)


async def draft(connection: Connection, vault: Vault, settings: Settings, waiting: Waiting) -> Draft:
    """The manifest of what waits, as the caller's transaction sees it. Reads every waiting notification once.

    Raises TryLater when the plan changed since it was looked at, OperatorError when something waits again by now that
    was approved under other values.
    """
    wave = waiting.wave
    await must_agree(connection, settings)
    wave_id = await batches.wave_id(connection, wave)
    if wave_id is None or [each for each in await segments_of(connection, wave) if each.waiting] != waiting.segments:
        raise TryLater(f"the plan of wave {wave} changed while it was checked; look at it and approve again")
    last = [batch for batch in await batches.batches(connection, wave) if batch.manifest]
    standing = Standing(
        routes=await dossiers.waiting_routes(connection, wave),
        deliveries=await dossiers.waiting_deliveries(connection, wave),
        reviews=await reviews.counts(connection),
        open_rejections=await rejections.count_open(connection),
        files=await dossiers.files_in(connection),
        held=await holds.held(connection),
    )
    manifest = make_manifest(
        campaign_id=vault.campaign_id,
        settings=settings,
        wave=wave,
        number=await batches.next_number(connection, wave_id),
        files=waiting.catalogue.files,
        segments=waiting.segments,
        readings=waiting.readings,
        listed=await _listed(connection, vault, wave_id),
        standing=standing,
        findings=waiting.findings,
        previous=(last[-1].number, hash_of(last[-1].manifest)) if last else None,
    )
    return Draft(wave_id, manifest, *spell(manifest))


async def _listed(connection: Connection, vault: Vault, wave_id: int) -> Listed:
    running = ListHash()
    async for chunk in batches.frozen_notifications(connection, wave_id, None):
        for each in chunk:
            running.add(vault.pseudonym(each.sender, each.identity), each)
    return running.listed
