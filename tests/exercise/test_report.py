"""The figures of a drill's report, of one that was cut off while it sent."""

from __future__ import annotations

from pathlib import Path

from notifier.exercise.logbook import Logbook, StepTaken
from notifier.exercise.report import make_report


def test_what_went_out_before_the_cut_is_counted_too(settings, now, tmp_path: Path):
    """A projection from the second half alone would promise an end that comes too early."""
    facts = {
        "send": {"accepted": 10, "seconds": 1.0},
        "status": {"persons": 100, "notifications": {}},
        "export": {
            "outcomes": {"delivery_accepted": 90},
            "first_accepted": "2026-11-29T10:00:00.000Z",
            "last_accepted": "2026-11-29T10:01:29.000Z",
        },
    }
    steps = [StepTaken(name, name, "2026-11-29T09:59:00.000Z", 1.0, body) for name, body in facts.items()]
    report = make_report(Logbook(tmp_path / "x", {}, steps), settings, real_size=1000, now=now)
    assert report["messages_per_minute"] == 60.0
    assert [each["messages"] for each in report["projections"]] == [900]
