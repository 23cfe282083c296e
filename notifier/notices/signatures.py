"""Whether each sender's DKIM keys can be used, before the first message needs them (DOMAIN D4)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from notifier.campaign import Settings
from notifier.dkim import load_signer
from notifier.errors import SettingsError
from notifier.notices.findings import Finding

_SAID = re.compile(r"(\[\[senders\]\] \S+: \w+): (.+)")


def check_signatures(settings: Settings, folder: Path) -> Iterator[Finding]:
    """A key that is missing, unreadable or too weak blocks; one that others on this machine can read, too."""
    for sender in settings.senders:
        try:
            load_signer(sender, folder)
        except SettingsError as error:
            said = _SAID.match(str(error))
            assert said is not None  # each error of a key begins with its setting
            yield Finding("dkim-key", said[1], said[2])
            continue
        for setting, path in (("dkim_key", sender.dkim_key), ("dkim_ed25519_key", sender.dkim_ed25519_key)):
            if path is not None and (mode := (folder / path).stat().st_mode & 0o777) & 0o077:
                # Whoever has it can sign phishing in the sender's name.
                text = f"others on this machine can read {path} (mode {mode:04o}): chmod 600 it"
                yield Finding("dkim-key-mode", f"[[senders]] {sender.code}: {setting}", text)
