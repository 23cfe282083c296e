"""A file that arrives after the plan: no approval over its head (I1); an override after approval stops `send` (I7)."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

HEAD = "RAISON_SOCIALE;NOM;PRENOM;PROFESSION;EMAIL;TELEPHONE;ADRESSE;CODE_POSTAL;VILLE;LOGIN;RIB;SIRET;FINESS\n"


def pharmacy(name: str, finess: str) -> str:
    return f"Pharmacie {name};Roux;Léa;Pharmacien;{name.lower()}@courriel.example;;1 quai;00000;Y;lr;;;{finess}\n"


def test_i1_i7_a_late_file_is_planned_before_it_is_approved(cli, sink, tmp_path: Path) -> None:
    first, late = tmp_path / "first.csv", tmp_path / "late.csv"
    first.write_text(HEAD + pharmacy("Lac", "750100125"), encoding="utf-8")
    late.write_text(HEAD + pharmacy("Bois", "750712184") + pharmacy("Lac", "750100125"), encoding="utf-8")
    cli("intake", first, "--profile", "viamedis-professional")
    cli("plan")
    cli("intake", late, "--profile", "viamedis-professional")
    standing = cli("status", "--json", expect=1).json
    assert standing["balances"] is False  # two persons are owed a notice, one has it planned
    assert standing["next"].startswith("plan")
    assert "plan" in cli("approve", "--yes", expect=2).err
    cli("plan")
    assert cli("approve", "--yes", "--json").json["notifications"] == 2
    cli("send", "--wait")
    assert sorted(sink.mailboxes) == ["bois@courriel.example", "lac@courriel.example"]
    assert cli("status", "--json").json["balances"] is True


@pytest.mark.thorough
def test_i7_an_override_of_what_was_approved_stops_the_sending(cli, sink, tmp_path: Path) -> None:
    export = tmp_path / "first.csv"
    export.write_text(HEAD + pharmacy("Lac", "750100125"), encoding="utf-8")
    cli("intake", export, "--profile", "viamedis-professional")
    cli("plan")
    cli("approve", "--yes")
    answer = cli("send", expect=2, NOTIFIER_RELAY__PORT="2")
    assert "relay.port" in answer.err
    assert sink.accepted == []
    settings = cli.campaign / "campaign.toml"
    settings.write_text(
        settings.read_text(encoding="utf-8").replace("Mutuelle Clairval", "Mutuelle Claire"), encoding="utf-8"
    )
    assert "senders" in cli("send", expect=2).err
    settings.write_text(
        settings.read_text(encoding="utf-8").replace("Mutuelle Claire", "Mutuelle Clairval"), encoding="utf-8"
    )
    cli("send", "--wait")
    assert len(sink.accepted) == 1
