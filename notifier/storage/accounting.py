"""The account of invariant I1, counted from rows: who is owed a notice, and under which term each one stands.

Every term is counted, none is what is left over: `owed` comes from persons × wave, the terms from notifications and
their deliveries, and `balances` says whether the two agree. A notification that fits no term (a state nobody foresaw)
counts nowhere, and so the account does not balance.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.model import Term, WaveKind
from notifier.storage import rejections as rejected

_OBSERVED = "d.observe_until_ms <= :now_ms AND c.returns_read_ms >= d.observe_until_ms"

# DESIGN 5, I1, row by row; the first that fits counts. Without a delivery the route's reason (people/households.py)
# says why there is none: no contact when it was planned; somebody decided that nobody is told; or no working route.
TERM = f"""CASE
    WHEN n.excluded <> '' THEN 'excluded'
    WHEN n.review <> '' THEN 'pending'
    WHEN d.state IN ('queued', 'sending', 'deferred', 'unmade', 'withdrawn') THEN 'pending'
    WHEN d.state = 'in_doubt' THEN 'in_doubt'
    WHEN d.state = 'accepted' AND {_OBSERVED} THEN 'presumed'
    WHEN d.state = 'accepted' THEN 'handed_over'
    WHEN d.state = 'delivered' THEN 'confirmed'
    WHEN d.state = 'posted' AND {_OBSERVED} THEN 'presumed'
    WHEN d.state IN ('to_print', 'printed', 'posted') THEN 'post'
    WHEN d.state IN ('refused', 'expired', 'bounced', 'returned') THEN 'unreachable'
    WHEN d.id IS NOT NULL THEN 'unknown'
    WHEN n.route = 'none' AND n.route_reason = 'unmatched' THEN 'unmatched'
    WHEN n.route = 'none' AND n.route_reason = 'decided' THEN 'excluded'
    WHEN n.route = 'none' THEN 'unreachable'
    ELSE 'pending'
END"""

NOTIFICATIONS = """FROM notifications n JOIN waves w ON w.id = n.wave_id JOIN persons p ON p.id = n.person_id
    CROSS JOIN campaign c LEFT JOIN deliveries d ON d.id = n.delivery_id"""

# Between two journal entries: a delivery that is being sent, or waits to be sent again after a doubt.
_UNSETTLED = "d.state = 'sending' OR (d.state = 'queued' AND d.doubts > 0)"


@dataclass(frozen=True, slots=True)
class Rows:
    """Completed exports, summed up. ``records``, ``rejections``: counted from their rows; ``states``: the rejections by
    state; ``agree``: every file's own figures say the same, and every record has its person."""

    read: int
    records: int
    rejections: int
    open_rejections: int
    agree: bool
    states: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WaveAccount:
    """One wave. ``owed``: persons whom it concerns; ``frozen``: notifications that an approval froze, by term;
    ``not_frozen``: the others; ``unsettled``: frozen ones whose delivery stands between two journal entries;
    ``resend``: deliveries in doubt that `send` sends once more by itself."""

    name: str
    kind: str
    owed: int
    frozen: Mapping[Term, int]
    not_frozen: Mapping[Term, int]
    deliveries: Mapping[str, int]
    unsettled: int
    unknown: int
    resend: int = 0

    @property
    def terms(self) -> dict[Term, int]:
        """All notifications, by term."""
        return {term: self.frozen[term] + self.not_frozen[term] for term in Term}

    @property
    def balances(self) -> bool:
        """Whether what is owed is the sum of the terms."""
        return self.owed == sum(self.terms.values()) and not self.unknown


@dataclass(frozen=True, slots=True)
class Account:
    """The whole campaign's account."""

    persons: int
    rows: Rows
    open_reviews: int
    waves: tuple[WaveAccount, ...] = field(default=())

    @property
    def balances(self) -> bool:
        """Rows read = records + rejections in every file, every record has one person, every wave adds up."""
        return self.rows.agree and all(wave.balances for wave in self.waves)

    def as_json(self, campaign: str) -> dict[str, Any]:
        """`status --json` (DESIGN 11)."""
        return {
            "campaign": campaign,
            "persons": self.persons,
            "rows": {
                "read": self.rows.read,
                "records": self.rows.records,
                "rejections": self.rows.rejections,
                "open_rejections": self.rows.open_rejections,
            },
            "waves": {
                wave.name: {
                    "notifications": {"owed": wave.owed, **{term.value: wave.terms[term] for term in Term}},
                    "deliveries": dict(wave.deliveries),
                }
                for wave in self.waves
            },
            "balances": self.balances,
        }


