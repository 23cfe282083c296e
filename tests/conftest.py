"""Fixtures that every room's tests share: a real key, a real database in tmp_path, the sample's settings."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from notifier.campaign import Settings, load, shipped
from notifier.foundation import begin_head, begin_journal
from notifier.storage.database import Database, create_database, open_database
from notifier.vault import Keys, Vault, write_key_file

# A busy machine is no failure: no example has a time limit.
hypothesis_settings.register_profile("unhurried", deadline=None)
hypothesis_settings.load_profile("unhurried")

# Behind an `&` of a script, or nohup, these are ignored, and stay so in all that is started (delivery/signals.py keeps
# it so, too). Tests send them to themselves and to the programs that they start.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

NOW = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


def found(founded: Path) -> Path:
    """A sample campaign whose journal is empty still."""
    founded.mkdir()
    shutil.copy(shipped("data") / "campaign" / "sample.toml", founded / "campaign.toml")
    keys = Keys.new("test-campaign")
    write_key_file(founded / "campaign.key", keys)
    create_database(founded / "campaign.db", Vault(keys), NOW)
    return founded


@pytest.fixture(scope="session")
def _founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One campaign, made once: running the migrations for every test would cost minutes."""
    founded = found(tmp_path_factory.mktemp("founded") / "campaign")
    keys = Keys.load((founded / "campaign.key").read_text(), "the test's key")
    asyncio.run(begin_journal(founded / "campaign.db", Vault(keys), NOW))
    asyncio.run(begin_head(founded / "campaign.db", Vault(keys), founded / "campaign.head"))
    return founded


@pytest.fixture
def folder(tmp_path: Path, _founded: Path) -> Path:
    """A sample campaign's folder: campaign.toml, key, database."""
    return Path(shutil.copytree(_founded, tmp_path / "campaign"))


@pytest.fixture
def vault(folder: Path) -> Vault:
    return Vault(Keys.load((folder / "campaign.key").read_text(), "the test's key"))


@pytest.fixture
def settings(folder: Path) -> Settings:
    return load(folder, environment={})


@pytest.fixture
def opened(folder: Path, vault: Vault):
    """``async with opened() as database``: inside the test's own event loop (``asyncio.run``)."""

    @asynccontextmanager
    async def opener() -> AsyncIterator[Database]:
        async with open_database(folder / "campaign.db", vault) as database:
            yield database

    return opener


@pytest.fixture(autouse=True)
def _no_override(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A developer's own NOTIFIER_… variables must not steer a test, nor a test leave anything in their home."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / "config"))
    for variable in list(os.environ):
        if variable.startswith("NOTIFIER_"):
            monkeypatch.delenv(variable)
