"""What processes beside the sender make and write is what it would, for the same persons (I2, I4), whatever becomes of
them (I5)."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from notifier.delivery import making, registry, staff
from notifier.delivery.clerical import Office
from notifier.delivery.envelopes import Ready
from notifier.delivery.frames import portable
from notifier.delivery.limits import Limits
from notifier.delivery.orders import Setup
from notifier.delivery.registry import Registry
from notifier.delivery.replies import load_rules
from notifier.delivery.turn import Wish
from notifier.delivery.workshop import Workshop
from notifier.errors import CampaignBusy, NotifierError, OperatorError
from notifier.model import Entry
from notifier.proof.verifier.verify import Ledger
from notifier.storage import deliveries
from notifier.vault import Vault
from tests.delivery.rows import TinyNotice, tiny_notice
from tests.relay.server import Act
from tests.relay.test_unmade import many, spoil

CLERK, BENCH = "notifier.delivery.clerk", "notifier.delivery.workbench"


def beside(count: int) -> dict:
    """Settings: a clerk that makes the messages too, or with two processes one that does not, and a bench."""
    return {"send__processes": count, "window": 4, "connections": 2}


def processes(module: str) -> list[int]:
    """Those of ours that run it now."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, parent = int(status.parent.name), int(status.read_text().rpartition(")")[2].split()[1])
            words = (status.parent / "cmdline").read_bytes().split(b"\0")
        except (OSError, IndexError):
            continue
        if parent == os.getpid() and module.encode() in words:
            found.append(pid)
    return found


@pytest.fixture(autouse=True)
def findable(monkeypatch) -> None:
    """The renderers of these tests, for the processes."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


@pytest.fixture
def came(monkeypatch) -> list[str]:
    """Each message that came from a process, by the module of who made it."""
    made: list[str] = []
    heard = Workshop._hear

    def hear(self, results) -> None:
        made.extend(self.module for one in results.results if one[1])
        heard(self, results)

    monkeypatch.setattr(Workshop, "_hear", hear)
    return made


class Parted(TinyNotice):
    """In parts, as compiled notices are: a person's own, and fixed ones."""

    fixed = (b"X-Fixed: 1\r\n\r\nBonjour ", b",\r\n.\r\n..une ligne\r\n.autre\r\n")

    def parts(self, fields, *, to, message_id, date):
        head = f"From: a@b.example\r\nTo: {to}\r\nMessage-ID: {message_id}\r\nDate: {date:%d %b %Y} 00:00:00 +0000\r\n"
        return [head.encode(), self.fixed[0], fields.contact.full_name.encode(), self.fixed[1]]


async def parted(batch_id: int, segment_id: int) -> Parted:
    return Parted()


thorough = pytest.mark.thorough  # each process takes a second to start
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


@pytest.mark.parametrize(
    ("count", "maker", "notice_for"),
    [
        (1, CLERK, parted),
        pytest.param(1, CLERK, tiny_notice, marks=thorough),
        pytest.param(2, BENCH, parted, marks=thorough),
        pytest.param(3, BENCH, tiny_notice, marks=thorough),
    ],
)
def test_i2_what_they_make_is_what_its_person_gets(
    rows, server, sending, vault, came, caplog, count, maker, notice_for
):
    rows.deliver(*many(40))
    report = sending(server, tune=beside(count), notice_for=notice_for)
    assert (report.reason, report.accepted) == ("done", 40)
    assert_each_has_its_own(rows, server, vault)
    assert len(came) >= 30 and set(came) == {maker} and "process_ended" not in caplog.text
    assert processes(CLERK) == processes(BENCH) == [], "they end with the run"
    read = Ledger("")
    for entry in rows.entries():
        read.add(entry)
    assert set(read.states.values()) == {"accepted"} and len(read.states) == 40, "each has its entry (I4)"


