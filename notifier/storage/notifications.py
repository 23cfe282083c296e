"""Queries on notifications and on deliveries while they are planned: what is cleared, read, and written by a plan.

What was approved (``batch_id``) is touched by :func:`withdraw_outgrown` and :func:`delete_approved` alone.
"""

# ruff: noqa: S608  (the SQL is put together from this module's own words)

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.storage.contacts import NOW
from notifier.storage.database import insert_many
from notifier.storage.dead_ends import mail_lives, post_lives
from notifier.storage.exposures import ExposureSets
from notifier.storage.temporary import PART, fresh

TOKENS_AT_ONCE = 5_000

# An e-mail that has told nobody: it waits, or could not be made, and each of its attempts, if there were any, was
# answered with no. And none whose answer was lost went before it (RFC 1047). What is being sent may tell any moment.
MAIL_TOLD_NOBODY = "(channel = 'mail' AND doubts = 0 AND state IN ('queued', 'deferred', 'unmade'))"
NONE_BEFORE_IT = "NOT EXISTS (SELECT 1 FROM deliveries o WHERE o.id = deliveries.replaces_id AND o.doubts > 0)"


async def _run(connection: AsyncConnection, sql: str, **parameters: object) -> int:
    return (await connection.execute(text(sql), parameters)).rowcount


# -- what an earlier plan left ---------------------------------------------------------------------------------------

_APPROVED = (
    "FROM notifications n JOIN persons p ON p.id = n.person_id JOIN segments s ON s.id = n.segment_id "
    "{join} WHERE n.wave_id = :wave_id AND n.batch_id IS NOT NULL AND n.delivery_id IS NOT NULL "
    "AND {owed}.exposure_set_id <> s.exposure_set_id"
)


async def withdraw_outgrown(
    connection: AsyncConnection, wave_id: int, sets: ExposureSets, now_ms: int, *, chosen: bool = False
) -> list[tuple[str, bytes]]:
    """Take back approved deliveries that nobody has begun and whose persons' exposures outgrew what was approved.
    ``chosen``: a round that tells what the table ``concerned`` says, not all that is known of a person.

    Returns (sender, identity) of every person whose notification is free again. The guard (state, attempt 0) is in the
    UPDATE: a sender that marks at the same time wins or loses as a whole.
    """
    owed, join = ("k", "JOIN concerned k ON k.person_id = p.id ") if chosen else ("p", "")
    await fresh(connection, "outgrown", "person_set INTEGER, segment_set INTEGER")
    await fresh(connection, "outgrown_deliveries", "delivery_id INTEGER PRIMARY KEY")
    pairs = await connection.execute(
        text(f"SELECT DISTINCT {owed}.exposure_set_id, s.exposure_set_id " + _APPROVED.format(join=join, owed=owed)),
        {"wave_id": wave_id},
    )
    outgrown = [(person, segment) for person, segment in pairs if not sets.holds(segment, person)]
    if not outgrown:
        return []
    await insert_many(connection, "outgrown", ("person_set", "segment_set"), outgrown)
    grown = _APPROVED.format(
        join=f"{join}JOIN outgrown o ON o.person_set = {owed}.exposure_set_id AND o.segment_set = s.exposure_set_id",
        owed=owed,
    )
    await _run(
        connection,
        "INSERT INTO outgrown_deliveries (delivery_id) SELECT DISTINCT n.delivery_id " + grown,
        wave_id=wave_id,
    )
    # What was tried stays on its schedule: it tells nothing untrue, and a supplement tells the rest (concerned.py).
    return await take_back(connection, "outgrown_deliveries", wave_id, now_ms, tried=False)


async def withdraw_of_the_dead(connection: AsyncConnection, wave_id: int, now_ms: int) -> list[tuple[str, bytes]]:
    """Take back approved deliveries that have told nobody, of or to somebody whom a directory now calls deceased.
    Returns (sender, identity) of every person whose notification is free again."""
    await fresh(connection, "late_deliveries", "delivery_id INTEGER PRIMARY KEY")
    await _run(
        connection,
        "INSERT INTO late_deliveries (delivery_id) SELECT DISTINCT n.delivery_id FROM contacts x "
        "JOIN contacts c ON c.sender = x.sender AND c.identity = x.identity "
        "JOIN persons p ON p.contact_id = c.id JOIN notifications n ON n.person_id = p.id "
        "WHERE x.status = 'deceased' AND x.current AND n.wave_id = :wave_id AND n.batch_id IS NOT NULL "
        "AND n.delivery_id IS NOT NULL "
        "UNION SELECT d.id FROM contacts x JOIN contacts c ON c.sender = x.sender AND c.identity = x.identity "
        "JOIN deliveries d ON d.contact_id = c.id "
        "WHERE x.status = 'deceased' AND x.current AND d.wave_id = :wave_id AND d.batch_id IS NOT NULL",
        wave_id=wave_id,
    )
    return await take_back(connection, "late_deliveries", wave_id, now_ms)


