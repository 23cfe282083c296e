"""`proof person`: one notice's own entries with their place in the signed journal; it reveals nobody else.

Found by the case reference printed on the notice. Whoever shares the notice (a household, the establishments behind one
mailbox) shares its proof: the notice names them already. Salts and paths of other entries are not given, so that the
hashes in the paths tell nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from notifier.errors import JournalError, OperatorError
from notifier.journal.checkpoints import Checkpoint, key_name, parse_checkpoint, sign_note, verifier_key
from notifier.journal.merkle import InclusionPaths
from notifier.journal.sealer import seal
from notifier.model import utc_text
from notifier.proof.verifier.verify import PERSON_FORMAT, canonical
from notifier.storage import checkpoints, evidence, journal
from notifier.storage.database import Connection, Database
from notifier.storage.journal import LeafRow
from notifier.vault import Vault, number_of_reference, spelled_reference

PAGE = 50_000  # leaf hashes read at once


@dataclass(frozen=True, slots=True)
class PersonReport:
    """What was written."""

    entries: int
    fingerprint: str


async def person_proof(database: Database, vault: Vault, *, reference: str, out: Path, now: datetime) -> PersonReport:
    """Write the proof of the notice with this reference to ``out`` (canonical JSON).

    Raises OperatorError when no notice has the reference or ``out`` exists, JournalError when the journal contradicts
    itself.
    """
    if out.exists():
        raise OperatorError(f"{out} exists already: name another file")
    await seal(database, vault, reason="person", now=now)
    name = key_name(vault.campaign_id)
    async with database.read() as connection:
        stored = await checkpoints.latest(connection)
        if stored is None:
            raise OperatorError("the journal is empty: there is nothing to prove yet")
        checkpoint = parse_checkpoint(stored.note, name, vault.public_key)
        entries = await _entries(connection, vault, spelled_reference(reference), checkpoint.size)
        paths = await _paths(connection, [entry.index for entry in entries], checkpoint)
    proof: dict[str, Any] = {
        "format": PERSON_FORMAT,
        "campaign": vault.campaign_id,
        "key": verifier_key(name, vault.public_key),
        "reference": spelled_reference(reference),
        "made": utc_text(now),
        "checkpoint": checkpoint.note,
        "entries": [
            {
                "index": entry.index,
                "salt": entry.salt.hex(),
                "entry": json.loads(entry.body),
                "path": [node.hex() for node in paths[entry.index]],
                **_blinds(vault, json.loads(entry.body)),
            }
            for entry in entries
        ],
    }
    digest = hashlib.sha256(canonical(proof).encode()).hexdigest()
    proof["signature"] = sign_note(f"{PERSON_FORMAT}\n{name}\n{digest}\n", name, vault.public_key, vault.sign)
    _write(out, (canonical(proof) + "\n").encode())
    return PersonReport(entries=len(entries), fingerprint=vault.fingerprint)


def _blinds(vault: Vault, entry: dict[str, Any]) -> dict[str, dict[str, str]]:
    """What an attempt's hashes were blinded with: with it, the message in somebody's mailbox can be held against the
    journal. (It opens no other attempt's.)"""
    attempt = entry["facts"].get("attempt")
    if not entry["kind"].startswith("delivery_") or attempt is None:
        return {}
    token = bytes.fromhex(entry["subject"])
    return {"blinds": {kind: vault.blind(kind, token, attempt).hex() for kind in ("notice", "reply")}}


async def _delivery(connection: Connection, vault: Vault, reference: str) -> tuple[int, bytes]:
    """The delivery of a reference, as its approval noted it; where none was noted, each is made until one fits."""
    try:
        number = number_of_reference(reference)
    except ValueError:
        raise OperatorError("this is no case reference: XXXX-XXXX-XXXX, as it is printed on the notice") from None
    for delivery, token in await evidence.with_reference(connection, number):
        if vault.reference(token.hex()) == reference:
            return delivery, token
    async with aclosing(evidence.unreferenced_tokens(connection)) as deliveries:
        async for delivery, token in deliveries:
            if vault.reference(token.hex()) == reference:
                return delivery, token
    raise OperatorError(
        "no notice has this reference (one that is not approved has none yet): compare it with the one printed on it"
    )


async def _entries(connection: Connection, vault: Vault, reference: str, size: int) -> list[LeafRow]:
    """The notice's entries: what was frozen for its persons, what became of it, and the approval that it rests on."""
    delivery, token = await _delivery(connection, vault, reference)
    linked = await evidence.chain(connection, delivery, token)
    tokens = {token.hex() for token in linked.values()}
    persons = [vault.pseudonym(*person) for person in await evidence.informed(connection, linked)]
    found = {entry.index: entry for entry in await journal.of_subjects(connection, tokens, size)}
    batches: set[tuple[str, int]] = set()
    for entry in await journal.of_subjects(connection, persons, size):
        body = json.loads(entry.body)
        # A person's other notices have their own references, and other people may read this one.
        if body["facts"].get("delivery") in tokens:
            found[entry.index] = entry
            batches.add((body["facts"]["wave"], body["facts"]["batch"]))
    for entry in await journal.of_kind(connection, "batch_approved", size):
        facts = json.loads(entry.body)["facts"]
        if (facts["wave"], facts["batch"]) in batches:
            found[entry.index] = entry
    if not found:
        raise OperatorError("no entry speaks of this notice yet: it is planned, and not approved")
    return [found[index] for index in sorted(found)]


async def _paths(connection: Connection, indexes: list[int], checkpoint: Checkpoint) -> dict[int, list[bytes]]:
    """The inclusion paths, in one pass over all leaf hashes."""
    tree = InclusionPaths(indexes)
    for first in range(0, checkpoint.size, PAGE):
        for leaf in await journal.leaf_hashes(connection, first, min(first + PAGE, checkpoint.size)):
            tree.append(leaf)
    root, paths = tree.finish()
    if root != checkpoint.root:
        raise JournalError("the stored leaves do not give the signed root: the journal was altered")
    return paths


def _write(out: Path, content: bytes) -> None:
    """Complete or not at all."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    except OSError as error:
        raise OperatorError(f"{out} cannot be written: {error.strerror}") from error
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