@thorough
@pytest.mark.parametrize("count", [1, 2])
def test_i4_what_they_cannot_make_is_set_aside_under_the_same_codes(rows, server, sending, vault, caplog, count):
    ids = rows.deliver(*many(20), "two words@courriel.example")
    spoil(rows, ids[18])
    report = sending(server, tune=beside(count))
    assert (report.accepted, report.unmade, report.refused) == (19, 1, 1)
    assert rows.state(ids[18]) == "unmade" and rows.entries("delivery_unmade")[0]["facts"]["reply"] == "unreadable"
    assert rows.state(ids[20]) == "refused" and "process_ended" not in caplog.text
    assert_each_has_its_own(rows, server, vault)


def test_i4_outcomes_of_every_kind_are_written_by_a_clerk_as_by_the_sender(rows, server, sending, vault):
    """Refused, put off, throttled, in doubt, expired at once: the same states, entries and letters."""

    def run(prefix: str, count: int) -> list[tuple]:
        names = [f"{prefix}{number}@courriel.example" for number in range(12)]
        ids = rows.deliver(*names)
        server.on(names[8], Act("rcpt", "550 5.1.1 no such user"))
        server.on(names[9], Act("rcpt", "452 4.2.2 mailbox full"))
        server.on(names[10], Act("final", then="take_drop"))
        server.on(names[11], Act("final", "450 4.7.1 try again later"))
        sending(server, tune={**beside(count), "connections": 1})
        found = []
        for one in ids:
            attempts = rows.all(
                "SELECT outcome, phase, code, substr(reply, 1, 16) FROM attempts WHERE delivery_id = ?", one
            )
            token = rows.one("SELECT token FROM deliveries WHERE id = ?", one).hex()
            kinds = [entry["kind"] for entry in rows.entries() if entry["subject"] == token]
            letters = rows.one("SELECT COUNT(*) FROM deliveries WHERE replaces_id = ?", one)
            found.append((rows.state(one), attempts, kinds, letters))
        return found

    alone, clerk = run("a", 0), run("b", 1)
    assert alone == clerk and {state for state, *_ in alone} == {"accepted", "refused", "deferred", "in_doubt"}


class Broken(TinyNotice):
    """A text that fails in the middle of a run, as a fault of everybody's."""

    def render(self, fields, *, to, message_id, date):
        if to.startswith("p012"):
            raise OperatorError("the text says nothing")
        return super().render(fields, to=to, message_id=message_id, date=date)


@thorough
@pytest.mark.parametrize("count", [1, 2])
def test_i5_a_fault_of_everybodys_ends_the_run_and_gives_back_what_was_claimed(rows, server, sending, caplog, count):
    rows.deliver(*many(40))

    async def notice_for(batch_id, segment_id):
        return Broken()

    with pytest.raises(OperatorError, match="the text says nothing"):
        sending(server, tune=beside(count), notice_for=notice_for)
    assert set(rows.states()) == {"accepted", "queued"} and rows.states()["accepted"] == len(server.taken)
    assert "process_ended" not in caplog.text


def killing(server, module: str, killed: list[int], how: signal.Signals = signal.SIGKILL):
    """``meanwhile``: kill such a process, or stop it, once some messages are taken."""

    async def kill(database) -> None:
        while not (found := processes(module)) or len(server.taken) < 6:
            await asyncio.sleep(0.01)
        killed.extend(found)
        os.kill(found[0], how)
        server.allowed.set()

    return kill


@thorough
@needs_proc
def test_i5_a_bench_that_is_killed_costs_nobody_anything(rows, server, sending, vault):
    rows.deliver(*many(60))
    server.on("p009@courriel.example", Act("rcpt", then="held"))
    killed: list[int] = []
    report = sending(server, tune=beside(2), meanwhile=killing(server, BENCH, killed))
    assert killed and (report.reason, report.accepted, report.in_doubt) == ("done", 60, 0)
    assert_each_has_its_own(rows, server, vault)


@needs_proc
def test_i5_a_clerk_that_is_killed_costs_nobody_anything(rows, server, sending, vault):
    """The sender goes on alone; in the middle of a cycle: test_clerk_gone.py."""
    rows.deliver(*many(60))
    server.on("p009@courriel.example", Act("rcpt", then="held"))
    killed: list[int] = []
    report = sending(server, tune=beside(1), meanwhile=killing(server, CLERK, killed))
    assert killed and (report.reason, report.accepted, report.in_doubt) == ("done", 60, 0)
    assert_each_has_its_own(rows, server, vault)


