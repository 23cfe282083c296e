"""Exports: verdict of each defect, exposures, senders, the same file twice, a crash, no NIR or RIB anywhere (I8)."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import sqlite3
from datetime import datetime

import pytest
import xlsxwriter

from notifier.campaign import categories, load
from notifier.errors import CampaignBusy, ExportError, SettingsError, StorageError
from notifier.intake import directories, records, staging
from notifier.intake.exports import AlreadyImported, HeldFile, stage_export
from notifier.intake.rejections import EXPLANATIONS, disarmed
from notifier.model import Contact
from notifier.people.identity import InsuredFacts, insured_identity
from notifier.storage.waiting import beside

from .conftest import GOOD, HEADINGS, rows_of

ALWAYS = (
    "viamedis:birth_date,{}viamedis:civil_status,viamedis:contract,viamedis:guarantees,viamedis:insurer,viamedis:nir"
)
PROFESSIONAL = (
    "Pharmacie du Moulin;Morel;Julie;Pharmacien;julie@officine.example;0199001234;3 rue des Acanthes;00000;Clairval;"
    "LM042;20041010050500013M02606;73282932000074;750712184"
)


def row(**cells: str) -> str:
    """GOOD with other cells."""
    names = HEADINGS["viamedis-insured"].split(";")
    values = dict(zip(names, GOOD.split(";"), strict=True)) | cells
    return ";".join(values[name] for name in names)


# -- verdicts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "column", "code"),
    [
        ({"DATE_NAISSANCE": ""}, "DATE_NAISSANCE", "birth_missing"),
        ({"DATE_NAISSANCE": "31/02/1955"}, "DATE_NAISSANCE", "birth_unreadable"),
        ({"DATE_NAISSANCE": "01/01/1900"}, "DATE_NAISSANCE", "birth_implausible"),
        ({"NIR": "", "NUM_CONTRAT": ""}, "NIR", "nir_missing"),
        ({"CLE": "39", "NUM_CONTRAT": ""}, "NIR", "nir_key"),
        ({"NIR": "2,55081E+14", "CLE": "", "NUM_CONTRAT": ""}, "NIR", "nir_rounded"),
        ({"NIR": "25508141680", "NUM_CONTRAT": ""}, "NIR", "nir_length"),
        ({"NIR": "2559914168X25", "NUM_CONTRAT": ""}, "NIR", "nir_format"),
        ({"NIR": "", "PRENOM": ""}, "PRENOM", "name_missing"),
        ({"NIR": "", "NOM": ""}, "NOM", "name_missing"),
        ({"NOM": '"LEFEVRE\nANNE"'}, "NOM", "control_characters"),
        ({"NOM": "LEF\x07EVRE"}, "NOM", "control_characters"),
        ({"PRENOM": "ANNE\u202eEOZ"}, "PRENOM", "control_characters"),
        ({"PRENOM": "A\tB"}, "PRENOM", "control_characters"),
        ({"NOM": "L" * 300}, "NOM", "too_long"),
        ({"NUM_CONTRAT": "9" * 127}, "NUM_CONTRAT", "too_long"),
    ],
)
def test_i1_a_row_without_identity_is_rejected(write, intake, cells: dict[str, str], column: str, code: str) -> None:
    staged = intake.stage(write(rows_of("viamedis-insured", GOOD, row(**cells))), "viamedis-insured")
    assert (staged.rows, staged.records, staged.rejections) == (2, 1, 1)
    assert intake.rejected() == [(3, column, code)]


@pytest.mark.parametrize(
    ("cells", "warnings"),
    [
        ({}, ""),
        ({"CLE": ""}, ""),
        ({"NIR": ""}, "nir_missing"),
        ({"CLE": "39"}, "nir_key"),
        ({"NIR": "7550814168025", "CLE": ""}, "nir_temporary"),
        ({"NIR": "2553114168025", "CLE": ""}, "nir_incomplete"),
        ({"DATE_NAISSANCE": "00/00/1955"}, "birth_partial"),
        ({"RANG": "premier"}, "rank_unreadable"),
        ({"PRENOM": ""}, "forename_missing"),
        ({"PRENOM": "", "NOM": "", "RANG": "x"}, "rank_unreadable,forename_missing,name_missing"),
        ({"GARANTIE": "a\tb"}, ""),
        # A NIR in the name's column (I8): never kept, and no name.
        ({"NOM": "2 55 08 14 168 025 38"}, "name_missing"),
        ({"NOM": "LEFEVRE 2550814168025"}, "name_missing"),
    ],
)
def test_what_is_not_usable_is_a_warning(write, intake, cells: dict[str, str], warnings: str) -> None:
    staged = intake.stage(write(rows_of("viamedis-insured", row(**cells))), "viamedis-insured")
    assert (staged.records, staged.rejections) == (1, 0)
    assert intake.staged()[0]["warnings"] == warnings


def test_i8_a_number_in_a_name_is_not_sealed_either(write, intake) -> None:
    intake.stage(write(rows_of("viamedis-insured", row(NOM="LEFEVRE 2550814168025"))), "viamedis-insured")
    stored = intake.staged()[0]
    fields = intake.vault.unseal("person", stored["identity"], stored["sealed"])
    assert "name" not in fields and fields["forename"]


def test_a_wrong_key_falls_back_to_the_contract_number(write, intake) -> None:
    intake.stage(write(rows_of("viamedis-insured", row(CLE="39"))), "viamedis-insured")
    facts = InsuredFacts("clairval", "", "1955-08-02", "ANNE ZOE", "LEFEVRE", 1, "CT0001")
    stored = intake.staged()[0]
    assert stored["identity"] == intake.vault.digest(*insured_identity(facts))
    assert (stored["group_key"], stored["key_nir_rank"], stored["key_nir_forename"]) == (None, None, None)
    assert stored["key_contract"] is not None


def test_a_record_is_the_same_person_in_both_operators_files(write, intake) -> None:
    intake.take(write(rows_of("viamedis-insured", GOOD)), "viamedis-insured")
    identity = intake.vault.digest(
        *insured_identity(InsuredFacts("clairval", "2550814168025", "1955-08-02", "ANNE ZOE"))
    )
    text = rows_of("almerys-insured", "Lefèvre;Anne-Zoé;1955-08-02;2 55 08 14 168 025 38;1;Clairval;CT 0001")
    intake.stage(write(text, "cp1252"), "almerys-insured")
    assert [stored["identity"] for stored in intake.staged()] == [identity]


def test_sealed_fields_open_to_the_row_as_it_was_written(write, intake) -> None:
    text = rows_of("almerys-insured", 'Lefèvre "Zoé";Anne-Zoé;02/08/1955;255081416802538;;Clairval;CT1')
    intake.stage(write(text.replace('Lefèvre "Zoé"', '"Lefèvre ""Zoé"""'), "cp1252"), "almerys-insured")
    stored = intake.staged()[0]
    contact = Contact.of(intake.vault.unseal("person", stored["identity"], stored["sealed"]))
    assert contact == Contact('Lefèvre "Zoé"', "Anne-Zoé", birth_date="1955-08-02")
    assert (stored["kind"], stored["sender"], stored["birth_rank"]) == ("insured", "clairval", None)


