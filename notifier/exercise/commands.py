"""The drill's commands: the ones that an operator would type, each a process of its own, timed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from notifier.errors import NotifierError

# Of somebody's own settings only the relay's may reach a drill, and only one that writes to own addresses.
_RELAY = ("NOTIFIER_RELAY__", "NOTIFIER_RELAY_PASSWORD")

Start = Callable[[list[str], Mapping[str, str]], "subprocess.CompletedProcess[str]"]


class StepFailed(NotifierError):
    """A command ended otherwise than it should; the text is its own last line. ``facts``: what the report tells all
    the same."""

    def __init__(self, text: str, facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.facts = dict(facts or {})


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended. ``body``: its --json answer."""

    code: int
    body: dict[str, Any]
    seconds: float


def start_process(arguments: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run ``notifier`` with these arguments to its end."""
    return subprocess.run(
        [sys.executable, "-m", "notifier.cli.main", *arguments],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def own_environment(*, with_relay: bool) -> dict[str, str]:
    """This process' variables, without those that steer another campaign (its key, its folder, its settings)."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("NOTIFIER_") or (with_relay and name.startswith(_RELAY))
    }


@dataclass(frozen=True)
class Commands:
    """``commands(*words)``: one command on the drill's campaign, answered as JSON."""

    campaign: Path
    by: str
    environment: Mapping[str, str]
    start: Start = start_process

    def __call__(self, *words: str | Path, expect: tuple[int, ...] = (0, 1)) -> Answer:
        """Raises StepFailed, with the command's last line, if it ends with another code."""
        began = time.monotonic()
        arguments = ["-C", str(self.campaign), "--by", self.by, *map(str, words), "--json", "--yes"]
        done = self.start(arguments, self.environment)
        seconds = time.monotonic() - began
        if done.returncode not in expect:
            told = (done.stderr or done.stdout).strip().splitlines()
            raise StepFailed(f"{words[0]}: {told[-1] if told else f'exit {done.returncode}'}")
        try:
            body = json.loads(done.stdout)
        except ValueError as error:
            raise StepFailed(f"{words[0]}: its answer is no JSON") from error
        return Answer(done.returncode, body, seconds)
