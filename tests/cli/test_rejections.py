"""`intake` on files and with its own commands; rejections listed, disposed of, opened again, and shown in clear."""

from __future__ import annotations

import csv
import gzip
import json
import stat
from pathlib import Path

import click
import pytest
from click.testing import Result
from xlsxwriter import Workbook

from notifier.cli.default_command import FilesOrCommand
from notifier.cli.main import main

from .conftest import Run

HEAD = "NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE"
GOOD = "2550814168025;38;LEFEVRE;ANNE ZOE;02/08/1955;1;X;CT0001;E"
UNBORN = "1690599126111;;MARTIN;ZOE;;1;X;CT9;E"
NAMELESS = ";;;PAUL;14/05/1969;1;X;=CT8+1;E"
PROFILE = ("--profile", "viamedis-insured")


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "reject-dispose"
    path.write_text("\n".join((HEAD, GOOD, UNBORN, NAMELESS, "Total : 3")) + "\n", encoding="utf-8")
    return path


def answer(result: Result) -> dict:
    return json.loads(result.stdout)


def entries(folder: Path, vault, opened, kind: str) -> list[dict]:
    import asyncio

    from sqlalchemy import text

    async def work() -> list[dict]:
        async with opened() as database, database.read() as connection:
            found = await connection.execute(
                text("SELECT subject, body FROM entries WHERE kind = :kind ORDER BY id"), {"kind": kind}
            )
            return [{"subject": subject, **json.loads(body)["facts"]} for subject, body in found]

    return asyncio.run(work())


def test_the_first_word_is_a_command_or_a_file(run: Run, export: Path) -> None:
    """A file named like a command is written with its folder, before or after the options."""
    assert answer(run("intake", "./reject-dispose", *PROFILE, "--json", expect=1))["rows"] == 4
    assert answer(run("intake", *PROFILE, "--json", "./reject-dispose", expect=0))["files"][0]["already_imported"]
    assert "there is no file nosuch" in run("intake", "nosuch", *PROFILE, expect=2).output
    assert "--reason" in run("intake", "reject-dispose", "--all", expect=2).output
    assert "No such option" in run("intake", "--nosuch", expect=2).output
    assert "name at least one file" in run("intake", expect=2).output


def test_help_shows_both_forms(run: Run) -> None:
    shown = run("intake", "--help").output
    assert "intake [OPTIONS] FILE..." in shown
    assert "reject-dispose" in shown
    assert "FILE..." not in run("intake", "reject-dispose", "--help").output


def test_every_form_takes_json_and_yes() -> None:
    intake = main.commands["intake"]
    assert isinstance(intake, FilesOrCommand)
    for command in (intake, *intake.commands.values()):
        assert {"--json", "--yes"} <= {
            option for each in command.params if isinstance(each, click.Option) for option in each.opts
        }


def test_rejections_are_listed_disposed_of_and_opened_again(run: Run, export: Path, folder, vault, opened) -> None:
    sha = answer(run("intake", export, *PROFILE, "--json", expect=1))["files"][0]["sha256"]
    listed = answer(run("intake", "rejections", "--json", expect=1))
    assert listed["open"] == 2
    assert listed["states"]["not_a_person"] == 1
    assert listed["files"] == [
        {"sha256": sha, "kind": "export", "name": "reject-dispose", "open": {"birth_missing": 1, "name_missing": 1}}
    ]
    status = answer(run("status", "--json"))
    assert status["rows"] == {"read": 4, "records": 1, "rejections": 3, "open_rejections": 2}
    assert "birth_missing 1" in run("status").output

    asked = run("intake", "reject-dispose", f"{sha[:12]}:3", "--reason", "asked jean@mail.example", expect=2)
    assert "Dispose of 1 rejection in 1 file (birth_missing 1)?" in asked.output
    assert answer(run("intake", "rejections", "--json", expect=1))["open"] == 2, "nobody said yes"
    done = answer(
        run("intake", "reject-dispose", f"{sha[:12]}:3-3", "--reason", "asked jean@mail.example", "--yes", "--json")
    )
    assert (done["count"], done["open"]) == (1, 1)
    run("intake", "reject-dispose", "--all", "--code", "name_missing", "--reason", "test row", "--yes")
    assert answer(run("intake", "rejections", "--json"))["open"] == 0
    assert entries(folder, vault, opened, "rejections_disposed") == [
        {"subject": sha, "count": 1, "codes": {"birth_missing": 1}, "reason": "asked <recipient>", "by": "Nour Diallo"},
        {"subject": sha, "count": 1, "codes": {"name_missing": 1}, "reason": "test row", "by": "Nour Diallo"},
    ]
    assert answer(run("status", "--json"))["rows"]["rejections"] == 3
    assert answer(run("intake", "reject-dispose", sha, "--reopen", "--yes", "--json"))["open"] == 2
    assert [each["count"] for each in entries(folder, vault, opened, "rejections_reopened")] == [2]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--all", "00000000", "--reason", "x"], "or --all"),
        (["--reason", "x"], "or --all"),
        (["00000000", "--reason", "x"], "no file that was taken in"),
        (["0000", "--reason", "x"], "8 or more digits"),
        (["00000000:9-3", "--reason", "x"], "before the first"),
        (["--all", "--reason", "x", "--code", "nosuch"], "nosuch"),
        (["--all", "--reason", "x"], "no rejection there is open"),
        (["--all", "--reopen"], "no rejection there is disposed of"),
        (["--all", "--reopen", "--reason", "x"], "takes no reason"),
    ],
)
def test_what_cannot_be_disposed_of_is_told(run: Run, words: list[str], says: str) -> None:
    assert says in run("intake", "reject-dispose", *words, "--yes", expect=2).output


