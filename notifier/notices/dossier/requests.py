"""A dossier is requested, goes out, and comes back signed (I7).

``request`` writes down what the dossier says (its manifest, by its hash in the journal) and gives the files. ``accept``
is asked within the transaction that freezes the batch: it holds the signatures against the signers of the dossier that
was requested last, and that dossier against what would be frozen now. So nothing can move between what was signed and
what is frozen, and nobody can weaken ``[approval]`` in between without a new request, which stands in the journal.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from notifier.campaign import Settings
from notifier.errors import OperatorError
from notifier.model import Entry, from_ms
from notifier.notices.dossier.blocks import Document
from notifier.notices.dossier.content import page_of, write_document
from notifier.notices.dossier.differences import told
from notifier.notices.dossier.page import draw_page
from notifier.notices.dossier.signatures import (
    HASH_FILE,
    MANIFEST,
    Signature,
    SignatureError,
    check_signature,
    fingerprint,
    read_signature,
    signed_text,
)
from notifier.notices.dossier.ssh_keygen import second_opinion
from notifier.notices.waiting import Draft, Waiting, draft, look
from notifier.signers import key_blob
from notifier.storage import batches, dossiers, journal
from notifier.storage.database import Connection, Database
from notifier.storage.dossiers import StoredRequest, StoredSignature
from notifier.vault import Vault

_TOLD = 12  # differences that an error names


@dataclass(frozen=True, slots=True)
class Dossier:
    """``files``: path → content, as they lie in the folder; ``document``: what they say, for the PDF. ``sha256``: the
    one hash; ``required``: signatures."""

    wave: str
    number: int
    notifications: int
    sha256: str
    required: int
    document: Document
    files: Mapping[str, bytes]


async def request(
    database: Database, vault: Vault, settings: Settings, folder: Path, *, wave: str, by: str, now: datetime
) -> Dossier | None:
    """Ask for the approval of what waits in the wave: its dossier. None: nothing waits.

    Asking again while nothing changed gives the same bytes and writes nothing. Raises OperatorError when the checks
    block, TryLater when the plan changed meanwhile.
    """
    waiting = await look(database, settings, folder, wave=wave, now=now)
    if waiting is None:
        return None
    async with database.write() as connection:
        proposed = await draft(connection, vault, settings, waiting)
        previous = _previous(await batches.batches(connection, wave))
        last = await dossiers.latest_request(connection, wave)
        if last is None or last.sha256 != proposed.sha256:
            await _note(connection, proposed, wave, by, now)
    labels = {code: category.label for code, category in waiting.catalogue.categories.items()}
    document = write_document(proposed.manifest, proposed.sha256, labels, previous)
    manifest = proposed.manifest
    return Dossier(
        wave=wave,
        number=manifest["batch"],
        notifications=manifest["list"]["notifications"],
        sha256=proposed.sha256,
        required=manifest["approval"]["required"],
        document=document,
        files=_files(waiting, proposed, document),
    )


async def _note(connection: Connection, proposed: Draft, wave: str, by: str, now: datetime) -> None:
    manifest = proposed.manifest
    await dossiers.insert_request(connection, wave, manifest=proposed.text, sha256=proposed.sha256, by=by, now=now)
    approval = manifest["approval"]
    facts = {
        "wave": wave,
        "batch": manifest["batch"],
        "digest": manifest["digest"],
        "notifications": manifest["list"]["notifications"],
        "by": by,
        "required": approval["required"],
        "author": approval["author"],
        "signers": approval["signers"],
    }
    await journal.append(connection, [Entry(now, "approval_requested", proposed.sha256, facts)])


def _previous(approved: Sequence[batches.StoredBatch]) -> dict[str, Any] | None:
    """The manifest of the wave's last batch that has one."""
    manifests: list[dict[str, Any]] = [json.loads(batch.manifest) for batch in approved if batch.manifest]
    return manifests[-1] if manifests else None


def _files(waiting: Waiting, proposed: Draft, document: Document) -> dict[str, bytes]:
    pages = {
        page_of(text["segments"]): waiting.readings[text["segments"][0]].html.encode()
        for text in proposed.manifest["texts"]
    }
    return pages | {
        "dossier.html": draw_page(document).encode(),
        MANIFEST: proposed.text.encode(),
        HASH_FILE: signed_text(proposed.sha256),
    }


