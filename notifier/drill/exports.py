"""Synthetic exports with their truth: what two operators and a directory would hand over, and what is then owed.

``make_exports`` streams: memory does not grow with the number of persons. The same numbers and the same seed give the
same bytes in every file. Files appear in ``out`` only when all of them are complete.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from notifier.drill import rows
from notifier.drill.draws import Draws
from notifier.drill.households import Case
from notifier.drill.people import Member, Population
from notifier.drill.professionals import Professionals
from notifier.drill.truth import TruthLine, insured_line, professional_exposures, professional_line
from notifier.drill.typing_errors import Typist
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
# Only of a drill of all cases, or with typing errors:
OLD_DIRECTORY = "directory-old.csv"
CORRECTED = "viamedis-insured-corrected.csv"
ROWS = "rows.jsonl"


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
    """A text file that grows by shuffled blocks of lines. Lines end in CRLF (RFC 4180). ``told``: where it is written
    which member stands in which line (None: nowhere)."""

    def __init__(
        self, stream: BinaryIO, heading: str, encoding: str, draws: Draws, name: str = "", told: BinaryIO | None = None
    ) -> None:
        self._stream, self._name, self._told = stream, name, told
        self._encoding = encoding.removesuffix("-sig")  # the mark stands once, before the heading
        self._draws = draws
        self._block: list[tuple[str, str]] = []
        self._count = 0
        stream.write(f"{heading}\r\n".encode(encoding))

    def add(self, line: str, who: str = "") -> None:
        """``who``: JSON of what `rows.jsonl` says of the line."""
        self._block.append((line, who))
        if len(self._block) == _BLOCK:
            self._flush()

    def finish(self) -> int:
        """Write what is left; the number of lines without the heading."""
        self._flush()
        return self._count

    def _flush(self) -> None:
        if self._block:
            self._draws.shuffle(self._block)
            text = "\r\n".join(line for line, _ in self._block) + "\r\n"
            self._stream.write(text.encode(self._encoding))
            if self._told is not None:
                first = self._count + 2
                for number, (_, who) in enumerate(self._block, start=first):
                    if who:
                        self._told.write(f'{{"file": "{self._name}", "line": {number}, {who}}}\n'.encode())
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


class _Further:
    """The files that only a drill of all cases has."""

    def __init__(self, opened: Callable[[str], BinaryIO], draws: Draws, told: BinaryIO | None) -> None:
        self.old = _Lines(opened(OLD_DIRECTORY), rows.DIRECTORY, "utf-8", draws, OLD_DIRECTORY, told)
        self.corrected = _Lines(opened(CORRECTED), rows.VIAMEDIS_INSURED, "cp1252", draws, CORRECTED, told)

    def add_old(self, member: Member) -> None:
        """Who left since; and every fifth of the others, at an address of then: the newest row must win."""
        who = f'"member": "A{member.number:08d}"'
        if member.only_in_old:
            self.old.add(rows.directory(member), who)
        elif member.is_listed and member.number % 5 == 0 and member.status == "actif":
            then = replace(member, email=f"ancienne{member.number}@petit-domaine.example" if member.email else "")
            self.old.add(rows.directory(then), who)


@dataclass
class _InsuredFiles:
    """Where an insured member stands. ``is_hard``: it is told which row means whom."""

    viamedis: _Lines
    almerys: _Lines
    directory: _Lines
    further: _Further | None
    truth: _Truth
    typist: Typist
    draws: Draws
    is_hard: bool

    def add(self, member: Member, holder: Member) -> None:
        """The member's rows in every file, and what is true of it."""
        person = self.truth.number("I") if member.is_affected else ""
        times = 2 if member.case is Case.REPEATED_ROW else 1
        for _ in range(times * member.in_viamedis):
            typed, who = self._typed(member, person)
            line = rows.viamedis_insured(typed, self.draws)
            self.viamedis.add(line, who)
            if self.further is not None and not member.is_withdrawn:
                self.further.corrected.add(line, who)
        for _ in range(times * member.in_almerys):
            typed, who = self._typed(member, person)
            self.almerys.add(rows.almerys_insured(typed, self.draws), who)
        if member.is_listed:
            listed = rows.directory if self.further is None else rows.hard_directory
            self.directory.add(listed(member), f'"member": "A{member.number:08d}"' if self.is_hard else "")
        if self.further is not None:
            self.further.add_old(member)
        if member.is_affected:
            self.truth.add(insured_line(person, member, holder, is_hard=self.is_hard))

    def _typed(self, member: Member, person: str) -> tuple[Member, str]:
        return self.typist.type(member, person) if self.is_hard else (member, "")


