"""`send --test-to`: specimens to one address of the house, over the campaign's relay, past the campaign's accounts.

Promises: no delivery, attempt or notification changes, so the equation of I1 does not move; the relay's pace holds for
tests too, out of the same bucket (I6); nothing but ``to`` is ever a recipient (I2); what happened is journaled once, at
the end, however it ends short of a crash. A test's token is of another kind than a delivery's, and its Message-ID and
return path begin with ``test-``: what comes back to one can never be taken for a real delivery's.

A crash leaves nothing but messages marked as tests; running again sends them again. Nothing is retried later.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import aiosmtplib

from notifier.campaign import Sender, Settings
from notifier.delivery import replies, traffic
from notifier.delivery.connection import patience
from notifier.delivery.envelopes import Notice
from notifier.delivery.handover import hand_over, take_over
from notifier.delivery.outcomes import Kind, Outcome
from notifier.delivery.pace import Gate, Pace
from notifier.delivery.paces import Paces
from notifier.delivery.pipeline import Pipeline
from notifier.delivery.relay import Relay, RelayRefused, open_relay
from notifier.delivery.signals import stopping_signals
from notifier.delivery.slots import bucket
from notifier.delivery.transaction import Envelope, sendable, verify
from notifier.dkim import Signer, load_signers
from notifier.errors import OperatorError
from notifier.model import Contact, Entry, PersonalFields, utc_text
from notifier.storage import pace as pace_rows
from notifier.storage.cycle import Cycle, append, open_cycle
from notifier.storage.database import Database
from notifier.storage.lock import sender_lock
from notifier.vault import Vault

PREFIX = "test-"  # before the token, in Message-ID, return path and ENVID; no delivery's token begins so (hex)
TRIES = 2  # of one message whose connection broke before anything was handed over
_FIRST_PATIENCE = 2.0  # seconds, for a relay that does not answer


@dataclass(frozen=True, slots=True)
class Specimen:
    """One notice to be sent: compiled and marked, for an invented person. ``batch``: number of the approved batch whose
    frozen texts it is made of; 0 = of texts that nobody approved yet."""

    segment: int
    sender: Sender
    notice: Notice
    fields: PersonalFields
    batch: int = 0


@dataclass(frozen=True, slots=True)
class SpecimenFate:
    """How one of them ended. ``batch``: as in the specimen; ``reply``: the server's words without the address (I8)."""

    segment: int
    batch: int
    outcome: str
    code: int | None
    reply: str


@dataclass(slots=True)
class TestReport:
    """What became of the test. ``messages``: how many there were to send, ``approved`` of them made of approved texts;
    ``stopped``: why not all were tried."""

    __test__ = False  # no test class, whatever its name says to pytest

    messages: int
    approved: int
    fates: list[SpecimenFate] = field(default_factory=list)
    stopped: str = ""

    @property
    def outcomes(self) -> dict[str, int]:
        """Outcome → how many; ``not_tried`` for the rest."""
        counted = dict(sorted(Counter(fate.outcome for fate in self.fates).items()))
        return counted | ({"not_tried": left} if (left := self.messages - len(self.fates)) else {})

    @property
    def exit_code(self) -> int:
        """0: the relay accepted them all."""
        return 0 if self.outcomes == {Kind.ACCEPTED.value: self.messages} else 1


