"""The head beside the key: what it says, and how it is replaced (I9)."""

from __future__ import annotations

import json
import stat
from dataclasses import replace

import pytest

from notifier.errors import JournalError, SettingsError
from notifier.foundation import found
from notifier.journal import head_file
from notifier.journal.head import Head, difference, is_behind
from notifier.vault import ENVIRONMENT

HEAD = Head("test-campaign", 10, "ab" * 32, 3, "", 1, 5)


# -- pure ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("database", "holds_root", "behind"),
    [
        (HEAD, True, False),
        (replace(HEAD, size=12, epoch=4), True, False),  # a crash between a checkpoint and its head
        (replace(HEAD, size=9), False, True),
        (replace(HEAD, root="cd" * 32), False, True),  # as many entries, others
        (replace(HEAD, size=30, root="cd" * 32), False, True),  # a restored one that went on
        (replace(HEAD, epoch=2), True, True),
    ],
)
def test_i9_what_is_behind(database, holds_root, behind):
    assert is_behind(HEAD, database, holds_root=holds_root) is behind
    assert difference(HEAD, database)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        HEAD.dump()[:-9],
        HEAD.dump().replace("ab" * 32, "xy"),
        HEAD.dump().replace(": 10", ": -1"),
        HEAD.dump().replace("head/1", "head/2"),
        HEAD.dump().replace("test-campaign", "other"),
        "[" * 60_000,  # deeper than any reader of JSON goes
        HEAD.dump().replace(": 10", ": 1" + 25 * "0"),  # more than a database can count
        HEAD.dump().replace(": 3", f": {2**63 - 1}"),  # after which no sender could be numbered
    ],
)
def test_what_is_no_head_of_this_campaign(text):
    with pytest.raises(JournalError):
        Head.load(text, "test-campaign")
    assert Head.load(HEAD.dump(), "test-campaign") == HEAD


def test_the_name_in_another_campaigns_head_does_not_steer_a_terminal():
    with pytest.raises(JournalError) as raised:
        Head.load(HEAD.dump().replace("test-campaign", "\\u001b[2Jx\\n" * 50), "test-campaign")
    assert str(raised.value).isprintable() and len(str(raised.value)) < 200


# -- the file ------------------------------------------------------------------------------------------------------


def test_a_head_is_replaced_whole_and_is_its_owners_alone(tmp_path):
    path = tmp_path / "keys" / "campaign.head"
    head_file.replace(path, HEAD)
    head_file.replace(path, replace(HEAD, size=11))
    assert head_file.read(path, "test-campaign") == replace(HEAD, size=11)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["campaign.head"], "nothing is left beside it"
    with pytest.raises(FileExistsError):
        head_file.replace(path / "no folder", HEAD)


def test_where_it_lies(tmp_path):
    key = tmp_path / "abc.key"
    assert head_file.place(key, "abc", {}) == tmp_path / "abc.head"
    there = {ENVIRONMENT: "{…}", "XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert head_file.place(key, "abc", there) == tmp_path / "config" / "notifier" / "abc.head"


def test_a_real_campaign_has_its_head_beside_its_key(tmp_path):
    made = found(tmp_path / "campaign", sample=False, environment={"XDG_CONFIG_HOME": str(tmp_path / "config")})
    head = made.key_path.with_suffix(".head")
    assert head.parent == tmp_path / "config" / "notifier" and json.loads(head.read_text())["size"] == 1


def test_of_a_file_that_is_none_only_the_beginning_is_read(tmp_path):
    path = tmp_path / "campaign.head"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # more than any memory; sparse
    with pytest.raises(SettingsError, match="it is damaged"):
        head_file.read(path, "test-campaign")