async def withdraw_of_the_excluded(
    connection: AsyncConnection, wave_id: int, now_ms: int, *, but: str = ""
) -> list[tuple[str, bytes]]:
    """Take back approved deliveries that have told nobody and that speak of somebody who was taken out since, for
    another reason than ``but`` (a rectification tells those whom the operator withdrew). Who takes somebody out takes
    these back at once; but one that was being sent then, and informs others too, waits as it was until this.
    Returns (sender, identity) of every person whose notification is free again."""
    await fresh(connection, "late_deliveries", "delivery_id INTEGER PRIMARY KEY")
    await _run(
        connection,
        "INSERT INTO late_deliveries (delivery_id) SELECT DISTINCT n.delivery_id FROM persons p "
        "CROSS JOIN notifications n WHERE p.excluded <> '' AND p.excluded <> :but AND n.person_id = p.id "
        "AND n.wave_id = :wave_id AND n.excluded = '' AND n.batch_id IS NOT NULL AND n.delivery_id IS NOT NULL",
        wave_id=wave_id,
        but=but,
    )
    return await take_back(connection, "late_deliveries", wave_id, now_ms)


async def take_back(
    connection: AsyncConnection, table: str, wave_id: int, now_ms: int, *, tried: bool = True
) -> list[tuple[str, bytes]]:
    """Withdraw those of the temporary ``table``'s deliveries that have told nobody, and free their notifications.
    ``tried``: also what was tried, and answered with no."""
    also = f"OR ({MAIL_TOLD_NOBODY} AND {NONE_BEFORE_IT})" if tried else ""
    await _run(
        connection,
        "UPDATE deliveries SET state = 'withdrawn', since_ms = :now "
        f"WHERE id IN (SELECT delivery_id FROM {table}) AND ((attempt = 0 AND (state = 'queued' "
        # A letter that replaces a refused e-mail stays: planned anew, it would become that e-mail again.
        f"OR (state = 'to_print' AND replaces_id IS NULL))) {also})",
        now=now_ms,
    )
    await _run(
        connection,
        # One by one: there may be millions that were withdrawn before.
        f"DELETE FROM {table} WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = {table}.delivery_id "
        "AND d.wave_id = :wave_id AND d.state = 'withdrawn')",
        wave_id=wave_id,
    )
    freed = await connection.execute(
        text(
            f"SELECT p.sender, p.identity FROM {table} o JOIN notifications n "
            "ON n.delivery_id = o.delivery_id JOIN persons p ON p.id = n.person_id ORDER BY p.id"
        )
    )
    persons = [(sender, identity) for sender, identity in freed]
    await _run(
        connection,
        "UPDATE notifications SET batch_id = NULL, delivery_id = NULL "
        f"WHERE delivery_id IN (SELECT delivery_id FROM {table})",
    )
    return persons


async def clear_unapproved(connection: AsyncConnection, wave_id: int) -> int:
    """Forget what was planned and not approved: it is planned anew. Returns how many notifications."""
    gone = await _run(
        connection, "DELETE FROM notifications WHERE wave_id = :wave_id AND batch_id IS NULL", wave_id=wave_id
    )
    await _run(connection, "DELETE FROM deliveries WHERE wave_id = :wave_id AND batch_id IS NULL", wave_id=wave_id)
    return gone


async def delete_approved(connection: AsyncConnection, notifications: Iterable[int]) -> None:
    """Make room for the new notification of persons who were approved without a delivery, or whose delivery failed for
    good (the table ``unreached``); never one with a delivery that may tell them."""
    rows = [{"id": number} for number in notifications]
    if rows:
        await connection.execute(
            text(
                "DELETE FROM notifications WHERE id = :id "
                "AND (delivery_id IS NULL OR id IN (SELECT notification_id FROM unreached))"
            ),
            rows,
        )


# -- whom a plan concerns --------------------------------------------------------------------------------------------


