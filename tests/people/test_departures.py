"""An import is withdrawn: what is left equals a campaign that never saw the file. Real files, the real intake."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text

from notifier import app as wiring
from notifier.app import (
    App,
    export_proof,
    files,
    plan_wave,
    seal,
    standing,
    take_directories,
    take_exports,
    undo_import,
)
from notifier.campaign import load
from notifier.errors import CampaignBusy, OperatorError
from notifier.people.departures import revise
from notifier.people.reviews import decide, open_reviews
from notifier.proof.verify import verify
from notifier.storage.database import open_database
from notifier.storage.reviews import ReviewRow
from notifier.vault import Keys, Vault

pytestmark = pytest.mark.thorough

NIR = "2950999126111"
KEY = f"{97 - int(NIR) % 97:02d}"
FINESS = ("750100125", "330781196")
HEADS = {
    "viamedis-insured": "NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE",
    "almerys-insured": "Nom;Prénom;Date de naissance;N° de sécurité sociale;Rang;Organisme;Référence contrat",
    "viamedis-professional": "RAISON_SOCIALE;NOM;PRENOM;PROFESSION;EMAIL;TELEPHONE;ADRESSE;CODE_POSTAL;VILLE;LOGIN;RIB;"
    "SIRET;FINESS",
    "almerys-professional": "Raison sociale;Nom;Prénom;Spécialité;Courriel;Téléphone;Adresse;Code postal;Ville;"
    "Identifiant;RIB;SIRET;FINESS",
    "directory": "NUM_ADHERENT;NIR;CLE;DATE_NAISSANCE;RANG;NOM;PRENOM;CIVILITE;LIEN;EMAIL;ADRESSE1;ADRESSE2;"
    "CODE_POSTAL;VILLE;NUM_CONTRAT;LANGUE;STATUT;ASSUREUR",
}


@dataclass(frozen=True)
class File:
    """A file to take in. ``as_of``: of a directory, the day of January 2024."""

    profile: str
    rows: tuple[str, ...]
    as_of: int = 1

    @property
    def text(self) -> str:
        return "\n".join((HEADS[self.profile], *self.rows)) + "\n"


def via(forename: str = "Alice", rank: str = "1", contract: str = "C1", birth: str = "14/09/1995") -> str:
    return f"{NIR};{KEY};EXEMPLE;{forename};{birth};{rank};X;{contract};CONFORT"


def alm(forename: str = "Alice", rank: str = "1", contract: str = "C1", birth: str = "14/09/1995") -> str:
    return f"EXEMPLE;{forename};{birth};{NIR}{KEY};{rank};X;{contract}"


def shop(finess: str = FINESS[0], company: str = "Pharmacie du Lac", email: str = "lac@courriel.example",
         profession: str = "Pharmacien", rib: str = "") -> str:  # fmt: skip
    return f"{company};;;{profession};{email};;1 quai du Lac;00000;Clairval;lac;{rib};;{finess}"


def member(forename: str = "Alice", rank: str = "1", number: str = "A1", email: str = "alice@courriel.example",
           link: str = "A", birth: str = "14/09/1995") -> str:  # fmt: skip
    return (
        f"{number};{NIR};{KEY};{birth};{rank};EXEMPLE;{forename};;{link};{email};1 rue des Lilas;;00000;Clairval;C1;fr;"
        "actif;X"
    )


NOBODY = "1;2;EXEMPLE;Zoé;;;X;;"  # leaves no identity
PEOPLE = File("viamedis-insured", (via(), via("Bob", "2"), NOBODY))
MEMBERS = File("directory", (member(), member("Bob", "2", "A2", "bob@courriel.example")))
SHOPS = File("viamedis-professional", (shop(), shop(FINESS[1], "Optique Deux", "deux@courriel.example", "Opticien")))


# -- a campaign and what it holds ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def campaigns(_founded: Path, tmp_path_factory: pytest.TempPathFactory):
    """``async with campaigns() as desk``: a new campaign each time, all under one key (so that digests compare)."""
    count = itertools.count()
    home = tmp_path_factory.mktemp("departures")

    @asynccontextmanager
    async def opener():
        folder = Path(shutil.copytree(_founded, home / str(next(count))))
        vault = Vault(Keys.load((folder / "campaign.key").read_text(), "the test's key"))
        async with open_database(folder / "campaign.db", vault) as database:
            yield Desk(App(folder, load(folder, environment={}), vault, database, "dpo"))

    return opener


class Desk:
    """Files in and out again; looks at what is left."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.taken: dict[File, str] = {}

    async def take(self, *files: File) -> None:
        for file in files:
            path = self.app.folder / f"file-{len(list(self.app.folder.glob('file-*')))}.csv"
            path.write_text(file.text, encoding="utf-8")
            if file.profile == "directory":
                taken = take_directories(self.app, [path], profile="directory", as_of=date(2024, 1, file.as_of))
            else:
                taken = take_exports(self.app, [path], profile=file.profile, incident=None)
            [done] = [one async for one in taken]
            self.taken[file] = done.sha256

    async def undo(self, file: File):
        return await undo_import(self.app, self.taken[file])

    async def plan(self) -> None:
        await plan_wave(self.app, "initial")

    async def approve(self) -> None:
        """What an approval does to rows."""
        async with self.app.database.write() as connection:
            made = await connection.execute(
                text(
                    "INSERT INTO batches (wave_id, number, digest, bound, notifications, approved_by, approved_ms) "
                    "SELECT id, 1, '', '{}', 0, 'dpo', 0 FROM waves RETURNING id"
                )
            )
            batch = int(made.scalar_one())
            for table in ("notifications", "deliveries"):
                await connection.execute(text(f"UPDATE {table} SET batch_id = {batch} WHERE batch_id IS NULL"))

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        async with self.app.database.read() as connection:
            return [tuple(row) for row in await connection.execute(text(sql))]

    async def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table, ids included."""
        tables = await self.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        return {name: await self.rows(f"SELECT * FROM {name}") for (name,) in tables}

    async def contents(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row apart from ids: a contact is named by file and line, a person by identity; sealed values unsealed.
        (How many persons of a file were new is history, and is left out.)"""
        contact = {
            number: (sha256[:8], line)
            for number, sha256, line in await self.rows(
                "SELECT c.id, i.sha256, c.line FROM contacts c JOIN imports i ON i.id = c.import_id"
            )
        }
        unseal = self.app.vault.unseal
        found = {name: await self.rows(sql) for name, sql in _CONTENTS.items()}
        found["persons"] = [
            (*row[:-2], contact[row[-2]] if row[-2] else None, unseal("person", row[1], row[-1]))
            for row in found["persons"]
        ]
        found["contacts"] = [(*row[:-1], unseal("contact", row[3], row[-1])) for row in found["contacts"]]
        found["deliveries"] = [(*row[:-1], contact[row[-1]]) for row in found["deliveries"]]
        found["reviews"] = [
            (*row[:-2], [contact[int(one)] for one in row[-2].split(",") if one], _named(row[-1], contact))
            for row in found["reviews"]
        ]
        return {name: sorted(rows, key=repr) for name, rows in found.items()}

    async def balanced(self) -> None:
        account = (await standing(self.app)).account
        assert account.balances, account

    async def proven(self) -> None:
        """`proof export` and `proof verify` hold."""
        await seal(self.app, reason="test")
        out = self.app.folder / "proof.zip"
        await export_proof(self.app, out, overwrite=True)
        verdict = verify(out, fingerprint=self.app.vault.fingerprint)
        assert verdict.ok, verdict


