"""Drafts of profiles: a file of an unknown layout in, a proposal in TOML out, for somebody to read and to finish.

No cell of a row reaches the draft (I8): headings do, counts do, and the words of the shipped profiles. A line that
looks like somebody's data is not taken for headings, and not quoted.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO

import fastexcel

from notifier.campaign import categories, shipped
from notifier.errors import ExportError, SettingsError
from notifier.intake import archives, files, members, profiles
from notifier.intake.archives import Wrapping
from notifier.intake.columns import SEARCHED, SEPARATORS
from notifier.intake.encodings import FORCED
from notifier.intake.guesses import Column, Family, Guess, Known, are_proved, family_of, guess, is_usual
from notifier.intake.headings import normal_heading
from notifier.intake.normal_forms import EDGES
from notifier.intake.records import UNPRINTABLE
from notifier.model import PersonKind
from notifier.people.identity import normal_name
from notifier.vault import redact

SAMPLED = 1000  # rows
LONGEST_LETTER = 4  # bytes, in any encoding
FAMILIES: Mapping[str, Family] = {
    "insured": ("export", PersonKind.INSURED),
    "professional": ("export", PersonKind.PROFESSIONAL),
    "directory": ("directory", PersonKind.INSURED),
}
"""The kinds of file that there are, as the command line names them."""

# Category → the roles that expose it in every row, and those that expose it where the cell holds something.
_ALWAYS: Mapping[Family, Mapping[str, str]] = {
    FAMILIES["insured"]: {
        "civil_status": "name forename", "birth_date": "birth_date", "nir": "nir", "insurer": "insurer",
        "guarantees": "guarantees", "contract": "contract", "member_number": "member_number",
    },
    FAMILIES["professional"]: {
        "company_name": "company", "name": "name forename", "email": "email", "phone": "phone",
        "postal_address": "address postcode city", "siret": "siret", "finess": "finess",
    },
}  # fmt: skip
_FILLED: Mapping[Family, Mapping[str, str]] = {
    FAMILIES["insured"]: {"birth_rank": "birth_rank"},
    FAMILIES["professional"]: {"portal_login": "login", "rib": "rib"},
}
# Roles whose cells are words that the profile has to know, and what becomes of an unknown one.
_WORDED = {
    "profession": 'reads as "other"',
    "status": "rejects its row",
    "link": "reads as not said",
    "civility": "reads as not said",
    "email_opposition": "counts as an opposition: told by letter",
    "protection": "counts as a measure: told by letter",
}
_DATED = re.compile(r"[0-9]{5}|@|[0-9]{1,2}[/.\-][0-9]{1,2}[/.\-][0-9]{2}")


@dataclass(frozen=True)
class Draft:
    """``text``: the profile in TOML. ``headings_line``: physical line (CSV) or row (XLSX)."""

    family: str
    guesses: tuple[Guess, ...]
    headings_line: int
    sampled: int
    text: str
    member: str = ""  # of an archive of several files: the first with data, which alone was looked at

    @property
    def left(self) -> list[Guess]:
        """Columns with a heading that were not recognised: a file with one of them is refused until it is decided."""
        return [each for each in self.guesses if not each.role and normal_heading(each.column.heading)]

    def as_json(self) -> dict[str, object]:
        return {
            "family": self.family,
            "headings_line": self.headings_line,
            "sampled": self.sampled,
            "member": self.member,
            "columns": [
                {
                    "position": each.column.position,
                    "heading": _shown(each.column.heading),
                    "role": each.role,
                    "certainty": each.certainty.value,
                    "why": each.why,
                }
                for each in self.guesses
            ],
            "not_recognised": len(self.left),
        }


def draft(folder: Path, path: Path, *, family: str | None, today: date, encoding: str = "") -> Draft:
    """Propose a profile for ``path``. ``family``: one of FAMILIES, None = the one that explains most columns;
    ``folder``: the campaign's, for profiles of its own (it need not exist); ``encoding``: instead of what the bytes
    say. Raises ExportError."""
    if encoding and encoding not in FORCED:
        raise ExportError(f"encoding: {encoding!r} is not one of {', '.join(FORCED)}")
    at_hand = list(_profiles(folder))
    known: dict[str, list[Known]] = {}
    for name, profile in at_hand:
        for key, role in profile.by_heading.items():
            if not role.startswith(profiles.IGNORED):
                known.setdefault(key, []).append(Known((profile.kind, profile.person), role, name))
    with files.open_file(path) as file:
        wrapping = members.first(file, path.name)
        line, columns = _columns(file, path.name, known, today, encoding, wrapping)
    kind = FAMILIES[family] if family else family_of(columns, known, today)
    guesses = guess(columns, kind, known, today)
    words = {
        role: dict(profile.values[role])
        for _, profile in reversed(at_hand)
        if (profile.kind, profile.person) == kind
        for role in profile.values
    }
    name = next(each for each, its in FAMILIES.items() if its == kind)
    text = "\n".join(_toml(kind, guesses, words, set(categories(folder)), encoding, asked=family is not None)) + "\n"
    profiles.Profile.model_validate(tomllib.loads(text))  # a draft that is no profile is a fault of ours
    return Draft(name, tuple(guesses), line, len(columns[0].cells), text, wrapping.place() if wrapping else "")


def _profiles(folder: Path) -> Iterator[tuple[str, profiles.Profile]]:
    """The shipped profiles, then the campaign's own; one that cannot be read is none to learn from."""
    for root in (shipped("data"), folder / "data"):
        for path in sorted((root / "profiles").glob("*.toml")):
            try:
                yield path.stem, profiles.Profile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError, SettingsError):
                continue


