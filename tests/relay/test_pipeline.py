"""The pipeline against a server that may do anything, without a network: a transport that writes down what it is given,
and a model of a server that reads those bytes and keeps its own ledger. Each transaction has exactly one outcome; none
is called lost whose final dot was given to the transport; none accepted without a 250 of its own (I3, I4, I5)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.delivery.answers import LONGEST_LINE, AnswerReader
from notifier.delivery.exchange import Transaction
from notifier.delivery.outcomes import Kind, Outcome, Phase
from notifier.delivery.pipeline import LARGE, Patience, Pipeline
from notifier.delivery.replies import load_rules
from notifier.delivery.transaction import Envelope, EnvelopeError, Posting, body

PATIENCE = Patience(300, 120, 180, 600)
RULES = load_rules(Path("no campaign here"))


class Wire(asyncio.Transport):
    """A transport without a network. ``room``: how many bytes it takes before it asks to pause."""

    def __init__(self, room: int = 1 << 30) -> None:
        super().__init__()
        self.written = bytearray()
        self.groups: list[bytes] = []  # what was written at once
        self.closing = False
        self.room = room
        self.protocol: Pipeline | None = None

    def write(self, data: bytes) -> None:
        assert not self.closing, "nothing is written to what is closing"
        self.written += data
        self.groups.append(bytes(data))
        if len(self.written) > self.room and self.protocol is not None:
            self.protocol.pause_writing()

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close


@dataclass
class Post:
    """Transactions, and what became of them."""

    outcomes: dict[int, list[Outcome]] = field(default_factory=dict)
    begun: list[int] = field(default_factory=list)

    def transaction(self, number: int, size: int = 0) -> Transaction:
        recipient = f"p{number}@courriel.example"
        message = f"To: {recipient}\r\nSubject: {number}\r\n\r\n.{'x' * 70}\r\n".encode() + b"y" * size + b"\r\n"
        envelope = Envelope(f"bounces+{number}@m.example", recipient, recipient, message, f"{number:032x}")
        self.outcomes[number] = []
        return Transaction(
            Posting.of(envelope, body(envelope)),
            lambda: self.begun.append(number),
            lambda _, outcome: self.outcomes[number].append(outcome),
        )

    def kind(self, number: int) -> Kind:
        (outcome,) = self.outcomes[number]
        return outcome.kind


def session(*, pipelining: bool = True, offers: tuple[str, ...] = (), room: int = 1 << 30) -> tuple[Wire, Pipeline]:
    wire = Wire(room)
    known = dict.fromkeys([*offers, *(["pipelining"] if pipelining else [])], "")
    wire.protocol = Pipeline(wire, known, PATIENCE, lambda: True, RULES)
    return wire, wire.protocol


def in_a_loop(test):
    """The pipeline belongs to a running loop."""

    def run(*arguments, **named):
        async def whole():
            test(*arguments, **named)

        asyncio.run(whole())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


# -- what is written, and when -------------------------------------------------------------------------------------


@in_a_loop
def test_one_round_trip_for_a_message():
    """RFC 2920: MAIL, RCPT, DATA in one group, DATA last; the next group goes with the body and its dot."""
    wire, pipeline = session(offers=("size", "8bitmime", "dsn"))
    post = Post()
    pipeline.submit(post.transaction(1))
    (first,) = wire.groups
    assert first.startswith(b"MAIL FROM:<bounces+1@m.example> SIZE=") and first.endswith(b"\r\nDATA\r\n")
    assert b" RET=HDRS ENVID=" in first and b"NOTIFY=FAILURE,DELAY" in first and first.count(b"\r\n") == 3
    pipeline.submit(post.transaction(2))
    assert len(wire.groups) == 1 and not pipeline.has_room and post.begun == [1]
    pipeline.data_received(b"250 ok\r\n250 ok\r\n354 go\r\n")
    assert len(wire.groups) == 2 and post.begun == [1, 2]
    body_and_next = wire.groups[1]
    assert b"\r\n.\r\nMAIL FROM:<bounces+2@m.example>" in body_and_next and body_and_next.endswith(b"DATA\r\n")
    assert b"\r\n..xxx" in body_and_next, "dot-stuffed"
    pipeline.data_received(b"250 queued as 1\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    assert post.kind(1) is Kind.ACCEPTED and post.outcomes[2] == []
    pipeline.data_received(b"250 queued as 2\r\n")
    assert post.outcomes[2][0].text == "queued as 2" and pipeline.is_idle


@in_a_loop
def test_lockstep_without_pipelining():
    wire, pipeline = session(pipelining=False)
    post = Post()
    pipeline.submit(post.transaction(1))
    for reply, said in [(b"250 ok", b"RCPT"), (b"251 ok", b"DATA"), (b"354 go", b"To: ")]:
        assert not pipeline.has_room
        pipeline.data_received(reply + b"\r\n")
        assert wire.groups[-1].startswith(said)
    pipeline.data_received(b"250 ok\r\n")
    assert post.kind(1) is Kind.ACCEPTED and pipeline.has_room


@in_a_loop
def test_a_reply_cannot_answer_what_is_written_after_it():
    """Without PIPELINING: a second reply in one packet came before RCPT was written, so it condemns nobody."""
    _, pipeline = session(pipelining=False)
    post = Post()
    pipeline.submit(post.transaction(1))
    pipeline.data_received(b"250 ok\r\n550 5.1.1 unknown\r\n")
    assert post.kind(1) is Kind.LOST and not pipeline.is_open


@in_a_loop
def test_a_lone_dot_ends_what_nobody_is_to_have():
    """RFC 2920 3.1: DATA got 354 though RCPT was refused; then RSET leads the next group."""
    wire, pipeline = session()
    post = Post()
    pipeline.submit(post.transaction(1))
    pipeline.submit(post.transaction(2))
    pipeline.data_received(b"250 ok\r\n550 5.1.1 unknown\r\n354 go\r\n")
    assert post.kind(1) is Kind.REFUSED and post.outcomes[1][0].phase is Phase.RCPT
    assert wire.groups[1] == b".\r\n" and wire.groups[2].startswith(b"RSET\r\nMAIL FROM:<bounces+2")
    pipeline.data_received(b"554 no valid recipients\r\n250 reset\r\n250 ok\r\n250 ok\r\n354 go\r\n250 mine\r\n")
    # the last reply came before the body of 2 was written: it cannot be its own
    assert post.kind(2) is Kind.LOST and not pipeline.is_open and b"Subject: 2" not in wire.written


@in_a_loop
def test_no_empty_message_goes_to_somebody():
    """MAIL refused, RCPT taken, 354: a dot alone would send an empty message."""
    wire, pipeline = session()
    post = Post()
    pipeline.submit(post.transaction(1))
    pipeline.data_received(b"451 no\r\n250 ok\r\n354 go\r\n")
    assert post.outcomes[1][0].phase is Phase.MAIL and not pipeline.is_open and b"\n.\r\n" not in wire.written


@in_a_loop
def test_the_dot_of_a_large_body_waits_for_room():
    """A loss while it waits is a safe loss; an early refusal is heard, an early 250 is not believed."""
    for said, kind in [(b"", Kind.LOST), (b"552 5.3.4 too big\r\n", Kind.OURS), (b"250 fine\r\n", Kind.LOST)]:
        wire, pipeline = session(room=1000)
        post = Post()
        pipeline.submit(post.transaction(1, LARGE))
        pipeline.data_received(b"250 ok\r\n250 ok\r\n354 go\r\n")
        assert not wire.written.endswith(b".\r\n") and len(wire.written) > LARGE
        if said:
            pipeline.data_received(said)
        else:
            pipeline.connection_lost(None)
        assert post.kind(1) is kind
    wire, pipeline = session(room=1000)
    pipeline.submit(post.transaction(2, LARGE))
    pipeline.data_received(b"250 ok\r\n250 ok\r\n354 go\r\n")
    pipeline.resume_writing()
    assert wire.written.endswith(b"\r\n.\r\n")
    pipeline.connection_lost(ConnectionResetError())
    assert post.kind(2) is Kind.IN_DOUBT


@in_a_loop
def test_an_early_refusal_condemns_no_address():
    _, pipeline = session(room=1000)
    post = Post()
    pipeline.submit(post.transaction(1, LARGE))
    pipeline.data_received(b"250 ok\r\n250 ok\r\n354 go\r\n")
    pipeline.data_received(b"550 5.1.1 unknown\r\n")
    assert post.kind(1) is Kind.DEFERRED


@in_a_loop
def test_what_is_staged_comes_back_unbegun():
    _, pipeline = session()
    post = Post()
    pipeline.submit(post.transaction(1))
    pipeline.submit(post.transaction(2))
    pipeline.data_received(b"421 4.3.2 closing\r\n")
    staged = pipeline.unstage()
    assert staged is not None and post.begun == [1] and post.outcomes[2] == []
    assert post.outcomes[1][0].code == 421


@pytest.mark.parametrize("fault", [b"a\nb\r\n", b"a\r\n.\rb\r\n", b"a", b"a\r\n.\n"])
def test_smuggling_is_refused_once_more(fault):
    """No bare CR or LF, one end of data: asserted on the bytes that go out."""
    with pytest.raises(EnvelopeError):
        body(Envelope("b@m.example", "a@c.example", "a@c.example", b"To: a@c.example\r\n\r\n" + fault, "00"))


def test_an_end_of_data_inside_is_stuffed():
    wire = body(Envelope("b@m.example", "a@c.example", "a@c.example", b".\r\n\r\n.\r\nMAIL\r\n.\r\n", "00"))
    assert wire == b"..\r\n\r\n..\r\nMAIL\r\n..\r\n.\r\n" and wire.count(b"\r\n.\r\n") == 1


# -- patience ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heard", "seconds", "kind", "phase"),
    [
        (b"", 300, Kind.DEFERRED, Phase.MAIL),
        (b"250 ok\r\n", 300, Kind.DEFERRED, Phase.RCPT),
        (b"250 ok\r\n250 ok\r\n", 120, Kind.DEFERRED, Phase.DATA),
        (b"250 ok\r\n250 ok\r\n354 go\r\n", 600, Kind.IN_DOUBT, Phase.FINAL),
    ],
)
def test_the_waits_of_rfc_5321_4_5_3_2(heard, seconds, kind, phase):
    """By the loop's own clock, set forward."""

    async def whole() -> None:
        loop, ahead = asyncio.get_running_loop(), 0.0
        clock = loop.time
        loop.time = lambda: clock() + ahead
        wire, pipeline = session()
        post = Post()
        pipeline.submit(post.transaction(1))
        pipeline.data_received(heard)
        for step, ended in ((seconds - 5, False), (10, True)):
            ahead += step
            for _ in range(3):
                await asyncio.sleep(0)
            assert bool(post.outcomes[1]) is ended
        assert post.kind(1) is kind and post.outcomes[1][0].phase is phase and wire.closing

    asyncio.run(whole())


