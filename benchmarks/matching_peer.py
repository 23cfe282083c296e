"""The peer of benchmarks/matching.py: a plan as one would write it first, with the standard library.

Contacts go into a dictionary per rung, holders into one per household; then one person after the other: the first rung
that knows one member decides, the age of a child is read from its sealed fields, and rows are written by executemany,
a few thousand at a time, in one durable transaction, into the same tables with the same indexes and checks. It knows
nothing of reviews, decisions, near-misses, exclusions, names at birth, older rows, professionals or approved batches;
no segment differs but by audience and form.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from notifier.vault import Vault

PART = 5_000
RUNGS = ("key_member", "key_nir_rank", "key_nir_forename", "key_contract")
DELIVERY = (
    "INSERT INTO deliveries (id, token, wave_id, segment_id, contact_id, channel, state, provider, since_ms, attempt, "
    "retries, doubts, epoch, due_ms) VALUES (?, ?, 1, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0)"
)
NOTIFICATION = (
    "INSERT INTO notifications (wave_id, person_id, segment_id, route, route_reason, review, excluded, delivery_id) "
    "VALUES (1, ?, ?, ?, ?, '', '', ?)"
)


class Made(NamedTuple):
    """What was written, and how long it took."""

    notifications: int
    deliveries: int
    seconds: float
    cpu: float


def plan(path: Path, vault: Vault, now: datetime) -> Made:
    """Plan the first wave in the database at ``path``."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "cache_size = -262144"):
            database.execute(f"PRAGMA {pragma}")
        begun, busy = time.perf_counter(), time.process_time()
        database.execute("BEGIN IMMEDIATE")
        notifications, deliveries = Peer(database, vault, now).run()
        database.execute("COMMIT")
        return Made(notifications, deliveries, time.perf_counter() - begun, time.process_time() - busy)


class Peer:
    def __init__(self, database: sqlite3.Connection, vault: Vault, now: datetime) -> None:
        self.database, self.vault, self.today = database, vault, now.date().isoformat()
        self.segments: dict[tuple[str, str], int] = {}
        self.notes: list[tuple[object, ...]] = []
        self.sent: list[tuple[object, ...]] = []
        self.found: list[tuple[object, ...]] = []
        self.delivery = self.written = 0

    def run(self) -> tuple[int, int]:
        self.database.execute("INSERT INTO waves (id, name, kind, created_ms) VALUES (1, 'initial', 'initial', 0)")
        rungs: list[dict[bytes, list[int]]] = [defaultdict(list) for _ in RUNGS]
        contacts: dict[int, tuple[object, ...]] = {}
        holders: dict[bytes, list[int]] = defaultdict(list)
        rows = self.database.execute(
            f"SELECT id, link, mailbox IS NOT NULL, has_postal, provider, household, {', '.join(RUNGS)} FROM contacts "
            "WHERE kind = 'member' AND current"
        )
        for contact, link, mailbox, postal, provider, household, *keys in rows:
            contacts[contact] = (link, mailbox, postal, provider, household)
            if link == "A":
                holders[household].append(contact)
            for rung, key in zip(rungs, keys, strict=True):
                if key is not None:
                    rung[key].append(contact)
        wards: dict[int, list[tuple[int, str]]] = defaultdict(list)
        for person, sender, identity, *keys in self.persons():
            contact = self.match(rungs, keys)
            if contact is None:
                self.note(person, "insured", "none", "unmatched", None)
                continue
            link, mailbox, postal, provider, household = contacts[contact]
            self.found.append((contact, person))
            name = f"{sender}:{identity.hex()}"
            if link == "E" and len(holders[household]) == 1 and self.is_minor(contact):  # type: ignore[index]
                wards[holders[household][0]].append((person, name))  # type: ignore[index]
            elif mailbox:
                self.note(person, "insured", "email", "own_mailbox", self.send("mail", contact, str(provider), [name]))
            elif postal:
                self.note(person, "dependant", "post", "no_mailbox", self.send("post", contact, "other", [name]))
            else:
                self.note(person, "insured", "none", "unreachable", None)
        for holder, children in wards.items():
            number = self.send("mail", holder, str(contacts[holder][3]), sorted(name for _, name in children))
            for person, _ in children:
                self.note(person, "children", "email", "holder_mailbox", number)
        self.flush()
        return self.written, self.delivery

    def persons(self) -> Iterator[tuple[int, str, bytes, bytes | None, bytes | None, bytes | None, bytes | None]]:
        reader = self.database.cursor()
        keys = ", ".join(f"r.{key}" for key in RUNGS)
        yield from reader.execute(
            f"SELECT p.id, p.sender, p.identity, {keys} FROM persons p CROSS JOIN records r WHERE r.person_id = p.id"
        )

    def match(self, rungs: list[dict[bytes, list[int]]], keys: list[bytes | None]) -> int | None:
        for rung, key in zip(rungs, keys, strict=True):
            if key is not None and (members := rung.get(key)):
                return members[0] if len(members) == 1 else None
        return None

    def is_minor(self, contact: int) -> bool:
        row = self.database.execute("SELECT identity, sealed FROM contacts WHERE id = ?", (contact,)).fetchone()
        born: str = json.loads(self.vault.unseal_bytes("contact", *row))["birth_date"]
        return f"{int(born[:4]) + 18}{born[4:]}" > self.today

    def send(self, channel: str, contact: int, provider: str, names: list[str]) -> int:
        self.delivery += 1
        token = self.vault.token("delivery", "initial", channel, "own", *names)
        state = "queued" if channel == "mail" else "to_print"
        segment = self.segment("told", channel)
        self.sent.append((self.delivery, token, segment, contact, channel, state, provider))
        return self.delivery

    def note(self, person: int, audience: str, route: str, reason: str, delivery: int | None) -> None:
        self.notes.append((person, self.segment(audience, route), route, reason, delivery))
        if len(self.notes) >= PART:
            self.flush()

    def segment(self, audience: str, form: str) -> int:
        number = self.segments.get((audience, form))
        if number is None:
            number = self.segments[audience, form] = len(self.segments) + 1
            self.database.execute(
                "INSERT INTO segments (id, wave_id, sender, audience, profession, form, exposure_set_id, language) "
                "VALUES (?, 1, 'clairval', ?, '', ?, 1, 'fr')",
                (number, audience, form),
            )
        return number

    def flush(self) -> None:
        self.database.executemany("UPDATE persons SET contact_id = ?, rung = 'nir_rank' WHERE id = ?", self.found)
        self.database.executemany(DELIVERY, self.sent)
        self.database.executemany(NOTIFICATION, self.notes)
        self.written += len(self.notes)
        for rows in (self.found, self.sent, self.notes):
            rows.clear()
