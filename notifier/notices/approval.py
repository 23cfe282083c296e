"""Approval: what was approved is what goes out (I7).

``approve`` freezes a batch in one transaction: copies of every text and of the bound settings, the list of
notifications, and the journal's entries on them. Its commit is the approval; a crash before it leaves nothing. Sending
then renders from the frozen copies alone, through :class:`NoticeShelf`; a later edit of a template or of campaign.toml
changes nothing in what was approved, and ``verify_bound`` says when settings have moved away from it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from notifier.campaign import Settings
from notifier.errors import OperatorError, StorageError, TryLater
from notifier.model import Entry, WaveKind, canonical_exposures
from notifier.notices.bound import bound_settings, canonical_json, differences, digest, frozen_settings
from notifier.notices.catalogue import Catalogue
from notifier.notices.compiled import CompiledNotice, compile_segment
from notifier.notices.findings import Finding
from notifier.notices.freshness import check_dates
from notifier.notices.kit_lint import lint_kit
from notifier.notices.lint import lint, name_of
from notifier.notices.places import places_of
from notifier.notices.readiness import check_settings
from notifier.notices.services import check_services
from notifier.notices.signatures import check_signatures
from notifier.storage import batches, holds, journal
from notifier.storage.batches import FrozenNotification
from notifier.storage.database import Connection, Database
from notifier.storage.holds import HeldImport
from notifier.storage.segments import StoredSegment, segment_key, segments_of
from notifier.storage.waves import adult_dependants_undecided, awaiting_plan
from notifier.vault import Vault


@dataclass(frozen=True, slots=True)
class Approval:
    """What was frozen. ``number``: of the batch within its wave; None when nothing was waiting."""

    wave: str
    notifications: int
    number: int | None = None
    batch_id: int | None = None
    digest: str = ""
    warnings: tuple[Finding, ...] = ()


async def findings(database: Database, settings: Settings, folder: Path, *, wave: str, now: datetime) -> list[Finding]:
    """All findings on the settings and on the texts of the wave's segments; errors first."""
    async with database.read() as connection:
        segments, held = await segments_of(connection, wave), await holds.held(connection)
        undecided = await adult_dependants_undecided(connection, wave)
    return _findings(segments, held, Catalogue.load(folder, settings), settings, folder, now, undecided)