# -- exposures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rank", "more"), [("1", "viamedis:birth_rank,"), ("", ""), ("x", ""), ("-", "")])
def test_birth_rank_is_exposed_when_filled(write, intake, rank: str, more: str) -> None:
    intake.stage(write(rows_of("viamedis-insured", row(RANG=rank))), "viamedis-insured")
    assert intake.staged()[0]["canonical"] == ALWAYS.format(more)


def test_incident_of_the_profile_or_of_the_command(write, intake) -> None:
    path = write(rows_of("viamedis-insured", GOOD))
    intake.take(path, "viamedis-insured")
    staged = intake.stage(path, "viamedis-insured", incident="almerys")
    assert staged.incident == "almerys"
    assert intake.staged()[0]["canonical"].startswith("almerys:birth_date")
    with pytest.raises(SettingsError, match="no \\[\\[incidents\\]\\] has the code 'other'"):
        intake.stage(path, "viamedis-insured", incident="other")


def test_a_column_that_lists_categories(write, intake) -> None:
    profiles = intake.folder / "data" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "listed.toml").write_text(
        'kind = "export"\nincident = "viamedis"\n[columns]\nnir = ["NIR"]\nforename = ["PRENOM"]\n'
        'birth_date = ["NE_LE"]\ncategories = ["DONNEES"]\n[exposures.listed]\ncolumn = "categories"\nseparator = "+"\n'
        '[exposures.listed.words]\nnir = ["NIR", "sécu"]\ncivil_status = ["Identité"]\n'
    )
    head, cells = "NIR;PRENOM;NE_LE;DONNEES", "2550814168025;ANNE;02/08/1955"
    text = f"{head}\n{cells};nir + identite\n{cells};SECU\n{cells};\n"
    intake.stage(write(text), "listed")
    assert [each["canonical"] for each in intake.staged()] == ["viamedis:civil_status,viamedis:nir", "viamedis:nir", ""]
    with pytest.raises(ExportError, match="names one that the profile does not know: GENOME"):
        intake.stage(write(f"{head}\n{cells};génome\n"), "listed")


