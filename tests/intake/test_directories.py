"""Directories: members become contacts; who must not be reached by e-mail has no mailbox."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from notifier.intake.exports import AlreadyImported
from notifier.model import Contact, Postal
from notifier.people.identity import InsuredFacts, birth_name_key, forename_key, member_near_keys, rungs
from notifier.vault import ranked_key

from .conftest import HEADINGS, rows_of

MEMBER = (
    "AD-0007;2550814168025;38;02/08/1955;1;Lefèvre;Anne-Zoé;MME;A;anne@orange.fr;3 rue des Acanthes;Bât. B;00000;"
    "Clairval;CT 0001;FR;actif;Mutuelle Clairval"
)
OPTIONAL = ";NOM_NAISSANCE;EMAIL2;OPPOSITION_EMAIL;MESURE_PROTECTION;FORMAT"


def member(**cells: str) -> str:
    names = HEADINGS["directory"].split(";")
    values = dict(zip(names, MEMBER.split(";"), strict=True)) | cells
    return ";".join(values[name] for name in names)


def contacts(intake) -> list[dict]:
    return intake.query("SELECT * FROM contacts ORDER BY line")


def opened(intake, stored: dict) -> Contact:
    return Contact.of(intake.vault.unseal("contact", stored["identity"], stored["sealed"]))


def test_a_member_becomes_a_contact(write, intake) -> None:
    staged = intake.take(write(rows_of("directory", MEMBER)), "directory", as_of=date(2024, 2, 1))
    assert (staged.rows, staged.records, staged.as_of, staged.incident) == (1, 1, "2024-02-01", "")
    stored, vault = contacts(intake)[0], intake.vault
    assert stored["identity"] == vault.digest("member", "clairval", "AD0007", "2550814168025", "1955-08-02", "ANNE ZOE")
    assert stored["mailbox"] == vault.digest("mailbox", "clairval", "anne@orange.fr")
    assert stored["household"] == vault.digest("household", "clairval", "CT0001")
    told = ("kind", "link", "status", "language", "as_of", "current", "has_postal", "provider", "sender", "line")
    assert [stored[name] for name in told] == [
        "member", "A", "active", "fr", "2024-02-01", 1, 1, "orange", "clairval", 2,
    ]  # fmt: skip
    facts = InsuredFacts("clairval", "2550814168025", "1955-08-02", "ANNE ZOE", "LEFEVRE", 1, "CT0001", "AD0007")
    ladder = rungs(facts)
    assert stored["forename_key"] == vault.digest(*forename_key(facts))
    keys = (ladder.member, ladder.nir_forename, ladder.contract)
    columns = ("key_member", "key_nir_forename", "key_contract")
    assert [stored[column] for column in columns] == [vault.digest(*key) for key in keys]
    assert stored["key_nir_rank"] == ranked_key(vault.digest(*ladder.nir_rank[0]), ladder.nir_rank[1])
    assert opened(intake, stored) == Contact(
        "Lefèvre", "Anne-Zoé", "Mme", email="anne@orange.fr", birth_date="1955-08-02",
        postal=Postal(("3 rue des Acanthes", "Bât. B"), "00000", "Clairval"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("column", "cell", "field", "value"),
    [
        ("LIEN", "2", "link", "C"),
        ("LIEN", "E", "link", "E"),
        ("LIEN", "conjoint", "link", "C"),
        ("LIEN", "?", "link", ""),
        ("STATUT", "RADIE", "status", "ended"),
        ("STATUT", "décédé", "status", "deceased"),
        ("STATUT", "", "status", "active"),
        ("LANGUE", "", "language", "fr"),
        ("LANGUE", "DE", "language", "de"),
        ("LANGUE", " fr-FR ", "language", "fr"),
        # What is no language is never kept: it would stand in clear in tables and proofs (I8).
        ("LANGUE", "DUPONT", "language", "fr"),
        ("LANGUE", "2550814168025", "language", "fr"),
        ("LANGUE", "../..", "language", "fr"),
        ("EMAIL", "", "mailbox", None),
        ("EMAIL", "neant@orange.fr", "provider", "other"),
        ("CODE_POSTAL", "", "has_postal", 0),
    ],
)
def test_columns_of_a_member(write, intake, column: str, cell: str, field: str, value: object) -> None:
    intake.stage(write(rows_of("directory", member(**{column: cell}))), "directory")
    assert contacts(intake)[0][field] == value


def test_a_language_that_cannot_be_read_is_a_warning(write, intake) -> None:
    rows = (member(LANGUE="DUPONT"), member(LANGUE=""), member(LANGUE="de"))
    staged = intake.stage(write(rows_of("directory", *rows)), "directory")
    assert staged.verdicts.as_json()["codes"]["warned"]["language_unreadable"] == 1


@pytest.mark.parametrize(("cell", "civility"), [("M", "M."), ("m.", "M."), ("Mlle", "Mme"), ("MME", "Mme"), ("Dr", "")])
def test_civility(write, intake, cell: str, civility: str) -> None:
    intake.stage(write(rows_of("directory", member(CIVILITE=cell))), "directory")
    assert opened(intake, contacts(intake)[0]).civility == civility


def test_the_name_at_birth_is_a_second_key_and_near_keys_are_those_of_identity(write, intake) -> None:
    """What an export writes instead of the name in use, and what near-misses are sought by."""
    texts = [f"{MEMBER};Durôc;;;;", f"{MEMBER};LEFÈVRE;;;;", f"{member(NIR='', NUM_CONTRAT='')};Duroc;;;;"]
    intake.stage(write(f"{HEADINGS['directory']}{OPTIONAL}\n" + "\n".join(texts) + "\n"), "directory")
    facts = InsuredFacts("clairval", "2550814168025", "1955-08-02", "ANNE ZOE", "LEFEVRE", 1, "CT0001", "AD0007")
    digest = intake.vault.digest
    nir, contract = (digest(*key) for key in member_near_keys(facts))
    born = digest(*birth_name_key(facts, "DUROC"))
    assert born == digest(*rungs(replace(facts, name="DUROC")).contract)
    columns = ("key_near_nir", "key_near_contract", "key_contract_birth")
    found = [tuple(stored[column] for column in columns) for stored in contacts(intake)]
    assert found == [(nir, contract, born), (nir, contract, None), (None, None, None)]
    assert [opened(intake, stored).birth_name for stored in contacts(intake)] == ["Durôc", "LEFÈVRE", "Duroc"]


@pytest.mark.parametrize(
    ("more", "email"),
    [
        (";;;;", "anne@orange.fr"),
        (";autre@courriel.example;;;", "anne@orange.fr"),
        (";;N;Non;braille", "anne@orange.fr"),
        (";autre@courriel.example;O;;", ""),
        (";;oui;;", ""),
        (";;;tutelle;", ""),
    ],
)
def test_i2_opposition_and_protection_leave_no_mailbox(write, intake, more: str, email: str) -> None:
    """No address in the sealed fields either: nothing later can send to it."""
    text = f"{HEADINGS['directory']}{OPTIONAL}\n{MEMBER};{more}\n"
    intake.stage(write(text), "directory")
    stored = contacts(intake)[0]
    assert opened(intake, stored).email == email
    assert (stored["mailbox"] is None) is (email == "")


def test_the_second_address_and_the_birth_name_stand_in(write, intake) -> None:
    cells = member(EMAIL="neant", NOM="")
    intake.stage(write(f"{HEADINGS['directory']}{OPTIONAL}\n{cells};Duroc;autre@courriel.example;;;\n"), "directory")
    contact = opened(intake, contacts(intake)[0])
    assert (contact.name, contact.email) == ("Duroc", "autre@courriel.example")


def test_i1_what_is_rejected_of_a_directory(write, intake) -> None:
    rows = (
        member(NOM="", DATE_NAISSANCE=""),
        member(NOM="", NUM_ADHERENT="", NIR="", NUM_CONTRAT=""),
        member(STATUT="suspendu"),
        member(ADRESSE2='"Bât.\nB"'),
        member(NOM="", DATE_NAISSANCE="00/00/1955"),
        member(NIR="", CLE="", NUM_ADHERENT="", NUM_CONTRAT="", DATE_NAISSANCE=""),
    )
    staged = intake.take(write(rows_of("directory", *rows)), "directory")
    assert (staged.rows, staged.records, staged.rejections) == (6, 2, 4)
    assert intake.rejected() == [
        (2, "", "member_none"), (3, "", "member_none"), (4, "STATUT", "status_unknown"),
        (5, "ADRESSE2", "control_characters"),
    ]  # fmt: skip


def test_the_same_directory_twice(write, intake) -> None:
    path = write(rows_of("directory", MEMBER))
    intake.take(path, "directory")
    before = intake.snapshot()
    assert isinstance(intake.take(path, "directory", as_of=date(2024, 3, 1)), AlreadyImported)
    assert intake.snapshot() == before


def test_i5_a_directory_that_was_cut_short_is_wiped(write, intake) -> None:
    intake.stage(write(rows_of("directory", MEMBER, MEMBER)), "directory")
    intake.take(write(rows_of("directory", MEMBER)), "directory")
    assert len(contacts(intake)) == 1


def test_i8_no_nir_and_no_name_of_a_member_in_any_file(write, intake) -> None:
    intake.take(write(rows_of("directory", MEMBER)), "directory")
    for path in intake.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for value in ("2550814168025", "Lefèvre", "LEFEVRE", "anne@orange.fr", "Acanthes", "AD-0007", "CT0001"):
                assert value.encode() not in content, (path.name, value)
