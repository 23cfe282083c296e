"""What this machine says of itself: its name and its clocks. Read here alone; who decides takes the readings.

Two clocks tell when the wall clock was set: the wall's own, and the one that counts since the machine was started and
goes on while it sleeps (CLOCK_BOOTTIME). They move together unless somebody, or the network, sets the wall clock.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

STEP_SECONDS = 2  # a smaller difference is no step: the network adjusts clocks by less all day

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MACHINE_ID = Path("/etc/machine-id")
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # macOS: its monotonic clock sleeps with it


def boot_ns() -> int:
    """Nanoseconds since the machine was started, sleep included; nobody can set this clock."""
    return time.clock_gettime_ns(_BOOT_CLOCK)


def host_words() -> tuple[str, str]:
    """What tells this machine from another: its name, and the id of its installation ("" where there is none). Both
    go into a keyed digest and nowhere else."""
    return socket.gethostname(), _text(_MACHINE_ID)


def _text(path: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text("ascii").strip()
    return ""


@dataclass(frozen=True, slots=True)
class Reading:
    """Both clocks at one moment. ``boot_id``: of this start of the machine; readings of two starts share no clock but
    the wall's. ``stepped``: the wall clock was set, and no sender has heeded it yet."""

    wall_ms: int
    boot_ms: int
    boot_id: str
    stepped: bool = False

    def dump(self) -> str:
        """As the database keeps it."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Reading | None:
        """Inverse of :meth:`dump`; None of ""."""
        return cls(**json.loads(text)) if text else None


def read_clocks() -> Reading:
    """Now."""
    return Reading(time.time_ns() // 1_000_000, boot_ns() // 1_000_000, _text(_BOOT_ID))


def step_ms(before: Reading, after: Reading) -> int:
    """By how much the wall clock was set between the two, in milliseconds; 0 = it was not. Of two starts of the machine
    nobody knows how long it was off: only a clock that went back is sure to have been set, by that much at least."""
    if before.boot_id == after.boot_id:
        step = (after.wall_ms - before.wall_ms) - (after.boot_ms - before.boot_ms)
    else:
        step = min(0, after.wall_ms - before.wall_ms)
    return step if abs(step) > STEP_SECONDS * 1000 else 0
