"""Traps cost little memory: measured in a process of its own, on the files that benchmarks/hostile.py makes larger."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

MEGABYTES = 128
BOUND = 64  # megabytes beside the program itself: half of the line, a twentieth of what the bombs unpack to


@pytest.fixture(scope="module")
def hostile() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "hostile.py"
    spec = importlib.util.spec_from_file_location("hostile", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("make", "says"),
    [
        ("long_line", "a row is longer than 2 MB"),
        ("gzip_bomb", "200 times its size"),
        ("workbook_bomb", "200 times its size"),
    ],
)
def test_a_trap_is_one_clear_line_within_bounded_memory(hostile: ModuleType, tmp_path, make: str, says: str) -> None:
    path = tmp_path / "trap"
    getattr(hostile, make)(path, MEGABYTES if make != "gzip_bomb" else MEGABYTES // 10)
    told = subprocess.run([sys.executable, "-c", hostile.TAKE, str(path)], capture_output=True, text=True, check=True)
    found = re.search(r"(\d+) MB more than the program itself: (.*)", told.stdout)
    assert found is not None
    assert says in found[2]
    assert int(found[1]) < BOUND
