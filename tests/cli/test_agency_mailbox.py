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