async def send_specimens(
    database: Database,
    vault: Vault,
    settings: Settings,
    folder: Path,
    specimens: Sequence[Specimen],
    *,
    to: str,
    wave: str,
    by: str,
    clock: Callable[[], datetime],
) -> TestReport:
    """Send all of them to ``to``, one after the other on one connection.

    Raises OperatorError for an address that no command can carry, SettingsError for the relay or a DKIM key,
    CampaignBusy while a sender runs, RelayUnavailable when the relay does not answer (what was sent before is
    journaled).
    """
    path = sendable(to)
    if path is None:
        raise OperatorError("--test-to: this is no address that mail can be sent to")
    signers = load_signers(settings, folder)
    relay = await open_relay(settings, folder)
    async with open_cycle(database.path) as cycle:
        with ExitStack() as stack:
            stack.enter_context(sender_lock(folder, clock()))
            run = _Run(
                cycle, vault, settings, relay, replies.listed_domains(relay.rules), to, path, wave, clock, signers
            )
            stack.enter_context(stopping_signals(run.stopping.set))
            report = TestReport(len(specimens), sum(bool(specimen.batch) for specimen in specimens))
            try:
                await run.run(specimens, report)
            except Exception:
                await cycle.write(partial(append, entries=[_entry(report, vault, to, wave, by, clock())]))
                raise
            await cycle.write(partial(append, entries=[_entry(report, vault, to, wave, by, clock())]))
            return report


def _entry(report: TestReport, vault: Vault, to: str, wave: str, by: str, now: datetime) -> Entry:
    facts = {
        "wave": wave,
        "by": by,
        "address": vault.digest("test address", to.casefold()).hex(),
        "messages": report.messages,
        "approved": report.approved,
        "outcomes": report.outcomes,
    }
    return Entry(now, "test_sent", "", facts)


