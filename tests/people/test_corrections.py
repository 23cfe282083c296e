"""A corrected file takes the place of an earlier one (`intake --replaces`): who is in both stays, who vanished is
excluded with trace. Real files, the real intake."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from test_departures import (  # the desk of its fixture, and rows
    FINESS,
    MEMBERS,
    NOBODY,
    PEOPLE,
    Desk,
    File,
    _files,
    alm,
    campaigns,
    shop,
    via,
)

from notifier.app import forget_file, take_exports
from notifier.errors import OperatorError

pytestmark = pytest.mark.thorough

__all__ = ["campaigns"]

ALICE = File("viamedis-insured", (via(),))
BOTH = File("viamedis-insured", (via("Bob", "2"), via()))
SHOPS = File("viamedis-professional", (shop(), shop(FINESS[1], "Optique Deux", "deux@courriel.example", "Opticien")))
ONE_SHOP = File("viamedis-professional", (shop(FINESS[1], "Optique Deux", "deux@courriel.example", "Opticien"),))


async def take(desk: Desk, file: File, replaces: File | None = None):
    """What ``file`` was taken in as; ``replaces``: the earlier one."""
    path = desk.app.folder / f"file-{len(list(desk.app.folder.glob('file-*')))}.csv"
    path.write_text(file.text, encoding="utf-8")
    start = desk.taken[replaces][:12] if replaces else ""
    [done] = [one async for one in take_exports(desk.app, [path], profile=file.profile, incident=None, replaces=start)]
    desk.taken[file] = done.sha256
    return done


async def excluded(desk: Desk) -> list[tuple[str, str, str]]:
    rows = await desk.rows("SELECT identity, sealed, excluded, excluded_reason, excluded_by FROM persons")
    unseal = desk.app.vault.unseal
    found = [(unseal("person", row[0], row[1]), *row[2:]) for row in rows if row[2]]
    return sorted((who.get("forename") or who.get("company"), reason, by) for who, _, reason, by in found)


async def journaled(desk: Desk, kind: str) -> list[dict[str, object]]:
    rows = await desk.rows(f"SELECT body FROM entries WHERE kind = '{kind}' ORDER BY id")
    return [json.loads(bytes(body))["facts"] for (body,) in rows]


def run(campaigns, story) -> None:
    async def work() -> None:
        async with campaigns() as desk:
            await story(desk)

    asyncio.run(work())


@pytest.mark.parametrize("stage", ["taken", "planned", "approved"])
def test_I1_who_vanished_is_excluded_with_trace_and_the_rest_stays(campaigns, stage):
    async def story(desk: Desk) -> None:
        await desk.take(PEOPLE, MEMBERS)
        if stage != "taken":
            await desk.plan()
        if stage == "approved":
            await desk.approve()
        done = await take(desk, ALICE, PEOPLE)
        assert (done.correction.kept, done.correction.vanished) == (1, 1)
        assert done.correction.withdrawn == (stage == "approved")
        reason = f"absent from {desk.taken[ALICE][:12]}, which replaces {desk.taken[PEOPLE][:12]}"
        assert await excluded(desk) == [("Bob", reason, "dpo")]
        assert await desk.rows("SELECT COUNT(*) FROM records") == [(1,)]
        assert await journaled(desk, "import_replaced") == [
            {"by": "dpo", "new": desk.taken[ALICE], "vanished": 1, "kept": 1}
        ]
        assert await journaled(desk, "person_excluded") == [{"reason": "operator", "why": reason, "by": "dpo"}]
        if stage != "planned":  # a plan that nobody approved is forgotten as a whole
            await desk.balanced()
        await desk.plan()
        await desk.balanced()
        counted = await desk.rows("SELECT route, excluded, COUNT(*) FROM notifications GROUP BY 1, 2 ORDER BY 1")
        assert counted == [("email", "", 1), ("none", "operator", 1)]
        states = await desk.rows("SELECT state, COUNT(*) FROM deliveries GROUP BY state ORDER BY state")
        assert states == ([("queued", 1), ("withdrawn", 1)] if stage == "approved" else [("queued", 1)])
        if stage != "approved":  # the desk's approval writes no entries
            await desk.proven()

    run(campaigns, story)


def test_I3_who_is_being_told_stays_told(campaigns):
    async def story(desk: Desk) -> None:
        await desk.take(PEOPLE, MEMBERS)
        await desk.plan()
        await desk.approve()
        async with desk.app.database.write() as connection:
            await connection.exec_driver_sql("UPDATE deliveries SET state = 'accepted', attempt = 1")
        done = await take(desk, ALICE, PEOPLE)
        assert (done.correction.vanished, done.correction.withdrawn) == (1, 0)
        await desk.plan()
        assert await desk.rows("SELECT excluded, COUNT(*) FROM notifications GROUP BY 1") == [("", 2)]
        assert len(await excluded(desk)) == 1
        await desk.balanced()

    run(campaigns, story)


def test_I1_who_vanished_is_not_written_to_again_by_itself_after_a_doubt(campaigns):
    async def story(desk: Desk) -> None:
        await desk.take(PEOPLE, MEMBERS)
        await desk.plan()
        await desk.approve()
        async with desk.app.database.write() as connection:
            await connection.exec_driver_sql("UPDATE deliveries SET state = 'in_doubt', attempt = 1, due_ms = 5")
        await take(desk, ALICE, PEOPLE)
        assert sorted(await desk.rows("SELECT due_ms FROM deliveries")) == [(0,), (5,)]
        assert [each["because"] for each in await journaled(desk, "delivery_held")] == ["excluded"]
        await desk.balanced()

    run(campaigns, story)


@pytest.mark.parametrize(
    ("state", "after"),
    [
        ("deferred", [("deferred", 0), ("withdrawn", 0)]),
        ("sending", [("sending", 0), ("sending", 1)]),  # who records how that ends looks who is left
    ],
)
def test_I1_who_vanished_before_anybody_was_told_is_not_written_to(campaigns, state, after):
    """What an operator named by mistake must not go out with the next attempt."""

    async def story(desk: Desk) -> None:
        await desk.take(PEOPLE, MEMBERS)
        await desk.plan()
        await desk.approve()
        async with desk.app.database.write() as connection:
            await connection.exec_driver_sql(f"UPDATE deliveries SET state = '{state}', attempt = 2, retries = 1")
        done = await take(desk, ALICE, PEOPLE)
        assert (done.correction.vanished, done.correction.withdrawn) == (1, state == "deferred")
        assert sorted(await desk.rows("SELECT state, is_recalled FROM deliveries")) == after
        await desk.balanced()

    run(campaigns, story)


def test_run_twice_or_said_late_it_is_the_same(campaigns):
    async def story(desk: Desk) -> None:
        await desk.take(PEOPLE, MEMBERS)
        await take(desk, ALICE)  # beside it, by mistake
        late = await take(desk, ALICE, PEOPLE)
        assert late.already and (late.correction.kept, late.correction.vanished) == (1, 1)
        before = await desk.everything()
        again = await take(desk, ALICE, PEOPLE)
        assert again.already and again.correction is None
        assert await desk.everything() == before
        await desk.plan()
        await desk.balanced()

    run(campaigns, story)


def test_I2_who_comes_back_is_reinstated_with_what_is_known_now(campaigns):
    async def story(desk: Desk) -> None:
        await desk.take(PEOPLE, MEMBERS)
        await take(desk, ALICE, PEOPLE)
        third = File("almerys-insured", (alm("Bob", "2"),))
        done = await take(desk, third)
        assert done.reinstated == 1
        assert await excluded(desk) == []
        assert [facts["why"] for facts in await journaled(desk, "person_reinstated")] == [
            f"stands in {desk.taken[third][:12]}"
        ]
        exposures = await desk.rows(
            "SELECT e.canonical FROM persons p JOIN exposure_sets e ON e.id = p.exposure_set_id ORDER BY p.id"
        )
        assert [("viamedis" in one, "almerys" in one) for (one,) in exposures] == [(True, False), (False, True)]
        await desk.plan()
        assert await desk.rows("SELECT route FROM notifications") == [("email",), ("email",)]
        await desk.balanced()

    run(campaigns, story)


def test_I1_a_second_run_of_the_replaced_file_brings_nobody_back(campaigns):
    async def story(desk: Desk) -> None:
        old = await take(desk, BOTH)
        new = await take(desk, ALICE, replaces=BOTH)
        before = await excluded(desk)
        assert [who for who, _, _ in before] == ["Bob"]
        with pytest.raises(OperatorError, match=f"{new.sha256[:12]} took the place of this file"):
            await take(desk, BOTH)
        assert await excluded(desk) == before
        again = await take(desk, BOTH, replaces=ALICE)
        assert again.sha256 == old.sha256
        assert await excluded(desk) == []

    run(campaigns, story)


def test_rejections_end_with_the_file(campaigns):
    async def story(desk: Desk) -> None:
        await desk.take(PEOPLE)
        done = await take(desk, BOTH, PEOPLE)
        assert (done.correction.kept, done.correction.vanished) == (2, 0)
        assert await desk.rows(
            "SELECT i.state, x.state, e.sha256 FROM rejections x JOIN imports i ON i.id = x.import_id "
            "JOIN imports e ON e.id = x.ended_import_id"
        ) == [("undone", "corrected", desk.taken[BOTH])]
        assert not list((desk.app.folder / "rejections").glob("*.csv"))

    run(campaigns, story)


def test_professionals_keep_the_address_they_were_told_at(campaigns):
    async def story(desk: Desk) -> None:
        await desk.take(SHOPS)
        await desk.plan()
        await desk.approve()
        async with desk.app.database.write() as connection:
            await connection.exec_driver_sql("UPDATE deliveries SET state = 'accepted', attempt = 1 WHERE id = 1")
        await take(desk, ONE_SHOP, SHOPS)
        assert [name for name, _, _ in await excluded(desk)] == ["Pharmacie du Lac"]
        assert await desk.rows("SELECT COUNT(*) FROM deliveries d JOIN contacts c ON c.id = d.contact_id") == [(2,)]
        await desk.plan()
        await desk.balanced()

    run(campaigns, story)


def test_a_wrong_earlier_file_is_refused(campaigns):
    async def story(desk: Desk) -> None:
        other = File("almerys-insured", (alm(),))
        await desk.take(PEOPLE, MEMBERS, other)
        before = await desk.everything()
        for earlier, words in ((other, "same profile"), (MEMBERS, "same profile")):
            with pytest.raises(OperatorError, match=words):
                await take(desk, ALICE, earlier)
        desk.taken[BOTH] = "0" * 64
        with pytest.raises(OperatorError, match="no file"):
            await take(desk, ALICE, BOTH)
        with pytest.raises(OperatorError, match="its own place"):
            await take(desk, PEOPLE, PEOPLE)
        assert await desk.everything() == before
        await take(desk, ALICE, PEOPLE)
        with pytest.raises(OperatorError, match="withdrawn already"):
            await take(desk, BOTH, PEOPLE)

    run(campaigns, story)


@pytest.mark.parametrize("told", [False, True])
def test_I8_the_earlier_file_can_be_forgotten_unless_somebody_was_told(campaigns, told):
    async def story(desk: Desk) -> None:
        await desk.take(PEOPLE, MEMBERS)
        if told:
            await desk.plan()
            await desk.approve()
            async with desk.app.database.write() as connection:
                await connection.exec_driver_sql("UPDATE deliveries SET state = 'accepted', attempt = 1")
        await take(desk, ALICE, PEOPLE)
        if told:
            with pytest.raises(OperatorError, match="corrected file took its place"):
                await forget_file(desk.app, desk.taken[PEOPLE])
            return
        forgotten, _ = await forget_file(desk.app, desk.taken[PEOPLE])
        assert forgotten.bodies[-1]["removed"]["persons"] == 1
        assert await desk.rows("SELECT COUNT(*) FROM persons") == [(1,)]

    run(campaigns, story)


def _told(contents: dict[str, list[tuple]], key: str, excluded_at: int) -> list[tuple]:
    return [row for row in contents[key] if not row[excluded_at]]


@pytest.mark.thorough
@hypothesis_settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(_files(), min_size=2, max_size=4, unique_by=lambda file: file.text), data=st.data())
def test_I1_I3_to_replace_is_to_withdraw_and_take_in_for_all_who_are_not_excluded(campaigns, files, data):
    exports = [file for file in files if file.profile != "directory"]
    assume(exports)
    old = data.draw(st.sampled_from(exports))
    rows = data.draw(st.lists(st.sampled_from([*old.rows, *old.rows, NOBODY]), min_size=1, max_size=3))
    if old.profile != "viamedis-insured":
        rows = [row for row in rows if row != NOBODY] or [old.rows[0]]
    new = File(old.profile, tuple(rows))
    assume(new.text not in {file.text for file in files})

    async def work() -> None:
        async with campaigns() as replaced, campaigns() as redone:
            await replaced.take(*files)
            await redone.take(*files)
            if data.draw(st.booleans()):
                await replaced.plan()
            await take(replaced, new, old)
            await replaced.balanced()
            await redone.undo(old)
            await take(redone, new)
            await replaced.plan()
            await redone.plan()
            await replaced.balanced()
            await replaced.proven()
            after, wanted = await replaced.contents(), await redone.contents()
            for key in ("imports", "records", "contacts", "reviews", "waves", "deliveries"):
                assert after[key] == wanted[key], key
            assert _told(after, "persons", 7) == _told(wanted, "persons", 7)
            assert _told(after, "notifications", 9) == _told(wanted, "notifications", 9)

    asyncio.run(work())


def test_a_held_file_keeps_what_it_is_to_replace(campaigns):
    async def story(desk: Desk) -> None:
        await desk.take(PEOPLE)
        bad = File("viamedis-insured", (*(via(birth=f"{day:02d}/09/1995") for day in range(1, 21)), NOBODY, NOBODY))
        done = await take(desk, bad, PEOPLE)
        assert done.held is not None and done.correction is None
        assert f"--replaces {desk.taken[PEOPLE]}" in done.held.command()
        assert await desk.rows("SELECT state, COUNT(*) FROM imports GROUP BY state ORDER BY state") == [
            ("complete", 1),
            ("held", 1),
        ]
        assert await excluded(desk) == []

    run(campaigns, story)
