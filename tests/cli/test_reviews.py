"""`people review` and `people sample` as an operator types them: values at the terminal, never with --json."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from .conftest import Run

pytestmark = pytest.mark.thorough

EXPORT = """NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE
2550814168025;38;LEFEVRE;ANNE ZOE;20/08/1955;1;Clairval;CT0001;E
1690599126111;;MARTIN;PAUL;14/05/1969;1;Clairval;CT0002;E
"""
DIRECTORY = """NUM_ADHERENT;NIR;CLE;DATE_NAISSANCE;RANG;NOM;PRENOM;CIVILITE;LIEN;EMAIL;ADRESSE1;ADRESSE2;CODE_POSTAL;\
VILLE;NUM_CONTRAT;LANGUE;STATUT;ASSUREUR
AD1;2550814168025;38;02/08/1955;1;LEFEVRE;ANNE ZOE;Mme;A;anne@courriel.example;3 rue des Acanthes;;00000;CLAIRVAL;\
CT0001;fr;actif;Clairval
AD2;1690599126111;;14/05/1969;1;MARTIN;PAUL;M.;A;paul@courriel.example;4 rue des Acanthes;;00000;CLAIRVAL;\
CT0002;fr;actif;Clairval
"""
VALUES = ("LEFEVRE", "ANNE", "MARTIN", "PAUL", "1955", "1969", "courriel.example", "Acanthes")


@pytest.fixture
def run(run: Run, tmp_path: Path) -> Run:
    """A campaign with one near-miss (her birth date is written otherwise) and one match, planned."""
    for name, text in (("export.csv", EXPORT), ("directory.csv", DIRECTORY)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    run("intake", "export.csv", "--profile", "viamedis-insured")
    run("directory", "directory.csv", "--profile", "directory", "--as-of", "2024-02-01")
    run("plan", expect=1)
    return run


def test_the_list_shows_values_at_the_terminal_and_none_with_json(run: Run) -> None:
    told = run("people", "review", expect=1).stdout
    assert "Case 1 (near_miss)" in told
    assert "anne@courriel.example" in told
    assert "near: birth date" in told
    answer = run("people", "review", "--json", expect=1).stdout
    body = json.loads(answer)
    assert (body["open"], body["by_reason"]) == (1, {"near_miss": 1})
    [candidate] = body["cases"][0]["candidates"]
    assert {"NIR", "name", "forename"} <= set(candidate["agrees"])
    assert not [value for value in VALUES if value in answer]
    standing = json.loads(run("status", "--json").stdout)  # I1: held, not silently unmatched
    terms = standing["waves"]["initial"]["notifications"]
    assert (standing["balances"], terms["pending"], terms["unmatched"]) == (True, 2, 0)
    assert json.loads(run("people", "review", "--json", "--reason", "ambiguous", expect=1).stdout)["cases"] == []


def test_decided_revised_and_listed(run: Run) -> None:
    run("people", "review", "--case", 1, "--decide", "contact:1", "--why", "même NIR, même adresse")
    assert json.loads(run("people", "review", "--json").stdout)["open"] == 0
    assert json.loads(run("plan", "--json").stdout)["by_route"]["email"] == 2
    assert "decided already" in run("people", "review", "--case", 1, "--decide", "none", expect=2).stderr
    run("people", "review", "--revise", 1, "--decide", "none")
    [case] = json.loads(run("people", "review", "--decided", "--json").stdout)["cases"]
    assert case["decision"] == "none"
    assert json.loads(run("plan", "--json").stdout)["unmatched"] == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--case", 1),
        ("--decide", "none"),
        ("--case", 1, "--revise", 1, "--decide", "none"),
        ("--export", "x.csv", "--case", 1, "--decide", "none"),
        ("--why", "x"),
    ],
)
def test_one_thing_at_a_time(run: Run, words: tuple[object, ...]) -> None:
    assert run("people", "review", *words, expect=2).stderr.startswith("notifier: ")


def test_a_list_goes_out_and_comes_back(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "liste.csv"
    assert json.loads(run("people", "review", "--export", out, "--json").stdout)["cases"] == 1
    assert "liste.csv" in json.loads(run("status", "--json").stdout)["clear_files"][0]
    lines = out.read_text(encoding="utf-8-sig").splitlines()
    head, cells = lines[0].split(";"), lines[1].split(";")
    cells[head.index("decision")] = "oui"
    out.write_text("\n".join((lines[0], ";".join(cells))) + "\n", encoding="utf-8")
    # Nobody to ask: nothing is decided.
    assert "1 decisions (contact 1)" in run("people", "review", "--import", out, expect=2).stderr
    done = json.loads(run("people", "review", "--import", out, "--yes", "--json").stdout)
    assert (done["decided"], done["decisions"], done["undecided"]) == (1, {"contact": 1}, 0)
    again = json.loads(run("people", "review", "--import", out, "--yes", "--json").stdout)
    assert (again["decided"], again["already"]) == (0, 1)


def test_a_sample_and_its_verdict(run: Run) -> None:
    told = run("people", "sample", "-n", 5, "--seed", 3).stdout
    assert "paul@courriel.example" in told
    answer = run("people", "sample", "-n", 5, "--seed", 3, "--json").stdout
    body = json.loads(answer)
    assert (body["n"], body["matched"], body["seed"]) == (1, 1, 3)
    assert not [value for value in VALUES if value in answer]
    assert "--seed" in run("people", "sample", "--verdict", "ok", expect=2).stderr
    assert "a verdict is" in run("people", "sample", "--seed", 3, "--verdict", "fine", expect=2).stderr
    assert "draw another" in run("people", "sample", "--seed", 3, "--shown", "zz", "--verdict", "ok", expect=2).stderr
    shown = ("people", "sample", "-n", 5, "--seed", 3, "--shown", body["sample"])
    assert json.loads(run(*shown, "--verdict", "ok", "--json").stdout)["wrong"] == []
    reference = body["pairs"][0]["person"]
    run(*shown, "--verdict", f"wrong:{reference}", expect=1)
    held = json.loads(run("people", "review", "--reason", "wrong_match", "--json", expect=1).stdout)
    assert held["by_reason"] == {"near_miss": 1, "wrong_match": 1}
    assert json.loads(run("plan", "--json", expect=1).stdout)["by_route"]["email"] == 0


def test_a_withdrawn_file_takes_the_lists_with_it(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "liste.csv"
    run("people", "review", "--export", out)
    sha256 = hashlib.sha256((tmp_path / "export.csv").read_bytes()).hexdigest()
    run("intake", "--undo", sha256[:12], "--yes")
    assert not out.exists()
    assert json.loads(run("status", "--json").stdout)["clear_files"] == []


def _refused_until_planned(run: Run) -> None:
    """I1: what was decided is in no plan yet, so nothing may be frozen; `status` says so first."""
    assert json.loads(run("status", "--json").stdout)["next"].startswith("plan (something was decided")
    assert "run `notifier plan`, then approve" in run("approve", "--yes", expect=2).stderr
    run("plan", expect=(0, 1))
    standing = json.loads(run("status", "--json").stdout)
    assert (standing["awaiting_plan"], standing["next"].startswith("plan")) == ([], False)


def test_I1_a_decision_asks_for_a_plan_before_an_approval(run: Run) -> None:
    run("people", "review", "--case", 1, "--decide", "contact:1")
    _refused_until_planned(run)
    run("people", "review", "--revise", 1, "--decide", "none")
    _refused_until_planned(run)
    body = json.loads(run("people", "sample", "-n", 5, "--seed", 3, "--json").stdout)
    verdict = f"wrong:{body['pairs'][0]['person']}"
    run("people", "sample", "-n", 5, "--seed", 3, "--shown", body["sample"], "--verdict", verdict, expect=1)
    _refused_until_planned(run)


def test_I1_a_reinstatement_asks_for_a_plan_before_an_approval(run: Run, tmp_path: Path) -> None:
    run("status", "--list", "pending", "--out", tmp_path / "pending.csv")
    person = (tmp_path / "pending.csv").read_text().splitlines()[2].split(";")[2]
    run("people", "withdraw", person, "--reason", "decision", "--why", "doublon signalé", "--yes", expect=(0, 1))
    assert json.loads(run("status", "--json").stdout)["awaiting_plan"] == []
    run("people", "withdraw", person, "--reinstate", "--why", "à tort", "--yes", expect=(0, 1))
    _refused_until_planned(run)