# -- the file ------------------------------------------------------------------------------------------------------


Table = list[tuple[int, list[str]]]  # (line, cells)


def _columns(
    file: BinaryIO, name: str, known: Mapping[str, object], today: date, encoding: str, wrapping: Wrapping | None
) -> tuple[int, list[Column]]:
    """The line of headings and the columns under it, with a sample of their cells."""
    survey = files.survey(file, name, encoding, wrapping)
    tables = list(_sheets(file, name, survey) if survey.form is files.Form.XLSX else _texts(survey))
    places = [
        (table, at)
        for table in tables
        for at, (_, cells) in enumerate(table[:SEARCHED])
        if sum(bool(normal_heading(cell)) for cell in cells) > 1
    ]

    def said(place: tuple[Table, int]) -> tuple[int, int]:
        """How many cells are known for headings, and how many there are. A line that looks like data has none, unless
        three others speak for it ("Situation au 31/12/2023")."""
        _, cells = place[0][place[1]]
        words = sum(normal_heading(cell) in known or is_usual(cell) for cell in cells)
        return (0 if words < 3 and any(map(_DATED.search, cells)) else words), sum(map(bool, cells))

    best = max(places, key=said, default=None)
    if best is None or said(best)[0] < 2:
        # No word of it is known: what stands over two proved columns, and could not stand in them, is a heading.
        best = next((place for place in places if _stands_over_data(*place, today)), None)
    if best is None:
        raise ExportError(
            f"{name}: no line of headings was found in the first {SEARCHED} lines (they are not shown: they may be "
            "somebody's data); a profile needs headings, ask for the file with a line of them"
        )
    table, at = best
    return table[at][0], _under(table, at)


def _under(table: Table, at: int) -> list[Column]:
    headings = table[at][1]
    rows = [cells for _, cells in table[at + 1 :] if any(cells)][:SAMPLED]
    columns = [
        Column(index + 1, heading, tuple(cells[index] if index < len(cells) else "" for cells in rows))
        for index, heading in enumerate(headings)
    ]
    while len(columns) > 1 and not columns[-1].heading and not columns[-1].filled:
        columns.pop()
    return columns


def _stands_over_data(table: Table, at: int, today: date) -> bool:
    cells = table[at][1]
    plain = all(cells) and len(set(cells)) == len(cells) and not any(letter.isdigit() for letter in "".join(cells))
    return plain and are_proved(_under(table, at), today) > 1


def _texts(survey: files.Survey) -> Iterator[Table]:
    """The beginning of a CSV file as a table, once per separator: (line, cells)."""
    # The head may end within a row, and a row's half is nobody's.
    whole = len(survey.head.encode(survey.encoding)) + survey.bom + LONGEST_LETTER < files.HEAD_BYTES
    for separator in SEPARATORS:
        reader = csv.reader(io.StringIO(survey.head, newline=""), delimiter=separator)
        table: Table = []
        try:
            for cells in reader:
                table.append((reader.line_num, [cell.strip(EDGES) for cell in cells]))
                if len(table) > SAMPLED + SEARCHED:
                    break
        except csv.Error:
            pass
        yield table if whole or len(table) > SAMPLED + SEARCHED else table[:-1]


def _sheets(file: BinaryIO, name: str, survey: files.Survey) -> Iterator[Table]:
    """The first rows of each sheet."""
    content = archives.opened(file, name, survey.wrapping)
    try:
        workbook = fastexcel.read_excel(content.read())
        for sheet in workbook.sheet_names:
            loaded = workbook.load_sheet(sheet, header_row=None, n_rows=SAMPLED + SEARCHED, dtypes="string")
            rows = loaded.to_polars().fill_null("").iter_rows()
            yield [(number, [cell.strip(EDGES) for cell in row]) for number, row in enumerate(rows, start=1)]
    except fastexcel.FastExcelError as error:
        raise ExportError(f"{name} is a workbook that cannot be read: save it again as .xlsx") from error


# -- the draft -----------------------------------------------------------------------------------------------------


