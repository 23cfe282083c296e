"""Intake of an insured export, rows/s: validate, digest, seal, store; beside a straight loop over the same file.

    python benchmarks/intake.py [ROWS]          (200,000 unless given)

The peer is what one would write first: `csv.reader` over the decoded file, the scalar rules, one digest per key, one
seal, executemany into a table without index. It stores the same values. The last figure is the ratio.
"""

from __future__ import annotations

import asyncio
import csv
import random
import resource
import sqlite3
import sys
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path

from notifier.campaign import load, shipped
from notifier.intake.dates import birth_date
from notifier.intake.exports import StagedImport, stage_export
from notifier.intake.identifiers import nir, nir_key
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
from notifier.vault import Keys, Vault

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


async def ours(folder: Path, path: Path, vault: Vault) -> tuple[float, StagedImport]:
    settings = load(folder, {})
    async with open_database(folder / "campaign.db", vault) as database:
        begun = time.perf_counter()
        staged = await stage_export(database, vault, settings, folder, path, "almerys-insured", incident=None, now=NOW)
        seconds = time.perf_counter() - begun
    assert isinstance(staged, StagedImport)
    return seconds, staged


def straight(path: Path, target: Path, vault: Vault) -> tuple[float, int]:
    begun = time.perf_counter()
    database = sqlite3.connect(target)
    database.execute("CREATE TABLE staged (line, sender, identity, g, f, r, k1, k2, k3, k4, sealed)")
    today: date = NOW.date()
    batch: list[tuple[object, ...]] = []
    kept = 0

    def digest(key: tuple[str, ...] | None) -> bytes | None:
        return vault.digest(*key) if key else None

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
                digest(keys.member), digest(keys.nir_rank), digest(keys.nir_forename), digest(keys.contract), sealed,
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


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "campaign.toml").write_bytes((shipped("data") / "campaign" / "sample.toml").read_bytes())
        vault = Vault(Keys.new("benchmark"))
        create_database(folder / "campaign.db", vault, NOW)
        export = folder / "export.csv"
        write_export(export, rows)
        seconds, staged = asyncio.run(ours(folder, export, vault))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        loop_seconds, kept = straight(export, folder / "straight.db", vault)
        assert kept == staged.records, (kept, staged.records)
        print(f"{rows:,} rows, {export.stat().st_size / 1e6:.1f} MB, {staged.rejections:,} rejected")
        print(f"intake         {rows / seconds:>10,.0f} rows/s   peak {peak} MB")
        print(f"straight loop  {rows / loop_seconds:>10,.0f} rows/s")
        print(f"ratio          {loop_seconds / seconds:>10.2f}")


if __name__ == "__main__":
    main()
