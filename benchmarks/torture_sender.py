"""A process that has imported the program and forks a `notifier` for each line it reads, so that two hundred of them
can be killed without paying two hundred imports. Each is a process of its own that runs the command line as it is.

Reads ``{"arguments": […], "environment": {…}, "output": PATH}``, answers ``begun PID`` and later ``ended PID STATUS``
(a negative status is the signal's number).
"""

from __future__ import annotations

import json
import os
import select
import sys
from typing import Any


def begin(order: dict[str, Any]) -> int:
    """Fork; the child runs the command and ends."""
    child = os.fork()
    if child:
        return child
    status = 70
    try:
        os.setsid()
        output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.update(order["environment"])
        from notifier.cli.main import main

        try:
            main(order["arguments"])
            status = 0
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


def main() -> None:
    # What `send` imports when it runs.
    import aiosmtplib  # noqa: F401
    import uvloop  # noqa: F401

    import notifier.app.delivery
    import notifier.cli.main
    import notifier.delivery.run
    import notifier.delivery.sender
    import notifier.storage.database  # noqa: F401

    print("ready", flush=True)
    living: set[int] = set()
    unread = b""
    while True:
        if select.select([0], [], [], 0.005 if living else 1.0)[0]:
            came = os.read(0, 1 << 16)
            if not came:
                return
            unread += came
            while b"\n" in unread:
                line, _, unread = unread.partition(b"\n")
                child = begin(json.loads(line))
                living.add(child)
                print("begun", child, flush=True)
        for child in list(living):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                living.discard(child)
                print("ended", child, os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
