"""Synthetic exports with their truth: what two operators and a directory would hand over, and what is then owed.

``make_exports`` streams: memory does not grow with the number of persons. The same numbers and the same seed give the
same bytes in every file. Files appear in ``out`` only when all of them are complete.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from notifier.drill import rows
from notifier.drill.draws import Draws
from notifier.drill.households import Case
from notifier.drill.people import Population
from notifier.drill.professionals import Professionals
from notifier.drill.truth import TruthLine, insured_line, professional_exposures, professional_line
from notifier.errors import OperatorError

if TYPE_CHECKING:
    from xlsxwriter import Workbook

MOST_INSURED = 60_000_000  # the supply of different NIRs
MOST_PROFESSIONALS = 700_000  # a worksheet ends at row 1,048,576
_BLOCK = 8192  # rows that are shuffled together before they are written

VIAMEDIS_INSURED = "viamedis-insured.csv"
ALMERYS_INSURED = "almerys-insured.csv"
VIAMEDIS_PROFESSIONAL = "viamedis-professional.xlsx"
ALMERYS_PROFESSIONAL = "almerys-professional.xlsx"
DIRECTORY = "directory.csv"
TRUTH = "truth.jsonl"


@dataclass(frozen=True, slots=True)
class DrillReport:
    """What was made. ``rows``: by file, without the heading; ``by_route`` and ``by_case`` count persons of truth."""

    insured: int
    professionals: int
    unusable_rows: int
    rows: Mapping[str, int]
    by_route: Mapping[str, int]
    by_case: Mapping[str, int]

    @property
    def persons(self) -> int:
        """Lines of truth.jsonl."""
        return self.insured + self.professionals

    def as_json(self) -> dict[str, object]:
        """For ``--json``: plain dicts and integers."""
        return {
            "insured": self.insured,
            "professionals": self.professionals,
            "persons": self.persons,
            "unusable_rows": self.unusable_rows,
            "rows": dict(self.rows),
            "by_route": dict(self.by_route),
            "by_case": dict(self.by_case),
        }


class _Lines:
    """A text file that grows by shuffled blocks of lines. Lines end in CRLF (RFC 4180)."""

    def __init__(self, stream: BinaryIO, heading: str, encoding: str, draws: Draws) -> None:
        self._stream = stream
        self._encoding = encoding.removesuffix("-sig")  # the mark stands once, before the heading
        self._draws = draws
        self._block: list[str] = []
        self._count = 0
        stream.write(f"{heading}\r\n".encode(encoding))

    def add(self, line: str) -> None:
        self._block.append(line)
        if len(self._block) == _BLOCK:
            self._flush()

    def finish(self) -> int:
        """Write what is left; the number of lines without the heading."""
        self._flush()
        return self._count

    def _flush(self) -> None:
        if self._block:
            self._draws.shuffle(self._block)
            text = "\r\n".join(self._block) + "\r\n"
            self._stream.write(text.encode(self._encoding))
            self._count += len(self._block)
            self._block.clear()


class _Sheet:
    """A worksheet that grows by shuffled blocks of rows, one row in memory at a time behind them."""

    def __init__(self, workbook: Workbook, heading: str, draws: Draws) -> None:
        self._workbook = workbook
        workbook.set_properties({"created": datetime(2024, 2, 9, tzinfo=UTC)})  # else the clock is in the bytes
        self._sheet = workbook.add_worksheet("Export")
        self._sheet.write_row(0, 0, heading.split(";"))
        self._draws = draws
        self._block: list[list[rows.Cell]] = []
        self._count = 0

    def add(self, row: list[rows.Cell]) -> None:
        self._block.append(row)
        if len(self._block) == _BLOCK:
            self._flush()

    def finish(self) -> int:
        """Write what is left and close the workbook; the number of rows without the heading."""
        self._flush()
        self._workbook.close()
        return self._count

    def _flush(self) -> None:
        self._draws.shuffle(self._block)
        for row in self._block:
            self._count += 1
            for column, cell in enumerate(row):
                if isinstance(cell, int):
                    self._sheet.write_number(self._count, column, cell)
                elif cell:
                    self._sheet.write_string(self._count, column, cell)
        self._block.clear()


class _Truth:
    """truth.jsonl, line by line, and what it adds up to."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._numbers: Counter[str] = Counter()
        self.routes: Counter[str] = Counter()
        self.cases: Counter[str] = Counter()

    def number(self, kind: str) -> str:
        """The next person's number, "I00000001" …; lines are written in this order."""
        self._numbers[kind] += 1
        return f"{kind}{self._numbers[kind]:08d}"

    def add(self, line: TruthLine) -> None:
        self._stream.write(line.as_json().encode() + b"\n")
        self.routes[line.route] += 1
        self.cases[line.case] += 1


