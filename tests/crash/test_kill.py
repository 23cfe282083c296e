"""I5: SIGKILL at random moments while sending, then resume: nobody lost, no duplicate that the journal does not call
in doubt, at most the window in doubt per crash."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path

from tests.relay.server import Server, serving

ROUNDS = 20
WINDOW = 16  # 4 connections of the sample
ROOT = Path(__file__).parents[2]


def test_i5_killed_twenty_times(rows, folder):
    addresses = [f"p{number}@courriel.example" for number in range(400)]
    ids = dict(zip(addresses, rows.deliver(*addresses), strict=True))
    chance = random.Random(20240209)

    async def whole() -> None:
        async with serving(Server(extensions=("PIPELINING", "SIZE 10000000", "8BITMIME", "DSN"))) as server:
            zygote = await asyncio.create_subprocess_exec(
                sys.executable,
                str(ROOT / "tests" / "crash" / "zygote.py"),
                str(folder),
                str(server.port),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            loop = asyncio.get_running_loop()
            for _ in range(ROUNDS):
                zygote.stdin.write(b"run\n")
                child = int(await zygote.stdout.readline())
                # At the n-th message from now on, or a little after it: between any two steps of the sender.
                target = len(server.taken) + chance.randrange(1, 18)
                later = chance.choice([0.0, 0.0, 0.0005, 0.002, 0.005])

                def strike(child=child, target=target, later=later) -> None:
                    if len(server.taken) == target:
                        loop.call_later(later, os.kill, child, signal.SIGKILL)

                server.on_take = strike
                assert await zygote.stdout.readline() == b"done -9\n", "killed, not ended"
                server.on_take = None
                sending = rows.states().get("sending", 0)
                assert sending <= WINDOW
            zygote.stdin.write(b"run\n")
            await zygote.stdout.readline()
            assert await zygote.stdout.readline() == b"done 0\n"
            zygote.stdin.close()
            await zygote.wait()
            judge(server)

    def judge(server: Server) -> None:
        copies = Counter(taken.recipient for taken in server.taken)
        doubted = dict(rows.all("SELECT delivery_id, COUNT(*) FROM attempts WHERE outcome = 'in_doubt' GROUP BY 1"))
        states = rows.states()
        assert set(states) <= {"accepted", "in_doubt"} and sum(states.values()) == 400
        held = {row[0] for row in rows.all("SELECT id FROM deliveries WHERE state = 'in_doubt' AND due_ms = 0")}
        for address, one in ids.items():
            assert copies[address] >= 1 or one in held, "lost"
            assert copies[address] <= 1 + doubted.get(one, 0), "a duplicate that nothing explains"
        recovered = [entry["facts"]["orphans"] for entry in rows.entries("sender_recovered")]
        assert recovered and max(recovered) <= WINDOW
        assert sum(recovered) == sum(doubted.values()) == len(rows.entries("delivery_in_doubt"))
        assert len(held) == len(rows.entries("delivery_held"))

    asyncio.run(asyncio.wait_for(whole(), 60))
