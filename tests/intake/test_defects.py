"""Each defect of a row has its code, and no other; what a code makes of its row, and what is told of a whole file."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from notifier.errors import ExportError
from notifier.intake.records import Batch
from notifier.intake.verdicts import CODES, LAST_ROW, REPAIRS, SHARED, WARNINGS, Tally, Verdict, Verdicts, verdict_of
from notifier.model import Rejection

from .conftest import HEADINGS, rows_of
from .files.defects import DEFECTS, DIRECTORY, INSURED, PROFESSIONAL, Defect, row

TAKEN = {name: defect for name, defect in DEFECTS.items() if not defect.refused}
REFUSED = {name: defect for name, defect in DEFECTS.items() if defect.refused}


@pytest.mark.parametrize("defect", TAKEN.values(), ids=TAKEN)
def test_each_defect_has_its_codes(write, intake, defect: Defect) -> None:
    staged = intake.stage(write(defect.content), defect.profile)
    if defect.profile != DIRECTORY:
        assert tuple(each["warnings"] for each in intake.staged()) == defect.codes
    assert tuple(intake.rejected()) == defect.rejected
    told = [verdict_of(filter(None, codes.split(","))) for codes in defect.codes]
    told += [Verdict.REJECTED] * len(defect.rejected)
    assert staged.verdicts.rows == {verdict: told.count(verdict) for verdict in set(told)}
    found = {code: count for codes in staged.verdicts.codes.values() for code, count in codes.items()}
    expected = [code for codes in defect.codes for code in codes.split(",") if code]
    expected += [code for _, _, code in defect.rejected]
    assert found == {code: expected.count(code) for code in expected}
    assert tuple(staged.verdicts.alarms) == defect.alarms
    assert defect.noted in intake.query("SELECT encoding FROM imports")[0]["encoding"]


@pytest.mark.parametrize("defect", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_says_why(write, intake, defect: Defect) -> None:
    with pytest.raises(ExportError, match=defect.refused):
        intake.stage(write(defect.content), defect.profile)


# -- codes, verdicts, alarms ---------------------------------------------------------------------------------------


def test_every_code_of_the_corpus_is_said_in_french_and_every_code_is_in_the_corpus() -> None:
    """A code without words would stop the count; words without a case are not shown to be true."""
    given = {code for defect in DEFECTS.values() for codes in defect.codes for code in codes.split(",") if code}
    elsewhere = {"mojibake_repaired", "siret_missing", "finess_missing", "finess_key", "rpps_key", "rpps_adeli"}
    elsewhere |= {"rank_differs", "birth_missing", "birth_unreadable", "birth_implausible", "birth_century"}
    elsewhere |= {"phone_unreadable"}
    assert given - set(CODES) == set()
    assert set(CODES) - given == elsewhere - given
    assert not set(REPAIRS) & set(WARNINGS)
    assert all(text.endswith(".") for text in (*REPAIRS.values(), *WARNINGS.values()))


def test_a_row_is_what_its_worst_code_says() -> None:
    assert verdict_of([]) is Verdict.ACCEPTED
    assert verdict_of(["siret_padded", "zeros_shown"]) is Verdict.REPAIRED
    assert verdict_of(["siret_padded", "birth_partial"]) is Verdict.WARNED


def test_verdicts_are_counted_by_row_and_codes_by_occurrence(write, intake) -> None:
    rows = (
        row(PROFESSIONAL), row(PROFESSIONAL, FINESS="10780054"), row(PROFESSIONAL, FINESS="10780054", RIB="x1"),
        row(PROFESSIONAL, RIB="x1"), row(PROFESSIONAL, SIRET="", FINESS="", EMAIL="", RAISON_SOCIALE=""), "a;b",
    )  # fmt: skip
    staged = intake.take(write(rows_of(PROFESSIONAL, *rows)), PROFESSIONAL)
    told = staged.verdicts
    assert told.rows == {Verdict.ACCEPTED: 1, Verdict.REPAIRED: 1, Verdict.WARNED: 2, Verdict.REJECTED: 2}
    assert told.codes[Verdict.REPAIRED] == {"finess_padded": 2}
    assert told.codes[Verdict.WARNED] == {"rib_key": 2}
    assert told.codes[Verdict.REJECTED] == {"columns": 1, "identity_none": 1}
    assert sum(told.rows.values()) == staged.rows  # I1
    again = intake.stage(write(rows_of(PROFESSIONAL, *rows)), PROFESSIONAL)
    assert again.verdicts == told
    [body] = [
        json.loads(each["body"]) for each in intake.query("SELECT body FROM entries WHERE kind <> 'campaign_created'")
    ]
    assert body["facts"]["verdicts"] == told.as_json()
    assert body["facts"]["alarms"] == []


def test_verdicts_are_read_as_they_were_written() -> None:
    told = Verdicts({Verdict.ACCEPTED: 2, Verdict.WARNED: 1}, {Verdict.WARNED: {"nir_key": 1}}, {"shared_mailbox": 3})
    assert Verdicts.of(told.canonical()) == told
    assert Verdicts.of("") == Verdicts()
    assert told.lines() == ["2 accepted, 0 repaired, 1 warned, 0 rejected", "warned: nir_key 1"]


def member(number: int, email: str) -> str:
    return row(DIRECTORY, NUM_ADHERENT=f"A{number}", NIR="", CLE="", NUM_CONTRAT=f"C{number}", EMAIL=email)


@pytest.mark.parametrize(("members", "alarms"), [(SHARED, {"shared_mailbox": 1}), (SHARED - 1, {})])
def test_one_address_of_a_hundred_members_is_an_alarm(write, intake, members: int, alarms: dict) -> None:
    rows = [member(number, "Agence.Lyon@clairval.example") for number in range(members)]
    rows += [member(1000 + number, f"m{number}@courriel.example") for number in range(5)]
    # The same member on many lines is one member.
    rows += [member(2000, "anne@courriel.example")] * SHARED
    staged = intake.take(write(rows_of(DIRECTORY, *rows)), DIRECTORY)
    assert staged.verdicts.alarms == alarms
    assert [("100 members or more (1 such addresses)" in text) for text in staged.verdicts.told()] == [True] * len(
        alarms
    )


def test_an_address_that_the_campaign_calls_nobodys_is_no_alarm_and_the_same_file_is_read_anew(write, intake) -> None:
    path = write(rows_of(DIRECTORY, *(member(number, "agence@clairval.example") for number in range(SHARED))))
    assert intake.take(path, DIRECTORY).verdicts.alarms == {"shared_mailbox": 1}
    own = intake.folder / "data" / "mailboxes.toml"
    own.parent.mkdir(exist_ok=True)
    own.write_text('[placeholders]\nwords = []\naddresses = ["agence@clairval.example"]\n[typos]\n')
    staged = intake.stage(path, DIRECTORY)
    assert staged.verdicts.alarms == {}
    assert staged.verdicts.codes[Verdict.WARNED] == {"email_placeholder": SHARED, "nir_missing": SHARED}


def test_a_text_of_as_many_lines_as_a_sheet_has_rows_is_an_alarm(write, intake) -> None:
    """Saved as CSV from a sheet that was full. Blank lines stand for rows here: a row's line is what tells."""
    blank = "\r\n" * (LAST_ROW - 2)
    staged = intake.take(write(f"{HEADINGS[INSURED]}\r\n{blank}{row(INSURED)}\r\n"), INSURED)
    assert (staged.rows, staged.verdicts.alarms) == (1, {"cut_at_last_row": 1})
    assert "ask for the whole file as CSV" in staged.verdicts.told()[0]
    [body] = [
        json.loads(each["body"]) for each in intake.query("SELECT body FROM entries WHERE kind <> 'campaign_created'")
    ]
    assert body["facts"]["alarms"] == ["cut_at_last_row"]


