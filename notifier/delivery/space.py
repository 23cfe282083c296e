"""Room on the disk for what sending writes: journal, attempts, mail log, SQLite's log. Pure but for :func:`free`."""

from __future__ import annotations

import shutil
from pathlib import Path

from notifier.errors import OperatorError

# Measured as the growth of the campaign's folder from before `send` to after it, with everything on: 998 bytes a
# delivery at 3,000, 1,000 at 12,000 (of it 139 of logs/mail.log). One that is deferred writes as much again each time.
DELIVERY_BYTES = 1_500
# SQLite's log beside the database: 6 MB at most while these were sent. It is needed whatever else is to be written.
LEAST_BYTES = 16 << 20


def free(folder: Path) -> int:
    """What this user may still write on the file system of ``folder``, in bytes."""
    return shutil.disk_usage(folder).free


def needed(deliveries: int) -> int:
    """What sending so many writes, in bytes."""
    return LEAST_BYTES + deliveries * DELIVERY_BYTES


def too_little(deliveries: int, free_bytes: int, where: Path) -> str:
    """Both figures, in words, if it does not fit; else ""."""
    if free_bytes >= needed(deliveries):
        return ""
    return (
        f"{where} has {told(free_bytes)} free, and sending {deliveries} deliveries writes about "
        f"{told(needed(deliveries))}: make room"
    )


def must_begin(free_bytes: int, where: Path) -> None:
    """Raises OperatorError when not even a beginning is sure to fit."""
    if free_bytes < LEAST_BYTES:
        raise OperatorError(
            f"{where} has {told(free_bytes)} free, and to send takes {told(LEAST_BYTES)} at least: make room, then run "
            "the command again; nothing was sent"
        )


def told(count: int) -> str:
    """12.3 GB, 4.5 MB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
