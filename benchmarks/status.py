"""How long `status` takes beside the number of notifications, cold of our own making (a process of its own), and what
its parts are.

A synthetic campaign, filled by set-based SQL: one record, person, contact and notification each; a mailbox for three
in five, of whom two thirds are accepted; the others get a letter or have no contact.

Run: python benchmarks/status.py [NOTIFICATIONS] [--folder DIR]            (1,000,000 unless given; 0.9 GB for each)
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from notifier.campaign import shipped
from notifier.foundation import begin_journal
from notifier.storage.database import create_database
from notifier.vault import Keys, Vault, write_key_file

NOW = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
SEALED_PERSON, SEALED_CONTACT = 180, 260  # bytes, as they come from the drill's exports
PROVIDERS = ("orange", "gmail", "free", "sfr", "outlook", "other")

_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)"
# Who has no contact, who gets a letter, who an e-mail: by number, so that all tables agree.
_ROUTE = "CASE WHEN i % 20 = 0 THEN 'none' WHEN i % 5 < 3 THEN 'email' ELSE 'post' END"
_STATE = """CASE WHEN i % 5 >= 3 THEN 'to_print' WHEN i % 3 > 0 THEN 'accepted' WHEN i % 300 = 0 THEN 'deferred'
    ELSE 'queued' END"""
_PROVIDER = (
    "CASE i % 10 " + " ".join(f"WHEN {n} THEN '{name}'" for n, name in enumerate(PROVIDERS)) + " ELSE 'other' END"
)


def fill(path: Path, rows: int) -> None:
    """The rows, as an intake, a plan, an approval and two thirds of a sending leave them."""
    given = {"rows": rows, "now": int(NOW.timestamp() * 1000)}
    with closing(sqlite3.connect(path)) as database, database:
        for statement in (
            "INSERT INTO exposure_sets (id, canonical) VALUES (1, 'viamedis:nir')",
            "INSERT INTO imports (id, kind, state, sha256, profile, settings_digest, name, size_bytes, rows_read, "
            "records, rejections, incident, encoding, as_of, persons_new, persons_known) VALUES "
            "(1, 'export', 'complete', 'f', 'p', 'd', 'n', 1, :rows, :rows, 0, '', '', '', :rows, 0), "
            "(2, 'directory', 'complete', 'g', 'p', 'd', 'n', 1, :rows, :rows, 0, '', '', '', 0, 0)",
            "INSERT INTO waves (id, name, kind, created_ms, planned_ms) VALUES (1, 'initial', 'initial', :now, :now)",
            "INSERT INTO segments (id, wave_id, sender, audience, profession, form, exposure_set_id, language) VALUES "
            "(1, 1, 'clairval', 'insured', '', 'own', 1, 'fr')",
            "INSERT INTO batches (id, wave_id, number, digest, bound, notifications, approved_by, approved_ms) VALUES "
            "(1, 1, 1, 'd', '{}', :rows, 'dpo', :now)",
            f"{_NUMBERS} INSERT INTO contacts (id, import_id, line, sender, identity, kind, link, status, language, "
            f"as_of, current, mailbox, has_postal, provider, key_member, sealed) SELECT i, 2, i, 'clairval', "
            f"randomblob(16), 'member', 'A', 'active', 'fr', '', 1, CASE WHEN i % 5 < 3 THEN randomblob(16) END, 1, "
            f"{_PROVIDER}, randomblob(16), randomblob({SEALED_CONTACT}) FROM n WHERE {_ROUTE} <> 'none'",
            f"{_NUMBERS} INSERT INTO persons (id, sender, identity, kind, profession, exposure_set_id, sealed, "
            f"contact_id, rung, identity_review, excluded, excluded_reason, excluded_by) SELECT i, 'clairval', "
            f"randomblob(16), 'insured', '', 1, randomblob({SEALED_PERSON}), CASE WHEN {_ROUTE} <> 'none' THEN i END, "
            "'member', '', '', '', '' FROM n",
            f"{_NUMBERS} INSERT INTO records (import_id, line, person_id, group_key, forename_key, key_member, "
            "exposure_set_id, warnings) SELECT 1, i, i, randomblob(16), randomblob(16), randomblob(16), 1, '' FROM n",
            f"{_NUMBERS} INSERT INTO deliveries (id, token, wave_id, segment_id, contact_id, channel, state, batch_id, "
            f"attempt, retries, doubts, epoch, due_ms, since_ms, provider, observe_until_ms) SELECT i, randomblob(16), "
            f"1, 1, i, CASE WHEN i % 5 < 3 THEN 'mail' ELSE 'post' END, {_STATE}, 1, 1, 0, 0, 1, 0, :now, {_PROVIDER}, "
            f":now + 432000000 FROM n WHERE {_ROUTE} <> 'none'",
            f"{_NUMBERS} INSERT INTO notifications (wave_id, person_id, segment_id, route, route_reason, batch_id, "
            f"delivery_id, review, excluded) SELECT 1, i, 1, {_ROUTE}, "
            f"CASE WHEN {_ROUTE} = 'none' THEN 'unmatched' ELSE 'mailbox' END, 1, "
            f"CASE WHEN {_ROUTE} <> 'none' THEN i END, '', '' FROM n",
        ):
            database.execute(statement, {name: value for name, value in given.items() if f":{name}" in statement})
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def campaign(folder: Path, rows: int) -> None:
    """A campaign's folder with so many notifications."""
    folder.mkdir(parents=True)
    shutil.copy(shipped("data") / "campaign" / "sample.toml", folder / "campaign.toml")
    keys = Keys.new(f"benchmark-{secrets.token_hex(4)}")
    write_key_file(folder / "campaign.key", keys)
    create_database(folder / "campaign.db", Vault(keys), NOW)
    asyncio.run(begin_journal(folder / "campaign.db", Vault(keys), NOW))
    fill(folder / "campaign.db", rows)


def status(folder: Path, *arguments: str) -> tuple[float, float]:
    """One `status` in a process of its own: seconds, and MB at most."""
    command = [sys.executable, "-m", "notifier.cli.main", "-C", str(folder), "status", "--json", *arguments]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, code, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode:
        raise SystemExit(f"status ended with {process.returncode}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the campaign is made, or lies made")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = (chosen.folder or Path(name)) / f"campaign-{chosen.rows}"
        if not folder.exists():
            began = time.perf_counter()
            campaign(folder, chosen.rows)
            size = (folder / "campaign.db").stat().st_size / 1e9
            print(f"{chosen.rows:,} notifications, {size:.1f} GB, made in {time.perf_counter() - began:.0f} s")
        for _ in range(3):
            seconds, megabytes = status(folder)
            print(f"status {seconds:8.2f} s {megabytes:6.0f} MB", flush=True)


if __name__ == "__main__":
    main()
