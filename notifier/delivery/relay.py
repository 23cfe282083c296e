"""The relay: opens sessions and keeps them (connect, EHLO, TLS, AUTH), by aiosmtplib.

A relay that does not answer is RelayUnavailable (exit 75) after the retries *at once*, which belong here and nowhere
else: nothing was handed over, so trying again is safe. A relay that answers and will not have us (login, policy,
554 greeting) is RelayRefused: the campaign pauses with its words. TLS is verified, always.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiosmtplib
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_delay,
    stop_any,
    wait_random_exponential,
)
from tenacity.stop import stop_when_event_set

from notifier.campaign import RelayAccess, Settings, Tls
from notifier.delivery.login import Login, read_login
from notifier.delivery.outcomes import Kind, Outcome, Phase, classify
from notifier.delivery.replies import load_rules
from notifier.delivery.rules import Rulebook
from notifier.delivery.tls import tls_context, tls_error, tls_told
from notifier.errors import NotifierError, RelayUnavailable, SettingsError

PASSWORD = "NOTIFIER_RELAY_PASSWORD"  # noqa: S105  (the variable's name)
FALLBACK = "NOTIFIER_RELAY_FALLBACK_PASSWORD"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_AT_ONCE = wait_random_exponential(multiplier=0.2, max=30)


class RelayRefused(NotifierError):
    """The relay answered and will not have us; ``outcome`` holds its words. The campaign pauses."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"the relay refused the session at {outcome.phase} with {outcome.code}")
        self.outcome = outcome


class Relay:
    """Opens sessions with one relay. ``login``: what the relay says loses what that holds; ``live``: how many are open
    now; ``opened``: how many ever were; ``rules``: what its replies mean; ``setting``: where it stands in
    campaign.toml, for whoever has to write there; ``silence``: why the last session could not be opened; ``is_fickle``:
    the last one ended before it had carried anything, so the next has to answer once more before it counts as open."""

    def __init__(
        self,
        section: RelayAccess,
        login: Login | None,
        context: ssl.SSLContext | None,
        rules: Rulebook,
        setting: str = "relay",
    ) -> None:
        self.section = section
        self.login = login
        self.rules = rules
        self.setting = setting
        self._context = context
        self._kept: list[aiosmtplib.SMTP] = []
        self.live = 0
        self.opened = 0
        self.silence = ""
        self.is_fickle = False

    @property
    def name(self) -> str:
        """The relay in the pace table, in the journal and in errors."""
        return self.section.name

    async def open(self, *, patience_seconds: float, stopping: asyncio.Event) -> aiosmtplib.SMTP:
        """A session that is ready for MAIL. Tries again at once, with growing pauses, for ``patience_seconds`` (and at
        their end for the last time) or until ``stopping``. Raises RelayUnavailable, RelayRefused or SettingsError
        (TLS)."""
        while self._kept:
            kept = self._kept.pop()
            if kept.is_connected:
                return kept
            self.live -= 1

        async def nap(seconds: float) -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await stopping.wait()

        def pause(state: RetryCallState) -> float:
            return min(_AT_ONCE(state), max(0.0, patience_seconds - (state.seconds_since_start or 0.0)))

        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(RelayUnavailable),
            stop=stop_any(stop_after_delay(patience_seconds), stop_when_event_set(stopping)),  # type: ignore[arg-type]  # needs is_set() alone
            wait=pause,
            sleep=nap,
            reraise=True,
        ):
            with attempt:
                session = await self._heard()
        self.live += 1
        self.opened += 1
        return session

    async def _heard(self) -> aiosmtplib.SMTP:
        try:
            session = await self._connect()
        except RelayUnavailable as error:
            self.silence = str(error)
            raise
        self.silence = ""
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

    def gone(self, session: aiosmtplib.SMTP) -> None:
        """Forget a session whose transport somebody else took over and has closed."""
        self.live -= 1
        session.close()

    async def close_kept(self) -> None:
        """Close what :meth:`keep` holds."""
        while self._kept:
            await self.close(self._kept.pop())

    def _unavailable(self, words: str) -> RelayUnavailable:
        return RelayUnavailable(
            f"the relay {self.name} does not answer ({words}): check [{self.setting}] and try again"
        )

    async def _connect(self) -> aiosmtplib.SMTP:
        section = self.section
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
                    raise SettingsError(
                        f"the relay {self.name} offers no STARTTLS, or somebody on the way takes the offer out: do not "
                        f"weaken {self.setting}.tls, ask whoever runs the relay (a port that speaks TLS from the first "
                        'byte, 465, goes with tls = "implicit")'
                    )
                await session.starttls(tls_context=self._context)
                await _hello(session)
            if self.login is not None:
                phase = Phase.AUTH
                if not session.supports_extension("auth"):
                    raise SettingsError(f"the relay {self.name} offers no login, and {self.setting}.username is set")
                await self._log_in(session, self.login)
            if self.is_fickle:
                await _stays(session)
                self.is_fickle = False
        except BaseException as error:
            session.close()
            if isinstance(error, Exception):
                # An answer is told without the secret that it may repeat: it is no cause that anything may print.
                is_answer = isinstance(error, aiosmtplib.SMTPResponseException)
                raise await self._told(phase, error) from None if is_answer else error
            raise
        return session

    async def _log_in(self, session: aiosmtplib.SMTP, login: Login) -> None:
        """PLAIN or LOGIN, by name: aiosmtplib's own choice begins with CRAM-MD5, and after a refusal it tries the next
        method with the same password, which some servers count as an attack."""
        section, offered = self.section, session.server_auth_methods
        for method in [section.auth] if section.auth else ["plain", "login"]:
            if method in offered:
                begin = session.auth_plain if method == "plain" else session.auth_login
                await begin(login.username, login.password)
                return
        raise SettingsError(
            f"the relay {self.name} offers no login by {section.auth.upper() or 'PLAIN or LOGIN'} "
            f"(it offers {', '.join(offered).upper() or 'none'}): check {self.setting}.auth"
        )

    def _concealed(self, phase: Phase, text: str) -> str:
        if self.login is None:
            return text
        return self.login.conceal_all(text) if phase is Phase.AUTH else self.login.conceal(text)

    async def _told(self, phase: Phase, error: Exception) -> Exception:
        """What a failure to open a session means for the operator."""
        if isinstance(error, aiosmtplib.SMTPResponseException):
            outcome = classify(phase, error.code, error.message, rules=self.rules)
            if outcome.kind is Kind.OURS:
                return RelayRefused(outcome._replace(text=self._concealed(phase, outcome.text)))
            return self._unavailable(f"{error.code} at {phase}")
        if (failure := tls_error(error)) is not None:
            return await tls_told(failure, self.section, self.setting)
        if isinstance(error, TimeoutError):
            return self._unavailable("no answer in time")
        if isinstance(error, aiosmtplib.SMTPException | OSError):
            return self._unavailable("no connection" if phase is Phase.GREETING else f"connection lost at {phase}")
        return error


