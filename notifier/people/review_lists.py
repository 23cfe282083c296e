"""The review list as a spreadsheet: out with its values, back with decisions, all of them or none.

Out: a clear file (readable by its owner alone, registered and journaled in a committed transaction before its first
byte, as `intake --with-values` does), one line per case and candidate. Back: of each line only the case, the candidate,
the evidence and the four columns of the decision are read. The evidence is a digest of what the case showed: a decision
is never applied to other candidates than those that somebody saw. Bringing the same file twice changes nothing.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from notifier.errors import OperatorError
from notifier.model import Contact, Entry, to_ms
from notifier.people.reviews import DECISIONS, WHY_CHARACTERS, Decided, ReviewCase, cases, decide_one, shown
from notifier.spreadsheets import disarmed
from notifier.storage import clear_files, journal, reviews
from notifier.storage.clear_files import ClearFile
from notifier.storage.database import Connection, Database
from notifier.vault import Vault

KIND = "reviews"
COLUMNS = (
    "case", "candidate", "doubt", "sender", "export_name", "export_forename", "export_birth_date", "member_name",
    "member_birth_name", "member_forename", "member_birth_date", "member_email", "member_postcode", "member_city",
    "member_status", "directory_of", "agree", "near", "differ", "allowed", "decided", "evidence", "decision", "revise",
    "reason",
)  # fmt: skip
READ = ("case", "candidate", "evidence", "decision", "revise", "reason")
YES = frozenset(("yes", "oui", "x", "1"))
BYTES = 1 << 26  # of a list that comes back
SHOWN = 10  # errors


# -- out -------------------------------------------------------------------------------------------------------------


async def write_list(
    database: Database,
    vault: Vault,
    folder: Path,
    out: Path,
    *,
    reason: str = "",
    limit: int | None = None,
    decided: bool = False,
    by: str,
    now: datetime,
) -> int:
    """Write the open cases (or the decided ones) to ``out``; returns how many, 0 = there are none and no file. Raises
    OperatorError when something lies at ``out`` already (decisions, perhaps), or it cannot be written."""
    if out.exists():
        raise OperatorError(f"{out} is there already, with decisions perhaps: name another file")
    if not out.parent.is_dir():
        raise OperatorError(f"there is no folder {out.parent}")
    state = reviews.DECIDED if decided else reviews.OPEN
    async with database.read() as connection:
        many = len(await reviews.listed(connection, state=state, reason=reason, limit=limit))
    if not many:
        return 0
    async with database.write() as connection:
        await clear_files.register(connection, ClearFile(_registered(folder, out), KIND, "", by, to_ms(now)))
        facts = {"kind": KIND, "source": "", "rows": many, "by": by}
        await journal.append(connection, [Entry(now, "clear_file_written", "", facts)])
    written = 0
    try:
        with os.fdopen(
            os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8-sig", newline=""
        ) as file:
            lines = csv.writer(file, delimiter=";")
            lines.writerow(COLUMNS)
            async with database.read() as connection:
                async for case in cases(connection, vault, reason=reason, limit=limit, decided=decided):
                    lines.writerows(map(disarmed, line) for line in _lines(case))
                    written += 1
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OperatorError(f"{out} cannot be written: {error.strerror}") from error
    return written


def _registered(folder: Path, out: Path) -> str:
    """Relative to the campaign's folder, where it lies in it."""
    path, root = out.resolve(), folder.resolve()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _lines(case: ReviewCase) -> Iterator[tuple[str, ...]]:
    person = case.person
    first = (case.reason, case.sender, person.name, person.forename, person.birth_date)
    last = (" | ".join(case.decisions), case.decision, case.digest, "", "", "")
    for (number, contact), evidence in zip(case.candidates, case.evidence, strict=True):
        told = (", ".join(evidence.agrees), ", ".join(evidence.near), ", ".join(evidence.differs))
        member = (*_member(contact), evidence.status, evidence.as_of)
        yield (str(case.case), str(number), *first, *member, *told, *last)
    if not case.candidates:
        yield (str(case.case), "", *first, *[""] * 12, *last)


def _member(contact: Contact) -> tuple[str, ...]:
    place = (contact.postal.postcode, contact.postal.city) if contact.postal else ("", "")
    return (contact.name, contact.birth_name, contact.forename, contact.birth_date, contact.email, *place)


async def remove_lists(database: Database, folder: Path, *, by: str, now: datetime) -> int:
    """Remove every list that we wrote: it may speak of persons who are to be forgotten. Returns how many."""
    async with database.read() as connection:
        found = [each for each in await clear_files.there(connection) if each.kind == KIND]
    for each in found:
        (folder / each.path).unlink(missing_ok=True)
    if found:
        async with database.write() as connection:
            for each in found:
                await clear_files.mark_removed(connection, each.path, now_ms=to_ms(now))
            facts = {"kind": KIND, "source": "", "files": len(found), "by": by}
            await journal.append(connection, [Entry(now, "clear_file_removed", "", facts)])
    return len(found)


# -- back ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What a list says of one case. ``line``: where the decision stands."""

    line: int
    case: int
    evidence: str
    decision: str
    revise: bool
    why: str


@dataclass
class Answers:
    """A list that came back. ``undecided``: cases without a decision."""

    answers: list[Answer] = field(default_factory=list)
    errors: list[tuple[int, str]] = field(default_factory=list)
    undecided: int = 0

    def must_be_sound(self) -> None:
        """Raises OperatorError that names the lines."""
        if self.errors:
            self.errors.sort()
            told = "; ".join(f"line {line}: {what}" for line, what in self.errors[:SHOWN])
            more = f"; and {len(self.errors) - SHOWN} more" if len(self.errors) > SHOWN else ""
            raise OperatorError(f"{told}{more}. Nothing was decided")


