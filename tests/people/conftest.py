"""The desk of people_desk.py over a real database, for the tests of this room."""

from __future__ import annotations

import shutil
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from notifier.campaign import Settings
from notifier.storage.database import open_database
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


@pytest.fixture
def desk_anew(folder: Path, vault: Vault, settings: Settings, tmp_path_factory: pytest.TempPathFactory):
    """A desk over an empty database each time it is opened: for properties, which run more than once in a test."""

    @asynccontextmanager
    async def opener():
        path = tmp_path_factory.mktemp("anew") / "campaign.db"
        shutil.copy(folder / "campaign.db", path)
        async with open_database(path, vault) as database:
            yield Desk(database, vault, settings)

    return opener
