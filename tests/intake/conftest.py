"""What the intake's tests share: files written from rows, and staging them into the campaign's database."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterable
from datetime import date, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from notifier.intake.directories import stage_directory
from notifier.intake.exports import AlreadyImported, StagedImport, complete, stage_export, write_rejections
from notifier.people.arrivals import absorb_directory, absorb_export
from notifier.storage.waiting import beside

HEADINGS = {
    "viamedis-insured": "NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE",
    "almerys-insured": ("Nom;Prénom;Date de naissance;N° de sécurité sociale;Rang;Organisme;Référence contrat"),
    "viamedis-professional": (
        "RAISON_SOCIALE;NOM;PRENOM;PROFESSION;EMAIL;TELEPHONE;ADRESSE;CODE_POSTAL;VILLE;LOGIN;RIB;SIRET;FINESS"
    ),
    "almerys-professional": (
        "Raison sociale;Nom;Prénom;Spécialité;Courriel;Téléphone;Adresse;Code postal;Ville;Identifiant;RIB;SIRET;FINESS"
    ),
    "directory": (
        "NUM_ADHERENT;NIR;CLE;DATE_NAISSANCE;RANG;NOM;PRENOM;CIVILITE;LIEN;EMAIL;ADRESSE1;ADRESSE2;CODE_POSTAL;VILLE;"
        "NUM_CONTRAT;LANGUE;STATUT;ASSUREUR"
    ),
}
GOOD = "2550814168025;38;LEFEVRE;ANNE ZOE;02/08/1955;1;MUTUELLE CLAIRVAL;CT0001;Équilibre 1"
"""A viamedis-insured row without fault (the NIR is DOMAIN's published vector)."""


def rows_of(profile: str, *rows: str, end: str = "\r\n") -> str:
    return end.join([HEADINGS[profile], *rows]) + end


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """``write(text, encoding)`` → the file's path."""
    count = 0

    def writer(content: str | bytes, encoding: str = "utf-8") -> Path:
        nonlocal count
        count += 1
        path = tmp_path / f"export-{count}.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return writer


class Intake:
    """Stages and completes files, and looks into the database."""

    def __init__(self, opened, vault, settings, folder: Path, now: datetime) -> None:
        self.opened, self.vault, self.settings, self.folder, self.now = opened, vault, settings, folder, now

    def stage(self, path: Path, profile: str, *, incident: str | None = None, as_of: date | None = None):
        return asyncio.run(self._stage(path, profile, incident, as_of))

    async def _stage(self, path, profile, incident, as_of):
        async with self.opened() as database:
            common = (database, self.vault, self.settings, self.folder, path, profile)
            if profile == "directory":
                return await stage_directory(*common, as_of=as_of, now=self.now)
            return await stage_export(*common, incident=incident, now=self.now)

    def complete(self, staged: StagedImport) -> Path | None:
        async def work() -> None:
            is_export = staged.kind == "export"
            async with (
                self.opened() as database,
                database.absorb() if is_export else database.write() as connection,
            ):
                new = known = 0
                if is_export:
                    arrivals = await absorb_export(connection, self.vault, staged.import_id)
                    new, known = arrivals.persons_new, arrivals.persons_known
                else:
                    await absorb_directory(connection, self.vault, staged.import_id)
                await complete(connection, staged, persons_new=new, persons_known=known, now=self.now)

        asyncio.run(work())
        return write_rejections(self.folder, staged)

    def take(self, path: Path, profile: str, **options) -> StagedImport | AlreadyImported:
        staged = self.stage(path, profile, **options)
        if isinstance(staged, StagedImport):
            self.complete(staged)
        return staged

    def query(self, sql: str) -> list[dict]:
        async def work() -> list[dict]:
            async with self.opened() as database, database.read() as connection:
                return [dict(row._mapping) for row in await connection.execute(text(sql))]

        return asyncio.run(work())

    def execute(self, sql: str) -> None:
        async def work() -> None:
            async with self.opened() as database, database.write() as connection:
                await connection.execute(text(sql))

        asyncio.run(work())

    def rejected(self) -> list[tuple[int, str, str]]:
        """(line, column, code) of every rejection stored."""
        found = self.query('SELECT line, "column" AS heading, code FROM rejections ORDER BY import_id, line')
        return [(row["line"], row["heading"], row["code"]) for row in found]

    def staged(self) -> list[dict]:
        """The rows that wait, or those that became records."""
        waiting = beside(self.folder / "campaign.db")
        if not waiting.exists():
            return []
        with contextlib.closing(sqlite3.connect(waiting)) as database:
            database.execute("ATTACH DATABASE ? AS main_file", (str(self.folder / "campaign.db"),))
            database.row_factory = sqlite3.Row
            found = database.execute(
                "SELECT staged_records.*, canonical FROM staged_records "
                "JOIN main_file.exposure_sets x ON x.id = exposure_set_id ORDER BY import_id, line"
            )
            return [dict(row) for row in found]

    def snapshot(self, tables: Iterable[str] = ("imports", "records", "contacts", "rejections", "entries")):
        return {table: self.query(f"SELECT * FROM {table}") for table in tables}


@pytest.fixture
def intake(opened, vault, settings, folder, now) -> Intake:
    return Intake(opened, vault, settings, folder, now)
