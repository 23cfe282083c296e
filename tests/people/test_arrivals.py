"""Files become persons: identity within and across files and operators."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from people_desk import NOW, Desk, Insured, Practice
from sqlalchemy import text

from notifier.people.arrivals import Arrivals
from notifier.storage.database import create_database, open_database
from notifier.vault import Keys, Vault

ALICE = Insured()
BOB = replace(ALICE, forename="Bob")
NAMELESS = replace(ALICE, forename="", exposures=("almerys:contract",))


async def people(desk) -> list[tuple]:
    """What must not depend on the order: identity, exposures, number of records, reviews of each person."""
    rows = await desk.rows(
        "SELECT p.sender, p.identity, e.canonical, "
        "(SELECT COUNT(*) FROM records r WHERE r.person_id = p.id), p.identity_review, "
        "(SELECT GROUP_CONCAT(v.reason || v.state) FROM reviews v WHERE v.person_id = p.id) "
        "FROM persons p JOIN exposure_sets e ON e.id = p.exposure_set_id ORDER BY p.sender, p.identity"
    )
    return [tuple(row) for row in rows]


def run(desk, *files, check=None):
    async def work():
        async with desk() as d:
            arrivals = [await d.export(*rows) for rows in files]
            found = await people(d)
            if check:
                await check(d)
            return arrivals, found

    return asyncio.run(work())


def test_a_person_in_both_operators_files_is_one_with_the_union_of_exposures(desk):
    arrivals, found = run(
        desk,
        [replace(ALICE, forename="Anne-Zoé", exposures=("viamedis:nir", "viamedis:contract"))],
        [replace(ALICE, forename="ANNE ZOE", exposures=("almerys:nir",))],
    )
    assert arrivals == [Arrivals(1, 0), Arrivals(0, 1)]
    assert [(row[2], row[3]) for row in found] == [("almerys:nir,viamedis:contract,viamedis:nir", 2)]


def test_the_same_row_twice_in_a_file_is_one_person_with_two_records(desk):
    arrivals, found = run(desk, [ALICE, ALICE, replace(ALICE, exposures=("viamedis:contract",))])
    assert arrivals == [Arrivals(1, 0)]
    assert [(row[2], row[3]) for row in found] == [("viamedis:contract,viamedis:nir", 3)]


def test_different_forenames_under_one_nir_and_rank_are_different_persons(desk):
    _, found = run(desk, [ALICE, BOB])
    assert len(found) == 2


def test_the_same_forename_with_another_rank_is_one_person_and_each_row_warns(desk):
    async def check(d):
        warnings = [row[0] for row in await d.rows("SELECT warnings FROM records ORDER BY id")]
        assert warnings == ["rank_differs", "rank_differs", ""]

    arrivals, found = run(desk, [ALICE], [replace(ALICE, rank=2), replace(BOB, rank=None)], check=check)
    assert arrivals[1] == Arrivals(1, 1)
    assert len(found) == 2


def test_a_nameless_row_joins_the_one_who_has_its_rank(desk):
    arrivals, found = run(desk, [ALICE, replace(BOB, rank=2)], [NAMELESS])
    assert arrivals[1] == Arrivals(0, 1)
    assert sorted((row[2], row[3], row[4]) for row in found) == [
        ("almerys:contract,viamedis:nir", 2, ""),
        ("viamedis:nir", 1, ""),
    ]


@pytest.mark.parametrize("rank", [1, 3, None])
def test_a_nameless_row_that_fits_two_or_none_is_its_own_person_under_review(desk, rank):
    _, found = run(desk, [ALICE, BOB, replace(NAMELESS, rank=rank)])
    assert sorted(row[5] or "" for row in found) == ["", "", "missing_forenameopen"]


def test_a_later_twin_takes_a_joined_nameless_row_away_again(desk):
    _, found = run(desk, [ALICE, NAMELESS], [BOB])
    assert sorted((row[2], row[3], row[4]) for row in found) == [
        ("almerys:contract", 1, "missing_forename"),
        ("viamedis:nir", 1, ""),
        ("viamedis:nir", 1, ""),
    ]


def test_a_nameless_person_found_out_later_leaves_nothing_behind(desk):
    async def check(d):
        assert await d.rows("SELECT * FROM reviews") == []

    arrivals, found = run(desk, [NAMELESS], [ALICE], check=check)
    assert arrivals == [Arrivals(1, 0), Arrivals(1, 0)]
    assert [(row[2], row[3], row[4]) for row in found] == [("almerys:contract,viamedis:nir", 2, "")]


def test_a_nameless_person_who_was_approved_stays_and_is_counted_as_somebody_else(desk):
    async def work():
        async with desk() as d:
            await d.export(NAMELESS)
            await d.plan()
            await d.approve()
            await d.export(ALICE)
            made = await d.plan()
            return made.as_json(), await d.notices(), await d.open_cases()

    plan, notices, cases = asyncio.run(work())
    assert plan["notifications"] == 2
    assert plan["excluded"] == {"same_person": 1}
    assert plan["review"] == 0
    assert cases == []
    assert sorted(notice["excluded"] for notice in notices) == ["", "same_person"]


def test_somebodys_decision_that_a_nameless_row_is_its_own_person_holds(desk):
    async def work():
        async with desk() as d:
            await d.export(NAMELESS)
            [case] = await d.open_cases()
            await d.decide(case.id, "own")
            await d.export(ALICE)
            await d.export(NAMELESS)
            return await people(d)

    found = asyncio.run(work())
    assert sorted((row[2], row[3], row[5]) for row in found) == [
        ("almerys:contract", 2, "missing_forenamedecided"),
        ("viamedis:nir", 1, None),
    ]


def test_two_senders_never_share_a_person(desk):
    _, found = run(desk, [ALICE, replace(ALICE, sender="autre")])
    assert [row[0] for row in found] == ["autre", "clairval"]


def test_without_nir_contract_and_full_identity_decide(desk):
    row = replace(ALICE, nir="", contract="K9")
    _, found = run(desk, [row, row, replace(row, forename="Bob"), replace(row, birth="1984-05-13")])
    assert sorted(row[3] for row in found) == [1, 1, 2]


def test_a_professional_is_reached_as_the_newest_export_says(desk):
    async def check(d):
        [row] = await d.rows(
            "SELECT p.rung, c.import_id, c.current FROM persons p JOIN contacts c ON c.id = p.contact_id"
        )
        assert tuple(row) == ("own", 2, 1)
        assert await d.rows("SELECT * FROM contacts WHERE current AND import_id = 1") == []

    practice = Practice(email="a@pharmacie.example")
    arrivals, found = run(desk, [practice], [replace(practice, email="b@pharmacie.example")], check=check)
    assert arrivals == [Arrivals(1, 0), Arrivals(0, 1)]
    assert len(found) == 1


# -- free of order ---------------------------------------------------------------------------------------------------

ROWS = st.lists(
    st.builds(
        Insured,
        birth=st.sampled_from(["1984-05-12", "2012-00-00"]),
        forename=st.sampled_from(["", "Alice", "Bob", "ALICE"]),
        rank=st.sampled_from([None, 1, 2]),
        exposures=st.sampled_from([("viamedis:nir",), ("almerys:nir",), ("almerys:nir", "almerys:contract")]),
    ),
    min_size=1,
    max_size=8,
)
KEYS = Keys.new("order")
COUNTER = itertools.count()


def outcome(tmp, files) -> list[tuple]:
    """The state after ``files``, in a database of its own under one key (so that digests compare)."""
    path = tmp / f"{next(COUNTER)}.db"
    vault = Vault(KEYS)
    create_database(path, vault, NOW)

    async def work():
        async with open_database(path, vault) as database:
            d = Desk(database, vault, None)  # nothing is planned here
            for rows in files:
                await d.export(*rows)
            return await people(d)

    return asyncio.run(work())


@pytest.mark.thorough
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, data=st.data())
def test_identity_does_not_depend_on_the_order_of_rows_or_files(tmp_path_factory, rows, data):
    tmp = tmp_path_factory.mktemp("order")
    shuffled = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rows)), max_size=3)))
    files = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True) if a < b]
    assert outcome(tmp, files) == outcome(tmp, [rows])


@pytest.mark.thorough
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_I1_every_record_has_one_person_and_the_same_rows_again_change_no_person(tmp_path_factory, rows):
    tmp = tmp_path_factory.mktemp("again")
    once = outcome(tmp, [rows])
    twice = outcome(tmp, [rows, rows])
    assert sum(row[3] for row in once) == len(rows)
    assert [(row[0], row[1], row[2], row[4], row[5]) for row in once] == [
        (row[0], row[1], row[2], row[4], row[5]) for row in twice
    ]
    assert sum(row[3] for row in twice) == 2 * len(rows)


SEVERAL = (
    replace(BOB, name="Second", exposures=("viamedis:contract",)), ALICE, replace(BOB, rank=2), NAMELESS,
    replace(ALICE, name="Autre", exposures=("almerys:nir",)),
)  # fmt: skip
PRACTICES = (Practice(company="Une", profession="dentist"), Practice(company="Deux", profession="audiologist"))


@pytest.mark.parametrize("file", [SEVERAL, PRACTICES])
def test_a_file_into_an_empty_campaign_becomes_what_it_becomes_in_another(desk, file):
    """The first file takes a shorter way: persons, records, and the row whose fields are sealed must be the same."""

    async def stored(d: Desk) -> tuple[list, list, list]:
        newest = "(SELECT MAX(id) FROM imports)"
        records = await d.rows(
            "SELECT r.line, p.identity, r.group_key, r.forename_key, r.birth_rank, r.exposure_set_id, r.warnings, "
            "r.profession, r.nameless_identity FROM records r JOIN persons p ON p.id = r.person_id "
            f"WHERE r.import_id = {newest} ORDER BY r.line"
        )
        persons = await d.rows(
            "SELECT p.identity, p.sender, p.kind, p.profession, p.exposure_set_id, p.rung, p.identity_review, p.sealed "
            f"FROM persons p WHERE p.id IN (SELECT person_id FROM records WHERE import_id = {newest}) "
            "ORDER BY p.identity"
        )
        opened = [(*row[:-1], str(d.vault.unseal("person", row[0], row[-1]))) for row in persons]
        indexes = await d.rows("SELECT name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name")
        return [tuple(row) for row in records], opened, [tuple(row) for row in indexes]

    async def work() -> None:
        async with desk() as d:
            first = await d.export(*file), await stored(d)
            assert len(first[1][0]) == len(file)
            async with d.database.write() as connection:
                for table in ("reviews", "records", "persons", "contacts"):
                    await connection.execute(text(f"DELETE FROM {table}"))
            await d.export(replace(ALICE, nir="2700112345678"))
            assert (await d.export(*file), await stored(d)) == first

    asyncio.run(work())
