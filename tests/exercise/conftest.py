"""One drill, cut off in its middle and run again: what the tests of this folder look at."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from notifier.exercise.course import Order
from notifier.exercise.drill import DrillDone, run_drill
from tests.stories.conftest import nursery, sink

__all__ = ["sink"]  # a fixture


@dataclass
class Operator:
    """Starts each command as a process; the power goes out, once, when ``cut_at`` has done its work and before anybody
    has noted it."""

    cut_at: str = ""
    typed: list[str] = field(default_factory=list)

    def __call__(self, arguments: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        command = arguments[4]
        self.typed.append(command)
        done = nursery().run(arguments, dict(environment))
        if command == self.cut_at:
            self.cut_at = ""
            raise KeyboardInterrupt
        return done


@dataclass(frozen=True)
class Drilled:
    order: Order
    operator: Operator
    before: list[str]  # commands before the power went out
    done: DrillDone

    @property
    def folder(self) -> Path:
        return self.order.folder


@pytest.fixture(scope="session")
def drilled(tmp_path_factory: pytest.TempPathFactory) -> Drilled:
    order = Order(tmp_path_factory.mktemp("drill") / "exercice", insured=52, professionals=3, seed=3, by="Nour Diallo")
    operator = Operator(cut_at="approve")
    with pytest.raises(KeyboardInterrupt):
        run_drill(order, ask=None, say=lambda _: None, start=operator)
    before = list(operator.typed)
    operator.typed.clear()
    return Drilled(order, operator, before, run_drill(order, ask=None, say=lambda _: None, start=operator))
