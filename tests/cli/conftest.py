"""What the command line's tests share: a campaign, and its commands in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from notifier.cli.main import main

Run = Callable[..., Result]


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """``run(*words, expect=0, typed="")``: one command on the campaign, in an empty folder; ``expect``: its exit
    code, or those that will do."""
    monkeypatch.chdir(tmp_path)

    def runner(*words: str | Path, expect: int | tuple[int, ...] = 0, typed: str = "") -> Result:
        result = CliRunner().invoke(main, ["-C", str(folder), "--by", "Nour Diallo", *map(str, words)], input=typed)
        assert result.exit_code in ((expect,) if isinstance(expect, int) else expect), result.output
        return result

    return runner