# -- the answers ---------------------------------------------------------------------------------------------------


def test_answers_are_bounded():
    for said in (
        b"2" * 10_000_000,
        b"\x00\xff\xfe\n",
        b"250-a\r\n251 b\r\n",
        b"hello\r\n",
        b"250-x\r\n" * 200,
        b"99\n",
    ):
        reader = AnswerReader()
        answers = reader.feed(said)
        assert [answer.code for answer in answers] == [0] and len(answers[0].text) <= LONGEST_LINE
        assert reader.spoiled and reader.feed(b"250 ok\r\n") == []


@given(
    st.lists(st.tuples(st.integers(200, 599), st.lists(st.text("aé5.<>@ -", max_size=9), min_size=1, max_size=4))),
    st.data(),
)
def test_answers_do_not_depend_on_packets(spoken, data):
    said = b"".join(
        f"{code}{' ' if place == len(lines) - 1 else '-'}{line}\r\n".encode()
        for code, lines in spoken
        for place, line in enumerate(lines)
    )
    reader, heard, rest = AnswerReader(), [], said
    while rest:
        size = data.draw(st.integers(1, 12))
        heard += reader.feed(rest[:size])
        rest = rest[size:]
    assert heard == AnswerReader().feed(said)
    assert [answer.code for answer in heard] == [code for code, _ in spoken] and reader.is_between


