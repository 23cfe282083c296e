"""A pipeline takes its next message without waking the connection's task, but never one that the task waits for."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path

from notifier.delivery import replies
from notifier.delivery.connection import Connection, Means
from notifier.delivery.envelopes import Ready
from notifier.delivery.outbox import Made, Outbox
from notifier.delivery.pace import Gate, Pace
from notifier.delivery.pipeline import Patience, Pipeline
from notifier.delivery.slots import LaneGate
from notifier.delivery.transaction import EnvelopeError, Posting
from notifier.delivery.turnstile import Turnstile
from notifier.delivery.weather import Weather
from notifier.storage.deliveries import Claim
from notifier.vault import Keys, Vault

WIRE = b"To: a@courriel.example\r\n\r\nBonjour\r\n.\r\n"
TAKEN = b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go on\r\n"


class Wire(asyncio.Transport):
    """Where the bytes end."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...

    def abort(self) -> None: ...


def now() -> datetime:
    return datetime.now(UTC)


def message(number: int) -> Made:
    claim = Claim(
        number, number.to_bytes(16, "big"), 1, "initial", 1, 1, 1, "other", 1, 0, 0, 1, 1, 1, "clairval", "own", b"",
        b"", has_postal=False,
    )  # fmt: skip
    posting = Posting(f"b+{number}@b.example", "a@courriel.example", claim.token.hex(), len(WIRE), True, WIRE)
    return Made(claim, Ready(posting, ()))


class Line:
    """A connection on an open session, without its task."""

    def __init__(self, most: int = 100) -> None:
        self.outbox = Outbox(Vault(Keys.new("test")), now)
        self.connection = Connection(Means(None, self.outbox, Turnstile(now()), Weather(5), 5))  # type: ignore[arg-type]
        self.wire = Wire()
        rules = replies.load_rules(Path("no campaign here"))
        self.pipeline = Pipeline(self.wire, {"pipelining": ""}, Patience(5, 5, 5, 5), self.outbox.is_running, rules)
        self.pipeline.refill = self.connection._refill
        self.connection._pipeline, self.connection._most = self.pipeline, most
        self.connection._relay = type("Relay", (), {"name": "relay"})()

    def waits_for_room(self) -> None:
        self.connection._is_free = True

    def mails(self) -> int:
        return b"".join(self.wire.written).count(b"MAIL FROM")


def test_it_goes_on_by_itself_as_long_as_there_is_something():
    async def whole() -> tuple[int, int]:
        line = Line()
        for number in range(5):
            line.outbox.bring(message(number))
        line.pipeline.submit(line.connection._parcel(line.outbox.made.get_nowait()))
        line.waits_for_room()
        while line.pipeline._expected:
            line.pipeline.data_received(TAKEN)
            line.pipeline.data_received(b"250 2.0.0 ok\r\n")
        return line.mails(), len(line.outbox.take()[0])

    assert asyncio.run(whole()) == (5, 5)


def test_not_beyond_what_the_session_may_carry_nor_when_the_run_stops():
    async def whole() -> tuple[int, int]:
        line, stopped = Line(most=2), Line()
        for each in (line, stopped):
            for number in range(5):
                each.outbox.bring(message(number))
            each.pipeline.submit(each.connection._parcel(each.outbox.made.get_nowait()))
        stopped.outbox.stop()
        for each in (line, stopped):
            each.waits_for_room()
            while each.pipeline._expected:
                each.pipeline.data_received(TAKEN)
                each.pipeline.data_received(b"250 2.0.0 ok\r\n")
        return line.mails(), stopped.mails()

    assert asyncio.run(whole()) == (2, 1)


def test_i3_what_the_task_waits_for_is_the_tasks():
    """Else it would stay staged, unknown to the task, when the run stops: nobody would give it back, and the run would
    never end."""

    async def whole() -> tuple[bool, int]:
        line = Line()
        line.pipeline.submit(line.connection._parcel(message(1)))
        waiting = asyncio.ensure_future(line.connection._claim())
        await asyncio.sleep(0)
        line.outbox.bring(message(2))  # the task is told, and has not run yet
        line.pipeline.data_received(TAKEN)
        staged = line.pipeline.unstage()
        made = await waiting
        assert made is not None
        return staged is None, made.claim.id

    assert asyncio.run(whole()) == (True, 2)


def test_i6_a_lane_that_is_as_quick_as_ever_again_takes_no_room_from_who_stood_at_its_gate():
    async def whole() -> list[int]:
        line = Line()
        turnstile = line.connection._means.turnstile
        lane = LaneGate(Gate(Pace(5.0, 1), 0, turnstile.now()))
        lease = lane.gate.wish(turnstile.now(), 1, 5)
        assert lease is not None
        lane.gate.granted(lease)
        line.pipeline.submit(line.connection._parcel(message(1)))
        turnstile.lanes = {"other": lane}
        if lane.gate.admits(turnstile.now()):
            lane.gate.take(turnstile.now())
            lane.gate.wrote(turnstile.now())
        line.pipeline.data_received(TAKEN)
        carried = asyncio.ensure_future(line.connection._carry(line.connection._parcel(message(2))))
        await asyncio.sleep(0.01)
        assert not carried.done(), "it stands at the gate"
        turnstile.lanes.clear()
        for number in (3, 4, 5):
            line.outbox.bring(message(number))
        line.pipeline.data_received(b"250 2.0.0 ok\r\n")
        await asyncio.wait_for(carried, 5)
        return [int(place) for place in re.findall(rb"MAIL FROM:<b\+(\d+)@", b"".join(line.wire.written))]

    assert asyncio.run(whole()) == [1, 2]


def test_a_session_that_says_quit_takes_nothing_more():
    async def whole() -> bytes:
        line, other = Line(), Line()
        connection = line.connection
        line.pipeline.submit(connection._parcel(message(1)))
        line.pipeline.data_received(TAKEN)
        line.pipeline.data_received(b"250 ok\r\n")
        connection._session = type("Session", (), {})()
        connection._relay.gone = lambda session: None
        connection._waited()
        await asyncio.sleep(0)
        connection._pipeline, connection._is_free = other.pipeline, True  # another was opened meanwhile
        other.pipeline.refill = connection._refill
        line.outbox.bring(message(2))
        line.pipeline.data_received(b"221 2.0.0 bye\r\n")
        return line.wire.written[-1]

    assert asyncio.run(whole()) == b"QUIT\r\n"


def test_i5_a_message_that_cannot_be_begun_by_itself_ends_the_run_as_a_crash_would():
    async def whole() -> Exception | None:
        line = Line()
        line.pipeline.on_fault = line.outbox.crashed
        line.pipeline.submit(line.connection._parcel(message(1)))
        line.waits_for_room()
        broken = message(2)
        assert broken.ready.posting is not None
        posting = broken.ready.posting._replace(return_path="b\r\nRCPT TO:<x@vol.example>@b.example")
        line.outbox.bring(Made(broken.claim, broken.ready._replace(posting=posting)))
        line.pipeline.data_received(TAKEN)
        return line.outbox.crash

    assert isinstance(asyncio.run(whole()), EnvelopeError)
