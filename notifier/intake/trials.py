"""Trials: the first rows of a file as a profile understands them, with nothing stored.

The rows go through the functions that intake itself uses, so that a verdict here is the verdict there. Counts and codes
hold no value of a row; ``TrialRow.values`` does, for the operator's terminal alone, and never a NIR, a RIB or an IBAN.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import polars as pl

from notifier.campaign import Settings
from notifier.errors import ExportError
from notifier.intake import dates, files, identifiers, profiles, rows
from notifier.intake.columns import UNNAMED, Layout, suggesting
from notifier.intake.directories import members
from notifier.intake.mailboxes import mailbox, providers, rules, suggestion
from notifier.intake.members import first as first_of_archive
from notifier.intake.professionals import CONTACTS, professionals
from notifier.intake.records import NUMBER, UNPRINTABLE, Batch, FileContext, insured
from notifier.intake.staging import incident_of
from notifier.intake.verdicts import Tally, Verdict, Verdicts, verdict_of
from notifier.model import PersonKind
from notifier.vault import NUMBER as MASKED
from notifier.vault import Vault, redact

Key = TypeVar("Key", str, tuple[str, str])

SHOWN_CHARACTERS = 40
# Never shown, not even masked in part: only what there is to say of them (I8).
_NUMBERED = ("nir", "siret", "finess", "rpps", "rib")
_REFERENCES = ("contract", "member_number", "login")
_HIDDEN = frozenset(("nir", "nir_key", "rib", "siret", "finess", "rpps", "birth_date"))


@dataclass(frozen=True)
class TrialRow:
    """One row. ``codes``: repairs and warnings, or the one code of the rejection. ``column``: the heading it is about.
    ``numbers``: role → "ok", "present" (an account), or the code that says why not. ``birth``: "ok" or a code, "" = no
    such role. ``sender``: "" = no sender has the name. ``values``: role → cell as it would be understood; for a
    terminal only."""

    line: int
    verdict: Verdict
    codes: tuple[str, ...]
    column: str
    numbers: Mapping[str, str]
    birth: str
    sender: str
    exposures: str
    profession: str
    values: Mapping[str, str] = field(repr=False)

    def as_json(self) -> dict[str, object]:
        """Without ``values``."""
        return {
            "line": self.line,
            "verdict": self.verdict.value,
            "codes": list(self.codes),
            "column": self.column,
            "numbers": dict(self.numbers),
            "birth_date": self.birth,
            "sender": self.sender or None,
            "exposures": self.exposures.split(",") if self.exposures else [],
            "profession": self.profession,
        }


@dataclass(frozen=True)
class Trial:
    """``rows`` = accepted + repaired + warned + rejected. ``whole``: whether these are all rows of the file.
    ``columns``: heading → role, in the file's order. ``unknown_names``: cell → rows, of senders nobody has; values, for
    a terminal only."""

    profile: str
    kind: str
    person: str
    incident: str
    form: str
    encoding: str
    separator: str
    headings_line: int
    columns: tuple[tuple[str, str], ...]
    absent: tuple[str, ...]
    first: tuple[TrialRow, ...]
    whole: bool
    verdicts: Verdicts
    rejections: Mapping[tuple[str, str], int]  # (column, code)
    senders: Mapping[str, int]
    exposures: Mapping[str, int]
    professions: Mapping[str, int]
    unknown_names: Mapping[str, int] = field(repr=False)
    member: str = ""  # of an archive of several files: the first with data, which alone was looked at

    @property
    def rows(self) -> int:
        return sum(self.verdicts.rows.values())

    @property
    def repairs(self) -> Mapping[str, int]:
        """What was mended: code → rows."""
        return self.verdicts.codes.get(Verdict.REPAIRED, {})

    @property
    def warnings(self) -> Mapping[str, int]:
        """What is not usable, or is used with a doubt: code → rows."""
        return self.verdicts.codes.get(Verdict.WARNED, {})

    def as_json(self) -> dict[str, object]:
        """Codes and counts, no values."""
        return {
            "profile": self.profile,
            "kind": self.kind,
            "person": self.person,
            "incident": self.incident,
            "form": self.form,
            "member": self.member,
            "encoding": self.encoding,
            "separator": self.separator,
            "headings_line": self.headings_line,
            "columns": [{"heading": heading, "role": role} for heading, role in self.columns],
            "roles_without_column": list(self.absent),
            "rows": self.rows,
            "whole_file": self.whole,
            **{verdict.value: self.verdicts.rows.get(verdict, 0) for verdict in Verdict},
            "repairs": dict(self.repairs),
            "warnings": dict(self.warnings),
            "alarms": dict(self.verdicts.alarms),
            "rejections": [
                {"column": column, "code": code, "rows": count} for (column, code), count in self.rejections.items()
            ],
            "senders": dict(self.senders),
            "unknown_senders": {"names": len(self.unknown_names), "rows": sum(self.unknown_names.values())},
            "exposures": dict(self.exposures),
            "professions": dict(self.professions),
            "first": [row.as_json() for row in self.first],
        }


def try_out(
    vault: Vault,
    settings: Settings,
    folder: Path,
    path: Path,
    profile_name: str,
    *,
    incident: str | None,
    most: int | None,
    shown: int,
    now: datetime,
) -> Trial:
    """Read the first ``most`` rows of ``path`` (None: all) and keep ``shown`` of them to look at. Nothing is written.
    Raises ExportError and SettingsError, as the intake of the file would."""
    profile, _ = profiles.load(folder, profile_name, None)
    code = incident_of(profile, settings, incident)
    senders = profiles.Senders(settings.senders)
    with files.open_file(path) as file:
        wrapping = first_of_archive(file, path.name, profile)
        called = wrapping.called(path.name) if wrapping else path.name
        survey = files.survey(file, called, profile.encoding, wrapping)
        with suggesting(folder):
            layout, parts = rows.read(file, called, survey, profile)
        sender = ""
        if profile.person is PersonKind.PROFESSIONAL and "insurer" not in layout.roles:
            sender = senders.of_operator(settings.incident(code))
        reading = FileContext(profile, layout, code, senders, vault, now.date(), sender, addresses=rules(folder))
        tally = _Tally(reading, _make(profile, folder), shown, profiles.Senders(settings.senders))
        whole = True
        for part in parts:
            left = None if most is None else most - tally.counted
            first = part if left is None else _first(part, left)
            tally.take(first)
            if _height(first) < _height(part):
                whole = False
                break
    if not tally.counted:
        raise ExportError(f"{path.name} has headings and no rows")
    return Trial(
        profile_name, profile.kind, profile.person.value, code, survey.form.value, rows.recorded(survey, layout),
        layout.separator, layout.lines, _columns(layout), tuple(sorted(profile.roles - set(layout.roles))),
        tuple(sorted(tally.first, key=lambda row: row.line)), whole, tally.verdicts.verdicts(),
        _most_first(tally.rejections), _most_first(tally.senders), _most_first(tally.exposures),
        _most_first(tally.professions), _most_first(Counter(senders.unknown)),
        member=wrapping.place() if wrapping else "",
    )  # fmt: skip


def _make(profile: profiles.Profile, folder: Path) -> Callable[[rows.Rows, FileContext], Batch]:
    if profile.kind == "directory":
        return partial(members, providers=providers(folder), as_of="")
    return insured if profile.person is PersonKind.INSURED else partial(professionals, providers=providers(folder))


def _columns(layout: Layout) -> tuple[tuple[str, str], ...]:
    roles = ("" if role.startswith((UNNAMED, profiles.IGNORED)) else role for role in layout.roles)
    return tuple(zip(map(_printable, layout.headings), roles, strict=False))


def _printable(heading: str) -> str:
    return " ".join(re.sub(UNPRINTABLE, " ", heading).split())


def _height(part: rows.Rows) -> int:
    return part.frame.height + len(part.broken)


def _first(part: rows.Rows, most: int) -> rows.Rows:
    """The first ``most`` rows of a batch, in the order of the file; those that could not be divided count too."""
    if _height(part) <= most:
        return part
    lines = sorted([*part.frame["line"].to_list(), *(each.line for each in part.broken)])
    last = lines[most - 1] if most > 0 else 0
    kept = [each for each in part.broken if each.line <= last]
    return replace(part, frame=part.frame.filter(pl.col("line") <= last), broken=kept)


def _most_first(counts: Counter[Key]) -> dict[Key, int]:
    return dict(counts.most_common())


class _Tally:
    """Counts the verdicts of each batch, and keeps the first rows."""

    def __init__(
        self, reading: FileContext, make: Callable[[rows.Rows, FileContext], Batch], shown: int, names: profiles.Senders
    ) -> None:
        self._reading, self._make, self._shown = reading, make, shown
        self._names = names  # of its own: the file's counts each unknown name once per row
        self._directory = reading.profile.kind == "directory"
        self.first: list[TrialRow] = []
        self.verdicts = Tally(reading.layout.lines)
        self.rejections: Counter[tuple[str, str]] = Counter()
        self.senders: Counter[str] = Counter()
        self.exposures: Counter[str] = Counter()
        self.professions: Counter[str] = Counter()

    @property
    def counted(self) -> int:
        return self.verdicts.rows

    def take(self, part: rows.Rows) -> None:
        """One batch of rows. Its frame is not changed."""
        cells = {row["line"]: row for row in part.frame.iter_rows(named=True)}
        batch = self._make(part, self._reading)
        found: list[TrialRow] = []
        for rejection in batch.rejections:
            column = _printable(rejection.column)
            self.rejections[column, rejection.code] += 1
            row = cells.get(rejection.line, {})
            found.append(self._row(rejection.line, Verdict.REJECTED, (rejection.code,), column, row, "", ""))
        self.verdicts.take(batch)
        for line, codes, exposures, profession in self._kept(batch):
            verdict = verdict_of(codes)
            found.append(self._row(line, verdict, codes, "", cells[line], exposures, profession))
            if not self._directory:
                self.exposures[exposures] += 1
            if profession:
                self.professions[profession] += 1
        self.senders.update(row.sender for row in found if row.sender)
        self.first += sorted(found, key=lambda row: row.line)[: self._shown - len(self.first)]

    def _kept(self, batch: Batch) -> Iterator[tuple[int, tuple[str, ...], str, str]]:
        """(line, codes, exposures, profession) of each row that was not rejected."""
        if self._directory:
            at = CONTACTS.index("line")
            for contact, codes in zip(batch.contacts, batch.warned, strict=True):
                line = contact[at]
                assert isinstance(line, int)
                yield line, tuple(filter(None, codes.split(","))), "", ""
            return
        told = batch.records.select("line", "warnings", "exposures", "profession")
        for line, codes, exposures, profession in told.iter_rows():
            yield line, tuple(filter(None, (codes or "").split(","))), exposures, profession or ""

    def _row(
        self,
        line: int,
        verdict: Verdict,
        codes: tuple[str, ...],
        column: str,
        row: Mapping[str, str],
        exposures: str,
        profession: str,
    ) -> TrialRow:
        roles = set(self._reading.layout.roles)
        today = self._reading.today
        sender = self._reading.sender or (self._names.of([row.get("insurer", "")])[0] if row else "")
        if len(self.first) >= self._shown:  # it is only counted
            return TrialRow(line, verdict, codes, column, {}, "", sender, exposures, profession, {})
        numbers = {role: _number(role, row) for role in _NUMBERED if role in roles and row}
        birth = dates.birth_date(row["birth_date"], today) if row and "birth_date" in roles else None
        values = {role: _shown(role, row[role]) for role in self._reading.layout.roles if row.get(role)}
        values = {role: value for role, value in values.items() if role not in _HIDDEN and value}
        if birth and birth.value:
            values["birth_date"] = birth.value
        state = (birth.code or "ok") if birth else ""
        return TrialRow(line, verdict, codes, column, numbers, state, sender, exposures, profession, values)


def _number(role: str, row: Mapping[str, str]) -> str:
    if role == "nir":
        return identifiers.nir(row["nir"], row.get("nir_key", "")).code or "ok"
    if role == "rib":
        found = identifiers.bank_account(row["rib"])
        return found.code or ("present" if found.value else "none")
    rule = {"siret": identifiers.siret, "finess": identifiers.finess, "rpps": identifiers.rpps}[role]
    return rule(row[role]).code or "ok"


def _shown(role: str, cell: str) -> str:
    """A cell for the terminal: nothing that it obeys, and no number of somebody's that stands where none belongs."""
    if role in ("email", "email2"):
        local, _, domain = (mailbox(cell).value or suggestion(cell)).rpartition("@")
        plain = f"{redact(local)}@{redact(domain)}" if domain else ""
        if plain and not mailbox(cell).value:
            plain = f"not usable (meant: {plain}?)"
    elif role in _REFERENCES:
        # The shape of an IBAN is too common among these; its key is not.
        account = identifiers.bank_account(cell).value in ("rib", "iban")
        plain = MASKED if account or identifiers.nir(cell).value else cell
    else:
        plain = redact(cell)
    plain = re.sub(UNPRINTABLE, "\ufffd", re.sub(NUMBER, MASKED, plain))
    return plain if len(plain) <= SHOWN_CHARACTERS else f"{plain[: SHOWN_CHARACTERS - 1]}…"


def shown_name(cell: str) -> str:
    """An unknown sender's name for the terminal."""
    return _shown("insurer", cell) or "(blank)"
