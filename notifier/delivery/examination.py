"""What `check` asks the relay: does it answer, with which TLS, which login, which sizes. No message is sent."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path

from notifier.campaign import Settings
from notifier.delivery.relay import RelayRefused, open_relay
from notifier.errors import RelayUnavailable

PATIENCE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Examined:
    """``answers``: a session could be opened just now. ``refused``: it answered and will not have us. ``extensions``:
    what EHLO offered, in lower case. ``size``: largest message in bytes (RFC 1870), 0 = none told."""

    answers: bool
    text: str
    refused: bool = False
    tls: str = ""
    cipher: str = ""
    extensions: tuple[str, ...] = ()
    size: int = 0


async def examine(settings: Settings, folder: Path) -> Examined:
    """Open a session, look, and say QUIT. Raises SettingsError for settings that cannot be right."""
    relay = await open_relay(settings, folder)
    try:
        session = await relay.open(patience_seconds=PATIENCE_SECONDS, stopping=asyncio.Event())
    except RelayUnavailable as error:
        return Examined(False, str(error))
    except RelayRefused as error:
        return Examined(True, f"{error}: {error.outcome.text}", refused=True)
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
            f"{relay.name} answers",
            f"{tls} with {cipher}, certificate verified" if tls else "without TLS",
            "logged in" if settings.relay.username else "without login",
            f"messages up to {limit} bytes" if limit else "no size limit told",
        ]
        return Examined(True, ", ".join(words), tls=tls, cipher=cipher, extensions=tuple(sorted(offered)), size=limit)
    finally:
        await relay.close(session)
