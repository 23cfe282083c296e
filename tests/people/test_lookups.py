"""A person is looked up: by case reference, or by what it says of itself; what was said stays nowhere (I8)."""

from __future__ import annotations

import asyncio
import csv
import json
from dataclasses import replace

import pytest
from people_desk import ADDRESS, NIR, NOW, Insured, Practice, both

from notifier import enquiries
from notifier.campaign import categories
from notifier.errors import OperatorError
from notifier.intake.identifiers import nir_key
from notifier.model import to_ms
from notifier.people.lookups import HEADINGS, find_identity, find_reference, write_hotline

HOLDER = Insured(forename="Alice", name="Exemple", contract="K1", exposures=("viamedis:nir", "almerys:contract"))
ZOE = replace(HOLDER, forename="Zoé", birth="2012-06-01", exposures=("viamedis:nir",))
ALICE = both(HOLDER, email="alice@exemple.example")
CHILD = both(ZOE, member_number="M5", link="E", postal=ADDRESS)
FULL_NIR = f"{NIR} {nir_key(NIR):02d}"


def asked(desk, body, *, exports=((HOLDER, ZOE),), members=(ALICE, CHILD), sent=True):
    async def work():
        async with desk() as d:
            for rows in exports:
                await d.export(*rows)
            await d.directory(*members)
            await d.plan()
            await d.approve()
            if sent:
                await d.run(
                    "INSERT INTO attempts (delivery_id, number, outcome, late, phase, enhanced, reply, notice_sha256, "
                    "started_ms, ended_ms) SELECT id, 1, 'accepted', 0, 'final', '', '', '', :at, :at FROM deliveries "
                    "WHERE channel = 'mail'",
                    at=to_ms(NOW),
                )
                await d.run("UPDATE deliveries SET state = 'accepted', attempt = 1 WHERE channel = 'mail'")
            return await body(d)

    return asyncio.run(work())


async def find(d, folder, way, **typed):
    said = enquiries.read(way, typed, folder, NOW.date())
    return await find_identity(d.database, d.vault, d.settings, categories(folder), said, by="accueil", now=NOW)


async def entries(d, kind):
    rows = await d.rows("SELECT subject, body FROM entries WHERE kind = :kind ORDER BY id", kind=kind)
    return [(row.subject, json.loads(row.body)["facts"]) for row in rows]


def test_by_case_reference_however_it_was_typed(desk, folder):
    async def body(d):
        [alice, zoe] = await d.notices()
        reference = d.vault.reference(alice["token"].hex())
        typed = reference.lower().replace("-", " ").replace("1", "l").replace("0", "O")
        answer = await find_reference(d.database, d.vault, categories(folder), typed, by="accueil", now=NOW)
        [found] = answer.found
        assert found.pseudonym == d.vault.pseudonym("clairval", alice["identity"])
        assert {incident: [code for code, _ in labels] for incident, labels in found.exposures.items()} == {
            "almerys": ["contract"],
            "viamedis": ["nir"],
        }
        assert any("sécurité sociale" in label for _, label in found.exposures["viamedis"])
        [told] = found.told
        assert (told.wave, told.state, told.sent, told.reference) == ("initial", "accepted", NOW, reference)
        shared = d.vault.reference(zoe["token"].hex())
        [child] = (await find_reference(d.database, d.vault, {}, shared, by="accueil", now=NOW)).found
        assert child.who == "Zoé Exemple"
        assert (await entries(d, "person_looked_up"))[0] == (
            found.pseudonym,
            {"by": "accueil", "how": "reference", "compared": "the case reference", "found": True},
        )

    asked(desk, body)


@pytest.mark.parametrize(
    ("way", "typed"),
    [
        ("nir", {"nir": FULL_NIR, "birth_date": "12/05/1984", "forename": "ALICE"}),
        ("nir", {"nir": NIR, "birth_date": "1984-05-12", "forename": "  alice "}),
        ("contract", {"contract": "k-1", "birth_date": "12/05/1984", "name": "exemple"}),
    ],
)
def test_by_identity_typed_as_people_type(desk, folder, way, typed):
    async def body(d):
        answer = await find(d, folder, way, **typed)
        assert [each.who for each in answer.found if each.relation == "own"] == ["Alice Exemple"]
        body = answer.as_json()
        assert (body["concerned"], body["how"]) == (True, "identity")
        assert body["by_sender"]["clairval"] == {"concerned": True, "member": True}

    asked(desk, body)