def make_exports(out: Path, *, insured: int, professionals: int, seed: int, unusable_rows: int = 0) -> DrillReport:
    """Write the six files of a drill into the folder ``out`` (made if missing; older files of a drill are replaced).

    ``insured`` and ``professionals`` count persons of truth.jsonl; the files have more rows. ``unusable_rows`` more
    rows of the insured files leave no identity and belong to nobody. Raises ``OperatorError`` when xlsxwriter is
    missing, a number is out of range, or ``out`` cannot be written.
    """
    if not 0 <= insured <= MOST_INSURED:
        raise OperatorError(f"a drill has 0 to {MOST_INSURED} insured persons, not {insured}")
    if not 0 <= professionals <= MOST_PROFESSIONALS:
        raise OperatorError(f"a drill has 0 to {MOST_PROFESSIONALS} professionals, not {professionals}")
    if unusable_rows < 0:
        raise OperatorError(f"a drill cannot have {unusable_rows} unusable rows")
    try:
        import xlsxwriter
    except ImportError as error:
        raise OperatorError('the drill writes XLSX files with xlsxwriter: pip install "notifier[drill]"') from error
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".drill-", dir=out) as unfinished:
            folder = Path(unfinished)
            workbooks = {
                name: xlsxwriter.Workbook(str(folder / name), {"constant_memory": True, "tmpdir": unfinished})
                for name in (VIAMEDIS_PROFESSIONAL, ALMERYS_PROFESSIONAL)
            }
            report = _write(
                folder,
                workbooks,
                insured=insured,
                professionals=professionals,
                seed=seed,
                unusable_rows=unusable_rows,
            )
            for name in (*report.rows, TRUTH):
                (folder / name).replace(out / name)
    except OSError as error:
        raise OperatorError(f"{out}: {error.strerror or error}") from error
    return report


def _write(
    folder: Path, workbooks: Mapping[str, Workbook], *, insured: int, professionals: int, seed: int, unusable_rows: int
) -> DrillReport:
    draws = Draws(seed)
    shuffles = Draws(seed + 1)  # of their own: the persons do not depend on how rows are grouped for writing
    with ExitStack() as stack:

        def opened(name: str) -> BinaryIO:
            return stack.enter_context((folder / name).open("wb", buffering=1 << 20))

        viamedis = _Lines(opened(VIAMEDIS_INSURED), rows.VIAMEDIS_INSURED, "cp1252", shuffles)
        almerys = _Lines(opened(ALMERYS_INSURED), rows.ALMERYS_INSURED, "utf-8-sig", shuffles)
        directory = _Lines(opened(DIRECTORY), rows.DIRECTORY, "utf-8", shuffles)
        truth = _Truth(opened(TRUTH))
        for index in range(unusable_rows):
            operator, text = rows.unusable(index)
            (viamedis if operator == "viamedis" else almerys).add(text)
        # One deck of professionals deals 20 at most, and one of them is insured as well: as many are sure to be dealt.
        population = Population(draws, insured=insured, wanted_practitioners=min(professionals // 20, 1000))
        for members in population:
            for member in members:
                times = 2 if member.case is Case.REPEATED_ROW else 1
                for _ in range(times * member.in_viamedis):
                    viamedis.add(rows.viamedis_insured(member, draws))
                for _ in range(times * member.in_almerys):
                    almerys.add(rows.almerys_insured(member, draws))
                if member.is_listed:
                    directory.add(rows.directory(member))
                if member.is_affected:
                    truth.add(insured_line(truth.number("I"), member, members[0]))

        viamedis_sheet = _Sheet(workbooks[VIAMEDIS_PROFESSIONAL], rows.VIAMEDIS_PROFESSIONAL, shuffles)
        almerys_sheet = _Sheet(workbooks[ALMERYS_PROFESSIONAL], rows.ALMERYS_PROFESSIONAL, shuffles)
        for practice in Professionals(draws, professionals=professionals, practitioners=population.practitioners):
            times = 2 if practice.case is Case.SEVERAL_LINES else 1
            for _ in range(times * ("viamedis" in practice.operators)):
                viamedis_sheet.add(rows.viamedis_professional(practice, draws))
            for _ in range(times * ("almerys" in practice.operators)):
                almerys_sheet.add(rows.almerys_professional(practice, draws))
            exposures = professional_exposures(
                (operator, operator in practice.logins, operator in practice.accounts)
                for operator in practice.operators
            )
            truth.add(
                professional_line(
                    truth.number("P"), exposures, practice.email, case=practice.case, group=practice.group
                )
            )
        counts = {
            VIAMEDIS_INSURED: viamedis.finish(),
            ALMERYS_INSURED: almerys.finish(),
            VIAMEDIS_PROFESSIONAL: viamedis_sheet.finish(),
            ALMERYS_PROFESSIONAL: almerys_sheet.finish(),
            DIRECTORY: directory.finish(),
        }
    return DrillReport(insured, professionals, unusable_rows, counts, _plain(truth.routes), _plain(truth.cases))


def _plain(counter: Counter[str]) -> dict[str, int]:
    return {str(key): counter[key] for key in sorted(counter)}