def _named(decision: str, contact: dict[int, tuple[str, int]]) -> object:
    return contact[int(decision.removeprefix("contact:"))] if decision.startswith("contact:") else decision


_KEYS = "{0}.forename_key, {0}.key_member, {0}.key_nir_rank, {0}.key_nir_forename, {0}.key_contract"
_CONTENTS = {
    "imports": "SELECT kind, sha256, profile, incident, as_of, rows_read, records, rejections FROM imports "
    "WHERE state = 'complete'",
    "rejections": 'SELECT i.sha256, x.line, x."column", x.code, x.state FROM rejections x '
    "JOIN imports i ON i.id = x.import_id",
    "persons": "SELECT p.sender, p.identity, p.kind, p.profession, e.canonical, p.rung, p.identity_review, p.excluded, "
    "p.contact_id, p.sealed FROM persons p JOIN exposure_sets e ON e.id = p.exposure_set_id",
    "records": "SELECT i.sha256, r.line, p.sender, p.identity, r.group_key, r.birth_rank, e.canonical, r.warnings, "
    f"r.profession, r.nameless_identity, r.nameless_sealed IS NULL, {_KEYS.format('r')} FROM records r "
    "JOIN imports i ON i.id = r.import_id JOIN persons p ON p.id = r.person_id "
    "JOIN exposure_sets e ON e.id = r.exposure_set_id",
    "contacts": "SELECT i.sha256, c.line, c.sender, c.identity, c.kind, c.link, c.status, c.language, c.as_of, "
    f"c.current, c.household, c.mailbox, c.has_postal, c.provider, {_KEYS.format('c')}, c.sealed FROM contacts c "
    "JOIN imports i ON i.id = c.import_id",
    "reviews": "SELECT p.identity, v.reason, v.state, v.decided_by, v.candidates, v.decision FROM reviews v "
    "JOIN persons p ON p.id = v.person_id",
    "waves": "SELECT name, kind FROM waves",
    "segments": "SELECT w.name, s.sender, s.audience, s.profession, s.form, e.canonical, s.language FROM segments s "
    "JOIN waves w ON w.id = s.wave_id JOIN exposure_sets e ON e.id = s.exposure_set_id",
    "notifications": "SELECT w.name, p.identity, s.audience, s.profession, s.form, e.canonical, n.route, "
    "n.route_reason, n.review, n.excluded, n.batch_id, d.token FROM notifications n JOIN waves w ON w.id = n.wave_id "
    "JOIN persons p ON p.id = n.person_id JOIN segments s ON s.id = n.segment_id "
    "JOIN exposure_sets e ON e.id = s.exposure_set_id LEFT JOIN deliveries d ON d.id = n.delivery_id",
    "deliveries": "SELECT d.token, d.channel, d.state, d.batch_id, d.provider, d.contact_id FROM deliveries d",
}


