"""The rejections of all files: how many are open, how the others ended, and the list of them. Counts and codes only."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from notifier.errors import OperatorError
from notifier.intake.rejections import EXPLANATIONS
from notifier.spreadsheets import disarmed
from notifier.storage import rejections
from notifier.storage.database import Database
from notifier.storage.rejections import OPEN, STATES, FileRejections

FILES_SHOWN = 10
STATE_WORDS: Mapping[str, str] = {
    "open": "ouvert",
    "corrected": "corrigé par une ligne ultérieure",
    "duplicate": "répète un rejet antérieur",
    "not_a_person": "ne concerne personne",
    "disposed": "classé sans suite",
}


@dataclass(frozen=True, slots=True)
class RejectedRows:
    """Rejections of complete imports, counted by file, state and code; exports and directories."""

    counted: Sequence[FileRejections] = ()

    @property
    def open(self) -> int:
        """Open ones of exports: what a campaign cannot close with."""
        return sum(each.rows for each in self.counted if each.state == OPEN and each.kind == "export")

    def by_state(self) -> dict[str, int]:
        """State → rejections of exports; their sum is what the account subtracts from the rows."""
        counts = dict.fromkeys(STATES, 0)
        for each in self.counted:
            if each.kind == "export":
                counts[each.state] = counts.get(each.state, 0) + each.rows
        return counts

    def as_json(self, *, every: bool = False) -> dict[str, object]:
        """``open``, ``states``, and ``files`` with their codes; ``every``: by code under each state that occurs."""
        files: list[dict[str, object]] = []
        for sha256, kind, name, states in self._files():
            if every or states.get(OPEN):
                shown = states if every else {OPEN: states[OPEN]}
                files.append({"sha256": sha256, "kind": kind, "name": name, **shown})
        return {"open": self.open, "states": self.by_state(), "files": files}

    def _files(self) -> list[tuple[str, str, str, dict[str, dict[str, int]]]]:
        """(SHA-256, kind, name, state → code → rejections) of each file, the oldest import first."""
        files: dict[tuple[str, str, str], dict[str, dict[str, int]]] = {}
        for each in self.counted:
            codes = files.setdefault((each.sha256, each.kind, each.name), {}).setdefault(each.state, {})
            codes[each.code] = codes.get(each.code, 0) + each.rows
        return [(*key, states) for key, states in files.items()]

    def lines(self, *, every: bool = False, most: int | None = None) -> list[str]:
        """For a terminal. ``most``: files shown at most."""
        states = ", ".join(f"{count} {state}" for state, count in self.by_state().items() if count)
        lines = [f"Rejected rows of exports: {states or 'none'}"]
        shown = [each for each in self._files() if every or each[3].get(OPEN)]
        for sha256, kind, name, by_state in shown[:most]:
            lines.append(f"  {sha256[:12]}  {name}" + ("" if kind == "export" else f" ({kind})"))
            for state in STATES:
                if (codes := by_state.get(state)) and (every or state == OPEN):
                    told = ", ".join(f"{code} {count}" for code, count in sorted(codes.items(), key=lambda it: -it[1]))
                    lines.append(f"    {state}: {told}")
        if most is not None and len(shown) > most:
            lines.append(f"  … {len(shown) - most} more files: `notifier intake rejections`")
        return lines


async def standing(database: Database) -> RejectedRows:
    """Count them, in one snapshot."""
    async with database.read() as connection:
        return RejectedRows(await rejections.by_file(connection))


async def write_list(database: Database, out: Path, *, every: bool) -> int:
    """Each rejection with its file, line, column, code, state and sentence, and what ended it; no value of a row.
    Returns the number of lines. Written beside and moved into place. Raises OperatorError."""
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    count = 0
    try:
        with beside.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file, delimiter=";")
            writer.writerow(
                ("fichier", "line", "column", "code", "etat", "explication", "clos_par_fichier", "clos_par_ligne")
            )
            async with database.read() as connection:
                async for each in rejections.listing(connection, STATES if every else (OPEN,)):
                    writer.writerow((
                        each.sha256, each.line, disarmed(each.column), each.code, STATE_WORDS[each.state],
                        EXPLANATIONS.get(each.code, ""), each.ended_sha256 or "", each.ended_line or "",
                    ))  # fmt: skip
                    count += 1
        beside.replace(out)
    except OSError as error:
        raise OperatorError(f"{out} cannot be written: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)
    return count