def test_every_category_is_described(folder) -> None:
    known = categories(folder)
    assert {
        "civil_status", "birth_date", "birth_rank", "nir", "member_number", "insurer", "contract", "guarantees",
        "company_name", "name", "email", "phone", "postal_address", "portal_login", "rib", "siret", "finess",
        "care_network", "iban", "password", "health_data",
    } == set(known)  # fmt: skip
    assert all(each.label and 1 <= each.severity <= 4 and each.audiences for each in known.values())


# -- senders -------------------------------------------------------------------------------------------------------


def two_senders(intake) -> None:
    """The sample campaign with two mutuelles that are named, and none that takes any name."""
    path = intake.folder / "campaign.toml"
    text = path.read_text()
    first = text[text.index("[[senders]]") :]
    second = first.replace('code = "clairval"', 'code = "montfleury"').replace('["*"]', '["Mutuelle Montfleury"]')
    path.write_text(text.replace('names = ["*"]', 'names = ["Mutuelle Clairval", "MUT. CLAIRVAL"]') + "\n" + second)
    intake.settings = load(intake.folder, environment={})


def test_senders_are_told_apart_by_name(write, intake) -> None:
    two_senders(intake)
    rows = (row(ASSUREUR="mutuelle  CLAIRVAL"), row(ASSUREUR="MUT CLAIRVAL"), row(ASSUREUR="Mutuelle Montfleury"))
    intake.stage(write(rows_of("viamedis-insured", *rows)), "viamedis-insured")
    assert [each["sender"] for each in intake.staged()] == ["clairval", "clairval", "montfleury"]
    assert len({each["identity"] for each in intake.staged()}) == 2


def test_unknown_senders_are_named_and_counted_and_the_file_is_held(write, intake) -> None:
    """More in test_holds.py."""
    two_senders(intake)
    tables = ("contacts", "rejections", "records", "persons")
    before = intake.snapshot(tables)
    rows = [GOOD, *[row(ASSUREUR="Mutuelle Inconnue")] * 3, row(ASSUREUR="")]
    held = intake.stage(write(rows_of("viamedis-insured", *rows)), "viamedis-insured")
    assert isinstance(held, HeldFile)
    assert (held.reason, held.rows, dict(held.names)) == ("senders", 5, {"Mutuelle Inconnue": 3, "": 1})
    assert intake.snapshot(tables) == before
    assert [each["state"] for each in intake.query("SELECT state FROM imports")] == ["held"]


def test_professionals_need_a_sender_for_their_operator(write, intake) -> None:
    two_senders(intake)
    path = write(rows_of("viamedis-professional", PROFESSIONAL))
    with pytest.raises(SettingsError, match="nobody writes to the professionals of Viamedis"):
        intake.stage(path, "viamedis-professional")
    campaign = intake.folder / "campaign.toml"
    campaign.write_text(campaign.read_text().replace('"Mutuelle Montfleury"', '"Mutuelle Montfleury", "VIAMEDIS"'))
    intake.settings = load(intake.folder, environment={})
    intake.stage(path, "viamedis-professional")
    assert intake.staged()[0]["sender"] == "montfleury"


# -- professionals -------------------------------------------------------------------------------------------------


def professional(**cells: str) -> str:
    names = HEADINGS["viamedis-professional"].split(";")
    values = dict(zip(names, PROFESSIONAL.split(";"), strict=True)) | cells
    return ";".join(values[name] for name in names)


