"""A drill from its order to its report: what `drill run` calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from notifier.errors import OperatorError
from notifier.exercise.commands import Start, start_process
from notifier.exercise.course import Ask, Course, Order
from notifier.exercise.logbook import Logbook
from notifier.exercise.page import make_page
from notifier.exercise.report import make_report
from notifier.notices.encoding import mailbox_address

REPORT_JSON, REPORT_HTML = "compte-rendu.json", "compte-rendu.html"
MOST_RECIPIENTS = 500


@dataclass(frozen=True, slots=True)
class DrillDone:
    """How it ended. ``already``: the folder's drill had ended before, and nothing was done now."""

    report: dict[str, Any]
    folder: Path
    went_well: bool
    already: bool


def run_drill(order: Order, *, ask: Ask | None, say: Callable[[str], None], start: Start = start_process) -> DrillDone:
    """Rehearse in ``order.folder``, or go on there. ``ask``: None takes every default.

    The report is written however the drill ends. Raises OperatorError when the folder holds something else, TryLater
    when it can go on later.
    """
    book = Logbook.open(order.folder, order.options())
    already = book.finished
    course = Course(order, book, ask=ask, say=say, start=start)
    source = course.source_settings()
    if already:
        return DrillDone(_stored(order.folder), order.folder, True, True)
    real_size = order.real_size or int(book.options.get("real_size", 0))
    went_well = course.run()
    report = make_report(book, source, real_size=real_size, now=datetime.now(UTC).astimezone(source.zone))
    (order.folder / REPORT_HTML).write_text(make_page(report), encoding="utf-8")
    (order.folder / REPORT_JSON).write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return DrillDone(report, order.folder, went_well, False)


def _stored(folder: Path) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads((folder / REPORT_JSON).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OperatorError(f"the report in {folder} cannot be read: name a new folder") from error
    return report


def read_recipients(path: Path) -> tuple[str, ...]:
    """Own addresses, one a line; ``#`` begins a comment. Raises OperatorError, naming lines and no address (I8)."""
    found: dict[str, None] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path} cannot be read as UTF-8 text") from error
    for number, line in enumerate(lines, 1):
        address = line.partition("#")[0].strip()
        if not address:
            continue
        try:
            mailbox_address(address)
        except ValueError as error:
            raise OperatorError(f"{path}, line {number}: this is no e-mail address") from error
        found[address] = None
    if not 1 <= len(found) <= MOST_RECIPIENTS:
        raise OperatorError(f"{path} holds {len(found)} addresses: give 1 to {MOST_RECIPIENTS}, your own, one a line")
    return tuple(found)
