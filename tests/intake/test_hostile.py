"""Every file of the corpus has its verdict: one clear line and nothing stored, or records, warnings and rejections."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
from pathlib import Path

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.errors import ExportError
from notifier.intake import profiles
from notifier.intake.files import survey
from notifier.intake.rows import read

from .conftest import rows_of
from .files.corpus import FILES, HEADINGS, Hostile, cells

pytestmark = pytest.mark.thorough

PROFILE = profiles.load(Path("/nonexistent"), "viamedis-insured", "export")[0]

REFUSED = {name: file for name, file in FILES.items() if file.refused}
TAKEN = {name: file for name, file in FILES.items() if not file.refused}


@pytest.mark.parametrize("file", REFUSED.values(), ids=REFUSED)
def test_refused_in_one_clear_line_within_bounded_memory_and_nothing_is_stored(write, intake, file: Hostile) -> None:
    before = intake.snapshot()
    path = write(file.content)
    tracemalloc.start()
    try:
        with pytest.raises(ExportError, match=file.refused) as caught:
            intake.stage(path, "viamedis-insured")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    for never in ("ANNE", "LEF", "cron", "2550814168025"):  # I8, and no name out of an archive
        assert never not in str(caught.value)
    assert peak < 24 << 20  # the bombs are 32 MB and the long line 8, a few times each
    assert intake.snapshot() == before
    assert {each.name for each in path.parent.iterdir() if each.suffix in (".csv", ".xlsx", ".part")} == {path.name}


@pytest.mark.parametrize("file", TAKEN.values(), ids=TAKEN)
def test_taken_with_its_verdicts(write, intake, file: Hostile) -> None:
    path = write(file.content)
    staged = intake.stage(path, "viamedis-insured")
    assert (staged.sha256, staged.size_bytes) == (hashlib.sha256(file.content).hexdigest(), len(file.content))
    assert tuple(each["warnings"] for each in intake.staged()) == file.warnings
    assert tuple(intake.rejected()) == file.rejected
    assert staged.rows == len(file.warnings) + len(file.rejected)  # I1
    recorded = intake.query("SELECT encoding FROM imports")[0]["encoding"]
    assert recorded.startswith(file.recorded)
    assert recorded.startswith(staged.encoding)
    assert tuple(staged.verdicts.alarms) == file.alarms
    names = [intake.vault.unseal("person", each["identity"], each["sealed"])["name"] for each in intake.staged()]
    assert names[: len(file.names)] == list(file.names)


def test_numbers_without_their_digits_in_a_sheet_that_begins_further_down(intake, tmp_path) -> None:
    """Cells are found where they stand, whatever is above and beside them, in the sheet with the headings."""
    path = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("Légende & notes").write(9, 7, 12345678901234567890)
        sheet = book.add_worksheet("Données <1>")
        sheet.write_row(4, 0, HEADINGS.split(";"))
        for number in range(3):
            sheet.write_row(
                5 + number, 0, cells(PRENOM=f"P{number}", NUM_CONTRAT=[12, 2e16, "20000000000000000"][number])
            )
    intake.stage(path, "viamedis-insured")
    assert [(each["line"], each["warnings"]) for each in intake.staged()] == [(6, ""), (7, "number_rounded"), (8, "")]


def test_a_professional_without_digits_and_with_a_name_encoded_twice(write, intake) -> None:
    text = rows_of(
        "viamedis-professional",
        "Pharmacie du ChÃ¢teau;Morel;Julie;Pharmacien;julie@officine.example;0199001234;3 rue;00000;Clairval;LM042;;"
        "7,32829E+13;750712184",
    )
    intake.stage(write(text), "viamedis-professional")
    stored = intake.staged()[0]
    assert stored["warnings"] == "siret_missing,mojibake_repaired,number_rounded"
    assert intake.vault.unseal("person", stored["identity"], stored["sealed"])["company"] == "Pharmacie du Château"


@given(st.binary(max_size=300), st.sampled_from(["gzip", "zip", "xlsx"]), st.integers(0, 4000))
@settings(max_examples=60, deadline=None)
def test_no_damage_to_an_archive_crashes_the_survey(noise: bytes, kind: str, place: int) -> None:
    """Whatever bytes an archive is spoilt with: a survey, or one clear error."""
    content = bytearray(FILES[{"gzip": "gzip", "zip": "zip", "xlsx": "days-from-1900"}[kind]].content)
    place %= len(content)
    content[place : place + len(noise)] = noise
    file = io.BytesIO(bytes(content))
    try:
        seen = survey(file, "file")
        for batch in read(file, "file", seen, PROFILE)[1]:
            assert batch.frame.height >= 0
    except ExportError as error:
        assert str(error).startswith("file")
        assert "\n" not in str(error)
