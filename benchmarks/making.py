"""What a message costs in CPU between its claim and the wire, and from the reply to what is recorded of it: no network,
no transaction.

Over the claims of a campaign that was approved, in their real order (segments alternate), on a copy of its folder: a
window of messages is in memory at a time, as while sending. ``--stages`` tells what each step of making costs by
itself, in a loop that does nothing else: their sum is less than the whole, which finds code and data cold. A
yardstick, always the same work, is measured in between: figures of two versions (PYTHONPATH says which) are compared in
alternating runs and in yardsticks, for a machine's own speed drifts by a third.

Run: python benchmarks/making.py CAMPAIGN [--most 20000] [--rounds 3] [--together 1] [--stages]
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import shutil
import statistics
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from notifier.campaign import Settings, load
from notifier.cli.loop import settle
from notifier.delivery import envelopes, replies
from notifier.delivery.envelopes import Notice, Ready, prepare
from notifier.delivery.outcomes import Phase, classify
from notifier.delivery.record import ended
from notifier.delivery.return_path import return_path
from notifier.delivery.transaction import Envelope, verify
from notifier.delivery.wire import wire
from notifier.model import Contact, PersonalFields, from_ms, to_ms
from notifier.notices.approval import NoticeShelf
from notifier.storage import deliveries
from notifier.storage.cycle import open_cycle
from notifier.storage.database import open_database, sqlite_path
from notifier.storage.deliveries import Claim
from notifier.vault import Vault, read_keys

AT = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
PAGE = 500
WINDOW = 80  # messages on their way
TURN = 20  # timed together: what reading the clock costs does not count then

Work = tuple[Claim, Notice]
One = TypeVar("One")


async def claims(folder: Path, settings: Settings, vault: Vault, most: int) -> list[Work]:
    """The claims of a campaign, each with its notice, as a dry run walks over them."""
    path, now_ms = sqlite_path(settings.database, folder), to_ms(AT)
    found: list[Work] = []
    async with open_database(path, vault) as database, open_cycle(path) as cycle:
        shelf, after = NoticeShelf(database), 0
        while len(found) < most:
            ids = await cycle.read(partial(deliveries.approved_after, after=after, most=PAGE, wave_id=None))
            if not ids:
                break
            after = ids[-1]
            for row in await cycle.read(partial(deliveries.fetch, ids=ids)):
                # What is claimed together begins at one instant.
                held = row.at(now_ms + len(found) // TURN)
                found.append((held, await shelf(row.batch_id, row.segment_id)))
    return found[:most]


def yardstick() -> None:
    """About what a message needs: small objects, a few patterns, and a hash."""
    for _ in range(4):
        json.loads(json.dumps(_OBJECT))
        _WORDS.sub(b"_", _TEXT)
    hashlib.sha256(_BLOCK).hexdigest()


_OBJECT = {"name": "Exemple", "forename": "Camille", "lines": ["1 rue de l'Exemple", "75000 Paris"]}
_WORDS, _TEXT, _BLOCK = re.compile(rb"[^a-z]"), b"une phrase d'exemple, sans rien de personnel", bytes(26_000)


def making(
    work: list[Work], vault: Vault, settings: Settings, listed: frozenset[str], together: int
) -> tuple[float, ...]:
    """Microseconds of CPU for a message: to make it, and to end it; and for a yardstick."""
    rules = replies.load_rules(Path("no campaign here"))
    made: deque[tuple[Claim, Ready]] = deque()
    numbers, clock = count(), time.thread_time
    preparing = ending = measuring = 0.0

    def prepared(turn: list[Work]) -> list[Ready]:
        if together == 1:
            return [prepare(held, vault, settings.sender(held.sender), notice, listed) for held, notice in turn]
        found: list[Ready] = []
        for start in range(0, len(turn), together):
            some = turn[start : start + together]
            orders = [envelopes.Order(held, settings.sender(held.sender), notice) for held, notice in some]
            found += [one for one in envelopes.prepare_all(orders, vault, listed) if isinstance(one, Ready)]
        return found

    for start in range(0, len(work), TURN):
        turn = work[start : start + TURN]
        begun = clock()
        for held, ready in zip([held for held, _ in turn], prepared(turn), strict=True):
            made.append((held, ready))
        preparing += clock() - begun
        begun = clock()
        yardstick()
        measuring += clock() - begun
        told = [
            classify(Phase.FINAL, 250, f"2.0.0 Ok: queued as {next(numbers) * 7919:011X}", rules=rules) for _ in turn
        ]
        if len(made) > WINDOW:
            begun = clock()
            for outcome in told:
                held, ready = made.popleft()
                ended(held, outcome, at=AT, vault=vault, forbidden=ready.forbidden, notice_sha256=ready.notice_sha256)
            ending += clock() - begun
    return preparing / len(work) * 1e6, ending / (len(work) - WINDOW) * 1e6, measuring / (len(work) / TURN) * 1e6


def stages(work: list[Work], vault: Vault, settings: Settings, listed: frozenset[str]) -> dict[str, float]:
    """Microseconds of CPU for a message of each step, by itself."""
    work = [(held, notice) for held, notice in work if held.form == "own" and not held.informed][:2000]
    told: dict[str, float] = {}

    def timed(name: str, step: Callable[[int], One]) -> list[One]:
        begun = time.thread_time()
        found = [step(place) for place in range(len(work))]
        told[name] = (time.thread_time() - begun) / len(work) * 1e6
        return found

    held = [claim for claim, _ in work]
    contacts = timed("unseal", lambda n: Contact.of(vault.unseal("contact", held[n].identity, held[n].sealed)))
    timed("values", lambda n: replies.values([contacts[n]], listed))
    references = timed("reference", lambda n: vault.reference(held[n].token.hex()))
    domain = settings.sender(held[0].sender).from_domain
    timed("return_path", lambda n: return_path(vault, held[n].token, domain))
    parts = timed(
        "parts",
        lambda n: work[n][1].parts(
            PersonalFields(contacts[n], references[n]),
            to=contacts[n].email, message_id=f"<{held[n].token.hex()}@{domain}>", date=from_ms(held[n].started_ms),
        ),
    )  # fmt: skip
    messages = timed("join", lambda n: b"".join(parts[n]))
    addressed = timed(
        "envelope",
        lambda n: Envelope("b@b.example", contacts[n].email, contacts[n].email, messages[n], held[n].token.hex()),
    )
    timed("verify", lambda n: verify(addressed[n], contacts[n].email))
    timed("wire", lambda n: wire(addressed[n], parts[n]))
    timed("hash", lambda n: vault.blinded_sha256("notice", held[n].token, held[n].attempt, messages[n]))
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign", type=Path)
    parser.add_argument("--most", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--together", type=int, default=1, help="messages that are made step by step together")
    parser.add_argument("--stages", action="store_true")
    order = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = shutil.copytree(order.campaign, Path(name) / "campaign")
        settings = load(folder)
        vault = Vault(read_keys(folder / settings.key.path))
        work = asyncio.run(claims(folder, settings, vault, order.most))
    listed = replies.listed_domains(replies.load_rules(Path("no campaign here")))
    settle()
    rounds = [making(work, vault, settings, listed, order.together) for _ in range(order.rounds)]
    made, end, stick = (statistics.median(figures) for figures in zip(*rounds, strict=True))
    in_sticks = [statistics.median(each[place] / each[2] for each in rounds) for place in (0, 1)]
    print(
        f"{len(work):,} messages, CPU for one: make {made:.1f} µs, end {end:.1f} µs; in yardsticks of {stick:.1f} µs: "
        f"make {in_sticks[0]:.3f}, end {in_sticks[1]:.3f}"
    )
    if order.stages:
        for step, cost in stages(work, vault, settings, listed).items():
            print(f"  {step:12} {cost:6.1f}")


if __name__ == "__main__":
    main()
