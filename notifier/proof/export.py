"""`proof export`: the journal made portable.

The order of work: seal what is unsealed and count, in one transaction (so that the account and the last checkpoint
speak of the same instant, whoever else is sending); stream the entries of that checkpoint, hashing each again; hold the
account of the rows against the account of the entries; write the rest; sign. The pack appears under its name complete
or not at all. It holds no personal data (I8). Fatal: entries that contradict leaves, checkpoints or tables
(JournalError).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from notifier.campaign import Settings
from notifier.errors import JournalError, OperatorError
from notifier.journal.checkpoints import Checkpoint, key_name, parse_checkpoint, sign_note, verifier_key
from notifier.journal.merkle import Frontier
from notifier.journal.sealer import SLICE, seal, seal_slice, stored_leaf
from notifier.model import Term, from_ms, to_ms, utc_text
from notifier.proof.bundle import Bundle
from notifier.proof.verifier import verify as verifier
from notifier.storage import checkpoints, coverage, dossiers, evidence, journal
from notifier.storage.accounting import Account, WaveAccount, account
from notifier.storage.coverage import Bridge
from notifier.storage.database import Connection, Database
from notifier.vault import Vault

PAGE = 10_000  # entries read at once

NOT_PROVEN = (
    "that anybody read a message: handed_over means accepted by the relay, presumed means that nothing came back",
    "that a message arrived once: in_doubt counts transactions whose answer was lost (RFC 1047)",
    "the numbers of rows, persons and notifications not frozen: signed statements, of which no entry speaks",
    "the hour, beyond the clock of the machine that kept the journal: no third party's timestamp is attached",
    "that the owner of the key did not rewrite everything, unless an earlier checkpoint is compared",
)


DRILL_NOTICE = """EXERCICE - EXERCICE - EXERCICE

Ce dossier est celui d'une répétition (« drill »), faite avec des personnes inventées et une clé d'exercice.
Il ne prouve rien d'une vraie campagne. Le vérificateur le dit aussi, quoi qu'on change aux fichiers.


"""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written."""

    entries: int
    checkpoints: int
    fingerprint: str
    manifest_sha256: str
    size_bytes: int
    balances: bool

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "entries": self.entries,
            "checkpoints": self.checkpoints,
            "fingerprint": self.fingerprint,
            "manifest_sha256": self.manifest_sha256,
            "size_bytes": self.size_bytes,
            "balances": self.balances,
        }


@dataclass(frozen=True, slots=True)
class Counted:
    """What the tables say at the instant of the last checkpoint."""

    checkpoint: Checkpoint
    account: Account
    bridge: Bridge
    returns_read_ms: int | None


async def export(
    database: Database, vault: Vault, settings: Settings, out: Path, *, now: datetime, overwrite: bool = False
) -> ExportReport:
    """Write the proof pack to ``out``.

    Raises OperatorError when ``out`` exists (unless ``overwrite``) or cannot be written, JournalError when the journal
    contradicts itself or the tables: then nothing is written.
    """
    if out.exists() and not overwrite:
        raise OperatorError(f"{out} exists already: name another file, or say --yes to replace it")
    await seal(database, vault, reason="export", now=now)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    except OSError as error:
        raise OperatorError(f"{out} cannot be written: {error.strerror}") from error
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            counted = await _count(database, vault, now)
            report = await _write(database, vault, settings, counted, Bundle(file, out.parent), now=now)
            report = replace(report, size_bytes=file.tell())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return report


