"""After the first wave: new data, a second operator, a corrected file, and a text that was wrong. Each round concerns
exactly whom it concerns (I1), and the proof holds all of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

VIAMEDIS = "RAISON_SOCIALE;NOM;PRENOM;PROFESSION;EMAIL;TELEPHONE;ADRESSE;CODE_POSTAL;VILLE;LOGIN;RIB;SIRET;FINESS\n"
ALMERYS = (
    "Raison sociale;Nom;Prénom;Spécialité;Courriel;Téléphone;Adresse;Code postal;Ville;Identifiant;RIB;SIRET;FINESS\n"
)
RIB = "20041010050500013M02606"


def shop(name: str, finess: str, rib: str = "") -> str:
    mailbox = f"{name.lower()}@courriel.example"
    return f"Pharmacie {name};Roux;Léa;Pharmacien;{mailbox};;1 quai;00000;Clairval;;{rib};;{finess}\n"


def take(cli, path: Path, text: str, profile: str, *more: str) -> str:
    path.write_text(text, encoding="utf-8")
    cli("intake", path, "--profile", profile, *more)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def subjects(sink, mailbox: str) -> list[str]:
    return [str(message["Subject"]) for recipient, message in sink.messages() if recipient == mailbox]


def go(cli, wave: str) -> dict:
    cli("approve", "--wave", wave, "--yes")
    cli("send", "--wait")
    standing = cli("status", "--json").json
    assert standing["balances"] is True
    return standing["waves"][wave]["notifications"]


def test_I1_a_supplement_tells_what_is_new(cli, sink, tmp_path: Path) -> None:
    take(cli, tmp_path / "v.csv", VIAMEDIS + shop("Lac", "750100125") + shop("Bois", "750712184", RIB),
         "viamedis-professional")  # fmt: skip
    cli("plan")
    assert go(cli, "initial")["owed"] == 2
    # A second operator's file: what is new is told to whom it concerns.
    take(cli, tmp_path / "a.csv", ALMERYS + shop("Lac", "750100125", RIB), "almerys-professional")
    assert cli("status", "--json").json["next"] == "plan (1 files came in since the last one)"
    hinted = cli("plan")
    assert "1 informed persons have new exposures: `notifier plan --wave NAME --kind supplement`" in hinted.out
    before = (cli.campaign / "campaign.db").read_bytes()
    dry = cli("plan", "--wave", "supplement", "--dry-run", "--json").json
    assert (cli.campaign / "campaign.db").read_bytes() == before
    made = cli("plan", "--wave", "supplement", "--json").json
    assert made == dry
    assert (made["kind"], made["notifications"], made["supplement_due"]) == ("supplement", 1, 0)
    assert {each.split(":")[0] for each in made["segments"][0]["exposures"]} == {"almerys"}
    assert cli("status", "--json").json["next"] == (
        "check --wave supplement, preview --wave supplement, then approve --wave supplement"
    )
    assert go(cli, "supplement")["owed"] == 1
    assert sink.mailboxes == {"lac@courriel.example": 2, "bois@courriel.example": 1}
    _, second = list(sink.messages())[-1]
    said = " ".join(str(second.get_body(("plain",)).get_content()).split())
    assert "seulement ce qui est nouveau" in said
    assert "Viamedis" not in said

    pack = tmp_path / "proof.zip"
    cli("proof", "export", "--out", pack)
    verdict = cli("proof", "verify", pack, "--json").json
    assert verdict["ok"] is True
    assert {wave: terms["owed"] for wave, terms in verdict["waves"].items()} == {"initial": 2, "supplement": 1}


def test_I1_who_read_a_wrong_text_and_who_was_not_concerned_are_told(cli, sink, tmp_path: Path) -> None:
    first = take(cli, tmp_path / "v.csv", VIAMEDIS + shop("Lac", "750100125") + shop("Bois", "750712184", RIB),
                 "viamedis-professional")  # fmt: skip
    cli("plan")
    go(cli, "initial")
    # A text was wrong: those who read it are told, and nobody else.
    wrong = Path(__file__).parents[2] / "templates/fr/professional/rib.md"
    told = hashlib.sha256(wrong.read_bytes()).hexdigest()
    cli("plan", "--wave", "correction", "--who", f"notice={told}", "--who", "wave=initial")
    assert "[waves.correction]" in cli("approve", "--wave", "correction", "--yes", expect=2).err
    settings = cli.campaign / "campaign.toml"
    settings.write_text(
        settings.read_text(encoding="utf-8")
        + '\n[waves.correction]\nwrong = "Nous avons écrit que le délai de contestation est de 8 semaines."\n'
        'right = "Vous avez jusqu\'à 13 mois après le débit pour contester."\n',
        encoding="utf-8",
    )
    assert go(cli, "correction")["owed"] == 1
    # The operator withdraws somebody who was told.
    take(cli, tmp_path / "v2.csv", VIAMEDIS + shop("Lac", "750100125"), "viamedis-professional", "--replaces", first)
    assert cli("plan", "--wave", "rectification", "--json").json["notifications"] == 1
    assert go(cli, "rectification")["owed"] == 1
    assert [subject.split(" pour ")[0] for subject in subjects(sink, "bois@courriel.example")] == [
        "Mutuelle Clairval – information", "Mutuelle Clairval – correction", "Mutuelle Clairval – rectification",
    ]  # fmt: skip
    assert len(subjects(sink, "lac@courriel.example")) == 1

    pack = tmp_path / "proof.zip"
    cli("proof", "export", "--out", pack)
    assert set(cli("proof", "verify", pack, "--json").json["waves"]) == {"initial", "correction", "rectification"}


@pytest.mark.parametrize("approved", [True, False])
@pytest.mark.parametrize("way", ["file", "command"])
def test_I1_who_comes_back_is_not_told_that_it_was_wrong(cli, sink, tmp_path: Path, way: str, approved: bool) -> None:
    both = shop("Lac", "750100125") + shop("Bois", "750712184", RIB)
    first = take(cli, tmp_path / "v.csv", VIAMEDIS + both, "viamedis-professional")
    cli("plan")
    go(cli, "initial")
    if way == "file":
        take(cli, tmp_path / "v2.csv", VIAMEDIS + shop("Lac", "750100125"), "viamedis-professional",
             "--replaces", first)  # fmt: skip
    else:
        cli("hotline", "export", "--out", tmp_path / "known.csv")
        references = [line.split(";")[0] for line in (tmp_path / "known.csv").read_text().splitlines()[1:]]
        found = [cli("people", "find", "--reference", each, "--json").json["persons"][0] for each in references]
        [person] = [each["person"] for each in found if "rib" in str(each["exposures"])]
        cli("people", "withdraw", person, "--reason", "operator", "--why", "told by letter", expect=1)
    cli("plan", "--wave", "rectification")
    if approved:
        cli("approve", "--wave", "rectification", "--yes")
    if way == "file":
        take(cli, tmp_path / "v3.csv", VIAMEDIS + shop("Bois", "750712184", RIB) + "\n", "viamedis-professional")
    else:
        cli("people", "withdraw", person, "--reinstate", "--why", "a mistake")
    cli("send", "--wait", expect=(0, 1, 2))
    assert len(subjects(sink, "bois@courriel.example")) == 1
    standing = cli("status", "--json").json
    assert standing["balances"] is True
    pack = tmp_path / "proof.zip"
    cli("proof", "export", "--out", pack)
    assert cli("proof", "verify", pack, "--json").json["ok"] is True
