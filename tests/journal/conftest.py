"""A campaign whose journal is empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import found


@pytest.fixture(scope="session")
def _founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With an empty journal: these tests seal what they append themselves."""
    return found(tmp_path_factory.mktemp("founded") / "campaign")
