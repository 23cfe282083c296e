"""What `send` tells: counts while it runs, and at its end what happened and what is left."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from notifier.delivery.record import Fate
from notifier.delivery.view import LaneView
from notifier.storage.deliveries import Left

MAIL_LOG = Path("logs") / "mail.log"

_log = logging.getLogger(__name__)


SETTLED = ("accepted", "refused", "expired", "unmade", "in_doubt")  # fates after which `send` does nothing at once


def settled(counts: Mapping[str, int]) -> int:
    """How many of these fates are such."""
    return sum(counts.get(kind, 0) for kind in SETTLED)


@dataclass(frozen=True, slots=True)
class Progress:
    """Told after each cycle, and a few times a second. ``counts``: fates so far; ``waiting``: approved mail when it was
    counted, with what was settled by then; ``outstanding``: claimed, outcome not yet recorded; ``stopping``: somebody
    asked it to end; ``why``: why nothing is begun now, until ``until`` where that is known; ``by_provider``: accepted
    so far; ``cycles``: how many, and ``cycle_seconds`` together. The lookout adds rates (accepted per second), lanes,
    and when it ends at this rate."""

    counts: Mapping[str, int]
    waiting: int
    outstanding: int
    stopping: bool = False
    window: int = 0
    why: str = ""
    until: datetime | None = None
    by_provider: Mapping[str, int] = field(default_factory=dict)
    cycles: int = 0
    cycle_seconds: float = 0.0
    rate: float = 0.0
    mean_rate: float = 0.0
    lanes: tuple[LaneView, ...] = ()
    ends_at: datetime | None = None

    @property
    def left(self) -> int:
        """What has not been settled yet."""
        return max(0, self.waiting - settled(self.counts))


@dataclass(frozen=True, slots=True)
class Broken:
    """A message that a dry run could not make. ``code``: as delivery/unmade.py says it."""

    delivery: str
    reference: str
    code: str


BROKEN_TOLD = 1000  # by name; the others are counted


@dataclass(frozen=True, slots=True)
class SendReport:
    """How a run ended. ``reason``: done | stopped | paused | limit | rehearsed. Counts are of this run's fates; a
    delivery deferred twice counts twice. ``next_due``: never before the end of the run, whose moment means "now".
    ``waits_because``: why not before, where it is more than a schedule. ``remaining``: approved mail not yet settled,
    resends included. ``unmade``: set aside; of a dry run: could not be made, the first of them in ``broken``.
    ``mail_log``: what is missing in it, and why."""

    reason: str
    accepted: int = 0
    deferred: int = 0
    refused: int = 0
    expired: int = 0
    in_doubt: int = 0
    unmade: int = 0
    released: int = 0
    late: int = 0
    recovered: int = 0
    rendered: int = 0
    to_post: int = 0
    to_second_address: int = 0
    unreachable: int = 0
    next_due: datetime | None = None
    waits_because: str = ""
    broken: tuple[Broken, ...] = ()
    paused_reason: str = ""
    remaining: int = 0
    left: Left = field(default_factory=lambda: Left(0, 0, 0, 0, 0, 0, 0))
    mail_log: str = ""

    @property
    def exit_code(self) -> int:
        """0: all is sent and nothing is left to do or to decide; else 1 (DESIGN 11). Of a dry run: all can be made."""
        if self.reason == "rehearsed":
            return 1 if self.unmade else 0
        left = self.left
        open_ends = (
            left.waiting,
            left.sending,
            left.resend,
            left.held,
            left.unmade,
            left.unapproved,
            left.letters,
            left.reviews,
            self.refused,
            self.expired,
        )
        return 1 if any(open_ends) or self.reason in ("stopped", "paused") else 0


@dataclass(slots=True)
class Tally:
    """The counts of one run."""

    fates: Counter[str] = field(default_factory=Counter)
    by_provider: Counter[str] = field(default_factory=Counter)  # accepted
    recovered: int = 0
    rendered: int = 0
    broken: list[Broken] = field(default_factory=list)

    @property
    def settled(self) -> int:
        return settled(self.fates)

    def failed(self, broken: Broken) -> None:
        """A dry run could not make this one."""
        self.fates["unmade"] += 1
        if len(self.broken) < BROKEN_TOLD:
            self.broken.append(broken)

    def add(self, fate: Fate) -> None:
        self.fates[fate.kind] += 1
        if fate.kind == "accepted":
            self.by_provider[fate.ended.held.provider] += 1
        if fate.late:
            self.fates["late"] += 1
        if fate.then:
            self.fates[fate.then] += 1

    def report(
        self, reason: str, *, left: Left, next_due: datetime | None, paused_reason: str, waits_because: str = ""
    ) -> SendReport:
        fates = self.fates
        return SendReport(
            reason=reason,
            accepted=fates["accepted"],
            deferred=fates["deferred"],
            refused=fates["refused"],
            expired=fates["expired"],
            in_doubt=fates["in_doubt"],
            unmade=fates["unmade"],
            released=fates["released"],
            late=fates["late"],
            recovered=self.recovered,
            rendered=self.rendered,
            to_post=fates["post"],
            to_second_address=fates["second_address"],
            unreachable=fates["unreachable"],
            next_due=next_due,
            waits_because=waits_because,
            broken=tuple(self.broken),
            paused_reason=paused_reason,
            remaining=left.waiting + left.sending + left.resend,
            left=left,
        )


class MailLog:
    """DIR/logs/mail.log: one line per fate, for the operator. No personal data (I8).

    The journal is the record, this a convenience: one that cannot be opened is told before anything is claimed (raises
    OSError), one that cannot be written later is told once and ends nothing. It is tried again with each cycle, and
    :attr:`trouble` says at the end what is missing."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / MAIL_LOG
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._missing = 0
        self._why = ""
        self._is_cut = False  # the last line has no end

    @property
    def trouble(self) -> str:
        """How many lines are missing, of which file and why; "" = none."""
        if not self._missing:
            return ""
        lines = "1 line" if self._missing == 1 else f"{self._missing} lines"
        return f"{lines} could not be written to {self._path}: {self._why}. The journal has all of it"

    def write(self, fates: list[Fate]) -> None:
        lines = "".join(fate.line() + "\n" for fate in fates if fate.kind != "released").encode()
        if not lines:
            return
        text = b"\n" + lines if self._is_cut else lines
        written = 0
        try:
            while written < len(text):
                written += os.write(self._file, text[written:])
        except OSError as error:
            # Of a line cut short the end is missing.
            self._miss(text[max(written, len(text) - len(lines)) :].count(b"\n"), error)
        if written:
            self._is_cut = text[written - 1 : written] != b"\n"

    def _miss(self, lines: int, error: OSError) -> None:
        self._why = error.strerror or type(error).__name__
        if not self._missing:
            _log.warning("notifier: %s cannot be written: %s; sending goes on", self._path, self._why)
        self._missing += lines

    def close(self) -> None:
        os.close(self._file)
