"""DKIM keys of the tests' own, made once, and the name server's word on them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from notifier.campaign import Settings


@cache
def pem(kind: str) -> bytes:
    """``rsa``, ``other`` (another RSA key), ``weak``, ``ed25519``, ``ec``, ``locked``."""
    key = {
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "other": lambda: rsa.generate_private_key(65537, 2048),
        "weak": lambda: rsa.generate_private_key(65537, 1024),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
        "locked": ed25519.Ed25519PrivateKey.generate,
    }[kind]()
    lock = BestAvailableEncryption(b"secret") if kind == "locked" else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)


def with_keys(settings: Settings, folder: Path, **kinds: str) -> Settings:
    """The sample with keys in ``folder``: ``with_keys(settings, folder, dkim_key="rsa")``; selectors are s1 and s2."""
    update: dict[str, object] = {}
    for selector, (setting, kind) in enumerate(kinds.items(), 1):
        (folder / f"{setting}.pem").write_bytes(pem(kind))
        update[setting] = folder / f"{setting}.pem"
        update[setting.replace("_key", "_selector")] = f"s{selector}"
    sender = settings.senders[0].model_copy(update=update)
    return settings.model_copy(update={"senders": (sender, *settings.senders[1:])})
