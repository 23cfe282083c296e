"""What a directory says beside the address, from the file to the route: guardianship, opposition, second addresses,
formats, and whole directories of several days. Real files, the real intake."""

from __future__ import annotations

import asyncio
import csv
import io
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from test_departures import HEADS, KEY, NIR, PEOPLE, Desk, File, campaigns, via

from notifier.app import approve_wave, plan_wave, take_directories, undo_import
from notifier.coverage import other_side, other_side_lines
from notifier.delivery.outcomes import Kind, Outcome, Phase
from notifier.delivery.record import Policy, decide, ended, record
from notifier.intake.verdicts import Verdict
from notifier.model import Contact, to_ms
from notifier.notices.approval import findings
from notifier.storage import cycle, deliveries

pytestmark = pytest.mark.thorough

__all__ = ["campaigns"]

COLUMNS = [
    *HEADS["directory"].split(";"),
    "NOM_NAISSANCE",
    "EMAIL2",
    "OPPOSITION_EMAIL",
    "MESURE_PROTECTION",
    "TUTEUR",
    "DATE_ADHESION",
    "FORMAT",
]
ALICE = {
    "NUM_ADHERENT": "A1", "NIR": NIR, "CLE": KEY, "DATE_NAISSANCE": "14/09/1995", "RANG": "1", "NOM": "EXEMPLE",
    "PRENOM": "Alice", "LIEN": "A", "EMAIL": "alice@courriel.example", "ADRESSE1": "1 rue des Lilas",
    "CODE_POSTAL": "00000", "VILLE": "Clairval", "NUM_CONTRAT": "C1", "LANGUE": "fr", "STATUT": "actif",
    "ASSUREUR": "X",
}  # fmt: skip
BOB = ALICE | {"NUM_ADHERENT": "A2", "RANG": "2", "PRENOM": "Bob", "EMAIL": "bob@courriel.example"}
NOW = datetime(2024, 2, 20, 8, 0, tzinfo=UTC)
ONE = File("viamedis-insured", (via(),))


async def directory(desk: Desk, *members: dict[str, str], day: int = 1, is_whole: bool = False):
    """The members as a directory of that day of January 2024."""
    cells = io.StringIO()
    writer = csv.DictWriter(cells, COLUMNS, restval="", delimiter=";")
    writer.writeheader()
    writer.writerows(members)
    path = desk.app.folder / f"file-{len(list(desk.app.folder.glob('file-*')))}.csv"
    path.write_text(cells.getvalue(), encoding="utf-8")
    taken = take_directories(desk.app, [path], profile="directory", as_of=date(2024, 1, day), is_whole=is_whole)
    [done] = [one async for one in taken]
    return done


async def refuse(desk: Desk, *, many: int = 1) -> list[str]:
    """The sender's own door: what is due is refused as a bad address. What became of each."""

    def one(connection) -> list[str]:
        claimed = deliveries.claim(connection, now_ms=to_ms(NOW), epoch=1, most=many)
        fates = []
        for held in deliveries.fetch(connection, claimed):
            bad = Outcome(Kind.REFUSED, Phase.RCPT, 550, "5.1.1", "5.1.1 unknown")
            policy = Policy.of(desk.app.settings)
            end = ended(held, bad, at=NOW, vault=desk.app.vault, forbidden=(), notice_sha256="")
            step = decide(held, bad, now=NOW, policy=policy, roll=0)
            fates.append(record(connection, desk.app.vault, end, step).then)
        return fates

    async with cycle.open_cycle(desk.app.database.path) as sending:
        return await sending.write(one)


async def planned(desk: Desk) -> dict[str, tuple[str, str, str]]:
    """By forename: route, reason, audience."""
    await plan_wave(desk.app, "initial")
    rows = await desk.rows(
        "SELECT p.identity, p.sealed, n.route, n.route_reason, s.audience FROM notifications n "
        "JOIN persons p ON p.id = n.person_id JOIN segments s ON s.id = n.segment_id"
    )
    unseal = desk.app.vault.unseal
    return {unseal("person", row[0], row[1])["forename"]: row[2:] for row in rows}


def run(campaigns, story) -> None:
    async def work() -> None:
        async with campaigns() as desk:
            await story(desk)

    asyncio.run(work())


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, ("email", "own_mailbox", "insured")),
        ({"MESURE_PROTECTION": "Tutelle"}, ("post", "protection", "insured")),
        ({"MESURE_PROTECTION": "non"}, ("email", "own_mailbox", "insured")),
        ({"OPPOSITION_EMAIL": "O"}, ("post", "opposition", "insured")),
        ({"OPPOSITION_EMAIL": "O", "MESURE_PROTECTION": "Curatelle"}, ("post", "protection", "insured")),
        ({"MESURE_PROTECTION": "Tutelle", "ADRESSE1": "", "VILLE": ""}, ("none", "unreachable", "insured")),
        ({"EMAIL": "neant", "EMAIL2": "alice2@courriel.example"}, ("email", "own_mailbox", "insured")),
        ({"EMAIL": "neant", "EMAIL2": "alice2@courriel.example", "OPPOSITION_EMAIL": "X"},
         ("post", "opposition", "insured")),
        ({"NOM": "", "NOM_NAISSANCE": "EXEMPLE"}, ("email", "own_mailbox", "insured")),
    ],
)  # fmt: skip
def test_I2_from_a_column_to_a_route(campaigns, changes, wanted):
    async def story(desk: Desk) -> None:
        await desk.take(ONE)
        await directory(desk, ALICE | changes)
        assert await planned(desk) == {"Alice": wanted}
        await desk.balanced()

    run(campaigns, story)


