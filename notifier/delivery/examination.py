"""What `check` asks the relays: do they answer, with which TLS, which login, which sizes. No message is sent.

The fallback is asked as the first is, at the same time: that it answers nobody is known now, or at night.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from notifier.campaign import RelayAccess, Settings
from notifier.delivery import replies
from notifier.delivery.relay import Relay, RelayRefused, open_fallback, open_relay
from notifier.errors import RelayUnavailable, SettingsError

PATIENCE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Examined:
    """One relay. ``setting``: where it stands in campaign.toml (relay, relay.fallback); ``answers``: a session could be
    opened just now. ``refused``: it answered and will not have us, or its settings cannot be right. ``extensions``:
    what EHLO offered, in lower case. ``size``: largest message in bytes (RFC 1870), 0 = none told."""

    setting: str
    name: str
    answers: bool
    text: str
    refused: bool = False
    tls: str = ""
    cipher: str = ""
    extensions: tuple[str, ...] = ()
    size: int = 0


async def examine(settings: Settings, folder: Path) -> list[Examined]:
    """Each relay that a run may use, the first one first. One without a host or a rate is left out: a finding says
    that it is a blank."""
    first, fallback = settings.relay, settings.relay.fallback

    async def second() -> Relay:
        relay = await open_fallback(settings, folder)
        assert relay is not None
        return relay

    async with asyncio.TaskGroup() as group:
        asked = [
            group.create_task(_examined(access, setting, begin))
            for access, setting, begin in (
                (first, "relay", lambda: open_relay(settings, folder)),
                (fallback, "relay.fallback", second),
            )
            if access is not None and access.host and access.rate is not None
        ]
    return [task.result() for task in asked]


async def _examined(access: RelayAccess, setting: str, begin: Callable[[], Awaitable[Relay]]) -> Examined:
    """Open a session, look, and say QUIT. What cannot be right is told, not raised: there is more to check."""
    named = f"{access.name} ([{setting}])"
    try:
        relay = await begin()
        session = await relay.open(patience_seconds=PATIENCE_SECONDS, stopping=asyncio.Event())
    except RelayUnavailable as error:
        return Examined(setting, access.name, False, f"{named}: {error}")
    except RelayRefused as error:
        text = f"{named}: {error}: {replies.redacted(error.outcome.text, ())}"
        return Examined(setting, access.name, True, text, refused=True)
    except SettingsError as error:
        return Examined(setting, access.name, False, f"{named}: {error}", refused=True)
    try:
        secured = session.transport.get_extra_info("ssl_object") if session.transport else None
        tls, cipher = "", ""
        if isinstance(secured, ssl.SSLObject):
            tls = secured.version() or ""
            cipher = (secured.cipher() or ("",))[0]
        offered = session.esmtp_extensions
        size = offered.get("size", "")
        limit = int(size) if size.isdigit() else 0
        words = [
            f"{named} answers",
            f"{tls} with {cipher}, certificate verified" if tls else "without TLS",
            "logged in" if access.username else "without login",
            f"messages up to {limit} bytes" if limit else "no size limit told",
        ]
        return Examined(
            setting,
            access.name,
            True,
            ", ".join(words),
            tls=tls,
            cipher=cipher,
            extensions=tuple(sorted(offered)),
            size=limit,
        )
    finally:
        await relay.close(session)
