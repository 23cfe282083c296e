"""[send] on_pause_command and on_finish_command, with real programs: called when somebody has to know, told no person
and no secret, bounded in time, and without a say in how the run ends."""

from __future__ import annotations

import asyncio
import stat
import tomllib
from pathlib import Path

import pytest

from notifier.app.delivery import _waking
from notifier.app.opened import open_campaign
from notifier.campaign import load
from notifier.delivery.report import SendReport
from notifier.delivery.wake import missing, of_error, of_report
from notifier.errors import CampaignBusy, RelayUnavailable, SettingsError
from notifier.storage.deliveries import Left
from tests.delivery.rows import Rows

PAUSED = SendReport("paused", accepted=7, deferred=2, paused_reason="the relay said at mail: 550 spam", remaining=5)
DONE = SendReport("done", accepted=9, refused=1)


@pytest.fixture
def program(folder: Path):
    """``program(text)``: a real program in the campaign's folder, set for both occasions; where it writes."""

    def write(text: str, *, more: str = "") -> Path:
        path = folder / "wake.sh"
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        settings = (folder / "campaign.toml").read_text(encoding="utf-8")
        commands = 'on_pause_command = "./wake.sh \'two words\' x"\non_finish_command = ["./wake.sh"]\n'
        (folder / "campaign.toml").write_text(f"{settings}\n[send]\n{commands}{more}", encoding="utf-8")
        return folder / "told"

    return write


@pytest.fixture
def ended(folder: Path, vault):
    """``ended(report or error)``: a run that ends so; the journal's entries about programs."""

    def run(how: SendReport | Exception, *, was_paused: bool = False, is_real: bool = True) -> list[dict]:
        async def whole() -> None:
            async with (
                open_campaign(folder, by="ops", command="send") as app,
                _waking(app, was_paused=was_paused, is_real=is_real) as told,
            ):
                if isinstance(how, Exception):
                    raise how
                told.append(how)

        if isinstance(how, Exception):
            with pytest.raises(type(how)):
                asyncio.run(whole())
        else:
            asyncio.run(whole())
        return [entry["facts"] for entry in Rows(folder / "campaign.db", vault).entries("command_run")]

    return run


