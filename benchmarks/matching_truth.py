"""Matching against the truth of a drill: who was led to the wrong member, who was found, who was missed and why.

    python benchmarks/matching.py --truth [INSURED] [--noise 0.01] [--all-cases]         (20,000 and 0.01 unless given)

drill exports → intake → directory → plan, through the functions of the command line. The unit is a row of an export
that means a member of the directory: found = its person was led to that member's row (or the review of it lists that
row); wrong = its person was led to anybody else's. What the truth says of a row is never seen by the matching.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections import Counter
from datetime import date
from pathlib import Path

from sqlalchemy import text

from notifier.app import App, plan_wave, take_directories, take_exports
from notifier.campaign import load, shipped
from notifier.drill import exports as drill
from notifier.drill.exports import make_exports
from notifier.storage.database import create_database, open_database
from notifier.vault import Keys, Vault, write_key_file

NOISE = 0.01
Row = tuple[str, int]  # file, line


async def walk(app: App, files: Path, *, all_cases: bool) -> dict[str, str]:
    """Take everything in, and plan. File's name by SHA-256."""
    names: dict[str, str] = {}

    async def export(name: str, profile: str, replaces: str = "") -> None:
        async for each in take_exports(app, [files / name], profile=profile, incident=None, replaces=replaces):
            names[each.sha256] = name

    async def directory(name: str, day: date, *, is_whole: bool) -> None:
        async for each in take_directories(app, [files / name], profile="directory", as_of=day, is_whole=is_whole):
            names[each.sha256] = name

    await export(drill.VIAMEDIS_INSURED, "viamedis-insured")
    await export(drill.ALMERYS_INSURED, "almerys-insured")
    if all_cases:
        await directory(drill.OLD_DIRECTORY, date(2021, 6, 30), is_whole=False)
    await directory(drill.DIRECTORY, date(2024, 1, 31), is_whole=all_cases)
    if all_cases:
        earlier = next(sha256 for sha256, name in names.items() if name == drill.VIAMEDIS_INSURED)
        await export(drill.CORRECTED, "viamedis-insured", replaces=earlier)
    await plan_wave(app, "initial")
    return names


def said(files: Path) -> tuple[dict[Row, tuple[str, str]], dict[Row, str]]:
    """Of each row of an export: the member it means and its typing error; of each row of a directory: its member."""
    exported: dict[Row, tuple[str, str]] = {}
    listed: dict[Row, str] = {}
    with (files / drill.ROWS).open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            place = (row["file"], row["line"])
            if "person" in row:
                exported[place] = (row["member"], row["noise"])
            else:
                listed[place] = row["member"]
    return exported, listed


async def compare(app: App, names: dict[str, str], files: Path) -> Counter[str]:
    """What became of every row that means a listed member, and of the others."""
    exported, listed = said(files)
    there = set(listed.values())
    async with app.database.read() as connection:
        contacts = {
            number: listed[names[sha256], line]
            for number, sha256, line in await connection.execute(
                text("SELECT c.id, i.sha256, c.line FROM contacts c JOIN imports i ON i.id = c.import_id")
            )
        }
        offered: dict[int, set[str]] = {}
        for person, candidates in await connection.execute(
            text("SELECT person_id, candidates FROM reviews WHERE state = 'open'")
        ):
            offered.setdefault(person, set()).update(contacts[int(one)] for one in candidates.split(",") if one)
        rows = await connection.execute(
            text(
                "SELECT i.sha256, r.line, r.person_id, p.contact_id FROM records r "
                "JOIN persons p ON p.id = r.person_id JOIN imports i ON i.id = r.import_id"
            )
        )
        found: Counter[str] = Counter()
        for sha256, line, person, contact in rows:
            member, noise = exported[names[sha256], line]
            found[_verdict(member, noise, member in there, contacts.get(contact), offered.get(person, set()))] += 1
    return found


def _verdict(member: str, noise: str, is_listed: bool, led_to: str | None, offered: set[str]) -> str:
    if led_to is not None and led_to != member:
        return "wrong"
    if not is_listed:
        return "not listed"
    if led_to == member:
        return "found"
    return "in review" if member in offered else f"missed: {noise or 'no error in the row'}"


async def work(folder: Path, *, insured: int, noise: float, all_cases: bool) -> int:
    files = folder / "drill"
    begun = time.perf_counter()
    report = make_exports(files, insured=insured, professionals=0, seed=1, noise=noise, all_cases=all_cases)
    seconds = time.perf_counter() - begun
    keys = Keys.new("benchmark")
    (folder / "campaign.toml").write_bytes((shipped("data") / "campaign" / "sample.toml").read_bytes())
    write_key_file(folder / "campaign.key", keys)
    vault = Vault(keys)
    from notifier.app import utc_now

    create_database(folder / "campaign.db", vault, utc_now())
    async with open_database(folder / "campaign.db", vault) as database:
        app = App(folder, load(folder, {}), vault, database, "benchmark")
        names = await walk(app, files, all_cases=all_cases)
        found = await compare(app, names, files)
    rows = sum(count for what, count in found.items() if what != "not listed")
    sure, offered = found["found"], found["in review"]
    print(
        f"{insured:,} insured, {sum(report.rows.values()):,} rows ({sum(report.rows.values()) / seconds:,.0f} rows/s)"
    )
    print(f"rows that mean a listed member   {rows:>10,}   ({noise:.1%} with a typing error)")
    print(f"wrong automatic matches          {found['wrong']:>10,}")
    print(f"found automatically              {sure:>10,}   {sure / rows:.2%}")
    print(f"found with review                {sure + offered:>10,}   {(sure + offered) / rows:.2%}")
    for what in sorted(found):
        if what.startswith("missed"):
            print(f"{what:<32} {found[what]:>10,}")
    print(f"rows of nobody in a directory    {found['not listed']:>10,}")
    return 1 if found["wrong"] else 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="matching.py --truth")
    parser.add_argument("insured", nargs="?", type=int, default=20_000)
    parser.add_argument("--noise", type=float, default=NOISE)
    parser.add_argument("--all-cases", action="store_true")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        return asyncio.run(work(Path(name), insured=chosen.insured, noise=chosen.noise, all_cases=chosen.all_cases))
