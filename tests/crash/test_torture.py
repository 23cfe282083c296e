"""I3, I4, I5: a short round of benchmarks/torture.py, with every disaster once but the steps of the clock.

The relay misbehaves at every phase; afterwards its ledger and the campaign's are compared, the account balances, and
the proof verifies.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from send import campaign, free_port
from torture import DISASTERS, torment, turn_the_clock

pytestmark = pytest.mark.thorough


def test_i5_every_disaster_once(tmp_path):
    port, logs = free_port(), tmp_path / "logs"
    logs.mkdir()
    (tmp_path / "disk").mkdir()
    folder = tmp_path / "disk" / "campaign"
    campaign(folder, 600, port)
    disasters = [each for each in DISASTERS if each is not turn_the_clock]  # libfaketime makes them long
    account = asyncio.run(torment(folder, logs, port, kills=len(disasters), every=1, seed=1, disasters=disasters))
    assert account.faults == [], account
    assert account.events["kill -9"] >= 3, account
    struck = {"SIGSTOP", "disk full", "database locked", "relay restarted", "bench killed", "clerk killed"}
    assert struck <= set(account.events), account
