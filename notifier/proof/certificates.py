"""Certificates of erasure: what was removed of a file received by error, what remains, what we cannot reach; signed.

Three files in ``DIR/certificates/``, named after the file's SHA-256 alone: ``….json`` (canonical JSON, the body),
``….md`` (the same in French, for the one who sent the file) and ``….sig``, a C2SP signed note over the SHA-256 of the
other two. The signature is written last: a certificate that verifies was issued whole, after everything it says was
done. The body is that of the journal's entry `file_forgotten`; whoever holds both may compare them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from notifier.errors import JournalError, ProofError
from notifier.journal.checkpoints import key_name, open_note, sign_note, verifier_key
from notifier.proof.verifier.verify import canonical
from notifier.vault import Vault

FOLDER = "certificates"
FORMAT = "notifier-forget/1"
_PARIS = ZoneInfo("Europe/Paris")

_REMOVED = {
    "records": "enregistrements (lignes exploitables)",
    "persons": "personnes connues de ce seul fichier",
    "contacts": "coordonnées",
    "rejections": "lignes rejetées",
    "reviews": "cas à examiner",
    "notifications": "notifications prévues et non approuvées (tout le plan en cours, à refaire)",
    "deliveries": "acheminements prévus et non approuvés",
    "held_names": "noms d'organismes inconnus, retenus pour décision",
    "clear_files": "fichiers en clair écrits par nous (valeurs des lignes rejetées)",
}
_KINDS = {"export": "export d'opérateur", "directory": "fichier des adhérents"}
_STATES = {
    "complete": "importé",
    "undone": "importé, puis retiré",
    "held": "retenu, jamais compté",
    "staging": "import interrompu, jamais compté",
}


def stem(body: Mapping[str, Any], number: int) -> str:
    """The name of a certificate's files, without ending. ``number``: from 1; a file may be received, and forgotten,
    again."""
    return f"forget-{body['sha256'][:12]}" + (f"-{number}" if number > 1 else "")


def issue(folder: Path, vault: Vault, body: Mapping[str, Any], number: int = 1) -> Path:
    """Write the certificate with this body into ``folder/certificates``; the path of its Markdown."""
    home = folder / FOLDER
    home.mkdir(mode=0o700, exist_ok=True)
    base = home / stem(body, number)
    name = key_name(vault.campaign_id)
    content = canonical(body).encode() + b"\n"
    text = markdown(body, verifier_key(name, vault.public_key), vault.fingerprint, base.name).encode()
    note = sign_note(_signed(name, content, text), name, vault.public_key, vault.sign)
    for ending, what in ((".json", content), (".md", text), (".sig", note.encode())):
        _write(base.with_name(base.name + ending), what)
    return base.with_name(base.name + ".md")


def is_issued(folder: Path, vault: Vault, body: Mapping[str, Any], number: int = 1) -> bool:
    """Whether this very certificate is there, whole and unaltered."""
    try:
        found = verify_certificate(folder / FOLDER / stem(body, number), vault.campaign_id, vault.public_key)
    except ProofError:
        return False
    return found == body


def verify_certificate(base: Path, campaign_id: str, public_key: bytes) -> dict[str, Any]:
    """The body of the certificate ``base`` (a path without ending, or that of one of its files), after its signature
    and both of its texts were found good. Raises ProofError for one that is missing, altered or another key's."""
    if base.suffix in (".json", ".md", ".sig"):
        base = base.with_suffix("")
    try:
        content, text, note = (base.with_name(base.name + ending).read_bytes() for ending in (".json", ".md", ".sig"))
    except OSError as error:
        raise ProofError(f"{error.filename} cannot be read: {error.strerror}") from error
    name = key_name(campaign_id)
    try:
        signed = open_note(note.decode(), name, public_key)
        if signed != _signed(name, content, text) or not _is_bare(note.decode(), signed):
            raise ProofError(f"{base.name}: the certificate was altered")
        body: dict[str, Any] = json.loads(content)
    except (JournalError, ValueError) as error:
        raise ProofError(f"{base.name}: the certificate was altered, or another campaign signed it") from error
    if body.get("format") != FORMAT or content != canonical(body).encode() + b"\n":
        raise ProofError(f"{base.name} is no certificate of this format")
    return body


def _is_bare(note: str, signed: str) -> bool:
    """Whether the note has one signature in its one spelling (base64 has spare bits), and nothing else in it."""
    encoded = note.removeprefix(f"{signed}\n").removesuffix("\n").rpartition(" ")[2]
    spelled = base64.b64encode(base64.b64decode(encoded, validate=True)).decode()
    return note.count("\n") == signed.count("\n") + 2 and encoded == spelled


def _signed(name: str, content: bytes, text: bytes) -> str:
    """What is signed. Its first line keeps it from being taken for a checkpoint, or for a proof pack."""
    return f"{FORMAT}\n{name}\n{hashlib.sha256(content).hexdigest()}\n{hashlib.sha256(text).hexdigest()}\n"