def _batch(rows: int, last_line: int) -> Batch:
    lines = pl.int_range(last_line - rows + 1, last_line + 1, eager=True)
    return Batch(pl.DataFrame({"line": lines, "warnings": pl.Series([""]).new_from_index(0, rows)}))


@pytest.mark.parametrize(
    ("rows", "last_line", "alarm"),
    [
        (5, LAST_ROW, True),
        (5, LAST_ROW - 1, False),
        (5, LAST_ROW + 1, False),
        # Line breaks inside cells: more lines than the sheet had rows, the headings in the first.
        (LAST_ROW - 1, LAST_ROW + 7, True),
        (LAST_ROW, LAST_ROW + 7, False),
    ],
)
def test_a_full_sheet_is_told_by_its_last_line_or_by_its_rows(rows: int, last_line: int, alarm: bool) -> None:
    tally = Tally(1)
    tally.take(_batch(rows - 2, last_line - 2))
    tally.take(Batch(rejections=[Rejection(last_line - 1, "", "columns")]))
    tally.take(_batch(1, last_line))
    assert tally.verdicts().alarms == ({"cut_at_last_row": 1} if alarm else {})


def test_the_documents_say_of_every_code_what_it_means() -> None:
    text = (Path(__file__).parents[2] / "docs" / "intake-files.md").read_text(encoding="utf-8")
    for code, meaning in (*REPAIRS.items(), *WARNINGS.items()):
        assert f"| `{code}` | {meaning} |" in text
