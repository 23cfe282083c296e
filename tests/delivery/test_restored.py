"""A database that was restored, or an old copy, is known by the head beside the key, and stopped until `recover` (I3,
I5, I9)."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace

import pytest

from notifier import app as wiring
from notifier.errors import DatabaseBehind, OperatorError, SettingsError
from notifier.journal import head_file
from notifier.journal.head import Head
from notifier.storage.cycle import open_cycle
from tests.delivery.rows import Rows


@pytest.fixture
def rows(folder, vault) -> Rows:
    return Rows(folder / "campaign.db", vault)


def run(folder, command="pause", work=None, **more):
    """One command: a session, and whatever it does."""

    async def whole():
        async with wiring.open_campaign(folder, by="Nour", command=command, **more) as opened:
            return await work(opened) if work else opened.head

    return asyncio.run(whole())


def recover(folder, mail_log=None):
    async def whole():
        async with wiring.open_unguarded(folder, by="Nour") as opened:
            return await wiring.recover(opened, await wiring.look_at_restored(opened), mail_log)

    return asyncio.run(whole())


def head_of(folder) -> Head:
    return Head.load((folder / "campaign.head").read_text(), "test-campaign")


# -- a campaign ----------------------------------------------------------------------------------------------------


def test_i9_each_command_leaves_its_head_and_a_restored_database_is_known(folder, rows):
    run(folder)
    before = head_of(folder)
    assert before.size == rows.one("SELECT MAX(tree_size) FROM checkpoints") > 1
    shutil.copy(folder / "campaign.db", folder / "backup.db")
    run(folder)
    shutil.copy(folder / "backup.db", folder / "campaign.db")
    snapshot, head = rows.snapshot(), head_of(folder)
    with pytest.raises(DatabaseBehind, match=f"has {before.size} entries, and had {head.size}.*notifier recover"):
        run(folder)
    assert rows.snapshot() == snapshot and head_of(folder) == head, "nothing was changed"
    run(folder, writes=False)


def test_i9_a_copy_that_went_on_is_no_less_behind(folder, rows, tmp_path):
    """As many entries and more, but others: it was sent from without its head."""
    shutil.copy(folder / "campaign.db", folder / "backup.db")
    run(folder)
    kept = (folder / "campaign.head").read_bytes()
    shutil.copy(folder / "backup.db", folder / "campaign.db")
    (folder / "campaign.head").unlink()
    for _ in range(3):
        run(folder)
    (folder / "campaign.head").write_bytes(kept)
    with pytest.raises(DatabaseBehind, match="its journal is another one"):
        run(folder)


def test_i5_a_sender_whose_number_is_lower_than_one_that_has_sent(folder, rows):
    head = head_of(folder)
    (folder / "campaign.head").write_text(replace(head, epoch=7).dump())
    with pytest.raises(DatabaseBehind, match="number 0, and number 7 has sent"):
        run(folder)


@pytest.mark.parametrize("epoch", [2**53 - 1, 2**53 - 2, 2**52, 2**52 - 1])
def test_i9_a_recovery_leaves_a_head_that_can_be_read_whatever_the_old_one_says(folder, rows, epoch):
    """No campaign has so many senders: it is damaged where nobody sees it."""
    (folder / "campaign.head").write_text(replace(head_of(folder), epoch=epoch).dump())
    recover(folder)
    for _ in range(3):
        rows.run("UPDATE campaign SET sender_epoch = sender_epoch + 1")  # somebody sends
        run(folder)
    assert head_of(folder).epoch == rows.one("SELECT sender_epoch FROM campaign") > 2**52 - 1
    (entry,) = rows.entries("recovered_from_backup")
    assert entry["facts"]["head_epoch"] == epoch, "what it said is on record"


def test_a_head_that_is_missing_is_told_and_journaled_once(folder, rows, caplog):
    (folder / "campaign.head").unlink()
    run(folder)
    assert "there is no head" in caplog.text and len(rows.entries("head_missing")) == 1
    caplog.clear()
    run(folder)
    assert not caplog.text and len(rows.entries("head_missing")) == 1


def test_a_head_that_is_damaged_stops_who_writes(folder, rows, caplog):
    (folder / "campaign.head").write_text("{")
    snapshot = rows.snapshot()
    with pytest.raises(SettingsError, match=r"campaign\.head.*damaged"):
        run(folder)
    assert rows.snapshot() == snapshot
    run(folder, writes=False)
    assert "damaged" in caplog.text


def test_a_folder_of_the_key_that_cannot_be_written_is_a_warning(folder, rows, caplog, monkeypatch):
    """A key from a read-only mount: what was done stands."""

    def refused(path, head):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(head_file, "replace", refused)
    run(folder)
    assert "the head cannot be kept" in caplog.text


# -- recover -------------------------------------------------------------------------------------------------------


def restored(folder, rows) -> None:
    """What went out since is not known to the database."""
    run(folder)
    shutil.copy(folder / "campaign.db", folder / "backup.db")
    run(folder)
    rows.run("UPDATE campaign SET sender_epoch = 5")
    run(folder)
    shutil.copy(folder / "backup.db", folder / "campaign.db")


def test_i3_i5_what_waited_in_a_backup_is_held_whatever_the_policy(folder, rows):
    waiting = rows.deliver("a@courriel.example", "b@courriel.example")
    later = rows.deliver("c@courriel.example", state="deferred", due_ms=9_000_000_000_000)
    resend = rows.deliver("d@courriel.example", state="in_doubt", due_ms=1)
    sending = rows.deliver("e@courriel.example", state="sending")
    rows.run(
        "UPDATE deliveries SET first_ms = 1, started_ms = 1, attempt = 1, epoch = 1 WHERE id IN (?, ?)",
        *sending,
        *resend,
    )
    done = rows.deliver("f@courriel.example", state="accepted")
    unapproved = rows.deliver("g@courriel.example", approved=False)
    restored(folder, rows)
    assert recover(folder).held == 5
    states = dict(rows.all("SELECT id, state FROM deliveries"))
    for one in (*waiting, *later, *resend, *sending):
        assert states[one] == "in_doubt"
    assert states[done[0]] == "accepted" and states[unapproved[0]] == "queued"
    assert rows.one("SELECT COUNT(*) FROM deliveries WHERE state = 'in_doubt' AND due_ms <> 0") == 0, "held"
    assert rows.one("SELECT sender_epoch FROM campaign") > 5, "no number of the branch that was lost comes again"
    (entry,) = rows.entries("recovered_from_backup")
    facts = entry["facts"]
    assert (facts["held"], facts["by"], facts["head_epoch"], facts["database_epoch"]) == (5, "Nour", 5, 0)
    assert facts["lost"] == facts["head_size"] - facts["database_size"] > 0
    assert len(rows.entries("delivery_held")) == 5 and len(rows.entries("delivery_in_doubt")) == 4
    assert rows.one("SELECT COUNT(*) FROM attempts WHERE outcome = 'in_doubt'") == 4
    run(folder)  # goes on
    waiting = rows.deliver("h@courriel.example")
    assert recover(folder).held == 6, "somebody says that the head came back with the backup"
    (_, again) = rows.entries("recovered_from_backup")
    assert again["facts"]["head_known"] is False and rows.one("SELECT paused_reason FROM campaign")
    assert rows.one("SELECT state FROM deliveries WHERE id = ?", *waiting) == "in_doubt"


def test_i5_a_crash_in_the_middle_of_it_leaves_the_campaign_stopped(folder, rows, monkeypatch):
    from notifier.delivery import restoration

    rows.deliver(*(f"p{number}@courriel.example" for number in range(7)))
    restored(folder, rows)
    monkeypatch.setattr(restoration, "SLICE", 2)
    real, calls = restoration.hold_slice, []

    def fails(connection, **arguments):
        calls.append(1)
        if len(calls) == 3:
            raise OperatorError("the disk is full")
        return real(connection, **arguments)

    monkeypatch.setattr(restoration, "hold_slice", fails)
    with pytest.raises(OperatorError, match="full"):
        recover(folder)
    assert rows.states() == {"in_doubt": 4, "queued": 3}
    with pytest.raises(DatabaseBehind):
        run(folder)
    monkeypatch.setattr(restoration, "hold_slice", real)
    recover(folder)
    assert rows.states() == {"in_doubt": 7}
    assert len(rows.entries("recovered_from_backup")) == 1, "one loss is admitted once"
    run(folder)


def test_without_a_head_nobody_knows_what_was_approved_since_and_it_pauses(folder, rows):
    rows.deliver("a@courriel.example")
    (folder / "campaign.head").unlink()
    assert recover(folder).held == 1
    (entry,) = rows.entries("recovered_from_backup")
    assert (entry["facts"]["head_known"], entry["facts"]["lost"]) == (False, 0)
    assert "without a head" in rows.one("SELECT paused_reason FROM campaign")


def test_i9_a_loss_of_approvals_pauses(folder, rows):
    rows.deliver("a@courriel.example")
    restored(folder, rows)
    (folder / "campaign.head").write_text(replace(head_of(folder), batches=3).dump())
    recover(folder)
    assert "2 approvals are lost" in rows.one("SELECT paused_reason FROM campaign")


def test_a_mail_log_that_outlived_the_database_says_who_was_accepted(folder, rows, tmp_path):
    one, other, third = rows.deliver("a@courriel.example", "b@courriel.example", "c@courriel.example")
    token = dict(rows.all("SELECT id, token FROM deliveries"))
    restored(folder, rows)
    log = tmp_path / "mail.log"
    line = '2024-02-09T08:00:00.000Z {} delivery={} attempt=1 phase={} code={} enhanced=2.0.0 reply="2.0.0 Ok"\n'
    log.write_text(
        line.format("accepted", token[one].hex(), "final", 250)
        + line.format("deferred", token[other].hex(), "rcpt", 450)
        + line.format("accepted", "ab" * 16, "final", 250)  # of a delivery that this database does not know
        + line.format("accepted", token[third].hex(), "final", 250)[:-9]  # cut short
    )
    done = recover(folder, log)
    assert (done.held, done.accepted) == (2, 1)
    assert dict(rows.all("SELECT id, state FROM deliveries")) == {one: "accepted", other: "in_doubt", third: "in_doubt"}
    (entry,) = rows.entries("delivery_accepted")
    assert entry["subject"] == token[one].hex() and entry["facts"]["late"] is True
    assert (entry["facts"]["because"], entry["facts"]["code"]) == ("mail_log", 250)
    (admitted,) = rows.entries("recovered_from_backup")
    assert len(admitted["facts"]["mail_log"]) == 64
    run(folder)


def test_i8_i9_what_a_mail_log_says_is_believed_on_somebodys_word_and_kept_short(folder, rows, tmp_path):
    """A log that somebody typed: its words are no server's, and each entry says who believed it."""
    (one,) = rows.deliver("a@courriel.example")
    run(folder)
    kept = tmp_path / "mail.log"
    typed = f"zoe.leveque@courriel.example \x1b[2J 2 95 09 99 126 123 45 {'x' * 5000}"
    said = f'attempt=1 phase=final code=250 enhanced=2.0.0 reply="{typed}"'
    token = rows.one("SELECT token FROM deliveries WHERE id = ?", one)
    kept.write_text(
        "\n".join(["x" * 10_000_000, f"2024-02-09T18:00:00.000Z accepted delivery={token.hex()} {said}"]) + "\n"
    )
    (folder / "campaign.head").unlink()
    recover(folder, kept)
    (entry,) = rows.entries("delivery_accepted")
    assert entry["facts"]["by"] == "Nour" and len(entry["facts"]["mail_log"]) == 64
    reply = entry["facts"]["reply"]
    assert "courriel" not in reply and "126" not in reply and reply.isprintable() and len(reply) <= 500


def test_nobody_recovers_beside_a_sender(folder, rows):
    from notifier.errors import CampaignBusy
    from notifier.storage.lock import sender_lock
    from tests.conftest import NOW

    restored(folder, rows)
    snapshot = rows.all("SELECT COUNT(*) FROM entries")
    with sender_lock(folder, NOW), pytest.raises(CampaignBusy):
        recover(folder)
    assert rows.all("SELECT COUNT(*) FROM entries") == snapshot


def test_the_queries_of_a_recovery_use_an_index(folder, rows):
    """Millions of deliveries: each slice must not walk over those that are held already."""
    from functools import partial

    from notifier.storage import restored as queries

    seen = []

    async def traced():
        async with open_cycle(folder / "campaign.db") as cycle:

            def work(connection):
                connection.set_trace_callback(seen.append)
                queries.hold_resends(connection, now_ms=1, most=2)
                queries.suspect_waiting(connection, state="in_doubt", epoch=1, now_ms=1, most=2)
                connection.set_trace_callback(None)
                return [connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall() for statement in seen]

            return await cycle.read(partial(work))

    for plan in asyncio.run(traced()):
        assert not any(str(step[3]).startswith("SCAN deliveries") and "INDEX" not in step[3] for step in plan), plan
