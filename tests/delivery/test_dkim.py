"""Our DKIM signatures, read by an independent verifier (dkimpy) through a name server that knows our keys."""

from __future__ import annotations

import base64
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import dkim
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.campaign import load
from notifier.dkim import OVERSIGNED, SIGNED, Signer, SigningError, load_signer, load_signers, with_public_keys
from notifier.errors import SettingsError
from notifier.model import Contact, PersonalFields
from notifier.notices.bound import bound_settings, canonical_json, differences, frozen_settings
from notifier.notices.compiled import compile_segment
from tests.delivery.keys import pem, with_keys
from tests.notices.small import ARABIC, key_of, small_catalogue

AT = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
DOMAIN = "mutuelle-clairval.example"


@pytest.fixture(scope="module")
def message(tmp_path_factory) -> bytes:
    catalogue, sample = small_catalogue(tmp_path_factory.mktemp("campaign"), *ARABIC)
    notice = compile_segment(key_of(language="ar"), catalogue, sample)
    fields = PersonalFields(Contact("Martin", "Élodie"), "7K3D-99XA-B2QM")
    return notice.render(fields, to="élodie@courriel.example", message_id=f"<x@{DOMAIN}>", date=AT)


@pytest.fixture
def signer(settings, tmp_path) -> Signer:
    made = load_signer(with_keys(settings, tmp_path, dkim_key="rsa").senders[0], tmp_path)
    assert made is not None
    return made


def names(signer: Signer):
    """A name server's function, as dkimpy wants it."""
    records = {f"{key.selector}._domainkey.{signer.domain}.": key.record for key in signer.keys}

    def txt(name: bytes, timeout: int = 5) -> bytes | None:
        record = records.get(name.decode())
        return None if record is None else record.encode()

    return txt


def is_valid(raw: bytes, signer: Signer, place: int = 0) -> bool:
    try:
        return dkim.DKIM(raw).verify(idx=place, dnsfunc=names(signer))
    except dkim.DKIMException:
        return False


def test_an_independent_verifier_reads_the_signature(message, signer):
    signed = signer.signed(message, at=AT)
    assert signed.endswith(message)
    assert is_valid(signed, signer)
    assert not is_valid(message, signer)


def test_d4_what_is_signed_and_how(message, signer):
    verifier = dkim.DKIM(signer.signed(message, at=AT))
    assert verifier.verify(dnsfunc=names(signer))
    tags = {tag: verifier.signature_fields[tag].decode() for tag in (b"a", b"c", b"d", b"s", b"t", b"h")}
    assert (tags[b"a"], tags[b"c"], tags[b"d"], tags[b"s"]) == ("rsa-sha256", "relaxed/relaxed", DOMAIN, "s1")
    assert tags[b"t"] == str(int(AT.timestamp()))
    assert b"l" not in verifier.signature_fields
    told = [name.strip().lower() for name in tags[b"h"].split(":")]
    there = {name.decode().lower() for name, _ in verifier.headers}
    assert {name.lower() for name in SIGNED} & there == set(told)
    assert {"feedback-id", "auto-submitted", "reply-to", "message-id", "mime-version", "content-type"} <= set(told)
    assert sorted({name for name in told if told.count(name) == 2}) == sorted(name.lower() for name in OVERSIGNED)


@pytest.mark.parametrize("header", OVERSIGNED)
def test_d4_a_second_header_breaks_an_oversigned_one(message, signer, header):
    signed = signer.signed(message, at=AT)
    added = f"{header}: x\r\n".encode()
    assert not is_valid(added + signed, signer)
    assert not is_valid(signed.replace(b"\r\n\r\n", b"\r\n" + added + b"\r\n", 1), signer)


@pytest.mark.parametrize("name", [b"Subject:", b"Reply-To:", b"Feedback-ID:", b"Content-Type:", b"Message-ID:", b"To:"])
def test_an_altered_header_or_body_breaks_it(message, signer, name):
    signed = signer.signed(message, at=AT)
    assert b"\r\n" + name + b" " in signed
    assert not is_valid(signed.replace(b"\r\n" + name + b" ", b"\r\n" + name + b" x", 1), signer)
    assert not is_valid(signed[:-2] + b"x\r\n", signer)