def told(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def test_a_pause_wakes_with_reason_and_counts_and_i8_without_secrets(folder, program, ended, monkeypatch):
    path = program('env > told; echo "args=$#:$1" >> told; pwd >> told; echo heard')
    monkeypatch.setenv("NOTIFIER_RELAY_PASSWORD", "s3cret")
    # Where the address of a server would have its password.
    monkeypatch.setenv("NOTIFIER_DATABASE", f"sqlite:///{folder}/pass-w0rd/../campaign.db")
    (folder / "pass-w0rd").mkdir()
    monkeypatch.setenv("NOTIFIER_RELAY__PASSWORD_FILE", "/run/pass-w0rd")
    monkeypatch.setenv("CALL_DUTY", "555-0100")
    monkeypatch.setenv("NOTIFIER_KEY", (folder / "campaign.key").read_text(encoding="utf-8"))
    assert ended(PAUSED) == [{"event": "pause", "result": "ended", "exit": 0}]
    got = told(path)
    assert got["NOTIFIER_EVENT"] == "pause" and got["NOTIFIER_REASON"] == "the relay said at mail: 550 spam"
    assert (got["NOTIFIER_ACCEPTED"], got["NOTIFIER_DEFERRED"], got["NOTIFIER_REMAINING"]) == ("7", "2", "5")
    assert got["NOTIFIER_CAMPAIGN"] == str(folder) and got["NOTIFIER_CAMPAIGN_NAME"]
    assert got["args"] == "2:two words" and str(folder) in path.read_text().splitlines(), "no shell split it again"
    assert "s3cret" not in path.read_text() and "NOTIFIER_KEY" not in got
    assert "pass-w0rd" not in path.read_text()
    counts = {"ACCEPTED", "DEFERRED", "REFUSED", "EXPIRED", "IN_DOUBT", "UNMADE", "HELD", "LETTERS", "REMAINING"}
    told_of = {"EVENT", "REASON", "CAMPAIGN", "CAMPAIGN_NAME", *counts}
    assert {name for name in got if name.startswith("NOTIFIER_")} == {f"NOTIFIER_{name}" for name in told_of}
    assert got["CALL_DUTY"] == "555-0100" and got["PATH"], "what is not ours is"
    assert (folder / "logs" / "commands.log").read_text() == "heard\n", "and nothing of it on our stdout"


def test_a_program_may_ask_notifier_itself(folder, program, ended):
    """What it is told does not look like a setting that campaign.toml lacks."""
    path = program("env > told")
    ended(DONE)
    got = {name: value for name, value in told(path).items() if name.startswith("NOTIFIER_")}
    assert got["NOTIFIER_EVENT"] == "finish" and load(folder, environment=got).send.on_finish_command


def test_a_run_that_breaks_off_wakes_and_keeps_its_error(program, ended):
    path = program("env > told")
    assert ended(RelayUnavailable("the relay r:25 does not answer")) == [
        {"event": "error", "result": "ended", "exit": 0}
    ]
    assert told(path)["NOTIFIER_REASON"] == "the relay r:25 does not answer"
    ended(KeyError("Élodie Vasseur"))
    assert told(path)["NOTIFIER_REASON"] == "a fault of ours: KeyError", "I8"


@pytest.mark.parametrize(
    ("how", "given"),
    [
        (PAUSED, {"was_paused": True}),
        (PAUSED, {"is_real": False}),
        (CampaignBusy("another"), {}),
        (SendReport("done"), {}),
        (SendReport("done", accepted=3, remaining=2, left=Left(2, 0, 0, 0, 0, 0, 0)), {}),
        (SendReport("stopped", accepted=3), {}),
    ],
)
def test_nobody_is_woken_for_nothing(program, ended, how, given):
    path = program("env > told")
    assert ended(how, **given) == [] and not path.exists()


@pytest.mark.parametrize(
    ("text", "more", "facts"),
    [
        ("echo broken >&2; exit 3", "", {"event": "finish", "result": "ended", "exit": 3}),
        ("sleep 60 & sleep 60", "command_seconds = 0.2\n", {"event": "finish", "result": "timed_out", "exit": 0}),
    ],
)
def test_its_failure_is_journaled_and_changes_nothing(folder, program, ended, text, more, facts):
    program(text, more=more)
    assert ended(DONE) == [facts]


def test_a_program_that_is_not_there_is_journaled_and_found_by_check(folder, program, ended, run):
    program("true")
    (folder / "wake.sh").unlink()
    assert ended(PAUSED) == [{"event": "pause", "result": "not_started", "exit": 0}]
    assert missing(load(folder, environment={}), folder) == ["send.on_pause_command", "send.on_finish_command"]
    assert "send.on_pause_command" in run("check", expect=75).output, "no relay either"


def test_the_settings_take_a_list_or_one_line(folder, program):
    program("true")
    settings = load(folder, environment={"NOTIFIER_SEND__COMMAND_SECONDS": "5"})
    assert settings.send.on_pause_command == ("./wake.sh", "two words", "x") and settings.send.command_seconds == 5
    assert missing(settings, folder) == []
    text = (folder / "campaign.toml").read_text(encoding="utf-8").replace("'two words'", "'two words")
    (folder / "campaign.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"send\.on_pause_command.*cannot be split"):
        load(folder, environment={})


def test_an_approval_does_not_bind_whom_to_wake(folder, program):
    from notifier.notices.bound import bound_settings

    before = bound_settings(load(folder, environment={}))
    program("true")
    assert bound_settings(load(folder, environment={})) == before


def test_what_is_an_occasion():
    assert of_report(PAUSED, was_paused=False).counts["accepted"] == 7
    assert of_report(DONE, was_paused=False).event == "finish"
    assert of_error(SettingsError("certificate")).reason == "certificate"


def test_the_blank_campaign_shows_the_section():
    from notifier.campaign import shipped

    text = (shipped("data") / "campaign" / "blank.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["send"] == {"command_seconds": 30} and "# on_pause_command" in text
