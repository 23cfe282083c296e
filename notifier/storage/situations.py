"""Notifications made by situation: what decides a route is a handful of facts, and there are some hundreds of different
ones among millions of persons. Columns tell which situations there are; each is decided once; everybody in it then gets
a notification, and a delivery where there is a route.

Only for whom a plan needs no second look: insured, under no review, in no approved notification, and not a child about
whom somebody must be asked. Everybody else is *left over*, for `notifications.owed_between`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

import polars as pl
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.storage import columns, notifications, reach
from notifier.storage.columns import digest, number
from notifier.storage.database import insert_many
from notifier.storage.notifications import EXCLUDED
from notifier.storage.planned import Planned, Tokens, new_deliveries
from notifier.storage.temporary import fresh
from notifier.storage.wards import Wards


class Met(NamedTuple):
    """What decides, of one or of many persons. ``number`` stands for it in :meth:`Situations.decide`. ``status``,
    ``link`` and ``language`` "": no contact. ``holders``: of the household, where it counts, 2 for more."""

    number: int
    sender: str
    exposure_set: int
    excluded: str
    status: str
    link: str
    language: str
    has_mailbox: bool
    has_postal: bool
    letter: str
    is_minor: bool
    holders: int
    holder_has_mailbox: bool
    holder_has_postal: bool


class Decided(NamedTuple):
    """What becomes of a situation. ``channel`` "": no delivery; ``to_holder``: of the household, else the contact;
    ``is_ward``: told in a notice about children, which another pass makes; ``is_left``: for somebody to look at."""

    number: int
    segment: int
    route: str
    reason: str
    review: str
    excluded: str
    channel: str
    state: str
    to_holder: bool
    is_ward: bool
    is_left: bool


class Child(NamedTuple):
    """A child's contact, whose sealed fields tell the age."""

    contact: int
    identity: bytes
    sealed: bytes


_PERSON = {
    "person": number("p.id"),
    "identity": digest("p.identity"),
    "who": columns.facts("p.sender", EXCLUDED),
    "exposure_set": number("p.exposure_set_id"),
    "contact": number("COALESCE(p.contact_id, 0)"),
}
_PERSONS = "FROM persons p WHERE p.id > :after AND p.id <= :upto AND p.kind = 'insured'"
_SITUATION = ("who", "exposure_set", "fact", "holders", "holder_reach", "minor")


