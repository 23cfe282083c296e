"""The second opinion: ``ssh-keygen -Y verify``, where it is installed. Ours decides, and both must agree."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from notifier.notices.dossier.signatures import NAMESPACE

_SECONDS = 30


def second_opinion(public_key: str, armoured: str, message: bytes) -> bool | None:
    """Whether ssh-keygen takes the signature by this key over ``message``. None: it is not installed, or too old for
    ``-Y`` (OpenSSH 8.1)."""
    program = shutil.which("ssh-keygen")
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        allowed, signature = Path(folder, "allowed_signers"), Path(folder, "signature")
        allowed.write_text(f'signer namespaces="{NAMESPACE}" {" ".join(public_key.split()[:2])}\n', encoding="ascii")
        signature.write_text(armoured, encoding="ascii", errors="replace")
        command = [program, "-Y", "verify", "-f", str(allowed), "-I", "signer", "-n", NAMESPACE, "-s", str(signature)]
        try:
            done = subprocess.run(  # noqa: S603  (our own arguments; what was handed over is in files)
                command, input=message, capture_output=True, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None  # a second opinion that nobody gives decides nothing
    if b"unknown option" in done.stderr or b"illegal option" in done.stderr:
        return None
    return done.returncode == 0
