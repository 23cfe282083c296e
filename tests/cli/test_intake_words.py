"""What `intake` and its neighbours say at two in the morning: what happened, and the command that comes next."""

from __future__ import annotations

import signal
import zipfile
from pathlib import Path

import pytest

from notifier.campaign import shipped
from notifier.cli.terminal import guarded

from .conftest import Run

HEAD = "NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE"
GOOD = "2550814168025;38;LEFEVRE;ANNE ZOE;02/08/1955;1;X;CT0001;E"
UNBORN = "1690599126111;;MARTIN;ZOE;;1;X;CT9;E"
PROFILE = ("--profile", "viamedis-insured")


def export(path: Path, *rows: str) -> Path:
    path.write_text("\n".join((HEAD, *rows)) + "\n", encoding="utf-8")
    return path


def test_the_draft_of_a_first_profile_makes_its_folder(run: Run, folder: Path, tmp_path: Path) -> None:
    """A new campaign has no data/profiles yet; docs/profiles.md begins with this command."""
    assert not (folder / "data").exists()
    file = export(tmp_path / "x.csv", GOOD)
    said = run("profile", "draft", file, "--out", folder / "data" / "profiles" / "new.toml")
    assert "`notifier profile check FILE --profile new`" in said.output
    assert (folder / "data" / "profiles" / "new.toml").is_file()


def test_a_wrong_profile_is_told_with_the_one_that_fits(run: Run, tmp_path: Path) -> None:
    file = export(tmp_path / "x.csv", GOOD)
    for words in (("intake",), ("profile", "check")):
        said = run(*words, file, "--profile", "almerys-insured", expect=2).output
        assert "missing column" in said
        assert "these are the headings of the profile viamedis-insured" in said
    members = shipped("data") / "samples" / "directory.csv"
    assert "the profile directory (for `notifier directory`)" in run("intake", members, *PROFILE, expect=2).output


def test_what_is_held_is_the_next_step(run: Run, folder: Path, tmp_path: Path) -> None:
    settings = folder / "campaign.toml"
    text = settings.read_text("utf-8")
    settings.write_text(text.replace('names = ["*"]', 'names = ["Clairval"]'), encoding="utf-8")
    said = run("intake", export(tmp_path / "x.csv", GOOD), *PROFILE, expect=1).output
    assert "Next: `notifier senders list`" in said
    assert "then `notifier plan`" not in said


def test_a_file_held_for_its_rejections_tells_the_share_and_the_limit(run: Run, tmp_path: Path) -> None:
    rows = [GOOD.replace("LEFEVRE", f"LEFEVRE{chr(65 + index)}") for index in range(18)]
    said = run("intake", export(tmp_path / "x.csv", *rows, UNBORN, UNBORN), *PROFILE, expect=1).output
    assert "held: 2 of 20 rows are rejected" in said
    assert "birth_missing 2" in said
    assert "the limit is 5 %" in said


def test_lines_of_totals_hold_no_file_and_leave_nothing_to_decide(run: Run, tmp_path: Path) -> None:
    rows = [GOOD.replace("LEFEVRE", f"LEFEVRE{chr(65 + index)}") for index in range(20)]
    said = run("intake", export(tmp_path / "x.csv", *rows, "Total : 20", "Fin de fichier"), *PROFILE).output
    assert "22 rows = 20 records + 2 rejected" in said
    assert "2 of them lines of totals" in said
    assert "Rejected rows of exports: 2 not_a_person" in run("intake", "rejections", "--all").output


def test_the_same_file_twice_in_a_call_is_counted_once(run: Run, tmp_path: Path) -> None:
    file = export(tmp_path / "x.csv", GOOD)
    assert "\n1 rows = 1 records + 0 rejected." in run("intake", file, file, *PROFILE).output


def test_the_operators_name_is_added_by_a_command(run: Run, folder: Path) -> None:
    settings = folder / "campaign.toml"
    text = settings.read_text("utf-8")
    settings.write_text(text.replace('names = ["*"]', 'names = ["Clairval"]'), encoding="utf-8")
    file = shipped("data") / "samples" / "viamedis-professional.xlsx"
    said = run("intake", file, "--profile", "viamedis-professional", expect=2).output
    assert "`notifier senders add-name CODE Viamedis`" in said


def test_a_damaged_file_in_an_archive_is_told_with_the_way_round_it(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("export.csv", f"{HEAD}\n{GOOD}\n")
        archive.writestr("note.docx", b"PK\x03\x04" + b"x" * 400)
    assert "--member PATTERN" in run("intake", path, *PROFILE, expect=2).output


def test_an_unknown_import_is_told_before_anybody_is_asked(run: Run) -> None:
    assert "8 or more" in run("intake", "--undo", "12", expect=2).output
    assert "no import of a file" in run("intake", "--undo", "0" * 8, expect=2).output


def test_a_held_file_that_is_freed_is_told_like_any_other(run: Run, folder: Path, tmp_path: Path) -> None:
    settings = folder / "campaign.toml"
    text = settings.read_text("utf-8")
    settings.write_text(text.replace('names = ["*"]', 'names = ["Clairval"]'), encoding="utf-8")
    rows = (GOOD, GOOD.replace(";38;", ";39;"), "Total : 2")
    run("intake", export(tmp_path / "x.csv", *rows), *PROFILE, expect=1)
    said = run("senders", "add-name", "clairval", "X").output
    assert "1 accepted, 0 repaired, 1 warned, 1 rejected" in said
    assert "warned: nir_key 1" in said
    assert "clairval: 1 name added" in said


def test_what_a_spreadsheet_rounded_tells_no_two_rows_apart(run: Run, tmp_path: Path) -> None:
    """I1: two persons of one name, born on one day, whose NIRs were both rounded, are not one who came twice."""
    rounded = "2,55081E+14;;LEFEVRE;ANNE;02/08/1955;1;X;;E"
    run("intake", export(tmp_path / "x.csv", GOOD, rounded, rounded), *PROFILE, expect=1)
    assert "2 open" in run("intake", "rejections", expect=1).output


def test_ctrl_c_says_what_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    def stopped() -> int:
        signal.raise_signal(signal.SIGINT)
        return 0

    assert guarded(stopped) == 130
    assert "run the command again" in capsys.readouterr().err
