"""Plan: match persons to a directory, decide every route, make notifications and deliveries; persons/s and memory.

    python benchmarks/matching.py [PERSONS] [CONTACTS]              (200,000 and 80,000 unless given)
    python benchmarks/matching.py --truth [INSURED] [--noise 0.01]  (against a drill's truth: matching_truth.py)

Persons and contacts are written into the tables as intake leaves them (keys are random, fields sealed): households of
one to four on a contract, four in ten of the persons in the directory, a fifth of them children. The peer, in the same
run on a copy of the same tables, is what one would write first (matching_peer.py): a dictionary per rung, one row after
the other, and executemany into the same tables with the same indexes. It must write as many notifications and
deliveries. Both are timed by the clock and by CPU: on a machine that others use, the CPU's ratio says more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import shutil
import sqlite3
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matching_peer
import polars as pl

from notifier.campaign import load, shipped
from notifier.model import WaveKind
from notifier.people.waves import Plan, plan
from notifier.storage import persons, staging
from notifier.storage.database import create_database, open_database
from notifier.vault import Keys, Vault, ranked_key

NOW = datetime(2024, 2, 9, 8, tzinfo=UTC)
PART = 50_000
CONTACT = (
    "import_id", "line", "sender", "identity", "kind", "link", "status", "language", "as_of", "current", "household",
    "mailbox", "has_postal", "provider", "forename_key", "key_member", "key_nir_rank", "key_nir_forename",
    "key_contract", "key_near_nir", "sealed",
)  # fmt: skip
FORENAMES = [os.urandom(16) for _ in range(2_000)]


def people(vault: Vault, many: int, known: int, line: int, draw: random.Random) -> tuple[list[Any], list[Any]]:
    """``many`` rows of an export and the directory's rows about those of them that are known (``known`` in all)."""
    records: list[dict[str, Any]] = []
    contacts: list[tuple[object, ...]] = []
    share = known / many
    while len(records) < many:
        listed, contract, mailbox = draw.random() < share, os.urandom(16), os.urandom(16)
        for place in range(min(draw.randrange(1, 5), many - len(records))):
            link = "A" if place == 0 else "C" if place == 1 else "E"
            identity, group, forename = os.urandom(16), os.urandom(16), draw.choice(FORENAMES)
            year = draw.randrange(2008, 2020) if link == "E" else draw.randrange(1940, 2000)
            fields = {"name": "Lefèvre", "forename": "Anne", "birth_date": f"{year}-04-07"}
            number = line + len(records)
            keys = {"key_nir_rank": ranked_key(group, 1), "key_nir_forename": identity, "key_contract": os.urandom(16)}
            near = os.urandom(16)
            records.append(
                {
                    "line": number, "kind": "insured", "sender": "clairval", "identity": identity, "group_key": group,
                    "forename_key": forename, "birth_rank": 1, "key_member": None, **keys, "key_near": near,
                    "exposure_set_id": 1, "profession": "", "warnings": "",
                    "sealed": vault.seal("person", identity, fields),
                }
            )  # fmt: skip
            if listed:
                who = os.urandom(16)
                rank = keys["key_nir_rank"] if draw.random() > 0.1 else os.urandom(17)
                full = fields | {"email": "anne.lefevre@orange.fr", "postal": {"lines": ["3 rue"], "postcode": "00000"}}
                contacts.append((
                    2, number, "clairval", who, "member", link, "active", "fr", "2024-01-01", 1, contract,
                    mailbox if link != "C" or draw.random() < 0.5 else None, 1, "orange", forename, None, rank,
                    keys["key_nir_forename"], keys["key_contract"], near, vault.seal("contact", who, full),
                ))  # fmt: skip
    return records, contacts