def test_by_email_with_the_children_told_of_through_it(desk, folder):
    async def body(d):
        answer = await find(d, folder, "email", email="Alice@Exemple.example")
        assert {(each.who, each.relation) for each in answer.found} == {
            ("Alice Exemple", "own"),
            ("Zoé Exemple", "told_about"),
        }

    asked(desk, body)


def test_somebody_found_by_another_rung_is_found_by_its_nir_too(desk, folder):
    """The export had no usable NIR; the directory has it."""
    without = replace(HOLDER, nir="")

    async def body(d):
        answer = await find(d, folder, "nir", nir=NIR, birth_date="12/05/1984", forename="Alice")
        assert [each.relation for each in answer.found] == ["own"]

    asked(desk, body, exports=((without,),), members=(ALICE,))


def test_a_member_in_no_export_is_told_so_and_it_is_said_what_was_compared(desk, folder):
    async def body(d):
        answer = await find(d, folder, "nir", nir=NIR, birth_date="12/05/1984", forename="Alice")
        assert (list(answer.found), answer.members) == ([], ["clairval"])
        said = " ".join(answer.lines(d.settings.zone))
        assert "NIR + birth date + forename" in said
        assert "in no export" in said
        answer = await find(d, folder, "nir", nir=NIR, birth_date="13/05/1984", forename="Alice")
        assert (list(answer.found), list(answer.members)) == ([], [])
        looked = await entries(d, "person_looked_up")
        assert [(subject, facts["found"]) for subject, facts in looked] == [("", False), ("", False)]

    asked(desk, body, exports=((ZOE,),), members=(ALICE,))


def test_a_parent_who_is_not_concerned_is_shown_the_child_it_was_told_of(desk, folder):
    async def body(d):
        answer = await find(d, folder, "nir", nir=NIR, birth_date="12/05/1984", forename="Alice")
        assert [(each.who, each.relation) for each in answer.found] == [("Zoé Exemple", "told_about")]
        assert not answer.as_json()["concerned"]
        said = " ".join(answer.lines(d.settings.zone))
        assert "Not concerned itself" in said
        assert "NIR + birth date + forename" in said

    asked(desk, body, exports=((ZOE,),), members=(ALICE, CHILD))


def test_a_row_without_forename_is_shown_as_what_it_is(desk, folder):
    nameless = replace(HOLDER, forename="", rank=None)

    async def body(d):
        answer = await find(d, folder, "nir", nir=NIR, birth_date="12/05/1984", forename="Alice")
        assert [each.relation for each in answer.found] == ["nameless"]
        assert not answer.as_json()["concerned"]
        assert answer.found[0].under_review

    asked(desk, body, exports=((nameless,),), members=(), sent=False)


@pytest.mark.parametrize(
    ("row", "typed", "found"),
    [
        ({"siret": "73282932000074", "finess": "750000010"}, {"siret": "732 829 320 00074", "finess": "750000010"}, 1),
        ({"siret": "73282932000074", "finess": ""}, {"siret": "73282932000074"}, 1),
        ({"siret": "", "finess": "750000010"}, {"siret": "73282932000074", "finess": "750000010"}, 1),
        ({"siret": "73282932000074", "finess": "750000010"}, {"siret": "73282932000074"}, 0),
    ],
)
def test_a_professional_by_its_numbers(desk, folder, row, typed, found):
    async def body(d):
        answer = await find(d, folder, "professional", **typed)
        assert len(answer.found) == found

    asked(desk, body, exports=((Practice(email="p@exemple.example", **row),),), members=())