async def open_relay(settings: Settings, folder: Path, environment: Mapping[str, str] = os.environ) -> Relay:
    """The campaign's relay, not yet connected. Raises SettingsError for what cannot be right."""
    if not settings.relay.host:
        raise SettingsError("relay.host is not set: whose server takes the messages?")
    return await _relay(settings.relay, "relay", PASSWORD, settings, folder, environment)


async def open_fallback(settings: Settings, folder: Path, environment: Mapping[str, str] = os.environ) -> Relay | None:
    """The campaign's second relay, not yet connected; None if it has none. Raises SettingsError."""
    if settings.relay.fallback is None:
        return None
    return await _relay(settings.relay.fallback, "relay.fallback", FALLBACK, settings, folder, environment)


async def _relay(
    section: RelayAccess, path: str, variable: str, settings: Settings, folder: Path, environment: Mapping[str, str]
) -> Relay:
    if section.rate is None:
        raise SettingsError(f"{path}.rate is not set: messages per second that the relay accepts (0 = no limit)")
    if settings.campaign.sample and section.host not in _LOOPBACK:
        raise SettingsError(f"a sample campaign sends to a relay on this machine only: {path}.host = 127.0.0.1")
    context = None
    if section.tls is not Tls.NONE:
        secret = environment.get(variable.replace("_PASSWORD", "_KEY_PASSWORD"))
        context = await asyncio.to_thread(tls_context, section, path, folder, secret)
    login = read_login(section, path, variable, folder, environment)
    return Relay(section, login, context, load_rules(folder), path)


def session_facts(session: aiosmtplib.SMTP, relay: str) -> dict[str, Any]:
    """What the journal keeps of a session that was opened: which relay, how it was secured, what it offers. Nothing of
    a person, and no user name."""
    secured = session.transport.get_extra_info("ssl_object") if session.transport else None
    facts: dict[str, Any] = {"relay": relay, "tls": "", "cipher": "", "verified": False, "certificate_sha256": ""}
    if secured is not None:
        context: ssl.SSLContext = secured.context
        certificate = secured.getpeercert(binary_form=True) or b""
        facts |= {
            "tls": secured.version() or "",
            "cipher": (secured.cipher() or ("",))[0],
            # The handshake has ended well under a context that asks for both.
            "verified": context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname,
            "certificate_sha256": hashlib.sha256(certificate).hexdigest(),
        }
    facts["pipelining"] = session.supports_extension("pipelining")
    return facts


def _greeting_name() -> str:
    """Our name in EHLO. No getfqdn: it asks the DNS and may hang for seconds (RFC 5321 4.1.4 takes what we have)."""
    name = socket.gethostname()
    return name if name.isascii() and all(part.replace("-", "").isalnum() for part in name.split(".")) else "localhost"


async def _stays(session: aiosmtplib.SMTP) -> None:
    """Whether the session is still there: whatever it says, but for good-bye (RFC 5321 3.8)."""
    try:
        await session.noop()
    except aiosmtplib.SMTPResponseException as answer:
        if answer.code == 421:
            raise


async def _hello(session: aiosmtplib.SMTP) -> None:
    """EHLO; HELO for a server that does not know it (RFC 5321 4.1.4)."""
    try:
        await session.ehlo()
    except aiosmtplib.SMTPHeloError as error:
        if error.code not in (500, 501, 502, 504):
            raise
        await session.helo()
