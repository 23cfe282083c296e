"""`[approval]`: who may sign is decided before anybody signs, and nobody signs for their own texts (I7)."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from notifier.campaign import load
from notifier.errors import SettingsError
from notifier.signers import ApprovalSection
from tests.signing import Hand, rsa_key

DPO, LEGAL = Hand("Dominique Exemple"), Hand("Alix Exemple", "Juriste", key=rsa_key())


def section(**values):
    given = {"required": 1, "author": "Camille Exemple", "signers": (DPO.signer, LEGAL.signer)}
    return ApprovalSection.model_validate({**given, **values})


def test_i7_two_signers_of_both_kinds_of_key():
    assert section(required=2).signers[1].blob == LEGAL.blob
    assert ApprovalSection().required == 0


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"required": 3}, "required"),
        ({"required": 2, "signers": (DPO.signer,)}, "2 signatures are required, and 1 signers"),
        ({"author": " "}, "author is missing"),
        ({"author": "dominique  EXEMPLE"}, "author is one of the signers"),
        ({"signers": (DPO.signer, Hand("DOMINIQUE exemple").signer)}, "the same name"),
        ({"signers": (DPO.signer, Hand("Other", key=DPO.key).signer)}, "the same key"),
    ],
)
def test_i7_what_is_no_four_eyes_is_refused(values, says):
    with pytest.raises(ValidationError, match=says):
        section(**values)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ecdsa-sha2-nistp256 " + DPO.line.split()[1],
        "ssh-rsa " + DPO.line.split()[1],
        DPO.line[:-40],
        DPO.line.replace("AAAAI", "AAAAJ"),
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",  # the neutral point
    ],
    ids=[
        "none",
        "no-blob",
        "short",
        "ecdsa",
        "rsa-in-name",
        "cut",
        "wrong-length",
        "neutral-point",
    ],  # the key is new each time
)
def test_i7_a_damaged_or_worthless_key_is_refused(key):
    with pytest.raises(ValidationError):
        section(signers=({"name": "Dominique", "role": "DPO", "public_key": key},))


def test_the_setting_is_named_and_an_override_can_be_seen(folder):
    toml = folder / "campaign.toml"
    text = toml.read_text(encoding="utf-8")
    toml.write_text(f'{text}\n[approval]\nrequired = 1\nauthor = "Camille"\n', encoding="utf-8")
    with pytest.raises(SettingsError, match=r"campaign\.toml, line \d+: approval: .*1 signatures are required"):
        load(folder, environment={})
    assert load(folder, environment={"NOTIFIER_APPROVAL__REQUIRED": "0"}).approval.required == 0
