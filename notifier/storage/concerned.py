"""Whom a round after the first concerns, and of what its notice tells: the temporary table ``concerned``.

Told is what a notification said whose delivery was begun: accepted, in doubt, posted, or on its way with an attempt
made. What was approved and not begun is told to nobody yet; the next plan of its own wave widens it. Set-based: a
campaign has some tens of exposure sets, so every union and difference is made once per pair of them.
"""

# ruff: noqa: S608  (the SQL is put together from this module's own words)

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.model import Exposure, WaveKind
from notifier.storage.database import insert_many
from notifier.storage.exposures import ExposureSets
from notifier.storage.temporary import fresh
from notifier.storage.waves import WaveRow, waves

_COLUMNS = "person_id INTEGER PRIMARY KEY, exposure_set_id INTEGER NOT NULL"

# The same guard as in `notifications`: what it takes back is what is not begun.
_BEGUN = (
    "(d.state IN ('sending', 'accepted', 'in_doubt', 'delivered', 'printed', 'posted') "
    "OR (d.state IN ('queued', 'deferred', 'unmade') AND d.attempt > 0) "
    "OR (d.state = 'to_print' AND d.replaces_id IS NOT NULL))"
)
_TOLD = (
    "FROM notifications n JOIN segments s ON s.id = n.segment_id JOIN deliveries d ON d.id = n.delivery_id "
    f"WHERE n.wave_id = :wave_id AND {_BEGUN}"
)
# What a notice said, or nothing, if a rectification approved later took it back (the table ``retracted``).
_STILL_SAID = (
    "CASE WHEN n.batch_id < (SELECT r.batch_id FROM retracted r WHERE r.person_id = n.person_id) "
    "THEN :nothing ELSE s.exposure_set_id END"
)
_OWED = "FROM notifications n JOIN segments s ON s.id = n.segment_id WHERE n.wave_id = :wave_id"

# Whom no record speaks of any more because the operator said so; who turned out to be somebody else is in that person.
_WITHDRAWN = (
    "(p.excluded = 'operator' OR (p.excluded = '' AND p.identity_review = '' "
    "AND NOT EXISTS (SELECT 1 FROM records r WHERE r.person_id = p.id)))"
)

_SAYS_NEWS = frozenset({WaveKind.INITIAL, WaveKind.SUPPLEMENT})


@dataclass(frozen=True, slots=True)
class Traits:
    """What ``--who`` asks for; empty = nothing. ``told_in``: (batch, segment) of the notices that are meant."""

    segment: int | None = None
    incident: str = ""
    audience: str = ""
    sender: str = ""
    wave: str = ""
    told_in: Sequence[tuple[int, int]] | None = None

    @property
    def of_a_notice(self) -> bool:
        return bool(self.segment is not None or self.audience or self.wave or self.told_in is not None)


async def _run(connection: AsyncConnection, sql: str, **parameters: object) -> int:
    return (await connection.execute(text(sql), parameters)).rowcount


async def prepare(connection: AsyncConnection) -> None:
    """The table, empty: of the first round, which concerns everybody."""
    await fresh(connection, "concerned", _COLUMNS)


async def newly_exposed(connection: AsyncConnection, wave: WaveRow, sets: ExposureSets) -> None:
    """A supplement: persons told before whose exposures exceed what they were told, with what is new alone. What
    another supplement owes them already is not owed twice."""
    await prepare(connection)
    await _gather_told(connection, wave.id, sets)
    await _gather_owed_supplements(connection, wave.id, sets)
    await _exceeding(connection, sets)
    await _run(
        connection,
        "INSERT INTO concerned (person_id, exposure_set_id) SELECT t.person_id, x.result FROM told t "
        f"JOIN persons p ON p.id = t.person_id {_PAIRED} WHERE NOT {_WITHDRAWN}",
    )


async def withdrawn(connection: AsyncConnection, wave: WaveRow, sets: ExposureSets) -> None:
    """A rectification: persons told before whom the operator withdrew, with what they had been told."""
    await prepare(connection)
    await _gather_told(connection, wave.id, sets)
    nothing = await sets.intern(())
    await _run(
        connection,
        "INSERT INTO concerned (person_id, exposure_set_id) SELECT t.person_id, t.exposure_set_id FROM told t "
        f"JOIN persons p ON p.id = t.person_id WHERE t.exposure_set_id <> :nothing AND {_WITHDRAWN} "
        # What another rectification owes already, and did not fail to say, is not owed twice.
        "AND NOT EXISTS (SELECT 1 FROM waves w CROSS JOIN notifications n "
        "LEFT JOIN deliveries d ON d.id = n.delivery_id "
        "WHERE w.kind = 'rectification' AND w.id <> :wave_id AND n.wave_id = w.id AND n.person_id = p.id "
        f"AND (d.id IS NULL OR (NOT {_BEGUN} AND d.state NOT IN ('refused', 'expired', 'bounced', 'returned'))))",
        nothing=nothing,
        wave_id=wave.id,
    )


