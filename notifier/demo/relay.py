"""The demo's relay: aiosmtpd on loopback, in a thread of its own, with a real relay's manners.

It greylists some recipients, refuses some as unknown (and echoes their address, as real servers do), calls some
mailboxes full for a while, and once takes a message and loses the connection before it answers. Who meets what is
decided by a hash of the address, so that the demonstration is the same each time. It keeps a ledger of what it took.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

ANSWER_SECONDS = 0.004  # a relay is never instant; it also leaves time to be killed in the middle


@dataclass
class Ledger:
    """What the relay saw. ``accepted``: (recipient, message bytes), in order."""

    accepted: list[tuple[str, bytes]] = field(default_factory=list)
    greylisted: Counter[str] = field(default_factory=Counter)
    full: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    dropped: list[str] = field(default_factory=list)


def manner(recipient: str) -> str:
    """greylist (10 %), unknown (4 %), full (4 %) or plain."""
    share = hashlib.sha256(recipient.lower().encode()).digest()[0] / 256
    if share < 0.10:
        return "greylist"
    if share < 0.14:
        return "unknown"
    if share < 0.18:
        return "full"
    return "plain"


class Handler:
    """aiosmtpd's hooks."""

    def __init__(self, ledger: Ledger, *, drop_at: int) -> None:
        self.ledger = ledger
        self.drop_at = drop_at
        self.reached: dict[int, threading.Event] = {}

    async def handle_RCPT(  # noqa: N802  (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        kind = manner(address)
        if kind == "unknown":
            self.ledger.unknown[address] += 1
            return f"550 5.1.1 <{address}>: Recipient address rejected: User unknown in virtual mailbox table"
        if kind == "greylist" and not self.ledger.greylisted[address]:
            self.ledger.greylisted[address] += 1
            return f"450 4.2.0 <{address}>: Recipient address rejected: Greylisted, please try again later"
        if kind == "full" and self.ledger.full[address] < 2:
            self.ledger.full[address] += 1
            return "452 4.2.2 Mailbox full"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        await asyncio.sleep(ANSWER_SECONDS)
        content = envelope.original_content
        assert content is not None
        recipient = envelope.rcpt_tos[0]
        self.ledger.accepted.append((recipient, content))
        count = len(self.ledger.accepted)
        if event := self.reached.get(count):
            event.set()
        if count == self.drop_at:
            self.ledger.dropped.append(recipient)
            transport: Any = server.transport
            transport.abort()  # taken, and never said so: the case of RFC 1047
        return f"250 2.0.0 Ok: queued as DEMO{count:05d}"


class DemoRelay:
    """``with DemoRelay() as relay``: listens on 127.0.0.1 on a free port until the block ends."""

    def __init__(self, *, drop_at: int) -> None:
        self.ledger = Ledger()
        self.handler = Handler(self.ledger, drop_at=drop_at)
        # Controller wants to know its port beforehand: ask the system for a free one.
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._controller = Controller(
            self.handler, hostname="127.0.0.1", port=self.port, server_hostname="relais.demo.example"
        )

    def when(self, accepted: int) -> threading.Event:
        """An event that is set when the relay has taken this many messages."""
        return self.handler.reached.setdefault(accepted, threading.Event())

    def __enter__(self) -> DemoRelay:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()
