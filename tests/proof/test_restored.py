"""A journal that was restored from a backup admits it, and no verdict passes over it in silence (I9)."""

from __future__ import annotations

import json

import pytest

from notifier.journal.checkpoints import Checkpoint, key_name, sign_checkpoint
from notifier.proof.verifier import verify as standalone
from notifier.proof.verify import verify
from tests.proof.conftest import contents


def ours(pack, known=None):
    return verify(pack, known_checkpoint=known)


def alone(pack, known=None):
    return standalone.check(pack, None, known)


both = pytest.mark.parametrize("judge", [ours, alone])
LOST_ROOT = bytes(range(32))


@pytest.fixture
def broken(story, settings, tmp_path):
    """``broken(**facts)``: a pack whose journal had 20 entries more, and lost them."""

    def make(**more):
        story.whole_campaign()
        note = story.seal().splitlines()
        size = int(note[1])
        root = story._db.execute("SELECT root FROM checkpoints WHERE tree_size = ?", (size,)).fetchone()[0]
        facts = {"by": "Nour", "head_known": True, "head_size": size + 20, "head_root": LOST_ROOT.hex(),
                 "database_size": size, "database_root": root.hex(), "lost": 20, "held": 3, **more}  # fmt: skip
        story.entry("recovered_from_backup", facts["head_root"], **facts)
        story.entry("session_started", command="send")
        story.seal()
        story.export(settings, tmp_path / "pack.zip")
        return tmp_path / "pack.zip", size

    return make


def held(vault, size, root=LOST_ROOT):
    """What a witness was given before the loss."""
    checkpoint = Checkpoint(key_name(vault.campaign_id), size, root)
    return sign_checkpoint(checkpoint, vault.public_key, vault.sign).note


@both
def test_i9_whoever_holds_nothing_is_told(broken, judge):
    pack, size = broken()
    verdict = judge(pack)
    assert verdict.ok and verdict.findings == []
    told = verdict.lines()
    assert told[0].startswith("HOLDS, AND ADMITS A LOSS.")
    assert f"after its first {size} entries, and at least 20 of an earlier journal of {size + 20} are lost" in told[1]
    assert verdict.as_json()["restored"][0]["held"] == 3


@both
def test_i9_the_checkpoint_of_what_was_lost_is_not_passed_over(broken, vault, judge):
    pack, size = broken()
    verdict = judge(pack, held(vault, size + 20))
    assert not verdict.ok and verdict.exit_code == 1 and not verdict.as_json()["intact"]
    assert verdict.lines()[0].startswith("NOT WHOLE:") and "admits that it was restored" in verdict.findings[0]


@both
def test_i9_a_checkpoint_in_the_stretch_that_was_lost_is_explained_and_not_believed(broken, vault, judge):
    pack, size = broken()
    verdict = judge(pack, held(vault, size + 4))
    assert not verdict.ok and "this pack cannot show" in verdict.findings[0]


@both
def test_i9_an_admitted_loss_excuses_no_other_rewriting(broken, vault, judge):
    pack, size = broken()
    for other in (size - 1, size, size + 21):
        verdict = judge(pack, held(vault, other))
        assert verdict.lines()[0].startswith("REFUSED") and "was rewritten" in verdict.findings[0]


@both
def test_i9_an_earlier_checkpoint_that_the_journal_goes_on_from_holds(broken, vault, story, judge):
    pack, _ = broken()
    (note,) = story._db.execute("SELECT note FROM checkpoints ORDER BY tree_size LIMIT 1").fetchone()
    assert judge(pack, note).ok


@both
@pytest.mark.parametrize("lie", [{"database_root": "00" * 32}, {"database_size": 2}, {"lost": 1}])
def test_i9_an_admission_that_does_not_fit_the_journal_is_refused(broken, lie, judge):
    pack, _ = broken(**lie)
    assert not judge(pack).ok


@both
def test_i9_without_a_head_any_later_checkpoint_may_be_of_what_was_lost(broken, vault, judge):
    pack, size = broken(head_known=False, head_size=0, head_root="", lost=0)
    assert "nobody knows how many" in judge(pack).lines()[1]
    verdict = judge(pack, held(vault, size + 500))
    assert not verdict.ok and verdict.lines()[0].startswith("NOT WHOLE")


def test_i9_an_admission_cannot_be_taken_out_again(broken, vault, forged):
    pack, _ = broken()
    files = contents(pack)
    lines = [line for line in files["entries.jsonl"].splitlines(keepends=True) if b"recovered_from" not in line]
    assert len(lines) == json.loads(files["summary.json"])["checkpoint"]["size"] - 1
    assert not verify(forged({**files, "entries.jsonl": b"".join(lines)}, vault)).ok


# -- what rests on somebody's word ---------------------------------------------------------------------------------


@both
def test_i9_what_a_mail_log_alone_says_is_told_with_whose_word_it_is(story, settings, tmp_path, judge):
    story.whole_campaign()
    tokens = [row[0].hex() for row in story._db.execute("SELECT token FROM deliveries WHERE state = 'in_doubt'")]
    believed = {"because": "mail_log", "mail_log": "ab" * 32, "by": "Nour", "late": True}
    for token in tokens:
        story.outcome(token, "accepted", **believed)
    story.run("UPDATE deliveries SET state = 'accepted', observe_until_ms = since_ms + 1 WHERE state = 'in_doubt'")
    story.seal()
    story.export(settings, tmp_path / "pack.zip")
    told = "\n".join(judge(tmp_path / "pack.zip").lines())
    assert f"{len(tokens)} deliveries count as accepted by a mail log without signature, on the word of Nour" in told


@both
def test_i9_a_head_that_was_missing_and_another_machine_are_told(story, settings, tmp_path, judge):
    story.whole_campaign()
    story.entry("head_missing")
    story.entry("head_missing")
    story.entry("taken_over", **{"from": "aa", "to": "bb", "by": "Nour", "epoch": 4})
    story.seal()
    story.export(settings, tmp_path / "pack.zip")
    verdict = judge(tmp_path / "pack.zip")
    told = "\n".join(verdict.lines())
    assert verdict.ok and "2 commands began without a head" in told
    assert "another machine took over the sending" in told and "by Nour" in told
