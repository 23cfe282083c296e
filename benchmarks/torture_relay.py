"""A relay that misbehaves at every phase, by chance, and keeps its own ledger of what it answered for.

Its ledger is written before the answer is: what stands there, the relay has taken, whatever became of the connection.
A message is known by the token of its Message-ID, which the campaign's journal bears too.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_TOKEN = re.compile(rb"^Message-ID:\s*<([0-9a-f]{32})@", re.I | re.M)
_EXTENSIONS = ("SIZE 10000000", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES")

CHANCES: dict[str, tuple[tuple[float, str], ...]] = {
    "connect": ((0.04, "drop"), (0.04, "421 4.3.2 {host} too busy"), (0.03, "slow")),
    "ehlo": ((0.03, "drop"), (0.02, "421 4.3.0 going down")),
    "mail": ((0.004, "drop"), (0.004, "421 4.7.0 enough"), (0.004, "451 4.3.0 later"), (0.004, "452 4.3.1 no room")),
    "rcpt": (
        (0.004, "drop"),
        (0.02, "450 4.2.0 <{to}>: greylisted, try again"),
        (0.006, "452 4.2.2 <{to}> mailbox full"),
        (0.03, "550 5.1.1 <{to}>: no such user here"),
        (0.004, "421 4.7.0 bye {to}"),
    ),
    "data": ((0.004, "drop"), (0.004, "451 4.3.0 not now"), (0.003, "421 4.3.2 closing")),
    "body": ((0.006, "drop"),),  # in the midst of it
    "final": (
        (0.006, "drop"),  # read whole, not taken, no answer
        (0.010, "take, drop"),  # taken, no answer
        (0.006, "take, half"),  # taken, and the answer breaks off
        (0.010, "take, slow"),
        (0.006, "451 4.3.0 error while storing"),
        (0.003, "421 4.3.2 shutting down"),
    ),
}
"""Phase → (chance, what happens instead). Doubts stay rarer than what makes a campaign pause of itself."""


@dataclass
class Ledger:
    """``taken``: by token, how often. ``refused``: by token of what was said before a body came, by recipient."""

    file: IO[str]
    taken: Counter[str] = field(default_factory=Counter)
    unanswered: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)
    mails: int = 0
    sessions: int = 0

    def write(self, what: str, whom: str) -> None:
        self.file.write(json.dumps([what, whom]) + "\n")
        self.file.flush()


class Relay:
    """``wild``: whether it misbehaves now."""

    def __init__(self, ledger: Path, seed: int) -> None:
        self.ledger = Ledger(ledger.open("a", encoding="utf-8"))
        self.port = 0
        self.wild = True
        self._chance = random.Random(seed)
        self._listener: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._moved = asyncio.Event()

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._listener = await asyncio.start_server(
            self._session, "127.0.0.1", self.port, limit=2**24, backlog=200, reuse_address=True
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """As a relay dies: nobody listens, every connection is reset."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self.cut()

    async def close(self) -> None:
        """For good, with the ledger's file."""
        await self.stop()
        self.ledger.file.close()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self._open):
            writer.transport.abort()

    async def reach(self, messages: int) -> None:
        """Until that many were taken."""
        while self.ledger.taken.total() < messages:
            self._moved.clear()
            await self._moved.wait()

    def draw(self, phase: str) -> str:
        """What happens at this phase instead of the usual; "" for the usual."""
        if not self.wild:
            return ""
        roll = self._chance.random()
        for chance, act in CHANCES[phase]:
            roll -= chance
            if roll < 0:
                self.ledger.acts[f"{phase}: {act}"] += 1
                return act
        return ""

    def take(self, token: str, *, answered: bool) -> None:
        self.ledger.write("taken" if answered else "taken without an answer", token)
        self.ledger.taken[token] += 1
        if not answered:
            self.ledger.unanswered[token] += 1
        self._moved.set()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        self.ledger.sessions += 1
        try:
            await _Session(self, reader, writer, pipelining=self._chance.random() < 0.7).run()
        except (_Cut, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._open.discard(writer)
            writer.transport.abort()


class _Cut(Exception):
    """The connection ends without a word."""


class _Session:
    def __init__(
        self, relay: Relay, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, pipelining: bool
    ) -> None:
        self.relay, self.reader, self.writer = relay, reader, writer
        self.extensions = (*_EXTENSIONS, "PIPELINING") if pipelining else _EXTENSIONS
        self.begun = False
        self.recipient = ""

    async def say(self, line: str) -> None:
        self.writer.write(line.encode() + b"\r\n")
        await self.writer.drain()

    async def act(self, phase: str) -> bool:
        """Whether something else than the usual was said."""
        match self.relay.draw(phase):
            case "":
                return False
            case "drop":
                raise _Cut
            case "slow":
                await asyncio.sleep(0.15)
                return False
            case reply:
                await self.say(reply.format(to=self.recipient, host="relay.example"))
                if reply.startswith("421"):
                    raise _Cut
                return True

    async def run(self) -> None:
        if await self.act("connect"):
            return
        await self.say("220 relay.example ESMTP")
        while line := await self.reader.readline():
            command = line.decode("utf-8", "replace").rstrip("\r\n")
            match command[:4].upper():
                case "EHLO":
                    if not await self.act("ehlo"):
                        lines = ("relay.example", *self.extensions)
                        await self.say("\r\n".join([*(f"250-{one}" for one in lines[:-1]), f"250 {lines[-1]}"]))
                case "MAIL":
                    self.relay.ledger.mails += 1
                    self.begun, self.recipient = False, ""
                    if not await self.act("mail"):
                        self.begun = True
                        await self.say("250 2.1.0 Ok")
                case "RCPT":
                    await self.rcpt(command)
                case "DATA":
                    await self.data()
                case "RSET":
                    self.begun, self.recipient = False, ""
                    await self.say("250 2.0.0 Ok")
                case "QUIT":
                    await self.say("221 2.0.0 Bye")
                    return
                case _:
                    await self.say("500 5.5.2 what?")

    async def rcpt(self, command: str) -> None:
        if not self.begun:
            await self.say("503 5.5.1 MAIL first")
            return
        to = command.partition("<")[2].partition(">")[0]
        act = self.relay.draw("rcpt").format(to=to)
        if act == "drop":
            raise _Cut
        if act.startswith("5"):
            self.relay.ledger.write("refused", to)
            self.relay.ledger.refused[to] += 1
        if act:
            await self.say(act)
            if act.startswith("421"):
                raise _Cut
            return
        self.recipient = to
        await self.say("250 2.1.5 Ok")

    async def data(self) -> None:
        if not self.recipient:
            await self.say("554 5.5.1 no valid recipients" if self.begun else "503 5.5.1 MAIL first")
            return
        if await self.act("data"):
            return
        await self.say("354 go on")
        if self.relay.draw("body"):
            await self.reader.readexactly(500)
            raise _Cut
        message = await self.reader.readuntil(b"\r\n.\r\n")
        self.begun, self.recipient = False, ""
        found = _TOKEN.search(message)
        token = found[1].decode() if found else "no Message-ID"
        act = self.relay.draw("final")
        if act == "drop":
            raise _Cut
        if act and not act.startswith("take"):
            await self.say(act)
            if act.startswith("421"):
                raise _Cut
            return
        self.relay.take(token, answered=act in ("", "take, slow"))
        match act:
            case "take, drop":
                raise _Cut
            case "take, half":
                with suppress(ConnectionError):
                    self.writer.write(b"250 2.0.")
                    await self.writer.drain()
                raise _Cut
            case "take, slow":
                await asyncio.sleep(0.1)
        await self.say("250 2.0.0 Ok: queued")
