"""The relay: opens sessions and keeps them (connect, EHLO, TLS, AUTH), by aiosmtplib.

A relay that does not answer is RelayUnavailable (exit 75) after the retries *at once*, which belong here and nowhere
else: nothing was handed over, so trying again is safe. A relay that answers and will not have us (login, policy,
554 greeting) is RelayRefused: the campaign pauses with its words. TLS is verified, always.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import aiosmtplib
from tenacity import AsyncRetrying, retry_if_exception_type, stop_any, stop_before_delay, wait_random_exponential
from tenacity.stop import stop_when_event_set

from notifier.campaign import RelaySection, Settings, Tls
from notifier.delivery.outcomes import Kind, Outcome, Phase, classify
from notifier.errors import NotifierError, RelayUnavailable, SettingsError

PASSWORD = "NOTIFIER_RELAY_PASSWORD"  # noqa: S105  (the variable's name)
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class RelayRefused(NotifierError):
    """The relay answered and will not have us; ``outcome`` holds its words. The campaign pauses."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"the relay refused the session at {outcome.phase} with {outcome.code}")
        self.outcome = outcome


class Relay:
    """Opens sessions with one relay. ``live``: how many are open now."""

    def __init__(self, section: RelaySection, password: str, context: ssl.SSLContext | None) -> None:
        self._section = section
        self._password = password
        self._context = context
        self._kept: list[aiosmtplib.SMTP] = []
        self._last_words = "no answer"
        self.live = 0

    @property
    def name(self) -> str:
        """The relay in the pace table and in errors."""
        return f"{self._section.host}:{self._section.port}"

    async def open(self, *, patience_seconds: float, stopping: asyncio.Event) -> aiosmtplib.SMTP:
        """A session that is ready for MAIL. Tries again at once, with growing pauses, for ``patience_seconds`` or
        until ``stopping``. Raises RelayUnavailable, RelayRefused or SettingsError (TLS)."""
        while self._kept:
            kept = self._kept.pop()
            if kept.is_connected:
                return kept
            self.live -= 1

        async def nap(seconds: float) -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await stopping.wait()

        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(RelayUnavailable),
            stop=stop_any(stop_before_delay(patience_seconds), stop_when_event_set(stopping)),  # type: ignore[arg-type]  # needs is_set() alone
            wait=wait_random_exponential(multiplier=0.2, max=30),
            sleep=nap,
            reraise=True,
        ):
            with attempt:
                session = await self._connect()
        self.live += 1
        return session

    def keep(self, session: aiosmtplib.SMTP) -> None:
        """Hand an open session back; the next :meth:`open` gets it."""
        self._kept.append(session)

    async def close(self, session: aiosmtplib.SMTP) -> None:
        """Say QUIT if the session still stands, and forget it."""
        self.live -= 1
        with suppress(aiosmtplib.SMTPException, OSError):
            await session.quit(timeout=5)
        session.close()

    async def close_kept(self) -> None:
        """Close what :meth:`keep` holds."""
        while self._kept:
            await self.close(self._kept.pop())

    def _unavailable(self, words: str) -> RelayUnavailable:
        return RelayUnavailable(f"the relay {self.name} does not answer ({words}): check [relay] and try again")

    async def _connect(self) -> aiosmtplib.SMTP:
        section = self._section
        implicit = section.tls is Tls.IMPLICIT
        session = aiosmtplib.SMTP(
            hostname=section.host,
            port=section.port,
            use_tls=implicit,
            start_tls=False,
            tls_context=self._context,
            timeout=section.connect_seconds,
            local_hostname=_greeting_name(),
        )
        phase = Phase.GREETING
        try:
            await session.connect()
            phase = Phase.EHLO
            await _hello(session)
            if section.tls is Tls.STARTTLS:
                phase = Phase.STARTTLS
                if not session.supports_extension("starttls"):
                    raise SettingsError(f"the relay {self.name} offers no STARTTLS: set relay.tls, or ask its operator")
                await session.starttls(tls_context=self._context)
                await _hello(session)
            if section.username:
                phase = Phase.AUTH
                if not session.supports_extension("auth"):
                    raise SettingsError(f"the relay {self.name} offers no login, and relay.username is set")
                await session.login(section.username, self._password)
        except BaseException as error:
            session.close()
            if isinstance(error, Exception):
                raise self._told(phase, error) from error
            raise
        return session

    def _told(self, phase: Phase, error: Exception) -> Exception:  # noqa: PLR0911  (a table, read downwards)
        """What a failure to open a session means for the operator."""
        if isinstance(error, aiosmtplib.SMTPResponseException):
            outcome = classify(phase, error.code, error.message)
            if outcome.kind is Kind.OURS:
                return RelayRefused(outcome)
            return self._unavailable(f"{error.code} at {phase}")
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return SettingsError(
                    f"the certificate of the relay {self.name} does not verify ({cause.verify_message}): "
                    "set relay.ca_file to its authority's certificate, or relay.host to the name in it"
                )
            if isinstance(cause, ssl.SSLError):
                return SettingsError(f"no TLS with the relay {self.name} ({cause.reason}): check relay.tls and port")
            cause = cause.__cause__
        if isinstance(error, TimeoutError):
            return self._unavailable("no answer in time")
        if isinstance(error, aiosmtplib.SMTPException | OSError):
            return self._unavailable("no connection" if phase is Phase.GREETING else f"connection lost at {phase}")
        return error


async def open_relay(settings: Settings, folder: Path, environment: Mapping[str, str] = os.environ) -> Relay:
    """The campaign's relay, not yet connected. Raises SettingsError for what cannot be right."""
    section = settings.relay
    if not section.host:
        raise SettingsError("relay.host is not set: whose server takes the messages?")
    if section.rate is None:
        raise SettingsError("relay.rate is not set: messages per second that the relay accepts (0 = no limit)")
    if settings.campaign.sample and section.host not in _LOOPBACK:
        raise SettingsError("a sample campaign sends to a relay on this machine only: relay.host = 127.0.0.1")
    context = None
    if section.tls is not Tls.NONE:
        context = await asyncio.to_thread(_tls_context, section)
    return Relay(section, _password(section, folder, environment), context)


def _tls_context(section: RelaySection) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(section.ca_file) if section.ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"relay.ca_file: {section.ca_file} is not a readable file of certificates") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _password(section: RelaySection, folder: Path, environment: Mapping[str, str]) -> str:
    """From NOTIFIER_RELAY_PASSWORD, else from the file; never from campaign.toml, which is approved and shown."""
    if not section.username:
        return ""
    if password := environment.get(PASSWORD):
        return password
    if section.password_file is None:
        raise SettingsError(f"relay.username is set: set relay.password_file too, or the variable {PASSWORD}")
    path = folder / section.password_file
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"relay.password_file: {path} cannot be read") from error


def _greeting_name() -> str:
    """Our name in EHLO. No getfqdn: it asks the DNS and may hang for seconds (RFC 5321 4.1.4 takes what we have)."""
    name = socket.gethostname()
    return name if name.isascii() and all(part.replace("-", "").isalnum() for part in name.split(".")) else "localhost"


async def _hello(session: aiosmtplib.SMTP) -> None:
    """EHLO; HELO for a server that does not know it (RFC 5321 4.1.4)."""
    try:
        await session.ehlo()
    except aiosmtplib.SMTPHeloError as error:
        if error.code not in (500, 501, 502, 504):
            raise
        await session.helo()
