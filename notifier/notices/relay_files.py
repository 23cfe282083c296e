"""The files that [relay] and [relay.fallback] name: whether they can be used, and by whom else, before the first
session needs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from notifier.authorities import authority_file, relays_of
from notifier.campaign import Settings
from notifier.errors import SettingsError
from notifier.notices.findings import Finding


def check_relay_files(settings: Settings, folder: Path) -> Iterator[Finding]:
    """Findings that name the setting."""
    for setting, access in relays_of(settings):
        try:
            authority_file(access, setting, folder)
        except SettingsError as error:
            yield Finding("relay-ca-file", f"{setting}.ca_file", str(error).partition(": ")[2])
        for name, path in (("password_file", access.password_file), ("client_key", access.client_key)):
            # A group's right to read is how a system hands a secret to one service (root:notifier, 0640).
            if path is not None and (mode := _mode(folder / path)) & 0o007:
                text = f"anybody on this machine can read {path} (mode {mode:04o}): chmod 600 it"
                yield Finding("relay-secret-mode", f"{setting}.{name}", text)


def _mode(path: Path) -> int:
    """0 for a file that is not there, or not to be seen: whoever needs it says so."""
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        return 0
