"""The authorities that vouch for a relay, where campaign.toml names a file of their certificates (``ca_file``).

What an approval binds is the file's digest, as of a DKIM key the public half: who vouches for the server is part of
what was approved, and where the file lies is not. One that cannot be used is told by :func:`authority_file`, before
anything is sent.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator
from pathlib import Path

from notifier.campaign import RelayAccess, Settings
from notifier.errors import SettingsError


def relays_of(settings: Settings) -> Iterator[tuple[str, RelayAccess]]:
    """Each relay with the name of its section."""
    yield "relay", settings.relay
    if settings.relay.fallback is not None:
        yield "relay.fallback", settings.relay.fallback


def authority_file(access: RelayAccess, setting: str, folder: Path) -> Path | None:
    """The file, if one is named. Raises SettingsError, which names the setting, unless certificates can be read in
    it."""
    if access.ca_file is None:
        return None
    path = folder / access.ca_file
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"{setting}.ca_file: {path} is not a readable file of certificates") from error
    return path


def check_authorities(settings: Settings, folder: Path) -> None:
    """Raises SettingsError for a file that cannot be used."""
    for setting, access in relays_of(settings):
        authority_file(access, setting, folder)


def with_authorities(settings: Settings, folder: Path) -> Settings:
    """The settings with the SHA-256 of each ``ca_file``. One that cannot be used leaves nothing there; `check`,
    `approve` and `send` say why."""
    if not any(access.ca_file or access.ca_sha256 for _, access in relays_of(settings)):
        return settings
    known = {setting: {"ca_sha256": _digest(access, setting, folder)} for setting, access in relays_of(settings)}
    changed: dict[str, object] = {**known["relay"]}
    if settings.relay.fallback is not None:
        changed["fallback"] = settings.relay.fallback.model_copy(update=known["relay.fallback"])
    return settings.model_copy(update={"relay": settings.relay.model_copy(update=changed)})


def _digest(access: RelayAccess, setting: str, folder: Path) -> str:
    try:
        path = authority_file(access, setting, folder)
        return hashlib.sha256(path.read_bytes()).hexdigest() if path else ""
    except (SettingsError, OSError):
        return ""
