"""What `plan`, `people find` and `directory` say to whoever has to act on it at night."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result

from notifier.intake.verdicts import ALARMS

from .conftest import Run

pytestmark = pytest.mark.thorough


@pytest.fixture
def run(run: Run) -> Run:
    """Commands on a drill's files, taken in; 1 will do as an exit code."""

    def runner(*words: str | Path, expect: tuple[int, ...] = (0, 1)) -> Result:
        return run(*words, expect=expect)

    runner("drill", "exports", "--insured", "60", "--professionals", "4", "--seed", "7", "--out", "x")
    runner("intake", "x/viamedis-insured.csv", "--profile", "viamedis-insured")
    runner("directory", "x/directory.csv", "--profile", "directory", "--as-of", "2024-01-31")
    return runner


def test_each_route_is_told_with_its_reasons_and_their_numbers(run: Run) -> None:
    body = json.loads(run("plan", "--dry-run", "--json").stdout)
    for route, reasons in body["by_reason"].items():
        assert sum(reasons.values()) == body["by_route"][route]
    told = run("plan", "--dry-run").stdout
    for reasons in body["by_reason"].values():
        for reason, count in reasons.items():
            assert f"{reason.replace('_', ' ')} {count}" in told
    assert body["by_reason"]["email"]["own_mailbox"] > 0


@pytest.mark.parametrize("who", ["wave=intial", "sender=nobody", "incident=nothing", "segment=99999"])
def test_I1_a_choice_that_names_nothing_makes_no_wave(run: Run, who: str) -> None:
    run("plan")
    before = run("status", "--json").stdout
    said = run("plan", "--wave", "news", "--kind", "follow-up", "--who", who, expect=(2,)).output
    assert who.partition("=")[2] in said
    assert run("status", "--json").stdout == before


def test_a_reference_that_is_nobodys_is_said_to_be_so(run: Run) -> None:
    said = run("people", "find", "--reference", "0A1B-2C3D-4E5F", expect=(1,)).stdout
    assert "no notice of this campaign bears this reference" in said
    assert "no sender" not in said


def test_the_alarm_of_a_shared_mailbox_names_the_step_that_works() -> None:
    assert "run `plan`" in ALARMS["shared_mailbox"]
