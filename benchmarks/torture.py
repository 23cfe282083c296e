"""Torture: `notifier send` is killed, stopped, starved and lied to, and two ledgers are compared afterwards.

    python benchmarks/torture.py [--kills 200] [--deliveries 5000] [--seed 1] [--folder DIR]

A relay of ours misbehaves at every phase (torture_relay.py) and writes down what it took before it answers. Against it
the command line runs as it is, in processes of its own (torture_sender.py), while

    kill -9 strikes at random moments, as often as asked
    the sender is stopped (SIGSTOP), its connections reset, a second `send` tried (exit 75), and let go on
    the disk is full (a small file system; without the right to mount, a limit on the size of files)
    another program holds the database locked
    the wall clock steps forward and back (libfaketime, where it is installed)
    the relay dies, and comes back
    the process that makes the messages is killed, and the sender goes on without
    the process that writes the cycles is killed, at random moments of them, and the sender goes on without

Then the relay behaves, `send --wait` ends the work, and the relay's ledger is laid beside the campaign's: nobody lost,
no duplicate that the journal does not call in doubt, at most a window in doubt per crash, the account balances, and the
proof verifies. What is printed is what was counted. Exit 1 if anything of that is not so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from torture_relay import Relay

CONNECTIONS = (1, 4, 4, 8)
WINDOW_PER_CONNECTION = 4
FORGED = ("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1")
DISK_BYTES = 512 << 20
PATIENCE = 120.0  # seconds for one run of the sender


@dataclass
class Account:
    """What happened, and what was found wrong (nothing, one hopes)."""

    events: Counter[str] = field(default_factory=Counter)
    crash_windows: list[tuple[int, int]] = field(default_factory=list)  # SENDING after a kill, and the window
    faults: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def must(self, holds: bool, what: str) -> None:
        if not holds:
            self.faults.append(what)


@dataclass
class Child:
    """A `notifier` under way. ``status``: of its end; negative: a signal's number."""

    pid: int
    output: Path
    window: int
    status: asyncio.Future[int]

    def strike(self, number: int) -> None:
        """Only what is still ours: nobody has waited for it before its end is told."""
        if not self.status.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def end(self) -> int:
        try:
            return await asyncio.wait_for(asyncio.shield(self.status), PATIENCE)
        except TimeoutError:
            self.strike(signal.SIGKILL)
            await self.status
            raise SystemExit(f"a run did not end in {PATIENCE:.0f} s: {self.output}") from None

    def words(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""


class Launcher:
    """Begins processes of the command line."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, logs: Path, clock: Path | None) -> None:
        self._process, self._folder, self._logs, self._clock = process, folder, logs, clock
        logs.mkdir(exist_ok=True)
        self._begun: asyncio.Queue[int] = asyncio.Queue()
        self._ends: dict[int, asyncio.Future[int]] = {}
        self._number = 0
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            match line.decode().split():
                case ["begun", pid]:
                    self._ends[int(pid)] = asyncio.get_running_loop().create_future()
                    self._begun.put_nowait(int(pid))
                case ["ended", pid, status]:
                    self._ends.pop(int(pid)).set_result(int(status))

    async def begin(self, *arguments: str, connections: int = 4, **overrides: object) -> Child:
        self._number += 1
        output = self._logs / f"run-{self._number:04}.txt"
        # Every third one works alone, every third one with a clerk, every third one with a clerk and a bench.
        environment = {"NOTIFIER_RELAY__CONNECTIONS": str(connections)}
        environment["NOTIFIER_SEND__PROCESSES"] = str(self._number % 3)
        environment |= {f"NOTIFIER_{key.upper()}": str(value) for key, value in overrides.items()}
        order = {
            "arguments": ["-C", str(self._folder), *arguments, "--yes", "--json"],
            "environment": environment,
            "output": str(output),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()
        pid = await self._begun.get()
        return Child(pid, output, connections * WINDOW_PER_CONNECTION, self._ends[pid])

    async def run(self, *arguments: str, **overrides: Any) -> Child:
        child = await self.begin(*arguments, **overrides)
        await child.end()
        return child

    @property
    def has_clock(self) -> bool:
        return self._clock is not None

    def set_clock(self, offset: str) -> None:
        """Of every process from now on, and of those under way: ``+3600`` seconds, ``+0``."""
        if self._clock is not None:
            after = self._clock.with_suffix(".new")
            after.write_text(offset)
            after.replace(self._clock)

    async def close(self) -> None:
        for pid in self._ends:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()
        self._reading.cancel()


@asynccontextmanager
async def launching(folder: Path, logs: Path, port: int, *, forged: bool = False) -> AsyncIterator[Launcher]:
    """Processes of the command line for the campaign in ``folder``, at a relay on ``port``. ``forged``: with a wall
    clock that can be turned, where libfaketime is installed (it makes every look at the clock slow)."""
    environment = {
        **os.environ,
        "NOTIFIER_RELAY__HOST": "127.0.0.1",
        "NOTIFIER_RELAY__PORT": str(port),
        "NOTIFIER_RELAY__TLS": "none",
        "NOTIFIER_RELAY__RATE": "0",
        "NOTIFIER_RETRY__FIRST_SECONDS": "0.3",
    }
    library = next((path for path in FORGED if Path(path).exists()), None) if forged else None
    clock = logs / "clock" if library else None
    if library and clock:
        clock.write_text("+0")
        environment |= {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
    script = Path(__file__).with_name("torture_sender.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    await process.stdout.readline()  # ready
    launcher = Launcher(process, folder, logs / "forged" if forged else logs, clock)
    try:
        yield launcher
    finally:
        await launcher.close()


# -- the campaign's own ledger -----------------------------------------------------------------------------------------


@contextmanager
def reading(folder: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{folder / 'campaign.db'}?mode=ro", uri=True, timeout=60)) as connection:
        yield connection


def states(folder: Path) -> Counter[str]:
    """Mail deliveries of approved batches, by state."""
    with reading(folder) as connection:
        return Counter(
            dict(
                connection.execute(
                    "SELECT state, COUNT(*) FROM deliveries WHERE channel = 'mail' AND batch_id > 0 GROUP BY state"
                )
            )
        )


def unsettled(folder: Path) -> int:
    found = states(folder)
    return found["queued"] + found["deferred"] + found["sending"]


def paused(folder: Path) -> str:
    with reading(folder) as connection:
        return str(connection.execute("SELECT COALESCE(paused_reason, '') FROM campaign").fetchone()[0])


def compare(folder: Path, logs: Path, relay: Relay, account: Account) -> None:
    """The relay's ledger beside the campaign's."""
    with reading(folder) as connection:
        rows = connection.execute(
            "SELECT d.token, d.state, "
            "(SELECT COUNT(*) FROM attempts a WHERE a.delivery_id = d.id AND a.outcome = 'in_doubt' AND NOT a.late), "
            "(SELECT COUNT(*) FROM attempts a WHERE a.delivery_id = d.id AND a.outcome = 'accepted') "
            "FROM deliveries d WHERE d.channel = 'mail' AND d.batch_id > 0"
        ).fetchall()
        doubt_attempts, doubt_entries = connection.execute(
            "SELECT (SELECT COUNT(*) FROM attempts WHERE outcome = 'in_doubt'), "
            "(SELECT COUNT(*) FROM entries WHERE kind = 'delivery_in_doubt')"
        ).fetchone()
        orphans = [
            json.loads(body)["facts"]["orphans"]
            for (body,) in connection.execute("SELECT body FROM entries WHERE kind = 'sender_recovered'")
        ]
    taken = Counter(relay.ledger.taken)
    known = {bytes(token).hex() for token, *_ in rows}
    account.must(not set(taken) - known, f"{len(set(taken) - known)} messages that no delivery names")
    lost = doubled = explained = told_and_written = unsettled_ = 0
    final = Counter[str]()
    for token, state, doubts, accepted in rows:
        copies = taken[bytes(token).hex()]
        final[state] += 1
        unsettled_ += state not in ("accepted", "refused", "in_doubt", "expired")
        lost += state == "accepted" and copies == 0
        doubled += copies > 1 + doubts
        explained += copies > 1 and copies <= 1 + doubts
        told_and_written += state in ("refused", "expired") and copies > 0 and doubts == 0
        lost += accepted > copies
    account.must(lost == 0, f"{lost} called accepted that the relay never took")
    account.must(doubled == 0, f"{doubled} taken more often than the journal's doubts explain")
    account.must(told_and_written == 0, f"{told_and_written} given up though the relay had taken them, without a doubt")
    account.must(unsettled_ == 0, f"{unsettled_} not settled at the end")
    account.must(doubt_attempts == doubt_entries, f"{doubt_attempts} doubts, {doubt_entries} entries of them")
    for held in ("true", "false"):
        words = f"action=cycle_salvaged committed={held}"
        many = sum(path.read_text(errors="replace").count(words) for path in logs.rglob("run-*.txt"))
        account.figures[f"cycles of a killed clerk, committed: {held}"] = many
    over = [(many, window) for many, window in account.crash_windows if many > window]
    account.must(not over, f"more than a window marked SENDING after a crash: {over}")
    account.figures |= {
        "deliveries": len(rows),
        "states": dict(final),
        "lost": lost,
        "duplicates without a doubt": doubled,
        "duplicates that the journal calls possible": explained,
        "doubts": doubt_attempts,
        "most orphans of one crash": max(orphans, default=0),
        "messages the relay took": taken.total(),
        "of these unanswered": relay.ledger.unanswered.total(),
        "sessions": relay.ledger.sessions,
        "MAIL commands": relay.ledger.mails,
        "misbehaviours": relay.ledger.acts.total(),
    }


# -- what is done to the sender ----------------------------------------------------------------------------------------


@dataclass
class Stage:
    """Where it happens."""

    folder: Path
    logs: Path
    relay: Relay
    launcher: Launcher
    chance: random.Random
    account: Account
    epoch: int = -1
    window: int = 0

    def note_crash(self, window: int) -> None:
        """How many are marked SENDING now. Who was killed before it had recovered marked nothing: what is there is the
        one's before."""
        with reading(self.folder) as connection:
            (epoch,) = connection.execute("SELECT sender_epoch FROM campaign").fetchone()
        if epoch != self.epoch:
            self.epoch, self.window = epoch, window
        self.account.crash_windows.append((states(self.folder)["sending"], self.window))

    async def under_way(self, most: int = 30, launcher: Launcher | None = None, **overrides: object) -> Child | None:
        """A sender that has handed over some messages; None if its run was over before."""
        connections = self.chance.choice(CONNECTIONS)
        child = await (launcher or self.launcher).begin("send", connections=connections, **overrides)
        target = self.relay.ledger.taken.total() + self.chance.randrange(1, most)
        await self.either(child, target, PATIENCE)
        if child.status.done():
            await self.ended(child)
            return None
        return child

    async def either(self, child: Child, taken: int, seconds: float) -> bool:
        """Until the relay has taken so many in all, or the run is over; whether one of both came in time."""
        arrived = asyncio.ensure_future(self.relay.reach(taken))
        waited: set[asyncio.Future[Any]] = {arrived, child.status}
        done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED, timeout=seconds)
        arrived.cancel()
        return bool(done)

    async def wind_down(self, child: Child) -> int:
        """Let it hand over some more, then Ctrl-C: what is left is for the next disaster."""
        await self.either(child, self.relay.ledger.taken.total() + 10, 5)
        child.strike(signal.SIGINT)
        return await self.ended(child)

    async def ended(self, child: Child) -> int:
        """A run that came to its own end: no traceback, and a pause is lifted as an operator would."""
        status = await child.end()
        words = child.words()
        self.account.events[f"exit {status}"] += 1
        self.account.must("Traceback" not in words, f"a traceback in {child.output.name}: {words[-300:]}")
        if reason := paused(self.folder):
            self.account.events["paused of itself"] += 1
            self.account.events[f"paused: {reason[:60]}"] += 1
            await self.launcher.run("resume")
        return status


