"""Approval: what was approved is what goes out (I7).

``approve`` freezes a batch in one transaction: copies of every text and of the bound settings, the list of
notifications, the manifest with its signatures, and the journal's entries on them. Its commit is the approval; a crash
before it leaves nothing. Sending then renders from the frozen copies alone, through :class:`NoticeShelf`; a later edit
of a template or of campaign.toml changes nothing in what was approved, and ``verify_bound`` says when settings have
moved away from it (agreement.py); then nothing more is approved either.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from notifier.campaign import Settings
from notifier.errors import OperatorError, StorageError
from notifier.model import Entry, WaveKind
from notifier.notices.agreement import verify_bound
from notifier.notices.bound import bound_settings, canonical_json, differences, digest, frozen_settings
from notifier.notices.catalogue import Catalogue
from notifier.notices.compiled import CompiledNotice, compile_segment
from notifier.notices.dossier.manifest import hash_of, reason_of, route_of
from notifier.notices.dossier.requests import accept
from notifier.notices.findings import Finding
from notifier.notices.lint import name_of
from notifier.notices.waiting import Draft, Waiting, draft, findings, look
from notifier.storage import batches, dossiers, holds, journal
from notifier.storage.batches import FrozenNotification
from notifier.storage.database import Connection, Database
from notifier.storage.dossiers import StoredSignature
from notifier.storage.segments import segment_key, segments_of
from notifier.vault import Vault

__all__ = ["Approval", "NoticeShelf", "approve", "describe", "findings", "load_batch", "verify_bound"]


@dataclass(frozen=True, slots=True)
class Approval:
    """What was frozen. ``number``: of the batch within its wave; None when nothing was waiting. ``dossier``: SHA-256 of
    the manifest, the one hash that signers sign."""

    wave: str
    notifications: int
    number: int | None = None
    batch_id: int | None = None
    digest: str = ""
    dossier: str = ""
    signatures: tuple[StoredSignature, ...] = ()
    warnings: tuple[Finding, ...] = ()


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
        f"  signatures  {settings.approval.required or 'none'} required",
        *(f"  NOT IN IT   {file.rows} rows of the file {file.sha256[:12]}, which is held" for file in held),
    ]
    return lines, waiting


async def approve(
    database: Database,
    vault: Vault,
    settings: Settings,
    folder: Path,
    *,
    wave: str,
    by: str,
    now: datetime,
    signatures: Sequence[str] = (),
) -> Approval:
    """Check texts and settings, then freeze everything of the wave that has no batch yet. ``signatures``: armoured,
    over the dossier that was requested last; as many as ``[approval] required`` says.

    Running twice is safe: with nothing waiting nothing is written. Raises OperatorError, with every error in its text,
    when the checks block, what waits of an earlier batch was approved under other values, a signature is missing or
    wrong, or anything differs from the dossier that was signed;
    TryLater when the plan changed while the checks ran.
    """
    waiting = await look(database, settings, folder, wave=wave, now=now)
    if waiting is None:
        return Approval(wave, 0)
    async with database.write() as connection:
        proposed = await draft(connection, vault, settings, waiting)
        signed = await accept(connection, settings, wave, proposed, signatures)
        made = await _freeze(connection, vault, proposed, waiting, signed, by=by, now=now)
    return replace(made, warnings=tuple(waiting.findings))


async def _freeze(
    connection: Connection,
    vault: Vault,
    proposed: Draft,
    waiting: Waiting,
    signed: Sequence[StoredSignature],
    *,
    by: str,
    now: datetime,
) -> Approval:
    """Batch, files, signatures, notifications, deliveries and entries, in the caller's transaction."""
    manifest, wave = proposed.manifest, waiting.wave
    files = {path: (hashlib.sha256(content).hexdigest(), content) for path, content in waiting.catalogue.files.items()}
    batch_id, number = await batches.insert_batch(
        connection,
        proposed.wave_id,
        digest=manifest["digest"],
        bound=canonical_json(manifest["bound"]),
        notifications=manifest["list"]["notifications"],
        approved_by=by,
        now=now,
        files=files,
        manifest=proposed.text,
    )
    await dossiers.insert_signatures(connection, batch_id, signed)
    frozen = await batches.freeze_notifications(
        connection, proposed.wave_id, batch_id, lambda token: vault.reference_number(token.hex())
    )
    assert frozen == manifest["list"]["notifications"]  # counted in this very transaction
    assert number == manifest["batch"]
    facts = {
        "wave": wave,
        "batch": number,
        "digest": manifest["digest"],
        "notifications": frozen,
        "by": by,
        "files": manifest["files"],
        "bound": digest(manifest["bound"]),
        "list": manifest["list"]["sha256"],
        "dossier": proposed.sha256,
        "signatures": [
            {
                "name": each.name,
                "role": each.role,
                "key": each.public_key,
                "sha256": hashlib.sha256(each.signature.encode()).hexdigest(),
            }
            for each in signed
        ],
    }
    await journal.append(connection, [Entry(now, "batch_approved", manifest["digest"], facts)])
    async for chunk in batches.frozen_notifications(connection, proposed.wave_id, batch_id):
        entries = [_frozen_entry(vault, wave, number, each, now) for each in chunk]
        await journal.append(connection, entries)
        await batches.note_pseudonyms(
            connection,
            ((bytes.fromhex(entry.subject), each.person) for entry, each in zip(entries, chunk, strict=True)),
        )
    return Approval(wave, frozen, number, batch_id, manifest["digest"], proposed.sha256, tuple(signed))