class _Run:
    """One test: its session and its gate."""

    def __init__(
        self,
        cycle: Cycle,
        vault: Vault,
        settings: Settings,
        relay: Relay,
        listed: frozenset[str],
        to: str,
        path: str,
        wave: str,
        clock: Callable[[], datetime],
        signers: Mapping[str, Signer],
    ) -> None:
        self._signers = signers
        self.stopping = asyncio.Event()
        self._cycle = cycle
        self._vault = vault
        self._settings = settings
        self._relay = relay
        self._listed = listed
        self._to = to
        self._path = path
        self._wave = wave
        self._clock = clock
        self._anchor = int(clock().timestamp() * 1_000_000) - time.monotonic_ns() // 1000
        self._gates: dict[str, Gate] = {}  # by bucket: the relay's, and the provider's if it has a pace
        self._session: aiosmtplib.SMTP | None = None
        self._pipeline: Pipeline | None = None

    async def run(self, specimens: Sequence[Specimen], report: TestReport) -> None:
        """Fill ``report`` as the messages end."""
        relay = self._settings.relay
        paces = {self._relay.name: Pace(relay.rate, relay.burst)} if relay.rate else {}
        provider, lanes = self._relay.rules.of_address(self._to), await self._cycle.read(traffic.read)
        if (own := Paces.of(self._settings, self._relay.rules).all(lanes).get(provider)) is not None:
            paces[bucket(self._relay.name, provider)] = own
        stored = await self._cycle.read(partial(pace_rows.stored_of, names=list(paces)))
        now = self._steady()
        self._gates = {name: Gate(pace, stored.get(name, 0), now) for name, pace in paces.items()}
        started = self._clock()
        try:
            for specimen in specimens:
                envelope = self._envelope(specimen, started)
                outcome = await self._hand_over(envelope)
                if outcome is None:
                    report.stopped = "stopped by hand"
                    return
                report.fates.append(self._fate(specimen, outcome))
        except RelayRefused as refusal:
            words = replies.redacted(refusal.outcome.text, self._forbidden(None))
            report.stopped = f"the relay said at {refusal.outcome.phase}: {refusal.outcome.code or ''} {words}".strip()
        finally:
            await self._leave()

    def _envelope(self, specimen: Specimen, started: datetime) -> Envelope:
        """Addressed to the one address, and to nobody else (I2)."""
        sender = specimen.sender
        token = self._vault.token("test", self._wave, str(specimen.segment), utc_text(started)).hex()
        message = specimen.notice.render(
            specimen.fields,
            to=self._to,
            message_id=f"<{PREFIX}{token}@{sender.from_domain}>",
            date=started.replace(microsecond=0),
        )
        if (signer := self._signers.get(sender.code)) is not None:
            message = signer.signed(message, at=started)
        envelope = Envelope(
            return_path=f"bounces+{PREFIX}{token}@{sender.bounce_domain or sender.from_domain}",
            recipient=self._to,
            path=self._path,
            message=message,
            token=f"{PREFIX}{token}",
        )
        verify(envelope, self._to)
        return envelope

    async def _hand_over(self, envelope: Envelope) -> Outcome | None:
        """One message; None when the run was stopped before it. A connection lost before anything was handed over is
        made anew, once."""
        for remaining in reversed(range(TRIES)):
            used = await self._ready()
            if self._pipeline is None or not await self._pass():
                return None
            outcome = await hand_over(self._pipeline, envelope, self._wrote)
            ended = used and outcome.phase == "mail" and outcome.code == 421
            if not remaining or not (outcome.kind is Kind.LOST or ended):
                return outcome
            self._relay.is_fickle = not used and outcome.kind is Kind.LOST and outcome.phase == "mail"
        raise AssertionError("the last try returns")

    async def _ready(self) -> bool:
        """A session that stands and may take one more; whether it has carried others."""
        pipeline, relay = self._pipeline, self._settings.relay
        if pipeline is not None and (not pipeline.is_open or pipeline.begun >= relay.messages_per_connection):
            await self._leave()
        while self._pipeline is None and not self.stopping.is_set():
            self._session = await self._relay.open(patience_seconds=_FIRST_PATIENCE, stopping=self.stopping)
            self._pipeline = take_over(
                self._session,
                patience(relay),
                lambda: True,
                self._relay.rules,
                pipelining=relay.pipelining,
                login=self._relay.login,
            )
            if self._pipeline is None:  # it closed at once: the next one has to show that it stays
                self._relay.is_fickle = True
                await self._leave()
        return self._pipeline is not None and self._pipeline.begun > 0

    async def _leave(self) -> None:
        if self._pipeline is not None:
            await self._pipeline.leave()
        if self._session is not None:
            self._relay.gone(self._session)
        self._session = self._pipeline = None

    async def _pass(self) -> bool:
        """Wait for the gates. True: MAIL must be written now, before anything else happens (I6)."""
        while not self.stopping.is_set():
            now = self._steady()
            if all(gate.admits(now) for gate in self._gates.values()):
                for gate in self._gates.values():
                    gate.take(now)
                return True
            wait_us = max(gate.opens_at() for gate in self._gates.values()) - now
            if wait_us > 0:
                await self._nap(wait_us / 1e6)
                continue
            for name, gate in self._gates.items():
                await self._lease(name, gate)
        return False

    def _wrote(self) -> None:
        now = self._steady()
        for gate in self._gates.values():
            gate.wrote(now)

    async def _lease(self, name: str, gate: Gate) -> None:
        """Reserve one slot, durably, before it is used: whoever starts after a crash begins behind it."""
        lease = gate.wish(self._steady(), 1, 0)
        move = partial(pace_rows.lease, name=name, was=lease.was, until=lease.until)
        if await self._cycle.write(move):
            gate.granted(lease)
        else:
            gate.overtaken(await self._cycle.read(partial(pace_rows.stored, name=name)))

    async def _nap(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return

    def _forbidden(self, specimen: Specimen | None) -> tuple[str, ...]:
        contact = specimen.fields.contact if specimen else Contact(name="", forename="")
        return replies.values([contact._replace(email=self._to)], self._listed)

    def _fate(self, specimen: Specimen, outcome: Outcome) -> SpecimenFate:
        reply = replies.redacted(outcome.text, self._forbidden(specimen))
        return SpecimenFate(specimen.segment, specimen.batch, outcome.kind.value, outcome.code, reply)

    def _steady(self) -> int:
        """Microseconds since 1970 that never go back."""
        return self._anchor + time.monotonic_ns() // 1000