@thorough
@needs_proc
def test_i1_a_process_that_stands_still_keeps_nobodys_message(rows, server, sending, vault, monkeypatch):
    monkeypatch.setattr(staff, "SILENT_SECONDS", 0.3)
    monkeypatch.setattr(making, "LOOK_SECONDS", 0.05)
    rows.deliver(*many(60))
    server.on("p009@courriel.example", Act("rcpt", then="held"))
    stopped: list[int] = []
    report = sending(server, tune=beside(2), meanwhile=killing(server, BENCH, stopped, signal.SIGSTOP))
    assert stopped and (report.reason, report.accepted) == ("done", 60) and processes(BENCH) == []
    assert_each_has_its_own(rows, server, vault)


@thorough
@needs_proc
def test_i5_a_clerk_that_stands_still_is_ended_and_costs_nobody_anything(rows, server, sending, vault, monkeypatch):
    monkeypatch.setattr(registry, "ANSWER_SECONDS", 1.0)
    rows.deliver(*many(60))
    server.on("p009@courriel.example", Act("rcpt", then="held"))
    stopped: list[int] = []
    report = sending(server, tune=beside(1), meanwhile=killing(server, CLERK, stopped, signal.SIGSTOP))
    assert stopped and (report.reason, report.accepted, report.in_doubt) == ("done", 60, 0)
    assert processes(CLERK) == [], "it is ended"
    assert_each_has_its_own(rows, server, vault)


def noting(settings, folder) -> Wish:
    """A wish that notes something and claims nothing."""
    return Wish(
        ends=[], notes=[Entry(datetime.now(UTC), "connection_opened")], room=0, among=None, lease=None, relay="relay",
        unwritten=0, wave_id=None, epoch=0, resends=True, pause_words="", by="ops", now=datetime.now(UTC),
        provider_of=load_rules(folder).provider, limits=Limits.of(settings), longest_ms=0, last=None,
        outstanding=0,
    )  # fmt: skip


async def hired(vault, folder) -> Registry:
    """A clerk that is ready, and makes nothing."""
    clerk = Registry(lambda _: None, lambda *_: None, makes=False)
    await clerk.start(Office(folder / "campaign.db", vault.keys_for_making(), load_rules(folder), None))
    await clerk.settled()
    return clerk


