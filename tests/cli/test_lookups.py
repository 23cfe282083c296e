"""`people find`, `people withdraw`, `hotline export`, `status --by | --bridge | --other-side` on a drill's files."""

from __future__ import annotations

import csv
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result

from notifier.drill.truth import read_truth

from .conftest import Run

pytestmark = pytest.mark.thorough

EXPORTS = ("viamedis-insured.csv", "almerys-insured.csv", "viamedis-professional.xlsx", "almerys-professional.xlsx")


@pytest.fixture
def files(run: Run, tmp_path: Path) -> Path:
    """A drill's files, taken in and planned."""
    out = tmp_path / "x"
    run("drill", "exports", "--insured", "60", "--professionals", "8", "--seed", "7", "--out", out)
    for name in EXPORTS:
        run("intake", out / name, "--profile", Path(name).stem, expect=(0, 1))
    run("directory", out / "directory.csv", "--profile", "directory", "--as-of", "2024-01-31")
    run("plan", expect=(0, 1))
    return out


def answer(result: Result) -> dict:
    return json.loads(result.stdout)


def journaled(folder: Path, kind: str) -> list[dict]:
    with closing(sqlite3.connect(folder / "campaign.db")) as database:
        rows = database.execute("SELECT body FROM entries WHERE kind = ? ORDER BY id", (kind,)).fetchall()
    return [json.loads(body)["facts"] for (body,) in rows]


def test_I1_coverage_says_what_the_truth_says(run: Run, files: Path) -> None:
    lines = list(read_truth(files / "truth.jsonl"))
    both = [line for line in lines if len({each.split(":")[0] for each in line.exposures}) == 2]

    bridge = answer(run("status", "--bridge", "--json"))["bridge"]
    assert bridge["adds_up"]
    assert bridge["persons"] == len(lines)
    assert bridge["other_incident"] == len(both) > 0
    counted = ("unreadable", "same_row", "same_person", "another_file", "other_incident")
    assert bridge["rows"] - sum(bridge[term] for term in counted) == len(lines)

    incidents = answer(run("status", "--by", "incident", "--json"))
    assert incidents["balances"]
    groups = incidents["waves"]["initial"]
    assert groups["almerys + viamedis"]["owed"] == len(both)
    assert sum(group["owed"] for group in groups.values()) == len(lines) == incidents["totals"]["initial"]["owed"]

    audiences = answer(run("status", "--by", "audience", "--json"))["waves"]["initial"]
    for audience, group in audiences.items():
        assert group["owed"] == sum(line.audience == audience for line in lines)
    shown = run("status", "--by", "file", "--bridge", "--other-side").stdout
    assert "It balances." in shown
    assert "It adds up." in shown
    assert "in no export" in shown


def test_a_person_is_found_taken_out_and_taken_in_again(run: Run, files: Path, folder: Path, tmp_path: Path) -> None:
    with (files / "viamedis-insured.csv").open(encoding="cp1252", newline="") as file:
        row = next(each for each in csv.DictReader(file, delimiter=";") if each["PRENOM"] and len(each["NIR"]) == 13)
    said = f"{row['NIR']}\n{row['DATE_NAISSANCE']}\n{row['PRENOM']}\n"
    result = run("people", "find", "--with", "nir", "--json", typed=said)
    found = answer(result)
    assert found["concerned"]
    assert row["NOM"] not in result.stdout
    assert row["NIR"] not in result.output
    [person] = [each["person"] for each in found["persons"] if each["relation"] == "own"]

    words = ("people", "withdraw", person[:12], "--reason", "exempt", "--article", "a", "--why", "données chiffrées")
    assert answer(run(*words, "--json", expect=(0, 1)))["withdrawn"] == 1
    assert answer(run(*words, "--json"))["already"] == 1
    assert answer(run("people", "find", "--reference", person, "--json"))["persons"][0]["excluded"] == "exempt"
    standing = answer(run("status", "--json"))
    assert standing["balances"]
    assert standing["waves"]["initial"]["notifications"]["excluded"] >= 1
    run("people", "withdraw", person[:12], "--reinstate", "--why", "décision revue")
    run("plan", expect=(0, 1))
    assert answer(run("people", "find", "--reference", person, "--json"))["persons"][0]["excluded"] == ""

    [excluded] = journaled(folder, "person_excluded")
    assert excluded == {"reason": "exempt", "why": "34(3)(a): données chiffrées", "by": "Nour Diallo"}
    looked = journaled(folder, "person_looked_up")
    assert {facts["how"] for facts in looked} == {"identity", "reference"}
    assert row["NIR"] not in json.dumps(looked)


