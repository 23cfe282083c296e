"""I1 and the ends of rejections: no line that could be somebody's is nobody's, and every row is counted once."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from notifier import app
from notifier.campaign import Settings, load, shipped
from notifier.intake import profiles
from notifier.intake.columns import find_in_text
from notifier.intake.professionals import professionals
from notifier.intake.records import FileContext, insured
from notifier.intake.rows import Rows
from notifier.intake.trailers import is_trailer
from notifier.storage.database import create_database
from notifier.vault import Keys, Vault, write_key_file

pytestmark = pytest.mark.thorough

KEYS = Keys.new("properties")
VAULT = Vault(KEYS)
FEW = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])

NAMES = ("TOTAL", "FIN", "FIN DE FICHIER", "Nombre", "EOF", "PAGE", "NOM", "LEFEVRE", "-----", "--", "Total : 12", "")
PLACES = {
    "viamedis-insured": "NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE",
    "viamedis-professional": (
        "RAISON_SOCIALE;NOM;PRENOM;PROFESSION;EMAIL;TELEPHONE;ADRESSE;CODE_POSTAL;VILLE;LOGIN;RIB;SIRET;FINESS"
    ),
}
CELLS = st.sampled_from(
    (*NAMES, "12", "1", "2550814168025", "255081416802538", "38", "02/08/1955", "CT0001", "ANNE",
     "lac@courriel.example", "750100125", "73282932000074", "NIR", "CLE", "PRENOM", "MUTUELLE CLAIRVAL", "1 234")
)  # fmt: skip


@cache
def _sample() -> tuple[Settings, Path]:
    folder = Path(tempfile.mkdtemp())
    shutil.copy(shipped("data") / "campaign" / "sample.toml", folder / "campaign.toml")
    return load(folder, environment={}), folder


def _accepted(name: str, cells: list[str]) -> int:
    """How many records the row makes."""
    sample, folder = _sample()
    profile, _ = profiles.load(folder, name, "export")
    layout = find_in_text(PLACES[name] + "\n", profile, "x")
    senders = profiles.Senders(sample.senders)
    reading = FileContext(profile, layout, "viamedis", senders, VAULT, date(2024, 2, 9), sample.senders[0].code)
    values = dict.fromkeys(profile.roles, "") | dict(zip(layout.roles, cells, strict=True))
    frame = pl.DataFrame({"line": [2], **{role: [cell] for role, cell in values.items()}})
    rows = Rows(frame, [])
    return (insured(rows, reading) if "insured" in name else professionals(rows, reading, {})).kept


def _cells(name: str, texts: list[str]) -> list[tuple[str, str, str]]:
    profile, _ = profiles.load(_sample()[1], name, "export")
    layout = find_in_text(PLACES[name] + "\n", profile, "x")
    return list(zip(layout.roles, layout.headings, texts, strict=True))


@st.composite
def rows(draw: st.DrawFn) -> tuple[str, list[str]]:
    name = draw(st.sampled_from(sorted(PLACES)))
    return name, [draw(CELLS) for _ in PLACES[name].split(";")]


@given(rows())
@example(("viamedis-insured", ["2550814168025", "38", "TOTAL", "FIN", "02/08/1955", "1", "EOF", "12", "12"]))
@example(("viamedis-professional", ["TOTAL", "", "", "", "lac@courriel.example", "", "", "", "", "", "", "", ""]))
@settings(max_examples=400, deadline=None)
def test_I1_no_row_that_is_accepted_looks_like_a_trailer(row: tuple[str, list[str]]) -> None:
    name, cells = row
    if is_trailer(_cells(name, cells)):
        assert not _accepted(name, cells)


PERSON = st.sampled_from(("TOTAL", "FIN", "Nombre", "Page", "EOF", "Trailer", "LEFEVRE", "Du Total", "Tiret"))
SOMETHING = {
    "nir": st.from_regex(r"[12][0-9]{12}([0-9]{2})?|[0-9]{10,15}|2,55E\+14", fullmatch=True),
    "forename": PERSON | st.sampled_from(("Zoé", "Jean-Paul")),
    "birth_date": st.dates(date(1920, 1, 1), date(2024, 1, 1)).map(lambda day: day.strftime("%d/%m/%Y")),
    "contract": st.from_regex(r"[A-Z]{0,3}[0-9]{2,9}", fullmatch=True),
}


@given(PERSON, st.sampled_from(sorted(SOMETHING)), st.data())
@settings(max_examples=200, deadline=None)
def test_no_row_with_a_name_and_one_thing_of_its_own_is_a_trailer(name: str, role: str, data: st.DataObject) -> None:
    """However little is left of somebody, and whatever they are called."""
    own = {"name": name, role: data.draw(SOMETHING[role]), "birth_rank": data.draw(st.sampled_from(("", "1")))}
    own |= {"insurer": data.draw(st.sampled_from(("", "Mutuelle Clairval")))}
    profile = "viamedis-insured"
    empty = _cells(profile, [""] * len(PLACES[profile].split(";")))
    assert not is_trailer([(each, heading, own.get(each, "")) for each, heading, _ in empty])


LINES = st.lists(
    st.sampled_from((
        "2550814168025;38;LEFEVRE;ANNE ZOE;02/08/1955;1;MUTUELLE CLAIRVAL;CT0001;E",
        "2550814168025;38;LEFEVRE;ANNE ZOE;;1;MUTUELLE CLAIRVAL;CT0001;E",
        "2550814168025;11;LEFEVRE;ANNE ZOE;02/08/1955;1;MUTUELLE CLAIRVAL;;E",
        ";;MARTIN;;14/05/1969;1;MUTUELLE CLAIRVAL;CT9;E",
        ";;MARTIN;ZOE;14/05/1969;1;MUTUELLE CLAIRVAL;CT9;E",
        ";;MARTIN;ZOE;;1;MUTUELLE CLAIRVAL;CT9;E",
        '2550814168025;38;"LEF\nEVRE";ANNE ZOE;02/08/1955;1;MUTUELLE CLAIRVAL;CT0001;E',
        "Total : 12", "Fin de fichier;;;;;;;;", PLACES["viamedis-insured"], "----------", "a;b", ";;;;;;;;", "",
    )),
    min_size=1, max_size=12,
)  # fmt: skip


@given(st.lists(LINES, min_size=1, max_size=3))
@FEW
def test_I1_rows_are_records_and_rejections_whatever_became_of_them(files: list[list[str]]) -> None:
    """Over several files; and undoing the last leaves what would be there had it never come."""
    assume(all(any(line.strip(";") for line in lines) for lines in files))
    with tempfile.TemporaryDirectory() as name:
        folder = _campaign(Path(name))
        states: list[list[tuple[object, ...]]] = []
        taken: list[app.FileTaken] = []
        for number, lines in enumerate(files):
            path = Path(name) / f"{number}.csv"
            path.write_text("\n".join((PLACES["viamedis-insured"], f";;N{number};;;;;;", *lines)) + "\n", "utf-8")
            taken.append(asyncio.run(_take(folder, path)))
            assert taken[-1].rows == taken[-1].records + taken[-1].rejections
            states.append(_query(folder, "SELECT import_id, line, state, ended_line FROM rejections ORDER BY id"))
        assert len(states[-1]) == sum(each.rejections for each in taken)
        assert all(line for _, _, state, line in states[-1] if state in ("corrected", "duplicate"))
        standing = asyncio.run(_standing(folder))
        rows = standing.account.rows
        assert rows.agree
        assert (rows.rejections, rows.open_rejections) == (
            len(states[-1]), sum(state == "open" for _, _, state, _ in states[-1]),
        )  # fmt: skip
        assert sum(standing.rejected.by_state().values()) == rows.rejections
        asyncio.run(_undo(folder, taken[-1].sha256))
        assert _query(folder, "SELECT import_id, line, state, ended_line FROM rejections ORDER BY id") == (
            states[-2] if len(states) > 1 else []
        )


@cache
def _founded() -> Path:
    folder = Path(tempfile.mkdtemp()) / "campaign"
    folder.mkdir()
    shutil.copy(shipped("data") / "campaign" / "sample.toml", folder / "campaign.toml")
    write_key_file(folder / "campaign.key", KEYS)
    create_database(folder / "campaign.db", VAULT, datetime(2024, 2, 9, 8, tzinfo=UTC))
    return folder


def _campaign(parent: Path) -> Path:
    return Path(shutil.copytree(_founded(), parent / "campaign"))


async def _take(folder: Path, path: Path) -> app.FileTaken:
    async with app.open_campaign(folder, by="Nour", command="test") as opened:
        taken = app.take_exports(opened, [path], profile="viamedis-insured", incident=None, accept_rejections=True)
        return await anext(taken)


async def _undo(folder: Path, sha256: str) -> None:
    async with app.open_campaign(folder, by="Nour", command="test") as opened:
        await app.undo_import(opened, sha256)


async def _standing(folder: Path):
    async with app.open_campaign(folder, by="Nour", command="test", writes=False) as opened:
        return await app.standing(opened)


def _query(folder: Path, sql: str) -> list[tuple[object, ...]]:
    async def work() -> list[tuple[object, ...]]:
        async with (
            app.open_campaign(folder, by="", command="test", writes=False) as opened,
            opened.database.read() as connection,
        ):
            return [tuple(row) for row in await connection.execute(text(sql))]

    return asyncio.run(work())