# -- as if it had never come -----------------------------------------------------------------------------------------

FORENAMES, RANKS = st.sampled_from(["", "Alice", "Bob"]), st.sampled_from(["", "1", "2"])


def _files() -> st.SearchStrategy[File]:
    def some(rows: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
        return st.lists(rows, min_size=1, max_size=3).map(tuple)

    shops = st.builds(
        shop,
        finess=st.sampled_from(FINESS),
        company=st.sampled_from(["Pharmacie du Lac", "Grande Pharmacie"]),
        email=st.sampled_from(["lac@courriel.example", "deux@courriel.example", ""]),
        profession=st.sampled_from(["Pharmacien", "Opticien", "Dentiste"]),
    )
    insured = {"forename": FORENAMES, "rank": RANKS, "contract": st.sampled_from(["", "C1"])}
    members = st.builds(
        member,
        forename=FORENAMES,
        rank=RANKS,
        number=st.sampled_from(["A1", "A2"]),
        email=st.sampled_from(["alice@courriel.example", "autre@courriel.example", ""]),
        link=st.sampled_from(["A", "C"]),
    )
    return st.one_of(
        st.builds(File, st.just("viamedis-insured"), some(st.one_of(st.builds(via, **insured), st.just(NOBODY)))),
        st.builds(File, st.just("almerys-insured"), some(st.builds(alm, **insured))),
        st.builds(File, st.sampled_from(["viamedis-professional", "almerys-professional"]), some(shops)),
        st.builds(File, st.just("directory"), some(members), st.integers(1, 3)),
    )


async def _compare(campaigns, files: Sequence[File], gone: File, *, planned: bool) -> None:
    """Take all, withdraw one, and look beside a campaign that took the others alone, before and after a plan."""
    async with campaigns() as with_it, campaigns() as without:
        await with_it.take(*files)
        if planned:
            await with_it.plan()
        await with_it.undo(gone)
        await with_it.balanced()
        await without.take(*(file for file in files if file is not gone))
        if not planned:
            assert await with_it.contents() == await without.contents()
        await with_it.plan()
        await without.plan()
        assert await with_it.contents() == await without.contents()
        await with_it.balanced()
        await with_it.proven()


@pytest.mark.thorough
@hypothesis_settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(_files(), min_size=1, max_size=4, unique_by=lambda file: file.text), data=st.data())
def test_I1_I3_after_an_undo_all_is_as_if_the_file_had_never_come(campaigns, files, data):
    gone = data.draw(st.sampled_from(files))
    asyncio.run(_compare(campaigns, files, gone, planned=data.draw(st.booleans())))


TWIN = File("almerys-insured", (alm("Bob", "1"),))
NAMELESS = File("almerys-insured", (alm("", "1"), alm("", "")))
OTHER_RANK = File("almerys-insured", (alm("Alice", "2"),))
OTHER_SHOP = File("almerys-professional", (shop(company="Grande Pharmacie", email="g@courriel.example",
                                                profession="Dentiste"),))  # fmt: skip
