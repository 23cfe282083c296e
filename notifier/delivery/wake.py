"""Waking somebody up: the programs of ``[send]``, when a run pauses, breaks off or has nothing left to send.

A program is run without a shell, in the campaign's folder, with its own time to end; after that it is killed with all
that it started. It learns the event, the reason and counts from its environment: no personal data (I8), and neither
the key nor a password of ours. What it says goes to ``logs/commands.log``. Whatever becomes of it is journaled and
changes neither the run nor its exit code.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from shutil import which

from notifier.campaign import PREFIX, Settings
from notifier.delivery.report import SendReport
from notifier.errors import CampaignBusy, NotifierError, OperatorError, StorageError
from notifier.model import Entry
from notifier.storage import journal
from notifier.storage.database import Database

PAUSE, FINISH, ERROR = "pause", "finish", "error"
LOG = Path("logs") / "commands.log"
_LONGEST = 500  # characters of a reason

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why somebody is woken. ``event``: pause (the campaign is paused), error (the run broke off), finish (nothing is
    left to send)."""

    event: str
    reason: str
    counts: Mapping[str, int] = field(default_factory=dict)


def of_report(report: SendReport, *, was_paused: bool) -> Occasion | None:
    """What the end of a run is an occasion for; None: for nothing. ``was_paused``: it was paused when it began, and
    whoever began it sees that. Pure."""
    left = report.left
    counts = {
        "accepted": report.accepted,
        "deferred": report.deferred,
        "refused": report.refused,
        "expired": report.expired,
        "in_doubt": report.in_doubt,
        "unmade": left.unmade,
        "held": left.held,
        "letters": left.letters,
        "remaining": report.remaining,
    }
    if report.reason == "paused" and not was_paused:
        return Occasion(PAUSE, report.paused_reason, counts)
    settled = report.accepted + report.refused + report.expired + report.in_doubt + report.unmade
    if report.reason in ("done", "limit") and settled and not report.remaining:
        return Occasion(FINISH, "nothing is left to send", counts)
    return None


def of_error(error: Exception) -> Occasion | None:
    """The same of a run that broke off. Another sender at work is no reason to wake anybody."""
    if isinstance(error, CampaignBusy):
        return None
    said = isinstance(error, OperatorError | StorageError)  # texts for an operator; others may quote a value
    return Occasion(ERROR, str(error) if said else f"a fault of ours: {type(error).__name__}")


def program(settings: Settings, event: str) -> tuple[str, ...]:
    """The program and its arguments; () = none."""
    return settings.send.on_finish_command if event == FINISH else settings.send.on_pause_command


def missing(settings: Settings, folder: Path) -> list[str]:
    """Which settings name a program that cannot be run: found now, not at night."""
    return [
        name
        for name, command in (
            ("send.on_pause_command", settings.send.on_pause_command),
            ("send.on_finish_command", settings.send.on_finish_command),
        )
        if command and which(folder / command[0] if os.sep in command[0] else command[0]) is None
    ]


def environment(occasion: Occasion, settings: Settings, folder: Path, own: Mapping[str, str]) -> dict[str, str]:
    """What the program gets: what is not ours, and what there is to tell. Of our own variables it inherits none: a
    password may stand in any (a database's address has one), and which do is not for a list to know. Pure, given
    ``own``."""
    reason = " ".join(occasion.reason.replace("\0", " ").split())[:_LONGEST]
    inherited = {name: value for name, value in own.items() if not name.startswith(PREFIX)}
    told = {
        "NOTIFIER_EVENT": occasion.event,
        "NOTIFIER_REASON": reason,
        "NOTIFIER_CAMPAIGN": str(folder.resolve()),
        "NOTIFIER_CAMPAIGN_NAME": settings.campaign.name,
    }
    counts = {f"NOTIFIER_{name.upper()}": str(count) for name, count in occasion.counts.items()}
    return {**inherited, **told, **counts}


async def wake(database: Database, settings: Settings, folder: Path, occasion: Occasion, now: datetime) -> None:
    """Run the program that is set for this occasion, if one is; take down how it ended. Raises nothing."""
    command = program(settings, occasion.event)
    if not command:
        return
    given = environment(occasion, settings, folder, os.environ)
    result, code = await asyncio.to_thread(_run, command, folder, given, settings.send.command_seconds)
    if result != "ended" or code:
        _log.warning("the program of [send] for %s: %s, exit %d (%s)", occasion.event, result, code, LOG)
    entry = Entry(now, "command_run", facts={"event": occasion.event, "result": result, "exit": code})
    try:
        async with database.write() as connection:
            await journal.append(connection, [entry])
    except NotifierError as error:  # the disk that broke the run off may be full still
        _log.warning("action=wake could not be journaled: %s", type(error).__name__)


def _run(command: tuple[str, ...], folder: Path, given: Mapping[str, str], seconds: float) -> tuple[str, int]:
    """(ended | timed_out | not_started, exit code)."""
    try:
        (folder / LOG).parent.mkdir(mode=0o700, exist_ok=True)
        with (folder / LOG).open("ab") as log:
            started = subprocess.Popen(  # noqa: S603  (a program that whoever runs the campaign has set)
                command, cwd=folder, env=dict(given), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
    except (OSError, ValueError):
        return "not_started", 0
    try:
        return "ended", started.wait(seconds)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        return "timed_out", 0