def _write(path: Path, content: bytes) -> None:
    """Complete or not at all."""
    partial = path.with_name(f".{path.name}.part")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


# -- in French -----------------------------------------------------------------------------------------------------


def markdown(body: Mapping[str, Any], key: str, fingerprint: str, name: str) -> str:
    """The certificate for people. ``key``: the public key as signed-note writes it; ``name``: of its files, without
    ending."""
    at = _instant(body["at"])
    removed = [f"| {words} | {body['removed'][table]} |" for table, words in _REMOVED.items()]
    lines = [
        "# Certificat d'effacement",
        "",
        "Le fichier désigné ci-dessous a été reçu par erreur. Tout ce qui en provenait a été supprimé de la base de",
        "la campagne ; personne n'a été informé à partir de ce fichier.",
        "",
        "| | |",
        "|---|---|",
        f"| Fichier (SHA-256) | `{body['sha256']}` |",
        f"| Taille | {body['size_bytes']} octets |",
        f"| Effacé le | {at} |",
        f"| Par | {_plain(body['by'])} |",
        f"| Campagne | `{body['campaign']}` |",
        "",
        "## Ce qui avait été reçu",
        "",
        "| nature | profil | incident | état avant l'effacement | reçu en traitement | importé | lignes | "
        "enregistrements | rejets |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_import(each) for each in body["imports"]),
        "",
        "## Ce qui a été supprimé",
        "",
        "| | nombre |",
        "|---|---|",
        *removed,
        "",
    ]
    if body["fields_blanked"]:
        lines += [
            f"{body['fields_blanked']} personnes sont connues aussi par un autre fichier, qui reste : leurs nom et",
            "prénom, tels que ce fichier-ci les écrivait, ont été effacés ; leur identité ne repose plus que sur",
            "l'autre fichier.",
            "",
        ]
    lines += [
        "Les valeurs ont été écrasées, puis la base entière réécrite sans ses pages libres et son journal d'écriture",
        "(WAL) vidé. Ce certificat n'est délivré qu'après cette réécriture.",
        "",
        "## Ce qui reste, et pourquoi",
        "",
        "- La mention qu'un fichier ayant cette empreinte SHA-256 a été reçu, puis effacé : dates, taille, profil et",
        "  décomptes, sans son nom ni son emplacement, pour qu'il soit reconnu s'il revient et que l'effacement soit",
        "  prouvable.",
        "- Les entrées du journal de la campagne, qui est inaltérable : des décomptes, cette empreinte, l'organisme",
        "  expéditeur s'il avait été indiqué et, si des cas avaient été tranchés, des pseudonymes (empreintes à clé).",
        "  Aucun nom de personne concernée, aucune adresse, aucun NIR, aucune valeur scellée.",
        "",
        "## Ce qui est hors de notre portée",
        "",
        "- Le fichier lui-même, là où il a été déposé, et ses copies : à détruire par qui les détient.",
        "- Les sauvegardes et instantanés de la base faits avant l'effacement.",
        "- Les copies des listes de lignes rejetées, avec ou sans valeurs, qui auraient été transmises ou exportées.",
        "- Les blocs que le système de fichiers ou le disque n'a pas encore réutilisés.",
    ]
    if body["withdrawn_before"]:
        lines += [
            "- Le fichier avait été retiré avant d'être effacé : si un autre fichier, conservé, nomme aussi l'une de",
            "  ces personnes, la graphie de son nom peut venir du premier des deux.",
        ]
    lines += [
        "",
        "## Vérifier ce certificat",
        "",
        f"`{name}.sig` signe (Ed25519, note signée C2SP) les empreintes SHA-256 de `{name}.json` et du présent texte.",
        "",
        f"- Clé publique : `{key}`",
        f"- Empreinte de la clé : `{fingerprint}`",
        "",
        "La méthode est décrite dans la documentation (intake-files, « How to check a certificate »).",
    ]
    return "\n".join(lines) + "\n"


def _import(each: Mapping[str, Any]) -> str:
    cells = (
        _KINDS.get(each["kind"], each["kind"]), _plain(each["profile"]), _plain(each["incident"]) or "—",
        _STATES.get(each["state"], each["state"]), _instant(each["begun"]), _instant(each["completed"]),
        each["rows"], each["records"], each["rejections"],
    )  # fmt: skip
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _plain(words: str) -> str:
    """Words of an operator or of a file, so that they cannot be Markdown."""
    return "".join(f"\\{letter}" if letter in r"\`*_[]<>|#" else letter for letter in words if letter.isprintable())


def _instant(text: str) -> str:
    """UTC, and the time of Paris."""
    if not text:
        return "—"
    at = datetime.fromisoformat(text)
    return f"{text} (heure de Paris : {at.astimezone(_PARIS):%d/%m/%Y %H:%M:%S %Z})"
