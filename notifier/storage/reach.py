"""How every contact can be reached, by column: the facts that decide, and through whom a dependant is told.

There are some hundreds of different facts among millions of contacts: each gets a number.
"""

from __future__ import annotations

import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.storage import columns, contacts
from notifier.storage.columns import digest, number, word

CONTACTS_AT_ONCE = 200_000
NOBODY = 0
"""The number of the facts of no contact."""

_CONTACT = {
    "contact": number("c.id"),
    "sender": word("c.sender"),
    "provider": word("c.provider"),
    "household": digest("c.household"),
    "facts": columns.facts(
        "c.status", "c.link", "c.language", "(c.mailbox IS NOT NULL)", "c.has_postal", "COALESCE(c.letter, '')",
        "c.kind", "c.current",
    ),
}  # fmt: skip
_FACTS = ("status", "link", "language", "mailbox", "postal", "letter", "kind", "current")


async def read(connection: AsyncConnection) -> tuple[pl.DataFrame, dict[int, list[str]]]:
    """All contacts, and their facts by number: status, link, language, mailbox, postal ("1" or "0"), letter.

    Columns: ``contact``, ``provider``, ``fact`` (the number), ``reach`` (2 for a mailbox, and 1 for an address),
    ``language``; of dependants with a current holder ``holder`` (a contact) and ``holders``, else null."""
    last = await contacts.last_contact(connection)
    parts = [
        await columns.read(
            connection, _CONTACT, "FROM contacts c WHERE c.id > :after AND c.id <= :upto",
            after=after, upto=after + CONTACTS_AT_ONCE,
        )
        for after in range(0, max(last, 1), CONTACTS_AT_ONCE)
    ]  # fmt: skip
    found = pl.concat(parts)
    numbered = pl.DataFrame(
        [(whole, place, *whole.split(columns.FIELD)) for place, whole in enumerate(found["facts"].unique().sort(), 1)],
        schema={"facts": pl.String, "fact": pl.Int64} | dict.fromkeys(_FACTS, pl.String),
        orient="row",
    ).with_columns(reach=pl.col("mailbox").cast(pl.Int64) * 2 + pl.col("postal").cast(pl.Int64))
    facts = {row[1]: list(row[2:8]) for row in numbered.rows()} | {NOBODY: ["", "", "", "0", "0", ""]}
    everybody = found.join(numbered.drop("letter", "mailbox", "postal"), on="facts").drop("facts")
    ways = everybody.select("contact", "provider", "fact", "reach", "language")
    return ways.join(_households(everybody), on="contact", how="left"), facts


def _households(everybody: pl.DataFrame) -> pl.DataFrame:
    """Contacts of dependants, with the holder who is told and how many ever stood on the contract (2 for more). One
    contract number may stand for a whole firm's employees: as long as a second holder ever stood on it, nobody can say
    whose the child is, and an active stranger must not be told of an ended member's child (I2)."""
    known = everybody.drop_nulls("household").with_columns(columns.start("household").alias("start"))
    adults = known.filter(
        (pl.col("kind") == "member") & (pl.col("link") == "A") & (pl.col("current") == "1")
        & (pl.col("status") != "deceased")
    )  # fmt: skip
    homes = (
        adults.group_by("start", "sender", "household")
        .agg(
            pl.col("contact").filter(pl.col("status") == "active").min().alias("holder"),
            pl.len().cast(pl.Int64).clip(upper_bound=2).alias("holders"),
        )
        .drop_nulls("holder")
    )
    dependants = known.filter(pl.col("link").is_in(["C", "E"])).select("contact", "start", "sender", "household")
    return (
        dependants.join(homes, on="start")
        .filter((pl.col("household") == pl.col("household_right")) & (pl.col("sender") == pl.col("sender_right")))
        .select("contact", "holder", "holders")
    )
