"""What a message costs does not grow with the campaign: every statement of a run goes along an index (DESIGN 13).

The statements are those that SQLite itself was given, listed while a run claims, records, waits, retries, doubts,
paces, counts, replaces, picks and seals; a new one is in the test without being named here.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from notifier.journal.sealer import seal
from notifier.storage import deliveries, spread
from tests.relay.server import Act

NOW = datetime(2024, 2, 9, 8, 59, 59, tzinfo=UTC)
LARGE = ("deliveries", "contacts", "persons", "notifications", "attempts", "entries", "leaves", "records")
CYCLE = re.compile(r"\b(?:UPDATE|INSERT INTO|FROM|JOIN) (?:deliveries|attempts|entries|leaves|notifications)\b")

# Asked when a run begins and ends, of all that is left; once, so a run may pay for it (along an index all the same).
ONCE = re.compile(r"SELECT COALESCE\(SUM\(channel|SELECT COUNT\(\*\) FROM notifications", re.IGNORECASE)
# The last row of a table in the order in which it lies.
LAST = re.compile(r"ORDER BY l\.leaf_index DESC LIMIT 1$")
# The head of an ordered walk that ends at its LIMIT; and what is marked SENDING, never more than the window.
WALKS = re.compile(r"SCAN deliveries USING (?:COVERING )?INDEX deliveries_(?:due|lane|sending)$")


@pytest.fixture
def statements(monkeypatch) -> list[str]:
    """Every statement, its values filled in, of every connection that is opened from here on."""
    told: list[str] = []
    connect = sqlite3.connect

    def traced(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.set_trace_callback(told.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    return told


def plan(folder, statement: str) -> list[str]:
    connection = sqlite3.connect(folder / "campaign.db")
    try:
        connection.execute(spread._ENOUGH)  # the one table that is a connection's own
        return [str(step[-1]) for step in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    finally:
        connection.close()


def walked_over(steps: list[str]) -> list[str]:
    """The steps that read a large table from its beginning, or sort what they have read."""
    scans = re.compile(rf"SCAN (?:{'|'.join(LARGE)}|[a-z]|own)\b(?! VIRTUAL)")
    return [step for step in steps if scans.match(step) and not WALKS.match(step)]


def test_no_statement_of_a_run_reads_a_large_table_from_its_beginning(
    rows, server, sending, folder, vault, opened, statements
) -> None:
    rows.deliver("o0@courriel.example", "o1@courriel.example", "o2@courriel.example", provider="orange")
    rows.deliver("g@courriel.example", "refused@courriel.example", "later@courriel.example", provider="gmail")
    rows.deliver("doubt@courriel.example", "second@courriel.example", second="other@courriel.example")
    rows.deliver("family@courriel.example", form="children", children=("Léa", "Tom"))
    server.on("o0@courriel.example", Act("rcpt", "421 Service refuse. Veuillez essayer plus tard."))
    server.on("refused@courriel.example", Act("rcpt", "550 5.1.1 no such user"))
    server.on("second@courriel.example", Act("rcpt", "550 5.1.1 no such user"))
    server.on("later@courriel.example", Act("rcpt", "451 4.2.0 later"))
    server.on("doubt@courriel.example", Act("final", then="take_drop"))
    statements.clear()
    for hours, tune in ((0, {}), (0, {"rate": 1000.0}), (1, {}), (30, {})):
        at = NOW + timedelta(hours=hours)
        limit = None if hours else 100
        sending(server, clock=lambda at=at: at, tune={"connections": 2, **tune}, wave="initial" if hours else None,
                limit=limit)  # fmt: skip

    async def sealed() -> None:
        async with opened() as database:
            assert await seal(database, vault, reason="test", now=NOW)

    asyncio.run(sealed())
    asked = [one for one in dict.fromkeys(statements) if CYCLE.search(one)]
    kinds = {re.sub(r"'[^']*'|\b\d+\b|x'[0-9a-f]*'", "?", one, flags=re.IGNORECASE)[:60] for one in asked}
    assert len(kinds) > 12, kinds
    assert any("temp.enough" in one for one in asked), "what is picked is among them"
    kinds_told = {entry["kind"] for entry in rows.entries()}
    assert kinds_told >= {"lane_closed", "delivery_accepted", "delivery_refused", "delivery_deferred",
                          "delivery_in_doubt"}  # fmt: skip
    for statement in asked:
        if ONCE.search(statement) or LAST.search(statement):
            continue
        steps = plan(folder, statement)
        assert not walked_over(steps), (statement, steps)
    assert walked_over(plan(folder, "SELECT id FROM attempts WHERE ended_ms = 1")), "and one without an index is seen"


def test_what_a_run_counts_once_goes_along_the_states(rows, folder) -> None:
    """Not over what has been sent: at the end of a campaign that is all of it."""
    rows.deliver("a@courriel.example")
    told: list[str] = []
    connection = sqlite3.connect(folder / "campaign.db")
    connection.set_trace_callback(told.append)
    deliveries.left(connection, wave_id=None)
    connection.close()
    steps = plan(folder, told[0])
    assert any("SEARCH deliveries USING INDEX deliveries_wave (wave_id=? AND state=?)" in step for step in steps), steps


def test_what_waits_is_counted_once_and_again_only_when_one_is_met_that_was_not_counted(
    rows, server, sending, statements
) -> None:
    rows.deliver(*(f"p{number}@courriel.example" for number in range(40)))
    server.on("p7@courriel.example", Act("rcpt", "450 4.2.0 later"))
    statements.clear()
    approved = iter([("late0@courriel.example", "late1@courriel.example")])

    def approve(progress) -> None:
        if progress.counts.get("accepted", 0) == 20:
            rows.deliver(*next(approved, ()))

    report = sending(server, tune={"connections": 1, "window": 1}, on_progress=approve)
    assert (report.accepted, report.deferred) == (41, 1)
    cycles = sum(one.startswith("UPDATE deliveries SET state = 'sending'") for one in statements)
    counts = sum(one.startswith("SELECT COUNT(*) FROM deliveries") for one in statements)
    assert cycles > 40 and counts == 2, (cycles, counts)
