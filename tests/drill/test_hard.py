"""A drill of all cases and one with typing errors: what is told of each row is what stands in it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from notifier.drill.exports import make_exports
from notifier.drill.households import HARD_CASES
from notifier.drill.truth import read_truth
from notifier.errors import OperatorError
from notifier.people.identity import normal_name

ENCODINGS = {"viamedis-insured.csv": "cp1252", "almerys-insured.csv": "utf-8-sig"}


def table(path: Path, encoding: str = "utf-8") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode(encoding), newline=""), delimiter=";"))


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hard")
    make_exports(out, insured=900, professionals=60, seed=4, all_cases=True, noise=0.1)
    return out


def test_all_cases_are_there_with_their_truth(hard: Path) -> None:
    lines = list(read_truth(hard / "truth.jsonl"))
    assert {line.case for line in lines} >= HARD_CASES
    for case in ("guardianship", "opposition", "agency_mailbox"):
        assert {line.route for line in lines if line.case == case} == {"post"}
    assert {line.excluded for line in lines if line.case == "withdrawn"} == {"operator"}
    assert sum(line.case == "agency_mailbox" for line in lines) >= 100
    assert {line.audience for line in lines if line.case == "old_directory"} == {"past_member"}
    now = {row["NUM_ADHERENT"] for row in table(hard / "directory.csv")}
    then = {row["NUM_ADHERENT"] for row in table(hard / "directory-old.csv")}
    assert {line.member for line in lines if line.case == "old_directory"} <= then - now


def test_the_corrected_file_is_the_first_without_those_who_vanished(hard: Path) -> None:
    first = (hard / "viamedis-insured.csv").read_text("cp1252").splitlines()
    corrected = (hard / "viamedis-insured-corrected.csv").read_text("cp1252").splitlines()
    vanished = sum(line.excluded == "operator" for line in read_truth(hard / "truth.jsonl"))
    assert set(corrected) < set(first) and len(first) - len(corrected) == vanished > 0


def test_one_field_of_a_noisy_row_differs_from_the_member_it_means_and_of_no_other(hard: Path) -> None:
    members = {
        row["NUM_ADHERENT"]: row for name in ("directory-old.csv", "directory.csv") for row in table(hard / name)
    }
    rows = {name: table(hard / name, encoding) for name, encoding in ENCODINGS.items()}
    noisy = compared = 0
    for line in (hard / "rows.jsonl").read_text("utf-8").splitlines():
        said = json.loads(line)
        if said["file"] != "viamedis-insured.csv" or said["member"] not in members:
            continue
        row, member = rows[said["file"]][said["line"] - 2], members[said["member"]]
        differing = {
            "name": (normal_name(row["NOM"]), normal_name(row["PRENOM"]))
            != (normal_name(member["NOM"]), normal_name(member["PRENOM"])),
            "birth_date": row["DATE_NAISSANCE"] != member["DATE_NAISSANCE"],
        }
        for field, differs in differing.items():
            assert differs == (said["noise"] == field), (said, field)
        assert said["noise"] != "nir" or row["NIR"] != member["NIR"]
        compared += 1
        noisy += bool(said["noise"])
    assert 0.07 * compared < noisy < 0.13 * compared


def test_the_same_seed_gives_the_same_bytes_and_no_file_of_another_drill_stays(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_exports(tmp_path / name, insured=60, professionals=4, seed=1, all_cases=True, noise=0.2)
    for path in (tmp_path / "one").iterdir():
        if path.suffix != ".xlsx":
            assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
    make_exports(tmp_path / "one", insured=60, professionals=4, seed=1)
    assert not {"rows.jsonl", "directory-old.csv"} & {path.name for path in (tmp_path / "one").iterdir()}
    with pytest.raises(OperatorError, match="from 0 to 1"):
        make_exports(tmp_path / "one", insured=1, professionals=0, seed=1, noise=1.5)
