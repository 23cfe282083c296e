"""Runs `notifier` again and again, each time as a process of its own, without loading its libraries each time.

Most of a short command's time is Python reading modules. This process has read them, and forks a child for each line it
gets: {"argv", "env", "out", "err"} → the child's exit code. The child is a real process, with its own environment,
files and end; only its beginning is spared. Libraries that start threads when they are loaded (polars, pyarrow) are
left to the child.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import sys

LOADED = (
    "asyncio", "aiosmtplib", "aiosqlite", "cryptography.hazmat.primitives.ciphers.aead", "jinja2", "rich.console",
    "sqlalchemy.ext.asyncio", "sqlmodel", "structlog", "notifier.app", "notifier.cli.main", "notifier.standing",
    "notifier.notices.approval", "notifier.people.waves", "notifier.delivery.sender", "notifier.proof.export",
    "notifier.storage.database", "notifier.foundation",
)  # fmt: skip


def child(order: dict) -> int:
    for descriptor, path in ((1, order["out"]), (2, order["err"])):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = ["notifier", *order["argv"]]
    random.seed()
    from notifier.cli.main import main

    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def serve() -> None:
    for module in LOADED:
        importlib.import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        number = os.fork()
        if number == 0:
            code = 70
            try:
                code = child(order)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(number, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
