"""Keys, sealing, digests, redaction (I8)."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.errors import VaultError
from notifier.vault import Keys, Vault, read_keys, redact, write_key_file

KEYS = Keys.new("test")
VAULT = Vault(KEYS)


@given(st.dictionaries(st.text(), st.text()), st.binary(max_size=16))
def test_what_was_sealed_opens_again(fields: dict[str, str], identity: bytes) -> None:
    sealed = VAULT.seal("person", identity, fields)
    assert VAULT.unseal("person", identity, sealed) == fields


@pytest.mark.parametrize("change", ["kind", "identity", "byte", "key", "short"])
def test_a_sealed_value_opens_only_where_it_was_sealed(change: str) -> None:
    sealed = VAULT.seal("person", b"1234", {"name": "Zoé"})
    vault, kind, identity = VAULT, "person", b"1234"
    match change:
        case "kind":
            kind = "contact"
        case "identity":
            identity = b"1235"
        case "byte":
            sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        case "key":
            vault = Vault(Keys.new("test"))
        case "short":
            sealed = sealed[:5]
    with pytest.raises(VaultError):
        vault.unseal(kind, identity, sealed)


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_different_parts_have_different_digests(one: list[str], other: list[str]) -> None:
    assert (VAULT.digest(*one) == VAULT.digest(*other)) == (one == other)


def test_each_key_stands_alone() -> None:
    """A digest, a token and a pseudonym of the same parts share nothing, and other keys make others."""
    made = {VAULT.digest("a"), VAULT.token("a"), bytes.fromhex(VAULT.pseudonym("a", b""))}
    assert len(made) == 3
    assert Vault(Keys.new("test")).digest("a") != VAULT.digest("a")


def test_a_reference_can_be_read_out() -> None:
    reference = VAULT.reference("token")
    assert reference == VAULT.reference("token") != VAULT.reference("other")
    assert len(reference) == 14
    assert not set(reference) & set("ILOU")


def test_the_key_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "campaign.key"
    write_key_file(path, KEYS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_keys(path, environment={}) == KEYS
    with pytest.raises(VaultError, match="never overwritten"):
        write_key_file(path, Keys.new("other"))
    assert read_keys(path, environment={}) == KEYS


def test_keys_from_the_environment(tmp_path: Path) -> None:
    assert read_keys(tmp_path / "none", environment={"NOTIFIER_KEY": KEYS.dump()}) == KEYS


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"campaign": "x", "seal": "!"}', KEYS.dump().replace("=", "")])
def test_what_is_no_key_file_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "campaign.key"
    path.write_text(text)
    with pytest.raises(VaultError, match=r"campaign\.key"):
        read_keys(path, environment={})


def test_a_probe_knows_its_keys() -> None:
    probe = VAULT.probe()
    assert VAULT.recognises(probe)
    assert not Vault(Keys.new("test")).recognises(probe)
    mixed = Keys("test", KEYS.seal, Keys.new("x").identity, KEYS.reference, KEYS.signing)
    assert not Vault(mixed).recognises(probe)


def test_keys_do_not_print_themselves() -> None:
    assert KEYS.dump().split('"')[7] not in repr(KEYS)
    assert "seal=" not in repr(KEYS)


@pytest.mark.parametrize(
    "text",
    [
        "550 5.1.1 <zoe.martin@courriel.example>: Recipient address rejected",
        "550 No such user zoe.martin here",
        "550 ZOE.MARTIN@COURRIEL.EXAMPLE unknown",
        "550 zoe.martin+40courriel.example is not known",
        "rfc822;zoe.martin@courriel.example",
        'User "zoe.martin"@courriel.example',
        "Unknown NIR 2 95 09 99 126 111 93 and 295099912611193 and 2,95099E+14",
        "account FR76 3000 6000 0112 3456 7890 189, RIB 20041 01005 0500013M026 06",
    ],
)
def test_i8_a_reply_without_its_recipient(text: str) -> None:
    redacted = redact(text, ["zoe.martin@courriel.example", "zoe.martin"]).lower()
    for leaked in ("zoe", "martin@", "courriel", "295099", "2 95 09", "2,95099", "3000 6000", "0500013m"):
        assert leaked not in redacted


def test_redaction_leaves_what_operators_need() -> None:
    text = "421 4.7.0 [TSS04] Messages from 192.0.2.10 temporarily deferred; queued as 4XyZ12abc on mx1.relay.example"
    assert redact(text, ["zoe.martin"]) == text


@pytest.mark.parametrize(
    "written",
    ["2 55 08 14 168 025 38", "2/55/08/14/168/025", "2_55_08_14_168_025_38", "2  55  08  14  168  025",
     "2\u202f55\u202f08\u202f14\u202f168\u202f025", "2\u201355\u201308\u201314\u2013168\u2013025",
     "1 85 05 2A 168 025"],
)  # fmt: skip
def test_I8_a_nir_is_redacted_however_it_is_separated(written: str) -> None:
    assert redact(f"the number {written} was refused") == "the number <number> was refused"
