"""An address that is nobody's own: whoever is behind it is written to by letter, never told in somebody's mailbox."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from notifier.campaign import shipped
from notifier.cli.main import main

pytestmark = pytest.mark.thorough

EXPORT = "NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE"
ROW = "2550814168025;38;LEFEVRE;ANNE;02/08/1955;1;X;CT0001;E"
DIRECTORY = (
    "NUM_ADHERENT;NIR;CLE;DATE_NAISSANCE;RANG;NOM;PRENOM;CIVILITE;LIEN;EMAIL;ADRESSE1;ADRESSE2;CODE_POSTAL;VILLE;"
    "NUM_CONTRAT;LANGUE;STATUT;ASSUREUR"
)
MEMBER = (
    "M1;2550814168025;38;02/08/1955;1;LEFEVRE;ANNE;Mme;A;Agence@clairval.example;1 rue des Lilas;;75001;Paris;CT0001;"
    "fr;actif;X"
)


def name_agency(folder: Path) -> None:
    (folder / "data").mkdir(exist_ok=True)
    own = folder / "data" / "mailboxes.toml"
    shutil.copy(shipped("data") / "mailboxes.toml", own)
    text = own.read_text(encoding="utf-8")
    own.write_text(text.replace("addresses = []", 'addresses = ["agence@clairval.example"]'), encoding="utf-8")


@pytest.mark.parametrize("known", ["before the directory", "after the first plan"])
def test_I2_a_placeholder_mailbox_is_never_written_to(folder: Path, tmp_path: Path, known: str) -> None:
    def run(*words: str | Path) -> dict:
        result = CliRunner().invoke(main, ["-C", str(folder), *map(str, words), "--json"])
        assert result.exit_code in (0, 1), result.output
        return json.loads(result.stdout)

    (tmp_path / "export.csv").write_text(f"{EXPORT}\n{ROW}\n", encoding="utf-8")
    (tmp_path / "members.csv").write_text(f"{DIRECTORY}\n{MEMBER}\n", encoding="utf-8")
    run("intake", tmp_path / "export.csv", "--profile", "viamedis-insured")
    if known.startswith("before"):
        name_agency(folder)
    run("directory", tmp_path / "members.csv", "--profile", "directory", "--as-of", "2024-01-31")
    if known.startswith("after"):
        assert run("plan")["by_route"] == {"email": 1, "post": 0, "none": 0}
        name_agency(folder)
    for _ in range(2):
        assert run("plan")["by_route"] == {"email": 0, "post": 1, "none": 0}
    with closing(sqlite3.connect(folder / "campaign.db")) as database:
        rows = database.execute("SELECT route, route_reason FROM notifications").fetchall()
        noted = database.execute("SELECT body FROM entries WHERE kind = 'agency_mailboxes_set_aside'").fetchall()
    assert rows == [("post", "agency_mailbox")]
    assert [json.loads(body)["facts"] for (body,) in noted] == ([{"members": 1}] if known.startswith("after") else [])


MANY = 3
HEAD = "M{0};;;0{0}/08/1955;1;LEFEVRE;ANNE {0};Mme;A;{1};1 rue des Lilas;;75001;Paris;CT000{0};fr;actif;X"
ROWS = [f";;LEFEVRE;ANNE {n};0{n}/08/1955;1;X;CT000{n};E" for n in range(1, MANY + 1)]


def routes(folder: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(folder / "campaign.db")) as database:
        return database.execute("SELECT route, route_reason FROM notifications ORDER BY person_id").fetchall()


def test_I2_an_address_that_very_many_members_share_is_nobodys_own(folder, tmp_path, monkeypatch) -> None:
    """By itself, without anybody naming it; and given back when somebody says that it is fine, or fewer share it."""
    monkeypatch.setenv("NOTIFIER_INTAKE__SHARED_MAILBOX", str(MANY))
    words = ["-C", str(folder)]

    def run(*more: str | Path) -> dict:
        result = CliRunner().invoke(main, [*words, *map(str, more), "--json"])
        assert result.exit_code in (0, 1, 75), result.output  # no relay answers `check` here
        return json.loads(result.stdout)

    def shared() -> list[str]:
        return [each["text"] for each in run("check")["findings"] if each["code"] == "shared-mailbox"]

    (tmp_path / "export.csv").write_text("\n".join([EXPORT, *ROWS, ""]), encoding="utf-8")
    members = [HEAD.format(n, "Agence@clairval.example") for n in range(1, MANY + 1)]
    (tmp_path / "members.csv").write_text("\n".join([DIRECTORY, *members, ""]), encoding="utf-8")
    run("intake", tmp_path / "export.csv", "--profile", "viamedis-insured")
    run("directory", tmp_path / "members.csv", "--profile", "directory", "--as-of", "2024-01-31")
    assert run("plan", "--dry-run")["by_route"]["post"] == MANY
    for _ in range(2):
        assert run("plan")["by_reason"]["post"] == {"shared_mailbox": MANY}
        assert shared()[0].startswith(f"{MANY} members have one of 1 addresses")
    monkeypatch.setenv("NOTIFIER_INTAKE__SHARED_MAILBOX", str(MANY + 1))
    assert run("plan")["by_route"]["email"] == MANY
    monkeypatch.setenv("NOTIFIER_INTAKE__SHARED_MAILBOX", str(MANY))
    assert run("plan")["by_route"]["post"] == MANY
    (folder / "data").mkdir(exist_ok=True)
    own = (shipped("data") / "mailboxes.toml").read_text(encoding="utf-8")
    (folder / "data" / "mailboxes.toml").write_text(
        own.replace("fine = []", 'fine = ["agence@clairval.example"]'), encoding="utf-8"
    )
    assert run("plan")["by_route"]["email"] == MANY
    assert shared() == []
    assert routes(folder) == [("email", "own_mailbox")] * MANY
    with closing(sqlite3.connect(folder / "campaign.db")) as database:
        noted = database.execute("SELECT body FROM entries WHERE kind = 'shared_mailboxes_set_aside'").fetchall()
    facts = [json.loads(body)["facts"] for (body,) in noted]
    assert [(each["members"], each["given_back"]) for each in facts] == [(MANY, 0), (0, MANY), (MANY, 0), (0, MANY)]


def test_a_chain_of_establishments_keeps_its_one_mailbox(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("NOTIFIER_INTAKE__SHARED_MAILBOX", "2")
    head = "RAISON_SOCIALE;NOM;PRENOM;PROFESSION;EMAIL;TELEPHONE;ADRESSE;CODE_POSTAL;VILLE;LOGIN;RIB;SIRET;FINESS"
    rows = [f"PHARMACIE {n};;;Pharmacien;siege@chaine.example;;;;;;;;" for n in range(1, 5)]
    (tmp_path / "shops.csv").write_text("\n".join([head, *rows, ""]), encoding="utf-8")
    for words in (["intake", str(tmp_path / "shops.csv"), "--profile", "viamedis-professional"], ["plan"]):
        result = CliRunner().invoke(main, ["-C", str(folder), *words, "--json"])
        assert result.exit_code in (0, 1), result.output
    assert routes(folder) == [("email", "own_mailbox")] * 4
