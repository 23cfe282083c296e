"""Signals to a running sender."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_CRASH = b"notifier: stopped at once, as a crash would: `notifier send` finds out what was under way, and goes on\n"


@contextmanager
def stopping_signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP stop the run; a second SIGINT ends the process at once. SIGHUP and SIGINT that were
    ignored when the process began stay so: `nohup` and a shell's background job ask for nothing else. Who sends
    SIGTERM means this process."""
    loop = asyncio.get_running_loop()
    asked = False

    def interrupt() -> None:
        nonlocal asked
        if asked:
            with suppress(OSError):
                os.write(2, _CRASH)
            os._exit(130)
        asked = True
        stop()

    handlers: dict[signal.Signals, Callable[[], None]] = {
        signal.SIGINT: interrupt,
        signal.SIGTERM: stop,
        signal.SIGHUP: stop,
    }
    before = {}
    for number, handler in handlers.items():
        before[number] = signal.getsignal(number)
        if before[number] is signal.SIG_IGN and number is not signal.SIGTERM:
            del before[number]
            continue
        try:
            loop.add_signal_handler(number, handler)
        except (RuntimeError, ValueError):  # not in the main thread: whoever runs us there stops us otherwise
            del before[number]
    try:
        yield
    finally:
        for number, previous in before.items():
            loop.remove_signal_handler(number)
            if previous is not None:  # None: set by something that is not Python
                signal.signal(number, previous)