@pytest.mark.parametrize(
    ("way", "typed"),
    [
        ("nir", {"nir": "1840512345679 11", "birth_date": "12/05/1984", "forename": "Alice"}),
        ("nir", {"nir": NIR, "birth_date": "32/05/1984", "forename": "Alice"}),
        ("nir", {"nir": NIR, "birth_date": "12/05/1984", "forename": ""}),
        ("contract", {"contract": "", "birth_date": "12/05/1984", "name": "Exemple"}),
        ("professional", {"siret": "", "finess": ""}),
        ("email", {"email": "personne"}),
    ],
)
def test_I8_what_cannot_be_read_is_named_and_not_repeated(folder, way, typed):
    with pytest.raises(OperatorError) as raised:
        enquiries.read(way, typed, folder, NOW.date())
    for value in typed.values():
        assert not value or value not in str(raised.value)


def test_I8_nothing_that_was_said_is_stored_or_told_to_a_program(desk, folder):
    async def body(d):
        answer = await find(d, folder, "nir", nir=FULL_NIR, birth_date="12/05/1984", forename="Alice")
        said = json.dumps(answer.as_json()) + repr(answer)
        bodies = b"".join(row.body for row in await d.rows("SELECT body FROM entries")).decode()
        for value in (NIR, "Alice", "Exemple", "1984-05-12", "alice@exemple.example"):
            assert value not in said
            assert value not in bodies

    asked(desk, body)


def test_the_other_senders_are_answered_apart(desk, folder):
    other = replace(HOLDER, sender="valmont", exposures=("almerys:nir",))

    async def body(d):
        [first] = d.settings.senders
        second = first.model_copy(update={"code": "valmont", "names": ["V"]})
        d.settings = d.settings.model_copy(update={"senders": (first, second)})
        answer = await find(d, folder, "nir", nir=NIR, birth_date="12/05/1984", forename="Alice")
        assert {(each.sender, tuple(each.exposures)) for each in answer.found} == {
            ("clairval", ("almerys", "viamedis")),
            ("valmont", ("almerys",)),
        }
        assert answer.as_json()["by_sender"]["valmont"] == {"concerned": True, "member": False}

    asked(desk, body, exports=((HOLDER, other),), members=(ALICE,))


def test_the_helplines_list_holds_what_went_out_and_nothing_else(desk, folder, tmp_path):
    unsent = Insured(forename="Hugo", nir="1810512345678", birth="1981-01-01", contract="K9")

    async def body(d):
        await d.run(
            "DELETE FROM attempts WHERE delivery_id IN (SELECT n.delivery_id FROM notifications n JOIN persons p "
            "ON p.id = n.person_id JOIN contacts c ON c.id = p.contact_id WHERE c.key_member = :key)",
            key=d.keys(both(unsent, contract="K9", member_number="M9").facts())["key_member"],
        )
        out = tmp_path / "hotline.csv"
        count = await write_hotline(d.database, d.vault, d.settings, out, wave=None, by="dpo", now=NOW)
        lines = list(csv.reader(out.read_text(encoding="utf-8").splitlines(), delimiter=";"))
        tokens = {n["name"]: d.vault.reference(n["token"].hex()) for n in await d.notices() if n["token"]}
        assert lines[0] == list(HEADINGS)
        assert sorted(lines[1:]) == sorted(
            [tokens[name], "2024-02-09", "initial", "clairval"] for name in ("Alice", "Zoé")
        )
        assert count == 2
        assert await entries(d, "hotline_exported") == [("", {"by": "dpo", "wave": "", "references": 2})]
        for value in ("Alice", "Exemple", "exemple.example"):
            assert value not in out.read_text(encoding="utf-8")
        assert await write_hotline(d.database, d.vault, d.settings, out, wave="nosuch", by="dpo", now=NOW) == 0

    members = (ALICE, CHILD, both(unsent, contract="K9", member_number="M9", email="hugo@exemple.example"))
    asked(desk, body, exports=((HOLDER, ZOE, unsent),), members=members)


def test_whom_the_operator_withdrew_is_not_called_concerned(desk, folder):
    async def body(d):
        await d.run("UPDATE persons SET excluded = 'operator' WHERE id = (SELECT MIN(id) FROM persons)")
        answer = await find(d, folder, "nir", nir=NIR, birth_date="12/05/1984", forename="Alice")
        assert [each.excluded for each in answer.found if each.relation == "own"] == ["operator"]
        assert not answer.as_json()["concerned"]
        assert "withdrawn by the operator" in answer.lines(d.settings.zone)[0]

    asked(desk, body)
