"""What a drill has done so far: one JSON file, written anew after each step, complete or not at all.

It is what makes `drill run` safe to run twice: a step that stands in it is not done again, a decision that was taken is
not asked again.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from notifier.errors import OperatorError

FILE = "exercice.json"
FORMAT = "notifier-drill/1"


@dataclass
class StepTaken:
    """One step as it ended. ``facts``: counts that the report tells; ``error``: "" = it went well."""

    name: str
    title: str
    began: str
    seconds: float
    facts: dict[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass
class DecisionTaken:
    """What was decided, how long that took, and whether somebody was asked (else the default was taken)."""

    name: str
    question: str
    answer: str
    asked: bool
    seconds: float


@dataclass
class Logbook:
    """``options``: what `drill run` was asked for; they stay the same for a folder."""

    path: Path
    options: dict[str, Any]
    steps: list[StepTaken] = field(default_factory=list)
    decisions: list[DecisionTaken] = field(default_factory=list)
    finished: bool = False

    @classmethod
    def open(cls, folder: Path, options: dict[str, Any]) -> Logbook:
        """The folder's logbook, or a new one in a folder that is new or empty. Raises OperatorError for a folder with
        anything else in it, or made with other options."""
        path = folder / FILE
        if not path.is_file():
            if folder.exists() and any(folder.iterdir()):
                raise OperatorError(f"{folder} is not empty and holds no drill: name a new folder")
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            book = cls(path, options)
            book.write()
            return book
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
            book = cls(
                path,
                body["options"],
                [StepTaken(**step) for step in body["steps"]],
                [DecisionTaken(**decision) for decision in body["decisions"]],
                body["finished"],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OperatorError(f"{path} cannot be read: name a new folder") from error
        if differing := sorted(key for key in options if options[key] != book.options.get(key)):
            raise OperatorError(
                f"the drill in {folder} was begun with another {differing[0]}: the same again, or a new folder"
            )
        return book

    def write(self) -> None:
        """Complete or not at all."""
        body = {
            "format": FORMAT,
            "options": self.options,
            "steps": [asdict(step) for step in self.steps],
            "decisions": [asdict(decision) for decision in self.decisions],
            "finished": self.finished,
        }
        partial = self.path.with_name(f".{self.path.name}")
        with partial.open("w", encoding="utf-8") as file:
            json.dump(body, file, ensure_ascii=False, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)

    def step(self, name: str) -> StepTaken | None:
        """The step of that name, if it went well."""
        return next((step for step in self.steps if step.name == name and not step.error), None)

    def add_step(self, step: StepTaken) -> None:
        """In the place of an earlier try that failed."""
        self.steps = [each for each in self.steps if each.name != step.name] + [step]
        self.write()

    def decision(self, name: str) -> str | None:
        """What was decided."""
        return next((each.answer for each in self.decisions if each.name == name), None)

    def add_decision(self, decision: DecisionTaken) -> None:
        self.decisions = [each for each in self.decisions if each.name != decision.name] + [decision]
        self.write()