def test_a_professional_is_a_record_and_a_contact(write, intake) -> None:
    intake.stage(write(rows_of("viamedis-professional", PROFESSIONAL)), "viamedis-professional")
    record, contact = intake.staged()[0], intake.query("SELECT * FROM contacts")[0]
    vault = intake.vault
    identity = vault.digest("professional", "clairval", "siret+finess", "73282932000074", "750712184")
    assert (record["identity"], record["kind"], record["profession"]) == (identity, "professional", "pharmacist")
    assert (contact["identity"], contact["kind"], contact["current"]) == (identity, "professional", 0)
    assert contact["mailbox"] == vault.digest("mailbox", "clairval", "julie@officine.example")
    assert (contact["has_postal"], contact["provider"], contact["line"]) == (1, "other", record["line"])
    for kind, sealed in (("person", record["sealed"]), ("contact", contact["sealed"])):
        opened = Contact.of(vault.unseal(kind, identity, sealed))
        assert (opened.name, opened.forename, opened.company) == ("Morel", "Julie", "Pharmacie du Moulin")
        assert opened.email == "julie@officine.example"
        assert opened.postal is not None
        assert opened.postal.city == "Clairval"
    assert "viamedis:rib" in record["canonical"]
    assert "viamedis:portal_login" in record["canonical"]


@pytest.mark.parametrize(
    ("cells", "warnings", "without"),
    [
        ({"RIB": ""}, "", "rib"),
        ({"RIB": "néant", "LOGIN": " "}, "", "portal_login"),
        ({"RIB": "12345"}, "rib_key", ""),
        ({"SIRET": "73282932000079"}, "siret_key", ""),
        ({"FINESS": ""}, "finess_missing", ""),
        ({"SIRET": "", "FINESS": "", "EMAIL": "a@b.example"}, "siret_missing,finess_missing", ""),
        ({"EMAIL": "neant@b.example"}, "email_placeholder", ""),
    ],
)
def test_professionals_defects(write, intake, cells: dict[str, str], warnings: str, without: str) -> None:
    intake.stage(write(rows_of("viamedis-professional", professional(**cells))), "viamedis-professional")
    record = intake.staged()[0]
    assert record["warnings"] == warnings
    assert not without or f":{without}" not in record["canonical"]


def test_i1_professionals_without_identity_or_with_control_characters_are_rejected(write, intake) -> None:
    rows = (
        professional(SIRET="1", FINESS="2", EMAIL=""),
        professional(SIRET="", FINESS="", RAISON_SOCIALE=""),
        professional(ADRESSE='"3 rue\ndes Acanthes"'),
    )
    staged = intake.stage(write(rows_of("viamedis-professional", *rows)), "viamedis-professional")
    assert (staged.rows, staged.records) == (3, 0)
    assert intake.rejected() == [
        (2, "", "identity_none"), (3, "", "identity_none"), (4, "ADRESSE", "control_characters"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "profession"),
    [("PHARMACIEN", "pharmacist"), ("Opticien-lunetier", "optician"), ("Audioprothésiste", "audioprosthetist"),
     ("Chirurgien dentiste", "dentist"), ("Orthoptiste", "other"), ("", "other")],
)  # fmt: skip
def test_professions(write, intake, word: str, profession: str) -> None:
    text = rows_of("viamedis-professional", professional(PROFESSION=word))
    intake.stage(write(text), "viamedis-professional")
    assert intake.staged()[0]["profession"] == profession


# -- XLSX ----------------------------------------------------------------------------------------------------------


def workbook(path, profile: str, rows: list[list[object]], *, above: int = 0, more_sheets: int = 0) -> None:
    book = xlsxwriter.Workbook(path)
    day = book.add_format({"num_format": "dd/mm/yyyy"})
    for _ in range(1 + more_sheets):
        sheet = book.add_worksheet()
        for column, heading in enumerate(HEADINGS[profile].split(";")):
            sheet.write_string(above, column, heading)
        for number, cells in enumerate(rows, start=above + 1):
            for column, cell in enumerate(cells):
                if hasattr(cell, "year"):
                    sheet.write_datetime(number, column, cell, day)
                elif cell is not None:
                    sheet.write(number, column, cell)
    book.add_worksheet("Légende")
    book.close()


