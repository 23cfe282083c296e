"""Notifications made by situation: what decides a route is a handful of facts, and there are some hundreds of different
ones among millions of persons. The database tells which situations there are; each is decided once; the database then
writes a notification, and a delivery where there is a route, for everybody in it.

Only for whom a plan needs no second look: insured, no child (whose age is sealed), under no review, in no approved
notification. Everybody else goes through `notifications.owed_between`.
"""

# ruff: noqa: S608  (the SQL is put together from this module's own words)

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.storage.database import insert_many
from notifier.storage.notifications import EXCLUDED, HOLDERS_EVER, HOLDERS_NOW
from notifier.storage.temporary import fresh

TOKEN = "delivery_token"  # noqa: S105  (the name of a function)


class Situation(NamedTuple):
    """What decides, of one or of many persons. ``number`` stands for it in :func:`write`. ``status``, ``link`` "" and
    ``language`` "": no contact. ``holders``: of the household, where it counts."""

    number: int
    sender: str
    exposure_set: int
    excluded: str
    status: str
    link: str
    language: str
    has_mailbox: bool
    has_postal: bool
    holders: int
    holder_has_mailbox: bool
    holder_has_postal: bool
    letter: str


class Decided(NamedTuple):
    """What becomes of a situation. ``channel`` "" : no delivery; ``to_holder``: of the household, else the contact."""

    number: int
    segment: int
    route: str
    reason: str
    review: str
    excluded: str
    channel: str
    state: str
    to_holder: bool


_FACTS = (
    "sender", "exposure_set_id", "excluded", "status", "link", "language", "has_mailbox", "has_postal", "holders",
    "holder_has_mailbox", "holder_has_postal", "letter",
)  # fmt: skip
_DECIDED = ("number", "segment_id", "route", "reason", "review", "excluded", "channel", "state", "to_holder")
_OWED = (
    "INSERT INTO owed_now (person_id, identity, contact_id, provider, holder_id, holder_provider, "
    f"{', '.join(_FACTS)}) "
    "SELECT p.id, p.identity, c.id, c.provider, h.id, h.provider, p.sender, p.exposure_set_id, "
    f"{EXCLUDED}, COALESCE(c.status, ''), COALESCE(c.link, ''), COALESCE(c.language, ''), c.mailbox IS NOT NULL, "
    "COALESCE(c.has_postal, 0), "
    f"CASE WHEN c.link = 'C' AND h.id IS NOT NULL THEN MIN(2, (SELECT COUNT(*) {HOLDERS_EVER})) ELSE 0 END, "
    "h.mailbox IS NOT NULL, COALESCE(h.has_postal, 0), COALESCE(c.letter, '') "
    "FROM persons p LEFT JOIN contacts c ON c.id = p.contact_id "
    f"LEFT JOIN contacts h ON h.id = CASE WHEN c.link = 'C' THEN (SELECT MIN(+x.id) {HOLDERS_NOW}) END "
    "WHERE p.id > :after AND p.id <= :upto AND p.kind = 'insured' AND COALESCE(c.link, '') <> 'E' "
    "AND NOT EXISTS (SELECT 1 FROM reviews v WHERE v.person_id = p.id) "
    "AND NOT EXISTS (SELECT 1 FROM notifications n WHERE n.wave_id = :wave_id AND n.person_id = p.id)"
)


async def prepare(connection: AsyncConnection, token: Callable[[str, str, bytes], bytes]) -> None:
    """The temporary tables, empty; and the database learns ``token(channel, sender, identity)``, the name of a delivery
    to one person."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    await driver.create_function(TOKEN, 3, token, deterministic=True)
    types = {"exposure_set_id": "INTEGER", "holders": "INTEGER"} | {f: "INTEGER" for f in _FACTS if "has_" in f}
    facts = ", ".join(f"{fact} {types.get(fact, 'TEXT')}" for fact in _FACTS)
    await fresh(
        connection,
        "owed_now",
        "place INTEGER PRIMARY KEY, person_id INTEGER, identity BLOB, contact_id INTEGER, provider TEXT, "
        f"holder_id INTEGER, holder_provider TEXT, {facts}, situation INTEGER",
    )
    await fresh(connection, "situations", f"number INTEGER PRIMARY KEY, {facts}, UNIQUE ({', '.join(_FACTS)})")
    await fresh(
        connection,
        "decided",
        "number INTEGER PRIMARY KEY, segment_id INTEGER, route TEXT, reason TEXT, review TEXT, excluded TEXT, "
        "channel TEXT, state TEXT, to_holder INTEGER",
    )


async def gather(connection: AsyncConnection, wave_id: int, after: int, upto: int) -> list[Situation]:
    """Put the slice's plain cases together; the situations among them that were never met before."""
    await connection.execute(text("DELETE FROM owed_now"))
    await connection.execute(text(_OWED), {"wave_id": wave_id, "after": after, "upto": upto})
    facts = ", ".join(_FACTS)
    await connection.execute(
        text(
            f"INSERT INTO situations ({facts}) SELECT DISTINCT {facts} FROM owed_now WHERE TRUE ON CONFLICT DO NOTHING"
        )
    )
    found = await connection.execute(
        text(f"SELECT number, {facts} FROM situations WHERE number NOT IN (SELECT number FROM decided) ORDER BY number")
    )
    return [Situation(*row) for row in found]


async def decide(connection: AsyncConnection, decided: Sequence[Decided]) -> None:
    """Note what was decided."""
    await insert_many(connection, "decided", _DECIDED, [tuple(each) for each in decided])


async def write(connection: AsyncConnection, wave_id: int, first_delivery: int, now_ms: int) -> int:
    """A notification for everybody gathered, and a delivery where the decision has a channel. Returns how many numbers
    of deliveries were used from ``first_delivery`` on (some of them by nobody)."""
    same = " AND ".join(f"k.{fact} = o.{fact}" for fact in _FACTS)
    await connection.execute(
        text(f"UPDATE owed_now AS o SET situation = (SELECT k.number FROM situations k WHERE {same})")
    )
    await connection.execute(
        text(
            "INSERT INTO deliveries (id, token, wave_id, segment_id, contact_id, channel, state, provider, since_ms, "
            "attempt, retries, doubts, epoch, due_ms) "
            f"SELECT :first + o.place, {TOKEN}(d.channel, o.sender, o.identity), :wave_id, d.segment_id, "
            "CASE WHEN d.to_holder THEN o.holder_id ELSE o.contact_id END, d.channel, d.state, "
            "CASE WHEN d.channel <> 'mail' THEN 'other' WHEN d.to_holder THEN o.holder_provider ELSE o.provider END, "
            ":now, 0, 0, 0, 0, 0 FROM owed_now o CROSS JOIN decided d WHERE d.number = o.situation AND d.channel <> ''"
        ),
        {"first": first_delivery, "wave_id": wave_id, "now": now_ms},
    )
    await connection.execute(
        text(
            "INSERT INTO notifications (wave_id, person_id, segment_id, route, route_reason, review, excluded, "
            "delivery_id) SELECT :wave_id, o.person_id, d.segment_id, d.route, d.reason, d.review, d.excluded, "
            "CASE WHEN d.channel <> '' THEN :first + o.place END "
            "FROM owed_now o CROSS JOIN decided d WHERE d.number = o.situation"
        ),
        {"first": first_delivery, "wave_id": wave_id},
    )
    used = await connection.execute(text("SELECT COALESCE(MAX(place), 0) + 1 FROM owed_now"))
    return int(used.scalar_one())