async def kill(stage: Stage) -> None:
    """SIGKILL, a quarter of the time while it starts, else at a message or a little after it; a third of the time its
    clerk, if it has one, is killed before it."""
    if stage.chance.random() < 0.25:
        child: Child | None = await stage.launcher.begin("send", connections=stage.chance.choice(CONNECTIONS))
        await asyncio.sleep(stage.chance.uniform(0.0, 0.8))
    else:
        child = await stage.under_way()
        if child is not None and stage.chance.random() < 0.33 and await strike_clerk(stage, child):
            await stage.either(child, stage.relay.ledger.taken.total() + stage.chance.randrange(1, 30), 5)
        await asyncio.sleep(stage.chance.choice([0.0, 0.0, 0.0005, 0.002, 0.01]))
    if child is None or child.status.done():
        if child is not None:
            await stage.ended(child)
        return
    child.strike(signal.SIGKILL)
    status = await child.end()
    if status != -signal.SIGKILL:
        await stage.ended(child)
        return
    stage.account.events["kill -9"] += 1
    stage.note_crash(child.window)


async def stop_and_let_go(stage: Stage) -> None:
    """SIGSTOP; the relay loses patience; a second sender is tried; SIGCONT."""
    child = await stage.under_way()
    if child is None:
        return
    child.strike(signal.SIGSTOP)
    stage.account.events["SIGSTOP"] += 1
    second = await stage.launcher.run("send")
    stage.account.must(await second.end() == 75, f"a second sender ended with {await second.end()}: {second.words()}")
    stage.relay.cut()
    child.strike(signal.SIGCONT)
    await stage.wind_down(child)


