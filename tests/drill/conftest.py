"""One drill of 2,000 insured and 200 professionals that the tests of this room read."""

from __future__ import annotations

from pathlib import Path

import pytest

from notifier.drill.exports import DrillReport, make_exports


@pytest.fixture(scope="session")
def drill_report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DrillReport]:
    out = tmp_path_factory.mktemp("drill")
    return out, make_exports(out, insured=2000, professionals=200, seed=7, unusable_rows=3)


@pytest.fixture(scope="session")
def drill(drill_report: tuple[Path, DrillReport]) -> Path:
    return drill_report[0]
