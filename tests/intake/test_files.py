"""What a file is, its encoding, and one clear line for what is neither CSV nor XLSX: nothing half done."""

from __future__ import annotations

import gzip
import hashlib
import zipfile

import pytest

from notifier.errors import ExportError
from notifier.intake.files import HEAD_BYTES, Form, survey

from .conftest import GOOD, HEADINGS, rows_of

TEXT = rows_of("viamedis-insured", GOOD)


@pytest.mark.parametrize(
    ("encoding", "found", "bom"),
    [
        ("utf-8", "utf-8", 0),
        ("utf-8-sig", "utf-8", 3),
        ("cp1252", "cp1252", 0),
        ("utf-16", "utf-16-le", 2),
    ],
)
def test_encoding_is_decided_and_read(write, intake, encoding: str, found: str, bom: int) -> None:
    path = write(TEXT, encoding)
    with path.open("rb") as file:
        seen = survey(file, "file")
    assert (seen.form, seen.encoding, seen.bom) == (Form.CSV, found, bom)
    assert seen.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert seen.size_bytes == path.stat().st_size
    staged = intake.stage(path, "viamedis-insured")
    assert (staged.rows, staged.records, staged.encoding) == (1, 1, found)


def test_one_byte_at_the_very_end_decides_the_encoding_of_the_whole_file(write) -> None:
    path = write(TEXT.encode() + b"x" * HEAD_BYTES * 5 + b"\n" + b"Lef\xe8vre\n")
    with path.open("rb") as file:
        assert survey(file, "file").encoding == "cp1252"


def test_a_character_cut_by_a_chunk_is_still_utf8(write) -> None:
    path = write(b"a" * ((1 << 20) - 1) + "é".encode() + b"\n")
    with path.open("rb") as file:
        assert survey(file, "file").encoding == "utf-8"


def _zip(path, name: str = "export.csv") -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, TEXT)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \r\n\r\n", "is empty"),
        (b"%PDF-1.7\n...", "a PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old .xls workbook or one with a password"),
        (gzip.compress(TEXT.encode())[:-9], "damaged or cut short"),
        (b"PK\x03\x04 not really", "damaged archive"),
        (b"\x00\x01\x02\x03" * 100, "NUL bytes"),
        (TEXT.encode() + b"\0", "NUL bytes"),
        (bytes(range(1, 32)) * 10, "control characters"),
        (TEXT.encode("cp1252") + b"\x81\x8d;", "neither UTF-8 nor Windows-1252"),
        (b"\xff\xfea", "says utf-16-le and is not"),
        (TEXT.splitlines()[0].encode() + b"\r\n", "has headings and no rows"),
        (TEXT.splitlines()[0].encode(), "has headings and no rows"),
    ],
)
def test_no_csv_and_no_xlsx_is_one_clear_line_and_nothing_is_stored(write, intake, content: bytes, says: str) -> None:
    before = intake.snapshot()
    path = write(content)
    with pytest.raises(ExportError) as caught:
        intake.stage(path, "viamedis-insured")
    assert says in str(caught.value)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    assert intake.snapshot() == before
    assert not (intake.folder / "rejections").exists()


def test_a_zip_that_is_no_workbook_is_an_archive(write, intake, tmp_path) -> None:
    path = write(_zip(tmp_path / "a.zip"))
    staged = intake.stage(path, "viamedis-insured")
    assert (staged.records, staged.sha256) == (1, hashlib.sha256(path.read_bytes()).hexdigest())


def test_a_workbook_that_is_damaged(write, intake, tmp_path) -> None:
    with pytest.raises(ExportError, match="cannot be read"):
        intake.stage(write(_zip(tmp_path / "a.zip", "xl/workbook.xml")), "viamedis-insured")


def test_there_is_no_such_file(intake, tmp_path) -> None:
    with pytest.raises(ExportError, match="there is no file"):
        intake.stage(tmp_path / "missing.csv", "viamedis-insured")


@pytest.mark.parametrize("separator", [",", "\t", "|", ";"])
def test_separator_is_found(write, intake, separator: str) -> None:
    staged = intake.stage(write(TEXT.replace(";", separator)), "viamedis-insured")
    assert (staged.records, staged.rejections) == (1, 0)


@pytest.mark.parametrize(
    "above",
    ["sep=;\r\n", "\r\n\r\n", "Export du 07/02/2024;;;\r\n\r\n", "Titre\r\n"],
    ids=["sep", "blank", "title", "word"],
)
def test_lines_above_the_headings(write, intake, above: str) -> None:
    staged = intake.stage(write(above + TEXT), "viamedis-insured")
    assert staged.records == 1
    assert intake.staged()[0]["line"] == above.count("\n") + 2


def test_headings_are_compared_without_case_accents_and_punctuation(write, intake) -> None:
    heading = "PRÉNOM;nom;DATE  de-naissance;N SECURITE".replace("N SECURITE", "n° de Securite  SOCIALE")
    text = f"{heading};RANG;organisme;reference_contrat\nAnne;Lefèvre;02/08/1955;255081416802538;1;Clairval;CT1\n"
    assert intake.stage(write(text), "almerys-insured").records == 1


def test_a_missing_column_is_named_with_the_columns_found(write, intake) -> None:
    text = HEADINGS["viamedis-insured"].replace(";RANG", "") + "\n" + "x" * 8
    with pytest.raises(ExportError) as caught:
        intake.stage(write(text), "viamedis-insured")
    assert "missing column RANG" in str(caught.value)
    assert "columns found: NIR, CLE, NOM, PRENOM, DATE_NAISSANCE, ASSUREUR, NUM_CONTRAT, GARANTIE" in str(caught.value)


def test_an_unknown_column_is_an_error_and_not_a_guess(write, intake) -> None:
    with pytest.raises(ExportError, match=r"unknown column TELEPHONE \(columns found: NIR, CLE"):
        intake.stage(write(HEADINGS["viamedis-insured"] + ";TELEPHONE\n"), "viamedis-insured")


def test_a_column_given_twice(write, intake) -> None:
    with pytest.raises(ExportError, match="column given twice NOM"):
        intake.stage(write(HEADINGS["viamedis-insured"] + ";NOM\n"), "viamedis-insured")


def test_another_profiles_file(write, intake) -> None:
    with pytest.raises(ExportError, match=r"unknown column NIR, CLE|missing column"):
        intake.stage(write(TEXT), "almerys-insured")


def test_i8_a_file_without_headings_is_told_without_showing_a_row(write, intake) -> None:
    with pytest.raises(ExportError) as caught:
        intake.stage(write(GOOD + "\r\n" + GOOD + "\r\n"), "viamedis-insured")
    assert "no line of headings was found" in str(caught.value)
    assert "LEFEVRE" not in str(caught.value)
    assert "2550814168025" not in str(caught.value)


def test_an_empty_last_heading_is_no_column_but_may_hold_nothing(write, intake) -> None:
    text = HEADINGS["viamedis-insured"] + ";\n" + GOOD + ";\n" + GOOD.replace("ANNE", "PAUL") + ";more\n"
    intake.stage(write(text), "viamedis-insured")
    assert intake.rejected() == [(3, "", "columns")]
    assert [row["line"] for row in intake.staged()] == [2]