def test_white_space_on_the_way_does_not_break_it(message, signer):
    """What relays do to messages: relaxed bears it."""
    signed = signer.signed(message, at=AT)
    assert is_valid(signed.replace(b"\r\nReply-To: ", b"\r\nreply-to:\t  "), signer)
    assert is_valid(signed + b"\r\n\r\n", signer)


def test_the_same_attempt_gives_the_same_bytes_and_another_one_its_own_time(message, signer):
    assert signer.signed(message, at=AT) == signer.signed(message, at=AT)
    later = signer.signed(message, at=AT + timedelta(seconds=1))
    assert b"t=1707465601;" in later
    assert is_valid(later, signer)


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["", " ", "\t", "a", "  b ", "é", "..", "\t \t"]), max_size=12))
def test_any_body_is_canonicalised_as_the_verifier_does(parts):
    signer = _memory_signer()
    body = "".join(f"{part}\r\n" for part in parts)
    raw = b"From: a@b.example\r\nTo: c@d.example\r\nSubject:  x \t y\r\nDate: z\r\n\r\n" + body.encode()
    assert is_valid(signer.signed(raw, at=AT), signer)


def _memory_signer(made: dict[str, Signer] = {}) -> Signer:  # noqa: B006  (made once)
    if "signer" not in made:
        import tempfile
        from pathlib import Path

        from notifier.campaign import shipped

        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "campaign.toml").write_bytes((shipped("data") / "campaign" / "sample.toml").read_bytes())
            found = load_signer(with_keys(load(folder, environment={}), folder, dkim_key="rsa").senders[0], folder)
            assert found is not None
            made["signer"] = found
    return made["signer"]


@pytest.mark.parametrize("bad", [b"a\nb", b"a\rb", b"a\n.\r\n", b"\r\r\n"])
def test_a_bare_cr_or_lf_is_never_signed(message, signer, bad):
    with pytest.raises(SigningError, match="bare"):
        signer.signed(message + bad + b"\r\n", at=AT)
    with pytest.raises(SigningError, match="bare"):
        signer.signed(b"X: " + bad + b"\r\n" + message, at=AT)


def test_headers_without_an_end_and_doubled_headers_are_never_signed(signer):
    with pytest.raises(SigningError, match="end"):
        signer.signed(b"From: a@b.example\r\n", at=AT)
    with pytest.raises(SigningError, match="end"):
        signer.signed(b"From: a@b.example\r\n\r\nno line end", at=AT)
    with pytest.raises(SigningError, match="twice"):
        signer.signed(b"From: a@b.example\r\nfrom: c@d.example\r\n\r\n", at=AT)


# -- a second signature --------------------------------------------------------------------------------------------


class _VerifyKey:
    """The one function that dkimpy asks of PyNaCl, by another library than it expects."""

    def __init__(self, key: bytes, encoder: object) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(base64.b64decode(key))

    def verify(self, message: bytes, signature: bytes) -> bytes:
        try:
            self._key.verify(signature, message)
        except InvalidSignature as error:
            raise sys.modules["nacl"].exceptions.BadSignatureError from error
        return message


@pytest.fixture
def nacl(monkeypatch):
    if "nacl" not in sys.modules:
        errors = SimpleNamespace(BadSignatureError=type("BadSignatureError", (Exception,), {}), ValueError=ValueError)
        signing, encoding = SimpleNamespace(VerifyKey=_VerifyKey), SimpleNamespace(Base64Encoder=None)
        module = SimpleNamespace(signing=signing, encoding=encoding, exceptions=errors)
        monkeypatch.setitem(sys.modules, "nacl", module)
        monkeypatch.setattr(dkim, "nacl", module, raising=False)


@pytest.mark.usefixtures("nacl")
def test_a_second_key_makes_a_second_signature(message, settings, tmp_path):
    both = load_signer(with_keys(settings, tmp_path, dkim_key="rsa", dkim_ed25519_key="ed25519").senders[0], tmp_path)
    assert both is not None
    signed = both.signed(message, at=AT)
    assert signed.count(b"DKIM-Signature: ") == 2
    for place, algorithm in enumerate((b"rsa-sha256", b"ed25519-sha256")):
        verifier = dkim.DKIM(signed)
        assert verifier.verify(idx=place, dnsfunc=names(both))
        assert verifier.signature_fields[b"a"] == algorithm
        assert not is_valid(signed[:-2] + b"x\r\n", both, place)
        assert not is_valid(signed.replace(b"Submitted: auto-generated", b"Submitted: no"), both, place)