def _toml(
    family: Family,
    guesses: Sequence[Guess],
    words: Mapping[str, Mapping[str, Sequence[str]]],
    known_categories: set[str],
    encoding: str,
    *,
    asked: bool,
) -> Iterator[str]:
    kind, person = family
    sampled = len(guesses[0].column.cells)
    yield f"# A draft, made from the headings and the look of {sampled} rows; no value of a row is in it. Read every"
    yield "# line, fill in what is blank, decide what is commented out, save it as DIR/data/profiles/NAME.toml, look:"
    yield "#   notifier profile check FILE --profile NAME"
    yield ""
    yield f"kind = {_quoted(kind)}{'' if asked else '   # the kind that explains most of the columns: is it?'}"
    yield f"person = {_quoted(person.value)}"
    if kind == "export":
        yield 'incident = ""   # TO FILL IN: the code of one of [[incidents]] in campaign.toml'
    if encoding:
        yield f"encoding = {_quoted(encoding)}   # as you said"
    yield ""
    yield from _open_questions(guesses)
    yield "[columns]   # role = headings; a file without one of them is refused (columns that may lack: [optional])"
    for each in guesses:
        if each.role:
            yield f"{each.role} = [{_quoted(each.column.heading)}]   # {each.certainty.value}: {each.why}"
    roles = {each.role for each in guesses if each.role}
    unused = sorted(profiles.ROLES[family] - roles)
    yield f"# roles without a column: {', '.join(unused)}" if unused else "# every role has a column"
    if kind == "export":
        yield ""
        yield from _exposing(family, roles, known_categories)
    yield from _worded(family, guesses, words)


def _open_questions(guesses: Sequence[Guess]) -> Iterator[str]:
    left = [each for each in guesses if not each.role]
    keys = [normal_heading(each.column.heading) for each in guesses]
    doubled = {key for key in keys if key and keys.count(key) > 1}
    unknown = [each for each in left if (key := normal_heading(each.column.heading)) and key not in doubled]
    if unknown:
        yield "# NOT RECOGNISED. Give each of these a role in [columns], or take the # away: it then goes unread, and"
        yield "# what it exposes has to be named in [exposures] all the same. Until then such a file is refused."
        yield "# ignored = ["
        for each in unknown:
            yield f"#   {_quoted(_shown(each.column.heading))},   # column {each.column.position}: {each.why}"
        yield "# ]"
        yield ""
    for each in left:
        key = normal_heading(each.column.heading)
        if key in doubled:
            yield f"# Column {each.column.position} has a heading that another column has too: rename one in the file."
        elif not key and each.column.filled:
            yield (
                f"# Column {each.column.position} has no heading and {len(each.column.filled)} sampled cells: each "
                "such row will be rejected; give the column a heading."
            )


def _exposing(family: Family, roles: set[str], known: set[str]) -> Iterator[str]:
    always = [category for category, by in _ALWAYS[family].items() if category in known and roles & set(by.split())]
    filled = {category: role for category, role in _FILLED[family].items() if category in known and role in roles}
    yield "# TO CHECK: proposed from the columns alone. What came out is what the operator says came out."
    yield "[exposures]"
    yield f"always = [{', '.join(_quoted(category) for category in always)}]"
    if filled:
        yield ""
        yield "[exposures.filled]   # category = role: exposed when the cell holds something"
        yield from (f"{category} = {_quoted(role)}" for category, role in filled.items())
    if "categories" in roles:
        yield ""
        yield "# TO FILL IN, since a column lists categories: how it writes each of those of data/categories.toml."
        yield "# [exposures.listed]"
        yield '# column = "categories"'
        yield '# separator = ","'
        yield '# words = { birth_date = [""], contract = [""] }'


def _worded(
    family: Family, guesses: Sequence[Guess], words: Mapping[str, Mapping[str, Sequence[str]]]
) -> Iterator[str]:
    """The words of the shipped profile. A directory needs them even for roles that it has no column for: they say what
    an empty cell means."""
    columns = {each.role: each.column for each in guesses if each.role}
    for role, meanings in words.items():
        if role not in columns and family[0] != "directory":
            continue
        yield ""
        if role in columns:
            listed = {normal_name(word) for its in meanings.values() for word in its}
            filled = columns[role].filled
            strange = [cell for cell in filled if normal_name(cell) not in listed]
            if strange:
                yield (
                    f"# TO CHECK: {len(strange)} of {len(filled)} sampled cells hold {len(set(strange))} words that "
                    f"are not listed; such a cell {_WORDED.get(role, 'is not understood')}."
                )
        yield f"[values.{role}]"
        for meaning, its in meanings.items():
            yield f"{_quoted(meaning)} = [{', '.join(_quoted(word) for word in its)}]"


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes, and more for what a terminal obeys."""
    return re.sub(UNPRINTABLE, lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def _shown(heading: str) -> str:
    """A heading that nobody knows: without what a terminal obeys, or what looks like a number of somebody's."""
    return redact(re.sub(UNPRINTABLE, " ", heading))