def make_exports(
    out: Path,
    *,
    insured: int,
    professionals: int,
    seed: int,
    unusable_rows: int = 0,
    noise: float = 0.0,
    all_cases: bool = False,
) -> DrillReport:
    """Write the six files of a drill into the folder ``out`` (made if missing; older files of a drill are replaced).

    ``insured`` and ``professionals`` count persons of truth.jsonl; the files have more rows. ``unusable_rows`` more
    rows of the insured files leave no identity and belong to nobody.

    ``noise``: the share of rows of the insured files with one typing error (name, birth date or NIR); who stands in
    which row is then written to `rows.jsonl`, and truth.jsonl says what is owed to the person that was meant.
    ``all_cases``: also what takes further files and options to take in: `directory-old.csv` (of an earlier day; the
    other directory is the whole one, `--replace`) and `viamedis-insured-corrected.csv` (which replaces
    viamedis-insured.csv); the truth is that after all of them, once the address of the agency (`names.AGENCY_MAILBOX`)
    is named in data/mailboxes.toml. Raises ``OperatorError`` when xlsxwriter is
    missing, a number is out of range, or ``out`` cannot be written.
    """
    if not 0 <= insured <= MOST_INSURED:
        raise OperatorError(f"a drill has 0 to {MOST_INSURED} insured persons, not {insured}")
    if not 0 <= professionals <= MOST_PROFESSIONALS:
        raise OperatorError(f"a drill has 0 to {MOST_PROFESSIONALS} professionals, not {professionals}")
    if unusable_rows < 0:
        raise OperatorError(f"a drill cannot have {unusable_rows} unusable rows")
    if not 0 <= noise <= 1:
        raise OperatorError(f"a share of rows is from 0 to 1, not {noise}")
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
                noise=noise,
                all_cases=all_cases,
            )
            for name in (OLD_DIRECTORY, CORRECTED, ROWS):
                (out / name).unlink(missing_ok=True)
                if (folder / name).exists() and name not in report.rows:
                    (folder / name).replace(out / name)
            for name in (*report.rows, TRUTH):
                (folder / name).replace(out / name)
    except OSError as error:
        raise OperatorError(f"{out}: {error.strerror or error}") from error
    return report


def _write(
    folder: Path, workbooks: Mapping[str, Workbook], *, insured: int, professionals: int, seed: int, unusable_rows: int,
    noise: float, all_cases: bool,
) -> DrillReport:  # fmt: skip
    draws = Draws(seed)
    shuffles = Draws(seed + 1)  # of their own: the persons do not depend on how rows are grouped for writing
    with ExitStack() as stack:

        def opened(name: str) -> BinaryIO:
            return stack.enter_context((folder / name).open("wb", buffering=1 << 20))

        is_hard = all_cases or noise > 0
        told = opened(ROWS) if is_hard else None
        typist = Typist(Draws(seed + 2), noise)
        viamedis = _Lines(opened(VIAMEDIS_INSURED), rows.VIAMEDIS_INSURED, "cp1252", shuffles, VIAMEDIS_INSURED, told)
        almerys = _Lines(opened(ALMERYS_INSURED), rows.ALMERYS_INSURED, "utf-8-sig", shuffles, ALMERYS_INSURED, told)
        heading = rows.HARD_DIRECTORY if all_cases else rows.DIRECTORY
        directory = _Lines(opened(DIRECTORY), heading, "utf-8", shuffles, DIRECTORY, told)
        further = _Further(opened, shuffles, told) if all_cases else None
        truth = _Truth(opened(TRUTH))
        for index in range(unusable_rows):
            operator, text = rows.unusable(index)
            (viamedis if operator == "viamedis" else almerys).add(text)
        # One deck of professionals deals 20 at most, and one of them is insured as well: as many are sure to be dealt.
        population = Population(
            draws, insured=insured, wanted_practitioners=min(professionals // 20, 1000), is_hard=all_cases
        )
        files = _InsuredFiles(viamedis, almerys, directory, further, truth, typist, draws, is_hard)
        for members in population:
            for member in members:
                files.add(member, members[0])

        viamedis_sheet = _Sheet(workbooks[VIAMEDIS_PROFESSIONAL], rows.VIAMEDIS_PROFESSIONAL, shuffles)
        almerys_sheet = _Sheet(workbooks[ALMERYS_PROFESSIONAL], rows.ALMERYS_PROFESSIONAL, shuffles)
        for practice in Professionals(draws, professionals=professionals, practitioners=population.practitioners,
                                      is_hard=all_cases):  # fmt: skip
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
        if further is not None:
            counts |= {OLD_DIRECTORY: further.old.finish(), CORRECTED: further.corrected.finish()}
    return DrillReport(insured, professionals, unusable_rows, counts, _plain(truth.routes), _plain(truth.cases))


def _plain(counter: Counter[str]) -> dict[str, int]:
    return {str(key): counter[key] for key in sorted(counter)}
