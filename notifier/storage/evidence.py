"""Queries for the proof pack: approvals and their frozen files, and one notice's own entries."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class FrozenFile:
    """A file as a batch froze it."""

    wave: str
    batch: int
    path: str
    sha256: str
    content: bytes


async def frozen_files(connection: AsyncConnection) -> AsyncIterator[FrozenFile]:
    """Every frozen file of every batch."""
    async with connection.stream(
        text(
            "SELECT w.name, b.number, f.path, f.sha256, f.content FROM batch_files f "
            "JOIN batches b ON b.id = f.batch_id JOIN waves w ON w.id = b.wave_id ORDER BY w.name, b.number, f.path"
        )
    ) as rows:
        async for row in rows:
            yield FrozenFile(*row)


async def returns_read_ms(connection: AsyncConnection) -> int | None:
    """Up to when returned mail was read; None: never."""
    found = await connection.execute(text("SELECT returns_read_ms FROM campaign WHERE id = 1"))
    value = found.scalar_one()
    return None if value is None else int(value)


BY_REFERENCE = "SELECT id, token FROM deliveries WHERE reference = :reference"
UNREFERENCED = "SELECT id, token FROM deliveries WHERE batch_id IS NOT NULL AND reference IS NULL ORDER BY id"


async def with_reference(connection: AsyncConnection, reference: int) -> list[tuple[int, bytes]]:
    """(id, token) of the approved deliveries whose case reference has this number: one, but for chance."""
    return [(row[0], row[1]) for row in await connection.execute(text(BY_REFERENCE), {"reference": reference})]


async def unreferenced_tokens(connection: AsyncConnection) -> AsyncGenerator[tuple[int, bytes]]:
    """(id, token) of approved deliveries whose reference nobody noted: as a rule none."""
    async with connection.stream(text(UNREFERENCED)) as rows:
        async for row in rows:
            yield row[0], row[1]


async def chain(connection: AsyncConnection, delivery_id: int, token: bytes) -> dict[int, bytes]:
    """Id and token of a delivery, of those whose place it took, and of those that took its place: one at a time, and
    more than one of a delivery that was put back into the queue and failed again."""
    linked, first = {delivery_id: token}, delivery_id
    before = text("SELECT e.id, e.token FROM deliveries d JOIN deliveries e ON e.id = d.replaces_id WHERE d.id = :id")
    while (row := (await connection.execute(before, {"id": first})).one_or_none()) is not None:
        first = row[0]
        linked[first] = row[1]
    after = text("SELECT e.id, e.token FROM deliveries e WHERE e.replaces_id = :id ORDER BY e.id")
    front = [first]
    while front:
        rows = (await connection.execute(after, {"id": front.pop()})).all()
        front += [row[0] for row in rows]
        linked |= {row[0]: row[1] for row in rows}
    return linked


async def informed(connection: AsyncConnection, deliveries: Iterable[int]) -> list[tuple[str, bytes]]:
    """(sender, identity) of the persons whose notification hangs on one of the deliveries."""
    found: list[tuple[str, bytes]] = []
    for delivery in deliveries:
        rows = await connection.execute(
            text(
                "SELECT p.sender, p.identity FROM notifications n JOIN persons p ON p.id = n.person_id "
                "WHERE n.delivery_id = :id ORDER BY p.id"
            ),
            {"id": delivery},
        )
        found.extend((row[0], row[1]) for row in rows)
    return found
