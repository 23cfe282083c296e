"""How a rejection ends: corrected by a later row, a duplicate, nobody's line. The real walk: files in, states out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import text

from notifier import app, campaign
from notifier.errors import CampaignBusy, OperatorError, StorageError
from notifier.intake import clear_values
from notifier.intake.identifiers import nir_key
from notifier.intake.staging import alone
from notifier.intake.traces import Traces
from notifier.model import Rejection
from notifier.storage import imports, waiting
from notifier.storage.rejections import count_open

from .conftest import rows_of

pytestmark = pytest.mark.thorough

VIAMEDIS = "viamedis-insured"
BODY = "2550814168025"
KEY = f"{nir_key(BODY):02d}"


def insured(
    nir: str = BODY, key: str = KEY, name: str = "LEFEVRE", forename: str = "ANNE ZOE", born: str = "02/08/1955",
    contract: str = "CT0001", rank: str = "1",
) -> str:  # fmt: skip
    return f"{nir};{key};{name};{forename};{born};{rank};MUTUELLE CLAIRVAL;{contract};Équilibre 1"


UNBORN = insured(born="")
OTHER = insured(nir="1690599126111", key="", name="MARTIN", forename="ZOE", born="14/05/1969", contract="CT9")


class Desk:
    """Takes files in as `notifier intake` does, and looks at what became of the rejections."""

    def __init__(self, folder: Path, tmp_path: Path) -> None:
        self.folder, self._files, self._count = folder, tmp_path / "files", 0
        self._files.mkdir()

    def write(self, *rows: str, profile: str = VIAMEDIS) -> Path:
        self._count += 1
        path = self._files / f"export-{self._count}.csv"
        path.write_text(rows_of(profile, *rows), encoding="utf-8", newline="")
        return path

    def run(self, work: Callable):
        async def inside():
            async with app.open_campaign(self.folder, by="Nour", command="test") as opened:
                return await work(opened)

        return asyncio.run(inside())

    def take(self, *rows: str, profile: str = VIAMEDIS, incident: str | None = None) -> app.FileTaken:
        path = self.write(*rows, profile=profile)

        async def work(opened):
            taken = app.take_exports(opened, [path], profile=profile, incident=incident, accept_rejections=True)
            return await anext(taken)

        return self.run(work)

    def undo(self, sha256: str) -> None:
        self.run(lambda opened: app.undo_import(opened, sha256))

    def query(self, sql: str) -> list[tuple]:
        async def work(opened):
            async with opened.database.read() as connection:
                return [tuple(row) for row in await connection.execute(text(sql))]

        return self.run(work)

    def ends(self) -> list[tuple]:
        """(import, line, code, state, ended by import, at line) of every rejection."""
        return self.query(
            "SELECT import_id, line, code, state, ended_import_id, ended_line FROM rejections ORDER BY import_id, line"
        )

    def states(self) -> list[str]:
        return [row[3] for row in self.ends()]


@pytest.fixture
def desk(folder: Path, tmp_path: Path) -> Desk:
    return Desk(folder, tmp_path)


# -- corrected -------------------------------------------------------------------------------------------------------


def test_a_later_file_corrects_a_row_without_birth_date(desk: Desk) -> None:
    desk.take(OTHER, UNBORN)
    assert desk.ends() == [(1, 3, "birth_missing", "open", None, None)]
    desk.take(OTHER.replace("CT9", "CT8"), OTHER.replace("CT9", "CT7"), insured())
    assert desk.ends() == [(1, 3, "birth_missing", "corrected", 2, 4)]


def test_a_row_further_down_corrects_and_one_above_does_not(desk: Desk) -> None:
    desk.take(UNBORN, insured())
    assert desk.ends() == [(1, 2, "birth_missing", "corrected", 1, 3)]
    desk.undo(desk.query("SELECT sha256 FROM imports")[0][0])
    desk.take(insured(), UNBORN)
    assert desk.states() == ["open"]


WRONG = insured(key="11", contract="")


@pytest.mark.parametrize(
    ("bad", "good", "code"),
    [
        (UNBORN, insured(), "birth_missing"),
        (insured(born="31/02/1955"), insured(), "birth_unreadable"),
        (WRONG, insured(contract=""), "nir_key"),
        (WRONG, insured(contract="CT0001"), "nir_key"),  # the number was added with the key: nothing is lost by it
        (insured(nir="", key="", born=""), insured(nir="", key=""), "birth_missing"),
        (insured(nir="", key="", born=""), insured(), "birth_missing"),
        (insured(nir="", key="", name=""), insured(nir="", key=""), "name_missing"),
        (insured(name='"LEF\nEVRE"'), insured(), "control_characters"),
    ],
    ids=["unborn", "unreadable", "key", "key-contract", "contract", "contract-nir", "nameless", "control"],
)
def test_what_was_wrong_is_right_in_the_later_row(desk: Desk, bad: str, good: str, code: str) -> None:
    desk.take(OTHER, bad)
    assert [row[2] for row in desk.ends()] == [code]
    assert desk.states() == ["open"]
    desk.take(good)
    assert desk.states() == ["corrected"]


@pytest.mark.parametrize(
    ("bad", "other"),
    [
        (UNBORN, insured(forename="LUCIE")),  # the same NIR covers a family (DOMAIN B2)
        (UNBORN, insured(name="DUROC")),
        (UNBORN, insured(nir="1690599126111", key="")),
        (WRONG, insured(nir="2550814168026", key="", contract="")),
        (WRONG, insured(born="03/08/1955", contract="")),
        (insured(nir="", key="", born=""), insured(nir="", key="", contract="CT0002")),
        (insured(nir="", key="", born=""), insured(nir="", key="", forename="LUCIE")),
        (insured(nir="", key="", contract=""), insured()),  # name and birth date are never enough
        (insured(nir="", key="", contract="", born=""), insured()),  # nor is a name
        (insured(nir="", key="", forename=""), insured(nir="", key="")),  # twins have all but the forename in common
        (insured(nir="2550814168", key="", contract=""), insured(contract="")),  # digits that are lost are not guessed
    ],
)
def test_somebody_else_corrects_nothing(desk: Desk, bad: str, other: str) -> None:
    desk.take(OTHER, bad)
    desk.take(other)
    assert desk.states() == ["open"]


def test_rows_of_two_persons_that_answer_answer_nothing(desk: Desk) -> None:
    """A father and a son of one forename under one NIR: nobody knows whose date was missing (I2)."""
    desk.take(OTHER, UNBORN)
    desk.take(insured(), insured(born="02/08/1985"))
    assert desk.states() == ["open"]


def test_a_file_of_another_incident_corrects_nothing(desk: Desk) -> None:
    desk.take(OTHER, UNBORN)
    desk.take(insured(), incident="almerys")
    assert desk.states() == ["open"]


def test_undoing_the_correcting_file_opens_the_rejection_again(desk: Desk) -> None:
    desk.take(OTHER, UNBORN)
    later = desk.take(insured())
    assert desk.states() == ["corrected"]
    desk.undo(later.sha256)
    assert desk.ends() == [(1, 3, "birth_missing", "open", None, None)]
    desk.take(insured(rank="2"))
    assert desk.states() == ["corrected"]


PRO = "viamedis-professional"


def professional(name: str = "Roux", siret: str = "", finess: str = "750100125", rib: str = "", email: str = "") -> str:
    return (
        f"Pharmacie du Lac;{name};Léa;Pharmacien;{email};0100000000;1 quai du Lac;00000;Clairval;lroux;{rib};{siret};"
        f"{finess}"
    )


def test_a_professional_whose_name_could_not_be_printed(desk: Desk) -> None:
    desk.take(professional('"Ro\nux"'), profile=PRO)
    assert desk.states() == ["open"]
    desk.take(professional(finess="750712184"), profile=PRO)
    assert desk.states() == ["open"]
    desk.take(professional(rib="30001007941234567890185"), profile=PRO)
    assert desk.states() == ["open"], "the row in question exposes less: not the same statement"
    desk.take(professional(), profile=PRO)
    assert desk.states() == ["corrected"]


# -- duplicate -------------------------------------------------------------------------------------------------------


def test_the_same_rejected_row_again_is_a_duplicate_of_the_first(desk: Desk) -> None:
    desk.take(UNBORN, OTHER, UNBORN.replace("LEFEVRE", " LEFEVRE "))
    assert desk.ends() == [(1, 2, "birth_missing", "open", None, None), (1, 4, "birth_missing", "duplicate", 1, 2)]
    second = desk.take(OTHER, UNBORN)
    assert desk.ends()[2:] == [(2, 3, "birth_missing", "duplicate", 1, 2)]
    # The first goes with its file: the next one in time is open now.
    desk.undo(desk.query("SELECT sha256 FROM imports WHERE id = 1")[0][0])
    assert desk.ends() == [(2, 3, "birth_missing", "open", None, None)]
    assert second.rejections == 1


def test_two_rows_of_which_only_a_name_is_left_are_not_one(desk: Desk) -> None:
    bare = insured(nir="", key="", born="", contract="")
    desk.take(bare, bare)
    assert desk.states() == ["open", "open"]


def test_a_line_with_too_few_columns_again(desk: Desk) -> None:
    cut = f"{BODY};{KEY};LEFEVRE;ANNE"
    desk.take(OTHER, cut, cut)
    assert desk.ends() == [(1, 3, "columns", "open", None, None), (1, 4, "columns", "duplicate", 1, 3)]


def test_a_duplicate_of_a_corrected_row_ends_with_it(desk: Desk) -> None:
    desk.take(UNBORN, UNBORN, insured())
    assert desk.states() == ["corrected", "corrected"]


# -- nobody's lines --------------------------------------------------------------------------------------------------


def test_lines_of_nobody_end_at_once_and_are_counted(desk: Desk) -> None:
    heading = rows_of(VIAMEDIS).strip()
    taken = desk.take(
        OTHER, heading, "-----;--;--------;------;------;-;-----;-----;-----", "Fin de fichier;;;;;;;;", "Total : 1 234"
    )
    assert (taken.rows, taken.records, taken.rejections) == (5, 1, 4)
    assert {(row[2], row[3]) for row in desk.ends()} == {("trailer", "not_a_person")}
    listed = (desk.folder / "rejections" / f"{taken.sha256[:12]}.csv").read_text("utf-8-sig")
    assert listed.count("elle ne concerne personne") == 4


def test_ends_are_in_the_journal(desk: Desk) -> None:
    desk.take(UNBORN, UNBORN, "Total : 2")
    later = desk.take(insured())
    entries = desk.query("SELECT subject, body FROM entries WHERE kind = 'rejections_ended' ORDER BY id")
    assert [body.decode().split('"facts":')[1].split("}")[0] for _, body in entries] == [
        '{"corrected":0,"duplicate":1,"not_a_person":1',
        '{"corrected":1,"duplicate":0,"not_a_person":0',
    ]
    assert entries[1][0] == later.sha256


# -- what holds for all ----------------------------------------------------------------------------------------------


def test_a_new_reading_of_the_correcting_file_corrects_again(desk: Desk) -> None:
    """The earlier reading is withdrawn: what it had corrected opens, and is answered by the same row once more."""
    desk.take(OTHER, UNBORN)
    path = desk.write(insured())
    shipped = profiles_of(desk.folder)
    for text_of_profile in (shipped, shipped + "\n[values.birth_rank]\n"):
        (desk.folder / "data" / "profiles" / f"{VIAMEDIS}.toml").write_text(text_of_profile, encoding="utf-8")

        async def work(opened):
            return await anext(app.take_exports(opened, [path], profile=VIAMEDIS, incident=None))

        taken = desk.run(work)
    assert taken.replaced == 1
    assert desk.ends() == [(1, 3, "birth_missing", "corrected", 3, 2)]


def profiles_of(folder: Path) -> str:
    (folder / "data" / "profiles").mkdir(parents=True, exist_ok=True)
    return (campaign.shipped("data") / "profiles" / f"{VIAMEDIS}.toml").read_text("utf-8")


def test_a_directorys_rejections_are_listed_and_stop_no_close(desk: Desk) -> None:
    desk.take(OTHER, UNBORN)
    path = desk.write(
        ";;;;;;;;;;;;;;;;;", "A9;;;;;;;M.;A;;;;;;;;actif;X", "Fin de fichier" + ";" * 17, profile="directory"
    )

    async def work(opened):
        await anext(app.take_directories(opened, [path], profile="directory", as_of=None))
        async with opened.database.read() as connection:
            return await app.rejections_standing(opened), await count_open(connection)

    standing, stops = desk.run(work)
    assert (standing.open, stops) == (1, 1)
    assert [(each.kind, each.state, each.code) for each in standing.counted] == [
        ("export", "open", "birth_missing"),
        ("directory", "not_a_person", "trailer"),
        ("directory", "open", "member_none"),
    ]


def test_nothing_is_looked_at_while_no_trace_is_open(vault) -> None:
    """The hot path: a frame without the columns would raise, were it touched."""
    traces = Traces()
    traces.open([Rejection(2, "", "columns")])
    traces.answer(pl.DataFrame(), [], vault)
    traces.answer_identities([2], [], [], vault)
    assert traces.answers() == []


def test_traces_hold_no_value(desk: Desk) -> None:
    desk.take(OTHER, UNBORN, WRONG)
    stored = desk.query("SELECT trace, cells FROM rejections")
    assert all(len(trace) == 25 and len(cells) == 16 for trace, cells in stored)
    for value in (BODY, "LEFEVRE", "ANNE ZOE", "ANNE", "CT0001"):
        assert all(value.encode() not in trace + cells for trace, cells in stored)


# -- what a crash leaves -----------------------------------------------------------------------------------------------


class Killed(BaseException):
    """As `kill -9` does: no handler of an error sees it."""


def _killed(*_: object, **__: object) -> None:
    raise Killed


def test_I8_values_in_clear_go_though_the_undo_was_killed_before(desk: Desk, monkeypatch) -> None:
    taken = desk.take(OTHER, UNBORN)
    values = desk.run(
        lambda opened: app.write_rejected_values(opened, taken.path, profile=VIAMEDIS, sha256=taken.sha256)
    )
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(clear_values, "remove_values", _killed)
        desk.undo(taken.sha256)
    assert values.exists() and desk.query("SELECT state FROM imports") == [("undone",)]
    desk.undo(taken.sha256)
    assert not values.exists()
    assert desk.query("SELECT COUNT(*) FROM clear_files WHERE removed_ms IS NULL") == [(0,)]
    with pytest.raises(OperatorError, match="withdrawn already"):
        desk.undo(taken.sha256)


def test_I8_values_are_not_written_while_somebody_withdraws_the_file(desk: Desk) -> None:
    taken = desk.take(OTHER, UNBORN)
    with alone(desk.folder), pytest.raises(CampaignBusy):
        desk.run(lambda opened: app.write_rejected_values(opened, taken.path, profile=VIAMEDIS, sha256=taken.sha256))
    assert desk.query("SELECT COUNT(*) FROM clear_files") == [(0,)]


@pytest.mark.parametrize("point", ["before", "after"])
def test_I8_what_waited_goes_with_the_next_intake_though_the_file_is_there(desk: Desk, monkeypatch, point: str) -> None:
    """Killed before the commit of one file, or after it: the next file was taken in long ago, and clears up as well."""
    known = desk.take(OTHER)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        if point == "before":
            patched.setattr(imports, "complete", _killed)
        patched.setattr(waiting, "discard", _killed_at_the_end(waiting.discard))
        desk.take(insured())
    left = waiting.beside(desk.folder / "campaign.db")
    assert left.exists()
    again = desk.run(lambda opened: anext(app.take_exports(opened, [known.path], profile=VIAMEDIS, incident=None)))
    assert again.already and not left.exists()


def _killed_at_the_end(real: Callable[[Path], None]) -> Callable[[Path], None]:
    """The staging file is made anew at first, and lies there still when the import ends."""

    def discard(database: Path) -> None:
        if waiting.beside(database).exists():
            raise Killed
        real(database)

    return discard


def test_I8_a_failure_of_the_completing_transaction_leaves_nothing_waiting(desk: Desk, monkeypatch) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise StorageError("no more")

    monkeypatch.setattr(imports, "complete", fails)
    with pytest.raises(StorageError):
        desk.take(insured())
    assert not waiting.beside(desk.folder / "campaign.db").exists()
