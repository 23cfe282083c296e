"""Signed notes and checkpoints, as C2SP writes them."""

from __future__ import annotations

import base64
import hashlib

import pytest

from notifier.errors import JournalError
from notifier.journal.checkpoints import (
    Checkpoint,
    key_id,
    key_name,
    open_note,
    parse_checkpoint,
    sign_checkpoint,
    sign_note,
    verifier_key,
)
from notifier.proof.verifier import verify as standalone
from notifier.vault import Keys, Vault


@pytest.fixture
def signed(vault: Vault) -> Checkpoint:
    unsigned = Checkpoint(key_name(vault.campaign_id), 5, hashlib.sha256(b"root").digest())
    return sign_checkpoint(unsigned, vault.public_key, vault.sign)


def test_i9_a_note_is_spelled_as_c2sp_says(vault, signed):
    origin, size, root, empty, signature, end = signed.note.split("\n")
    assert (origin, size, root) == ("notifier/test-campaign", "5", base64.b64encode(signed.root).decode())
    assert (empty, end) == ("", "")
    dash, name, encoded = signature.split(" ")
    assert (dash, name) == ("—", origin)
    blob = base64.b64decode(encoded)
    assert blob[:4] == hashlib.sha256(name.encode() + b"\n\x01" + vault.public_key).digest()[:4]
    assert len(blob) == 68


def test_i9_the_example_of_the_signed_note_specification_gives_its_key_id():
    """The verifier key of the Go checksum database, sum.golang.org+033de0ae+Ac4z…, is public and well known."""
    key = base64.b64decode("Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8")
    assert (
        verifier_key("sum.golang.org", key[1:])
        == "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    )
    assert key_id("sum.golang.org", key[1:]).hex() == "033de0ae"


def test_i9_a_checkpoint_survives_the_round_trip(vault, signed):
    assert parse_checkpoint(signed.note, signed.origin, vault.public_key) == signed
    signer = standalone.Signer(signed.origin, vault.public_key, standalone.ed25519)
    assert standalone.read_checkpoint(signed.note, signer) == (5, signed.root)


@pytest.mark.parametrize(
    "alter",
    [
        lambda note: note.replace("\n5\n", "\n6\n"),
        lambda note: note.replace("notifier/test", "notifier/best", 1),
        lambda note: note[:-1],
        lambda note: note.replace("\n\n", "\n"),
        lambda note: note.replace("— ", "- "),
        lambda note: note[:-10] + ("A" if note[-10] != "A" else "B") + note[-9:],
        lambda note: "",
    ],
)
def test_i9_an_altered_checkpoint_is_refused(vault, signed, alter):
    with pytest.raises(JournalError):
        parse_checkpoint(alter(signed.note), signed.origin, vault.public_key)


def test_i9_a_checkpoint_of_another_key_is_refused(vault, signed):
    other = Vault(Keys.new("test-campaign"))
    with pytest.raises(JournalError, match="not signed by this campaign"):
        parse_checkpoint(signed.note, signed.origin, other.public_key)


def test_i9_a_note_of_another_purpose_is_no_checkpoint(vault):
    name = key_name(vault.campaign_id)
    note = sign_note(standalone.manifest_text(name, "0" * 64), name, vault.public_key, vault.sign)
    with pytest.raises(JournalError, match="no checkpoint"):
        parse_checkpoint(note, name, vault.public_key)


def test_a_witness_may_sign_too(vault, signed):
    witness = Vault(Keys.new("witness"))
    cosigned = sign_note(signed.text(), "witness.example", witness.public_key, witness.sign).split("\n\n")[1]
    assert open_note(signed.note + cosigned, signed.origin, vault.public_key) == signed.text()
    assert open_note(f"{signed.text()}\n{cosigned}{signed.note.split(chr(10) * 2)[1]}", signed.origin, vault.public_key)


def test_a_campaign_id_that_no_note_can_carry_is_refused():
    with pytest.raises(JournalError):
        key_name("two words")