async def account(connection: AsyncConnection, *, now_ms: int) -> Account:
    """Count everything, in the caller's transaction (one snapshot). Reads every notification once."""
    persons = (await connection.execute(text("SELECT COUNT(*) FROM persons"))).scalar_one()
    reviews = (await connection.execute(text("SELECT COUNT(*) FROM reviews WHERE state = 'open'"))).scalar_one()
    return Account(persons, await _rows(connection), reviews, await _waves(connection, persons, now_ms))


async def _rows(connection: AsyncConnection) -> Rows:
    found = await connection.execute(
        text(
            "SELECT i.rows_read, i.records, i.rejections, "
            "(SELECT COUNT(*) FROM records r JOIN persons p ON p.id = r.person_id WHERE r.import_id = i.id), "
            "(SELECT COUNT(*) FROM rejections x WHERE x.import_id = i.id) "
            "FROM imports i WHERE i.kind = 'export' AND i.state = 'complete'"
        )
    )
    files = found.all()
    agree = all(
        read == records + rejections and (records, rejections) == (said_records, said_rejections)
        for read, said_records, said_rejections, records, rejections in files
    )
    states = dict.fromkeys(rejected.STATES, 0)
    for each in await rejected.by_file(connection, kind="export"):
        states[each.state] = states.get(each.state, 0) + each.rows
    lost = await connection.execute(
        text("SELECT COUNT(*) FROM records r WHERE NOT EXISTS (SELECT 1 FROM persons p WHERE p.id = r.person_id)")
    )
    return Rows(
        read=sum(row[0] for row in files),
        records=sum(row[3] for row in files),
        rejections=sum(row[4] for row in files),
        open_rejections=states[rejected.OPEN],
        agree=agree and not lost.scalar_one(),
        states=states,
    )


async def _waves(connection: AsyncConnection, persons: int, now_ms: int) -> tuple[WaveAccount, ...]:
    waves = (await connection.execute(text("SELECT id, name, kind, owed FROM waves ORDER BY id"))).all()
    frozen: dict[int, dict[str, int]] = {row.id: {} for row in waves}
    not_frozen: dict[int, dict[str, int]] = {row.id: {} for row in waves}
    unsettled = dict.fromkeys(frozen, 0)
    counted = await connection.execute(
        text(
            f"SELECT n.wave_id, {TERM} AS term, n.batch_id IS NOT NULL AS is_frozen, COUNT(*), "
            f"SUM(CASE WHEN {_UNSETTLED} THEN 1 ELSE 0 END) "
            f"{NOTIFICATIONS} GROUP BY 1, 2, 3"
        ),
        {"now_ms": now_ms},
    )
    for wave, term, is_frozen, count, between in counted:
        (frozen if is_frozen else not_frozen)[wave][term] = count
        unsettled[wave] += between if is_frozen else 0
    deliveries: dict[int, dict[str, int]] = {row.id: {} for row in waves}
    states = await connection.execute(
        text("SELECT wave_id, state, COUNT(*) FROM deliveries GROUP BY wave_id, state ORDER BY wave_id, state")
    )
    for wave, state, count in states:
        deliveries[wave][state] = count
    again = await connection.execute(
        text("SELECT wave_id, COUNT(*) FROM deliveries WHERE state = 'in_doubt' AND due_ms > 0 GROUP BY wave_id")
    )
    resend: dict[int, int] = dict(again.all())
    return tuple(
        WaveAccount(
            name=row.name,
            kind=row.kind,
            # The first round concerns everybody; a later one those whom its plan found by what had been told.
            owed=persons if row.kind == WaveKind.INITIAL else row.owed or 0,
            frozen={term: frozen[row.id].get(term, 0) for term in Term},
            not_frozen={term: not_frozen[row.id].get(term, 0) for term in Term},
            deliveries=deliveries[row.id],
            unsettled=unsettled[row.id],
            unknown=frozen[row.id].get("unknown", 0) + not_frozen[row.id].get("unknown", 0),
            resend=resend.get(row.id, 0),
        )
        for row in waves
    )


def _together(*counts: Mapping[str, int]) -> int:
    return sum(sum(count.values()) for count in counts)


async def listing(connection: AsyncConnection, term: Term, now_ms: int) -> AsyncIterator[tuple[str, str, bytes, str]]:
    """(wave, sender, identity, reason) of every notification that counts under ``term``: who it is, as what the vault
    makes a pseudonym of, and why it stands there (exclusion, review, the delivery's state, or the route's reason)."""
    async with connection.stream(
        text(
            "SELECT w.name, p.sender, p.identity, CASE WHEN n.excluded <> '' THEN n.excluded "
            "WHEN n.review <> '' THEN n.review WHEN d.id IS NOT NULL THEN d.state ELSE n.route_reason END "
            f"{NOTIFICATIONS} WHERE {TERM} = :term ORDER BY n.wave_id, n.id"
        ),
        {"term": term.value, "now_ms": now_ms},
    ) as rows:
        async for row in rows:
            yield row[0], row[1], row[2], row[3]
