"""The six files of a drill: form, determinism, the committed samples."""

from __future__ import annotations

import csv
import io
import json
import sys
import zipfile
from collections import Counter
from hashlib import sha256
from pathlib import Path

import fastexcel
import pytest
from email_validator import validate_email
from stdnum import iban
from stdnum.fr import nir as stdnum_nir
from stdnum.fr import siret as stdnum_siret

from notifier.campaign import shipped
from notifier.drill.exports import DrillReport, make_exports
from notifier.drill.households import HARD_CASES, Case
from notifier.drill.truth import read_truth
from notifier.errors import OperatorError

# Letter by letter as DESIGN 11 lists them; intake's profiles name the same columns.
HEADINGS = {
    "viamedis-insured.csv": "NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE",
    "almerys-insured.csv": "Nom;Prénom;Date de naissance;N° de sécurité sociale;Rang;Organisme;Référence contrat",
    "directory.csv": "NUM_ADHERENT;NIR;CLE;DATE_NAISSANCE;RANG;NOM;PRENOM;CIVILITE;LIEN;EMAIL;ADRESSE1;ADRESSE2;"
    "CODE_POSTAL;VILLE;NUM_CONTRAT;LANGUE;STATUT;ASSUREUR",
    "viamedis-professional.xlsx": "RAISON_SOCIALE;NOM;PRENOM;PROFESSION;EMAIL;TELEPHONE;ADRESSE;CODE_POSTAL;VILLE;"
    "LOGIN;RIB;SIRET;FINESS",
    "almerys-professional.xlsx": "Raison sociale;Nom;Prénom;Spécialité;Courriel;Téléphone;Adresse;Code postal;Ville;"
    "Identifiant;RIB;SIRET;FINESS",
}
ENCODINGS = {"viamedis-insured.csv": "cp1252", "almerys-insured.csv": "utf-8-sig", "directory.csv": "utf-8"}
FILES = (*HEADINGS, "truth.jsonl")
SAMPLES = {"insured": 320, "professionals": 40, "seed": 2024, "unusable_rows": 4}


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV or XLSX file as text, by heading."""
    if path.suffix == ".xlsx":
        sheet = fastexcel.read_excel(path).load_sheet(0, dtypes="string").to_polars()
        return [{key: value or "" for key, value in row.items()} for row in sheet.iter_rows(named=True)]
    text = path.read_bytes().decode(ENCODINGS[path.name])
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=";", strict=True))


def digests(folder: Path) -> dict[str, str]:
    return {name: sha256((folder / name).read_bytes()).hexdigest() for name in FILES}


@pytest.mark.parametrize("name", HEADINGS)
def test_headings_are_those_of_the_profiles(drill: Path, name: str) -> None:
    rows = table(drill / name)
    assert list(rows[0]) == HEADINGS[name].split(";")
    assert all(None not in row and None not in row.values() for row in rows), "a row with too many or too few cells"


def test_encodings(drill: Path) -> None:
    viamedis = (drill / "viamedis-insured.csv").read_bytes()
    with pytest.raises(UnicodeDecodeError):
        viamedis.decode("utf-8")
    assert "Œ" in viamedis.decode("cp1252"), "a character that ISO 8859-1 does not have"
    almerys = (drill / "almerys-insured.csv").read_bytes()
    assert almerys.startswith(b"\xef\xbb\xbf") and almerys.count(b"\xef\xbb\xbf") == 1
    assert not (drill / "directory.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    for name in ENCODINGS:
        raw = (drill / name).read_bytes()
        assert raw.endswith(b"\r\n") and raw.count(b"\n") == raw.count(b"\r\n")


def test_same_seed_same_bytes_other_seed_other_bytes(tmp_path: Path) -> None:
    for name, seed in (("first", 3), ("second", 3), ("third", 4)):
        make_exports(tmp_path / name, insured=300, professionals=30, seed=seed)
    assert digests(tmp_path / "first") == digests(tmp_path / "second")
    first, third = digests(tmp_path / "first"), digests(tmp_path / "third")
    assert all(first[name] != third[name] for name in FILES)


def test_the_committed_samples_are_what_the_drill_makes(tmp_path: Path) -> None:
    """XLSX is compared by what the archive holds: another zlib may pack the same content into other bytes."""
    make_exports(tmp_path, **SAMPLES)
    samples = shipped("data") / "samples"
    for name in FILES:
        made, committed = tmp_path / name, samples / name
        if name.endswith(".xlsx"):
            with zipfile.ZipFile(made) as new, zipfile.ZipFile(committed) as old:
                assert new.namelist() == old.namelist()
                assert all(new.read(entry) == old.read(entry) for entry in old.namelist()), name
        else:
            assert made.read_bytes() == committed.read_bytes(), name


def test_making_it_again_replaces_the_files_and_leaves_the_rest(tmp_path: Path) -> None:
    make_exports(tmp_path, insured=50, professionals=5, seed=1)
    (tmp_path / "README.md").write_text("mine")
    make_exports(tmp_path, insured=60, professionals=5, seed=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*FILES, "README.md"])
    assert sum(1 for _ in read_truth(tmp_path / "truth.jsonl")) == 65


@pytest.mark.parametrize(("insured", "professionals"), [(0, 0), (1, 0), (0, 1), (5, 3), (137, 19)])
def test_as_many_persons_as_asked(tmp_path: Path, insured: int, professionals: int) -> None:
    make_exports(tmp_path, insured=insured, professionals=professionals, seed=11)
    lines = list(read_truth(tmp_path / "truth.jsonl"))
    assert len(lines) == insured + professionals
    assert sum(line.audience == "professional" for line in lines) == professionals
    assert [line.person for line in lines] == sorted({line.person for line in lines})


def test_the_report_counts_what_the_files_hold(drill_report: tuple[Path, DrillReport]) -> None:
    drill, report = drill_report
    assert report.rows == {name: len(table(drill / name)) for name in HEADINGS}
    lines = list(read_truth(drill / "truth.jsonl"))
    assert report.by_route == Counter(line.route for line in lines)
    assert report.by_case == Counter(line.case for line in lines)
    assert (report.insured, report.professionals, report.unusable_rows, report.persons) == (2000, 200, 3, len(lines))
    assert json.loads(json.dumps(report.as_json()))["rows"] == dict(report.rows)


@pytest.mark.parametrize(
    "numbers",
    [{"insured": -1, "professionals": 0}, {"insured": 10**9, "professionals": 0}, {"insured": 0, "professionals": -1}],
)
def test_impossible_numbers_are_refused_and_nothing_is_written(tmp_path: Path, numbers: dict[str, int]) -> None:
    out = tmp_path / "out"
    with pytest.raises(OperatorError, match="a drill has 0 to"):
        make_exports(out, seed=1, **numbers)
    assert not out.exists()


def test_without_xlsxwriter_the_operator_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(OperatorError, match=r"notifier\[drill\]"):
        make_exports(tmp_path / "out", insured=1, professionals=1, seed=1)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_a_file_is_an_operators_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OperatorError, match="out"):
        make_exports(tmp_path / "out", insured=1, professionals=1, seed=1)


def test_every_case_is_there_and_most_have_a_mailbox(drill: Path) -> None:
    lines = list(read_truth(drill / "truth.jsonl"))
    assert {line.case for line in lines} == set(Case) - HARD_CASES
    assert sum(line.route == "email" for line in lines) >= 0.6 * len(lines)
    assert {line.audience for line in lines} == {"insured", "dependant", "past_member", "professional"}
    assert any(line.excluded == "deceased" and line.route == "none" for line in lines)


def test_the_samples_hold_every_case_too() -> None:
    lines = list(read_truth(shipped("data") / "samples" / "truth.jsonl"))
    assert {line.case for line in lines} == set(Case) - HARD_CASES
    assert sum(line.route == "email" for line in lines) >= 0.6 * len(lines)


def test_keys_are_valid_save_for_the_wrong_ones(drill: Path) -> None:
    directory = table(drill / "directory.csv")
    numbers = {row["NIR"] for row in directory}
    assert all(stdnum_nir.is_valid(row["NIR"] + row["CLE"]) for row in directory)
    assert {"2A", "2B", "99"} <= {number[5:7] for number in numbers}
    viamedis = [row for row in table(drill / "viamedis-insured.csv") if len(row["NIR"]) == 13]
    almerys = [row["N° de sécurité sociale"].replace(" ", "") for row in table(drill / "almerys-insured.csv")]
    wrong = [row for row in viamedis if not stdnum_nir.is_valid(row["NIR"] + row["CLE"])]
    wrong_run_on = [text for text in almerys if len(text) == 15 and not stdnum_nir.is_valid(text)]
    assert {len(text) for text in almerys} >= {13, 15}
    lines = list(read_truth(drill / "truth.jsonl"))
    assert len(wrong) + len(wrong_run_on) == sum(line.case == Case.WRONG_NIR_KEY for line in lines)
    assert wrong and wrong_run_on
    for name in ("viamedis-professional.xlsx", "almerys-professional.xlsx"):
        for row in table(drill / name):
            assert stdnum_siret.is_valid(row["SIRET"]), row["SIRET"]
    accounts = [row["RIB"] for row in table(drill / "almerys-professional.xlsx") if row["RIB"]]
    assert accounts and all(iban.is_valid(account) for account in accounts)


def test_families_share_a_nir_and_twins_a_birth_date(drill: Path) -> None:
    sharing = Counter(row["NIR"] for row in table(drill / "directory.csv"))
    assert sum(count > 1 for count in sharing.values()) > 100
    births: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for row in table(drill / "viamedis-insured.csv"):
        births.setdefault((row["NIR"], row["DATE_NAISSANCE"]), []).append((row["PRENOM"], row["RANG"]))
    twins = [sorted(set(group)) for group in births.values() if len({forename for forename, _ in group}) == 2]
    assert {tuple(sorted(rank for _, rank in pair)) for pair in twins} == {("1", "1"), ("1", "2")}


def test_no_mailbox_could_be_real(drill: Path) -> None:
    mailboxes = {row["EMAIL"] for row in table(drill / "directory.csv")}
    mailboxes |= {row["EMAIL"] for row in table(drill / "viamedis-professional.xlsx")}
    mailboxes |= {row["Courriel"] for row in table(drill / "almerys-professional.xlsx")}
    mailboxes.discard("")
    assert len(mailboxes) > 1000
    for mailbox in mailboxes:
        assert mailbox.isascii() and mailbox == mailbox.lower() and mailbox.endswith(".example")
        assert validate_email(mailbox, check_deliverability=False).normalized == mailbox


def test_a_tenth_of_the_members_stand_in_no_export(drill: Path) -> None:
    directory = table(drill / "directory.csv")
    lines = [line for line in read_truth(drill / "truth.jsonl") if line.audience != "professional"]
    listed = sum(line.case != Case.UNMATCHED for line in lines)
    assert 0.07 <= 1 - listed / len(directory) <= 0.15