NEWER = File("directory", (member(email="neuve@courriel.example"),), 3)
SECOND = File("directory", (member(number="A9", email="a9@courriel.example"),), 2)


@pytest.mark.thorough
@pytest.mark.parametrize("planned", [False, True], ids=["unplanned", "planned"])
@pytest.mark.parametrize(
    ("files", "gone"),
    [
        ([PEOPLE], PEOPLE),
        ([PEOPLE, NAMELESS, MEMBERS], PEOPLE),  # the nameless become their own again
        ([PEOPLE, NAMELESS, TWIN, MEMBERS], TWIN),  # the nameless joins the one who is left
        ([PEOPLE, NAMELESS, MEMBERS], NAMELESS),
        ([NAMELESS, PEOPLE], NAMELESS),
        ([PEOPLE, OTHER_RANK], OTHER_RANK),  # no rank differs any more
        ([PEOPLE, OTHER_RANK], PEOPLE),
        ([SHOPS, OTHER_SHOP], SHOPS),  # profession, address and name as the other file says
        ([SHOPS, OTHER_SHOP], OTHER_SHOP),
        ([PEOPLE, MEMBERS, NEWER], NEWER),  # the older row is current again
        ([PEOPLE, MEMBERS, NEWER], MEMBERS),
        ([PEOPLE, MEMBERS, SECOND], SECOND),  # nobody is ambiguous any more
    ],
)
def test_I1_a_withdrawn_file_leaves_nothing(campaigns, files, gone, planned):
    asyncio.run(_compare(campaigns, files, gone, planned=planned))


def test_what_it_says_of_itself_and_the_journal(campaigns):
    async def work():
        async with campaigns() as desk:
            await desk.take(PEOPLE, OTHER_RANK, MEMBERS)
            people, members = await desk.undo(PEOPLE), await desk.undo(MEMBERS)
            entries = await desk.rows("SELECT subject, body FROM entries WHERE kind = 'import_undone' ORDER BY id")
            states = await desk.rows("SELECT state FROM imports ORDER BY id")
            return people, members, entries, states

    people, members, entries, states = asyncio.run(work())
    assert (people.records, people.persons_removed) == (2, 1)  # Alice is in the other file too
    assert (members.records, members.persons_removed) == (2, 0)
    assert [subject for subject, _ in entries] == [people.sha256, members.sha256]
    assert (
        b'"facts":{"by":"dpo","decisions_dropped":0,"kind":"export","persons_removed":1,"profile":"viamedis-insured",'
        b'"records":2,"rejections_reopened":0}'
    ) in bytes(entries[0][1])
    assert states == [("undone",), ("complete",), ("undone",)]


def test_the_same_file_may_be_taken_in_again(campaigns):
    async def work():
        async with campaigns() as desk, campaigns() as once:
            await once.take(PEOPLE, SHOPS)
            await desk.take(PEOPLE)
            await desk.undo(PEOPLE)
            assert not list((desk.app.folder / "rejections").iterdir())
            await desk.take(PEOPLE, SHOPS)
            assert len(list((desk.app.folder / "rejections").iterdir())) == 1
            assert await desk.contents() == await once.contents()
            await desk.undo(PEOPLE)
            await desk.take(PEOPLE)
            await desk.balanced()
            await desk.proven()

    asyncio.run(work())


def test_one_workbook_under_two_profiles_goes_as_a_whole(campaigns):
    """The journal knows a file by its SHA-256 alone; a workbook may have a sheet for each of two profiles."""

    async def work():
        async with campaigns() as desk:
            path = desk.app.folder / "both.xlsx"
            book = xlsxwriter.Workbook(path)
            for file in (SHOPS, PEOPLE):
                sheet = book.add_worksheet(file.profile)
                for number, line in enumerate((HEADS[file.profile], *file.rows)):
                    sheet.write_row(number, 0, line.split(";"))
            book.close()
            for file, profile in ((SHOPS, "viamedis-professional"), (PEOPLE, "viamedis-insured")):
                [done] = [each async for each in take_exports(desk.app, [path], profile=profile, incident=None)]
                assert (done.already, done.replaced, done.rows) == (False, 0, len(file.rows))
                desk.taken[file] = done.sha256
            assert desk.taken[SHOPS] == desk.taken[PEOPLE]
            undone = await desk.undo(SHOPS)
            assert (undone.records, undone.persons_removed) == (4, 4)
            assert (await desk.contents())["imports"] == []
            await desk.proven()

    asyncio.run(work())


