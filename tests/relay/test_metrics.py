"""What there is to measure: a real GET during a real send, the page read by a strict parser that shares no code."""

from __future__ import annotations

import asyncio
import math
import re
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from notifier.delivery import metrics
from notifier.delivery.lanes import Lane
from notifier.delivery.lookout import Sight
from notifier.delivery.metrics import exposition, families
from notifier.delivery.pause import pause_lane
from notifier.delivery.report import Progress
from notifier.errors import SettingsError
from notifier.model import to_ms
from notifier.storage import flow
from tests.relay.server import Act

NOW = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)")
SUFFIXES = {"counter": ("",), "gauge": ("",), "summary": ("_sum", "_count")}


def parsed(page: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The samples of a page in text format 0.0.4; AssertionError for anything that the format does not have."""
    assert page.endswith("\n") and "\r" not in page
    samples: dict = {}
    family, kind, finished = "", "", set()
    for line in page.splitlines():
        if line.startswith("# HELP "):
            assert family not in finished
            finished.add(family)
            family, text = line.removeprefix("# HELP ").split(" ", 1)
            assert re.fullmatch(NAME, family) and family not in finished and text
            kind = ""
        elif line.startswith("# TYPE "):
            name, kind = line.removeprefix("# TYPE ").split(" ")
            assert name == family and kind in SUFFIXES
        else:
            found = SAMPLE.fullmatch(line)
            assert found, line
            assert kind and found[1].removeprefix(family) in SUFFIXES[kind], line
            assert kind != "counter" or family.endswith("_total")
            labels = tuple(sorted(re.findall(LABEL, found[2] or "")))
            assert len({name for name, _ in labels}) == len(labels)
            assert (found[1], labels) not in samples, "each series once"
            samples[found[1], labels] = float(found[found.lastindex])
            assert not math.isnan(samples[found[1], labels])
    return samples


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


async def closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the other side has closed."""
    with suppress(ConnectionError):
        await reader.read()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def asked(port: int, request: bytes = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") -> tuple[str, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    await closed(reader, writer)
    assert f"Content-Length: {len(body)}".encode() in head or request.startswith(b"HEAD")
    return head.decode(), body.decode()


def test_i8_a_scrape_during_a_send(rows, server, sending, opened):
    """States, outcomes, providers by name from the list and *other*; nobody's name or address."""
    port = free_port()
    held = rows.deliver(*(f"o{number}@courriel.example" for number in range(5)), provider="orange")
    rows.deliver(*(f"p{number}@courriel.example" for number in range(20)), name="Vasseur", provider="Chez-Vasseur")
    server.on("p3@courriel.example", Act("rcpt", "550 5.1.1 <p3@courriel.example> unknown"))
    server.on("p9@courriel.example", Act("final", then="held"))
    pages = []

    async def pause_it():
        async with opened() as database:
            await pause_lane(database, "orange", known=("orange",), reason="r", by="dpo", now=NOW)

    async def scrape(database):
        while len(server.taken) < 18:
            await asyncio.sleep(0)
        for _ in range(3):
            pages.append(await asked(port))
        assert (await asked(port, b"POST /metrics HTTP/1.1\r\n\r\n"))[0].startswith("HTTP/1.1 405 ")
        assert (await asked(port, b"GET /etc/passwd HTTP/1.1\r\n\r\n"))[0].startswith("HTTP/1.1 404 ")
        assert (await asked(port, b"HEAD /metrics HTTP/1.1\r\n\r\n"))[1] == ""
        server.allowed.set()

    tune = {"connections": 2, "window": 4, "send__metrics_port": port}
    asyncio.run(pause_it())
    report = sending(server, tune=tune, meanwhile=scrape)
    head, page = pages[-1]
    assert head.startswith("HTTP/1.1 200 OK\r\n") and "Content-Type: text/plain; version=0.0.4; charset=utf-8" in head
    found = parsed(page)
    assert found["notifier_in_flight", ()] >= 1 and found["notifier_window", ()] == 4
    assert found["notifier_attempts_total", (("outcome", "accepted"),)] >= 1
    assert found["notifier_accepted_total", (("provider", "other"),)] >= 1
    assert found["notifier_waiting", (("provider", "orange"),)] == len(held)
    assert found["notifier_lane_resting", (("provider", "orange"),)] == 1
    assert sum(value for (name, _), value in found.items() if name == "notifier_deliveries") == 26, "with a letter"
    assert found["notifier_cycle_seconds_count", ()] >= 1 and found["notifier_cycle_seconds_sum", ()] > 0
    assert found["notifier_journal_unsealed", ()] >= 1 and found["notifier_paused", ()] == 0
    for personal in ("vasseur", "courriel.example", "élodie", "@"):
        assert personal not in page.lower()
    assert report.accepted == 19 and report.refused == 1
    with pytest.raises(OSError):  # closed with the run
        asyncio.run(asked(port))


def test_a_port_that_is_taken_is_told_before_anything_goes_out(rows, server, sending):
    rows.deliver("p@courriel.example")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"send.metrics_port: 127.0.0.1:{port} cannot be listened on"):
            sending(server, tune={"send__metrics_port": port})
    assert server.sessions == 0 and rows.states() == {"queued": 1}


def test_whoever_says_nothing_or_nonsense_ends_no_run(rows, server, sending):
    port = free_port()
    rows.deliver(*(f"p{number}@courriel.example" for number in range(8)))
    server.on("p5@courriel.example", Act("final", then="held"))

    async def disturb(database):
        while not server.taken:
            await asyncio.sleep(0)
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for noise in (b"\x00\xff" * 40_000, b"GET\r\n\r\n", b"GET /metrics\r\n\r\n", b"\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(noise)
            await closed(reader, writer)
        assert parsed((await asked(port))[1])
        server.allowed.set()
        for each in silent:  # left by the run when it ends
            await closed(*each)

    assert sending(server, tune={"send__metrics_port": port, "connections": 1}, meanwhile=disturb).accepted == 8


def test_a_campaign_that_takes_long_to_count_is_counted_to_the_end_and_once(rows, server, sending, monkeypatch):
    """Many millions of rows on a slow disk: broken off, it would begin anew with each scrape, and none be answered."""
    port, begun, ended, counted = free_port(), [], [], flow.states

    async def slowly(connection):
        begun.append(asyncio.get_running_loop().time())
        while asyncio.get_running_loop().time() < begun[-1] + 3 * metrics._HEAD_SECONDS:
            await asyncio.sleep(0)
        ended.append(await counted(connection))
        return ended[-1]

    monkeypatch.setattr(metrics, "_HEAD_SECONDS", 0.2)
    monkeypatch.setattr(flow, "states", slowly)
    rows.deliver(*(f"p{number}@courriel.example" for number in range(4)))
    server.on("p3@courriel.example", Act("final", then="held"))
    pages = []

    async def scrape(database):
        while not server.taken:
            await asyncio.sleep(0)
        try:
            pages.extend(await asyncio.gather(*(asked(port) for _ in range(3))))
        finally:
            server.allowed.set()

    assert sending(server, tune={"send__metrics_port": port, "connections": 1}, meanwhile=scrape).accepted == 4
    assert len(begun) == len(ended) == 1 and all(parsed(page) for _, page in pages)


def test_series_are_bounded_and_the_next_due_is_told_only_while_one_waits():
    kept = {"orange": Lane("orange", 0.5, 1, to_ms(NOW) + 1, 0, "why")}
    sight = Sight(kept=kept, waiting={"orange": 2, "x": 3, "y": 4}, states={"queued": 9}, paused=True)
    made = [
        parsed(exposition(families(progress, sight, known={"orange"}, now=NOW)))
        for progress in (
            Progress({}, 9, 0, by_provider={"x": 1, "orange": 2}),
            Progress({"accepted": 3}, 9, 0, why="hours", until=NOW + timedelta(seconds=90.5)),
        )
    ]
    assert {dict(labels)["provider"] for _, labels in made[0] if dict(labels).get("provider")} == {"orange", "other"}
    assert made[0]["notifier_waiting", (("provider", "other"),)] == 7 and made[0]["notifier_paused", ()] == 1
    assert ("notifier_next_due_seconds", ()) not in made[0] and made[1]["notifier_next_due_seconds", ()] == 90.5
    assert made[0]["notifier_lane_share", (("provider", "orange"),)] == 0.5 and made[1]["notifier_left", ()] == 6
