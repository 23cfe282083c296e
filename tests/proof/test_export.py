"""The export: complete or not at all, the same bytes again, no personal data, and never from a journal that lies."""

from __future__ import annotations

import json
import zipfile
from datetime import timedelta

import pytest

from notifier.errors import JournalError, OperatorError
from notifier.model import to_ms
from notifier.proof.verify import verify

FILES = [
    "LISEZMOI.txt",
    "checkpoints.txt",
    "entries.jsonl",
    "keys/fingerprint.txt",
    "keys/signing.vkey",
    "summary.json",
    "templates/initial/1/data/categories.toml",
    "templates/initial/1/templates/fr/insured.md",
    "verify.py",
    "manifest.json",
    "manifest.sig",
]


def test_i9_the_pack_holds_what_the_specification_lists(pack):
    with zipfile.ZipFile(pack) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == FILES
        assert archive.read("checkpoints.txt").count("— ".encode()) == 2
        entries = [json.loads(line) for line in archive.read("entries.jsonl").splitlines()]
    assert [entry["index"] for entry in entries] == list(range(31))
    assert entries[0]["entry"]["kind"] == "campaign_created"


def test_i1_the_summary_leads_from_rows_to_persons_to_terms(files):
    summary = json.loads(files["summary.json"])
    assert summary["bridge"] == {
        "rows": 18,
        "rejections": 1,
        "records": 17,
        "same_person_again": 1,
        "records_without_person": 0,
        "persons_without_record": 0,
        "persons": 16,
    }
    (wave,) = summary["waves"]
    assert wave["owed"] == 16 == sum(wave["frozen"].values()) + sum(wave["not_frozen"].values())
    assert {term for term, count in wave["not_frozen"].items() if count} == {"pending"}
    assert summary["balances"]
    assert summary["open"] == {"rejections": 1, "reviews": 0}
    assert {state: count for state, count in summary["rejections"].items() if count} == {"open": 1}
    (source,) = summary["sources"]
    assert (source["rows"], source["records"], source["rejections"]) == (18, 17, 1)
    assert summary["batches"][0]["files"].keys() == {"templates/fr/insured.md", "data/categories.toml"}
    assert any("read" in line for line in summary["not_proven"])


def test_i8_a_pack_holds_no_personal_data(pack, files, names):
    raw = pack.read_bytes() + b"".join(files.values())
    for name in names:
        for form in (name, name.upper(), name.encode().hex(), json.dumps(name)[1:-1]):
            assert form.encode() not in raw
    assert b"@courriel" not in raw


