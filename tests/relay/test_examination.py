"""`check` and the relays: each that a run may use is asked, and each answer says whose it is."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from notifier.cli.main import main
from tests.relay.server import Server, serving

SIZE = ("PIPELINING", "SIZE 10240000")
Check = Callable[..., tuple[dict, str]]


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port of ours on which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def check(folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Check:
    """``check(fallback, expect=…)``: `check` with that ``[relay.fallback]`` (text) while the first relay listens and
    ``second`` beside it, ``PORT`` being the second's; its --json, and its words."""

    def run(fallback: str, *, expect: int, second: Server | None = None, implicit=None) -> tuple[dict, str]:
        async def whole() -> tuple[dict, str]:
            async with serving(server), serving(second or Server(), implicit=implicit) as beside:
                monkeypatch.setenv("NOTIFIER_RELAY__PORT", str(server.port))
                path = folder / "campaign.toml"
                text = path.read_text(encoding="utf-8")
                path.write_text(re.sub(r"(?m)^\[retry\]", lambda _: f"[relay.fallback]\n{fallback}\n\n[retry]", text)
                                .replace("PORT", str(beside.port)), encoding="utf-8")  # fmt: skip
                answers = []
                for more in (["--json"], []):
                    words = ["-C", str(folder), "check", *more]
                    answers.append(await asyncio.to_thread(CliRunner().invoke, main, words))
                assert [each.exit_code for each in answers] == [expect, expect], answers[1].output
                return json.loads(answers[0].stdout), answers[1].stdout

        return asyncio.run(whole())

    return run


def told(words: str) -> dict[str, str]:
    """Which relay → its line."""
    return {match[2]: match[0] for match in re.finditer(r"(?m)^.*?(\S+) \(\[(relay[.a-z]*)\]\).*$", words)}


def test_a_fallback_that_answers_is_told_beside_the_first(check, server):
    second = Server(extensions=SIZE)
    body, words = check('host = "127.0.0.1"\nport = PORT\ntls = "none"\nrate = 0', expect=0, second=second)
    assert (body["relay"]["name"], body["fallback"]["name"]) == (
        f"127.0.0.1:{server.port}",
        f"127.0.0.1:{second.port}",
    )
    assert body["fallback"]["size"] == 10_240_000 and body["relay"]["size"] == 10_000_000
    lines = told(words)
    assert f":{server.port} " in lines["relay"] and "up to 10000000 bytes" in lines["relay"]
    assert f":{second.port} " in lines["relay.fallback"] and "up to 10240000 bytes" in lines["relay.fallback"]


@pytest.mark.thorough
def test_a_fallback_that_does_not_answer_is_told_before_the_night(check, nobody):
    body, words = check(f'host = "127.0.0.1"\nport = {nobody}\ntls = "none"\nrate = 0', expect=75)
    assert body["relay"]["answers"] and not body["fallback"]["answers"]
    assert f"127.0.0.1:{nobody}" in body["fallback"]["text"] and "[relay.fallback]" in body["fallback"]["text"]
    assert f"127.0.0.1:{nobody}" in words and "no connection" in words


@pytest.mark.thorough
def test_a_fallback_whose_certificate_does_not_verify_is_told_with_its_own_setting(check, certificate):
    body, words = check('host = "127.0.0.1"\nport = PORT\ntls = "implicit"\nrate = 0', expect=2, implicit=certificate)
    assert body["relay"]["answers"] and body["fallback"]["refused"]
    assert "does not verify" in body["fallback"]["text"] and "relay.fallback.ca_file" in body["fallback"]["text"]
    assert "relay.fallback.ca_file" in words and "127.0.0.1" in told(words)["relay"], "the others are told too"


def test_a_fallback_without_a_pace_is_a_blank(check, folder):
    body, _ = check('host = "127.0.0.1"\nport = PORT\ntls = "none"', expect=2)
    [blank] = [each for each in body["findings"] if each["severity"] == "error"]
    assert (blank["code"], blank["where"]) == ("blank", "relay.fallback.rate") and body["fallback"] is None
    rows = (folder / "campaign.toml").read_text(encoding="utf-8").split("\n")
    assert rows[blank["line"] - 1] == "[relay.fallback]"


def test_i8_a_refused_login_is_told_without_what_the_server_repeats(check, monkeypatch):
    second = Server(
        login=("clairval", "right"), refusal="535-5.7.8 {user}:{password}\n535 for a.b@courriel.example {said}"
    )
    monkeypatch.setenv("NOTIFIER_RELAY_FALLBACK_PASSWORD", "Hunter2hunter2")
    access = 'host = "127.0.0.1"\nport = PORT\ntls = "none"\nrate = 0\nusername = "clairval"'
    body, words = check(access, expect=2, second=second)
    assert body["fallback"]["answers"] and body["fallback"]["refused"] and "535" in words
    assert "Nothing blocks." not in words
    for told in (words, json.dumps(body)):
        assert "unter2" not in told and "AGNsYWly" not in told and "a.b@" not in told
        assert "<secret>" in told
    assert "\n" not in body["fallback"]["text"]


def test_without_a_fallback_there_is_one_relay(folder, server, monkeypatch):
    async def whole() -> dict:
        async with serving(server):
            monkeypatch.setenv("NOTIFIER_RELAY__PORT", str(server.port))
            words = ["-C", str(folder), "check", "--json"]
            return json.loads((await asyncio.to_thread(CliRunner().invoke, main, words)).stdout)

    body = asyncio.run(whole())
    assert body["relay"]["answers"] and body["fallback"] is None
