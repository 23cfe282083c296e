"""Signers of tests: keys and signatures as OpenSSH writes them, made without OpenSSH."""

from __future__ import annotations

import base64
import hashlib
import textwrap
from dataclasses import dataclass, field
from functools import cache

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notifier.signers import Signer

NAMESPACE = "notifier-approval"


def string(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


def armoured(blob: bytes) -> str:
    lines = textwrap.wrap(base64.b64encode(blob).decode(), 70)
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])


def unarmoured(signature: str) -> bytes:
    return base64.b64decode("".join(signature.strip().split("\n")[1:-1]))


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    """One: making it takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True)
class Hand:
    """Somebody with a key."""

    name: str
    role: str = "DPO"
    key: Ed25519PrivateKey | rsa.RSAPrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def line(self) -> str:
        encoded = self.key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        return f"{encoded.decode()} somebody@somewhere"

    @property
    def blob(self) -> bytes:
        return base64.b64decode(self.line.split()[1])

    @property
    def signer(self) -> Signer:
        return Signer(name=self.name, role=self.role, public_key=self.line)

    def private_key(self) -> bytes:
        """As ssh-keygen reads it."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )

    def sign(self, message: bytes, *, namespace: str = NAMESPACE, hash_name: str = "sha512") -> str:
        digest = hashlib.new(hash_name, message).digest()
        covered = b"SSHSIG" + b"".join(map(string, (namespace.encode(), b"", hash_name.encode(), digest)))
        if isinstance(self.key, Ed25519PrivateKey):
            algorithm, value = b"ssh-ed25519", self.key.sign(covered)
        else:
            algorithm, value = b"rsa-sha2-512", self.key.sign(covered, padding.PKCS1v15(), hashes.SHA512())
        signature = string(algorithm) + string(value)
        parts = (self.blob, namespace.encode(), b"", hash_name.encode(), signature)
        return armoured(b"SSHSIG\0\0\0\1" + b"".join(map(string, parts)))
