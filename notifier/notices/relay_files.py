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
