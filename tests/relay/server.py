"""A real SMTP server that misbehaves on script.

``server.on(address, act, …)``: what happens at this recipient's first, second … transaction; after the last act it
behaves well. ``server.on_mail(act, …)``: the same for the coming MAIL commands, whoever they are for. It writes down
every message it took and the time of every MAIL.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Act:
    """At ``phase`` (mail, rcpt, data, body, final, rset): say ``reply`` if there is one (several lines are several
    replies, or one of several lines, as they are written); then: "" go on, "drop" cut the connection, "take_drop" take
    the message and cut, "hang" say nothing more, "slow" answer well after ``wait``, "held" when the test allows it.
    A reply at "body" comes with the 354, before anything of the body was read."""

    phase: str
    reply: str = ""
    then: str = ""
    wait: float = 0.0


@dataclass(frozen=True)
class Taken:
    """A message the server answers for."""

    recipient: str
    return_path: str
    data: bytes
    at: float


class Cut(Exception):
    """The server ends the connection without a word."""


@dataclass
class Server:
    greeting: str = "220 relay.example ESMTP"
    extensions: tuple[str, ...] = ("SIZE 10000000", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES")
    knows_ehlo: bool = True
    manner: str = ""  # "bytes": replies come byte by byte; "lump": as many at once as there are
    grants: bool = False  # says 354 though it took no recipient (RFC 2920 3.1 allows it)
    stays: float | None = None  # seconds after EHLO until it closes the session; None: it does not
    noop: str = "250 2.0.0 Ok"
    auth: str = "PLAIN LOGIN"
    most_sessions: int = 1000
    messages_per_session: int = 1_000_000
    starttls: ssl.SSLContext | None = None
    login: tuple[str, str] | None = None
    refusal: str = "535 5.7.8 bad credentials"  # {user}, {password}, {said}: as the client gave them
    port: int = 0
    taken: list[Taken] = field(default_factory=list)
    mails: list[float] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)  # what no client may say
    allowed: asyncio.Event = field(default_factory=asyncio.Event)
    sessions: int = 0
    most_open: int = 0
    open: int = 0
    acts: dict[str, deque[Act]] = field(default_factory=lambda: defaultdict(deque))
    mail_acts: deque[Act] = field(default_factory=deque)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    on_take: object = None

    def on(self, address: str, *acts: Act) -> None:
        """What this recipient meets, from RCPT on: whose MAIL it is nobody knows (:meth:`on_mail`)."""
        assert all(act.phase != "mail" for act in acts)
        self.acts[address].extend(acts)

    def on_mail(self, *acts: Act) -> None:
        self.mail_acts.extend(acts)

    def copies(self, address: str) -> int:
        return sum(taken.recipient == address for taken in self.taken)

    async def session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sessions += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await _Session(self, reader, writer).run()
        except (Cut, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.transport.abort()


class _Session:
    def __init__(self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.reader, self.writer = server, reader, writer
        self.return_path = self.recipient = ""
        self.act: Act | None = None
        self.messages = 0
        self.secure = False
        self.begun = self.taken = False  # MAIL, RCPT of the transaction at hand
        self.unsaid = b""

    def say(self, *lines: str) -> None:
        self.unsaid += "".join(line + "\r\n" for line in lines).encode("utf-8", "surrogateescape")

    async def speak(self) -> None:
        """Send what is said: at once, byte by byte, or when nothing more is there to be answered."""
        if self.server.manner == "lump" and b"\n" in self.reader._buffer:
            return
        said, self.unsaid = self.unsaid, b""
        if self.server.manner == "bytes" and len(said) < 10_000:
            for place in range(len(said)):
                self.writer.write(said[place : place + 1])
                await self.writer.drain()
                await asyncio.sleep(0)
        elif said:
            self.writer.write(said)
            await self.writer.drain()

    async def play(self, phase: str) -> bool:
        """Whether the script answered in our place."""
        act = self.act
        if act is None or act.phase != phase:
            return False
        self.act = None
        if act.then == "hang":
            await self.speak()
            await self.server.closing.wait()
            raise Cut
        if act.then == "held":
            await self.server.allowed.wait()
        if act.wait:
            await asyncio.sleep(act.wait)
        if act.reply:
            self.say(*act.reply.split("\n"))
        if act.then == "drop" or act.reply.startswith("421"):
            await self.speak()
            raise Cut
        return bool(act.reply)

    async def run(self) -> None:
        server = self.server
        if server.open > server.most_sessions:
            self.say("421 4.7.0 too many connections")
            await self.speak()
            return
        self.say(server.greeting)
        await self.speak()
        if not server.greeting.startswith("220"):
            return
        while line := await self.next_line():
            command = line.decode("utf-8", "replace").rstrip("\r\n")
            server.commands.append(command)
            verb = command[:4].upper()
            if verb == "EHLO" and server.knows_ehlo:
                extra = [] if server.starttls is None or self.secure else ["STARTTLS"]
                extra += [f"AUTH {server.auth}"] if server.login else []
                lines = ["relay.example", *server.extensions, *extra]
                self.say(*(f"250-{one}" for one in lines[:-1]), f"250 {lines[-1]}")
                if server.stays is not None:
                    await self.speak()
                    await asyncio.sleep(server.stays)
                    raise Cut
            elif verb == "HELO":
                self.say("250 relay.example")
            elif verb == "STAR" and server.starttls is not None:
                self.say("220 go ahead")
                await self.speak()
                await self.writer.start_tls(server.starttls)
                self.secure = True
            elif verb == "AUTH" and server.login is not None:
                await self.log_in(command, server.login)
            elif verb == "MAIL":
                await self.mail(command)
            elif verb == "RCPT":
                await self.rcpt(command)
            elif verb == "DATA":
                await self.data()
            elif verb == "RSET":
                self.begun = self.taken = False
                if not await self.play("rset"):
                    self.say("250 2.0.0 Ok")
            elif verb == "NOOP":
                self.say(server.noop)
                if server.noop.startswith("421"):
                    await self.speak()
                    return
            elif verb == "QUIT":
                self.say("221 2.0.0 Bye")
                await self.speak()
                return
            else:
                server.faults.append(command)
                self.say("500 5.5.2 what?")

    async def next_line(self) -> bytes:
        await self.speak()
        return await self.reader.readline()

    async def log_in(self, command: str, login: tuple[str, str]) -> None:
        right = base64.b64encode(("\0" + "\0".join(login)).encode()).decode()
        said = command.rpartition(" ")[2]
        _, user, password = (*base64.b64decode(said).decode().split("\0"), "", "")[:3]
        if command.startswith("AUTH LOGIN"):
            user = base64.b64decode(said).decode()
            self.say("334 UGFzc3dvcmQ6")
            said = (await self.next_line()).decode().strip()
            password = base64.b64decode(said).decode()
            good = (user, password) == login
        else:
            good = command == f"AUTH PLAIN {right}"
        refused = self.server.refusal.format(user=user, password=password, said=said)
        self.say(*(["235 2.7.0 welcome"] if good else refused.split("\n")))

    async def mail(self, command: str) -> None:
        self.server.mails.append(time.monotonic())
        if self.messages >= self.server.messages_per_session:
            self.say("421 4.7.0 enough for this connection")
            await self.speak()
            raise Cut
        if self.begun:
            self.server.faults.append(f"nested {command}")
            self.say("503 5.5.1 nested MAIL")
            return
        self.messages += 1
        self.return_path = command.partition("<")[2].partition(">")[0]
        self.act = self.server.mail_acts.popleft() if self.server.mail_acts else None
        self.begun = self.act is None or self.act.phase != "mail" or self.act.reply.startswith("250")
        if not await self.play("mail"):
            self.say("250 2.1.0 Ok")

    async def rcpt(self, command: str) -> None:
        if not self.begun:
            self.say("503 5.5.1 MAIL first")
            return
        self.recipient = command.partition("<")[2].partition(">")[0]
        script = self.server.acts.get(self.recipient)
        self.act = script.popleft() if script else None
        if not await self.play("rcpt"):
            self.taken = True
            self.say("250 2.1.5 Ok")

    async def data(self) -> None:
        if not self.taken and not self.server.grants:
            self.say("554 5.5.1 no valid recipients" if self.begun else "503 5.5.1 MAIL first")
            return
        if not self.taken:
            self.say("354 go on, to nobody")
            if (line := await self.next_line()) != b".\r\n":
                self.server.faults.append(f"a body for nobody: {line!r}")
                raise Cut
            self.begun = False
            self.say("554 5.5.1 no valid recipients")
            return
        if await self.play("data"):
            return
        self.say("354 go on")
        if self.act is not None and self.act.phase == "body":
            if self.act.reply:
                self.say(*self.act.reply.split("\n"))
            await self.speak()
            await self.reader.readexactly(20)
            raise Cut
        await self.speak()
        data = await self.reader.readuntil(b"\r\n.\r\n")
        self.begun = self.taken = False
        act = self.act
        if act is not None and act.phase == "final" and act.then == "take_drop":
            self.take(data)
            raise Cut
        if not await self.play("final"):
            self.take(data)
            self.say(f"250 2.0.0 Ok: queued as {len(self.server.taken):08X}")

    def take(self, data: bytes) -> None:
        message = data[:-3].replace(b"\r\n..", b"\r\n.")
        self.server.taken.append(Taken(self.recipient, self.return_path, message, time.monotonic()))
        if callable(self.server.on_take):
            self.server.on_take()


@asynccontextmanager
async def serving(server: Server, *, implicit: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """The server, listening on a free port of this machine."""
    listener = await asyncio.start_server(
        server.session, "127.0.0.1", server.port, ssl=implicit, limit=2**24, backlog=200
    )
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        server.closing.set()
        listener.close()