# -- anything at all -----------------------------------------------------------------------------------------------

FAULTS = ["ok", "ok", "ok", "4", "5", "421", "drop", "garbage", "twice", "2xx", "multi"]


class Model:
    """A server. Reads what was written, answers by script, and knows which messages it took."""

    def __init__(self, wire: Wire, script) -> None:
        self.wire, self.script = wire, script
        self.read = 0
        self.mail = self.rcpt = False
        self.data = False
        self.now = ""
        self.took: dict[str, int] = {}  # recipient: 250s said for its message
        self.refused: set[str] = set()
        self.dead = False
        self.strange = False  # it has said what no server should: its words can be anybody's from here on

    def answers(self) -> bytes:
        """What it says to what it has not read yet."""
        said = b""
        while not self.dead:
            rest = bytes(self.wire.written[self.read :])
            if self.data:
                end = 3 if rest.startswith(b".\r\n") else rest.find(b"\r\n.\r\n") + 5
                if end == 4:
                    break
                self.read += end
                self.data = False
                said += self.final(empty=end == 3)
            elif b"\r\n" in rest:
                line = rest[: rest.index(b"\r\n")].decode()
                self.read += len(line) + 2
                said += self.command(line)
            else:
                break
        return said

    def final(self, *, empty: bool) -> bytes:
        recipient, taken = self.now, self.mail and self.rcpt
        self.mail = self.rcpt = False
        if empty or not taken:
            return b"554 nobody\r\n"
        return self.say(b"250 queued", lambda: self.took.update({recipient: self.took.get(recipient, 0) + 1}))

    def command(self, line: str) -> bytes:
        verb = line[:4]
        if verb == "RSET":
            self.mail = self.rcpt = False
            return self.say(b"250 reset", lambda: None)
        if verb == "MAIL":
            assert not self.mail, "no transaction within another"
            return self.say(b"250 sender", lambda: setattr(self, "mail", True))
        if verb == "RCPT":
            self.now = line.partition("<")[2].partition(">")[0]
            if not self.mail:
                return b"503 MAIL first\r\n"
            return self.say(b"250 recipient", lambda: setattr(self, "rcpt", True))
        if verb == "DATA":
            if not self.mail:
                return b"503 MAIL first\r\n"
            if not self.rcpt and self.script(["554", "354"]) == "554":
                return b"554 nobody\r\n"
            if not self.rcpt:
                self.data = True
                return b"354 nobody\r\n"
            return self.say(b"354 go", lambda: setattr(self, "data", True))
        raise AssertionError(f"no command: {line!r}")

    def say(self, good: bytes, effect) -> bytes:
        fault = self.script(FAULTS)
        if fault in ("4", "5"):
            self.refused.add(self.now)
            return (b"451 4.3.0 later" if fault == "4" else b"550 5.1.1 unknown") + b"\r\n"
        if fault == "421":
            self.dead = True
            return b"421 closing\r\n"
        if fault == "drop":
            self.dead = True
            return b""
        if fault == "garbage":
            self.dead = True
            return b"\xff\x00 what\r\n"
        if fault == "2xx" and good.startswith(b"354"):
            self.dead = True
            return b"250 no\r\n"
        effect()
        if fault == "twice":
            self.strange = True
            return good + b"\r\n" + good + b"\r\n"
        if fault == "multi":
            return good[:3] + b"-first\r\n" + good + b"\r\n"
        return good + b"\r\n"