def test_I2_nobody_under_guardianship_is_told_through_the_contracts_mailbox(campaigns):
    async def story(desk: Desk) -> None:
        households = desk.app.settings.households.model_copy(update={"adult_dependants": "contract_mailbox"})
        settings = desk.app.settings.model_copy(update={"households": households})
        desk.app = replace(desk.app, settings=settings)
        await desk.take(PEOPLE)
        await directory(desk, ALICE, BOB | {"LIEN": "C", "EMAIL": ""})
        assert (await planned(desk))["Bob"] == ("email", "contract_mailbox", "dependant")
        await directory(desk, BOB | {"LIEN": "C", "EMAIL": "", "MESURE_PROTECTION": "Tutelle"}, day=2)
        assert (await planned(desk))["Bob"] == ("post", "protection", "dependant")

    run(campaigns, story)


def test_a_format_that_was_asked_for_is_kept(campaigns):
    async def story(desk: Desk) -> None:
        await desk.take(PEOPLE)
        await directory(desk, ALICE | {"FORMAT": "Braille"}, BOB | {"FORMAT": "Gros caractères"})
        made = await plan_wave(desk.app, "initial")
        assert made.as_json()["formats"] == {"braille": 1, "large_print": 1}
        await directory(desk, ALICE | {"FORMAT": "pictogrammes"}, BOB, day=2)
        made = await plan_wave(desk.app, "initial")
        assert made.as_json()["formats"] == {"other": 1}

    run(campaigns, story)


def test_who_is_missing_from_a_whole_directory_is_a_past_member(campaigns):
    async def story(desk: Desk) -> None:
        await desk.take(PEOPLE)
        await directory(desk, ALICE, BOB)
        active = await planned(desk)
        assert active["Bob"] == ("email", "own_mailbox", "insured")
        whole = await directory(desk, ALICE, day=2, is_whole=True)
        assert whole.ended == 1
        left = await planned(desk)
        assert left == {"Alice": active["Alice"], "Bob": ("email", "own_mailbox", "past_member")}
        await undo_import(desk.app, whole.sha256)
        assert await planned(desk) == active
        await desk.balanced()

    run(campaigns, story)


def test_a_whole_directory_ends_nobody_of_a_later_day(campaigns):
    async def story(desk: Desk) -> None:
        await desk.take(PEOPLE)
        await directory(desk, ALICE, BOB, day=3)
        assert (await directory(desk, ALICE, day=2, is_whole=True)).ended == 0
        assert (await planned(desk))["Bob"][2] == "insured"

    run(campaigns, story)


def test_said_late_and_twice_it_is_the_same(campaigns):
    async def story(desk: Desk) -> None:
        await desk.take(PEOPLE)
        await directory(desk, ALICE, BOB)
        assert (await directory(desk, ALICE, day=2)).ended == 0
        late = await directory(desk, ALICE, day=2, is_whole=True)
        assert late.already and late.ended == 1
        assert (await directory(desk, ALICE, day=2, is_whole=True)).ended == 0

    run(campaigns, story)


def test_a_past_member_is_found_in_an_old_directory_alone_and_the_newest_row_wins(campaigns):
    async def story(desk: Desk) -> None:
        await desk.take(PEOPLE)
        await directory(desk, ALICE | {"EMAIL": "", "ADRESSE1": ""}, BOB | {"STATUT": "radié"}, day=1)
        await directory(desk, ALICE, day=9)
        found = await planned(desk)
        assert found == {
            "Alice": ("email", "own_mailbox", "insured"),
            "Bob": ("email", "own_mailbox", "past_member"),
        }

    run(campaigns, story)