@thorough
def test_i4_a_clerk_finishes_the_transaction_that_it_is_in(rows, vault, settings, folder):
    """When the sender breaks off: what had been accepted is recorded, and nobody is told twice for it."""
    rows.deliver("a@courriel.example")
    wish = noting(settings, folder)

    async def break_off() -> None:
        clerk = await hired(vault, folder)
        taking = asyncio.ensure_future(clerk.take(wish, asyncio.Event()))
        await asyncio.sleep(0.2)  # it waits for the lock now
        threading.Timer(0.5, release.set).start()
        clerk.close()
        assert await taking is None, "the sender has not heard of it"

    release, locked = threading.Event(), threading.Event()

    def hold() -> None:
        with closing(sqlite3.connect(folder / "campaign.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            locked.set()
            release.wait(20)
            other.execute("ROLLBACK")

    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait(20)
    asyncio.run(break_off())
    holder.join()
    assert len(rows.entries("connection_opened")) == 1


def test_i8_an_error_of_a_process_says_what_ours_says_and_of_others_no_value():
    ours = portable(CampaignBusy("somebody sends"))
    assert type(ours) is CampaignBusy and str(ours) == "somebody sends"
    try:
        raise ValueError("m.lenoir@courriel.example is no number")
    except ValueError as error:
        foreign = portable(error)
    assert type(foreign) is NotifierError and "lenoir" not in str(foreign) and "ValueError at " in str(foreign)


@thorough
@needs_proc
def test_i5_a_clerk_that_is_deposed_claims_nothing_and_writes_down_late_what_ended(rows, server, sending):
    """Another sender begins in the middle: what has ended is recorded as late, as it is without a clerk."""
    rows.deliver(*many(30))
    server.on("p009@courriel.example", Act("rcpt", then="held"))

    async def depose(database) -> None:
        while len(server.taken) < 6:
            await asyncio.sleep(0.01)
        rows.run("UPDATE campaign SET sender_epoch = sender_epoch + 1")
        server.allowed.set()

    with pytest.raises(CampaignBusy):
        sending(server, tune=beside(1), meanwhile=depose)
    assert any(entry["facts"].get("late") is False for entry in rows.entries("delivery_accepted"))
    assert len(server.taken) < 30


@thorough
@needs_proc
def test_i8_a_bench_has_no_key_that_signs_and_shows_none(rows, vault, settings, folder, monkeypatch):
    (one,) = rows.deliver("p000@courriel.example")
    with closing(sqlite3.connect(folder / "campaign.db")) as connection:
        (claim,) = deliveries.fetch(connection, [one])
    results: list[Ready | None] = []

    async def look() -> tuple[bytes, bytes]:
        came = asyncio.Event()
        workshop = Workshop(lambda result: (results.append(result.ready), came.set()), lambda *_: None)
        await workshop.start(Setup(vault.keys_for_making(), settings, folder, frozenset()))
        await workshop.settled()
        (pid,) = processes(BENCH)
        shown = [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
        workshop.tell(claim.batch_id, claim.segment_id, TinyNotice())
        workshop.give([claim.at(1_706_800_000_000)])
        await came.wait()
        workshop.close()
        return shown[0], shown[1]

    monkeypatch.setenv("NOTIFIER_KEY", "a key that somebody gave in a variable")
    shown = asyncio.run(look())
    assert b"NOTIFIER_" not in shown[1] and b"somebody gave" not in shown[1]
    assert results[0] is not None and results[0].posting is not None
    keys = vault.keys_for_making()
    for key in (keys.seal, keys.identity, keys.reference):
        assert all(key not in one and key.hex().encode() not in one for one in shown)
    assert Vault(keys).fingerprint != vault.fingerprint, "it could not sign a checkpoint"


@needs_proc
def test_i5_a_bench_ends_when_its_sender_does(vault, settings, folder):
    async def leave() -> int:
        workshop = Workshop(lambda _: None, lambda *_: None)
        await workshop.start(Setup(vault.keys_for_making(), settings, folder, frozenset()))
        await workshop.settled()
        process = workshop._process
        workshop._process = None
        workshop._transport.abort()  # what the system does with the sockets of a process that is killed
        return await asyncio.to_thread(process.wait, 20)

    assert asyncio.run(leave()) == 0


@needs_proc
def test_a_run_that_began_with_few_hires_once_when_it_meets_that_many_were_approved(rows, server, sending, monkeypatch):
    """`send --wait` in the morning, an approval at noon; one message that has to wait keeps it from ending."""
    monkeypatch.setattr(staff, "MANY", 30)
    monkeypatch.setattr(staff, "processors", lambda: 2)
    monkeypatch.setattr("notifier.delivery.run.POLL_SECONDS", 0.05)
    *_, later = rows.deliver(*many(3, "few"))
    server.on("few002@courriel.example", Act("rcpt", "451 4.2.0 later"))
    left: list[int] = []
    beside_it: list[int] = []

    async def approve_more(database) -> None:
        for count in (2, 42, 82):
            while len(server.taken) < count or rows.state(later) != "deferred":
                await asyncio.sleep(0.01)
            beside_it.append(len(processes(CLERK) + processes(BENCH)))
            if count < 82:
                rows.deliver(*many(40, f"after{count}-"))
        rows.run("UPDATE deliveries SET due_ms = 0 WHERE id = ?", later)

    report = sending(
        server,
        tune={"window": 4, "connections": 2},
        wait=True,
        meanwhile=approve_more,
        on_progress=lambda told: left.append(told.left),
    )
    assert (report.reason, report.accepted, report.deferred) == ("done", 83, 1)
    assert beside_it == [0, 1, 1], "none for three, one for forty more, and no second for the next forty"
    assert max(left) > 30 and left[-1] == 0, "and whoever watches sees them come"