async def fill(folder: Path, vault: Vault, many: int, known: int) -> None:
    """The tables as two completed files leave them."""
    draw = random.Random(1)
    async with open_database(folder / "campaign.db", vault) as database:
        async with database.read() as connection:
            declared = await staging.declared(connection)
        waiting = staging.Staging(database.path, 1, declared)
        with contextlib.closing(sqlite3.connect(folder / "campaign.db")) as direct:
            exposures = ("viamedis:civil_status viamedis:nir",)
            direct.execute("INSERT INTO exposure_sets (id, canonical) VALUES (1, ?)", exposures)
            for number, kind in ((1, "export"), (2, "directory")):
                direct.execute(
                    "INSERT INTO imports (id, kind, state, sha256, profile, settings_digest, incident, name, "
                    "size_bytes, encoding, as_of, rows_read, records, rejections, persons_new, persons_known) "
                    "VALUES (?, ?, 'complete', ?, 'test', '', '', 'test', 0, '', '', 0, 0, 0, 0, 0)",
                    (number, kind, str(number)),
                )
            direct.commit()
            marks = ", ".join("?" * len(CONTACT))
            for line in range(0, many, PART):
                size = min(PART, many - line)
                records, contacts = people(vault, size, known * size // many, line + 2, draw)
                waiting.add(pl.DataFrame(records, schema_overrides={"key_member": pl.Binary}).select(staging.ROW))
                direct.executemany(f"INSERT INTO contacts ({', '.join(CONTACT)}) VALUES ({marks})", contacts)
                direct.commit()
        waiting.settle()
        waiting.close()
        async with database.absorb() as connection:
            from notifier.storage.exposures import ExposureSets

            await persons.absorb_first(connection, await ExposureSets.load(connection))


async def ours(folder: Path, vault: Vault) -> tuple[Plan, float, float]:
    settings = load(folder, {})
    async with open_database(folder / "campaign.db", vault) as database:
        begun, busy = time.perf_counter(), time.process_time()
        made = await plan(database, vault, settings, wave="initial", kind=WaveKind.INITIAL, now=NOW)
        return made, time.perf_counter() - begun, time.process_time() - busy


def counted(path: Path) -> tuple[int, int]:
    with contextlib.closing(sqlite3.connect(path)) as direct:
        rows = direct.execute("SELECT (SELECT COUNT(*) FROM notifications), (SELECT COUNT(*) FROM deliveries)")
        notifications, deliveries = rows.fetchone()
    return notifications, deliveries


def main() -> None:
    if "--truth" in sys.argv:
        import matching_truth

        sys.exit(matching_truth.main([word for word in sys.argv[1:] if word != "--truth"]))
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    known = int(sys.argv[2]) if len(sys.argv) > 2 else many * 2 // 5
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "campaign.toml").write_bytes((shipped("data") / "campaign" / "sample.toml").read_bytes())
        vault = Vault(Keys.new("benchmark"))
        create_database(folder / "campaign.db", vault, NOW)
        asyncio.run(fill(folder, vault, many, known))
        twin = folder / "twin.db"
        shutil.copy(folder / "campaign.db", twin)
        made, seconds, cpu = asyncio.run(ours(folder, vault))
        assert made.notifications == many, (made.notifications, many)
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"{many:,} persons, {known:,} contacts")
        print(f"plan           {many / seconds:>10,.0f} persons/s   {seconds:.1f} s, CPU {cpu:.1f} s")
        print(f"memory         {own:>10,} MB at most")
        peer = matching_peer.plan(twin, vault, NOW)
        assert (peer.notifications, peer.deliveries) == counted(folder / "campaign.db"), peer
        print(f"peer           {many / peer.seconds:>10,.0f} persons/s   {peer.seconds:.1f} s, CPU {peer.cpu:.1f} s")
        print(f"ratio          {peer.seconds / seconds:>10.2f} by the clock, {peer.cpu / cpu:.2f} by CPU")
        print({route.route: route.notifications for route in made.routes}, made.review)


if __name__ == "__main__":
    main()