class Situations:
    """Lives as long as a plan's transaction."""

    def __init__(
        self, connection: AsyncConnection, wave_id: int, planned: Planned, wards: Wards, facts: dict[int, list[str]],
        ways: pl.DataFrame, left_over: list[int],
    ) -> None:  # fmt: skip
        self._connection, self._wave_id, self._planned, self._wards = connection, wave_id, planned, wards
        self._facts = facts
        self._left_over = pl.DataFrame({"person": left_over}, schema={"person": pl.Int64})
        # Whether there is a mailbox, an address; and the language: of the holder only these count.
        self._ways = ways.drop("reach", "language")
        self._holders = ways.select(
            pl.col("contact").alias("holder"), pl.col("provider").alias("holder_provider"),
            pl.col("reach").alias("holder_reach"), "language",
        )  # fmt: skip
        self._children = pl.Series([fact for fact, told in facts.items() if told[1] == "E"], dtype=pl.Int64)
        self._plain = pl.DataFrame()
        self._met: dict[tuple[object, ...], int] = {}
        self._decided: list[Decided] = []

    @classmethod
    async def begin(cls, connection: AsyncConnection, wave_id: int, planned: Planned, wards: Wards) -> Situations:
        """With the ways to all contacts. What is made goes into ``planned``, and into ``wards`` who is told through an
        adult."""
        left_over = await notifications.prepare_left_over(connection, wave_id)
        ways, facts = await reach.read(connection)
        return cls(connection, wave_id, planned, wards, facts, ways, left_over)

    async def gather(self, after: int, upto: int) -> list[Child]:
        """Put the slice's plain cases together. Returns the children among them, whose age decides."""
        everybody = await columns.read(self._connection, _PERSON, _PERSONS, after=after, upto=upto)
        self._plain = (
            everybody.join(self._left_over, on="person", how="anti", maintain_order="left")
            .join(self._ways, on="contact", how="left", maintain_order="left")
            .join(self._holders, on="holder", how="left", maintain_order="left")
            .with_columns(pl.col("fact").fill_null(reach.NOBODY), pl.col("holders", "holder_reach").fill_null(0))
        )
        children = self._plain.filter(pl.col("fact").is_in(self._children.implode()))
        return await self._sealed(children["contact"].unique().sort().to_list())

    async def _sealed(self, children: list[int]) -> list[Child]:
        await fresh(self._connection, "children_now", "contact_id INTEGER PRIMARY KEY")
        await insert_many(self._connection, "children_now", ("contact_id",), [(each,) for each in children])
        rows = await self._connection.execute(
            text(
                "SELECT c.id, c.identity, c.sealed FROM children_now k CROSS JOIN contacts c WHERE c.id = k.contact_id"
            )
        )
        return [Child(*row) for row in rows]

    def meet(self, minors: Collection[int]) -> list[Met]:
        """The situations of the slice that were never met before. ``minors``: contacts of children under age."""
        minor = pl.col("contact").is_in(pl.Series(sorted(minors), dtype=pl.Int64).implode())
        self._plain = self._plain.with_columns(minor.fill_null(False).alias("minor"))
        found = []
        for key in self._plain.select(_SITUATION).unique().sort(_SITUATION).iter_rows():
            if key not in self._met:
                self._met[key] = len(self._met)
                found.append(self._situation(self._met[key], key))
        return found

    def _situation(self, number: int, key: tuple[object, ...]) -> Met:
        who, exposures, fact, holders, holder_reach, minor = key
        sender, excluded = str(who).split(columns.FIELD)
        status, link, language, mailbox, postal, letter = self._facts[int(str(fact))]
        holder = int(str(holder_reach))
        return Met(
            number, sender, int(str(exposures)), excluded, status, link, language, mailbox == "1", postal == "1",
            letter, bool(minor), int(str(holders)), bool(holder & 2), bool(holder & 1),
        )  # fmt: skip

    def decide(self, decided: Iterable[Decided]) -> None:
        """Note what was decided, in the order in which the situations were met."""
        self._decided += decided

    async def write(self, first_delivery: int, now_ms: int, tokens: Tokens) -> int:
        """A notification for everybody gathered, and a delivery where the decision has a channel. ``tokens``: channel
        and names (``sender:identity in hex``) → names of deliveries. Returns how many deliveries there are."""
        sender = pl.col("who").str.split(columns.FIELD).list.first()
        told = self._plain.join(self._outcomes(), on=_SITUATION, maintain_order="left").with_columns(
            sender.alias("sender"), (sender + ":" + pl.col("identity").bin.encode("hex")).alias("name")
        )
        await notifications.leave_over(self._connection, told.filter("is_left")["person"].to_list())
        wards = told.filter(pl.col("is_ward") & ~pl.col("is_left"))
        self._wards.add(wards)
        told = told.filter(~pl.col("is_left") & ~pl.col("is_ward"))
        has_channel = pl.col("channel") != ""
        told = told.with_columns(
            pl.when(has_channel).then(has_channel.cum_sum().cast(pl.Int64) + (first_delivery - 1)).alias("delivery")
        )
        used = 0
        for channel in told.filter(has_channel)["channel"].unique().sort():
            used += self._deliver(told.filter(pl.col("channel") == channel), channel, now_ms, tokens)
        self._planned.add(
            "notifications",
            told.select(
                pl.lit(self._wave_id).alias("wave_id"), pl.col("person").alias("person_id"),
                pl.col("segment").alias("segment_id"), "route", pl.col("reason").alias("route_reason"), "review",
                "excluded", pl.col("delivery").alias("delivery_id"),
            ),
        )  # fmt: skip
        return used

    def _outcomes(self) -> pl.DataFrame:
        """The situations with what was decided."""
        types = {"who": pl.String, **dict.fromkeys(_SITUATION[1:5], pl.Int64), "minor": pl.Boolean}
        met = pl.DataFrame(list(self._met), schema=types, orient="row").with_columns(
            pl.int_range(0, len(self._met), dtype=pl.Int64).alias("number")
        )
        integers, flags = ("number", "segment"), ("to_holder", "is_ward", "is_left")
        schema = {
            name: pl.Int64 if name in integers else pl.Boolean if name in flags else pl.String
            for name in Decided._fields
        }
        return met.join(pl.DataFrame(self._decided, schema=schema, orient="row"), on="number")

    def _deliver(self, told: pl.DataFrame, channel: str, now_ms: int, tokens: Tokens) -> int:
        to_holder = pl.col("to_holder")
        read = told.with_columns(
            pl.when(to_holder).then("holder").otherwise("contact").alias("reader"),
            pl.when(to_holder).then("holder_provider").otherwise("provider").alias("reader_provider"),
        )
        names = tokens(channel, [(name,) for name in told["name"]])
        self._planned.add("deliveries", new_deliveries(read, names, self._wave_id, now_ms, "reader", "reader_provider"))
        return told.height