async def told(connection: AsyncConnection, wave: WaveRow, sets: ExposureSets, traits: Traits) -> None:
    """A correction or a follow-up: persons who got a notice of these traits, with what it told them."""
    await prepare(connection)
    await _gather_told(connection, wave.id, sets, traits)
    await _choose(connection, sets, "told t JOIN persons p ON p.id = t.person_id", "t.exposure_set_id", traits)


async def exposed(connection: AsyncConnection, wave: WaveRow, sets: ExposureSets, traits: Traits) -> None:
    """A precaution: persons of these traits, told or not, with all their exposures. Traits of a notice ask for a
    notification that is owed, however far it has come."""
    await prepare(connection)
    source = "persons p"
    if traits.of_a_notice:
        await _gather_told(connection, wave.id, sets, traits, base=_OWED)
        source = "told t JOIN persons p ON p.id = t.person_id"
    await _choose(connection, sets, source, "p.exposure_set_id", traits)


async def owed(connection: AsyncConnection, wave_id: int) -> int:
    """How many persons the round concerns: those found now, and those approved for it before."""
    found = await connection.execute(
        text(
            "SELECT (SELECT COUNT(*) FROM concerned) + (SELECT COUNT(*) FROM notifications n "
            "WHERE n.wave_id = :wave_id AND n.batch_id IS NOT NULL "
            "AND n.person_id NOT IN (SELECT person_id FROM concerned))"
        ),
        {"wave_id": wave_id},
    )
    return int(found.scalar_one())


async def supplement_due(connection: AsyncConnection, sets: ExposureSets) -> int:
    """How many persons know more of them than they were told, and than a supplement owes them."""
    approved = await connection.execute(text("SELECT 1 FROM batches LIMIT 1"))
    if approved.one_or_none() is None:
        return 0
    every = await waves(connection)
    if all(wave.kind != WaveKind.RECTIFICATION for wave in every) and not await _any_outgrown(connection, sets):
        return 0
    await _gather_told(connection, 0, sets)
    await _gather_owed_supplements(connection, 0, sets)
    await _exceeding(connection, sets)
    found = await connection.execute(
        text(f"SELECT COUNT(*) FROM told t JOIN persons p ON p.id = t.person_id {_PAIRED} WHERE NOT {_WITHDRAWN}")
    )
    return int(found.scalar_one())


async def _any_outgrown(connection: AsyncConnection, sets: ExposureSets) -> bool:
    """Whether anybody's exposures exceed one of its first notices: one pass, where almost nobody's do."""
    pairs = await connection.execute(
        text(
            "SELECT DISTINCT p.exposure_set_id, s.exposure_set_id FROM notifications n "
            "JOIN persons p ON p.id = n.person_id JOIN segments s ON s.id = n.segment_id "
            "JOIN waves w ON w.id = n.wave_id WHERE w.kind = 'initial' AND n.batch_id IS NOT NULL "
            "AND n.delivery_id IS NOT NULL AND p.exposure_set_id <> s.exposure_set_id"
        )
    )
    return any(not sets.holds(segment, person) for person, segment in pairs)


# -- what was told ---------------------------------------------------------------------------------------------------


async def _gather_told(
    connection: AsyncConnection, but: int, sets: ExposureSets, traits: Traits | None = None, *, base: str = _TOLD
) -> None:
    """The temporary table ``told``: persons and the union of what the rounds other than ``but`` told them. Without
    traits: what informed them of exposures, and nothing of what a later rectification took back."""
    await fresh(connection, "told", _COLUMNS)
    nothing = await _gather_retracted(connection, but, sets)
    where, parameters = await _of_traits(connection, traits or Traits())
    for wave in await waves(connection):
        if wave.id == but or wave.kind == WaveKind.RECTIFICATION or (traits is None and wave.kind not in _SAYS_NEWS):
            continue
        if traits is not None and traits.wave not in ("", wave.name):
            continue
        await fresh(connection, "told_now", _COLUMNS)
        await _run(
            connection,
            f"INSERT INTO told_now SELECT n.person_id, {_STILL_SAID} {base}{where}",
            wave_id=wave.id, nothing=nothing, **parameters,
        )  # fmt: skip
        await _add_told_now(connection, sets)
        await _run(
            connection,
            "INSERT INTO told SELECT person_id, exposure_set_id FROM told_now "
            "WHERE person_id NOT IN (SELECT person_id FROM told)",
        )


async def _gather_retracted(connection: AsyncConnection, but: int, sets: ExposureSets) -> int:
    """The temporary table ``retracted``: whom a begun rectification other than ``but`` told that it was wrong, and the
    last batch that did. Returns the empty exposure set. Waves are planned again: their order says nothing, that of
    the batches does."""
    await fresh(connection, "retracted", "person_id INTEGER PRIMARY KEY, batch_id INTEGER NOT NULL")
    for wave in await waves(connection):
        if wave.id != but and wave.kind == WaveKind.RECTIFICATION:
            await _run(
                connection,
                f"INSERT INTO retracted SELECT n.person_id, n.batch_id {_TOLD} AND n.batch_id IS NOT NULL "
                "ON CONFLICT (person_id) DO UPDATE SET batch_id = MAX(batch_id, excluded.batch_id)",
                wave_id=wave.id,
            )
    return await sets.intern(())