# -- keys ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "kind", "said"),
    [
        ("dkim_key", "weak", "1024 bits"),
        ("dkim_key", "ed25519", "no RSA key"),
        ("dkim_key", "ec", "no RSA key"),
        ("dkim_key", "locked", "has a password"),
        ("dkim_ed25519_key", "rsa", "no ed25519 key"),
        ("dkim_ed25519_key", "ed25519", "is a second signature"),
    ],
)
def test_a_wrong_key_is_told_by_its_setting(settings, tmp_path, setting, kind, said):
    with pytest.raises(SettingsError, match=said) as caught:
        load_signers(with_keys(settings, tmp_path, **{setting: kind}), tmp_path)
    assert str(caught.value).startswith(f"[[senders]] clairval: {setting}")


def _altered(settings, **update):
    return settings.model_copy(update={"senders": (settings.senders[0].model_copy(update=update),)})


def test_a_key_that_is_missing_or_no_key_or_without_selector_is_told(settings, tmp_path):
    good = with_keys(settings, tmp_path, dkim_key="rsa")
    (tmp_path / "notes.pem").write_text("nothing")
    for update, said in (
        ({"dkim_key": tmp_path / "nowhere.pem"}, "cannot be read"),
        ({"dkim_key": tmp_path}, "cannot be read"),
        ({"dkim_key": tmp_path / "notes.pem"}, "no private key"),
        ({"dkim_selector": ""}, "dkim_selector"),
        ({"dkim_ed25519_selector": "s2"}, "name the key file"),
    ):
        with pytest.raises(SettingsError, match=said):
            load_signers(_altered(good, **update), tmp_path)


def test_two_keys_have_two_selectors(settings, tmp_path):
    both = with_keys(settings, tmp_path, dkim_key="rsa", dkim_ed25519_key="ed25519")
    with pytest.raises(SettingsError, match="selector of its own"):
        load_signers(_altered(both, dkim_ed25519_selector="s1"), tmp_path)


def test_without_a_key_nobody_signs(settings, tmp_path):
    assert load_signers(settings, tmp_path) == {}
    assert load_signers(_altered(settings, dkim_selector="relay2024"), tmp_path) == {}, "the relay signs"
    assert with_public_keys(settings, tmp_path) is settings
    written = _altered(settings, dkim_public={"s1": "by hand"})
    assert with_public_keys(written, tmp_path).senders[0].dkim_public == {}


# -- what an approval binds ----------------------------------------------------------------------------------------


def test_i7_selector_and_public_key_are_bound_and_the_private_key_is_nowhere(settings, tmp_path, folder):
    known = with_public_keys(with_keys(settings, tmp_path, dkim_key="rsa"), folder)
    signer = load_signers(known, folder)["clairval"]
    bound = bound_settings(known)
    [sender] = bound["senders"]
    assert sender["dkim_public"] == {"s1": signer.keys[0].digest}
    assert sender["dkim_selector"] == "s1"
    text = canonical_json(bound)
    assert "dkim_key" not in text and ".pem" not in text and "PRIVATE" not in text
    assert frozen_settings(bound).senders[0].dkim_key is None


def test_i7_another_key_under_the_same_selector_is_told_and_a_moved_file_is_not(settings, tmp_path, folder):
    known = with_public_keys(with_keys(settings, tmp_path, dkim_key="rsa"), folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = with_public_keys(with_keys(settings, elsewhere, dkim_key="rsa"), folder)
    assert differences(bound_settings(known), bound_settings(moved)) == []
    (elsewhere / "dkim_key.pem").write_bytes(pem("other"))
    [told] = differences(bound_settings(known), bound_settings(with_public_keys(moved, folder)))
    assert told.startswith("senders.clairval.dkim_public.s1 (approved")
    unsigned = differences(bound_settings(known), bound_settings(settings))
    assert any(each.startswith("senders.clairval.dkim_selector") for each in unsigned)