def test_the_proof_holds_after_an_approved_person_is_taken_out(run: Run, files: Path, tmp_path: Path) -> None:
    run("approve", "--yes")
    run("status", "--list", "pending", "--out", tmp_path / "pending.csv")
    with (tmp_path / "pending.csv").open(encoding="utf-8") as file:
        listed = [line["personne"] for line in csv.DictReader(file, delimiter=";")]
    (tmp_path / "gone.txt").write_text("\n".join(listed[:6]) + "\n", encoding="utf-8")
    made = answer(
        run(
            *("people", "withdraw", "--import", tmp_path / "gone.txt", "--reason", "operator"),
            *("--why", "retrait du 12 février", "--json"),
            expect=(0, 1),
        )
    )
    assert (made["withdrawn"], made["begun"]) == (6, 0)
    assert made["taken_back"] > 0
    pack = tmp_path / "proof.zip"
    run("proof", "export", "--out", pack)
    assert answer(run("proof", "verify", pack, "--json"))["ok"]
    run("plan", expect=(0, 1))
    run("approve", "--yes")
    run("proof", "export", "--out", pack, "--yes")
    verdict = answer(run("proof", "verify", pack, "--json"))
    assert verdict["ok"]
    assert verdict["waves"]["initial"]["excluded"] >= 6


@pytest.mark.thorough
def test_I2_a_contact_of_another_sender_stops_check_and_approve(run: Run, files: Path, folder: Path) -> None:
    assert "contact-of-another-sender" not in run("check", "--json", expect=(0, 1, 2, 75)).stdout
    with closing(sqlite3.connect(folder / "campaign.db")) as database, database:
        database.execute("UPDATE contacts SET sender = 'valmont' WHERE id = (SELECT MIN(contact_id) FROM persons)")
    [finding] = [
        each
        for each in answer(run("check", "--json", expect=(1, 2, 75)))["findings"]
        if each["code"] == "contact-of-another-sender"
    ]
    assert finding["severity"] == "error"
    assert "another sender" in run("approve", "--yes", expect=2).output


def test_the_helplines_list_is_journaled_and_empty_before_anything_went_out(
    run: Run, files: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "hotline.csv"
    assert answer(run("hotline", "export", "--out", out, "--json"))["references"] == 0
    assert out.read_bytes() == b"reference;date;vague;emetteur\r\n"
    assert journaled(folder, "hotline_exported") == [{"by": "Nour Diallo", "wave": "", "references": 0}]
    run("hotline", "export", "--out", out, expect=2)
    run("hotline", "export", "--out", tmp_path / "y.csv", "--wave", "nosuch", expect=2)


@pytest.mark.parametrize(
    "words",
    [
        ["people", "find"],
        ["people", "find", "--reference", "AAAA-BBBB-CCCC", "--with", "nir"],
        ["people", "find", "--reference", "Jeanne"],
        ["people", "withdraw", "--reason", "deceased", "--why", "x"],
        ["people", "withdraw", "0123456789ab", "--reason", "deceased"],
        ["people", "withdraw", "0123456789ab", "--why", "x"],
        ["people", "withdraw", "0123456789ab", "--why", "x", "--reason", "exempt"],
        ["people", "withdraw", "0123456789ab", "--why", "écrit à a@exemple.example", "--reason", "decision"],
        ["people", "withdraw", "0123456789ab", "--why", "x", "--reason", "decision"],
    ],
)
def test_I8_an_error_is_one_line_and_repeats_nothing(run: Run, words: list[str]) -> None:
    result = run(*words, expect=2)
    assert "Jeanne" not in result.output
    assert "exemple.example" not in result.output
