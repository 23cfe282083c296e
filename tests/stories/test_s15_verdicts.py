"""A file out of somebody's spreadsheet: what was mended and what is not usable is counted, and alarms are seen."""

from pathlib import Path

import pytest

from notifier.intake.verdicts import SHARED
from tests.intake.conftest import rows_of
from tests.intake.files.defects import DIRECTORY, PROFESSIONAL, row

pytestmark = pytest.mark.thorough


def test_verdicts_of_a_file_on_the_terminal_and_in_json(cli, tmp_path: Path) -> None:
    path = tmp_path / "professionals.csv"
    rows = (row(PROFESSIONAL), row(PROFESSIONAL, SIRET="0588059600019"), row(PROFESSIONAL, FINESS="1"), "a;b")
    path.write_text(rows_of(PROFESSIONAL, *rows), encoding="cp1252")
    answer = cli("intake", path, "--profile", PROFESSIONAL, "--json", expect=1)
    [told] = answer.json["files"]
    assert told["verdicts"] == {"accepted": 1, "repaired": 1, "warned": 1, "rejected": 1}
    assert told["codes"] == {
        "repaired": {"siret_padded": 1}, "warned": {"finess_key": 1}, "rejected": {"columns": 1},
    }  # fmt: skip
    assert "read as utf-8 (strict UTF-8" in answer.err
    assert "1 accepted, 1 repaired, 1 warned, 1 rejected" in answer.err
    [again] = cli("intake", path, "--profile", PROFESSIONAL, "--json").json["files"]
    assert (again["verdicts"], again["codes"]) == (told["verdicts"], told["codes"])
    tried = cli("profile", "check", path, "--profile", PROFESSIONAL, expect=1).out
    assert "4 rows = 1 accepted + 1 repaired + 1 warned + 1 rejected" in tried
    assert "repairs: siret_padded 1" in tried


def test_an_agencys_address_is_an_alarm_until_it_is_named(cli, tmp_path: Path) -> None:
    path = tmp_path / "directory.csv"
    rows = [
        row(DIRECTORY, NUM_ADHERENT=f"A{number}", NIR="", CLE="", EMAIL="agence@clairval.example")
        for number in range(SHARED)
    ]
    path.write_text(rows_of(DIRECTORY, *rows), encoding="utf-8")
    answer = cli("directory", path, "--profile", DIRECTORY, "--json", expect=1)
    assert answer.json["files"][0]["alarms"] == ["shared_mailbox"]
    assert "ALARM: directory.csv gives one e-mail address for 100 members or more" in answer.err + answer.out
    found = cli("check", "--json").json["findings"]
    assert [each["severity"] for each in found if each["code"] == "shared-mailbox"] == ["warning"]
    own = cli.campaign / "data" / "mailboxes.toml"
    own.parent.mkdir(exist_ok=True)
    own.write_text('[placeholders]\nwords = []\naddresses = ["agence@clairval.example"]\n[typos]\n', encoding="utf-8")
    answer = cli("directory", path, "--profile", DIRECTORY, "--json")
    assert answer.json["files"][0]["alarms"] == []
    assert answer.json["files"][0]["codes"]["warned"]["email_placeholder"] == SHARED
    found = cli("check", "--json").json["findings"]
    assert "shared-mailbox" not in [each["code"] for each in found]
