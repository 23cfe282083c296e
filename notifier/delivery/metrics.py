"""What there is to measure of a running `send`, for Prometheus: a page in its text format 0.0.4, and the server of it.

No personal data (I8): states, outcomes and the names of providers from data/providers.toml, everything else is *other*.
So the number of series is bounded. Whoever asks is told what the run knows in memory and what the lookout has read, at
most every two seconds; nobody can make it read more by asking more. Off unless ``[send] metrics_port`` is set; on this
machine alone unless ``metrics_host`` says otherwise: there is neither login nor TLS.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from notifier.campaign import SendSection
from notifier.delivery.lookout import Lookout, Sight
from notifier.delivery.report import Progress
from notifier.delivery.rules import OTHER
from notifier.delivery.states import State
from notifier.errors import SettingsError
from notifier.model import to_ms

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OUTCOMES = ("accepted", "deferred", "refused", "expired", "in_doubt", "unmade", "released")
_HEAD_SECONDS = 5.0  # for a request, and for its answer to be taken
_HEAD_BYTES = 8192
_CONNECTIONS = 16  # at once; more are turned away

Sample = tuple[str, Mapping[str, str], float]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its samples as (suffix of the name, labels, value)."""

    name: str
    kind: str
    help: str
    samples: Sequence[Sample]


def _one(name: str, kind: str, text: str, value: float) -> Family:
    return Family(name, kind, text, [("", {}, value)])


def families(progress: Progress, sight: Sight, *, known: Collection[str], now: datetime) -> list[Family]:
    """All metrics. ``known``: the providers that may be named. Pure."""
    waiting, accepted = Counter[str](), Counter[str]()
    for counts, found in ((waiting, sight.waiting), (accepted, progress.by_provider)):
        for provider, number in found.items():
            counts[provider if provider in known else OTHER] += number
    names = sorted({*known, OTHER})
    rests = {name: lane.rests(to_ms(now)) for name, lane in sight.kept.items()}
    shares = {name: lane.factor for name, lane in sight.kept.items()}
    due: list[Sample] = [] if progress.until is None else [("", {}, max(0.0, (progress.until - now).total_seconds()))]
    return [
        Family(
            "notifier_deliveries", "gauge", "Deliveries of the campaign, by state.",
            [("", {"state": state.value}, sight.states.get(state.value, 0)) for state in State],
        ),
        Family(
            "notifier_attempts_total", "counter", "Attempts of this run that ended, by outcome.",
            [("", {"outcome": outcome}, progress.counts.get(outcome, 0)) for outcome in OUTCOMES],
        ),
        Family(
            "notifier_accepted_total", "counter", "Messages that the relay accepted in this run, by provider.",
            [("", {"provider": name}, accepted[name]) for name in names],
        ),
        Family(
            "notifier_waiting", "gauge", "Approved mail that is queued or deferred, by provider.",
            [("", {"provider": name}, waiting[name]) for name in names],
        ),
        Family(
            "notifier_lane_resting", "gauge", "1 while nothing is taken from the provider's lane.",
            [("", {"provider": name}, rests.get(name, False)) for name in names],
        ),
        Family(
            "notifier_lane_share", "gauge", "Share of the provider's pace that is used.",
            [("", {"provider": name}, shares.get(name, 1.0)) for name in names],
        ),
        _one("notifier_rate", "gauge", "Messages accepted per second, lately.", progress.rate),
        _one("notifier_in_flight", "gauge", "Deliveries claimed whose outcome is not recorded.", progress.outstanding),
        _one("notifier_window", "gauge", "How many may be claimed at a time.", progress.window),
        _one("notifier_left", "gauge", "What waited when it was last counted and is not settled.", progress.left),
        _one("notifier_paused", "gauge", "1 while the campaign is paused.", sight.paused),
        _one("notifier_waits", "gauge", "1 while something stands before the next message.", bool(progress.why)),
        Family("notifier_next_due_seconds", "gauge", "Until the next may be begun, while none may be.", due),
        Family(
            "notifier_cycle_seconds", "summary", "Transactions that record what has ended and mark what is next.",
            [("_sum", {}, progress.cycle_seconds), ("_count", {}, progress.cycles)],
        ),
        _one("notifier_journal_unsealed", "gauge", "Journal entries that no checkpoint covers yet.", sight.unsealed),
    ]  # fmt: skip


def exposition(found: Sequence[Family]) -> str:
    """The page (Prometheus text format 0.0.4). Pure."""
    lines: list[str] = []
    for family in found:
        if family.samples:
            lines += [f"# HELP {family.name} {_escaped(family.help)}", f"# TYPE {family.name} {family.kind}"]
        for suffix, labels, value in family.samples:
            told = ",".join(f'{name}="{_quoted(text)}"' for name, text in labels.items())
            lines.append(f"{family.name}{suffix}{{{told}}} {_number(value)}".replace("{}", ""))
    return "".join(line + "\n" for line in lines)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


@asynccontextmanager
async def serving(
    section: SendSection, lookout: Lookout, *, known: Collection[str], clock: Callable[[], datetime]
) -> AsyncIterator[None]:
    """Answer `GET /metrics` while the block runs. Raises SettingsError when the port cannot be had."""
    desk = _Desk(lookout, known, clock)
    try:
        server = await asyncio.start_server(desk.answer, section.metrics_host, section.metrics_port, limit=_HEAD_BYTES)
    except OSError as error:
        where = f"{section.metrics_host}:{section.metrics_port}"
        raise SettingsError(f"send.metrics_port: {where} cannot be listened on ({error.strerror or error})") from error
    try:
        yield
    finally:
        server.close()
        desk.leave()
        await server.wait_closed()


class _Desk:
    """Who answers."""

    def __init__(self, lookout: Lookout, known: Collection[str], clock: Callable[[], datetime]) -> None:
        self._lookout = lookout
        self._known = known
        self._clock = clock
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    def leave(self) -> None:
        """Whoever is still asking is left."""
        for writer, task in list(self._open.items()):
            writer.transport.abort()
            if task is not None:
                task.cancel()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer. Whatever comes in, nothing of it ends the run."""
        if len(self._open) >= _CONNECTIONS:
            writer.transport.abort()
            return
        self._open[writer] = asyncio.current_task()
        try:
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                async with asyncio.timeout(_HEAD_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                # However long it takes to count: a reading that is broken off is begun anew by whoever asks next.
                writer.write(await self._reply(head.split(b"\r\n", 1)[0]))
                async with asyncio.timeout(_HEAD_SECONDS):
                    await writer.drain()
        finally:
            self._open.pop(writer, None)
            writer.close()

    async def _reply(self, request: bytes) -> bytes:
        method, _, rest = request.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method not in (b"GET", b"HEAD"):
            return _response("405 Method Not Allowed", "", more="Allow: GET, HEAD\r\n")
        if path != b"/metrics":
            return _response("404 Not Found", "", empty=method == b"HEAD")
        sight = await self._lookout.read()
        found = families(self._lookout.seen(), sight, known=self._known, now=self._clock())
        return _response("200 OK", exposition(found), empty=method == b"HEAD")


def _response(status: str, body: str, *, more: str = "", empty: bool = False) -> bytes:
    encoded = body.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(encoded)}\r\n"
        f"{more}Connection: close\r\n\r\n"
    )
    return head.encode() + (b"" if empty else encoded)