class Owed(NamedTuple):
    """An insured person to be planned, the contact, the holder of its household, and the notification (approved,
    without delivery, or ``unreached``: with one that failed) that it has already. ``contact`` None: unmatched.
    ``child_*``: only for link E. What is dead (`storage.dead_ends`) is no mailbox and no address."""

    person: int
    sender: str
    identity: bytes
    exposure_set: int
    excluded: str
    contact: int | None
    link: str
    status: str
    language: str
    has_mailbox: bool
    has_postal: bool
    provider: str
    child_identity: bytes | None
    child_sealed: bytes | None
    holders: int
    holder: int | None
    holder_has_mailbox: bool
    holder_has_postal: bool
    holder_provider: str
    approved: int | None
    route: str
    reason: str
    review: str
    was_excluded: str
    letter: str
    unreached: bool


# Written so that SQLite, which has no statistics, takes the index on household: of a bare MIN(id) it makes a walk
# through the table in order of id, of a bare sender = sender one through all contacts of the sender.
_HOLDERS = (
    "FROM contacts x WHERE x.household = c.household AND x.sender || '' = c.sender AND x.kind = 'member' "
    "AND x.link = 'A' AND x.current AND x.status {status}"
)
HOLDERS_NOW = _HOLDERS.format(status="= 'active'")
# One contract number may stand for a whole firm's employees: as long as a second holder ever stood on it, nobody can
# say whose the child is, and an active stranger must not be told of an ended member's child (I2).
HOLDERS_EVER = _HOLDERS.format(status="<> 'deceased'")

EXCLUDED = (
    "CASE WHEN p.excluded <> '' THEN p.excluded WHEN p.identity_review <> '' "
    "AND NOT EXISTS (SELECT 1 FROM records r WHERE r.person_id = p.id) THEN 'same_person' ELSE '' END"
)

_OWED = (
    "SELECT p.id, p.sender, p.identity, {exposures}, {excluded}, "
    "c.id, c.link, c.status, c.language, {mail}, {post}, c.provider, "
    "CASE WHEN c.link = 'E' THEN c.identity END, CASE WHEN c.link = 'E' THEN c.sealed END, "
    "CASE WHEN c.link IN ('C', 'E') AND h.id IS NOT NULL THEN (SELECT COUNT(*) {ever}) ELSE 0 END, "
    "h.id, {holder_mail}, {holder_post}, h.provider, "
    "n.id, n.route, n.route_reason, n.review, n.excluded, COALESCE(c.letter, ''), n.delivery_id IS NOT NULL "
    "FROM {persons} LEFT JOIN notifications n ON n.wave_id = :wave_id AND n.person_id = p.id "
    "LEFT JOIN contacts c ON c.id = {contact} "
    "LEFT JOIN contacts h ON h.id = "
    "CASE WHEN c.link IN ('C', 'E') THEN (SELECT MIN(+x.id) {now}) END "
    "WHERE {person} > :after AND {person} <= :upto AND p.kind = 'insured' "
    # What is there and not approved was planned a moment ago, by situation.
    "AND (n.id IS NULL OR (n.delivery_id IS NULL AND n.batch_id IS NOT NULL) "
    "OR n.id IN (SELECT notification_id FROM unreached)) "
    "ORDER BY p.id"
)
# Whom the operator withdrew is owed no notice, but for the one that says so.
_EXCLUDED_ELSE = "CASE WHEN p.excluded = 'operator' THEN '' ELSE p.excluded END"
_CONCERNED = "concerned k JOIN persons p ON p.id = k.person_id"


class Whom(StrEnum):
    """Whose notifications a plan makes: everybody's; of those whom the table ``concerned`` names; and of these also if
    the operator withdrew them."""

    EVERYBODY = "everybody"
    CONCERNED = "concerned"
    WITHDRAWN = "withdrawn"


_CONTACT = {whom: "p.contact_id" if whom is Whom.EVERYBODY else NOW.format(contact="p.contact_id") for whom in Whom}

_OWED_TO = {
    whom: text(
        _OWED.format(
            exposures="p.exposure_set_id" if whom is Whom.EVERYBODY else "k.exposure_set_id",
            excluded=_EXCLUDED_ELSE if whom is Whom.WITHDRAWN else EXCLUDED,
            persons="persons p" if whom is Whom.EVERYBODY else _CONCERNED,
            contact=_CONTACT[whom],
            person="p.id" if whom is Whom.EVERYBODY else "k.person_id",
            ever=HOLDERS_EVER,
            now=HOLDERS_NOW,
            mail=mail_lives("c"),
            post=post_lives("c"),
            holder_mail=mail_lives("h"),
            holder_post=post_lives("h"),
        )
    )
    for whom in Whom
}


