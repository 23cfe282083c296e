"""MAIL commands as they are given to the transport, each with the instant of its writing by the sender's own clock.

A server's clock says when it read a command, and one event loop that serves both sides reads late: two commands that
were written apart may be read together. The rule is about what is written (I6), so it is counted there, exactly: a
command's instant lies between the two readings of the clock by which the gate has opened and counted it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from notifier.delivery import pipeline as pipelines
from notifier.machine import boot_ns


@dataclass(frozen=True)
class Mail:
    """``at``: microseconds of the clock that nobody can set."""

    at: int
    provider: str


@dataclass
class Written:
    """All of them, in order, over however many runs."""

    mails: list[Mail] = field(default_factory=list)

    def at(self, provider: str | None = None) -> list[int]:
        return [mail.at for mail in self.mails if provider in (None, mail.provider)]

    def keeps(self, rate: float, burst: int = 1, *, of: str | None = None) -> bool:
        """Whether every window of those to one provider (of all) holds at most rate × w + burst."""
        at = self.at(of)
        return all(
            (last - first + 1 - burst) * 1_000_000 <= rate * (at[last] - at[first]) + 1e-6
            for first in range(len(at))
            for last in range(first, len(at))
        )


class Stamping:
    """A transport that writes down each MAIL; all else is the real one's."""

    def __init__(self, transport, owner, written: Written) -> None:
        self._transport, self._owner, self._written = transport, owner, written

    def write(self, data: bytes) -> None:
        for _ in range(data.count(b"MAIL FROM:")):
            self._written.mails.append(Mail(boot_ns() // 1000, self._owner._current.provider))
        self._transport.write(data)

    def __getattr__(self, name: str):
        return getattr(self._transport, name)


@pytest.fixture
def written(monkeypatch) -> Written:
    """Of every session from now on."""
    ledger = Written()
    made = pipelines.Pipeline.__init__

    def stamped(self, transport, *arguments) -> None:
        made(self, Stamping(transport, self, ledger), *arguments)

    monkeypatch.setattr(pipelines.Pipeline, "__init__", stamped)
    return ledger
