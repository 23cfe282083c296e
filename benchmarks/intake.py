"""Intake of an insured export, rows/s, as `notifier intake` does it: validate, digest, seal, store, persons and records
made, one commit; beside a straight loop over the same file.

    python benchmarks/intake.py [ROWS] [--alone]          (200,000 rows unless given; --alone: without the loop)

The peer is what one would write first: `csv.reader` over the decoded file, the scalar rules, one digest per key, one
seal, executemany into a table without index. It stores the same values, and makes no persons of them. GOV.UK Notify's
figures are those it has published for an upload of a spreadsheet. The last million's pace is that of the staging, by
the clock and by the CPU time of this process: the second does not tell of what else the machine was doing.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import random
import resource
import sqlite3
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

from notifier.campaign import load, shipped
from notifier.intake.dates import birth_date
from notifier.intake.exports import StagedImport, complete, stage_export, write_rejections
from notifier.intake.identifiers import nir, nir_key
from notifier.people.arrivals import absorb_export
from notifier.people.identity import (
    InsuredFacts,
    forename_key,
    group_key,
    insured_identity,
    normal_name,
    normal_number,
    rungs,
)
from notifier.storage.database import create_database, open_database
from notifier.storage.waiting import beside
from notifier.vault import Keys, Vault, ranked_key

MILLION = 1_000_000
PEER_ROWS, PEER_SECONDS = 77_000, (12, 39)
NOW = datetime(2024, 2, 9, 8, tzinfo=UTC)
HEADINGS = "Nom;Prénom;Date de naissance;N° de sécurité sociale;Rang;Organisme;Référence contrat"
FORENAMES = ("Anne-Zoé", "JEAN", "Marie Laure", "Élodie", "KARIM", "Noël", "Lucie", "Paul-Émile")


def write_export(path: Path, rows: int) -> None:
    """Invented persons: about 1 % wrong keys, 1 % without number, accents in Windows-1252."""
    draw = random.Random(1)
    with path.open("w", encoding="cp1252", newline="") as file:
        file.write(HEADINGS + "\r\n")
        for number in range(rows):
            year, month, day = draw.randrange(1930, 2023), draw.randrange(1, 13), draw.randrange(1, 29)
            body = f"{draw.choice('12')}{year % 100:02d}{month:02d}{draw.randrange(1, 96):02d}{number % 990:03d}"
            body += f"{draw.randrange(1, 999):03d}"
            key = nir_key(body) if draw.random() > 0.01 else 98
            name = f"Lefèvre-{number % 4001}" if number % 3 else f"DUROC {number % 997}"
            cells = (
                name, draw.choice(FORENAMES), f"{day:02d}/{month:02d}/{year}",
                f"{body}{key:02d}" if draw.random() > 0.01 else "",
                "1", "Mutuelle Clairval", f"CT{number:09d}",
            )  # fmt: skip
            file.write(";".join(cells) + "\r\n")


class Mark(NamedTuple):
    """How far the staging was: rows, seconds by the clock, seconds of CPU."""

    rows: int
    seconds: float
    cpu: float


@dataclass
class Course:
    """One run of the whole: seconds of wall time and of this process's and its children's CPU, and when each batch was
    in the database."""

    staging: float
    absorbing: float
    completing: float
    cpu: float
    staged: StagedImport
    persons: int
    marks: list[Mark]

    @property
    def seconds(self) -> float:
        return self.staging + self.absorbing + self.completing


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


async def ours(folder: Path, path: Path, vault: Vault) -> Course:
    """What `notifier intake FILE` does, from the open database to the commit."""
    settings = load(folder, {})
    async with open_database(folder / "campaign.db", vault) as database:
        busy, begun = cpu_seconds(), time.perf_counter()
        marks: list[Mark] = []
        watch = asyncio.create_task(_watch(beside(folder / "campaign.db"), begun, marks))
        staged = await stage_export(database, vault, settings, folder, path, "almerys-insured", incident=None, now=NOW)
        assert isinstance(staged, StagedImport)
        stored = time.perf_counter()
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
        # Only what grew while rows came: indexes are built at the end.
        whole = max((mark.rows for mark in marks), default=1)
        marks = [mark._replace(rows=mark.rows * staged.rows // whole) for mark in marks]
        async with database.absorb() as connection:
            arrivals = await absorb_export(connection, vault, staged.import_id)
            absorbed = time.perf_counter()
            await complete(
                connection, staged,
                persons_new=arrivals.persons_new, persons_known=arrivals.persons_known, now=NOW,
            )  # fmt: skip
        write_rejections(folder, staged)
        ended = time.perf_counter()
    return Course(
        stored - begun, absorbed - stored, ended - absorbed, cpu_seconds() - busy, staged, arrivals.persons_new, marks
    )


async def _watch(waiting: Path, begun: float, marks: list[Mark]) -> None:
    """Every quarter second: how far the staging is (bytes of its file, which grows by equal rows)."""
    while True:
        if waiting.exists():
            marks.append(Mark(waiting.stat().st_size, time.perf_counter() - begun, cpu_seconds()))
        await asyncio.sleep(0.25)


def spent(marks: list[Mark], first: int, last: int) -> tuple[float, float]:
    """Seconds by the clock and of CPU between two lines of the file."""
    # Nothing is staged while the file's encoding is decided and its hash taken: a hundredth is not yet a beginning.
    begin = next((mark for mark in reversed(marks) if mark.rows <= first + (last - first) // 100), marks[0])
    end = next((mark for mark in marks if mark.rows >= last), marks[-1])
    share = (last - first) / max(1, end.rows - begin.rows)
    return (end.seconds - begin.seconds) * share, (end.cpu - begin.cpu) * share


def straight(path: Path, target: Path, vault: Vault) -> tuple[float, int]:
    begun = time.perf_counter()
    database = sqlite3.connect(target)
    database.execute("CREATE TABLE staged (line, sender, identity, g, f, r, k1, k2, k3, k4, sealed)")
    today: date = NOW.date()
    batch: list[tuple[object, ...]] = []
    kept = 0

    def digest(key: tuple[str, ...] | None) -> bytes | None:
        return vault.digest(*key) if key else None

    def ranked(key: tuple[tuple[str, ...], int] | None) -> bytes | None:
        return ranked_key(vault.digest(*key[0]), key[1]) if key else None

    with path.open(encoding="cp1252", newline="") as file:
        reader = csv.reader(file, delimiter=";")
        next(reader)
        for line, (name, forename, born, number, rank, _, contract) in enumerate(reader, start=2):
            birth = birth_date(born, today)
            facts = InsuredFacts(
                "clairval", nir(number).value, birth.value, normal_name(forename), normal_name(name),
                int(rank) if rank else None, normal_number(contract),
            )  # fmt: skip
            identity = digest(insured_identity(facts))
            if identity is None:
                continue
            keys = rungs(facts)
            sealed = vault.seal("person", identity, {"name": name, "forename": forename, "birth_date": birth.value})
            batch.append((
                line, "clairval", identity, digest(group_key(facts)), digest(forename_key(facts)), facts.rank,
                digest(keys.member), ranked(keys.nir_rank),
                digest(keys.nir_forename), digest(keys.contract), sealed,
            ))  # fmt: skip
            kept += 1
            if len(batch) == 20_000:
                database.executemany("INSERT INTO staged VALUES (?,?,?,?,?,?,?,?,?,?,?)", batch)
                database.commit()
                batch.clear()
    database.executemany("INSERT INTO staged VALUES (?,?,?,?,?,?,?,?,?,?,?)", batch)
    database.commit()
    database.close()
    return time.perf_counter() - begun, kept


def report(rows: int, size: int, course: Course, loop_seconds: float) -> None:
    staged, seconds = course.staged, course.seconds
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{rows:,} rows, {size / 1e6:.1f} MB, {staged.rejections:,} rejected, {course.persons:,} persons")
    for name, took in (("stage", course.staging), ("absorb", course.absorbing), ("complete", course.completing)):
        print(f"  {name:<13}{rows / took:>10,.0f} rows/s   {took:.1f} s")
    print(f"intake         {rows / seconds:>10,.0f} rows/s   {seconds:.1f} s, CPU {course.cpu:.1f} s")
    print(f"memory         {own:>10,} MB at most")
    span = min(MILLION, rows // 3)
    if span and len(course.marks) > 2:
        first, last = spent(course.marks, 0, span), spent(course.marks, rows - span, rows)
        clock, cpu = (begun / ended if ended else float("nan") for begun, ended in zip(first, last, strict=True))
        print(f"last {span:,} rows staged at {clock:.2f} of the pace of the first, {cpu:.2f} by CPU time")
    if loop_seconds:
        print(f"straight loop  {rows / loop_seconds:>10,.0f} rows/s (stage only: no persons, no records)")
        print(f"ratio          {loop_seconds / seconds:>10.2f}")
    low, high = (PEER_ROWS / took for took in reversed(PEER_SECONDS))
    print(f"GOV.UK Notify  {low:>10,.0f} to {high:,.0f} rows/s (published: 77,000 rows in 12 to 39 s)")


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "campaign.toml").write_bytes((shipped("data") / "campaign" / "sample.toml").read_bytes())
        vault = Vault(Keys.new("benchmark"))
        create_database(folder / "campaign.db", vault, NOW)
        export = folder / "export.csv"
        write_export(export, rows)
        course = asyncio.run(ours(folder, export, vault))
        loop_seconds = 0.0
        if "--alone" not in sys.argv:
            loop_seconds, kept = straight(export, folder / "straight.db", vault)
            assert kept == course.staged.records, (kept, course.staged.records)
        report(rows, export.stat().st_size, course, loop_seconds)


if __name__ == "__main__":
    main()