def test_xlsx_numbers_dates_and_rows_of_the_sheet(intake, tmp_path) -> None:
    born = datetime(1955, 8, 2)  # noqa: DTZ001  (a cell of a sheet has no zone)
    rows = [
        [255081416802538, None, "LEFEVRE", "ANNE ZOE", born, 1, "Clairval", 12, "Équilibre"],
        [None] * 9,
        [2550814168025, 38, "LEFEVRE", "PAUL", 20303, 2, "Clairval", 12, None],
        [2550814168025, 39, "LEFEVRE", "LUC", "02/08/1955", None, "Clairval", None, "x"],
    ]
    path = tmp_path / "export.csv"  # a name is no content
    workbook(tmp_path / "book.xlsx", "viamedis-insured", rows, above=2)
    (tmp_path / "book.xlsx").rename(path)
    staged = intake.stage(path, "viamedis-insured")
    assert (staged.rows, staged.records, staged.encoding) == (3, 2, "")
    assert [each["line"] for each in intake.staged()] == [4, 6]
    assert [each["birth_rank"] for each in intake.staged()] == [1, 2]
    assert len({each["group_key"] for each in intake.staged()}) == 1
    assert intake.rejected() == [(7, "NIR", "nir_key")]


def test_xlsx_professionals(intake, tmp_path) -> None:
    path = tmp_path / "export.xlsx"
    workbook(path, "viamedis-professional", [PROFESSIONAL.split(";"), professional(SIRET="", FINESS="").split(";")])
    staged = intake.stage(path, "viamedis-professional")
    assert (staged.records, staged.rejections) == (2, 0)


def test_xlsx_with_two_sheets_that_fit(intake, tmp_path) -> None:
    workbook(tmp_path / "a.xlsx", "viamedis-insured", [GOOD.split(";")], more_sheets=1)
    with pytest.raises(ExportError, match="more than one sheet with these headings"):
        intake.stage(tmp_path / "a.xlsx", "viamedis-insured")


def test_xlsx_without_rows_or_with_a_wrong_column(intake, tmp_path) -> None:
    workbook(tmp_path / "a.xlsx", "viamedis-insured", [])
    with pytest.raises(ExportError, match="has headings and no rows"):
        intake.stage(tmp_path / "a.xlsx", "viamedis-insured")
    with pytest.raises(ExportError, match="unknown column"):
        intake.stage(tmp_path / "a.xlsx", "viamedis-professional")


# -- once, whole or not at all -------------------------------------------------------------------------------------


def test_completing_counts_the_rows_and_writes_the_entry(write, intake) -> None:
    staged = intake.take(write(rows_of("viamedis-insured", GOOD, "x")), "viamedis-insured")
    assert intake.staged() == []
    assert not beside(intake.folder / "campaign.db").exists()
    stored = intake.query("SELECT * FROM imports")[0]
    assert (stored["state"], stored["rows_read"], stored["records"], stored["rejections"]) == ("complete", 2, 1, 1)
    entry = intake.query("SELECT kind, subject, body FROM entries WHERE kind <> 'campaign_created'")[0]
    assert (entry["kind"], entry["subject"]) == ("import_completed", staged.sha256)
    for fact in (
        b'"rows":2',
        b'"records":1',
        b'"rejections":1',
        b'"encoding":"utf-8"',
        b'"profile":"viamedis-insured"',
    ):
        assert fact in entry["body"]


def test_the_same_file_twice_changes_nothing(write, intake) -> None:
    path = write(rows_of("viamedis-insured", GOOD, "x"))
    first = intake.take(path, "viamedis-insured")
    before = intake.snapshot()
    copy = write(path.read_bytes())
    again = intake.stage(copy, "viamedis-insured")
    assert isinstance(again, AlreadyImported)
    assert (again.rows, again.records, again.rejections) == (2, 1, 1) == (first.rows, first.records, first.rejections)
    assert (again.sha256, again.persons_new) == (first.sha256, 1)
    assert intake.snapshot() == before


def test_other_senders_read_the_same_file_anew(write, intake) -> None:
    path = write(rows_of("viamedis-insured", GOOD))
    intake.take(path, "viamedis-insured")
    two_senders(intake)
    assert not isinstance(intake.stage(path, "viamedis-insured"), AlreadyImported)


def many_rows(count: int) -> str:
    return rows_of("viamedis-insured", *(row(NUM_CONTRAT=f"CT{number:06d}", CLE="39") for number in range(count)))


def test_i5_a_failure_between_batches_leaves_nothing_and_a_second_run_completes(write, intake) -> None:
    """The database itself refuses a row of a later batch, after earlier batches were committed."""
    path = write(many_rows(49_998) + "x\r\n" + many_rows(10_000).split("\r\n", 1)[1])
    before = intake.snapshot()
    intake.execute(
        "CREATE TRIGGER stop BEFORE INSERT ON rejections WHEN NEW.line = 50000 "
        "BEGIN SELECT RAISE(ABORT, 'no more'); END"
    )
    with pytest.raises(StorageError):
        intake.stage(path, "viamedis-insured")
    assert intake.snapshot() == before
    intake.execute("DROP TRIGGER stop")
    assert not beside(intake.folder / "campaign.db").exists()
    assert intake.take(path, "viamedis-insured").records == 59_998


