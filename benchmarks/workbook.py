"""Intake of an XLSX: reading alone, and the whole, as `notifier intake` does it.

    python benchmarks/workbook.py [ROWS] [FILE]         (200,000 rows unless given; FILE is made if it is not there)

The workbook has one sheet as an export out of a spreadsheet has it: the NIR as a number, the birth date as a day number
with a date format, names with accents. Reading: from the opened file to the last frame of strings, twice over the file
as always (its SHA-256 and what is hidden in it, then its cells).
"""

from __future__ import annotations

import asyncio
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

import xlsxwriter
from intake import FORENAMES, HEADINGS, NOW, ours

from notifier.campaign import shipped
from notifier.intake import files, profiles, rows
from notifier.intake.identifiers import nir_key
from notifier.storage.database import create_database
from notifier.vault import Keys, Vault

LIMIT_SECONDS = 60  # for a million rows


def write_workbook(path: Path, rows: int) -> None:
    """Invented persons; about 1 % have a wrong key."""
    draw = random.Random(1)
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        sheet = book.add_worksheet("Export")
        day = book.add_format({"num_format": "dd/mm/yyyy"})
        sheet.write_row(0, 0, HEADINGS.split(";"))
        for number in range(rows):
            year, month = draw.randrange(1930, 2023), draw.randrange(1, 13)
            body = f"{draw.choice('12')}{year % 100:02d}{month:02d}{draw.randrange(1, 96):02d}{number % 990:03d}"
            body += f"{draw.randrange(1, 999):03d}"
            key = nir_key(body) if draw.random() > 0.01 else 98
            sheet.write_string(number + 1, 0, f"Lefèvre-{number % 4001}")
            sheet.write_string(number + 1, 1, draw.choice(FORENAMES))
            sheet.write_number(number + 1, 2, draw.randrange(11_000, 44_000), day)
            sheet.write_number(number + 1, 3, int(f"{body}{key:02d}"))
            sheet.write_number(number + 1, 4, 1)
            sheet.write_string(number + 1, 5, "Mutuelle Clairval")
            sheet.write_string(number + 1, 6, f"CT{number:09d}")


def read(path: Path) -> tuple[int, float]:
    """Rows, and seconds until the last of them was a row of strings."""
    profile, _ = profiles.load(Path("/nonexistent"), "almerys-insured", "export")
    begun = time.perf_counter()
    with path.open("rb") as file:
        survey = files.survey(file, path.name)
        _, batches = rows.read(file, path.name, survey, profile)
        found = sum(batch.frame.height for batch in batches)
    return found, time.perf_counter() - begun


def report(what: str, found: int, seconds: float) -> None:
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{what:<12}{found / seconds:>10,.0f} rows/s   {seconds:>6.1f} s   {memory:>6,} MB at most")


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = Path(sys.argv[2]) if len(sys.argv) > 2 else folder / "export.xlsx"
        if not path.exists():
            write_workbook(path, rows)
        found, seconds = read(path)
        print(f"{found:,} rows, {path.stat().st_size / 1e6:.1f} MB")
        report("reading", found, seconds)
        (folder / "campaign.toml").write_bytes((shipped("data") / "campaign" / "sample.toml").read_bytes())
        vault = Vault(Keys.new("benchmark"))
        create_database(folder / "campaign.db", vault, NOW)
        course = asyncio.run(ours(folder, path, vault))
        report("intake", course.staged.rows, course.seconds)
        print(f"{found / 1e6 * LIMIT_SECONDS:,.0f} s are allowed for as many rows (a million in {LIMIT_SECONDS} s)")


if __name__ == "__main__":
    main()
