"""Signatures of a dossier, as ``ssh-keygen -Y sign -n notifier-approval`` makes them: read and checked. Pure.

The format is OpenSSH's PROTOCOL.sshsig: a blob in armour, whose signature covers a preamble, the namespace and a hash
of the message, so that a signature made for anything else (a login, a commit, a file) is none of ours. Keys and
signatures in a second spelling are refused: each has one form, and every verifier gives the same verdict. The verifier
that lies in a proof pack reads the same format by itself (proof/verifier/verify.py); the tests hold the two, and
ssh-keygen, against each other.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from notifier.errors import OperatorError
from notifier.signers import ED25519, parse_key, ssh_strings

NAMESPACE = "notifier-approval"
MANIFEST, HASH_FILE = "manifest.json", "manifest.sha256"

_PREAMBLE = b"SSHSIG"
_VERSION = (1).to_bytes(4, "big")
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_HASHES = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}
_RSA_HASHES = {"rsa-sha2-256": hashes.SHA256(), "rsa-sha2-512": hashes.SHA512()}


class SignatureError(OperatorError):
    """A signature that is not one of this dossier; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature out of its armour. ``key``: the signer's key blob, as the signature itself names it: whose it is must
    be asked of the manifest's signers."""

    key: bytes
    namespace: str
    hash_name: str
    algorithm: str
    value: bytes


def signed_text(sha256: str) -> bytes:
    """What signers sign, to the byte: the file ``manifest.sha256``, which ``sha256sum -c`` reads too."""
    return f"{sha256}  {MANIFEST}\n".encode()


def read_signature(armoured: str) -> Signature:
    """Raises SignatureError when it is no SSH signature in its one form."""
    lines = armoured.replace("\r\n", "\n").strip().split("\n")
    if lines[0] != _BEGIN or lines[-1] != _END:
        raise SignatureError(f"this is no SSH signature: it begins with {_BEGIN}")
    try:
        encoded = "".join(lines[1:-1])
        blob = base64.b64decode(encoded, validate=True)
        if base64.b64encode(blob).decode() != encoded or blob[:10] != _PREAMBLE + _VERSION:
            raise ValueError("it is not of version 1, or not in its one form")
        key, namespace, reserved, hash_name, signature = ssh_strings(blob[10:])
        if reserved:
            raise ValueError("a field that must be empty is not")
        algorithm, value = ssh_strings(signature)
        return Signature(key, namespace.decode("ascii"), hash_name.decode("ascii"), algorithm.decode("ascii"), value)
    except (binascii.Error, ValueError) as error:
        raise SignatureError(f"the signature is damaged: {error}") from error


def check_signature(signature: Signature, message: bytes) -> None:
    """Raises SignatureError unless the key that the signature names made it over ``message``, for this namespace."""
    if signature.namespace != NAMESPACE:
        raise SignatureError(
            f'it was made for "{signature.namespace}", not for "{NAMESPACE}": sign with -n {NAMESPACE}'
        )
    if signature.hash_name not in _HASHES:
        raise SignatureError(f"it hashes with {signature.hash_name}: sha256 and sha512 are taken")
    digest = _HASHES[signature.hash_name](message).digest()
    covered = _PREAMBLE + b"".join(map(_string, (NAMESPACE.encode(), b"", signature.hash_name.encode(), digest)))
    try:
        kind, material, exponent = parse_key(signature.key)
    except ValueError as error:
        raise SignatureError(f"its key is not taken: {error}") from error
    try:
        if kind == ED25519:
            if signature.algorithm != ED25519:
                raise SignatureError(f"a key of {kind} does not sign as {signature.algorithm}")
            Ed25519PublicKey.from_public_bytes(material).verify(signature.value, covered)
        else:
            _check_rsa(signature, material, exponent, covered)
    except (InvalidSignature, ValueError) as error:
        raise SignatureError("it is not a signature of this dossier's hash, or was altered") from error


def _check_rsa(signature: Signature, modulus: bytes, exponent: int, covered: bytes) -> None:
    if signature.algorithm not in _RSA_HASHES:
        raise SignatureError(f"a key of ssh-rsa does not sign as {signature.algorithm} (rsa-sha2-256, rsa-sha2-512)")
    if len(signature.value) != len(modulus):
        raise InvalidSignature
    key = RSAPublicNumbers(exponent, int.from_bytes(modulus, "big")).public_key()
    key.verify(signature.value, covered, padding.PKCS1v15(), _RSA_HASHES[signature.algorithm])


def fingerprint(key: bytes) -> str:
    """As ``ssh-keygen -l`` shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _string(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content
