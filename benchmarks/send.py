"""Sending with everything on (sealed, compiled, recorded, journaled) beside its peers, in one run on one sink.

Peers: smtp-source (C, one fixed message, no database), and a hand-written aiosmtplib + EmailMessage loop; with
``--mailmerge`` also the mailmerge package, installed into a venv of its own. Goals (DESIGN 13): at least 0.6 of
smtp-source in steady state, at most 200 MB, the first MAIL at most 3 s after exec; with a relay 20 ms away and 10
connections at least 1.8 times the throughput without pipelining. ``--only flat``: what a message costs among 100,000
deliveries and among millions (flat.py).

Needs Postfix's smtp-sink and smtp-source. Run: python benchmarks/send.py [--deliveries 20000] [--rounds 3]
[--only near|far|flat]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import flat
from notices import notice, usual_way

SESSIONS = 20
AWAY_SECONDS = 0.020  # there and back
AWAY_SESSIONS = 10


@dataclass(frozen=True)
class Run:
    """``rate``: messages per second; ``cpu``: microseconds of CPU for a message; ``memory``: MB at most."""

    rate: float
    cpu: float
    memory: float = 0.0


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@contextmanager
def sink(port: int) -> Iterator[None]:
    """smtp-sink on that port: takes everything, keeps nothing."""
    user = ["-u", "nobody"] if os.geteuid() == 0 else []  # it asks for it
    process = subprocess.Popen(["smtp-sink", *user, f"127.0.0.1:{port}", "1000"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.02)
        else:
            raise SystemExit("smtp-sink does not answer")
        yield
    finally:
        process.terminate()
        process.wait()


def timed(arguments: list[str], environment: dict[str, str] | None = None) -> tuple[float, float, float, str]:
    """Run a program: seconds, CPU seconds, MB at most, its output."""
    began = time.perf_counter()
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
    ) as process:
        most, ended = [0.0], threading.Event()
        watching = threading.Thread(target=_watch, args=(process.pid, most, ended))
        watching.start()
        assert process.stdout is not None
        output = process.stdout.read()
        ended.set()
        watching.join()
        _, status, usage = os.wait4(process.pid, 0)  # with whoever it has started and waited for
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode not in (0, 1):
        raise SystemExit(f"{arguments[:3]} ended with {process.returncode}: {output}")
    return seconds, usage.ru_utime + usage.ru_stime, max(most[0], usage.ru_maxrss / 1024), output


def _watch(pid: int, most: list[float], ended: threading.Event) -> None:
    """The memory of a process and those it has started, together, in MB: what they share is counted once (PSS)."""
    while not ended.wait(0.5):
        with suppress(OSError, ValueError):
            family = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
            shares = [Path(f"/proc/{one}/smaps_rollup").read_text().partition("\nPss:")[2] for one in family]
            most[0] = max(most[0], sum(int(share.split()[0]) for share in shares) / 1024)


def notifier(folder: Path, *arguments: str, **overrides: object) -> tuple[float, float, float, str]:
    """One command of ours in a process of its own."""
    return timed(*_command(folder, *arguments, **overrides))


def _command(folder: Path, *arguments: str, **overrides: object) -> tuple[list[str], dict[str, str]]:
    environment = {
        **os.environ,
        "NOTIFIER_RELAY__HOST": "127.0.0.1",
        "NOTIFIER_RELAY__TLS": "none",
        "NOTIFIER_RELAY__RATE": "0",
        **{f"NOTIFIER_{key.upper()}": str(value) for key, value in overrides.items()},
    }
    return [sys.executable, "-m", "notifier.cli.main", "-C", str(folder), *arguments, "--yes", "--json"], environment


def campaign(folder: Path, deliveries: int, port: int) -> None:
    """A campaign, planned and approved for a relay at ``port``, with about so many deliveries."""
    exports = folder.parent / "exports"
    notifier(folder, "init", str(folder), "--sample")
    notifier(
        folder, "drill", "exports", "--insured", str(deliveries * 3 // 2), "--professionals", "0", "--seed", "1",
        "--out", str(exports),
    )  # fmt: skip
    for name in ("viamedis-insured", "almerys-insured"):
        notifier(folder, "intake", str(exports / f"{name}.csv"), "--profile", name)
    notifier(folder, "directory", str(exports / "directory.csv"), "--profile", "directory")
    notifier(folder, "plan")
    notifier(folder, "approve", relay__port=port)
    shutil.rmtree(exports)


def approved(folder: Path) -> tuple[int, int]:
    """How many deliveries the campaign has, and the port that it was approved for."""
    connection = sqlite3.connect(folder / "campaign.db")
    ((count,),) = connection.execute("SELECT COUNT(*) FROM deliveries WHERE channel = 'mail' AND batch_id > 0")
    ((bound,),) = connection.execute("SELECT bound FROM batches")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return int(count), int(json.loads(bound)["relay"]["port"])


def ours(prepared: Path, port: int, *, limit: int | None = None, **overrides: object) -> Run:
    """`notifier send` on a copy of the campaign; the rate over the middle of the run."""
    with TemporaryDirectory(dir=prepared.parent) as name:
        folder = Path(name) / "campaign"
        shutil.copytree(prepared, folder)
        arguments = ["--limit", str(limit)] if limit else []
        chosen = {"relay__port": port, "relay__connections": SESSIONS, **overrides}
        _, cpu, memory, output = notifier(folder, "send", *arguments, **chosen)
        accepted = json.loads(output)["accepted"]
        connection = sqlite3.connect(folder / "campaign.db")
        # The first tenth warms up, the last one runs out of work.
        ended = [row[0] for row in connection.execute("SELECT ended_ms FROM attempts ORDER BY ended_ms")]
        connection.close()
        first, last = ended[len(ended) // 10], ended[len(ended) * 9 // 10]
        return Run(0.8 * len(ended) / max(0.001, (last - first) / 1000), cpu / accepted * 1e6, memory)


def smtp_source(port: int, messages: int, size: int) -> Run:
    """The C program: the same message again and again."""
    seconds, cpu, memory, _ = timed(
        ["smtp-source", "-d", "-s", str(SESSIONS), "-l", str(size), "-m", str(messages), f"127.0.0.1:{port}"]
    )
    return Run(messages / seconds, cpu / messages * 1e6, memory)


def by_hand(port: int, messages: int) -> Run:
    """What many would write: two templates and an EmailMessage per person, aiosmtplib over as many connections."""
    import aiosmtplib

    make = usual_way(notice())

    async def session(count: int) -> None:
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
            for _ in range(count):
                await client.sendmail("information@mutuelle.example", ["elodie@courriel.example"], make())

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(SESSIONS):
                group.create_task(session(messages // SESSIONS))

    began, cpu = time.perf_counter(), time.process_time()
    asyncio.run(all_of_them())
    return Run(messages / (time.perf_counter() - began), (time.process_time() - cpu) / messages * 1e6)


def mailmerge(port: int, messages: int) -> Run | None:
    """The mailmerge package, in a venv of its own; None where it cannot be installed."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
        pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", "mailmerge"]
        if subprocess.run(pip, check=False, capture_output=True).returncode:
            return None
        (folder / "server.conf").write_text(f"[smtp_server]\nhost = 127.0.0.1\nport = {port}\n")
        (folder / "template.txt").write_text(
            "TO: {{email}}\nSUBJECT: Vos données\nFROM: a@b.example\n\nBonjour {{name}}\n"
        )
        rows = "".join(f"p{number}@courriel.example,Nom{number}\n" for number in range(messages))
        (folder / "database.csv").write_text("email,name\n" + rows)
        program = [str(folder / "venv" / "bin" / "mailmerge"), "--no-dry-run", "--no-limit"]
        seconds, cpu, memory, _ = timed(
            ["sh", "-c", f"cd {folder} && {' '.join(program)} --template template.txt --database database.csv "
             "--config server.conf"]
        )  # fmt: skip
        return Run(messages / seconds, cpu / messages * 1e6, memory)