def test_I1_I9_refused_at_both_addresses_then_reached_again_and_proven(campaigns):
    """The whole way, with the journal: the account of the entries is that of the rows at every step."""

    async def story(desk: Desk) -> None:
        nowhere = {"ADRESSE1": "", "VILLE": "", "EMAIL2": "alice2@courriel.example"}
        await desk.take(ONE)
        await directory(desk, ALICE | nowhere)
        await plan_wave(desk.app, "initial")
        await approve_wave(desk.app, "initial")
        assert await refuse(desk) == ["second_address"]
        await desk.proven()
        assert await refuse(desk) == ["unreachable"]
        await desk.proven()
        await directory(desk, ALICE | nowhere, day=2)
        await plan_wave(desk.app, "initial")
        assert await desk.rows("SELECT batch_id FROM notifications") == [(1,)], "both are dead: nothing new"
        await directory(desk, ALICE | nowhere | {"EMAIL": "alice3@courriel.example"}, day=3)
        assert await planned(desk) == {"Alice": ("email", "own_mailbox", "insured")}
        await desk.balanced()
        await approve_wave(desk.app, "initial")
        await desk.proven()
        assert await desk.rows("SELECT state, is_second FROM deliveries ORDER BY id") == [
            ("refused", 0), ("refused", 1), ("queued", 0),
        ]  # fmt: skip
        assert (await refuse(desk)) == ["unreachable"], "the second is known to be dead"

    run(campaigns, story)


def test_I2_an_opponents_second_address_is_not_kept(campaigns):
    async def story(desk: Desk) -> None:
        await directory(
            desk,
            ALICE | {"EMAIL2": "a2@courriel.example", "OPPOSITION_EMAIL": "O"},
            BOB | {"EMAIL2": "BOB@courriel.example"},
            BOB | {"NUM_ADHERENT": "A3", "RANG": "3", "PRENOM": "Eve", "EMAIL2": "eve@orange.fr"},
        )
        rows = await desk.rows("SELECT second_mailbox IS NOT NULL, second_provider FROM contacts ORDER BY line")
        assert rows == [(0, "other"), (0, "other"), (1, "orange")]

    run(campaigns, story)


def test_check_says_how_many_persons_an_undecided_household_rule_concerns(campaigns):
    async def story(desk: Desk) -> None:
        app = desk.app
        real = app.settings.model_copy(
            update={
                "campaign": app.settings.campaign.model_copy(update={"sample": False}),
                "households": app.settings.households.model_copy(update={"adult_dependants": None}),
            }
        )
        desk.app = replace(app, settings=real)

        async def blank() -> str:
            found = await findings(app.database, real, app.folder, wave="initial", now=NOW)
            [text] = [each.text for each in found if each.where == "households.adult_dependants"]
            return text

        await desk.take(PEOPLE)
        assert "`notifier plan` counts them" in await blank()
        await directory(desk, ALICE, BOB | {"LIEN": "C", "EMAIL": ""})
        await plan_wave(desk.app, "initial")
        assert "1 persons of this wave wait for it" in await blank()

    run(campaigns, story)


def test_a_letter_is_addressed_to_whoever_has_charge_of_the_measure(campaigns):
    async def story(desk: Desk) -> None:
        await desk.take(PEOPLE)
        await directory(
            desk,
            ALICE | {"MESURE_PROTECTION": "Tutelle", "TUTEUR": "Association Tutélaire"},
            BOB | {"MESURE_PROTECTION": "Curatelle", "CIVILITE": "M."},
            BOB | {"NUM_ADHERENT": "A3", "PRENOM": "Eve", "TUTEUR": "Personne"},
        )
        made = await plan_wave(desk.app, "initial")
        assert made.as_json()["to_guardians"] == 2
        rows = await desk.rows("SELECT identity, sealed FROM contacts ORDER BY line")
        read = [Contact.of(desk.app.vault.unseal("contact", *row)) for row in rows]
        assert [each.addressee for each in read] == [
            "Association Tutélaire, personne chargée de la mesure de protection de Alice EXEMPLE",
            "À la personne chargée de la mesure de protection de M. Bob EXEMPLE",
            "Eve EXEMPLE",
        ]
        assert read[2].guardian == "", "of whom nobody has charge, nobody is named"

    run(campaigns, story)


def test_the_other_side_by_year_of_the_contract(campaigns):
    async def story(desk: Desk) -> None:
        eve = BOB | {"NUM_ADHERENT": "A3", "PRENOM": "Eve"}
        await desk.take(ONE)
        taken = await directory(
            desk,
            ALICE | {"DATE_ADHESION": "2019"},
            BOB | {"DATE_ADHESION": "01/07/2021"},
            eve | {"DATE_ADHESION": "2021-01-01"},
            eve | {"NUM_ADHERENT": "A4", "PRENOM": "Ida"},
            eve | {"NUM_ADHERENT": "A5", "PRENOM": "Léo", "DATE_ADHESION": "jadis"},
        )
        await plan_wave(desk.app, "initial")
        found = await other_side(desk.app.database)
        assert [(each.contract_year, each.members) for each in found] == [("2021", 2), ("unknown", 2)]
        assert taken.verdicts.codes[Verdict.WARNED] == {"contract_year_unreadable": 1}
        [told] = [line for line in other_side_lines(found) if "2021" in line]
        assert told.split()[-3:] == ["joined", "2021", "2"]

    run(campaigns, story)