_LEFT_OVER = text(
    _OWED.format(
        exposures="p.exposure_set_id",
        excluded=EXCLUDED,
        persons="left_over k JOIN persons p ON p.id = k.person_id",
        contact="p.contact_id",
        person="k.person_id",
        ever=HOLDERS_EVER,
        now=HOLDERS_NOW,
        mail=mail_lives("c"),
        post=post_lives("c"),
        holder_mail=mail_lives("h"),
        holder_post=post_lives("h"),
    )
)


async def prepare_left_over(connection: AsyncConnection, wave_id: int) -> list[int]:
    """The temporary table of those whose notification is not made by situation. From the start: who has a review, or a
    notification of the wave; these are returned."""
    await fresh(connection, "left_over", "person_id INTEGER PRIMARY KEY")
    await _run(
        connection,
        "INSERT INTO left_over (person_id) SELECT person_id FROM reviews "
        "UNION SELECT person_id FROM notifications WHERE wave_id = :wave_id",
        wave_id=wave_id,
    )
    return list((await connection.execute(text("SELECT person_id FROM left_over"))).scalars())


async def leave_over(connection: AsyncConnection, persons: Iterable[int]) -> None:
    """Note persons for :func:`owed_of_left_over`."""
    await insert_many(connection, "left_over", ("person_id",), [(person,) for person in persons])


async def owed_of_left_over(connection: AsyncConnection, wave_id: int, after: int, upto: int) -> Sequence[Owed]:
    """:func:`owed_between` for those whom ``situations`` left over."""
    rows = await connection.execute(_LEFT_OVER, {"wave_id": wave_id, "after": after, "upto": upto})
    return rows.all()  # type: ignore[return-value]  # rows in the order of Owed: read by unpacking


async def owed_between(
    connection: AsyncConnection, wave_id: int, after: int, upto: int, whom: Whom = Whom.EVERYBODY
) -> Sequence[Owed]:
    """The slice's insured persons whose notification is not approved with a delivery that may tell them."""
    rows = await connection.execute(_OWED_TO[whom], {"wave_id": wave_id, "after": after, "upto": upto})
    return rows.all()  # type: ignore[return-value]  # rows in the order of Owed: read by unpacking


class OwedProfessional(NamedTuple):
    """A professional to be planned; the rest as in :class:`Owed`."""

    person: int
    sender: str
    identity: bytes
    profession: str
    exposure_set: int
    excluded: str
    contact: int | None
    contact_identity: bytes | None
    language: str
    mailbox: bytes | None
    has_postal: bool
    provider: str
    approved: int | None
    route: str
    reason: str
    review: str
    was_excluded: str
    unreached: bool


async def owed_professionals(
    connection: AsyncConnection, wave_id: int, whom: Whom = Whom.EVERYBODY
) -> AsyncIterator[OwedProfessional]:
    """The professionals whose notification is not approved with a delivery that may tell them; those of one mailbox
    side by side."""
    exposures = "p.exposure_set_id" if whom is Whom.EVERYBODY else "k.exposure_set_id"
    excluded = _EXCLUDED_ELSE if whom is Whom.WITHDRAWN else "p.excluded"
    persons = "persons p" if whom is Whom.EVERYBODY else _CONCERNED
    rows = await connection.stream(
        text(
            f"SELECT p.id, p.sender, p.identity, p.profession, {exposures}, {excluded}, "
            f"c.id, c.identity, c.language, CASE WHEN {mail_lives('c')} THEN c.mailbox END, {post_lives('c')}, "
            "c.provider, n.id, n.route, n.route_reason, n.review, n.excluded, n.delivery_id IS NOT NULL "
            f"FROM {persons} LEFT JOIN contacts c ON c.id = {_CONTACT[whom]} "
            "LEFT JOIN notifications n ON n.wave_id = :wave_id AND n.person_id = p.id "
            "WHERE p.kind = 'professional' AND (n.id IS NULL OR n.delivery_id IS NULL "
            "OR n.id IN (SELECT notification_id FROM unreached)) "
            "ORDER BY p.sender, c.mailbox, p.identity"
        ),
        {"wave_id": wave_id},
    )
    async for part in rows.partitions(PART):
        for row in part:
            yield OwedProfessional(*row)