def test_i5_what_a_killed_intake_left_is_wiped_by_the_next_one(write, intake) -> None:
    """A kill leaves committed batches under an import that does not count."""
    left = intake.stage(write(rows_of("viamedis-insured", GOOD, "x")), "viamedis-insured")
    assert intake.query("SELECT state FROM imports") == [{"state": "staging"}]
    staged = intake.take(write(rows_of("viamedis-insured", GOOD)), "viamedis-insured")
    assert [each["sha256"] for each in intake.query("SELECT sha256 FROM imports")] == [staged.sha256]
    assert intake.query("SELECT count(*) AS n FROM rejections") == [{"n": 0}]
    with pytest.raises(StorageError):
        intake.complete(left)
    assert [each["state"] for each in intake.query("SELECT state FROM imports")] == ["complete"]


def test_i1_an_import_whose_rows_are_not_those_read_does_not_complete(write, intake) -> None:
    staged = intake.stage(write(rows_of("viamedis-insured", GOOD, GOOD)), "viamedis-insured")
    with contextlib.closing(sqlite3.connect(beside(intake.folder / "campaign.db"))) as waiting:
        waiting.execute("DELETE FROM records WHERE line = 3")
        waiting.commit()
    with pytest.raises(StorageError, match="I1"):
        intake.complete(staged)
    assert intake.query("SELECT kind FROM entries") == [{"kind": "campaign_created"}]


def test_a_file_that_grows_while_it_is_read_is_refused(write, intake) -> None:
    path = write(many_rows(5))
    with path.open("rb") as file:
        before = staging.files.state_of(file)
        with path.open("ab") as more:
            more.write(b"x")
        with pytest.raises(ExportError, match="changed while it was read"):
            staging._must_be_whole("file", file, before, staging.profiles.Senders(()), 5)


def test_one_import_at_a_time(intake) -> None:
    with staging.alone(intake.folder), pytest.raises(CampaignBusy), staging.alone(intake.folder):
        pass
    with staging.alone(intake.folder):
        pass  # the lock fell with its holder


# -- the list of rejections ----------------------------------------------------------------------------------------


def test_i8_the_list_of_rejections_tells_line_column_code_and_no_value(write, intake) -> None:
    staged = intake.stage(write(rows_of("viamedis-insured", row(NOM="A\x07B"), GOOD, "a;b")), "viamedis-insured")
    path = intake.complete(staged)
    assert path == intake.folder / "rejections" / f"{staged.sha256[:12]}.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        listed = list(csv.DictReader(file, delimiter=";"))
    assert [(each["line"], each["column"], each["code"]) for each in listed] == [
        ("2", "NOM", "control_characters"), ("4", "", "columns"),
    ]  # fmt: skip
    assert all(each["explication"].endswith(".") for each in listed)
    text = path.read_text()
    assert "LEFEVRE" not in text
    assert "2550814168025" not in text
    assert list(path.parent.iterdir()) == [path]


def test_no_list_without_rejections(write, intake) -> None:
    assert intake.complete(intake.stage(write(rows_of("viamedis-insured", GOOD)), "viamedis-insured")) is None
    assert not (intake.folder / "rejections").exists()


def test_i5_a_list_lost_between_commit_and_rename_comes_back(write, intake) -> None:
    path = write(rows_of("viamedis-insured", GOOD, "x"))
    written = intake.complete(intake.stage(path, "viamedis-insured"))
    content = written.read_bytes()
    written.unlink()
    assert isinstance(intake.stage(path, "viamedis-insured"), AlreadyImported)
    assert written.read_bytes() == content


@pytest.mark.parametrize("cell", ["=1+1", "+A1", "-A1", "@SUM(A1)", "\tA", "\rA"])
def test_formulas_are_disarmed(cell: str) -> None:
    assert disarmed(cell) == "'" + cell
    assert disarmed("NOM") == "NOM"


def test_every_code_has_its_sentence() -> None:
    verdicts = [*records._verdict(), *directories._verdict()]
    codes = {code for _, _, code in verdicts} | {"columns", "quote_open", "identity_none", "trailer"}
    assert codes == set(EXPLANATIONS)