def test_the_list_has_no_values(run: Run, export: Path, tmp_path: Path) -> None:
    run("intake", export, *PROFILE, expect=1)
    out = tmp_path / "list.csv"
    assert answer(run("intake", "rejections", "--all", "--out", out, "--json", expect=1))["listed"] == 3
    text = out.read_text("utf-8-sig")
    lines = list(csv.DictReader(text.splitlines(), delimiter=";"))
    assert [(each["line"], each["code"], each["etat"]) for each in lines] == [
        ("3", "birth_missing", "ouvert"), ("4", "name_missing", "ouvert"), ("5", "trailer", "ne concerne personne"),
    ]  # fmt: skip
    assert "MARTIN" not in text
    assert "1690599126111" not in text


def values_of(folder: Path, sha: str) -> list[list[str]]:
    path = folder / "rejections" / f"{sha[:12]}-values.csv"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return list(csv.reader(path.read_text("utf-8-sig").splitlines(), delimiter=";"))


@pytest.mark.parametrize("packed", [False, True])
def test_values_only_when_asked_registered_and_removed_with_the_import(
    run: Run, export: Path, folder, vault, opened, packed: bool
) -> None:
    path = export
    if packed:
        path = export.with_suffix(".gz")
        path.write_bytes(gzip.compress(export.read_bytes()))
    sha = answer(run("intake", path, *PROFILE, "--json", expect=1))["files"][0]["sha256"]
    assert not list((folder / "rejections").glob("*-values.csv"))
    # The file is in already: nothing changes, and the values are written all the same.
    again = run("intake", path, *PROFILE, "--with-values")
    assert "personal data in clear" in again.stderr
    found = values_of(folder, sha)
    assert found[0][:4] == ["line", "column", "code", "explication"]
    assert [(row[0], row[2], row[4]) for row in found[1:]] == [
        ("3", "birth_missing", UNBORN), ("4", "name_missing", NAMELESS), ("5", "trailer", "Total : 3"),
    ]  # fmt: skip
    assert answer(run("status", "--json"))["clear_files"] == [f"rejections/{sha[:12]}-values.csv"]
    assert "In clear: rejections/" in run("status").output
    assert entries(folder, vault, opened, "clear_file_written") == [
        {"subject": sha, "kind": "rejections", "source": sha, "rows": 3, "by": "Nour Diallo"}
    ]
    run("intake", "--undo", sha, "--yes")
    assert not list((folder / "rejections").glob("*"))
    assert answer(run("status", "--json"))["clear_files"] == []
    assert [each["files"] for each in entries(folder, vault, opened, "clear_file_removed")] == [1]


def test_values_of_a_workbook_are_its_cells_disarmed(run: Run, tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "export.xlsx"
    with Workbook(path) as workbook:
        sheet = workbook.add_worksheet()
        for number, row in enumerate((HEAD, GOOD, UNBORN, NAMELESS)):
            for column, cell in enumerate(row.split(";")):
                sheet.write_string(number, column, cell)
    sha = answer(run("intake", path, *PROFILE, "--with-values", "--json", expect=1))["files"][0]["sha256"]
    found = values_of(folder, sha)
    assert found[0][4:] == HEAD.split(";")
    assert found[1][4:] == UNBORN.split(";")
    assert found[2][4:] == NAMELESS.replace("=", "'=").split(";")


def test_a_record_over_several_lines_is_shown_whole(run: Run, tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "export.csv"
    broken = '2550814168025;38;"LEF\nEV\nRE";ANNE;02/08/1955;1;X;CT1;E'
    path.write_bytes("\r\n".join((HEAD, broken, GOOD, UNBORN)).encode("cp1252"))
    sha = answer(run("intake", path, *PROFILE, "--with-values", "--json", expect=1))["files"][0]["sha256"]
    text = (folder / "rejections" / f"{sha[:12]}-values.csv").read_bytes().decode("utf-8-sig")
    found = list(csv.reader(text.splitlines(keepends=True), delimiter=";"))
    assert [(row[0], row[4]) for row in found[1:]] == [("2", broken), ("6", UNBORN)]


def test_other_bytes_under_the_same_name_give_no_values(run: Run, export: Path, folder: Path, vault, opened) -> None:
    """The file is told by its bytes: what is there now is taken in as what it is."""
    first = answer(run("intake", export, *PROFILE, "--json", expect=1))["files"][0]["sha256"]
    export.write_text(f"{HEAD}\n{GOOD}\n{UNBORN}\n", encoding="utf-8")
    second = answer(run("intake", export, *PROFILE, "--with-values", "--json", expect=1))["files"][0]["sha256"]
    assert first != second
    assert [path.name for path in (folder / "rejections").glob("*-values.csv")] == [f"{second[:12]}-values.csv"]
