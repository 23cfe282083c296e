"""The desk of people_desk.py over a real database, for the tests of this room."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from notifier.campaign import Settings
from notifier.vault import Vault

sys.path.insert(0, str(Path(__file__).parent))  # the rows' dataclasses are imported by name

from people_desk import Desk


@pytest.fixture
def desk(opened: Any, vault: Vault, settings: Settings):
    """``async with desk() as d``: inside the test's own event loop."""

    @asynccontextmanager
    async def opener():
        async with opened() as database:
            yield Desk(database, vault, settings)

    return opener
