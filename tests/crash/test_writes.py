"""Every commit of the sender × {failed, failed but persisted}: the run stops, the next one resumes, nobody is lost."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from notifier.delivery.sender import send
from notifier.errors import StorageError
from notifier.storage import cycle
from tests.delivery.rows import tiny_notice, tuned
from tests.relay.server import Act, Server, serving

WINDOW = 3


class Faulty(sqlite3.Connection):
    """A disk that fails at one commit."""

    fails_at = 0
    persists = False
    commits = 0

    def execute(self, sql, *values):
        if sql != "COMMIT":
            return super().execute(sql, *values)
        cls = type(self)
        cls.commits += 1
        if cls.commits != cls.fails_at:
            return super().execute(sql, *values)
        if cls.persists:
            super().execute(sql)
        raise sqlite3.OperationalError("disk I/O error")


@pytest.mark.parametrize("persists", [False, True], ids=["failed", "failed_but_persisted"])
def test_i4_i5_every_write(rows, folder, vault, settings, opened, monkeypatch, persists):
    connect = sqlite3.connect
    failed = 0
    for fails_at in range(1, 100):
        addresses = [f"f{fails_at}-{number}@courriel.example" for number in range(5)]
        ids = dict(zip(addresses, rows.deliver(*addresses), strict=True))
        already = len(rows.entries("sender_recovered"))

        async def whole(ids=ids, addresses=addresses, fails_at=fails_at) -> bool:
            server = Server()
            server.on(addresses[0], Act("rcpt", "550 5.1.1 unknown"))
            server.on(addresses[1], Act("rcpt", "450 4.2.0 later"))
            async with serving(server), opened() as database:
                chosen = tuned(settings, port=server.port, connections=2, window=WINDOW)
                Faulty.fails_at, Faulty.persists, Faulty.commits = fails_at, persists, 0
                with monkeypatch.context() as patch:
                    patch.setattr(cycle.sqlite3, "connect", lambda *a, **k: connect(*a, factory=Faulty, **k))
                    try:
                        await send(database, vault, chosen, folder, tiny_notice)
                        broke = False
                    except StorageError:
                        broke = True
                for hours in (1, 2, 3):  # what is deferred or to be resent is due
                    await send(
                        database,
                        vault,
                        chosen,
                        folder,
                        tiny_notice,
                        clock=lambda hours=hours: datetime.now(UTC) + timedelta(hours=hours),
                    )
            judge(server, ids)
            return broke

        def judge(server: Server, ids: dict[str, int]) -> None:
            copies = Counter(taken.recipient for taken in server.taken)
            doubts = 0
            for number, (address, one) in enumerate(ids.items()):
                doubted = rows.one("SELECT COUNT(*) FROM attempts WHERE delivery_id = ? AND outcome = 'in_doubt'", one)
                doubts += doubted
                state = rows.state(one)
                refused = number == 0
                assert state == ("refused" if refused and not copies[address] else "accepted")
                assert (refused and state == "refused") or 1 <= copies[address] <= 1 + doubted
            assert doubts <= WINDOW

        if not asyncio.run(whole()):
            break
        failed += 1
        assert len(rows.entries("sender_recovered")) <= already + 1
    assert failed >= 12, "it really failed at many commits"
