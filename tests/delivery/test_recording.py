"""Recording a cycle's outcomes together says what recording them one by one says (I4)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial

import pytest

from notifier.delivery.outcomes import Kind, Outcome, Phase
from notifier.delivery.record import Ended, Policy, decide, record, record_all
from notifier.model import to_ms
from notifier.storage import deliveries
from notifier.storage.cycle import open_cycle
from tests.delivery.rows import Rows

NOW = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
KINDS = [Kind.ACCEPTED, Kind.REFUSED, Kind.DEFERRED, Kind.IN_DOUBT, Kind.RELEASED, Kind.ACCEPTED]


def one_by_one(connection, vault, ends):
    return [record(connection, vault, end, decision) for end, decision in ends]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("how", [record_all, one_by_one])
def test_i4_together_and_one_by_one_alike(folder, vault, settings, how, late):
    """``late``: somebody else has settled one of them meanwhile; it is written down as late and the others stand."""
    rows = Rows(folder / "campaign.db", vault)
    ids = rows.deliver(*(f"p{number}@courriel.example" for number in range(len(KINDS))))
    policy = Policy.of(settings)

    async def whole():
        async with open_cycle(folder / "campaign.db") as cycle:

            def claimed(connection):
                taken = deliveries.claim(connection, now_ms=to_ms(NOW), epoch=1, most=10)
                return deliveries.fetch(connection, taken)

            claims = await cycle.write(claimed)
            if late:
                rows.run("UPDATE deliveries SET state = 'deferred', epoch = 2 WHERE id = ?", ids[0])
            ends = []
            for claim, kind in zip(claims, KINDS, strict=True):
                end = Ended(claim, Outcome(kind, Phase.FINAL, 250), NOW, reply="said", relay="relay.example:25")
                ends.append((end, decide(claim, end.outcome, now=NOW, policy=policy, roll=0.0)))
            return await cycle.write(partial(how, vault=vault, ends=ends))

    fates = asyncio.run(whole())
    assert [fate.kind for fate in fates] == ["accepted", "refused", "deferred", "in_doubt", "released", "accepted"]
    assert [fate.late for fate in fates] == [late, False, False, False, False, False]
    assert [rows.state(one) for one in ids] == ["accepted", "refused", "deferred", "in_doubt", "queued", "accepted"]
    assert rows.states()["to_print"] == 1
    told = {(entry["kind"], entry["subject"], entry["facts"]["late"]) for entry in rows.entries()}
    tokens = [rows.one("SELECT token FROM deliveries WHERE id = ?", one).hex() for one in ids]
    kinds = ["delivery_accepted", "delivery_refused", "delivery_deferred", "delivery_in_doubt"]
    wanted = {(kind, token, False) for kind, token in zip(kinds, tokens, strict=False)}
    wanted |= {("delivery_accepted", tokens[5], False)}
    if late:
        wanted = (wanted - {("delivery_accepted", tokens[0], False)}) | {("delivery_accepted", tokens[0], True)}
    assert told == wanted
    assert rows.one("SELECT COUNT(*) FROM attempts") == 5
    assert {entry["facts"]["relay"] for entry in rows.entries()} == {"relay.example:25"}
    # Each is found by its delivery.
    found = rows.all("SELECT e.subject, lower(hex(d.token)) FROM entries e JOIN deliveries d ON d.id = e.delivery_id")
    assert len(found) == len(told) and all(subject == token for subject, token in found)