def test_the_same_journal_gives_the_same_bytes(story, settings, tmp_path):
    story.whole_campaign()
    story.seal()
    story.export(settings, tmp_path / "one.zip")
    story.export(settings, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_the_export_seals_what_is_unsealed_and_reports(story, settings, tmp_path):
    story.whole_campaign()
    out = tmp_path / "proof.zip"
    report = story.export(settings, out)
    assert (report.entries, report.checkpoints, report.balances) == (30, 1, True)
    assert report.fingerprint == story.vault.fingerprint
    assert report.as_json()["size_bytes"] == out.stat().st_size
    assert verify(out, fingerprint=report.fingerprint).ok


def test_an_existing_file_is_replaced_only_when_asked(story, settings, tmp_path):
    story.whole_campaign()
    out = tmp_path / "proof.zip"
    out.write_bytes(b"somebody's")
    with pytest.raises(OperatorError, match="exists already"):
        story.export(settings, out)
    assert out.read_bytes() == b"somebody's"
    story.export(settings, out, overwrite=True)
    assert verify(out).ok


def test_a_folder_that_is_not_there_is_the_operators_error(story, settings, tmp_path):
    story.begin()
    with pytest.raises(OperatorError, match="cannot be written"):
        story.export(settings, tmp_path / "missing" / "proof.zip")


def test_an_empty_journal_proves_nothing_yet(story, settings, tmp_path):
    with pytest.raises(OperatorError, match="empty"):
        story.export(settings, tmp_path / "proof.zip")
    assert list(tmp_path.glob("*.zip*")) == list(tmp_path.glob(".*")) == []


def test_a_campaign_without_waves_can_be_exported(story, settings, tmp_path):
    story.begin()
    story.export(settings, tmp_path / "proof.zip")
    assert verify(tmp_path / "proof.zip").ok


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE entries SET body = CAST(replace(body, 'viamedis', 'almerys') AS BLOB) WHERE id = 3",
        "UPDATE entries SET body = replace(body, 'viamedis', 'almerys') WHERE id = 3",
        "UPDATE entries SET salt = (SELECT salt FROM entries WHERE id = 4) WHERE id = 3",
        "DELETE FROM entries WHERE id = 5",
        "DELETE FROM leaves WHERE leaf_index = 4",
        "UPDATE leaves SET leaf_hash = (SELECT leaf_hash FROM leaves WHERE leaf_index = 5) WHERE leaf_index = 4",
        "UPDATE checkpoints SET root = zeroblob(32) WHERE tree_size = 30",
        "UPDATE checkpoints SET note = replace(note, char(10) || '30', char(10) || '29') WHERE tree_size = 30",
        "DELETE FROM imports WHERE kind = 'export'",
        "UPDATE deliveries SET state = 'delivered' WHERE id = 1",
        "UPDATE deliveries SET state = 'accepted' WHERE state = 'refused'",
        "UPDATE notifications SET batch_id = NULL WHERE id = 1",
        "UPDATE notifications SET batch_id = 1",
        "UPDATE notifications SET excluded = 'operator' WHERE id = 2",
        "DELETE FROM notifications WHERE id = 1",
        "UPDATE batch_files SET content = CAST(replace(content, 'Bonjour', 'Bonsoir') AS BLOB)",
        "DELETE FROM batch_files",
        "UPDATE waves SET name = 'other'",
    ],
)
def test_i9_a_journal_or_tables_changed_behind_its_back_are_not_exported(story, settings, tmp_path, sql):
    story.whole_campaign()
    story.seal()
    story.entry("session_started", command="test")
    story.seal()
    story.run(sql)
    with pytest.raises(JournalError):
        story.export(settings, tmp_path / "proof.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["campaign"]


def test_i1_a_delivery_between_two_entries_counts_as_the_journal_says(story, settings, tmp_path):
    """A sender may hold it right now; no entry says so before its outcome."""
    story.whole_campaign()
    story.run("UPDATE deliveries SET state = 'queued', doubts = 1 WHERE state = 'in_doubt'")
    story.run("UPDATE deliveries SET state = 'sending' WHERE state = 'deferred'")
    out = tmp_path / "proof.zip"
    story.export(settings, out)
    verdict = verify(out)
    assert verdict.ok, verdict.findings
    assert verdict.waves["initial"]["in_doubt"] == 1


def test_i1_presumed_is_reckoned_from_the_entries_and_the_last_reading_of_returns(story, settings, tmp_path):
    story.whole_campaign()
    story.run("UPDATE deliveries SET observe_until_ms = ? WHERE state = 'accepted'", to_ms(story.now))
    story.now += timedelta(days=settings.campaign.observe_days + 1)
    story.run("UPDATE campaign SET returns_read_ms = ?", to_ms(story.now))
    out = tmp_path / "proof.zip"
    story.export(settings, out)
    verdict = verify(out)
    assert verdict.ok, verdict.findings
    assert (verdict.waves["initial"]["presumed"], verdict.waves["initial"]["handed_over"]) == (3, 0)


def test_i1_a_notification_planned_anew_is_no_longer_frozen(story, settings, tmp_path):
    story.begin()
    file = story.file("export", rows=1, records=1, rejections=0)
    story.wave()
    story.batch(1, 1)
    person = story.person(file)
    story.notification(person, "none")
    story.entry("notification_replanned", story.pseudonym(person), wave="initial", reason="contact found")
    story.run("UPDATE notifications SET batch_id = NULL, route = 'email'")
    story.export(settings, tmp_path / "one.zip")
    assert verify(tmp_path / "one.zip").waves["initial"]["pending"] == 1
    story.run("DELETE FROM notifications")
    story.batch(2, 1)
    delivery = story.delivery("accepted")
    story.notification(person, "email", delivery=delivery)
    story.outcome(delivery[1], "accepted")
    story.export(settings, tmp_path / "two.zip")
    verdict = verify(tmp_path / "two.zip")
    assert verdict.findings == []
    assert verdict.waves["initial"]["handed_over"] == 1
    assert verdict.counts["batches"] == 2


def test_i1_two_waves_are_counted_apart(story, settings, tmp_path):
    story.begin()
    file = story.file("export", rows=1, records=1, rejections=0)
    person = story.person(file)
    for name, kind in (("initial", "initial"), ("supplément 1/2", "supplement")):
        story.wave(name, kind)
        story.batch(1, 1)
        delivery = story.delivery("accepted")
        story.notification(person, "email", delivery=delivery)
        story.outcome(delivery[1], "accepted")
    out = tmp_path / "proof.zip"
    story.export(settings, out)
    verdict = verify(out)
    assert verdict.findings == []
    assert {wave: terms["handed_over"] for wave, terms in verdict.waves.items()} == {"initial": 1, "supplément 1/2": 1}
    with zipfile.ZipFile(out) as archive:
        assert "templates/suppl%C3%A9ment%201%2F2/1/data/categories.toml" in archive.namelist()
