"""The ladder of DESIGN 7 as joins of columns: the members' keys are read once, the persons' slice by slice.

Keys are digests over normal forms with the sender inside; a match asks for an equal sender all the same (I2). Joined is
by the first 8 bytes of a digest, and what is found counts only if the whole digest is equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.storage import columns, contacts, near_misses
from notifier.storage.columns import digest, number, word

MEMBERS_AT_ONCE = 200_000
RANKED = 17  # the width of a group's digest with a birth rank

_KEYS = {
    "key_member": 16,
    "key_nir_rank": RANKED,
    "key_nir_forename": 16,
    "key_contract": 16,
}
RUNGS = {"member": "key_member", "nir_rank": "key_nir_rank", "nir_forename": "key_nir_forename",
         "contract": "key_contract"}  # fmt: skip
"""Rung → the key that it compares."""

# Which keys of members a key is compared with: a member is found under the name at birth too.
_HELD = {key: (key,) for key in _KEYS} | {"key_contract": ("key_contract", "key_contract_birth")}
_NEAR = ("key_near_nir", "key_near_contract")

_MEMBER = {
    "contact": number("c.id"),
    "current": number("c.current"),
    "sender": word("c.sender"),
    "identity": digest("c.identity"),
    "forename_key": digest("c.forename_key"),
} | {key: digest(f"c.{key}", _KEYS.get(key, 16)) for key in (*_KEYS, "key_contract_birth", *_NEAR)}
# A directory that is still arriving, or was cut off, does not count yet.
_MEMBERS = (
    "FROM contacts c WHERE c.id > :after AND c.id <= :upto AND c.kind = 'member' "
    "AND c.import_id IN (SELECT i.id FROM imports i WHERE i.state = 'complete')"
)
_SEEKER = {
    "person": number("p.id"),
    "sender": word("p.sender"),
    # The person's forename counts, whichever row gave it.
    "forename_key": digest(
        "COALESCE(r.forename_key, (SELECT MAX(f.forename_key) FROM records f WHERE f.person_id = p.id))"
    ),
    "key_near": digest("r.key_near"),
} | {key: digest(f"r.{key}", width) for key, width in _KEYS.items()}

_AGREEMENT = (
    pl.when(pl.col("forename_key").is_null() | pl.col("forename_key_right").is_null())
    .then(0)
    .when(pl.col("forename_key") == pl.col("forename_key_right"))
    .then(1)
    .otherwise(-1)
    .alias("agreement")
)


class Contested(NamedTuple):
    """One of several members who hold a person's key. ``agreement`` of the forenames: 1 equal, 0 one side has none,
    -1 they contradict."""

    person: int
    identity: bytes
    agreement: int


class Ladder:
    """Lives as long as a plan's transaction."""

    def __init__(self, connection: AsyncConnection, holders: dict[str, pl.DataFrame]) -> None:
        self._connection = connection
        self._holders = holders
        self._seekers = pl.DataFrame()
        self._matches: list[pl.DataFrame] = []

    @classmethod
    async def begin(cls, connection: AsyncConnection) -> Ladder:
        """With the keys of all members whose directory is there in full."""
        await contacts.prepare_matches(connection)
        last = await contacts.last_contact(connection)
        parts = [
            await columns.read(connection, _MEMBER, _MEMBERS, after=after, upto=after + MEMBERS_AT_ONCE)
            for after in range(0, max(last, 1), MEMBERS_AT_ONCE)
        ]
        members = pl.concat(parts).with_columns(pl.col("current").cast(pl.Boolean))
        holders = {}
        for key in (*_KEYS, "key_contract_birth", *_NEAR):
            held = members.select("contact", "current", "sender", "identity", "forename_key", key).drop_nulls(key)
            holders[key] = held.with_columns(columns.start(key).alias("start"))
        return cls(connection, holders)

    async def seek(self, after: int, upto: int) -> None:
        """Put the insured persons of a slice at the foot of the ladder, with the keys of each of their records; not
        those whose contact was approved or decided."""
        self._matches = []
        source = await contacts.seekers(self._connection)
        self._seekers = await columns.read(self._connection, _SEEKER, source, after=after, upto=upto)

    def climb(self, rung: str) -> list[Contested]:
        """One rung, for all that are still seeking: who finds exactly one member is matched, unless the forenames
        contradict. Returns the cases with several members, person by person, for somebody else to decide."""
        hits = self._hits(RUNGS[rung])
        if hits.is_empty():
            return []
        found = hits.group_by("person").agg(
            pl.col("identity").min(),
            (pl.col("identity").min() != pl.col("identity").max()).alias("is_contested"),
            pl.col("contact").filter(pl.col("current")).max(),
            pl.col("agreement").min(),
        )
        matched = found.filter(~pl.col("is_contested") & (pl.col("agreement") >= 0))
        self._matches.append(matched.select("person", "identity", "contact", pl.lit(rung).alias("rung")))
        self._leave(matched["person"])
        several = found.filter("is_contested").select("person")
        contested = hits.join(several, on="person", how="semi").select("person", "identity", "agreement").unique()
        return [Contested(*row) for row in contested.sort("person", "identity").iter_rows()]

    def _hits(self, key: str) -> pl.DataFrame:
        seeking = self._seekers.select("person", "sender", "forename_key", key).drop_nulls(key)
        return pl.concat([self._joined(seeking, key, held).select(
            "person", "identity", "contact", "current", _AGREEMENT
        ) for held in _HELD[key]])  # fmt: skip

    def _joined(self, seeking: pl.DataFrame, key: str, held: str) -> pl.DataFrame:
        whole = held if held != key else f"{key}_right"
        return (
            seeking.with_columns(columns.start(key).alias("start"))
            .join(self._holders[held], on="start")
            .filter((pl.col(key) == pl.col(whole)) & (pl.col("sender") == pl.col("sender_right")))
        )

    def settle(self, rung: str, chosen: list[tuple[int, bytes]], stopped: Iterable[int]) -> None:
        """What was decided on contested persons: matched, or taken off the ladder."""
        if chosen:
            rows = [(person, identity, None, rung) for person, identity in chosen]
            self._matches.append(pl.DataFrame(rows, schema=_MATCH, orient="row"))
        self._leave(pl.Series([*(person for person, _ in chosen), *stopped], dtype=pl.Int64))

    def _leave(self, persons: pl.Series) -> None:
        if len(persons):
            self._seekers = self._seekers.join(persons.to_frame("person"), on="person", how="anti")

    async def gather_near(self) -> None:
        """Note the members that hold the near key of somebody who is still seeking when the ladder has ended. With a
        usable NIR and a forename, the rung of both is there; the near key is then by NIR, else by contract."""
        seeking = self._seekers.drop_nulls(["key_near", "forename_key"])
        by_nir = pl.col("key_nir_forename").is_not_null()
        for held, among in zip(_NEAR, (seeking.filter(by_nir), seeking.filter(~by_nir)), strict=True):
            near = self._joined(among.select("person", "sender", "key_near"), "key_near", held)
            await near_misses.note(self._connection, near.select("person", "sender", "identity").unique().rows())

    async def write(self, after: int, upto: int) -> None:
        """Give the slice's persons the contact that the ladder found, the current row of its identity (the key may have
        led to an older one); none to whom it found none."""
        matches = pl.concat([pl.DataFrame(schema=_MATCH), *self._matches]).sort("person")
        await contacts.write_matches(self._connection, matches.rows(), after, upto)


_MATCH = {"person": pl.Int64, "identity": pl.Binary, "contact": pl.Int64, "rung": pl.String}
