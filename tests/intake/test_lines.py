"""Physical lines of rejections and records; rows that cannot be divided into columns (I1)."""

from __future__ import annotations

import pytest

from notifier.errors import ExportError
from notifier.intake.rows import BLOCK_BYTES

from .conftest import GOOD, HEADINGS, rows_of

NO_BIRTH = GOOD.replace("02/08/1955", "")


def lines_of(intake) -> list[int]:
    return [row["line"] for row in intake.staged()]


def test_lines_without_quotes(write, intake) -> None:
    intake.stage(write(rows_of("viamedis-insured", GOOD, NO_BIRTH, "", "a;b", GOOD)), "viamedis-insured")
    assert lines_of(intake) == [2, 6]
    assert intake.rejected() == [(3, "DATE_NAISSANCE", "birth_missing"), (5, "", "columns")]


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_lines_are_physical_with_quoted_line_breaks_and_blank_lines(write, intake, end: str) -> None:
    quoted = GOOD.replace("Équilibre 1", f'"Équilibre{end}deux{end}trois"')
    broken = f'1;"2{end}2";3'
    text = rows_of("viamedis-insured", quoted, NO_BIRTH, "", broken, NO_BIRTH, GOOD, end=end)
    intake.stage(write(text), "viamedis-insured")
    # 1 headings, 2–4 quoted, 5 without birth, 6 blank, 7–8 broken, 9 without birth, 10 good
    assert lines_of(intake) == [2, 10]
    assert [(line, code) for line, _, code in intake.rejected()] == [
        (5, "birth_missing"), (7, "quote_open"), (8, "quote_open"), (9, "birth_missing"),
    ]  # fmt: skip


def test_i1_lines_that_an_open_quote_swallows_are_each_rejected(write, intake) -> None:
    """Three persons vanish into one cell: each line stays visible."""
    opening = GOOD.replace("Équilibre 1", '"Équilibre 1')
    staged = intake.stage(write(rows_of("viamedis-insured", GOOD, opening, GOOD, GOOD)), "viamedis-insured")
    assert (staged.rows, staged.records, staged.rejections) == (4, 1, 3)
    assert intake.rejected() == [(line, "", "quote_open") for line in (3, 4, 5)]


def test_i1_lines_swallowed_in_the_middle_of_a_row(write, intake) -> None:
    opening = GOOD.replace("LEFEVRE", '"LEFEVRE')
    staged = intake.stage(write(rows_of("viamedis-insured", opening, GOOD, GOOD)), "viamedis-insured")
    assert (staged.rows, staged.records) == (3, 0)
    assert intake.rejected() == [(line, "", "quote_open") for line in (2, 3, 4)]


def test_a_row_longer_than_a_block_is_an_error_with_a_line_and_bounded_memory(write, intake) -> None:
    before = intake.snapshot()
    text = rows_of("viamedis-insured", *[GOOD] * 3, '"' + "x" * (3 * BLOCK_BYTES))
    with pytest.raises(ExportError, match=r"after line [0-9]+ a row is longer than 2 MB"):
        intake.stage(write(text), "viamedis-insured")
    assert intake.snapshot() == before


@pytest.mark.thorough
def test_lines_over_several_blocks(write, intake) -> None:
    """Rejections keep their lines when the file is read in many batches."""
    many = 70_000
    rows = [NO_BIRTH if number % 10_000 == 0 else "x" if number % 15_000 == 0 else GOOD for number in range(many)]
    staged = intake.stage(write(rows_of("viamedis-insured", *rows)), "viamedis-insured")
    assert staged.rows == many
    expected = [
        (number + 2, "birth_missing" if number % 10_000 == 0 else "columns")
        for number in range(many)
        if number % 10_000 == 0 or number % 15_000 == 0
    ]
    assert [(line, code) for line, _, code in intake.rejected()] == expected
    assert len(set(lines_of(intake))) == staged.records


def test_rows_of_empty_cells_are_no_rows(write, intake) -> None:
    staged = intake.stage(write(rows_of("viamedis-insured", ";;;;;;;;", "   ", "", GOOD)), "viamedis-insured")
    assert (staged.rows, staged.records) == (1, 1)
    assert lines_of(intake) == [5]


def test_too_many_and_too_few_fields(write, intake) -> None:
    intake.stage(write(rows_of("viamedis-insured", GOOD + ";9", "Total : 2")), "viamedis-insured")
    assert intake.rejected() == [(2, "", "columns"), (3, "", "trailer")]


def test_a_quoted_heading_with_a_line_break(write, intake) -> None:
    text = HEADINGS["viamedis-insured"].replace("DATE_NAISSANCE", '"DATE\nNAISSANCE"') + "\n" + GOOD + "\n"
    assert intake.stage(write(text), "viamedis-insured").records == 1
    assert lines_of(intake) == [3]
