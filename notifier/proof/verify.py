"""`proof verify`: the verdict on a pack or a person's proof, offline.

Runs the verifier that lies in every pack, as this version ships it (never the copy inside the pack that it checks);
signatures are checked by `cryptography` here, and by the verifier's own Ed25519 where it stands alone.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from notifier.errors import ProofError
from notifier.proof.verifier.verify import Verdict, check

__all__ = ["Verdict", "verify"]


def verify(path: Path, *, fingerprint: str | None = None, known_checkpoint: str | None = None) -> Verdict:
    """The verdict. ``fingerprint``: of the key that must have signed; None: the verdict says which one did.

    ``known_checkpoint``: the text of a checkpoint that left the house earlier; a journal that was rewritten since, even
    by the owner of the key, fails against it. Anything altered is a failed verdict; ProofError only when the file
    cannot be opened.
    """
    try:
        return check(path, fingerprint, known_checkpoint, _ed25519)
    except OSError as error:
        raise ProofError(f"{path} cannot be read: {error.strerror}") from error


def _ed25519(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
