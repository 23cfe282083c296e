"""`drill run`: a whole campaign rehearsed, that nobody can take for a real one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from notifier.cli.main import main
from notifier.delivery.diversion import is_marked
from notifier.errors import OperatorError
from notifier.exercise.drill import run_drill
from notifier.notices.appearance import ASKING_TAGS, LOADING_TAGS
from notifier.notices.inspection import look

pytestmark = pytest.mark.thorough


def quiet(_: str) -> None:
    return None


def status(folder: Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["-C", str(folder), "status"])
    return result.exit_code, result.output


def test_i5_a_drill_that_was_cut_off_goes_on_where_it_was(drilled):
    assert drilled.before[-1] == "approve"
    assert drilled.operator.typed == ["approve", "send", "status", "proof", "proof"]
    assert drilled.done.went_well
    assert not drilled.done.already
    book = json.loads((drilled.folder / "exercice.json").read_text("utf-8"))
    facts = {step["name"]: step["facts"] for step in book["steps"]}
    assert facts["approve"]["notifications"] == facts["plan"]["notifications"] > 0, "approved before the cut"


def test_the_report_tells_times_decisions_errors_and_what_would_have_stopped(drilled):
    report = drilled.done.report
    assert report["finished"]
    assert report["to_first_notice_seconds"] > 0
    assert report["messages_per_minute"] > 0
    assert [step["name"] for step in report["steps"]][:2] == ["files", "init"]
    assert all(step["error"] == "" for step in report["steps"])
    assert {decision["answer"] for decision in report["decisions"]} >= {"letter", "resend", "oui"}
    assert {each["where"] for each in report["would_have_stopped"]} >= {"campaign.notify_by", "pace.hours"}
    assert any("rejetée" in each and "(" in each for each in report["errors"])
    assert [each["persons"] for each in report["projections"]] == [10_000, 100_000, 1_000_000]
    assert report["proof"] == {"intact": True, "kind": "drill"}
    assert report == json.loads((drilled.folder / "compte-rendu.json").read_text("utf-8"))


def test_the_report_for_people_is_marked_and_loads_nothing(drilled):
    page = (drilled.folder / "compte-rendu.html").read_text("utf-8")
    sight = look(page)
    assert sight.inked[0].text.startswith("EXERCICE")
    assert "EXERCICE" in sight.inked[-1].text
    assert not {tag for tag, _ in sight.tags} & (LOADING_TAGS | ASKING_TAGS | {"a"})
    assert "http" not in page


def test_every_message_that_came_out_is_marked(drilled):
    kept = sorted((drilled.folder / "messages").glob("*.eml"))
    send = drilled.done.report["steps"]
    assert len(kept) == 20, send
    assert all(is_marked(message.read_bytes()) for message in kept)
    assert all(b".example" in message.read_bytes() for message in kept)


def test_the_kit_of_a_drill_is_marked(drilled):
    pages = sorted((drilled.folder / "trousse").glob("*.md"))
    assert len(pages) == 7
    assert all(page.read_text("utf-8").startswith("**EXERCICE") for page in pages)


def test_i9_the_proof_says_exercice_and_ends_differently(drilled, tmp_path):
    pack = drilled.folder / "preuve-exercice.zip"
    result = CliRunner().invoke(main, ["proof", "verify", str(pack)])
    assert result.exit_code == 3
    assert result.output.startswith("EXERCICE")
    with zipfile.ZipFile(pack) as archive:
        program = archive.extract("verify.py", tmp_path)
        first = json.loads(archive.read("checkpoints.txt").decode().splitlines()[1])
        assert archive.read("checkpoints.txt").startswith(b"notifier-drill/drill-")
        assert first > 0
    alone = subprocess.run([sys.executable, "-I", program, pack], capture_output=True, text=True, check=False)
    assert alone.returncode == 3


def test_run_again_after_its_end_it_says_what_is_there(drilled):
    before = {path: path.read_bytes() for path in drilled.folder.iterdir() if path.is_file()}
    again = run_drill(drilled.order, ask=None, say=quiet, start=drilled.operator)
    assert (again.already, again.report) == (True, drilled.done.report)
    assert before == {path: path.read_bytes() for path in drilled.folder.iterdir() if path.is_file()}


def test_another_drill_or_another_folder_is_refused(drilled, tmp_path):
    with pytest.raises(OperatorError, match="another seed"):
        run_drill(replace(drilled.order, seed=4), ask=None, say=quiet)
    (tmp_path / "letter.txt").write_text("…")
    with pytest.raises(OperatorError, match="not empty"):
        run_drill(replace(drilled.order, folder=tmp_path), ask=None, say=quiet)


def test_a_drill_s_key_and_a_campaign_s_are_refused_in_each_other_s_place(drilled, folder, tmp_path):
    """I9: neither kind of command opens the other's; nothing is changed."""
    drill = Path(shutil.copytree(drilled.folder / "campaign", tmp_path / "drill"))
    assert status(drill)[0] in (0, 1)
    shutil.copy(drill / "campaign.key", folder / "campaign.key")
    code, told = status(folder)
    assert code == 2
    assert "key of a drill" in told
    settings = (drill / "campaign.toml").read_text("utf-8")
    (drill / "campaign.toml").write_text(settings.replace("[drill]\nrecipients = []\n", ""), "utf-8")
    code, told = status(drill)
    assert code == 2
    assert "key of a drill" in told


def test_a_campaign_that_is_told_to_be_a_drill_is_refused(folder):
    with (folder / "campaign.toml").open("a", encoding="utf-8") as file:
        file.write("\n[drill]\nrecipients = []\n")
    code, told = status(folder)
    assert code == 2
    assert "campaign's key" in told


def test_a_drill_asks_and_without_a_terminal_wants_yes(tmp_path):
    result = CliRunner().invoke(main, ["drill", "run", str(tmp_path / "x")])
    assert result.exit_code == 2
    assert "--yes" in result.output
    assert not (tmp_path / "x").exists()


def test_i2_a_test_message_of_a_drill_goes_to_nobody_else_either(drilled):
    words = ["-C", str(drilled.folder / "campaign"), "send", "--test-to", "quelqu-un@orange.fr"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "own list" in result.output
