"""What a trap costs before it is refused: seconds, and memory at most of a process of its own.

    python benchmarks/hostile.py [MEGABYTES]           (1,024 unless given: how long the line and the bombs are)

One line of so many bytes; a gzip and a ZIP of ten times as many, all alike; a workbook whose sheet is one.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import IO

HEADINGS = "Nom;Prénom;Date de naissance;N° de sécurité sociale;Rang;Organisme;Référence contrat\n".encode()
BLOCK = b"x" * (1 << 20)
TAKE = """
import resource, sys, time
from pathlib import Path
from notifier.errors import ExportError
from notifier.intake import files, profiles, rows
path = Path(sys.argv[1])
profile, _ = profiles.load(Path("/nonexistent"), "almerys-insured", "export")
before, begun, said = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter(), "taken"
try:
    with path.open("rb") as file:
        for batch in rows.read(file, path.name, files.survey(file, path.name), profile)[1]:
            pass
except ExportError as error:
    said = str(error)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
print(f"{time.perf_counter() - begun:8.2f} s {grown:6} MB more than the program itself: {said}")
"""


def long_line(path: Path, megabytes: int) -> None:
    with path.open("wb") as file:
        file.write(HEADINGS)
        for _ in range(megabytes):
            file.write(BLOCK)


def gzip_bomb(path: Path, megabytes: int) -> None:
    with gzip.open(path, "wb", compresslevel=9) as file:
        long_line_into(file, 10 * megabytes)


def zip_bomb(path: Path, megabytes: int) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.csv", "w", force_zip64=True) as file,
    ):
        long_line_into(file, 10 * megabytes)


def workbook_bomb(path: Path, megabytes: int) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"<workbook/>")
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as file:
            long_line_into(file, megabytes)


def long_line_into(file: IO[bytes] | gzip.GzipFile, megabytes: int) -> None:
    file.write(HEADINGS)
    for _ in range(megabytes):
        file.write(BLOCK)


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    with tempfile.TemporaryDirectory() as name:
        for make in (long_line, gzip_bomb, zip_bomb, workbook_bomb):
            path = Path(name) / make.__name__
            make(path, megabytes)
            told = subprocess.run([sys.executable, "-c", TAKE, str(path)], capture_output=True, text=True, check=True)
            print(f"{make.__name__:<14}{told.stdout.strip()}")
            path.unlink()


if __name__ == "__main__":
    main()
