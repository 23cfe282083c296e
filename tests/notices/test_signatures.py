"""SSH signatures: ours, the proof's own verifier and ssh-keygen give the same verdict on everything (I7, I9)."""

from __future__ import annotations

import random
import shutil
import subprocess

import pytest

from notifier.notices.dossier.signatures import (
    HASH_FILE,
    NAMESPACE,
    SignatureError,
    check_signature,
    fingerprint,
    read_signature,
    signed_text,
)
from notifier.notices.dossier.ssh_keygen import second_opinion
from notifier.proof.verifier import verify as standalone
from tests.signing import Hand, armoured, rsa_key, string, unarmoured

MESSAGE = signed_text("ab" * 32)
KINDS = ["ed25519", "rsa"]

needs_ssh_keygen = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


@pytest.fixture(params=KINDS)
def hand(request):
    return Hand("Dominique") if request.param == "ed25519" else Hand("Dominique", key=rsa_key())


def ours(signature: str, message: bytes = MESSAGE) -> bool:
    try:
        check_signature(read_signature(signature), message)
    except SignatureError:
        return False
    return True


def the_verifiers(signature: str, key: bytes, message: bytes = MESSAGE) -> bool:
    try:
        return standalone.ssh_signature(signature, key, message, standalone.ed25519)
    except (ValueError, IndexError):
        return False


def test_i7_what_is_signed_is_a_file_that_sha256sum_reads(tmp_path):
    (tmp_path / HASH_FILE).write_bytes(MESSAGE)
    assert MESSAGE == b"ab" * 32 + b"  manifest.json\n"


@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
def test_i7_a_good_signature_is_taken_by_all(hand, hash_name):
    signature = hand.sign(MESSAGE, hash_name=hash_name)
    assert read_signature(signature).key == hand.blob
    assert ours(signature)
    assert ours(signature.replace("\n", "\r\n"))  # it went through a mail program
    assert the_verifiers(signature, hand.blob)
    if shutil.which("ssh-keygen"):
        assert second_opinion(hand.line, signature, MESSAGE) is True
        assert second_opinion(hand.line, signature, MESSAGE + b"x") is False


@needs_ssh_keygen
@pytest.mark.parametrize("options", [[], ["-O", "hashalg=sha256"]], ids=["sha512", "sha256"])
def test_i7_what_ssh_keygen_signs_is_taken(hand, tmp_path, options):
    key, message = tmp_path / "key", tmp_path / HASH_FILE
    key.touch(mode=0o600)
    key.write_bytes(hand.private_key())
    message.write_bytes(MESSAGE)
    command = ["ssh-keygen", "-Y", "sign", *options, "-n", NAMESPACE, "-f", key, message]
    subprocess.run(command, check=True, capture_output=True)
    signature = (tmp_path / f"{HASH_FILE}.sig").read_text()
    assert ours(signature)
    assert the_verifiers(signature, hand.blob)
    assert second_opinion(hand.line, signature, MESSAGE) is True
    shown = subprocess.run(["ssh-keygen", "-l", "-f", key], check=True, capture_output=True, text=True).stdout
    assert fingerprint(hand.blob) in shown


def test_i7_a_signature_of_something_else_or_by_somebody_else_is_none(hand):
    other = Hand("Somebody")
    for signature in (hand.sign(MESSAGE, namespace="git"), hand.sign(MESSAGE + b"\n"), hand.sign(b"")):
        assert not ours(signature)
        assert not the_verifiers(signature, hand.blob)
    assert not the_verifiers(other.sign(MESSAGE), hand.blob)
    # A good signature under another key's name.
    blob = unarmoured(other.sign(MESSAGE))
    renamed = armoured(blob.replace(string(other.blob), string(hand.blob)))
    assert not ours(renamed)
    assert not the_verifiers(renamed, hand.blob)
    with pytest.raises(SignatureError, match='made for "git"'):
        check_signature(read_signature(hand.sign(MESSAGE, namespace="git")), MESSAGE)


def test_i7_a_byte_changed_anywhere_is_noticed_by_both(hand):
    blob = unarmoured(hand.sign(MESSAGE))
    chance = random.Random(1)
    for place in range(len(blob)):
        changed = bytearray(blob)
        changed[place] ^= 1 << chance.randrange(8)
        signature = armoured(bytes(changed))
        good = ours(signature) and read_signature(signature).key == hand.blob
        assert not good, place
        assert not the_verifiers(signature, hand.blob), place


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: "nothing of the kind",
        lambda text: text.replace("BEGIN SSH", "BEGIN PGP"),
        lambda text: text.rpartition("-----END")[0],
        lambda text: text.replace("\n", "", 3),
        lambda text: armoured(unarmoured(text)[:-1]),
        lambda text: armoured(unarmoured(text) + b"\0\0\0\0"),
        lambda text: armoured(unarmoured(text) + b"x"),
        lambda text: armoured(unarmoured(text).replace(b"SSHSIG\0\0\0\1", b"SSHSIG\0\0\0\2")),
        # A field that signatures do not cover: ssh-keygen takes whatever stands in it.
        lambda text: armoured(
            unarmoured(text).replace(string(b"") + string(b"sha512"), string(b"x") + string(b"sha512"))
        ),
        lambda text: text.replace("U1NI", "U1N\N{REPLACEMENT CHARACTER}", 1),
    ],
)
def test_i7_what_is_no_signature_is_an_error_that_says_so(spoil):
    hand = Hand("Dominique")
    signature = spoil(hand.sign(MESSAGE))
    with pytest.raises(SignatureError):
        read_signature(signature)
    assert not the_verifiers(signature, hand.blob)


def test_i9_a_key_with_which_anybody_signs_is_refused_by_both():
    """The eight points of small order, in every spelling of 32 bytes that decodes to one."""
    neutral = (1).to_bytes(32, "little")
    spellings = [neutral, bytes(32), (2**255 - 20).to_bytes(32, "little"), (2**255 - 19).to_bytes(32, "little")]
    spellings += [
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    ]
    for point in [*spellings, *(each[:31] + bytes([each[31] | 0x80]) for each in spellings)]:
        blob = string(b"ssh-ed25519") + string(point)
        parts = (blob, NAMESPACE.encode(), b"", b"sha512", string(b"ssh-ed25519") + string(neutral + bytes(32)))
        signature = armoured(b"SSHSIG\0\0\0\1" + b"".join(map(string, parts)))
        assert not ours(signature), point.hex()
        assert not the_verifiers(signature, blob), point.hex()