async def accept(
    connection: Connection, settings: Settings, wave: str, proposed: Draft, signatures: Sequence[str]
) -> list[StoredSignature]:
    """The signatures under what is about to be frozen, in the order of the dossier's signers; none where none is
    required. Raises OperatorError, with what to do, otherwise."""
    last = await dossiers.latest_request(connection, wave)
    asked: dict[str, Any] = json.loads(last.manifest) if last else {}
    waits = asked.get("batch") == proposed.manifest["batch"]
    required = settings.approval.required
    of_wave = "" if wave == "initial" else f" --wave {wave}"
    how = f"`notifier approve{of_wave} --request --out DOSSIER`"
    if not signatures:
        if required:
            raise OperatorError(
                f"wave {wave} needs {_count(required)} ([approval] required): {how} makes the dossier, then "
                f"`notifier approve{of_wave} --signature FILE` takes what was signed"
            )
        if waits and asked["approval"]["required"]:
            # Somebody took the signatures out of campaign.toml while a signer was reading.
            raise OperatorError(
                f"the dossier of wave {wave} was requested with {_count(asked['approval']['required'])}, and "
                f"[approval] required is 0 now: if this is meant, request it anew ({how}), which the journal keeps"
            )
        return []
    if last is None or not waits:
        raise OperatorError(f"no dossier was requested for what waits in wave {wave}: {how}")
    earlier = (await dossiers.requested_before(connection, wave))[1:]
    signed = [_signed(armoured, last, asked["approval"]["signers"], earlier) for armoured in signatures]
    if proposed.sha256 != last.sha256:
        found = told(asked, proposed.manifest)
        more = f" … and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
        raise OperatorError(
            f"this differs from the dossier that was requested, and nothing was frozen: {'; '.join(found[:_TOLD])}"
            f"{more}. Set it back, or request the dossier anew and have it signed: {how}"
        )
    by_key = {each.public_key: each for each in signed}
    if len(by_key) < len(signed):
        raise OperatorError("two of the signatures are by the same signer")
    if len(signed) < required:
        raise OperatorError(
            f"{_count(required)} are required and {len(signed)} was given: name all of them at once (--signature twice)"
        )
    order = [_key_of(signer) for signer in asked["approval"]["signers"]]
    return sorted(signed, key=lambda each: order.index(each.public_key))


def _signed(
    armoured: str, last: StoredRequest, signers: Sequence[Mapping[str, str]], earlier: Sequence[tuple[str, int]]
) -> StoredSignature:
    """Whose signature this is, after it was found good, by us and by ssh-keygen where there is one. ``earlier``: the
    dossiers requested before, (hash, milliseconds): to say so, when somebody signed one of these."""
    signature = read_signature(armoured)
    key = base64.b64encode(signature.key).decode()
    signer = next((each for each in signers if _key_of(each) == key), None)
    if signer is None:
        raise SignatureError(
            f"the key {fingerprint(signature.key)} is none of the signers' that the dossier names in [approval]"
        )
    message = signed_text(last.sha256)
    try:
        check_signature(signature, message)
    except SignatureError as error:
        why: object = error
        for sha256, requested_ms in earlier:
            if _is_over(signature, sha256):
                why = (
                    f"it signs the dossier of {from_ms(requested_ms):%Y-%m-%d %H:%M} UTC, and a newer one was requested"
                )
                break
        raise SignatureError(f"the signature of {signer['name']} is refused: {why}") from error
    if second_opinion(signer["key"], armoured, message) is False:
        raise SignatureError(f"the signature of {signer['name']} is refused by ssh-keygen")
    return StoredSignature(signer["name"], signer["role"], key, armoured)


def _is_over(signature: Signature, sha256: str) -> bool:
    try:
        check_signature(signature, signed_text(sha256))
    except SignatureError:
        return False
    return True


def _key_of(signer: Mapping[str, str]) -> str:
    return base64.b64encode(key_blob(signer["key"])).decode()


def _count(required: int) -> str:
    return "1 signature" if required == 1 else f"{required} signatures"