# -- the first MAIL, and a relay far away ------------------------------------------------------------------------------


def first_mail(folder: Path, port: int, *, limit: int | None = None) -> float:
    """Seconds from exec to the first MAIL. Some of the campaign's deliveries are in doubt afterwards."""
    listener = socket.create_server(("127.0.0.1", port))
    came: list[float] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb", buffering=0) as stream:
            stream.write(b"220 relay.example ESMTP\r\n")
            while line := stream.readline():
                if line.startswith(b"MAIL"):
                    came.append(time.perf_counter())
                    stream.write(b"421 4.3.2 seen enough\r\n")
                    return
                stream.write(b"250 relay.example\r\n" if line.startswith(b"EHLO") else b"500 what\r\n")

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    arguments = ["--limit", str(limit)] if limit else []
    command, environment = _command(folder, "send", *arguments, relay__port=port)
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server.join(60)
    process.kill()
    process.wait()
    listener.close()
    return came[0] - began


def first_mail_of_copy(prepared: Path, port: int) -> float:
    """:func:`first_mail`, and the campaign stays as it is."""
    with TemporaryDirectory(dir=prepared.parent) as name:
        folder = Path(name) / "campaign"
        shutil.copytree(prepared, folder)
        return first_mail(folder, port)


def _far(port: int, onward: int, ready: Connection) -> None:
    """A proxy that holds every packet for half of AWAY_SECONDS, in each direction."""
    import uvloop

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while data := await reader.read(1 << 16):
            loop.call_later(AWAY_SECONDS / 2, writer.write, data)
        loop.call_later(AWAY_SECONDS / 2, writer.close)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", onward)
        async with asyncio.TaskGroup() as group:
            group.create_task(carry(reader, onward_writer))
            group.create_task(carry(onward_reader, writer))

    async def serve() -> None:
        server = await asyncio.start_server(accept, "127.0.0.1", port, backlog=200)
        ready.send(True)
        await server.serve_forever()

    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


