"""The main job on synthetic exports: what the relay took is the list in truth.jsonl, each person once (I1–I3)."""

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from notifier.drill.households import HARD_CASES
from notifier.drill.names import AGENCY_MAILBOX
from notifier.drill.truth import TruthLine, expected_messages, read_truth

pytestmark = pytest.mark.thorough

EXPORTS = (
    ("viamedis-insured", "viamedis-insured.csv"),
    ("almerys-insured", "almerys-insured.csv"),
    ("viamedis-professional", "viamedis-professional.xlsx"),
    ("almerys-professional", "almerys-professional.xlsx"),
)


def _alone(line: TruthLine) -> bool:
    return line.told == "own" or (line.told == "holder" and line.route == "none")


def walk(cli, files: Path) -> None:
    for profile, name in EXPORTS:
        cli("intake", files / name, "--profile", profile, expect=(0, 1))
    cli("directory", files / "directory.csv", "--profile", "directory", "--as-of", "2024-01-31")
    cli("plan", expect=(0, 1))
    cli("approve", "--yes")


def test_i1_i2_i3_the_relay_took_what_the_truth_says(cli, sink, tmp_path: Path) -> None:
    files = tmp_path / "x"
    cli("drill", "exports", "--insured", "700", "--professionals", "60", "--seed", "7", "--out", files)
    lines = list(read_truth(files / "truth.jsonl"))
    walk(cli, files)
    cli("send", "--wait", expect=(0, 1))

    assert sink.mailboxes == expected_messages(lines)

    standing = cli("status", "--json").json
    assert standing["balances"] is True
    assert standing["persons"] == len(lines)
    terms = standing["waves"]["initial"]["notifications"]
    assert terms["owed"] == len(lines)
    assert terms["handed_over"] == sum(line.route == "email" for line in lines)
    assert terms["post"] == sum(line.route == "post" for line in lines)
    assert terms["excluded"] == sum(bool(line.excluded) for line in lines)
    assert terms["pending"] == terms["in_doubt"] == 0

    # Who is told what: every person told on their own stands in the segment of their audience and exposures (so do
    # children whom no notice to a holder reaches: there is nobody to name them to).
    plan = cli("plan", "--json", expect=(0, 1)).json
    owed = Counter((line.audience, line.exposures) for line in lines if _alone(line))
    planned: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for segment in plan["segments"]:
        if segment["form"] == "own":
            planned[segment["audience"], tuple(segment["exposures"])] += segment["notifications"]
    assert planned == owed

    # Everything again: nothing new goes out.
    before = len(sink.accepted)
    walk(cli, files)
    cli("send", "--wait", expect=(0, 1))
    assert len(sink.accepted) == before


@pytest.mark.thorough
def test_i1_i2_all_cases_with_an_old_directory_and_a_corrected_file(cli, sink, tmp_path: Path) -> None:
    """Guardianship, opposition, separated parents, past members of an old directory, a corrected file, a chain."""
    files = tmp_path / "x"
    cli("drill", "exports", "--insured", "330", "--professionals", "20", "--seed", "3", "--all-cases", "--out", files)
    lines = list(read_truth(files / "truth.jsonl"))
    assert {line.case for line in lines} >= HARD_CASES
    own = cli.campaign / "data" / "mailboxes.toml"
    own.parent.mkdir(exist_ok=True)
    own.write_text(f'[placeholders]\nwords = []\naddresses = ["{AGENCY_MAILBOX}"]\n[typos]\n', encoding="utf-8")
    cli("directory", files / "directory-old.csv", "--profile", "directory", "--as-of", "2021-06-30")
    for profile, name in EXPORTS:
        cli("intake", files / name, "--profile", profile, expect=(0, 1))
    whole = ("directory", files / "directory.csv", "--profile", "directory", "--as-of", "2024-01-31", "--replace")
    ended = cli(*whole, "--json").json["files"][0]["ended"]
    assert ended == sum(line.case == "old_directory" for line in lines)
    earlier = hashlib.sha256((files / "viamedis-insured.csv").read_bytes()).hexdigest()
    corrected = ("intake", files / "viamedis-insured-corrected.csv", "--profile", "viamedis-insured", "--replaces")
    made = cli(*corrected, earlier[:12], "--json", expect=(0, 1)).json["files"][0]["correction"]
    assert made["vanished"] == sum(line.excluded == "operator" for line in lines) > 0
    cli("plan", expect=(0, 1))
    cli("approve", "--yes")
    cli("send", "--wait", expect=(0, 1))

    assert sink.mailboxes == expected_messages(lines)
    standing = cli("status", "--json").json
    assert standing["balances"] is True
    assert standing["persons"] == len(lines)
    terms = standing["waves"]["initial"]["notifications"]
    for term, route in (("handed_over", "email"), ("post", "post")):
        assert terms[term] == sum(line.route == route for line in lines)
    assert terms["excluded"] == sum(bool(line.excluded) for line in lines)
    assert terms["pending"] == terms["in_doubt"] == 0
    pack = tmp_path / "proof.zip"
    cli("proof", "export", "--out", pack)
    assert cli("proof", "verify", pack, "--json").json["ok"] is True
