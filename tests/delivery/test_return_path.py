"""Return paths name a delivery, and nobody can make one up (DOMAIN D3, I8)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.delivery.return_path import delivery_token, return_path
from notifier.vault import Keys, Vault

VAULT, OTHER = Vault(Keys.new("one")), Vault(Keys.new("other"))
TOKEN = bytes(range(16))
PATH = return_path(VAULT, TOKEN, "retours.mutuelle-clairval.example")


@given(st.binary(min_size=16, max_size=16))
def test_what_was_made_is_read_whatever_a_server_did_to_its_case(token: bytes) -> None:
    path = return_path(VAULT, token, "retours.example")
    local = path.partition("@")[0]
    assert len(local) <= 64
    assert local == local.lower()
    for seen in (path, path.upper(), path.title(), f"<{path}>", f" {path} "):
        assert delivery_token(VAULT, seen) == token


@given(st.integers(0, 60), st.sampled_from("0123456789abcdef+.@zé"))
def test_i8_one_altered_letter_is_refused(place: int, letter: str) -> None:
    altered = PATH[:place] + letter + PATH[place + 1 :]
    assert altered == PATH or delivery_token(VAULT, altered) is None


@given(st.text(max_size=80))
def test_anything_else_is_refused_and_raises_nothing(text: str) -> None:
    for address in (text, f"{text}@retours.example", f"bounces+{text}@retours.example", f"{PATH}{text}@x.example"):
        assert delivery_token(VAULT, address) is None


def test_another_campaigns_and_another_deliverys_code_are_refused() -> None:
    assert delivery_token(OTHER, PATH) is None
    second = return_path(VAULT, bytes(16), "x.example")
    swapped = f"bounces+{TOKEN.hex()}.{second.partition('.')[2]}"
    assert delivery_token(VAULT, second) == bytes(16)
    assert delivery_token(VAULT, swapped) is None


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_shortened_code_is_refused(cut: int) -> None:
    local, _, domain = PATH.partition("@")
    assert delivery_token(VAULT, f"{local[:-cut]}@{domain}") is None
