"""What an operations team does at night: the wrong order, a full or closed pipe, a misspelt name, Ctrl-C twice, a relay
that turns everybody away. Each gets a true line and the right exit code, and nothing stops that should go on."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

HEAD = "NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE\n"
ROW = "2950999126111;93;MARTIN;Zoé;14/09/1995;1;X;C100;CONFORT\n"


def one_line(answer) -> str:
    lines = answer.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("notifier: "), answer.err
    return lines[0]


def test_the_wrong_order_and_a_misspelt_wave(cli) -> None:
    assert "plan" in one_line(cli("approve", "--yes", expect=2))
    assert "plan" in one_line(cli("send", expect=2))
    cli("plan")
    for command in ("check", "preview", "approve", "send"):
        assert "'inital'" in one_line(cli(command, "--wave", "inital", expect=2))


def test_a_folder_that_was_named_and_is_no_campaign_is_told(cli, tmp_path: Path) -> None:
    lost = str(tmp_path / "lost")
    assert "campaign.toml" in one_line(type(cli)(tmp_path / "lost")(expect=2))
    assert "campaign.toml" in one_line(type(cli)(Path(), {"NOTIFIER_CAMPAIGN": lost})("-C", lost, expect=2))
    assert cli("--json").json["balances"] is True, "`notifier` alone takes --json too"


def test_what_the_machine_refuses_is_one_line_that_names_the_file(cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for arguments in (
        ("init", tmp_path / "file" / "campaign"),
        ("status", "--list", "post", "--out", tmp_path / "nowhere" / "post.csv"),
        ("drill", "exports", "--out", tmp_path / "file" / "exports"),
    ):
        assert str(tmp_path) in one_line(cli(*arguments, expect=2))


def test_a_reader_that_has_gone_changes_no_exit_code(cli) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            cli.argv("status", "--json"), env=cli.env(), stdout=write, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_answer_that_cannot_be_written_is_an_error(cli) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            cli.argv("status", "--json"), env=cli.env(), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert "cannot be written" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.thorough
def test_json_is_utf8_and_text_readable_whatever_the_locale(cli, tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text(HEAD + ROW, encoding="utf-8")
    cli("plan")
    cli("intake", tmp_path / "e.csv", "--profile", "viamedis-insured")
    latin = {"PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(cli.argv("status", "--json"), env=cli.env(**latin), capture_output=True, check=False)
    assert "é" in json.loads(done.stdout.decode("utf-8"))["campaign"]
    # "≠" stands before the sum that does not fit; Latin-1 has none.
    told = subprocess.run(cli.argv("status"), env=cli.env(**latin), capture_output=True, check=False)
    assert told.returncode == 1 and b"DOES NOT BALANCE" in told.stdout, told.stderr


def test_a_file_name_in_another_encoding(cli, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.csv")
    try:
        path.write_text(HEAD + ROW, encoding="utf-8")
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    assert cli("intake", path, "--profile", "viamedis-insured", "--json").json["records"] == 1


def test_words_for_the_journal_are_one_line(cli) -> None:
    assert "--reason" in cli("pause", "--reason", "a\x1b[31m", expect=2).err
    assert "--by" in cli("--by", " ", "pause", expect=2).err
    assert cli("status", "--json").json["paused"] is None


def sent(cli, tmp_path: Path, persons: int) -> None:
    cli("drill", "exports", "--insured", persons, "--professionals", 0, "--out", tmp_path / "x")
    cli("intake", tmp_path / "x" / "viamedis-insured.csv", "--profile", "viamedis-insured", expect=(0, 1))
    cli("directory", tmp_path / "x" / "directory.csv", "--profile", "directory", expect=(0, 1))
    cli("plan", expect=(0, 1))
    cli("approve", "--yes")


@pytest.mark.thorough
def test_a_sender_that_nobody_listens_to_goes_on(cli, sink, tmp_path: Path) -> None:
    """SIGTERM, a message on stderr, and stderr's reader has gone: the run still ends as it should."""
    sent(cli, tmp_path, 120)
    read, write = os.pipe()
    stopping = sink.handle_DATA

    async def stop_at_the_first(server: object, session: object, envelope: object) -> str:
        running.send_signal(signal.SIGTERM)
        return await stopping(server, session, envelope)

    sink.handle_DATA = stop_at_the_first
    running = subprocess.Popen(
        cli.argv("send", "--json"), env=cli.env(), stdout=subprocess.PIPE, stderr=write, text=True
    )
    os.close(write)
    os.close(read)
    out, _ = running.communicate(timeout=60)
    report = json.loads(out)
    assert running.returncode == 1
    assert report["reason"] == "stopped" and report["left"]["sending"] == 0
    assert report["next_due"] > "2024", "what waits is due now, not in 1970"
    sink.handle_DATA = stopping
    standing = cli("status", "--json").json
    assert standing["next"] == "send --wait"
    told = cli("send", "--limit", 1, expect=1).out
    assert "1970" not in told and "again" in told
