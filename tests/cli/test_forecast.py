"""The projected end where people read it, and a day that will not be kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from notifier.notices.bound import bound_settings

from .conftest import Run


@pytest.fixture
def slow(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Commands on a campaign that takes days, and has one."""
    run("drill", "exports", "--insured", "60", "--professionals", "4", "--seed", "7", "--out", "x")
    run("intake", "x/viamedis-insured.csv", "--profile", "viamedis-insured", expect=(0, 1))
    run("directory", "x/directory.csv", "--profile", "directory", "--as-of", "2024-01-31", expect=(0, 1))
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    monkeypatch.setenv("NOTIFIER_RELAY__RATE", "2e-05")
    monkeypatch.setenv("NOTIFIER_CAMPAIGN__NOTIFY_BY", f"{tomorrow:%Y-%m-%d}")
    return run


def codes(run: Run) -> dict[str, dict]:
    findings = json.loads(run("check", "--json", expect=(0, 1, 2, 75)).stdout)["findings"]
    return {each["code"]: each for each in findings}


@pytest.mark.thorough
def test_a_day_that_will_be_missed_is_refused_until_somebody_accepts_it_in_writing(
    slow: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFIER_RELAY__HOST", "")
    assert "notify-by-missed" not in codes(slow), "nothing is planned: nothing is projected"
    planned = json.loads(slow("plan", "--forecast", "--json", expect=(0, 1)).stdout)
    ahead = planned["forecast"]
    assert sum(day["messages"] for day in ahead["days"]) == ahead["messages"] > 10
    assert sum(each["messages"] for each in ahead["providers"]) == ahead["messages"]
    assert ahead["ends_at"] == max(each["ends_at"] for each in ahead["providers"])
    found = codes(slow)["notify-by-missed"]
    assert found["severity"] == "error" and "relay.rate (2e-05 per second)" in found["text"]
    monkeypatch.setenv("NOTIFIER_RELAY__HOST", "127.0.0.1")
    said = slow("approve", "--yes", expect=2).output
    assert "the projected end is" in said and "late_because" in said
    assert "the projected end is" in slow("approve", "--request", "--out", "dossier", expect=2).output

    monkeypatch.setenv("NOTIFIER_CAMPAIGN__LATE_BECAUSE", "Nour Diallo, 9 February: the relay is what it is")
    found = codes(slow)
    assert "notify-by-missed" not in found and found["notify-by-accepted"]["severity"] == "warning"
    assert "Nour Diallo" in found["notify-by-accepted"]["text"]
    slow("approve", "--yes", expect=(0, 1))
    rehearsed = slow("send", "--dry-run").stdout
    assert "LATE: that is after notify_by" in rehearsed, "sending goes on, and says so"


def test_status_tells_the_end_by_day_and_provider_in_a_few_lines(slow: Run) -> None:
    assert "Projected end" not in slow("status").stdout and json.loads(slow("status", "--json").stdout)["forecast"][
        "ends_at"
    ] is None  # fmt: skip
    slow("plan", expect=(0, 1))
    told = [line for line in slow("status").stdout.splitlines() if line.startswith(("Projected", "  by ", "  LATE"))]
    assert len(told) in (3, 4) and "limited by relay.rate (2e-05 per second)" in told[0]
    assert told[1].startswith("  LATE") and "days more" in told[2]
    assert set(json.loads(slow("status", "--json").stdout)["forecast"]) >= {"days", "providers", "ends_at"}
    assert "the projected end is" in slow("approve", "--yes", expect=2).output


def test_a_dry_run_of_a_plan_forecasts_nothing(run: Run) -> None:
    assert "leave one of them out" in run("plan", "--dry-run", "--forecast", expect=2).output


def test_a_rate_for_a_provider_that_nobody_knows_blocks(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFIER_RELAY__HOST", "")
    monkeypatch.setenv("NOTIFIER_PACE__RATES__ORAGE", "1.5")
    found = codes(run)["pace-unknown-provider"]
    assert found["severity"] == "error" and found["file"] == "NOTIFIER_PACE__RATES__ORAGE"


def test_a_providers_rate_is_not_bound_and_the_policy_is(settings) -> None:
    """I7: an operator must be able to slow a provider down at night; whether proposals are kept was approved."""

    def bound(**pace):
        return bound_settings(settings.model_copy(update={"pace": settings.pace.model_copy(update=pace)}))

    assert bound(rates={"orange": 0.5}) == bound()
    assert bound(providers=True) != bound() != bound(warm_up=(100,))
