"""SIGSTOP, then a second `send`, then SIGCONT: a process that is stopped still holds the lock (I5)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from notifier.campaign import load
from notifier.delivery.sender import send
from notifier.errors import CampaignBusy
from notifier.storage.database import open_database
from tests.delivery.rows import tiny_notice, tuned
from tests.relay.server import Server, serving

ROOT = Path(__file__).parents[2]


def test_i3_i5_a_stopped_sender_holds_its_lock_and_goes_on(rows, folder, vault):
    addresses = [f"p{number}@courriel.example" for number in range(60)]
    rows.deliver(*addresses)

    async def whole() -> Server:
        async with serving(Server()) as server:
            zygote = await asyncio.create_subprocess_exec(
                sys.executable,
                str(ROOT / "tests" / "crash" / "zygote.py"),
                str(folder),
                str(server.port),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            stopped = asyncio.Event()

            def stop() -> None:
                if len(server.taken) == 20:
                    os.kill(child, signal.SIGSTOP)
                    stopped.set()

            server.on_take = stop
            zygote.stdin.write(b"run\n")
            child = int(await zygote.stdout.readline())
            await stopped.wait()
            async with open_database(folder / "campaign.db", vault) as database:
                settings = tuned(load(folder, environment={}), port=server.port)
                with pytest.raises(CampaignBusy, match=f"process {child} since"):
                    await send(database, vault, settings, folder, tiny_notice)
            os.kill(child, signal.SIGCONT)
            assert await zygote.stdout.readline() == b"done 0\n"
            zygote.stdin.close()
            await zygote.wait()
        return server

    server = asyncio.run(asyncio.wait_for(whole(), 60))
    assert rows.states() == {"accepted": 60}
    assert Counter(taken.recipient for taken in server.taken) == Counter(addresses)