def _findings(
    segments: Sequence[StoredSegment],
    held: Sequence[HeldImport],
    catalogue: Catalogue,
    settings: Settings,
    folder: Path,
    now: datetime,
    undecided: int | None,
) -> list[Finding]:
    today = now.astimezone(settings.zone).date()
    found = [
        *map(_of_held, held),
        *check_settings(settings, undecided=undecided),
        *check_dates(settings, today),
        *check_signatures(settings, folder),
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


async def describe(database: Database, settings: Settings, folder: Path, *, wave: str) -> tuple[list[str], int]:
    """What ``approve`` is about to freeze, as lines to read, and how many notifications wait for it."""
    async with database.read() as connection:
        segments = [segment for segment in await segments_of(connection, wave) if segment.waiting]
        held = await holds.held(connection)
    waiting = sum(segment.waiting for segment in segments)
    catalogue = Catalogue.load(folder, settings)
    relay, households = settings.relay, settings.households.adult_dependants or "not decided"
    lines = [
        f"Wave {wave}: {waiting} notifications in {len(segments)} segments wait for approval.",
        *(
            f"  kind        {kind.value}"
            for kind in {segment.key.wave_kind for segment in segments} - {WaveKind.INITIAL}
        ),
        *(f"  segment {segment.id:<4} {segment.waiting:>9}  {name_of(segment.key)}" for segment in segments),
        f"  texts       {len(catalogue.files)} files",
        *(f"  sender      {sender.brand} <{sender.from_address}>" for sender in settings.senders),
        f"  relay       {relay.host}:{relay.port}, TLS {relay.tls.value}",
        f"  households  adult dependants without a mailbox: {households}",
        f"  doubt       {settings.doubt.policy}",
        f"  pace        {settings.pace.hours or 'at any hour'}",
        *(f"  NOT IN IT   {file.rows} rows of the file {file.sha256[:12]}, which is held" for file in held),
    ]
    return lines, waiting


async def approve(
    database: Database, vault: Vault, settings: Settings, folder: Path, *, wave: str, by: str, now: datetime
) -> Approval:
    """Check texts and settings, then freeze everything of the wave that has no batch yet.

    Running twice is safe: with nothing waiting nothing is written. Raises OperatorError, with every error in its text,
    when the checks block; TryLater when the plan changed while the checks ran.
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
    segments = [segment for segment in planned if segment.waiting]
    if not segments:
        return Approval(wave, 0)
    if decided:
        # Whom a decision made reachable, or took in again, would be frozen as it was planned before (I1).
        raise OperatorError(
            f"reviews were decided or persons taken in again since wave {wave} was planned: run `notifier plan`, then "
            "approve"
        )
    if newer:
        # Whoever came in since would be missing from what is shown and signed, and nobody would notice (I1).
        raise OperatorError(f"{newer} files came in since wave {wave} was planned: run `notifier plan`, then approve")
    found = _findings(segments, held, catalogue, settings, folder, now, undecided)
    errors = [finding for finding in found if finding.severity == "error"]
    if errors:
        told = "; ".join(f"{each.code} ({each.place}): {each.text}" for each in errors)
        raise OperatorError(f"{len(errors)} errors block the approval, nothing was frozen: {told}")
    async with database.write() as connection:
        if [segment for segment in await segments_of(connection, wave) if segment.waiting] != segments:
            raise TryLater(f"the plan of wave {wave} changed while it was checked; look at it and approve again")
        made = await _freeze(connection, vault, settings, catalogue, segments, wave=wave, by=by, now=now)
    return Approval(*made, warnings=tuple(found))


async def _freeze(
    connection: Connection,
    vault: Vault,
    settings: Settings,
    catalogue: Catalogue,
    segments: Sequence[StoredSegment],
    *,
    wave: str,
    by: str,
    now: datetime,
) -> tuple[str, int, int, int, str]:
    """Batch, files, notifications, deliveries and entries, in the caller's transaction."""
    wave_id = await batches.wave_id(connection, wave)
    assert wave_id is not None  # its segments were just read
    files = {path: (hashlib.sha256(content).hexdigest(), content) for path, content in catalogue.files.items()}
    hashes = {path: sha256 for path, (sha256, _) in sorted(files.items())}
    bound = bound_settings(settings, wave)
    name = digest({"wave": wave, "bound": bound, "files": hashes, "segments": [_told(each) for each in segments]})
    notifications = sum(segment.waiting for segment in segments)
    batch_id, number = await batches.insert_batch(
        connection,
        wave_id,
        digest=name,
        bound=canonical_json(bound),
        notifications=notifications,
        approved_by=by,
        now=now,
        files=files,
    )
    frozen = await batches.freeze_notifications(
        connection, wave_id, batch_id, lambda token: vault.reference_number(token.hex())
    )
    assert frozen == notifications  # counted in this very transaction
    facts = {
        "wave": wave,
        "batch": number,
        "digest": name,
        "notifications": frozen,
        "by": by,
        "files": hashes,
        "bound": digest(bound),
    }
    await journal.append(connection, [Entry(now, "batch_approved", name, facts)])
    async for chunk in batches.frozen_notifications(connection, wave_id, batch_id):
        entries = [_frozen_entry(vault, wave, number, each, now) for each in chunk]
        await journal.append(connection, entries)
        await batches.note_pseudonyms(
            connection,
            ((bytes.fromhex(entry.subject), each.person) for entry, each in zip(entries, chunk, strict=True)),
        )
    return wave, frozen, number, batch_id, name


def _told(segment: StoredSegment) -> dict[str, str | int]:
    key = segment.key
    return {
        "id": segment.id,
        "sender": key.sender,
        "audience": key.audience.value,
        "profession": key.profession,
        "form": key.form.value,
        "exposures": canonical_exposures(key.exposures),
        "language": key.language,
        "notifications": segment.waiting,
    }


def _frozen_entry(vault: Vault, wave: str, number: int, frozen: FrozenNotification, now: datetime) -> Entry:
    """A person's place in the batch, by pseudonym. Held: a review decides later, and is journaled then."""
    facts = {
        "wave": wave,
        "batch": number,
        "route": "held" if frozen.review else frozen.route,
        "reason": frozen.review or frozen.route_reason,
        "rung": frozen.rung,
        "segment": frozen.segment_id,
        "exposures": frozen.exposures,
        "audience": frozen.audience,
        "sender": frozen.sender,
        "delivery": frozen.token.hex(),
        "excluded": frozen.excluded,
    }
    return Entry(now, "notification_frozen", vault.pseudonym(frozen.sender, frozen.identity), facts)


async def verify_bound(connection: Connection, settings: Settings, *, wave: str | None = None) -> list[str]:
    """Which bound values differ now from what was approved, over the batches that still have mail to send."""
    told: dict[str, None] = {}
    for batch in await batches.unfinished_batches(connection, wave):
        told |= dict.fromkeys(differences(json.loads(batch.bound), bound_settings(settings, batch.wave)))
    return list(told)


async def load_batch(connection: Connection, batch_id: int) -> tuple[Catalogue, Settings]:
    """Texts and settings as they were approved. Raises StorageError if a frozen file or a bound setting is not what the
    journal says was approved: the journal cannot be altered unnoticed, the batch's rows could (I7, I9)."""
    batch = await batches.batch(connection, batch_id)
    if batch is None:
        raise StorageError(f"there is no batch {batch_id}")
    approved = await journal.facts_of(connection, "batch_approved", batch.digest)
    if approved is None or approved["bound"] != digest(json.loads(batch.bound)):
        raise StorageError(f"the frozen settings of batch {batch.number} of wave {batch.wave} were altered")
    files = {}
    for path, (sha256, content) in (await batches.batch_files(connection, batch_id)).items():
        if hashlib.sha256(content).hexdigest() != sha256:
            raise StorageError(f"the frozen {path} of batch {batch.number} of wave {batch.wave} was altered")
        files[path] = content
    if approved["files"] != {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}:
        raise StorageError(f"the frozen files of batch {batch.number} of wave {batch.wave} were altered")
    settings = frozen_settings(json.loads(batch.bound))
    return Catalogue.of(files, settings), settings


class NoticeShelf:
    """Compiled notices of approved batches, each made once: ``await shelf(batch_id, segment_id)``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batches: dict[int, tuple[Catalogue, Settings]] = {}
        self._notices: dict[tuple[int, int], CompiledNotice] = {}

    async def __call__(self, batch_id: int, segment_id: int) -> CompiledNotice:
        """The notice for a segment as a batch froze it. Raises StorageError if there is no such batch or segment."""
        wanted = (batch_id, segment_id)
        if wanted not in self._notices:
            async with self._database.read() as connection:
                if batch_id not in self._batches:
                    self._batches[batch_id] = await load_batch(connection, batch_id)
                key = await segment_key(connection, segment_id)
            catalogue, settings = self._batches[batch_id]
            self._notices[wanted] = compile_segment(key, catalogue, settings)
        return self._notices[wanted]