def dots(wire: Wire) -> set[str]:
    """The recipients of the messages whose final dot was given to the transport."""
    found, rest = set(), bytes(wire.written)
    while (start := rest.find(b"\r\n.\r\n")) >= 0:
        head = rest[:start]
        found.add(head[head.rfind(b"\nTo: ") + 5 :].split(b"\r\n")[0].decode() if b"To: " in head else "")
        rest = rest[start + 5 :]
    return found


@given(st.data(), st.booleans(), st.integers(1, 6))
def test_i4_i5_any_sequence_of_behaviours(data, pipelining, count):
    def draw(choices):
        return data.draw(st.sampled_from(choices))

    async def whole() -> None:
        post = Post()
        waiting = list(range(count))
        sessions = 0
        while waiting:
            wire, pipeline = session(pipelining=pipelining)
            model = Model(wire, draw if sessions < 4 else lambda choices: choices[0])
            sessions += 1
            first_of_session = waiting[0]
            back: list[int] = []
            while pipeline.is_open:
                while waiting and pipeline.is_open and pipeline.has_room:
                    pipeline.submit(post.transaction(waiting.pop(0)))
                if pipeline.is_idle and not waiting:
                    break
                said = model.answers()
                while said and pipeline.is_open:
                    size = data.draw(st.sampled_from([1, 7, len(said)]))
                    pipeline.data_received(said[:size])
                    said = said[size:]
                if model.dead and pipeline.is_open:
                    pipeline.connection_lost(None)
            if (staged := pipeline.unstage()) is not None:
                back.append(int(staged.posting.token, 16))
            assert wire.closing or pipeline.is_open
            judge(post, wire, model, back)
            waiting = back + waiting
            assert not waiting or waiting[0] != first_of_session or sessions < 50

    def judge(post: Post, wire: Wire, model: Model, back: list[int]) -> None:
        ended = dots(wire)
        for number, outcomes in post.outcomes.items():
            recipient = f"p{number}@courriel.example"
            if number in back:
                assert outcomes == [] and recipient.encode() not in wire.written
                continue
            assert len(outcomes) == 1, "exactly one outcome"
            (outcome,) = outcomes
            if recipient.encode() not in wire.written:
                continue  # of an earlier session
            out = recipient in ended
            if outcome.kind is Kind.LOST:
                assert not out, "lost means that its dot did not go out"
            if outcome.kind is Kind.IN_DOUBT:
                assert out
            if outcome.kind is Kind.ACCEPTED:
                assert model.took.get(recipient) == 1, "accepted by a 250 of its own"
            if model.took.get(recipient) and not model.strange:
                assert outcome.kind in (Kind.ACCEPTED, Kind.IN_DOUBT), "what was taken is not called failed"

    asyncio.run(whole())
