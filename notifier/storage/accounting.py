"""The account of invariant I1, counted from rows: who is owed a notice, and under which term each one stands.

Every term is counted, none is what is left over: `owed` comes from persons × wave, the terms from notifications and
their deliveries, and `balances` says whether the two agree. A notification that fits no term (a state nobody foresaw)
counts nowhere, and so the account does not balance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.model import Term, WaveKind
from notifier.storage import rejections as rejected

_OBSERVED = "d.observe_until_ms <= :now_ms AND c.returns_read_ms >= d.observe_until_ms"

# DESIGN 5, I1, row by row; the first that fits counts. Without a delivery the route's reason (people/households.py)
# says why there is none: no contact when it was planned; somebody decided that nobody is told; or no working route.
_TERMS: tuple[tuple[str, str], ...] = (
    ("n.excluded <> ''", "excluded"),
    ("n.review <> ''", "pending"),
    ("d.state IN ('queued', 'sending', 'deferred', 'unmade', 'withdrawn')", "pending"),
    ("d.state = 'in_doubt'", "in_doubt"),
    (f"d.state = 'accepted' AND {_OBSERVED}", "presumed"),
    ("d.state = 'accepted'", "handed_over"),
    ("d.state = 'delivered'", "confirmed"),
    (f"d.state = 'posted' AND {_OBSERVED}", "presumed"),
    ("d.state IN ('to_print', 'printed', 'posted')", "post"),
    ("d.state IN ('refused', 'expired', 'bounced', 'returned')", "unreachable"),
    ("d.id IS NOT NULL", "unknown"),
    ("n.route = 'none' AND n.route_reason = 'unmatched'", "unmatched"),
    ("n.route = 'none' AND n.route_reason = 'decided'", "excluded"),
    ("n.route = 'none'", "unreachable"),
    ("TRUE", "pending"),
)


def _case(values: Iterable[str]) -> str:
    whens = "\n".join(f"    WHEN {when} THEN {value}" for (when, _), value in zip(_TERMS, values, strict=True))
    return f"CASE\n{whens}\nEND"


TERM = _case(f"'{term}'" for _, term in _TERMS)

# The same as the rule's place, for counting: rows are grouped by one small number in half the time of three words.
_PLACE = _case(str(place) for place in range(len(_TERMS)))

NOTIFICATIONS = """FROM notifications n JOIN waves w ON w.id = n.wave_id JOIN persons p ON p.id = n.person_id
    CROSS JOIN campaign c LEFT JOIN deliveries d ON d.id = n.delivery_id"""

# Between two journal entries: a delivery that is being sent, or waits to be sent again after a doubt.
_UNSETTLED = "d.state = 'sending' OR (d.state = 'queued' AND d.doubts > 0)"

# One pass over the notifications. A group is one number: wave, the rule of _TERMS, frozen, unsettled. The person, who
# must be there (a foreign key), is not looked up.
_BY_GROUP = f"""SELECT n.wave_id * 64 + ({_PLACE}) * 4 + (n.batch_id IS NOT NULL) * 2 + COALESCE({_UNSETTLED}, 0) AS k,
    COUNT(*) FROM notifications n CROSS JOIN campaign c LEFT JOIN deliveries d ON d.id = n.delivery_id GROUP BY k"""  # noqa: S608


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
    # A record whose person is gone counts nowhere. There is none (a foreign key): the first pass is along one index.
    found = await connection.execute(
        text(
            "SELECT import_id, COUNT(*) FROM records WHERE id IN (SELECT r.id FROM records r LEFT JOIN persons p "
            "ON p.id = r.person_id WHERE p.id IS NULL) GROUP BY import_id"
        )
    )
    lost: dict[int, int] = dict(found.all())
    found = await connection.execute(
        text(
            "SELECT i.rows_read, i.records, i.rejections, COALESCE(r.there, 0), "
            "(SELECT COUNT(*) FROM rejections x WHERE x.import_id = i.id), i.id FROM imports i "
            "LEFT JOIN (SELECT import_id, COUNT(*) AS there FROM records GROUP BY import_id) r ON r.import_id = i.id "
            "WHERE i.kind = 'export' AND i.state = 'complete'"
        )
    )
    files = [(*row[:3], row[3] - lost.get(row[5], 0), row[4]) for row in found]
    agree = all(
        read == records + rejections and (records, rejections) == (said_records, said_rejections)
        for read, said_records, said_rejections, records, rejections in files
    )
    states = dict.fromkeys(rejected.STATES, 0)
    for each in await rejected.by_file(connection, kind="export"):
        states[each.state] = states.get(each.state, 0) + each.rows
    return Rows(
        read=sum(row[0] for row in files),
        records=sum(row[3] for row in files),
        rejections=sum(row[4] for row in files),
        open_rejections=states[rejected.OPEN],
        agree=agree and not lost,
        states=states,
    )


async def _waves(connection: AsyncConnection, persons: int, now_ms: int) -> tuple[WaveAccount, ...]:
    waves = (await connection.execute(text("SELECT id, name, kind, owed FROM waves ORDER BY id"))).all()
    frozen: dict[int, Counter[str]] = {row.id: Counter() for row in waves}
    not_frozen: dict[int, Counter[str]] = {row.id: Counter() for row in waves}
    unsettled = dict.fromkeys(frozen, 0)
    counted = await connection.execute(text(_BY_GROUP), {"now_ms": now_ms})
    for group, count in counted:
        wave, place, is_frozen, is_between = group >> 6, group >> 2 & 15, group & 2, group & 1
        (frozen if is_frozen else not_frozen)[wave][_TERMS[place][1]] += count
        unsettled[wave] += count if is_frozen and is_between else 0
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
            frozen={term: frozen[row.id][term] for term in Term},
            not_frozen={term: not_frozen[row.id][term] for term in Term},
            deliveries=deliveries[row.id],
            unsettled=unsettled[row.id],
            unknown=frozen[row.id]["unknown"] + not_frozen[row.id]["unknown"],
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
