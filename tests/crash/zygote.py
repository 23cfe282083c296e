"""A process that forks a sender on each line it reads, so that a test can kill real senders without paying the
imports each time. ``PORT`` as argument, then lines ``run``; answers the child's process id, and ``done STATUS``."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from notifier.campaign import load
from notifier.delivery.sender import send
from notifier.storage.database import open_database
from notifier.vault import Vault, read_keys
from tests.delivery.rows import tiny_notice, tuned


async def one_run(folder: Path, port: int) -> None:
    vault = Vault(read_keys(folder / "campaign.key"))
    settings = tuned(load(folder, environment={}), port=port, retry__first_seconds=0.02)
    async with open_database(folder / "campaign.db", vault) as database:
        await send(database, vault, settings, folder, tiny_notice, wait=True)


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                asyncio.run(one_run(folder, port))
                status = 0
            finally:
                os._exit(status)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print("done", os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
