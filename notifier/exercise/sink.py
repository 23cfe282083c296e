"""The drill's sink: a relay on this machine that takes everything and sends nothing on. A few messages are kept.

aiosmtpd, in a thread of its own, while `send` runs in a process of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from notifier.errors import TryLater

KEPT = 20  # messages that are written down, to be looked at


@dataclass
class Sink:
    """``with Sink(port, folder)``: listens on 127.0.0.1 until the block ends. ``taken``: how many messages."""

    port: int
    folder: Path
    taken: int = 0
    _controller: Controller | None = field(default=None, repr=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """aiosmtpd's hook."""
        self.taken += 1
        if self.taken <= KEPT:
            assert envelope.original_content is not None
            (self.folder / f"message-{self.taken:02d}.eml").write_bytes(envelope.original_content)
        return f"250 2.0.0 Ok: taken as DRILL{self.taken:06d}"

    def __enter__(self) -> Sink:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, server_hostname="exercice.example")
        try:
            self._controller.start()
        except OSError as error:
            # The port stands in what was approved (I7): another one would be another relay.
            raise TryLater(f"port {self.port} of this machine, where the drill's sink listened, is taken") from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._controller is not None:
            self._controller.stop()
