"""A spouse without a mailbox, told at the contract's: own notice, own name, the holder's address (DESIGN 7)."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

HEAD = "NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE\n"
DIRECTORY_HEAD = (
    "NUM_ADHERENT;NIR;CLE;DATE_NAISSANCE;RANG;NOM;PRENOM;CIVILITE;LIEN;EMAIL;ADRESSE1;ADRESSE2;CODE_POSTAL;VILLE;"
    "NUM_CONTRAT;LANGUE;STATUT;ASSUREUR\n"
)
HOLDER, SPOUSE = "1750999126111", "2760999126112"


def key(nir13: str) -> str:
    return f"{97 - int(nir13) % 97:02d}"


def test_i2_two_messages_at_one_mailbox_each_to_its_own_person(cli, sink, tmp_path: Path) -> None:
    export, directory = tmp_path / "export.csv", tmp_path / "directory.csv"
    export.write_text(
        HEAD
        + f"{HOLDER};{key(HOLDER)};ROUX;BASILE;14/09/1975;1;X;C100;CONFORT\n"
        + f"{SPOUSE};{key(SPOUSE)};ROUX;CLÉMENCE;15/09/1976;1;X;C100;CONFORT\n",
        encoding="cp1252",
    )
    directory.write_text(
        DIRECTORY_HEAD
        + f"A1;{HOLDER};{key(HOLDER)};14/09/1975;1;Roux;Basile;M;A;foyer.roux@courriel.example;1 rue X;;00000;Y;C100;"
        "fr;actif;X\n"
        + f"A2;{SPOUSE};{key(SPOUSE)};15/09/1976;1;Roux;Clémence;MME;C;;1 rue X;;00000;Y;C100;fr;actif;X\n",
        encoding="utf-8",
    )
    cli.environment["NOTIFIER_HOUSEHOLDS__ADULT_DEPENDANTS"] = "contract_mailbox"
    cli("intake", export, "--profile", "viamedis-insured")
    cli("directory", directory, "--profile", "directory")
    assert cli("plan", "--json").json["by_route"] == {"email": 2, "post": 0, "none": 0}
    cli("approve", "--yes")
    cli("send", "--wait")
    found = {}
    for recipient, message in sink.messages():
        assert recipient == "foyer.roux@courriel.example" == message["To"].addresses[0].addr_spec
        text = message.get_body(("plain",)).get_content()
        (name,) = (name for name in ("Basile Roux", "Clémence Roux") if f"Bonjour {name}" in text)
        assert name in message["Subject"]
        other = {"Basile Roux": "Clémence", "Clémence Roux": "Basile"}[name]
        assert other not in text
        found[name] = text
    assert set(found) == {"Basile Roux", "Clémence Roux"}
    assert cli("status", "--json").json["waves"]["initial"]["notifications"]["handed_over"] == 2
