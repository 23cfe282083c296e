"""Friday evening: one file names an unknown mutuelle, another is half rejected. Nobody is lost, nothing stops."""

import hashlib
import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

HEAD = "RAISON_SOCIALE;NOM;PRENOM;PROFESSION;EMAIL;TELEPHONE;ADRESSE;CODE_POSTAL;VILLE;LOGIN;RIB;SIRET;FINESS\n"
SHOP = "Pharmacie {0};;;Pharmacien;{0}@courriel.example;;1 quai du Lac;00000;Clairval;lac;;;{1}\n"
INSURED = "NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE\n"
ROW = "2950999126111;{0};EXEMPLE;{1};14/09/1995;1;{2};C1;CONFORT\n"
MEMBERS = (
    "NUM_ADHERENT;NIR;CLE;DATE_NAISSANCE;RANG;NOM;PRENOM;CIVILITE;LIEN;EMAIL;ADRESSE1;ADRESSE2;CODE_POSTAL;VILLE;"
    "NUM_CONTRAT;LANGUE;STATUT;ASSUREUR\n"
)
KEY = f"{97 - 2950999126111 % 97:02d}"


def named_senders(folder: Path) -> None:
    """The sample's mutuelle under its own name, and a second one."""
    path = folder / "campaign.toml"
    said = path.read_text(encoding="utf-8")
    second = said[said.index("[[senders]]") :].replace('code = "clairval"', 'code = "montfleury"')
    second = second.replace("Mutuelle Clairval", "Mutuelle Montfleury").replace('["*"]', '["Mutuelle Montfleury"]')
    path.write_text(said.replace('["*"]', '["Mutuelle Clairval", "Viamedis"]') + "\n" + second, encoding="utf-8")


def one_line(answer) -> str:
    (line,) = [line for line in answer.err.splitlines() if line.startswith("notifier: ")]
    return line


@pytest.mark.thorough
def test_I1_an_unknown_name_holds_its_file_and_stops_nothing_else(cli, sink, tmp_path: Path) -> None:
    named_senders(cli.campaign)
    shops, insured, members = tmp_path / "shops.csv", tmp_path / "insured.csv", tmp_path / "members.csv"
    shops.write_text(HEAD + SHOP.format("lac", "750100125"), encoding="utf-8")
    insured.write_text(
        INSURED + ROW.format(KEY, "Zoé", "MUT. DU HAVRE") + ROW.format(KEY, "Léa", "Mutuelle Clairval"),
        encoding="utf-8",
    )
    members.write_text(
        MEMBERS + f"A1;2950999126111;{KEY};14/09/1995;1;EXEMPLE;ZOE;;A;zoe@courriel.example;1 rue des Lilas;;00000;"
        "Clairval;C1;fr;actif;Mutuelle Montfleury\n",
        encoding="utf-8",
    )
    cli("intake", shops, "--profile", "viamedis-professional")
    cli("directory", members, "--profile", "directory")

    sha256 = hashlib.sha256(insured.read_bytes()).hexdigest()
    said = ("--received-at", "2024-02-09T18:30+01:00", "--received-from", "Viamedis, SFTP", "--expect-rows", "2")
    wrong = cli("intake", insured, "--profile", "viamedis-insured", "--expect-rows", "3", expect=2)
    assert "has 2 rows, the cover note says 3" in one_line(wrong)
    answer = cli("intake", insured, "--profile", "viamedis-insured", *said, "--json", expect=1)
    assert answer.json["held"] == [{"sha256": sha256, "reason": "senders", "names": 1, "rows": 2}]
    assert (answer.json["rows"], answer.json["records"], answer.json["files"]) == (0, 0, [])
    assert "held: 1 unknown name, 2 rows" in answer.err
    assert "MUT. DU HAVRE" in answer.err
    assert "HAVRE" not in answer.out

    assert cli("status", "--json").json["held"] == answer.json["held"]
    assert cli("plan", "--json").json["held"] == answer.json["held"]
    checked = cli("check", "--json", expect=(0, 1, 2)).json
    assert [each["severity"] for each in checked["findings"] if each["code"] == "file-held"] == ["warning"]
    assert "NOT IN IT   2 rows" in (described := cli("approve", "--yes", "--json")).err + described.out

    listed = cli("senders", "list", expect=1).out
    assert "MUT. DU HAVRE" in listed
    assert "HAVRE" not in cli("senders", "list", "--json", expect=1).out
    assert "already" in one_line(cli("senders", "add-name", "montfleury", "mutuelle clairval", expect=2))
    assert "--yes" in one_line(cli("senders", "add-name", "montfleury", "--held", sha256[:8], expect=2))
    freed = cli("senders", "add-name", "montfleury", "--held", sha256[:8], "--yes", "--json").json
    assert (freed["added"], freed["held"]) == (1, [])
    assert [(each["sha256"], each["rows"], each["records"]) for each in freed["freed"]] == [(sha256, 2, 2)]
    assert "# how exports write this sender" in (cli.campaign / "campaign.toml").read_text(encoding="utf-8")
    assert "0 names added" in cli("senders", "add-name", "montfleury", "mut du havre").out

    # What was approved before the name came is approved still.
    assert cli("send", "--wait", "--json").json["accepted"] == 1
    assert sink.mailboxes == {"lac@courriel.example": 1}
    cli("plan")
    cli("approve", "--yes")
    cli("send", "--wait", expect=(0, 1))
    assert sink.mailboxes == {"lac@courriel.example": 1, "zoe@courriel.example": 1}
    assert cli("status", "--json").json["balances"] is True
    assert (
        cli("intake", insured, "--profile", "viamedis-insured", "--json").json["files"][0]["already_imported"] is True
    )
    pack = tmp_path / "proof.zip"
    fingerprint = cli("proof", "export", "--out", pack, "--json").json["fingerprint"]
    assert cli("proof", "verify", pack, "--fingerprint", fingerprint, "--json").json["ok"] is True


