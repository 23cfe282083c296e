"""Messages made by another process are the same messages, for the same persons (I2), whatever becomes of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from notifier.delivery.envelopes import Ready
from notifier.delivery.recipe import Recipe
from notifier.delivery.workshop import Workshop
from notifier.errors import OperatorError
from notifier.storage import deliveries
from notifier.vault import Vault
from tests.delivery.rows import TinyNotice
from tests.relay.server import Act
from tests.relay.test_unmade import many, spoil

BENCH = {"send__benches": 1, "window": 4, "connections": 2}


def benches() -> list[int]:
    """The processes of ours that make messages now."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, parent = int(status.parent.name), int(status.read_text().rpartition(")")[2].split()[1])
            words = (status.parent / "cmdline").read_bytes().split(b"\0")
        except (OSError, IndexError):
            continue
        if parent == os.getpid() and b"notifier.delivery.workbench" in words:
            found.append(pid)
    return found


@pytest.fixture
def given(monkeypatch) -> list[int]:
    """How many claims were given to benches each time."""
    counts: list[int] = []
    give = Workshop.give

    def counted(self, claims) -> None:
        counts.append(len(claims))
        give(self, claims)

    monkeypatch.setattr(Workshop, "give", counted)
    return counts


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc which processes there are")


def assert_each_has_its_own(rows, server, vault) -> None:
    """Every delivery went out once, to its own contact, and the bytes are those whose hash was written down."""
    written = rows.all("SELECT d.token, a.number, a.notice_sha256 FROM attempts a JOIN deliveries d "
                       "ON d.id = a.delivery_id WHERE a.outcome = 'accepted'")  # fmt: skip
    hashes = {
        vault.blinded_sha256("notice", token, number, taken.data)
        for token, number, _ in written
        for taken in server.taken
        if token.hex() in taken.return_path
    }
    assert hashes == {row[2] for row in written} and len(hashes) == len(written) == len(server.taken)
    for taken in server.taken:
        assert f"To: {taken.recipient}\r\n".encode() in taken.data
    assert len({taken.recipient for taken in server.taken}) == len(server.taken)


@pytest.mark.parametrize("count", [1, 2])
def test_i2_what_a_bench_makes_is_what_its_person_gets(rows, server, sending, vault, given, caplog, count):
    rows.deliver(*many(40))
    report = sending(server, tune={**BENCH, "send__benches": count})
    assert (report.reason, report.accepted) == ("done", 40)
    assert_each_has_its_own(rows, server, vault)
    assert sum(given) >= 30 and "bench_ended" not in caplog.text, "and that they made"
    assert benches() == [], "they end with the run"


def test_i4_what_cannot_be_made_at_a_bench_is_set_aside_under_the_same_codes(rows, server, sending, vault, caplog):
    ids = rows.deliver(*many(20), "two words@courriel.example")
    spoil(rows, ids[18])
    report = sending(server, tune=BENCH)
    assert (report.accepted, report.unmade, report.refused) == (19, 1, 1)
    assert rows.state(ids[18]) == "unmade" and rows.entries("delivery_unmade")[0]["facts"]["reply"] == "unreadable"
    assert rows.state(ids[20]) == "refused" and "bench_ended" not in caplog.text
    assert_each_has_its_own(rows, server, vault)


class Broken(TinyNotice):
    """A text that fails in the middle of a run, as a fault of everybody's."""

    def render(self, fields, *, to, message_id, date):
        if to.startswith("p012"):
            raise OperatorError("the text says nothing")
        return super().render(fields, to=to, message_id=message_id, date=date)


def test_i5_a_fault_of_everybodys_at_a_bench_ends_the_run_and_gives_back_what_was_claimed(
    rows, server, sending, caplog
):
    rows.deliver(*many(40))

    async def notice_for(batch_id, segment_id):
        return Broken()

    with pytest.raises(OperatorError, match="the text says nothing"):
        sending(server, tune=BENCH, notice_for=notice_for)
    assert set(rows.states()) == {"accepted", "queued"} and rows.states()["accepted"] == len(server.taken)
    assert "bench_ended" not in caplog.text


@needs_proc
def test_i5_a_bench_that_is_killed_costs_nobody_anything(rows, server, sending, vault):
    rows.deliver(*many(60))
    server.on("p009@courriel.example", Act("mail", then="held"))
    killed: list[int] = []

    async def kill(database) -> None:
        while not (found := benches()) or len(server.taken) < 6:
            await asyncio.sleep(0.01)
        killed.extend(found)
        os.kill(found[0], signal.SIGKILL)
        server.allowed.set()

    report = sending(server, tune=BENCH, meanwhile=kill)
    assert killed and (report.reason, report.accepted, report.in_doubt) == ("done", 60, 0)
    assert_each_has_its_own(rows, server, vault)


@needs_proc
def test_i8_a_bench_has_no_key_that_signs_and_shows_none(rows, vault, settings, folder):
    (one,) = rows.deliver("p000@courriel.example")
    with closing(sqlite3.connect(folder / "campaign.db")) as connection:
        (claim,) = deliveries.fetch(connection, [one])
    results: list[Ready | None] = []

    async def look() -> tuple[bytes, bytes]:
        came = asyncio.Event()
        workshop = Workshop(lambda result: (results.append(result.ready), came.set()), lambda *_: None)
        await workshop.start(Recipe(vault, settings, frozenset(), {}, None), folder)
        await workshop.settled()
        (pid,) = benches()
        shown = [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
        workshop.tell(claim.batch_id, claim.segment_id, TinyNotice())
        workshop.give([claim.at(1_706_800_000_000)])
        await came.wait()
        workshop.close()
        return shown[0], shown[1]

    shown = asyncio.run(look())
    assert results[0] is not None and results[0].posting is not None
    keys = vault.keys_for_making()
    for key in (keys.seal, keys.identity, keys.reference):
        assert all(key not in one and key.hex().encode() not in one for one in shown)
    assert Vault(keys).fingerprint != vault.fingerprint, "it could not sign a checkpoint"


@needs_proc
def test_i5_a_bench_ends_when_its_sender_does(vault, settings, folder):
    async def leave() -> int:
        workshop = Workshop(lambda _: None, lambda *_: None)
        await workshop.start(Recipe(vault, settings, frozenset(), {}, None), folder)
        await workshop.settled()
        process = workshop._process
        workshop._process = None
        workshop._transport.abort()  # what the system does with the sockets of a process that is killed
        return await asyncio.to_thread(process.wait, 20)

    assert asyncio.run(leave()) == 0