async def _of_traits(connection: AsyncConnection, traits: Traits) -> tuple[str, dict[str, object]]:
    where, parameters = "", dict[str, object]()
    if traits.segment is not None:
        where, parameters["segment"] = where + " AND n.segment_id = :segment", traits.segment
    if traits.audience:
        where, parameters["audience"] = where + " AND s.audience = :audience", traits.audience
    if traits.told_in is not None:
        await fresh(connection, "told_in", "batch_id INTEGER, segment_id INTEGER, PRIMARY KEY (batch_id, segment_id)")
        await insert_many(connection, "told_in", ("batch_id", "segment_id"), list(traits.told_in))
        where += " AND EXISTS (SELECT 1 FROM told_in i WHERE i.batch_id = n.batch_id AND i.segment_id = n.segment_id)"
    return where, parameters


async def _gather_owed_supplements(connection: AsyncConnection, but: int, sets: ExposureSets) -> None:
    """Add to ``told`` what other supplements owe those who are in it, sent or not."""
    nothing = await sets.intern(())
    for wave in await waves(connection):
        if wave.id != but and wave.kind == WaveKind.SUPPLEMENT:
            await fresh(connection, "told_now", _COLUMNS)
            await _run(
                connection,
                f"INSERT INTO told_now SELECT n.person_id, {_STILL_SAID} {_OWED} "
                "AND n.person_id IN (SELECT person_id FROM told)",
                wave_id=wave.id,
                nothing=nothing,
            )
            await _add_told_now(connection, sets)


async def _add_told_now(connection: AsyncConnection, sets: ExposureSets) -> None:
    """Unite ``told`` with ``told_now``, for those who are in both."""
    pairs = await connection.execute(
        text(
            "SELECT DISTINCT t.exposure_set_id, x.exposure_set_id FROM told_now x "
            "JOIN told t ON t.person_id = x.person_id WHERE t.exposure_set_id <> x.exposure_set_id"
        )
    )
    united = [(one, other, await sets.union((one, other))) for one, other in pairs.all()]
    await _write_pairs(connection, united)
    await _run(
        connection,
        "UPDATE told SET exposure_set_id = (SELECT q.result FROM told_now x JOIN pairs q "
        "ON q.one = told.exposure_set_id AND q.other = x.exposure_set_id WHERE x.person_id = told.person_id) "
        "WHERE EXISTS (SELECT 1 FROM told_now x JOIN pairs q "
        "ON q.one = told.exposure_set_id AND q.other = x.exposure_set_id WHERE x.person_id = told.person_id)",
    )


# -- differences and choices -----------------------------------------------------------------------------------------

_PAIRED = "JOIN pairs x ON x.one = p.exposure_set_id AND x.other = t.exposure_set_id"


async def _write_pairs(connection: AsyncConnection, rows: list[tuple[int, int, int]]) -> None:
    await fresh(connection, "pairs", "one INTEGER, other INTEGER, result INTEGER, PRIMARY KEY (one, other)")
    await insert_many(connection, "pairs", ("one", "other", "result"), rows)


async def _exceeding(connection: AsyncConnection, sets: ExposureSets) -> None:
    """The table ``pairs``: (a person's set, a told set) → what the first has more, where it has more."""
    found = await connection.execute(
        text(
            "SELECT DISTINCT p.exposure_set_id, t.exposure_set_id FROM told t JOIN persons p ON p.id = t.person_id "
            "WHERE p.exposure_set_id <> t.exposure_set_id"
        )
    )
    exceeding = [(own, said) for own, said in found.all() if not sets.holds(said, own)]
    await _write_pairs(connection, [(own, said, await sets.intern(sets[own] - sets[said])) for own, said in exceeding])


async def _choose(connection: AsyncConnection, sets: ExposureSets, source: str, exposures: str, traits: Traits) -> None:
    """Write ``concerned`` from a source of persons ``p``, restricted to the incident that is asked for."""
    found = await connection.execute(text(f"SELECT DISTINCT {exposures} FROM {source}"))
    of_incident = _restricted(traits.incident)
    kept = [(number, frozenset(of_incident(sets[number]))) for number in found.scalars().all()]
    await _write_pairs(connection, [(number, 0, await sets.intern(some)) for number, some in kept if some])
    await _run(
        connection,
        f"INSERT INTO concerned (person_id, exposure_set_id) SELECT p.id, x.result FROM {source} "
        f"JOIN pairs x ON x.one = {exposures} WHERE (:sender = '' OR p.sender = :sender)",
        sender=traits.sender,
    )


def _restricted(incident: str) -> Callable[[Iterable[Exposure]], Iterable[Exposure]]:
    return lambda exposures: (each for each in exposures if incident in ("", each.incident))