def read_list(path: Path) -> Answers:
    """The decisions of a list that came back from a spreadsheet (UTF-8 or Windows-1252; semicolons, commas or tabs).
    Raises OperatorError when it is no such list."""
    try:
        if path.stat().st_size > BYTES:
            raise OperatorError(f"{path} is too large for a list of decisions")
        content = path.read_bytes()
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}") from error
    try:
        plain = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        plain = content.decode("cp1252", "replace")
    return parse(plain, path.name)


def parse(plain: str, name: str) -> Answers:
    """:func:`read_list` of a text. Pure."""
    head = plain.partition("\n")[0]
    separator = max(";,\t", key=head.count)
    rows = csv.DictReader(io.StringIO(plain, newline=""), delimiter=separator, restval="")
    if missing := [column for column in READ if column not in (rows.fieldnames or ())]:
        raise OperatorError(f"{name} is no list of `people review --export`: it has no column {', '.join(missing)}")
    made = Answers()
    by_case: dict[int, list[Answer]] = {}
    try:
        for row in rows:
            _read(row, rows.line_num, by_case, made)
    except csv.Error as error:
        raise OperatorError(f"{name} cannot be read as CSV (line {rows.line_num})") from error
    for answers in by_case.values():
        given = [answer for answer in answers if answer.decision]
        if not given:
            made.undecided += 1
        elif len({answer.decision for answer in given}) > 1 or len({answer.evidence for answer in answers}) > 1:
            made.errors.append((given[-1].line, f"case {given[-1].case} is answered twice, and not alike"))
        else:
            made.answers.append(given[0])
    return made


def _read(row: dict[str, str], line: int, by_case: dict[int, list[Answer]], made: Answers) -> None:
    case, decision, why = (row[column].strip() for column in ("case", "decision", "reason"))
    if not any(row[column].strip() for column in READ):
        return
    if not case.isascii() or not case.isdigit():
        made.errors.append((line, "the case is no number"))
        return
    decision = decision.lower()
    candidate = row["candidate"].strip()
    if decision in YES and candidate:
        decision = f"contact:{candidate}"
    if len(why) > WHY_CHARACTERS or not why.isprintable():
        made.errors.append((line, f"the reason is longer than {WHY_CHARACTERS} characters, or not one line"))
    revise = row["revise"].strip().lower() in YES
    by_case.setdefault(int(case), []).append(Answer(line, int(case), row["evidence"].strip(), decision, revise, why))


@dataclass(frozen=True, slots=True)
class Brought:
    """What a list decides, or decided: how many of each decision (without the candidate), how many stood already, how
    many cases it leaves open."""

    decisions: dict[str, int]
    revised: int
    already: int
    undecided: int

    @property
    def count(self) -> int:
        return sum(self.decisions.values())

    def told(self) -> str:
        """In words, for the question and the answer."""
        counts = ", ".join(f"{decision} {count}" for decision, count in sorted(self.decisions.items())) or "none"
        revised = f", {self.revised} of them revised" if self.revised else ""
        return f"{self.count} decisions ({counts}{revised}), {self.already} stood already, {self.undecided} left open"


async def look(database: Database, vault: Vault, answers: Answers) -> Brought:
    """What :func:`bring` would do. Raises OperatorError with the lines that cannot be applied."""
    async with database.read() as connection:
        return await _check(connection, vault, answers)


async def bring(database: Database, vault: Vault, answers: Answers, *, by: str, now: datetime) -> Brought:
    """Apply a list: all of it in one transaction, or (OperatorError) nothing; one journal entry per decision."""
    made: list[Decided] = []
    async with database.write() as connection:
        await _check(connection, vault, answers)
        for answer in answers.answers:
            try:
                decided = await decide_one(
                    connection, vault, answer.case, answer.decision, by=by, now=now, revise=answer.revise,
                    why=answer.why,
                )  # fmt: skip
            except OperatorError as error:
                raise OperatorError(f"line {answer.line}: {error}. Nothing was decided") from error
            made.append(decided)
    new = Counter(_kind(each.decision) for each in made if each.effect != "already")
    revised = sum(each.effect == "revised" for each in made)
    return Brought(dict(new), revised, sum(each.effect == "already" for each in made), answers.undecided)


def _kind(decision: str) -> str:
    return decision.partition(":")[0]


async def _check(connection: Connection, vault: Vault, answers: Answers) -> Brought:
    counted: Counter[str] = Counter()
    revised = already = 0
    errors = list(answers.errors)
    for answer in answers.answers:
        row = await reviews.find(connection, answer.case)
        if row is None:
            errors.append((answer.line, f"there is no case {answer.case} any more"))
            continue
        if row.state == reviews.DECIDED and row.decision == answer.decision:
            already += 1
            continue
        if row.state == reviews.DECIDED and not answer.revise:
            errors.append((answer.line, f"case {answer.case} was decided meanwhile: {row.decision}"))
            continue
        allowed = (*(f"contact:{number}" for number in row.candidates), *DECISIONS.get(row.reason, ("none",)))
        if answer.decision not in allowed:
            # What stands there instead is not repeated: a slipped column may hold a name.
            errors.append((answer.line, f"case {answer.case} can be decided {' | '.join(allowed)}"))
        elif (await shown(connection, vault, row)).digest != answer.evidence:
            errors.append((answer.line, f"case {answer.case} shows something else now: export it again"))
        else:
            counted[_kind(answer.decision)] += 1
            revised += row.state == reviews.DECIDED
    Answers(errors=errors).must_be_sound()
    return Brought(dict(counted), revised, already, answers.undecided)