async def fill_the_disk(stage: Stage) -> None:
    """No byte is free while it sends; then there is room again."""
    filler = stage.folder.parent / "filler"
    child = await stage.under_way()
    if child is None:
        return
    if os.path.ismount(stage.folder.parent):
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
    else:
        size = (stage.folder / "campaign.db-wal").stat().st_size + 20_000
        resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    stage.account.events["disk full"] += 1
    status = await stage.wind_down(child)
    stage.account.events[f"disk full: exit {status}"] += 1
    filler.unlink(missing_ok=True)


async def lock_the_database(stage: Stage) -> None:
    """Another program writes, and takes its time."""
    child = await stage.under_way()
    if child is None:
        return
    with closing(sqlite3.connect(stage.folder / "campaign.db", isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        stage.account.events["database locked"] += 1
        await asyncio.sleep(stage.chance.uniform(0.2, 1.5))
        other.execute("ROLLBACK")
    await stage.wind_down(child)


async def turn_the_clock(stage: Stage) -> None:
    """The wall clock steps forward by an hour, then back by two, while it sends."""
    async with launching(stage.folder, stage.logs, stage.relay.port, forged=True) as launcher:
        if not launcher.has_clock:
            stage.account.events["no libfaketime: clock not turned"] += 1
            return
        for offset in ("+3600", "-3600", "+0"):
            child = await stage.under_way(launcher=launcher)
            if child is None:
                continue
            launcher.set_clock(offset)
            stage.account.events["clock stepped"] += 1
            # It must not come to a stand: as many again, or all there was to do.
            goes_on = await stage.either(child, stage.relay.ledger.taken.total() + 10, 60)
            stage.account.must(goes_on, f"stood still after the clock stepped {offset}")
            child.strike(signal.SIGINT)
            await stage.ended(child)


async def restart_the_relay(stage: Stage) -> None:
    """It dies with all connections, and comes back a little later."""
    child = await stage.under_way()
    if child is None:
        return
    await stage.relay.stop()
    stage.account.events["relay restarted"] += 1
    await asyncio.sleep(stage.chance.uniform(0.1, 1.0))
    await stage.relay.start()
    await stage.wind_down(child)


async def interrupt(stage: Stage) -> None:
    """Ctrl-C: it ends within the transactions under way, and leaves nothing marked."""
    child = await stage.under_way()
    if child is None:
        return
    child.strike(signal.SIGINT)
    stage.account.events["Ctrl-C"] += 1
    await stage.ended(child)
    stage.account.must(states(stage.folder)["sending"] == 0, "Ctrl-C left deliveries marked SENDING")


async def kill_the_bench(stage: Stage) -> None:
    """SIGKILL to the process that makes the messages: the sender goes on without."""
    child = await stage.under_way(send__processes=2)
    if child is None:
        return
    if struck := strike_beside(child, "workbench", signal.SIGKILL):
        stage.account.events["bench killed"] += struck
    await stage.wind_down(child)


async def kill_the_clerk(stage: Stage) -> None:
    """SIGKILL to the process that writes the cycles, in the midst of them: the sender finds out what became of the
    last, goes on without, and leaves nothing marked."""
    child = await stage.under_way(send__processes=stage.chance.choice([1, 2]))
    if child is None:
        return
    await strike_clerk(stage, child)
    status = await stage.wind_down(child)
    stage.account.must(status in (0, 1), f"a run without its clerk ended with {status}: {child.words()[-300:]}")
    stage.account.must(states(stage.folder)["sending"] == 0, "a run without its clerk left deliveries marked SENDING")


async def strike_clerk(stage: Stage, child: Child) -> bool:
    """Kill its clerk after it has begun to write: at a random moment, in a transaction, or at the end of one; sometimes
    it has stood still for a little before. False: it has none, or the run was over before."""
    if not beside(child, "clerk"):
        return False
    # The first window is claimed without it.
    await stage.either(child, stage.relay.ledger.taken.total() + child.window + stage.chance.randrange(1, 20), 10)
    await asyncio.sleep(stage.chance.uniform(0.0, 0.02))
    moment = stage.chance.choice(["any", "within", "end"])
    if moment != "any":
        with closing(sqlite3.connect(stage.folder / "campaign.db", isolation_level=None, timeout=0)) as other:
            for _ in range(5000):
                if is_locked(other):
                    break
                await asyncio.sleep(0)
            # The answer follows the commit within a tenth of a millisecond: nobody else gets a turn meanwhile.
            for _ in range(5000 if moment == "end" else 0):
                if not is_locked(other):
                    break
    elif stage.chance.random() < 0.5:
        strike_beside(child, "clerk", signal.SIGSTOP)
        await asyncio.sleep(stage.chance.uniform(0.0, 0.3))
    if not strike_beside(child, "clerk", signal.SIGKILL):
        return False
    stage.account.events["clerk killed"] += 1
    return True


def is_locked(other: sqlite3.Connection) -> bool:
    """Whether somebody else is writing just now: the clerk, most of the time."""
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return True
    other.execute("ROLLBACK")
    return False


def strike_beside(child: Child, module: str, number: int) -> int:
    """A signal to the processes that it has started and that run this module; how many."""
    found = beside(child, module)
    for one in found:
        with suppress(ProcessLookupError):
            os.kill(one, number)
    return len(found)


def beside(child: Child, module: str) -> list[int]:
    """The processes that it has started and that run this module, where /proc tells."""
    found = []
    with suppress(OSError):
        for word in Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split():
            if f"notifier.delivery.{module}".encode() in Path(f"/proc/{word}/cmdline").read_bytes().split(b"\0"):
                found.append(int(word))
    return found


Disaster = Callable[[Stage], Awaitable[None]]
DISASTERS: tuple[Disaster, ...] = (
    stop_and_let_go, fill_the_disk, lock_the_database, turn_the_clock, restart_the_relay, interrupt,
    kill_the_bench, kill_the_clerk,
)  # fmt: skip


async def torment(
    folder: Path,
    logs: Path,
    port: int,
    *,
    kills: int,
    every: int,
    seed: int,
    disasters: Sequence[Disaster] = DISASTERS,
    say: Callable[[str], None] = lambda _: None,
) -> Account:
    """Kill the sender ``kills`` times, with one of the other disasters after ``every`` kills; then let it end, and
    compare. ``folder``: a campaign approved for a relay on ``port``."""
    account, relay = Account(), Relay(logs / "relay-ledger.jsonl", seed)
    relay.port = port
    await relay.start()
    try:
        async with launching(folder, logs, port) as launcher:
            stage = Stage(folder, logs, relay, launcher, random.Random(seed), account)
            met = 0
            while account.events["kill -9"] < kills and unsettled(folder):
                await kill(stage)
                if account.events["kill -9"] // every > met:
                    await disasters[met % len(disasters)](stage)
                    met += 1
                    kills_now, taken = account.events["kill -9"], relay.ledger.taken.total()
                    say(f"{kills_now} kills, {taken} taken, {dict(states(folder))}")
            relay.wild = False
            status = await stage.ended(await launcher.begin("send", connections=20))
            # What was deferred while the clock was an hour fast is due an hour late.
            async with launching(folder, logs, port, forged=True) as later:
                later.set_clock("+7200")
                for _ in range(5):
                    if not unsettled(folder):
                        break
                    status = await stage.ended(await later.begin("send", "--wait", connections=20))
            account.figures["last send"] = f"exit {status}"
            compare(folder, logs, relay, account)
            told = json.loads((await launcher.run("status")).words())
            account.must(told["balances"] is True, "the account does not balance")
            pack = logs / "proof.zip"
            exported = await launcher.run("proof", "export", "--out", str(pack))
            account.must(await exported.end() in (0, 1), f"no proof: {exported.words()[-300:]}")
            verified = await launcher.run("proof", "verify", str(pack))
            account.must(await verified.end() in (0, 1), f"the proof does not verify: {verified.words()[-300:]}")
    finally:
        await relay.close()
    return account


# -- the report --------------------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system that can be full, where we may mount one; else the folder itself."""
    place = folder / "disk"
    place.mkdir()
    mounted = os.geteuid() == 0 and not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "notifier-torture", str(place)],
        check=False, capture_output=True,
    ).returncode  # fmt: skip
    try:
        yield place
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=True)


def report(account: Account, seconds: float) -> None:
    print(f"{seconds:.0f} s")
    for name, count in sorted(account.events.items()):
        print(f"  {name:60} {count:6}")
    for name, value in account.figures.items():
        print(f"  {name:60} {value}")
    for fault in account.faults:
        print(f"FAULT: {fault}")
    print("nothing was lost, nothing doubled without a trace" if not account.faults else "NOT GOOD")


def main() -> int:
    """Print all of it."""
    from send import campaign, free_port

    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--every", type=int, default=8, help="kills between two other disasters")
    parser.add_argument("--deliveries", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="keep the logs here")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="notifier-torture-") as name, small_disk(Path(name)) as disk:
        logs = chosen.folder or Path(name) / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        port = free_port()
        campaign(disk / "campaign", chosen.deliveries, port)
        shutil.rmtree(disk / "exports", ignore_errors=True)
        began = time.perf_counter()
        account = asyncio.run(
            torment(
                disk / "campaign", logs, port,
                kills=chosen.kills, every=chosen.every, seed=chosen.seed, say=lambda line: print(line, flush=True),
            )
        )  # fmt: skip
        report(account, time.perf_counter() - began)
    return 1 if account.faults else 0


if __name__ == "__main__":
    sys.exit(main())