# -- what is refused, and changes nothing ----------------------------------------------------------------------------


async def _refused(desk: Desk, sha256: str, says: str) -> None:
    before = await desk.everything()
    with pytest.raises(OperatorError, match=says):
        await undo_import(desk.app, sha256)
    assert await desk.everything() == before


def test_a_prefix_of_eight_digits_will_do_and_less_will_not(campaigns):
    async def work():
        async with campaigns() as desk:
            await desk.take(PEOPLE)
            sha256 = desk.taken[PEOPLE]
            for wrong in (sha256[:7], "", "g" * 8, f"{sha256}0", "%" * 8):
                await _refused(desk, wrong, "8 or more hex digits")
            await _refused(desk, "0" * 8, "no import of a file")
            assert (await undo_import(desk.app, sha256[:8].upper())).sha256 == sha256
            await _refused(desk, sha256, "withdrawn already")

    asyncio.run(work())


def test_a_prefix_of_two_files_is_refused(campaigns):
    async def work():
        async with campaigns() as desk:
            await desk.take(PEOPLE, SHOPS)
            async with desk.app.database.write() as connection:
                await connection.execute(
                    text("UPDATE imports SET sha256 = :start || substr(sha256, 9)"), {"start": "abcdef01"}
                )
            await _refused(desk, "abcdef01", "several files")

    asyncio.run(work())


CHILD = member("Zoé", "1", "A3", "", "E", "14/09/2015")
CHILD_FILE = File("viamedis-insured", (via("Zoé", "1", "C1", "14/09/2015"),))


@pytest.mark.parametrize(
    ("files", "gone", "says"),
    [
        ([PEOPLE], PEOPLE, "2 persons .* 0 deliveries"),  # unmatched: approved without a delivery
        ([PEOPLE, MEMBERS], PEOPLE, "2 persons .* 0 deliveries"),
        ([PEOPLE, MEMBERS], MEMBERS, "2 persons .* 2 deliveries"),
        ([SHOPS, OTHER_SHOP], OTHER_SHOP, "1 persons .* 1 deliveries"),
        # The child is in another directory than the parent to whom its notice goes.
        ([CHILD_FILE, File("directory", (CHILD,)), MEMBERS], MEMBERS, "0 persons .* 1 deliveries"),
    ],
)
def test_I1_nobody_approved_is_pulled_away(campaigns, files, gone, says):
    async def work():
        async with campaigns() as desk:
            only_alice = replace(MEMBERS, rows=MEMBERS.rows[:1])
            chosen = [only_alice if file is MEMBERS and CHILD_FILE in files else file for file in files]
            await desk.take(*chosen)
            await desk.plan()
            await desk.approve()
            await _refused(desk, desk.taken[only_alice if gone not in chosen else gone], says)

    asyncio.run(work())


def test_I1_a_nameless_person_approved_before_its_row_was_found_out_stays(campaigns):
    """Approved as its own person, then joined to Alice by another file: it is known from the nameless file alone."""
    nameless = File("almerys-insured", (alm("", "1"),))

    async def work():
        async with campaigns() as desk:
            await desk.take(nameless)
            await desk.plan()
            await desk.approve()
            await desk.take(PEOPLE)
            await _refused(desk, desk.taken[nameless], "1 persons")
            await desk.undo(PEOPLE)
            persons = await desk.rows("SELECT p.identity, r.nameless_identity FROM persons p JOIN records r "
                                      "ON r.person_id = p.id")  # fmt: skip
            assert len(persons) == 1
            assert persons[0][0] == persons[0][1]
            await desk.balanced()
            assert await desk.rows("SELECT state FROM reviews") == [("open",)]

    asyncio.run(work())


def test_I1_a_later_file_that_informed_nobody_goes_and_the_approved_stay(campaigns):
    late = File("almerys-insured", (alm("Carla", "3"), alm("Alice", "1")))

    async def work():
        async with campaigns() as desk:
            await desk.take(File("viamedis-insured", (via("Bob", "2"),)))
            await desk.plan()
            await desk.approve()
            approved = await desk.rows("SELECT * FROM notifications")
            await desk.take(late)
            await desk.plan()
            assert (await desk.undo(late)).persons_removed == 2
            assert await desk.rows("SELECT * FROM notifications") == approved
            assert await desk.rows("SELECT name FROM waves") == [("initial",)]
            await desk.balanced()

    asyncio.run(work())