# -- I8 ------------------------------------------------------------------------------------------------------------


def test_i8_no_nir_no_rib_no_name_in_the_database_or_any_file(write, intake) -> None:
    secret = (
        "2550814168025", "255081416802538", "LEFEVRE", "ANNE ZOE", "CT0001", "02/08/1955", "1955-08-02",
        "20041010050500013M02606", "500013M026", "Morel", "julie@officine.example", "LM042", "73282932000074",
        "Acanthes",
    )  # fmt: skip
    intake.take(write(rows_of("viamedis-insured", GOOD, row(NOM="LEFEVRE\x07"))), "viamedis-insured")
    intake.take(write(rows_of("viamedis-professional", PROFESSIONAL)), "viamedis-professional")
    intake.stage(write(rows_of("viamedis-insured", GOOD, GOOD)), "viamedis-insured")
    everything = [path for path in intake.folder.rglob("*") if path.is_file()]
    assert any(path.name == "campaign.db" for path in everything)
    for path in everything:
        content = path.read_bytes() + path.name.encode()
        for value in secret:
            assert value.encode() not in content, (path.name, value)
            assert value.encode("utf-16-le") not in content


@pytest.mark.parametrize(
    "number",
    [
        "185052A123456", "1 85 05 2b 123 456 45", "1  85 05 78 006 084", "1\u202f85\u202f05\u202f78\u202f006\u202f084",
        "1/85/05/78/006/084", "1_85_05_78_006_084_36", "1\u201385\u201305\u201378\u2013006\u2013084",
        "20041 01005 0A50001M026 06", "20041010050A50001M02606",
    ],
)  # fmt: skip
def test_i8_a_number_in_a_name_is_found_however_it_is_written(write, intake, number: str) -> None:
    intake.stage(write(rows_of("viamedis-insured", row(NOM=f"LEFEVRE {number}"))), "viamedis-insured")
    stored = intake.staged()[0]
    assert "name" not in intake.vault.unseal("person", stored["identity"], stored["sealed"])


@pytest.mark.parametrize("name", ["MARTIN 2A", "DE LA TOUR 1789", "O'NEIL-DUPONT", "LE 12 BIS 14 TER", "X AE A-12"])
def test_a_name_with_a_few_digits_stays(write, intake, name: str) -> None:
    intake.stage(write(rows_of("viamedis-insured", row(NOM=name))), "viamedis-insured")
    stored = intake.staged()[0]
    assert intake.vault.unseal("person", stored["identity"], stored["sealed"])["name"] == name


# -- profiles ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ('colour = "red"', "colour: no such setting"),
        ('kind = "other"', "kind"),
        ('[optional]\nshoe_size = ["POINTURE"]', "unknown role shoe_size"),
        ('[optional]\nmember_number = ["nom"]', "stands for two roles"),
        ('[exposures]\nalways = ["genome"]', "no category genome"),
    ],
)
def test_a_wrong_profile_is_told_with_its_path(write, intake, change: str, says: str) -> None:
    profiles = intake.folder / "data" / "profiles"
    profiles.mkdir(parents=True)
    base = 'kind = "export"\nincident = "viamedis"\n' if not change.startswith("kind") else ""
    top, tables = (change, "") if not change.startswith("[") else ("", change)
    if "exposures" not in tables:
        tables += '\n[exposures]\nalways = ["nir"]'
    (profiles / "mine.toml").write_text(f'{base}{top}\n[columns]\nname = ["NOM"]\n{tables}\n')
    with pytest.raises(SettingsError) as caught:
        intake.stage(write("NOM\nx\n"), "mine")
    assert says in str(caught.value)
    assert "mine.toml" in str(caught.value)


@pytest.mark.parametrize("name", ["unknown", "../campaign", "", "A/B"])
def test_an_unknown_profile_is_told_with_those_there_are(write, intake, name: str) -> None:
    with pytest.raises(SettingsError, match=r"almerys-insured, .*viamedis-professional"):
        intake.stage(write("x"), name)


def test_a_directorys_profile_is_not_for_exports(write, intake) -> None:
    async def work() -> None:
        async with intake.opened() as database:
            await stage_export(
                database, intake.vault, intake.settings, intake.folder, write("x"), "directory",
                incident=None, now=intake.now,
            )  # fmt: skip

    with pytest.raises(SettingsError, match="for `notifier directory`"):
        asyncio.run(work())