async def _write(
    database: Database, vault: Vault, settings: Settings, counted: Counted, bundle: Bundle, *, now: datetime
) -> ExportReport:
    async with database.read() as connection:
        readme = (Path(verifier.__file__).parent / verifier.README).read_bytes()
        bundle.add(verifier.README, DRILL_NOTICE.encode() + readme if vault.is_drill else readme)
        approvals = await _write_approvals(connection, bundle)
        roots = await _write_checkpoints(connection, bundle, vault, counted.checkpoint)
        ledger = verifier.Ledger(_observed_until(counted, settings, now))
        await _write_entries(connection, bundle, roots, ledger, counted.checkpoint)
        _compare(counted.account, ledger, exact=counted.returns_read_ms is None)
        bundle.add(verifier.FINGERPRINT, f"{vault.fingerprint}\n".encode())
        name = key_name(vault.campaign_id)
        bundle.add(verifier.KEY, f"{verifier_key(name, vault.public_key)}\n".encode())
        summary = _summary(counted, settings, vault, ledger, now)
        for finding in verifier.compare_summary(summary, ledger):
            raise JournalError(f"the tables contradict the journal: {finding}")
        bundle.add(
            verifier.SUMMARY, (json.dumps(summary, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
        )
        await _write_templates(connection, bundle, ledger, approvals)
        bundle.add(verifier.PROGRAM, Path(verifier.__file__).read_bytes())
    facts = {"campaign": vault.campaign_id, "kind": _kind(vault), "made": utc_text(now)}
    manifest = bundle.finish(
        facts,
        lambda digest: sign_note(verifier.manifest_text(name, digest), name, vault.public_key, vault.sign),
    )
    return ExportReport(
        entries=counted.checkpoint.size,
        checkpoints=len(roots),
        fingerprint=vault.fingerprint,
        manifest_sha256=manifest,
        size_bytes=0,
        balances=counted.account.balances,
    )


async def _count(database: Database, vault: Vault, now: datetime) -> Counted:
    """Seal the last entries and count, while nobody else can commit."""
    async with database.write() as connection:
        sealed = SLICE
        while sealed == SLICE:
            _, sealed = await seal_slice(connection, vault, reason="export", now=now, limit=SLICE)
        stored = await checkpoints.latest(connection)
        if stored is None:
            raise OperatorError("the journal is empty: there is nothing to prove yet")
        return Counted(
            checkpoint=parse_checkpoint(stored.note, key_name(vault.campaign_id), vault.public_key),
            account=await account(connection, now_ms=to_ms(now)),
            bridge=await coverage.bridge(connection),
            returns_read_ms=await evidence.returns_read_ms(connection),
        )


async def _write_checkpoints(
    connection: Connection, bundle: Bundle, vault: Vault, last: Checkpoint
) -> dict[int, bytes]:
    """All notes, oldest first; the signed root for each size."""
    roots: dict[int, bytes] = {}
    with bundle.member(verifier.CHECKPOINTS) as write:
        async for size, root, note in checkpoints.notes(connection, last.size):
            signed = parse_checkpoint(note, last.origin, vault.public_key)
            if (signed.size, signed.root) != (size, root):
                raise JournalError(f"the checkpoint over {size} entries contradicts its signature")
            write(("\n" if roots else "").encode() + note.encode())
            roots[size] = root
    return roots


async def _write_entries(
    connection: Connection,
    bundle: Bundle,
    roots: dict[int, bytes],
    ledger: verifier.Ledger,
    last: Checkpoint,
) -> None:
    """One line of canonical JSON per entry; every leaf is hashed again and every signed root computed again."""
    frontier = Frontier()
    read = json.JSONDecoder().decode
    # Hashing and packing let go of the interpreter: a page is packed while the next one is read.
    with bundle.member(verifier.ENTRIES) as write, ThreadPoolExecutor(max_workers=1) as packer:
        packed = packer.submit(write, b"")
        for first in range(0, last.size, PAGE):
            lines: list[bytes] = []
            for index, stored, salt, body in await journal.sealed(connection, first, min(first + PAGE, last.size)):
                if index != frontier.size or stored_leaf(salt, body) != stored:
                    raise JournalError(f"the sealed entry {frontier.size} was altered or removed")
                frontier.append(stored)
                if frontier.size in roots and frontier.root() != roots[frontier.size]:
                    raise JournalError(f"the entries do not give the root signed over the first {frontier.size}")
                ledger.add(read(body.decode()))
                lines.append(b'{"entry":%b,"index":%d,"salt":"%b"}\n' % (body, index, salt.hex().encode()))
            await asyncio.wrap_future(packed)
            packed = packer.submit(write, b"".join(lines))
        await asyncio.wrap_future(packed)
    if frontier.size != last.size:
        raise JournalError(f"the journal holds {frontier.size} of the {last.size} entries that were signed")


async def _write_approvals(connection: Connection, bundle: Bundle) -> dict[str, str]:
    """Manifest and signatures of every batch; name → SHA-256."""
    named: dict[str, bytes] = {}
    for batch in await dossiers.signed_batches(connection):
        named[verifier.approval_name(batch.wave, batch.number, verifier.MANIFEST)] = batch.manifest.encode()
        for place, signature in enumerate(batch.signatures, 1):
            named[verifier.approval_name(batch.wave, batch.number, f"signature-{place}.sig")] = signature.encode()
    for name in sorted(named):
        bundle.add(name, named[name])
    return {name: hashlib.sha256(content).hexdigest() for name, content in named.items()}


async def _write_templates(
    connection: Connection, bundle: Bundle, ledger: verifier.Ledger, approvals: dict[str, str]
) -> None:
    """The frozen files of every batch, under names that any system can unpack. ``approvals``: what was written of the
    manifests and signatures."""
    named: dict[str, bytes] = {}
    async for file in evidence.frozen_files(connection):
        named[verifier.template_name(file.wave, file.batch, file.path)] = file.content
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in named.items()}
    if approvals | hashes != verifier.approved_files(ledger):
        raise JournalError("the frozen files are not the ones that the approvals name")
    for name in sorted(named):
        bundle.add(name, named[name])


def _kind(vault: Vault) -> str:
    return "drill" if vault.is_drill else "campaign"


def _observed_until(counted: Counted, settings: Settings, now: datetime) -> str:
    return verifier.observed_until({"as_of": utc_text(now), "observation": _observation(counted, settings)})


def _observation(counted: Counted, settings: Settings) -> dict[str, Any]:
    read = counted.returns_read_ms
    return {
        "days": settings.campaign.observe_days,
        "returns_read": "" if read is None else utc_text(from_ms(read)),
    }


def _compare(rows: Account, ledger: verifier.Ledger, *, exact: bool) -> None:
    """Hold the account of the rows against that of the entries. They may differ by deliveries that stand between two
    entries. ``exact`` False: the end of the observation is reckoned from each entry's own time, and may fall
    differently; those terms are then compared together.

    Raises JournalError: the journal leaves something out, or the tables were changed past it.
    """
    journaled = ledger.table()
    for wave in rows.waves:
        of_rows = _merged({term.value: count for term, count in wave.frozen.items()}, exact=exact)
        of_entries = _merged(journaled.pop(wave.name, {}), exact=exact)
        more = {term: of_rows.get(term, 0) - of_entries.get(term, 0) for term in {*of_rows, *of_entries}}
        if sum(more.values()) or sum(count for count in more.values() if count > 0) > wave.unsettled:
            told = ", ".join(f"{term} {count:+d}" for term, count in sorted(more.items()) if count)
            raise JournalError(f"wave {wave.name}: the tables count otherwise than the journal ({told})")
    if any(sum(terms.values()) for terms in journaled.values()):
        raise JournalError("the journal speaks of a wave that the tables do not hold")


def _merged(terms: dict[str, int], *, exact: bool) -> dict[str, int]:
    merged: dict[str, int] = {}
    for term, count in terms.items():
        observed = term in (Term.HANDED_OVER, Term.PRESUMED, Term.POST)
        key = "observed" if observed and not exact else term
        merged[key] = merged.get(key, 0) + count
    return merged


def _summary(
    counted: Counted, settings: Settings, vault: Vault, ledger: verifier.Ledger, now: datetime
) -> dict[str, Any]:
    """summary.json (docs/journal-format.md): the I1 table and what leads to it."""
    rows = counted.account.rows
    journaled = ledger.table()
    return {
        "format": verifier.FORMAT,
        "campaign": {
            "id": vault.campaign_id,
            "kind": _kind(vault),
            "name": settings.campaign.name,
            "basis": settings.campaign.legal_basis,
        },
        "fingerprint": vault.fingerprint,
        "as_of": utc_text(now),
        "observation": _observation(counted, settings),
        "checkpoint": {"size": counted.checkpoint.size, "root": counted.checkpoint.root.hex()},
        "sources": verifier.imports_of(ledger, "export"),
        "directories": verifier.imports_of(ledger, "directory"),
        "bridge": {
            "rows": rows.read,
            "rejections": rows.rejections,
            "records": rows.records,
            "same_person_again": counted.bridge.again,
            "records_without_person": counted.bridge.lost,
            "persons_without_record": counted.bridge.gone,
            "persons": counted.account.persons,
        },
        "rejections": dict(rows.states),
        "open": {"rejections": rows.open_rejections, "reviews": counted.account.open_reviews},
        "batches": ledger.batches,
        "waves": [_wave(wave, journaled.get(wave.name)) for wave in counted.account.waves],
        "balances": counted.account.balances,
        "not_proven": list(NOT_PROVEN),
    }


def _wave(wave: WaveAccount, journaled: dict[str, int] | None) -> dict[str, Any]:
    frozen = journaled or dict.fromkeys(verifier.TERMS, 0)
    not_frozen = {term.value: count for term, count in wave.not_frozen.items()}
    return {
        "wave": wave.name,
        "kind": wave.kind,
        "owed": wave.owed,
        "notifications": {term: frozen[term] + not_frozen[term] for term in verifier.TERMS},
        "frozen": frozen,
        "not_frozen": not_frozen,
    }