def _frozen_entry(vault: Vault, wave: str, number: int, frozen: FrozenNotification, now: datetime) -> Entry:
    """A person's place in the batch, by pseudonym. Held: a review decides later, and is journaled then."""
    facts = {
        "wave": wave,
        "batch": number,
        "route": route_of(frozen),
        "reason": reason_of(frozen),
        "rung": frozen.rung,
        "segment": frozen.segment_id,
        "exposures": frozen.exposures,
        "audience": frozen.audience,
        "sender": frozen.sender,
        "delivery": frozen.token.hex(),
        "excluded": frozen.excluded,
    }
    return Entry(now, "notification_frozen", vault.pseudonym(frozen.sender, frozen.identity), facts)


async def load_batch(connection: Connection, batch_id: int) -> tuple[Catalogue, Settings]:
    """Texts and settings as they were approved. Raises StorageError if a frozen file or a bound setting is not what the
    journal says was approved: the journal cannot be altered unnoticed, the batch's rows could (I7, I9)."""
    batch = await batches.batch(connection, batch_id)
    if batch is None:
        raise StorageError(f"there is no batch {batch_id}")
    approved = await journal.facts_of(connection, "batch_approved", batch.digest)
    if approved is None or approved["bound"] != digest(json.loads(batch.bound)):
        raise StorageError(f"the frozen settings of batch {batch.number} of wave {batch.wave} were altered")
    if hash_of(batch.manifest) != approved["dossier"]:
        raise StorageError(f"the manifest of batch {batch.number} of wave {batch.wave} was altered")
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
    """Compiled notices of approved batches, each made once: ``await shelf(batch_id, segment_id)``. ``running``: the
    settings that what it gives is sent with. A batch that was approved under others (while a sender runs, or before
    that and come back by a requeue) gets no notice: OperatorError (I7)."""

    def __init__(self, database: Database, running: Settings | None = None) -> None:
        self._database = database
        self._running = running
        self._batches: dict[int, tuple[Catalogue, Settings]] = {}
        self._notices: dict[tuple[int, int], CompiledNotice] = {}
        self._lock = asyncio.Lock()

    async def __call__(self, batch_id: int, segment_id: int) -> CompiledNotice:
        """The notice for a segment as a batch froze it. Raises StorageError if there is no such batch or segment."""
        wanted = (batch_id, segment_id)
        made = self._notices.get(wanted)
        if made is None:
            # All connections come for a new segment at once: one of them makes it, the others wait.
            async with self._lock:
                if wanted not in self._notices:
                    self._notices[wanted] = await self._make(batch_id, segment_id)
                made = self._notices[wanted]
        return made

    async def _make(self, batch_id: int, segment_id: int) -> CompiledNotice:
        async with self._database.read() as connection:
            if batch_id not in self._batches:
                self._batches[batch_id] = await self._load(connection, batch_id)
            key = await segment_key(connection, segment_id)
        catalogue, settings = self._batches[batch_id]
        return compile_segment(key, catalogue, settings)

    async def _load(self, connection: Connection, batch_id: int) -> tuple[Catalogue, Settings]:
        loaded = await load_batch(connection, batch_id)
        batch = await batches.batch(connection, batch_id)
        if self._running is not None and batch is not None:
            moved = differences(json.loads(batch.bound), bound_settings(self._running, batch.wave))
            if moved:
                raise OperatorError(
                    f"batch {batch.number} of wave {batch.wave} was approved, and this run was not begun with what was "
                    f"approved: {'; '.join(moved)}. Run `notifier send` again"
                )
        return loaded
