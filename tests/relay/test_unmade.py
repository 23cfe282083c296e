"""One message that cannot be made is set aside and stops nobody else; many in a row are ours."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from notifier.people.exclusions import Ground, withdraw
from tests.delivery.rows import TinyNotice

SPOILT = b"\0" * 40


def many(count: int, prefix: str = "p") -> list[str]:
    return [f"{prefix}{number:03}@courriel.example" for number in range(count)]


def spoil(rows, *ids: int) -> None:
    """The sealed contact of these deliveries opens no more."""
    for one in ids:
        rows.run("UPDATE contacts SET sealed = ? WHERE id = (SELECT contact_id FROM deliveries WHERE id = ?)",
                 SPOILT, one)  # fmt: skip


def test_i4_an_unreadable_contact_is_set_aside_and_the_run_goes_on(rows, server, sending, folder):
    ids = rows.deliver(*many(30))
    spoil(rows, ids[3])
    report = sending(server)
    assert (report.reason, report.accepted, report.unmade) == ("done", 29, 1)
    assert report.exit_code == 1 and report.left.unmade == 1, "somebody has to look"
    assert rows.state(ids[3]) == "unmade" and rows.states() == {"accepted": 29, "unmade": 1}
    (entry,) = rows.entries("delivery_unmade")
    assert entry["facts"]["reply"] == "unreadable" and entry["facts"]["attempt"] == 1 and entry["facts"]["code"] == 0
    assert rows.all("SELECT outcome, reply FROM attempts WHERE delivery_id = ?", ids[3]) == [("unmade", "unreadable")]
    assert "unmade delivery=" in (folder / "logs" / "mail.log").read_text()
    again = sending(server)
    assert again.accepted == again.unmade == 0, "not tried again by itself"


def test_i2_a_wrong_envelope_is_one_deliverys_own_affair(rows, server, sending):
    class Mixed(TinyNotice):
        def render(self, fields, *, to, message_id, date):
            to = "p001@courriel.example" if to.startswith("p000") else to
            return super().render(fields, to=to, message_id=message_id, date=date)

    async def notice_for(batch_id, segment_id):
        return Mixed()

    ids = rows.deliver(*many(10))
    report = sending(server, notice_for=notice_for)
    assert (report.accepted, report.unmade) == (9, 1) and rows.state(ids[0]) == "unmade"
    assert rows.entries("delivery_unmade")[0]["facts"]["reply"] == "envelope"


def test_a_notice_that_cannot_write_a_name_is_told_by_the_kind_of_fault(rows, server, sending):
    class Narrow(TinyNotice):
        def render(self, fields, *, to, message_id, date):
            fields.contact.name.encode("latin-1")
            return super().render(fields, to=to, message_id=message_id, date=date)

    async def notice_for(batch_id, segment_id):
        return Narrow()

    rows.deliver("a@courriel.example", name="Ω-Vasseur")
    rows.deliver(*many(3))
    report = sending(server, notice_for=notice_for)
    assert (report.accepted, report.unmade) == (3, 1)
    (entry,) = rows.entries("delivery_unmade")
    assert entry["facts"]["reply"] == "UnicodeEncodeError" and "Ω" not in str(entry), "I8: the class, not the text"


def test_many_in_a_row_are_ours_and_pause_the_campaign(rows, server, sending):
    ids = rows.deliver(*many(60))
    spoil(rows, *ids)
    report = sending(server)
    assert report.reason == "paused" and "could not be made" in report.paused_reason and server.taken == []
    states = rows.states()
    assert states["queued"] >= 50 and states["queued"] + states["unmade"] == 60, "I1: nobody is lost, few set aside"
    assert len(rows.entries("campaign_paused")) == 1


def test_some_here_and_there_pause_nothing(rows, server, sending):
    ids = rows.deliver(*many(60))
    spoil(rows, *ids[::3])
    report = sending(server, tune={"connections": 1})
    assert report.reason == "done" and rows.states() == {"accepted": 40, "unmade": 20}


def test_i1_who_is_told_in_another_way_can_be_taken_out(rows, server, sending, opened, vault):
    """Nothing of it was begun, so nothing has to be rectified."""
    (one,) = rows.deliver("a@courriel.example")
    spoil(rows, one)
    sending(server)
    sender, identity = rows.one("SELECT sender, identity FROM persons")

    async def whole():
        async with opened() as database:
            ground = Ground("decision", "told by telephone", "")
            now = datetime.now(UTC)
            return await withdraw(database, vault, [vault.pseudonym(sender, identity)], ground, by="ops", now=now)

    made = asyncio.run(whole())
    assert made.taken_back == 1 and not made.begun
    assert rows.states() == {"withdrawn": 1} and rows.one("SELECT excluded FROM notifications") == "decision"


# -- a dry run -----------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_each_that_cannot_be_made_and_goes_on(rows, sending, vault, monkeypatch):
    """It opens no connection and changes nothing, whatever it finds; exit 1."""
    ids = rows.deliver(*many(30))
    (odd,) = rows.deliver("two words@courriel.example")
    spoil(rows, ids[0], ids[7])
    before = rows.snapshot()
    monkeypatch.setattr("asyncio.BaseEventLoop.create_connection", None)
    report = sending(None, dry_run=True)
    assert (report.rendered, report.unmade, report.exit_code) == (28, 3, 1)
    tokens = [rows.one("SELECT token FROM deliveries WHERE id = ?", one).hex() for one in (ids[0], ids[7], odd)]
    assert [each.delivery for each in report.broken] == tokens
    assert [each.code for each in report.broken] == ["unreadable", "unreadable", "no_command"]
    assert [each.reference for each in report.broken] == [vault.reference(token) for token in tokens]
    assert rows.snapshot() == before


def test_a_dry_run_with_a_limit_tries_no_more(rows, sending):
    ids = rows.deliver(*many(10))
    spoil(rows, ids[1])
    report = sending(None, dry_run=True, limit=4)
    assert (report.rendered, report.unmade) == (3, 1)
