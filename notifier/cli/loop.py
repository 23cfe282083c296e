"""The event loop of a command: uvloop where it is installed, unless ``NOTIFIER_LOOP=asyncio``."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from notifier.errors import OperatorError

T = TypeVar("T")

VARIABLE = "NOTIFIER_LOOP"


def loop_factory(environment: Mapping[str, str] = os.environ) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the loop; None = asyncio's own. Raises OperatorError for a loop that is unknown or not installed."""
    wanted = environment.get(VARIABLE, "")
    if wanted not in ("", "asyncio", "uvloop"):
        raise OperatorError(f"{VARIABLE} is asyncio or uvloop, not {wanted!r}")
    if wanted == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:  # there is none for this system
        if wanted == "uvloop":
            raise OperatorError(f"{VARIABLE} = uvloop, and uvloop is not installed") from None
        return None
    return uvloop.new_event_loop


def settle() -> None:
    """Before a command that runs for hours: what is there now stays (modules, settings, compiled texts), so let the
    collector of cycles look at what comes after alone, and not after each few hundred objects. What a message needs is
    freed by its last reference."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def run(work: Coroutine[Any, Any, T]) -> T:
    """asyncio.run on that loop."""
    try:
        factory = loop_factory()
    except OperatorError:
        work.close()
        raise
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)
