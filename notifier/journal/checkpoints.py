"""Checkpoints: a signed root over the first n entries. Pure; whoever holds the key signs.

A checkpoint is a C2SP ``tlog-checkpoint`` (three lines: origin, size, root) inside a C2SP ``signed-note`` (Ed25519,
signature type 0x01). Origin and key name are both ``notifier/<campaign id>``; of a rehearsal,
``notifier-drill/<campaign id>``: whatever is signed in a drill says so in its first line.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from notifier.errors import JournalError
from notifier.model import is_drill

ED25519 = b"\x01"
ROOT_BYTES = 32
_KEY_NAME = re.compile(r"[^\s+]+")  # signed-note: neither white space nor plus

Sign = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """``root`` (32 bytes) over the first ``size`` entries of the log ``origin``; ``note`` is its signed form."""

    origin: str
    size: int
    root: bytes
    note: str = ""

    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def key_name(campaign_id: str) -> str:
    """The name under which a campaign signs; also the origin of its journal."""
    name = f"{'notifier-drill' if is_drill(campaign_id) else 'notifier'}/{campaign_id}"
    if not _KEY_NAME.fullmatch(name):
        raise JournalError("the campaign's id holds white space or a plus sign: no note can carry it")
    return name


def key_id(name: str, public_key: bytes) -> bytes:
    """4 bytes: the first of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key)."""
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public_key).digest()[:4]


def verifier_key(name: str, public_key: bytes) -> str:
    """The public key as signed-note writes it: ``name+key id+base64(0x01 ‖ public key)``."""
    return f"{name}+{key_id(name, public_key).hex()}+{base64.b64encode(ED25519 + public_key).decode()}"


def sign_note(text: str, name: str, public_key: bytes, sign: Sign) -> str:
    """``text`` (ends with a newline) as a signed note."""
    signature = base64.b64encode(key_id(name, public_key) + sign(text.encode())).decode()
    return f"{text}\n\N{EM DASH} {name} {signature}\n"


def sign_checkpoint(checkpoint: Checkpoint, public_key: bytes, sign: Sign) -> Checkpoint:
    """The same checkpoint with its note."""
    note = sign_note(checkpoint.text(), checkpoint.origin, public_key, sign)
    return Checkpoint(checkpoint.origin, checkpoint.size, checkpoint.root, note)


def open_note(note: str, name: str, public_key: bytes) -> str:
    """The text of a note, after our signature on it was found good; signatures of others (witnesses) are passed over.

    Raises JournalError when the note is malformed, or holds no good signature of this key.
    """
    text, found, signatures = note.rpartition("\n\n\N{EM DASH} ")
    if not found or not signatures.endswith("\n"):
        raise JournalError("this is no signed note")
    text += "\n"
    for line in signatures[:-1].split("\n"):
        signer, _, encoded = line.removeprefix("\N{EM DASH} ").partition(" ")
        try:
            blob = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise JournalError("a signature of the note is not base64") from error
        if signer == name and blob[:4] == key_id(name, public_key):
            try:
                Ed25519PublicKey.from_public_bytes(public_key).verify(blob[4:], text.encode())
            except InvalidSignature as error:
                raise JournalError("the signature of the note is wrong") from error
            return text
    raise JournalError("the note is not signed by this campaign's key")


def parse_checkpoint(note: str, origin: str, public_key: bytes) -> Checkpoint:
    """The checkpoint of a note, verified. Raises JournalError."""
    lines = open_note(note, origin, public_key).split("\n")
    if len(lines) < 4 or lines[0] != origin or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]):
        raise JournalError("the note is no checkpoint of this journal")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise JournalError("the checkpoint's root is not base64") from error
    if len(root) != ROOT_BYTES:
        raise JournalError("the checkpoint's root has the wrong length")
    return Checkpoint(origin, int(lines[1]), root, note)
