"""`status` says why something waits; `resume --provider` opens a lane by name."""

from __future__ import annotations

import json
import sqlite3
import time

HOUR_MS = 3_600_000


def test_status_names_a_lane_at_rest_and_resume_opens_it(run, folder):
    until = int(time.time() * 1000) + HOUR_MS
    connection = sqlite3.connect(folder / "campaign.db")
    with connection:
        connection.execute(
            "INSERT INTO lanes VALUES ('orange', 0.5, 1, ?, 0, 'Orange: too many connections', 2.0)", (until,)
        )
    connection.close()
    [lane] = json.loads(run("status", "--json").output)["lanes"]
    assert (lane["provider"], lane["why"]) == ("orange", "Orange: too many connections")
    assert "Waits: the lane orange rests until" in run("status").output
    assert "no lane 'orage'" in run("resume", "--provider", "orage", expect=2).output
    assert json.loads(run("resume", "--provider", "orange", "--json").output) == {
        "provider": "orange", "open": True, "changed": True,
    }  # fmt: skip
    assert "does not rest" in run("resume", "--provider", "orange").output
    assert json.loads(run("status", "--json").output)["lanes"] == []


def test_status_says_when_the_hours_open(run, folder):
    settings = (folder / "campaign.toml").read_text(encoding="utf-8")
    assert json.loads(run("status", "--json").output)["waits"] is None
    # A span of one minute that ended or begins hours from now, whatever the time is.
    hour = (time.gmtime().tm_hour + 12) % 24
    closed = settings.replace("[campaign]", f'[pace]\nhours = "{hour:02}:00-{hour:02}:01"\n\n[campaign]', 1)
    (folder / "campaign.toml").write_text(closed, encoding="utf-8")
    waits = json.loads(run("status", "--json").output)["waits"]
    assert waits["why"] == "outside the sending hours" and ":00:00" in waits["until"]
    assert "Waits: outside the sending hours; goes on at" in run("status").output


def test_a_file_of_providers_that_cannot_be_read_does_not_stop_who_looks(run, folder):
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "providers.toml").write_text("provider = 3")
    assert "Projected end: unknown" in run("status").stdout
