"""A file of an unknown layout arrives: a draft, a look, a finished profile, and the file is taken in."""

import json
from pathlib import Path

import pytest

from notifier.campaign import shipped

pytestmark = pytest.mark.thorough


def test_from_an_unknown_layout_to_an_intake(cli, tmp_path: Path) -> None:
    sample = (shipped("data") / "samples" / "viamedis-insured.csv").read_text(encoding="cp1252")
    export = tmp_path / "unknown.csv"
    head, _, rows = sample.partition("\n")
    assert head.rstrip() == "NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE"
    lines = [f"{line};12,50" for line in rows.splitlines()]
    export.write_text("\n".join(["NNI;clé;NOM;PRÉNOM;Né le;RANG;AMC;POLICE;FORMULE;SOLDE", *lines]), encoding="utf-8")

    assert "unknown column" in cli("intake", export, "--profile", "viamedis-insured", expect=2).err
    own = cli.campaign / "data" / "profiles"
    own.mkdir(parents=True, exist_ok=True)
    path = own / "new.toml"
    drafted = cli("profile", "draft", export, "--out", path, "--json", expect=1).json
    assert (drafted["family"], drafted["not_recognised"]) == ("insured", 1)
    text = path.read_text(encoding="utf-8")
    assert "12,50" not in text
    assert "is there already" in cli("profile", "draft", export, "--out", path, expect=2).err

    finished = text.replace('incident = ""', 'incident = "viamedis"').replace("# ignored = [", "ignored = [")
    path.write_text(finished.replace('#   "SOLDE"', '"SOLDE"').replace("# ]", "]"), encoding="utf-8")
    seen = cli("profile", "check", export, "--profile", "new", "--rows", "0", expect=1)
    assert "accepted" in seen.out
    assert "NIR ok" in seen.out
    for nir in (line.partition(";")[0] for line in rows.splitlines()):
        assert len(nir) < 13 or nir not in seen.out
    counted = json.loads(cli("profile", "check", export, "--profile", "new", "--rows", "0", "--json", expect=1).out)
    assert cli("status", "--json").json["rows"]["read"] == 0

    taken = cli("intake", export, "--profile", "new", "--json", expect=1).json
    assert (taken["rows"], taken["rejections"]) == (counted["rows"], counted["rejected"])