@pytest.mark.thorough
def test_I1_a_half_rejected_file_waits_for_somebody_to_read_why(cli, tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    rows = (ROW.format(KEY if number % 2 else "00", f"P{chr(65 + number)}", "X") for number in range(20))
    path.write_text(INSURED + "".join(rows).replace(";C1;", ";;"), encoding="utf-8")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    answer = cli("intake", path, "--profile", "viamedis-insured", "--json", expect=1)
    assert answer.json["held"] == [{"sha256": sha256, "reason": "rejections", "names": 0, "rows": 20}]
    assert "10 of 20 rows are rejected" in answer.err
    assert "--accept-rejections" in answer.err
    (listed,) = (cli.campaign / "rejections").glob("*.csv")
    assert listed.read_text(encoding="utf-8-sig").count("nir_key") == 10
    assert cli("status", "--json").json["rows"]["read"] == 0
    assert "--accept-rejections" in cli("status").out

    undone = cli("intake", "--undo", sha256[:8], "--yes", "--json").json
    assert (undone["sha256"], undone["held"]) == (sha256, True)
    assert cli("status", "--json").json["held"] == []
    assert not list((cli.campaign / "rejections").glob("*.csv"))

    taken = cli("intake", path, "--profile", "viamedis-insured", "--accept-rejections", "--json", expect=1).json
    assert (taken["rows"], taken["records"], taken["rejections"], taken["held"]) == (20, 10, 10, [])
    assert cli("status", "--json").json["rows"]["open_rejections"] == 10


def test_what_the_command_line_says_of_a_file_is_checked_first(cli, tmp_path: Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    for number, path in enumerate((one, two)):
        path.write_text(INSURED + ROW.format(KEY, f"Zoé-{number}", "X"), encoding="utf-8")
    sha256 = hashlib.sha256(one.read_bytes()).hexdigest()
    profile = ("--profile", "viamedis-insured")
    for wrong, says in (
        ((one, two, "--expect-rows", "1"), "of one file"),
        ((one, two, "--expect-sha256", sha256), "of one file"),
        ((one, "--expect-sha256", sha256[:12]), "64 hex digits"),
        ((two, "--expect-sha256", sha256), sha256),
        ((one, "--received-at", "2999-01-01T00:00Z"), "not come yet"),
        ((one, "--received-at", "soon"), "cannot be read"),
    ):
        assert says in one_line(cli("intake", *wrong, *profile, expect=2)), wrong
    assert cli("status", "--json").json["rows"]["read"] == 0
    both = cli(
        "intake", one, two, "--received-from", "Viamedis", "--received-at", "2024-02-09", *profile, "--json"
    ).json
    assert both["rows"] == 2
    again = cli("intake", one, "--expect-sha256", sha256.upper(), "--expect-rows", "1", *profile, "--json").json
    assert again["files"][0]["already_imported"] is True
    assert json.dumps(again).count("held") == 1
