"""Stories: files in, mailbox and proof out; the command line as a process, a real SMTP server beside it."""

from __future__ import annotations

import asyncio
import atexit
import email
import email.policy
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

SECONDS = 120


@dataclass
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)


class Nursery:
    """Starts commands as processes whose modules are loaded already (nursery.py)."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="nursery-"))
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("nursery.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self._end)

    def run(self, argv: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        out, err = self._folder / "out", self._folder / "err"
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"argv": argv, "env": env, "out": str(out), "err": str(err)}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        code = int(self._process.stdout.readline())
        return subprocess.CompletedProcess(argv, code, out.read_text("utf-8"), err.read_text("utf-8"))

    def _end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(SECONDS)
        shutil.rmtree(self._folder)


@cache
def nursery() -> Nursery:
    """One for each worker of the tests."""
    return Nursery()


@dataclass
class Cli:
    """`notifier`, as an operations team runs it."""

    campaign: Path
    environment: dict[str, str] = field(default_factory=dict)

    def argv(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "notifier.cli.main", "-C", str(self.campaign), *map(str, arguments)]

    def env(self, **more: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFIER_")}
        return {**inherited, **self.environment, **more}

    def __call__(self, *arguments: str | Path, expect: int | tuple[int, ...] = 0, **environment: str) -> Answer:
        done = nursery().run(["-C", str(self.campaign), *map(str, arguments)], self.env(**environment))
        expected = (expect,) if isinstance(expect, int) else expect
        assert done.returncode in expected, f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)


@dataclass
class Sink:
    """An SMTP server that takes everything and remembers it. ``answers``: what it says instead, by recipient."""

    port: int
    answers: dict[str, str] = field(default_factory=dict)
    silent: bool = False  # takes a message, and never answers
    asked: threading.Event = field(default_factory=threading.Event)  # then
    accepted: list[tuple[str, bytes]] = field(default_factory=list)

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:
        assert len(envelope.rcpt_tos) == 1
        if self.silent:
            self.asked.set()
            await asyncio.Event().wait()
        if answer := self.answers.get(envelope.rcpt_tos[0]):
            return answer
        self.accepted.append((envelope.rcpt_tos[0], envelope.original_content))
        return "250 2.0.0 Ok"

    @property
    def mailboxes(self) -> Counter[str]:
        return Counter(recipient for recipient, _content in self.accepted)

    def messages(self) -> Iterator[tuple[str, EmailMessage]]:
        for recipient, content in self.accepted:
            message = email.message_from_bytes(content, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            yield recipient, message


@pytest.fixture
def sink() -> Iterator[Sink]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sink = Sink(port)
    controller = Controller(sink, hostname="127.0.0.1", port=port)
    controller.start()
    yield sink
    controller.stop()


@pytest.fixture
def cli(tmp_path: Path, sink: Sink) -> Cli:
    """A sample campaign whose relay is the sink."""
    cli = Cli(
        tmp_path / "campaign",
        {
            "NOTIFIER_RELAY__PORT": str(sink.port),
            "NOTIFIER_RETRY__FIRST_SECONDS": "0.3",
            "HOME": str(tmp_path),
        },
    )
    cli("init", cli.campaign, "--sample")
    return cli
