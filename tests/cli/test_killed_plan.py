"""What `kill -9` of `plan` leaves beside the database: named by who looks, removed by who writes, never under a plan
that lives."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from notifier.storage import database as storage

PLANS = """
import asyncio, sys
from pathlib import Path
from notifier.storage.database import open_database
from notifier.vault import Keys, Vault

async def work():
    folder = Path(sys.argv[1])
    vault = Vault(Keys.load((folder / "campaign.key").read_text(), "the test's key"))
    async with open_database(folder / "campaign.db", vault) as database, database.plan():
        (folder / "campaign.db-plan").write_bytes(b"half a plan")
        print("planning", flush=True)
        sys.stdin.read()

asyncio.run(work())
"""


@contextmanager
def planning(folder: Path) -> Iterator[None]:
    """A plan in the middle of its work, in a process of its own, which is killed in the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", PLANS, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "planning\n"
        yield
    finally:
        process.kill()
        process.communicate()


def test_a_killed_plans_file_goes_with_the_next_command_that_writes_and_not_before(run, folder, monkeypatch):
    monkeypatch.setattr(storage, "PRAGMAS", [*storage.PRAGMAS, "PRAGMA busy_timeout = 20"])
    left = folder / "campaign.db-plan"
    with planning(folder):
        run("pause", expect=75)
        assert left.read_bytes() == b"half a plan", "the plan lives, and holds the lock"
    assert str(left) in run("status").stdout and left.exists(), "who looks changes nothing"
    assert json.loads(run("status", "--json").stdout)["plan_file"] == str(left)
    run("pause")
    assert not left.exists()
    assert str(left) not in run("status").stdout
    assert json.loads(run("status", "--json").stdout)["plan_file"] is None


@pytest.mark.parametrize("command", [("plan",), ("intake", "--undo", "0c4f1e2a0c4f1e2a")])
def test_it_goes_though_the_command_has_nothing_to_do(run, folder, command):
    with planning(folder):
        pass
    run(*command, expect=(0, 1, 2))
    assert not (folder / "campaign.db-plan").exists()
