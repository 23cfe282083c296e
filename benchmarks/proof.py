"""Proof export and verify: entries per second (DESIGN 13: export ≥ 50,000, verify ≥ 100,000, streamed).

    python benchmarks/proof.py [ENTRIES]

Half of the entries freeze a notification, half accept its delivery; the tables hold the same. Beside each figure stands
its floor in the same run: the two SHA-256 (leaf and node) and the JSON parse that no implementation in Python avoids.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from notifier.campaign import Settings, load, shipped
from notifier.journal.sealer import seal
from notifier.model import Entry, to_ms
from notifier.proof.export import ExportReport, export
from notifier.proof.verifier import verify as verifier
from notifier.proof.verify import verify
from notifier.storage.database import create_database, open_database
from notifier.vault import Keys, Vault

NOW = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)


def _entry(kind: str, subject: str, facts: dict[str, object]) -> tuple[str, str, bytes, bytes]:
    return kind, subject, secrets.token_bytes(32), Entry(NOW, kind, subject, facts).canonical()


def fill(path: Path, vault: Vault, persons: int) -> None:
    """Persons, notifications and deliveries, with two entries each."""
    ms = to_ms(NOW)
    with closing(sqlite3.connect(path)) as database, database:
        run = database.execute
        run("INSERT INTO exposure_sets VALUES (1, 'viamedis:nir')")
        run(
            "INSERT INTO imports (id, kind, state, sha256, profile, settings_digest, incident, name, size_bytes,"
            " encoding, as_of, rows_read, records, rejections, persons_new, persons_known) VALUES"
            " (1, 'export', 'complete', 'f', 'p', 'd', '', 'n', 1, '', '', ?, ?, 0, ?, 0)",
            (persons, persons, persons),
        )
        run("INSERT INTO waves VALUES (1, 'initial', 'initial', ?, ?)", (ms, ms))
        run("INSERT INTO segments VALUES (1, 1, 'clairval', 'insured', '', 'own', 1, 'fr')")
        run("INSERT INTO batches VALUES (1, 1, 1, 'd', '{}', ?, 'b', ?)", (persons, ms))
        imported = {"kind": "export", "profile": "p", "incident": "", "as_of": "", "rows": persons, "records": persons}
        approved = {"wave": "initial", "batch": 1, "digest": "d", "notifications": persons, "by": "b", "files": {}}
        entries = [
            _entry("import_completed", "f", {**imported, "rejections": 0, "persons_new": persons}),
            _entry("batch_approved", "", approved),
        ]
        frozen = {
            "wave": "initial", "batch": 1, "route": "email", "reason": "mailbox", "rung": "nir_forename", "segment": 1,
            "exposures": "viamedis:birth_date,viamedis:contract,viamedis:nir", "audience": "insured",
            "sender": "clairval", "excluded": "",
        }  # fmt: skip
        accepted = {
            "attempt": 1, "started": "2024-02-09T08:00:00.000Z", "phase": "final", "code": 250, "enhanced": "2.0.0",
            "reply": "2.0.0 Ok: queued as 4TVxYz1k2Jz9sQ", "reply_sha256": "a" * 64, "notice_sha256": "b" * 64,
            "late": False,
        }  # fmt: skip
        people, deliveries, notifications, records = [], [], [], []
        for number in range(1, persons + 1):
            identity = vault.digest("identity", str(number))
            token = vault.token("delivery", str(number))
            people.append((number, "clairval", identity))
            records.append((1, number, number))
            deliveries.append((number, token))
            notifications.append((number, number))
            pseudonym = vault.pseudonym("clairval", identity)
            entries.append(_entry("notification_frozen", pseudonym, {**frozen, "delivery": token.hex()}))
            entries.append(_entry("delivery_accepted", token.hex(), accepted))
        many = database.executemany
        many(
            "INSERT INTO persons (id, sender, identity, kind, profession, exposure_set_id, sealed, rung,"
            " identity_review, excluded, excluded_reason, excluded_by)"
            " VALUES (?, ?, ?, 'insured', '', 1, x'00', '', '', '', '', '')",
            people,
        )
        many(
            "INSERT INTO records (import_id, line, person_id, exposure_set_id, warnings) VALUES (?, ?, ?, 1, '')",
            records,
        )
        many(
            "INSERT INTO deliveries (id, token, wave_id, segment_id, contact_id, channel, state, batch_id, attempt,"
            " retries, doubts, epoch, provider, due_ms, since_ms)"
            " VALUES (?, ?, 1, 1, 1, 'mail', 'accepted', 1, 1, 0, 0, 1, 'other', 0, 0)",
            deliveries,
        )
        many(
            "INSERT INTO notifications (wave_id, person_id, segment_id, route, route_reason, review, excluded,"
            " batch_id, delivery_id) VALUES (1, ?, 1, 'email', 'mailbox', '', '', 1, ?)",
            notifications,
        )
        many("INSERT INTO entries (kind, subject, salt, body) VALUES (?, ?, ?, ?)", entries)


def floor(path: Path) -> int:
    """Two hashes and one parse for each entry, over the same bodies; how many."""
    with closing(sqlite3.connect(path)) as database:
        bodies = [row[0] for row in database.execute("SELECT body FROM entries")]
    salt = bytes(33)
    started = time.perf_counter()
    for body in bodies:
        leaf = hashlib.sha256(salt + body).digest()
        hashlib.sha256(b"\x01" + leaf + leaf).digest()
        json.loads(body)
    return int(len(bodies) / (time.perf_counter() - started))


async def sealed_and_exported(path: Path, vault: Vault, settings: Settings, out: Path) -> tuple[float, ExportReport]:
    """Seconds of sealing; the report of an export that follows."""
    async with open_database(path, vault) as database:
        started = time.perf_counter()
        await seal(database, vault, reason="benchmark", now=NOW)
        sealing = time.perf_counter() - started
        return sealing, await export(database, vault, settings, out, now=NOW)


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def memory_of_verify(pack: Path) -> int:
    """The stand-alone verifier's peak, in MB (Linux's VmHWM: ru_maxrss would begin with its parent's)."""
    program = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit: print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, verifier.__file__, str(pack)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stderr) // 1024


def main() -> None:
    """Print the figures."""
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(shipped("data") / "campaign" / "sample.toml", folder / "campaign.toml")
        vault = Vault(Keys.new("benchmark"))
        path, out = folder / "campaign.db", folder / "proof.zip"
        create_database(path, vault, NOW)
        fill(path, vault, entries // 2)
        started = time.perf_counter()
        sealing, report = asyncio.run(sealed_and_exported(path, vault, load(folder, {}), out))
        exporting = time.perf_counter() - started - sealing
        verdict = verify(out)
        assert verdict.ok, verdict.findings
        verifying = timed(lambda: verify(out))
        program = [sys.executable, verifier.__file__, str(out)]
        alone = timed(lambda: subprocess.run(program, check=True, capture_output=True))
        print(f"{report.entries} entries, pack of {report.size_bytes / 1e6:.1f} MB")
        print(f"floor (2 SHA-256 + parse)  {floor(path):>9,} entries/s")
        for what, seconds in (
            ("seal", sealing),
            ("export", exporting),
            ("verify", verifying),
            ("verify.py alone", alone),
        ):
            print(f"{what:<26} {int(report.entries / seconds):>9,} entries/s")
        print(f"memory of verify.py        {memory_of_verify(out):>9,} MB")


if __name__ == "__main__":
    main()
