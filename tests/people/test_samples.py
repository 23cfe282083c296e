"""The control sample: repeatable, journaled without values, and a wrong pair is held at once."""

from __future__ import annotations

import asyncio
import json

import pytest
from people_desk import NOW, Insured, both

from notifier.errors import OperatorError
from notifier.people.samples import draw, judge

ROWS = [Insured(nir=f"18405123456{number:02}", forename=name, contract=f"K{number}")
        for number, name in enumerate(("Alice", "Bob", "Chloé", "David", "Emma", "Farid"), start=10)]  # fmt: skip


def sampled(desk, check):
    async def work():
        async with desk() as d:
            await d.export(*ROWS, Insured(nir="2900512345678", birth="1990-05-12", forename="Zoé"))
            await d.directory(
                *(both(row, member_number=f"M{row.contract}", email=f"{row.contract}@exemple.example") for row in ROWS)
            )
            await d.plan()
            return await check(d)

    return asyncio.run(work())


async def facts(d) -> list[dict]:
    rows = await d.rows("SELECT body FROM entries WHERE kind = 'sample_checked'")
    return [json.loads(body)["facts"] for (body,) in rows]


def test_a_seed_draws_the_same_pairs_and_only_matched_ones(desk):
    async def check(d):
        one, same, other = [await draw(d.database, d.vault, many=3, seed=seed) for seed in (7, 7, 8)]
        assert one == same != other
        assert (len(one.pairs), one.matched) == (3, 6)
        for pair in one.pairs:
            assert pair.person.forename == pair.contact.forename != "Zoé"
            assert (pair.rung, pair.differing()) == ("nir_rank", [])
        assert len((await draw(d.database, d.vault, many=50, seed=1)).pairs) == 6

    sampled(desk, check)


def test_a_verdict_is_journaled_without_values_and_the_wrong_pair_is_held(desk):
    async def check(d):
        sample = await draw(d.database, d.vault, many=3, seed=7)
        wrong = sample.pairs[1]
        made = await judge(
            d.database, d.vault, many=3, seed=7, wrong=[wrong.reference], by="dpo", now=NOW, digest=sample.digest
        )
        assert made.wrong == (wrong.reference,)
        [told] = await facts(d)
        assert (told["n"], told["seed"], told["by"], told["matched"]) == (3, 7, "dpo", 6)
        assert [one[:12] for one in told["wrong"]] == [wrong.reference]
        assert wrong.person.forename not in json.dumps(told, ensure_ascii=False)
        await d.plan()
        notices = {notice["name"]: notice for notice in await d.notices()}
        held = notices[wrong.person.forename]
        assert (held["route"], held["review"], held["delivery_id"]) == ("none", "wrong_match", None)
        [case] = await d.open_cases()
        await d.decide(case.id, "none")
        await d.plan()
        notices = {notice["name"]: notice for notice in await d.notices()}
        assert notices[wrong.person.forename]["reason"] == "unmatched"

    sampled(desk, check)


def test_a_wrong_pair_that_was_approved_is_taken_back_unless_begun(desk):
    async def check(d):
        await d.approve()
        sample = await draw(d.database, d.vault, many=6, seed=7)
        first, second = sample.pairs[:2]
        await judge(d.database, d.vault, many=6, seed=7, wrong=[first.reference], by="dpo", now=NOW)
        notices = {notice["name"]: notice for notice in await d.notices()}
        assert notices[first.person.forename]["batch_id"] is None
        await d.run("UPDATE deliveries SET state = 'sending', attempt = 1 WHERE state = 'queued'")
        before = await d.dump()
        with pytest.raises(OperatorError, match="being told already"):
            await judge(d.database, d.vault, many=5, seed=7, wrong=[second.reference], by="dpo", now=NOW)
        assert await d.dump() == before

    sampled(desk, check)


def test_a_verdict_on_another_sample_is_refused(desk):
    async def check(d):
        sample = await draw(d.database, d.vault, many=3, seed=7)
        with pytest.raises(OperatorError, match="no pair of the sample"):
            await judge(d.database, d.vault, many=3, seed=7, wrong=["ffffffffffff"], by="dpo", now=NOW)
        await d.run("UPDATE persons SET contact_id = NULL, rung = ''")
        with pytest.raises(OperatorError, match="nobody is matched"):
            await judge(d.database, d.vault, many=3, seed=7, wrong=[], by="dpo", now=NOW, digest=sample.digest)
        assert await facts(d) == []

    sampled(desk, check)
