"""The main job on synthetic exports: what the relay took is the list in truth.jsonl, each person once (I1–I3)."""

from collections import Counter
from pathlib import Path

from notifier.drill.truth import TruthLine, expected_messages, read_truth

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