@contextmanager
def far_away(port: int, onward: int) -> Iterator[None]:
    """At ``port``, what is at ``onward``, AWAY_SECONDS away."""
    ours_, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_far, args=(port, onward, theirs), daemon=True)
    process.start()
    try:
        ours_.recv()
        yield
    finally:
        process.terminate()
        process.join()


# -- the report --------------------------------------------------------------------------------------------------------


def line(name: str, run: Run, reference: float | None = None) -> None:
    """One line of the table."""
    ratio = f"{run.rate / reference:8.2f}" if reference else " " * 8
    memory = f"{run.memory:8.0f} MB" if run.memory else ""
    print(f"{name:34}{run.rate:10.0f} /s {ratio} {run.cpu:10.0f} µs CPU {memory}", flush=True)


def middle(runs: list[Run]) -> Run:
    """The medians."""
    return Run(
        statistics.median(run.rate for run in runs),
        statistics.median(run.cpu for run in runs),
        max(run.memory for run in runs),
    )


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--deliveries", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mailmerge", action="store_true")
    parser.add_argument("--folder", type=Path, help="where the campaign is prepared, or lies prepared")
    parser.add_argument("--only", choices=["near", "far", "flat"], default="", help="flat is run only when asked")
    parser.add_argument("--rows", type=int, default=2_000_000, help="deliveries of the large database of flat")
    chosen = parser.parse_args()
    size = len(usual_way(notice())())
    with TemporaryDirectory() as name:
        prepared = (chosen.folder or Path(name)) / "prepared"
        if not prepared.exists():
            campaign(prepared, chosen.deliveries, free_port())
        count, port = approved(prepared)
        print(f"{count} deliveries, {size / 1000:.1f} kB, {SESSIONS} connections, medians of {chosen.rounds}")
        if chosen.only == "flat":
            compare_sizes(prepared, port, chosen.rows)
            return
        if chosen.only != "far":
            near(prepared, port, count, size, chosen.rounds, with_mailmerge=chosen.mailmerge)
        if chosen.only != "near":
            onward = free_port()
            given = {"limit": min(count, 2500), "relay__connections": AWAY_SESSIONS}
            with sink(onward), far_away(port, onward):
                apart = ours(prepared, port, **given, relay__pipelining="false")
                together = ours(prepared, port, **given)
            print(f"a relay {AWAY_SECONDS * 1000:.0f} ms away, {AWAY_SESSIONS} connections")
            line("command by command", apart, apart.rate)
            line("pipelined", together, apart.rate)


def compare_sizes(prepared: Path, port: int, rows: int) -> None:
    """The same messages, sent from a database of 100,000 deliveries and from one of ``rows``."""
    costs = []
    for wanted in (flat.SMALL, rows):
        with TemporaryDirectory(dir=prepared.parent) as name:
            folder = Path(name) / "campaign"
            shutil.copytree(prepared, folder)
            began = time.perf_counter()
            count = flat.grow(folder / "campaign.db", wanted)
            notifier(folder, "resume")  # as every command does at its end, it seals the entries that were added
            built = time.perf_counter() - began
            waits, chosen = first_mail(folder, port), first_mail(folder, port, limit=500)
            # All in one process: what is counted is its CPU alone.
            settings = {"relay__port": port, "relay__connections": SESSIONS, "send__processes": 0}
            command, environment = _command(folder, "send", **settings)
            with sink(port):
                costs.append(flat.watched(command, environment, folder / "campaign.db"))
        print(
            f"{count:>10} deliveries (built in {built:.0f} s) {costs[-1].cpu:8.0f} µs CPU a message, "
            f"{costs[-1].before:.1f} s before the first, {costs[-1].memory:.0f} MB; "
            f"first MAIL {waits:.2f} s after exec, {chosen:.2f} s with a limit",
            flush=True,
        )
    print(f"a message costs {costs[1].cpu / costs[0].cpu:.2f} of what it does among {flat.SMALL}")


def near(prepared: Path, port: int, count: int, size: int, rounds: int, *, with_mailmerge: bool) -> None:
    """On one sink, in turn: all see the same machine."""
    us, theirs = [], []
    with sink(port):
        for _ in range(rounds):
            theirs.append(smtp_source(port, count, size))
            us.append(ours(prepared, port))
        reference = middle(theirs).rate
        line("smtp-source", middle(theirs), reference)
        line("notifier send", middle(us), reference)
        line("aiosmtplib + EmailMessage", by_hand(port, 1000), reference)
        if with_mailmerge:
            merged = mailmerge(port, 1000)
            if merged is None:
                print("mailmerge: cannot be installed here")
            else:
                line("mailmerge", merged, reference)
    waits = statistics.median(first_mail_of_copy(prepared, port) for _ in range(rounds))
    print(f"first MAIL {waits:.2f} s after exec")


if __name__ == "__main__":
    main()