# -- reviews that name contacts that go ------------------------------------------------------------------------------


def test_I2_a_decision_for_a_member_who_is_gone_is_dropped_and_one_for_a_member_who_is_left_stays(campaigns):
    async def work(keep: bool):
        async with campaigns() as desk:
            alice = File("viamedis-insured", (via(),))
            await desk.take(alice, MEMBERS, SECOND)
            await desk.plan()
            [case] = await open_reviews(desk.app.database, desk.app.vault)
            gone = SECOND if keep else MEMBERS
            chosen = [number for number, contact in case.candidates if contact.email == "alice@courriel.example"]
            await decide(
                desk.app.database, desk.app.vault, case.case, f"contact:{chosen[0]}", by="dpo", now=wiring.utc_now()
            )
            await desk.plan()
            await desk.undo(gone)
            [[body]] = await desk.rows("SELECT body FROM entries WHERE kind = 'import_undone'")
            await desk.plan()
            await desk.balanced()
            return (
                b'"decisions_dropped":1' in bytes(body),
                await desk.rows("SELECT rung FROM persons"),
                await desk.rows("SELECT state FROM reviews"),
            )

    assert asyncio.run(work(keep=True)) == (False, [("review",)], [("decided",)])
    assert asyncio.run(work(keep=False)) == (True, [("nir_rank",)], [])


CASE = ReviewRow(1, 1, "ambiguous", (5, 7), "open", "")
DECIDED = CASE._replace(state="decided", decision="contact:5")
UNNAMED = CASE._replace(reason="missing_forename")


@pytest.mark.parametrize(
    ("case", "leaving", "expected"),
    [
        (CASE, {5: None}, None),
        (CASE, {5: 9}, None),
        (DECIDED, {5: None}, None),
        (DECIDED, {7: None}, DECIDED._replace(candidates=(5,))),
        (DECIDED, {5: 9}, DECIDED._replace(candidates=(7, 9), decision="contact:9")),
        (DECIDED._replace(decision="none"), {5: None}, DECIDED._replace(decision="none", candidates=(7,))),
        (DECIDED._replace(decision="none"), {5: None, 7: None}, None),
        (UNNAMED, {5: None}, UNNAMED._replace(candidates=(7,))),
        (UNNAMED._replace(state="decided", decision="contact:5"), {5: None}, UNNAMED._replace(candidates=(7,))),
        (
            UNNAMED._replace(state="decided", decision="own"),
            {5: None, 7: None},
            UNNAMED._replace(state="decided", decision="own", candidates=()),
        ),
        (
            CASE._replace(reason="minor_without_holder", state="decided", decision="own_letter"),
            {5: None, 7: None},
            CASE._replace(reason="minor_without_holder", state="decided", decision="own_letter", candidates=()),
        ),
    ],
)
def test_I2_what_becomes_of_a_review_when_contacts_leave(case, leaving, expected):
    assert revise(case, leaving) == expected


# -- one import at a time, from the first row to the commit ----------------------------------------------------------


@pytest.fixture
def in_the_gap(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Between the staging and the completion of an import, a second intake and an undo are tried."""
    tried: list[str] = []
    complete = files._complete

    async def second(app: App, path: Path, *arguments: Any) -> Any:
        monkeypatch.setattr(files, "_complete", complete)
        for name, attempt in {
            "intake": anext(take_exports(app, [path], profile="viamedis-insured", incident=None)),
            "directory": anext(take_directories(app, [path], profile="directory", as_of=None)),
            "undo": undo_import(app, "0" * 8),
        }.items():
            with pytest.raises(CampaignBusy):
                await attempt
            tried.append(name)
        return await complete(app, path, *arguments)

    monkeypatch.setattr(files, "_complete", second)
    yield tried


@pytest.mark.parametrize("file", [PEOPLE, MEMBERS], ids=["export", "directory"])
def test_I5_no_second_intake_wipes_what_is_staged_and_not_complete(campaigns, in_the_gap, file):
    async def work():
        async with campaigns() as desk:
            await desk.take(file)
            return await desk.rows("SELECT state, rows_read FROM imports")

    assert asyncio.run(work()) == [("complete", len(file.rows))]
    assert in_the_gap == ["intake", "directory", "undo"]
