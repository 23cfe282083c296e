"""Bad input gets one clear line and a non-zero exit, with nothing half done."""

import shutil
import socket
from pathlib import Path

import pytest

HEAD = "NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE\n"
ROW = "2950999126111;93;MARTIN;Zoé;14/09/1995;1;X;C100;CONFORT\n"


def one_line(answer) -> str:
    lines = [line for line in answer.err.splitlines() if line.startswith("notifier: ")]
    assert len(lines) == 1, answer.err
    return lines[0]


NO_EXPORTS = {
    "empty": (b"", "empty"),
    "pdf": (b"%PDF-1.7\n\x00\x01\x02", ""),
    "binary": (bytes(range(256)) * 20, ""),
    "missing column": (HEAD.replace("NUM_CONTRAT;", "").encode() + b"1;2;3\n", "NUM_CONTRAT"),
    "unknown column": (HEAD.replace("GARANTIE", "GARANTIE;SURPRISE").encode() + b"1;2;3\n", "SURPRISE"),
}


@pytest.mark.thorough
def test_a_file_that_is_no_export(cli, tmp_path: Path) -> None:
    for name, (content, says) in NO_EXPORTS.items():
        path = tmp_path / f"{name}.csv"
        path.write_bytes(content)
        answer = cli("intake", path, "--profile", "viamedis-insured", expect=2)
        assert says.casefold() in one_line(answer).casefold(), name
    standing = cli("status", "--json").json
    assert standing["persons"] == 0
    assert standing["rows"]["read"] == 0


def test_an_unknown_profile_and_a_missing_file(cli, tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(HEAD + ROW, encoding="utf-8")
    assert "nosuch" in one_line(cli("intake", path, "--profile", "nosuch", expect=2))
    assert "nowhere.csv" in one_line(cli("intake", tmp_path / "nowhere.csv", "--profile", "viamedis-insured", expect=2))


def test_a_wrong_setting_is_named_by_its_path(cli) -> None:
    assert "relay.prot" in one_line(cli("status", expect=2, NOTIFIER_RELAY__PROT="1"))
    path = cli.campaign / "campaign.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("observe_days", "observe_day"), encoding="utf-8")
    assert "campaign.observe_day" in one_line(cli("status", expect=2))


def test_a_missing_and_a_wrong_key(cli, tmp_path: Path) -> None:
    key = cli.campaign / "campaign.key"
    kept = key.read_text()
    key.unlink()
    assert "key" in one_line(cli("status", expect=2))
    other = tmp_path / "other"
    cli("init", other, "--sample")
    shutil.copy(other / "campaign.key", key)
    assert "campaign" in one_line(cli("status", expect=2))
    key.write_text(kept)
    cli("status")
    key.chmod(0o644)
    assert "key-mode" in cli("check", expect=2).out


def test_a_database_of_another_campaign(cli, tmp_path: Path) -> None:
    other = tmp_path / "other"
    cli("init", other, "--sample")
    shutil.copy(other / "campaign.db", cli.campaign / "campaign.db")
    assert "campaign" in one_line(cli("status", expect=2))


def test_no_database_is_never_a_new_one(cli, tmp_path: Path) -> None:
    line = one_line(cli("status", expect=2, NOTIFIER_DATABASE="sqlite:///elsewhere.db"))
    assert "elsewhere.db" in line
    assert not (cli.campaign / "elsewhere.db").exists()


@pytest.mark.thorough
def test_a_relay_that_does_not_answer_is_try_later(cli, sink, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, never listening: the port refuses
        port = str(taken.getsockname()[1])
        _one_planned(cli, tmp_path, port)
        one_line(cli("send", expect=75, NOTIFIER_RELAY__PORT=port))
    assert cli("status", "--json", NOTIFIER_RELAY__PORT=port).json["waves"]["initial"]["deliveries"] == {"queued": 1}


def _one_planned(cli, tmp_path: Path, port: str) -> None:
    export = tmp_path / "pro.csv"
    export.write_text(
        "RAISON_SOCIALE;NOM;PRENOM;PROFESSION;EMAIL;TELEPHONE;ADRESSE;CODE_POSTAL;VILLE;LOGIN;RIB;SIRET;FINESS\n"
        "Pharmacie du Lac;Roux;Léa;Pharmacien;lac@courriel.example;0100000000;1 quai du Lac;00000;Clairval;lroux;;;"
        "750100125\n",
        encoding="utf-8",
    )
    cli("intake", export, "--profile", "viamedis-professional")
    cli("plan")
    cli("approve", "--yes", NOTIFIER_RELAY__PORT=port)


def test_a_template_that_does_not_compile_is_named_with_its_line(cli, tmp_path: Path) -> None:
    _one_planned(cli, tmp_path, cli.environment["NOTIFIER_RELAY__PORT"])
    from notifier.campaign import shipped

    own = cli.campaign / "templates"
    shutil.copytree(shipped("templates"), own)
    broken = next(iter(sorted((own / "fr").rglob("*.md"))))
    for path in (own / "fr").rglob("*.md"):
        path.write_text(path.read_text(encoding="utf-8") + "\n\n{% if %}\n", encoding="utf-8")
    answer = cli("check", expect=2)
    assert ".md" in answer.err + answer.out
    assert broken.suffix == ".md"


def test_control_characters_reject_the_row(cli, tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(
        HEAD + '2950999126111;;"MAR\r\nTIN";Zoé;14/09/1995;1;X;C100;C\n' + ROW, encoding="utf-8", newline=""
    )
    taken = cli("intake", path, "--profile", "viamedis-insured", "--json", expect=1).json
    assert taken["rejections"] == 1
    (listed,) = (cli.campaign / "rejections").glob("*.csv")
    text = listed.read_text(encoding="utf-8-sig")
    assert "control_characters" in text
    assert "MARTIN" not in text


def test_what_is_not_there_yet_says_so(cli) -> None:
    for words in (
        ["close"],
        ["bounces"],
        ["proof", "draw"],
        ["letters", "export"],
    ):
        assert "not there yet" in cli(*words, expect=2).err