# -- children, gathered by the adult who is told ---------------------------------------------------------------------


class Ward(NamedTuple):
    """A child to be told through an adult, and the way to that adult."""

    recipient: int
    person: int
    sender: str
    identity: bytes
    exposure_set: int
    language: str
    provider: str
    route: str
    reason: str


async def prepare_wards(connection: AsyncConnection) -> None:
    """The temporary table that gathers children by recipient, empty."""
    await fresh(connection, "wards", "recipient_id INTEGER, person_id INTEGER, route TEXT, reason TEXT")


async def add_wards(connection: AsyncConnection, rows: list[tuple[int, int, str, str]]) -> None:
    """(recipient's contact, person, route, reason)."""
    await insert_many(connection, "wards", ("recipient_id", "person_id", "route", "reason"), rows)


async def ward_recipients(connection: AsyncConnection) -> list[int]:
    """The contacts through whom gathered children are told."""
    return list((await connection.execute(text("SELECT DISTINCT recipient_id FROM wards"))).scalars())


async def wards(connection: AsyncConnection) -> AsyncIterator[Ward]:
    """All gathered children, those of one recipient side by side."""
    rows = await connection.stream(
        text(
            "SELECT w.recipient_id, p.id, p.sender, p.identity, COALESCE(k.exposure_set_id, p.exposure_set_id), "
            "h.language, h.provider, w.route, w.reason FROM wards w CROSS JOIN persons p CROSS JOIN contacts h "
            # The first round has nobody in it: everybody is told all that is known.
            "LEFT JOIN concerned k ON k.person_id = p.id "
            "WHERE p.id = w.person_id AND h.id = w.recipient_id ORDER BY w.recipient_id, p.identity"
        )
    )
    async for part in rows.partitions(PART):
        for row in part:
            yield Ward(*row)


# -- what a plan writes ----------------------------------------------------------------------------------------------


async def next_delivery(connection: AsyncConnection) -> int:
    """The id from which new deliveries may be numbered. (The plan numbers them itself, so that notifications can name
    them in the same bulk; a PostgreSQL sequence will have to be set afterwards.)"""
    return int((await connection.execute(text("SELECT COALESCE(MAX(id), 0) + 1 FROM deliveries"))).scalar_one())


async def taken_tokens(connection: AsyncConnection, tokens: Sequence[bytes]) -> set[bytes]:
    """Those of ``tokens`` that a delivery bears already."""
    query = text("SELECT token FROM deliveries WHERE token IN :tokens").bindparams(bindparam("tokens", expanding=True))
    taken: set[bytes] = set()
    for first in range(0, len(tokens), TOKENS_AT_ONCE):
        rows = await connection.execute(query, {"tokens": list(tokens[first : first + TOKENS_AT_ONCE])})
        taken.update(rows.scalars())
    return taken


async def has_deliveries(connection: AsyncConnection, wave_id: int) -> bool:
    """Whether the wave has any delivery."""
    rows = await connection.execute(
        text("SELECT 1 FROM deliveries WHERE wave_id = :wave_id LIMIT 1"), {"wave_id": wave_id}
    )
    return rows.one_or_none() is not None


DELIVERY = (
    "id",
    "token",
    "wave_id",
    "segment_id",
    "contact_id",
    "channel",
    "state",
    "provider",
    "since_ms",
    "attempt",
    "retries",
    "doubts",
    "epoch",
    "due_ms",
)
NEVER_ATTEMPTED = (0, 0, 0, 0, 0)
NOTIFICATION = (
    "wave_id",
    "person_id",
    "segment_id",
    "route",
    "route_reason",
    "review",
    "excluded",
    "delivery_id",
)


async def insert_deliveries(
    connection: AsyncConnection, rows: list[tuple[int, bytes, int, int, int, str, str, str, int]]
) -> None:
    """(id, token, wave, segment, contact, channel, state, provider, since_ms): never attempted, due at once."""
    await insert_many(connection, "deliveries", DELIVERY, [(*row, *NEVER_ATTEMPTED) for row in rows])


async def insert_notifications(
    connection: AsyncConnection, rows: list[tuple[int, int, int, str, str, str, str, int | None]]
) -> None:
    """(wave, person, segment, route, reason, review, excluded, delivery): not approved."""
    await insert_many(connection, "notifications", NOTIFICATION, rows)
