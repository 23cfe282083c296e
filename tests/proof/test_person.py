"""One notice's proof: its own entries stand in the signed journal, and nobody else is in it."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from contextlib import closing

import pytest

from notifier.errors import JournalError, OperatorError
from notifier.proof.person import person_proof
from notifier.proof.verifier import verify as standalone
from notifier.proof.verify import verify
from notifier.storage import journal
from notifier.storage.database import open_database


def prove(story, reference, out):
    async def work():
        async with open_database(story.folder / "campaign.db", story.vault) as database:
            return await person_proof(database, story.vault, reference=reference, out=out, now=story.now)

    return asyncio.run(work())


def reference(story, number):
    return story.vault.reference(story.vault.token("delivery", str(number)).hex())


@pytest.fixture
def proof(story, tmp_path):
    """Of the household: two persons, one notice, accepted at the second attempt."""
    story.whole_campaign()
    out = tmp_path / "person.json"
    report = prove(story, reference(story, 1), out)
    assert report.entries == 5
    return out


def test_i9_a_persons_proof_holds(proof, story):
    for judge in (verify, standalone.check):
        verdict = judge(proof, fingerprint=story.vault.fingerprint)
        assert verdict.findings == []
        assert verdict.counts == {"entries": 5, "in the journal": 30}
    kinds = [item["entry"]["kind"] for item in json.loads(proof.read_bytes())["entries"]]
    assert kinds == ["batch_approved", *["notification_frozen"] * 2, "delivery_deferred", "delivery_accepted"]


def test_i9_what_a_cycle_wrote_of_attempts_is_found_by_their_delivery(story, tmp_path):
    story.whole_campaign()
    proofs = []
    for number in range(2):
        proofs.append(tmp_path / f"person{number}.json")
        prove(story, reference(story, 1), proofs[-1])
        story.run(
            "UPDATE entries SET delivery_id = (SELECT id FROM deliveries WHERE lower(hex(token)) = subject) "
            "WHERE kind LIKE 'delivery_%'"
        )
    by_subject, by_delivery = (json.loads(each.read_bytes())["entries"] for each in proofs)
    assert by_delivery == by_subject and len(by_delivery) == 5


def test_an_entrys_subject_is_looked_up_along_indexes(story):
    story.whole_campaign()
    values = {"subject": "aa", "token": b"aa", "size": 1}
    with closing(sqlite3.connect(story.folder / "campaign.db")) as database:
        plan = [row[-1] for row in database.execute(f"EXPLAIN QUERY PLAN {journal.OF_SUBJECT}", values)]
    for index in ("entries_subject", "entries_delivery"):
        assert any(f"SEARCH e USING INDEX {index}" in step for step in plan)
    assert not any(step.startswith("SCAN") for step in plan)


def test_i8_it_reveals_nobody_else(proof, story, names):
    text = proof.read_text()
    for name in names:
        assert name not in text
    for person in range(3, story.persons + 1):
        assert story.pseudonym(person) not in text
    for number in range(2, story.tokens + 1):
        assert story.vault.token("delivery", str(number)).hex() not in text
    salts = {item["salt"] for item in json.loads(text)["entries"]}
    assert len(salts) == 5


@pytest.mark.parametrize("judge", [verify, standalone.check])
def test_i9_any_bit_flipped_in_it_is_noticed(proof, tmp_path, judge):
    content = proof.read_bytes()
    chance = random.Random(5)
    altered = tmp_path / "altered.json"
    for position in chance.sample(range(len(content)), 300):
        changed = bytearray(content)
        changed[position] ^= 1 << chance.randrange(8)
        altered.write_bytes(changed)
        assert not judge(altered).ok, position


def test_i9_its_entries_must_stand_in_the_journal(proof, tmp_path):
    """Not even the owner of the key can add one: the checkpoint is the whole journal's."""
    body = json.loads(proof.read_bytes())
    body["entries"][1]["entry"]["facts"]["audience"] = "professional"
    altered = tmp_path / "altered.json"
    altered.write_text(standalone.canonical(body) + "\n")
    assert any("does not stand" in finding for finding in verify(altered).findings)


def test_a_letter_in_the_place_of_an_email_brings_both_lives(story, tmp_path):
    story.whole_campaign()
    email, letter = 8, 9
    for number in (email, letter):
        out = tmp_path / f"{number}.json"
        prove(story, reference(story, number), out)
        kinds = [item["entry"]["kind"] for item in json.loads(out.read_bytes())["entries"]]
        assert kinds == ["batch_approved", "notification_frozen", "delivery_refused"]
        assert verify(out).ok


def test_a_reference_may_be_typed_as_it_was_heard(story, tmp_path):
    story.whole_campaign()
    spoken = reference(story, 1).replace("-", " ").lower().replace("0", "o").replace("1", "l")
    prove(story, f" {spoken} ", tmp_path / "person.json")
    assert verify(tmp_path / "person.json").ok


def test_an_unknown_reference_and_an_existing_file_are_the_operators_errors(story, tmp_path):
    story.whole_campaign()
    with pytest.raises(OperatorError, match="no notice has this reference"):
        prove(story, "0000-0000-0000", tmp_path / "person.json")
    with pytest.raises(OperatorError, match="not approved"):
        prove(story, reference(story, story.tokens), tmp_path / "person.json")
    (tmp_path / "person.json").write_text("somebody's")
    with pytest.raises(OperatorError, match="exists already"):
        prove(story, reference(story, 1), tmp_path / "person.json")


def test_i9_leaves_changed_behind_the_journals_back_give_no_proof(story, tmp_path):
    story.whole_campaign()
    story.seal()
    story.run("UPDATE leaves SET leaf_hash = zeroblob(32) WHERE leaf_index = 2")
    with pytest.raises(JournalError):
        prove(story, reference(story, 1), tmp_path / "person.json")
