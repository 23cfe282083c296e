"""The wrong file was taken in: it is withdrawn, the right one follows, and the proof tells of both."""

import hashlib
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

HEAD = "NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE\n"
NIR = "2950999126111"
DIRECTORY = (
    "NUM_ADHERENT;NIR;CLE;DATE_NAISSANCE;RANG;NOM;PRENOM;CIVILITE;LIEN;EMAIL;ADRESSE1;ADRESSE2;CODE_POSTAL;VILLE;"
    "NUM_CONTRAT;LANGUE;STATUT;ASSUREUR\n"
)


def key() -> str:
    return f"{97 - int(NIR) % 97:02d}"


def one_line(answer) -> str:
    (line,) = [line for line in answer.err.splitlines() if line.startswith("notifier: ")]
    return line


def test_I1_a_wrong_export_is_withdrawn_before_anybody_is_approved(cli, sink, tmp_path: Path) -> None:
    right, wrong, directory = tmp_path / "right.csv", tmp_path / "wrong.csv", tmp_path / "directory.csv"
    row = f"{NIR};{key()};EXEMPLE;{{}};14/09/1995;{{}};X;C1;CONFORT\n"
    right.write_text(HEAD + row.format("Zoé", 1), encoding="utf-8")
    wrong.write_text(
        HEAD + row.format("Zoé", 1) + row.format("Léa", 2) + row.format("", 1) + "1;2;EXEMPLE;Tom;;;X;;\n",
        encoding="utf-8",
    )
    directory.write_text(
        DIRECTORY
        + f"A1;{NIR};{key()};14/09/1995;1;EXEMPLE;ZOE;;A;zoe@courriel.example;1 rue des Lilas;;00000;Clairval;"
        "C1;fr;actif;X\n",
        encoding="utf-8",
    )
    cli("intake", right, "--profile", "viamedis-insured")
    cli("directory", directory, "--profile", "directory")
    before = cli("status", "--json").json
    assert cli("intake", wrong, "--profile", "viamedis-insured", "--json", expect=1).json["persons_new"] == 1
    cli("plan")

    sha256 = hashlib.sha256(wrong.read_bytes()).hexdigest()
    assert "--yes" in one_line(cli("intake", "--undo", sha256, expect=2))
    assert "no import" in one_line(cli("intake", "--undo", "0" * 64, "--yes", expect=2))
    assert cli("status", "--json").json["persons"] == 2

    undone = cli("intake", "--undo", sha256[:10], "--yes", "--json").json
    assert undone == {"sha256": sha256, "records": 3, "persons_removed": 1}
    assert cli("status", "--json").json == before
    assert not list((cli.campaign / "rejections").iterdir())
    assert "withdrawn already" in one_line(cli("intake", "--undo", sha256, "--yes", expect=2))
    assert cli("status", "--json").json == before

    assert cli("plan", "--json").json["by_route"] == {"email": 1, "post": 0, "none": 0}
    cli("approve", "--yes")
    for path in (right, directory):
        started = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        assert "1 persons" in one_line(cli("intake", "--undo", started, "--yes", expect=2))
    cli("send", "--wait")
    assert sink.mailboxes == {"zoe@courriel.example": 1}

    standing = cli("status", "--json").json
    assert standing["balances"] is True
    assert standing["rows"] == {"read": 1, "records": 1, "rejections": 0, "open_rejections": 0}
    pack = tmp_path / "proof.zip"
    fingerprint = cli("proof", "export", "--out", pack, "--json").json["fingerprint"]
    assert cli("proof", "verify", pack, "--fingerprint", fingerprint, "--json").json["ok"] is True
