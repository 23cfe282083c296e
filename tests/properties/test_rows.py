"""The vectorised rules equal the scalar ones, and no bytes make the intake lose a row or crash (I1)."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import polars as pl
from email_validator import validate_email
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from notifier.campaign import Settings, load, shipped
from notifier.errors import ExportError
from notifier.intake import profiles
from notifier.intake.cells import mended
from notifier.intake.columns import Layout, find_in_text
from notifier.intake.dates import birth_date
from notifier.intake.directories import members
from notifier.intake.exports import StagedImport, stage_export
from notifier.intake.files import survey
from notifier.intake.identifiers import birth_rank, nir, nir_key
from notifier.intake.mailboxes import mailbox
from notifier.intake.normal_forms import birth_dates, normal_names, normal_numbers, packed, with_nir
from notifier.intake.professionals import professionals
from notifier.intake.records import KEYS, FileContext, insured
from notifier.intake.rows import Rows, read
from notifier.intake.verdicts import Verdict
from notifier.people.identity import (
    InsuredFacts,
    forename_key,
    group_key,
    insured_identity,
    near_key,
    normal_name,
    normal_number,
    rungs,
)
from notifier.storage.database import create_database, open_database
from notifier.storage.waiting import beside
from notifier.vault import PACKED_BYTES, Keys, Vault, pack, ranked_key

NOW = datetime(2024, 2, 9, 8, tzinfo=UTC)
TODAY = date(2024, 2, 9)
VAULT = Vault(Keys.new("properties"))
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
NUMBERISH = st.text("0123456789AaBb2 .-'E+,\u00a0", max_size=20)


@st.composite
def nirs(draw: st.DrawFn) -> tuple[str, str]:
    """Cells near the edge of validity: right and wrong keys, Corsica, odd months, one place changed."""
    department = draw(st.sampled_from(["75", "2A", "2B", "2a", "20", "99", "2C"]))
    month = draw(st.integers(0, 99))
    body = (
        f"{draw(st.integers(0, 9))}{draw(st.integers(0, 99)):02d}{month:02d}{department}{draw(st.integers(0, 999)):03d}"
    )
    body += f"{draw(st.integers(0, 999)):03d}"
    key = f"{nir_key(body.upper()):02d}" if "C" not in body else "10"
    key = draw(st.sampled_from([key, key.lstrip("0"), "", "00", "98", "1X", key + ".0"]))
    if draw(st.booleans()):
        return body + draw(st.sampled_from([key, ""])), draw(st.sampled_from([key, ""]))
    return draw(st.sampled_from([" ".join((body[0], body[1:5], body[5:])), body + ".0", body[:-1], body + "E+5"])), key


@given(st.lists(st.tuples(NUMBERISH, NUMBERISH) | nirs(), min_size=1, max_size=8))
@settings(max_examples=150, deadline=None)
def test_nir_twins_agree(cells: list[tuple[str, str]]) -> None:
    frame = with_nir(pl.DataFrame(cells, schema=["nir", "nir_key"], orient="row"))
    assert frame.select("nir", "nir_code").rows() == [tuple(nir(*pair)) for pair in cells]


@given(st.lists(TEXT | NUMBERISH, min_size=1, max_size=8))
@example(["ŒUVRÉ", "straße", "ﬁ\u0301", "\u2167", "d’Hœrdt", "A\tB"])
@settings(max_examples=150, deadline=None)
def test_name_and_number_twins_agree(cells: list[str]) -> None:
    column = pl.Series(cells, dtype=pl.String)
    assert normal_names(column).to_list() == [normal_name(cell) for cell in cells]
    assert normal_numbers(column).to_list() == [normal_number(cell) for cell in cells]


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_packed_digests_are_the_vaults_digests(parts: list[str]) -> None:
    assume(all(len(part.encode()) <= PACKED_BYTES for part in parts))
    assert VAULT.digests(["".join(pack(part) for part in parts).encode(), None]) == [VAULT.digest(*parts), None]
    frame = pl.DataFrame([parts], schema=[str(index) for index in range(len(parts))], orient="row")
    column = frame.select(packed("first", *(pl.col(name) for name in frame.columns))).to_series()
    assert VAULT.digests(column.cast(pl.Binary).to_list()) == [VAULT.digest("first", *parts)]


_LABELS = st.text("abcXYZ019-", min_size=1, max_size=12)


@given(st.text("abcZ.09+_'!#$%&*/=?^`{|}~-", min_size=1, max_size=70), st.lists(_LABELS, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_what_the_quick_address_rule_accepts_the_validator_accepts(local: str, labels: list[str]) -> None:
    reading = mailbox(f"{local}@{'.'.join(labels)}")
    if reading.value:
        validate_email(
            reading.value, strict=True, check_deliverability=False, globally_deliverable=False, test_environment=True
        )


_DAY = st.builds("{:02d}/{:02d}/{:04d}".format, st.integers(0, 40), st.integers(0, 99), st.integers(1880, 2030))


@given(st.lists(_DAY | TEXT | st.text("0123456789/- ", max_size=12), max_size=8))
@example(["29/02/2000", "29/02/2001", "01/01/1904", "31/12/1903", TODAY.strftime("%d/%m/%Y"), "00/02/1955"])
def test_birth_date_twins_agree(cells: list[str]) -> None:
    births, codes = birth_dates(pl.Series("birth_date", cells, dtype=pl.String), TODAY)
    expected = [birth_date(cell, TODAY) for cell in cells]
    assert list(zip(births, codes, strict=True)) == [(each.value, each.code) for each in expected]


@given(TEXT | NUMBERISH, TEXT | st.text("0123456789/- ", max_size=12))
@settings(max_examples=150, deadline=None)
def test_scalar_rules_never_crash(text: str, number: str) -> None:
    assert mailbox(text).value == "" or "@" in mailbox(text).value
    assert len(birth_date(number, TODAY).value) in (0, 10)
    assert len(birth_date(text, TODAY).value) in (0, 10)
    assert birth_rank(text).value in ("", *"123456789")


# -- keys ----------------------------------------------------------------------------------------------------------


def _profile(name: str) -> profiles.Profile:
    return profiles.load(Path("/nonexistent"), name, "export")[0]


VIAMEDIS = _profile("viamedis-insured")
HEADER = "NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE"
_NAMES = st.sampled_from(["", "LEFEVRE", "Lefèvre", "d'Hœrdt", "Anne-Zoé", "ANNE ZOE"])
_CELLS = st.tuples(
    nirs(), _NAMES, _NAMES, st.sampled_from(["", "02/08/1955", "1955-08-02", "00/00/1955", "31/02/1955"]),
    st.sampled_from(["", "1", "2", "x"]), st.sampled_from(["", "CT 01", "ct01"]),
)  # fmt: skip


@given(st.lists(_CELLS, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_keys_of_a_batch_are_those_of_people_identity(cells) -> None:
    columns = ["nir", "nir_key", "name", "forename", "birth_date", "birth_rank", "contract"]
    rows = [(*pair, name, forename, born, rank, contract) for pair, name, forename, born, rank, contract in cells]
    frame = pl.DataFrame(rows, schema=columns, orient="row").with_columns(pl.int_range(2, 2 + len(rows)).alias("line"))
    frame = frame.with_columns(pl.lit("").alias(role) for role in VIAMEDIS.roles - set(columns))
    campaign = load_sample()
    layout = find_in_text(HEADER + "\n", VIAMEDIS, "file")
    reading = FileContext(VIAMEDIS, layout, "viamedis", profiles.Senders(campaign.senders), VAULT, TODAY)
    batch = insured(Rows(frame, []), reading)
    expected = []
    for line, (number, key, name, forename, born, rank, contract) in enumerate(rows, start=2):
        place = birth_rank(rank).value
        facts = InsuredFacts(
            "clairval", nir(number, key).value, birth_date(born, TODAY).value, normal_name(forename),
            normal_name(name), int(place) if place else None, normal_number(contract),
        )  # fmt: skip
        identity = insured_identity(facts)
        if identity is not None:
            ladder = rungs(facts)
            each = (group_key(facts), forename_key(facts))
            keys = (ladder.member, ladder.nir_forename, ladder.contract, near_key(facts))
            digests = [VAULT.digest(*part) if part else None for part in (*each, *keys)]
            ranked = ranked_key(VAULT.digest(*ladder.nir_rank[0]), ladder.nir_rank[1]) if ladder.nir_rank else None
            digests.insert(3, ranked)
            expected.append((line, VAULT.digest(*identity), *digests, facts.rank))
    stored = batch.records
    assert stored.select("line", "identity", *KEYS, "birth_rank").rows() == expected
    assert batch.kept + len(batch.rejections) == len(rows)  # I1
    for line, identity, sealed in stored.select("line", "identity", "sealed").iter_rows():
        name, forename = rows[line - 2][2:4]
        fields = VAULT.unseal("person", identity, sealed)
        assert (fields.get("name", ""), fields.get("forename", "")) == (name, forename)


_AROUND = st.text("0123456789AaBb.@-,;<>' \u00a0éÃ©\ufffd#/=\"", max_size=20)
_ANY = TEXT | _AROUND | st.sampled_from(["", "#N/A", "1000", "7,32829E+13", "10780054", "00000000000000", "8" * 13])


@given(st.sampled_from(["viamedis-insured", "viamedis-professional", "directory"]), st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_i1_every_row_has_one_verdict_whatever_is_in_its_cells(name: str, data: st.DataObject) -> None:
    """Of all kinds of files: kept or rejected, never lost, and every code has its meaning."""
    profile, _ = profiles.load(Path("/nonexistent"), name, None)
    roles = sorted(profile.roles)
    cells = data.draw(st.lists(st.lists(_ANY, min_size=len(roles), max_size=len(roles)), min_size=1, max_size=3))
    frame = pl.DataFrame(cells, schema=dict.fromkeys(roles, pl.String), orient="row")
    frame, warned = mended(frame.with_columns(pl.int_range(2, 2 + len(cells)).alias("line")))
    layout = Layout(tuple(roles), tuple(roles), 1, 0, ";")
    campaign = load_sample()
    reading = FileContext(profile, layout, "viamedis", profiles.Senders(campaign.senders), VAULT, TODAY, "clairval")
    if name == "directory":
        batch = members(Rows(frame, [], warned), reading, providers={}, as_of="")
        assert len(batch.warned) == len(batch.contacts)
    elif name == "viamedis-insured":
        batch = insured(Rows(frame, [], warned), reading)
    else:
        batch = professionals(Rows(frame, [], warned), reading, providers={})
    assert batch.kept + len(batch.rejections) == len(cells)
    reading.tally.take(batch)
    verdicts = reading.tally.verdicts()
    assert sum(verdicts.rows.values()) == len(cells)
    assert verdicts.rows.get(Verdict.REJECTED, 0) == len(batch.rejections)


# -- files ---------------------------------------------------------------------------------------------------------


@cache
def load_sample() -> Settings:
    with campaign_folder() as folder:
        return load(folder, environment={})


@cache
def fresh_database() -> bytes:
    """A database file without rows: made once, copied for every example."""
    with tempfile.TemporaryDirectory() as name:
        create_database(Path(name) / "campaign.db", VAULT, NOW)
        return (Path(name) / "campaign.db").read_bytes()


@contextmanager
def campaign_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(shipped("data") / "campaign" / "sample.toml", folder / "campaign.toml")
        (folder / "campaign.db").write_bytes(fresh_database())
        yield folder


def take(folder: Path, content: bytes) -> StagedImport:
    path = folder / "export.csv"
    path.write_bytes(content)

    async def work() -> StagedImport:
        async with open_database(folder / "campaign.db", VAULT) as database:
            staged = await stage_export(
                database, VAULT, load(folder, {}), folder, path, "viamedis-insured", incident=None, now=NOW
            )
            assert isinstance(staged, StagedImport)
            async with database.read() as connection:
                with contextlib.closing(sqlite3.connect(beside(folder / "campaign.db"))) as waiting:
                    stored = [line for (line,) in waiting.execute("SELECT line FROM staged_records")]
                refused = (await connection.exec_driver_sql("SELECT line FROM rejections")).scalars().all()
            assert (len(stored), len(refused)) == (staged.records, staged.rejections)
            assert len(set(stored)) == len(stored)
            return staged

    return asyncio.run(work())


_CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12) | st.sampled_from(
    ["2550814168025", "38", "02/08/1955", "LEFEVRE", "CT1", 'a"b', "a;b", "a\nb", "a\r\nb", ""]
)


@given(st.lists(st.lists(_CELL, min_size=9, max_size=9), min_size=1, max_size=8), st.sampled_from(["\n", "\r\n"]))
@FEW
def test_i1_rows_are_records_plus_rejections(rows: list[list[str]], end: str) -> None:
    """Well-formed CSV: every record that has a cell is counted once, whatever is in its cells."""
    text = io.StringIO(newline="")
    # The csv module leaves a lone carriage return unquoted, which RFC 4180 does not allow.
    quoting = csv.QUOTE_ALL if any("\r" in cell for row in rows for cell in row) else csv.QUOTE_MINIMAL
    csv.writer(text, delimiter=";", lineterminator=end, quoting=quoting).writerows(rows)
    # What the campaign must not read twice: whole lines inside one cell are lines (see rows.py).
    assume(not any(cell.count(";") >= 8 for row in rows for cell in row))
    filled = [row for row in rows if any(cell.strip(" \u00a0") for cell in row)]
    assume(filled)
    with campaign_folder() as folder:
        staged = take(folder, (HEADER + end + text.getvalue()).encode())
    assert staged.rows == len(filled) == staged.records + staged.rejections


@given(st.binary(max_size=200) | st.text(';"\n\r ab1', max_size=60).map(str.encode))
@example(b'a;b;c;d;e;f;g;h;"i\n2550814168025;38;A;B;02/08/1955;1;M;C;G\n')
@FEW
def test_i1_no_bytes_crash_the_intake(tail: bytes) -> None:
    """Any bytes below the headings: a clear error, or rows = records + rejections."""
    with campaign_folder() as folder:
        try:
            staged = take(folder, HEADER.encode() + b"\r\n" + tail)
        except ExportError as error:
            assert str(error).startswith("export.csv")
        else:
            assert staged.rows == staged.records + staged.rejections > 0


@given(st.lists(st.sampled_from(["blank", "good", "long", "short", "quoted"]), min_size=1, max_size=12))
@FEW
def test_lines_are_physical_lines(kinds: list[str]) -> None:
    content, expected, line = HEADER + "\n", [], 2
    texts = {
        "blank": "", "good": "1;2;3;4;5;6;7;8;9", "long": "1;2;3;4;5;6;7;8;9;10", "short": "1;2",
        "quoted": '1;2;3;"4\n4\r\n4";5;6;7;8;9',
    }  # fmt: skip
    for kind in kinds:
        content += texts[kind] + "\n"
        if kind != "blank":
            expected.append(line)
        line += 1 + texts[kind].count("\n")
    with tempfile.TemporaryFile() as file:
        file.write(content.encode())
        _, batches = read(file, "file", survey(file, "file"), VIAMEDIS)
        found = []
        for rows in batches:
            found += rows.frame["line"].to_list() + [rejection.line for rejection in rows.broken]
    assert sorted(found) == expected
