"""The verifier's own Ed25519 against RFC 8032 7.1, and against `cryptography`."""

from __future__ import annotations

import hashlib
import random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notifier.proof.verifier.verify import _BASE, Point, _plus, check, ed25519
from notifier.proof.verify import _ed25519 as ours
from notifier.proof.verify import verify
from tests.proof.conftest import forge, rewrite

L = 2**252 + 27742317777372353535851937790883648493
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_the_vectors_of_rfc_8032(key, message, signature):
    parts = [bytes.fromhex(text) for text in (key, message, signature)]
    assert ed25519(*parts)
    assert not ed25519(parts[0], parts[1] + b"!", parts[2])


def test_it_agrees_with_cryptography_on_good_and_altered_signatures():
    chance = random.Random(8032)
    for _ in range(12):
        private = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
        key, message = private.public_key().public_bytes_raw(), chance.randbytes(chance.randrange(200))
        signature = private.sign(message)
        assert ed25519(key, message, signature)
        altered = bytearray(signature)
        altered[chance.randrange(64)] ^= 1 << chance.randrange(8)
        assert not ed25519(key, message, bytes(altered))
        assert not ed25519(key, message + b"\x00", signature)


P = 2**255 - 19
# y of points whose order divides 8, and spellings of them that RFC 8032 5.1.3 forbids: with such a key anybody can sign
# anything, and two libraries do not agree on which of these signatures are good.
WEAK = [1, 1 | 1 << 255, P + 1, P - 1, P - 1 | 1 << 255, 0, P]


@pytest.mark.parametrize("number", WEAK)
def test_i9_a_key_with_which_anybody_can_sign_is_refused_by_both_verifiers(number, files, tmp_path):
    class AnybodysKey:
        """Good signatures without any secret: R = [S]B, and k·A vanishes for one message in eight at the latest."""

        campaign_id, public_key = "test-campaign", number.to_bytes(32, "little")
        fingerprint = hashlib.sha256(public_key).hexdigest()
        is_drill = False

        def sign(self, message: bytes) -> bytes:
            for scalar in range(1, 60):
                signature = encoded(scalar) + scalar.to_bytes(32, "little")
                if ours(self.public_key, message, signature) or ed25519(self.public_key, message, signature):
                    return signature
            raise AssertionError("no signature found")

    anybody = AnybodysKey()
    pack = forge(rewrite(files, files["entries.jsonl"].splitlines(), anybody), anybody, tmp_path / "forged.zip")
    for judge in (verify, check):
        verdict = judge(pack, fingerprint=anybody.fingerprint)
        assert "the public key is one with which anybody can sign" in verdict.findings


def encoded(scalar: int) -> bytes:
    """[scalar]B, by way of a public key library that does not clamp: a signature's own R is made the same way."""
    total: Point = (0, 1, 1, 0)
    for _ in range(scalar):
        total = _plus(total, (*_BASE, 1, _BASE[0] * _BASE[1] % P))
    inverse = pow(total[2], P - 2, P)
    x, y = total[0] * inverse % P, total[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def test_a_signature_has_one_form_only():
    key, message, signature = (bytes.fromhex(text) for text in VECTORS[0])
    scalar = int.from_bytes(signature[32:], "little") + L
    assert not ed25519(key, message, signature[:32] + scalar.to_bytes(32, "little"))
    assert not ed25519(key, message, signature + b"\x00")
    assert not ed25519(key, message, signature[:63])


@pytest.mark.parametrize("key", [b"", b"\xff" * 32, b"\x02" + b"\x00" * 31, b"\x00" * 31])
def test_what_is_no_point_is_no_key(key):
    assert not ed25519(key, b"", bytes.fromhex(VECTORS[0][2]))
