"""Children who are told through an adult, gathered by column: one notice per adult that names them all.

Only those whose adult nobody else is told through: who was looked at one by one (a decision on review) waits in the
temporary table of ``storage.notifications``, and :meth:`Wards.give_back` puts brothers and sisters beside them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import polars as pl

from notifier.storage.planned import Planned, Tokens, new_deliveries

_COLUMNS = {
    "holder": pl.Int64, "holder_provider": pl.String, "language": pl.String, "sender": pl.String, "name": pl.String,
    "exposure_set": pl.Int64, "person": pl.Int64, "route": pl.String, "reason": pl.String,
}  # fmt: skip
_TEXT = ("sender", "sets", "language")


class Family(NamedTuple):
    """What decides the words of a notice about children. ``exposure_sets``: numbers of all their sets."""

    sender: str
    exposure_sets: tuple[int, ...]
    language: str


class Wards:
    """Lives as long as a plan's transaction."""

    def __init__(self) -> None:
        self._wards = pl.DataFrame(schema=_COLUMNS)
        self._groups = pl.DataFrame()
        self._texts = pl.DataFrame()

    def add(self, rows: pl.DataFrame) -> None:
        """Children with the columns of this module."""
        self._wards.extend(rows.select(_COLUMNS.keys()))

    def give_back(self, adults: Collection[int]) -> list[tuple[int, int, str, str]]:
        """The children of ``adults``, who are no longer here: (adult's contact, person, route, reason)."""
        back = self._wards.filter(pl.col("holder").is_in(pl.Series(list(adults), dtype=pl.Int64).implode()))
        if back.is_empty():
            return []
        self._wards = self._wards.join(back.select("person"), on="person", how="anti")
        return back.select("holder", "person", "route", "reason").rows()

    def meet(self) -> list[Family]:
        """The different texts that are needed, in the order in which :meth:`write` takes their segments."""
        self._wards = self._wards.sort("holder", "name")
        self._groups = self._wards.group_by("holder", maintain_order=True).agg(
            pl.col("holder_provider", "language", "sender", "route").first(),
            pl.col("exposure_set").unique().sort().cast(pl.String).str.join(",").alias("sets"),
            "name",
        )
        self._texts = self._groups.select(_TEXT).unique().sort(_TEXT)
        return [
            Family(sender, tuple(int(each) for each in sets.split(",")), language)
            for sender, sets, language in self._texts.iter_rows()
        ]

    def write(
        self, planned: Planned, wave_id: int, segments: Sequence[int], channels: Iterable[tuple[str, str, str]],
        first_delivery: int, now_ms: int, tokens: Tokens,
    ) -> int:  # fmt: skip
        """A delivery per adult and a notification per child. ``channels``: route, channel and first state.
        Returns how many deliveries there are."""
        told = self._groups.join(
            self._texts.with_columns(pl.Series("segment", segments, dtype=pl.Int64)), on=_TEXT, maintain_order="left"
        ).with_columns(pl.int_range(first_delivery, first_delivery + pl.len(), dtype=pl.Int64).alias("delivery"))
        for route, channel, state in channels:
            some = told.filter(pl.col("route") == route).with_columns(
                pl.lit(channel).alias("channel"), pl.lit(state).alias("state")
            )
            names = tokens(channel, some["name"].to_list())
            planned.add("deliveries", new_deliveries(some, names, wave_id, now_ms, "holder", "holder_provider"))
        planned.add(
            "notifications",
            self._wards.join(told.select("holder", "segment", "delivery"), on="holder", maintain_order="left").select(
                pl.lit(wave_id).alias("wave_id"), pl.col("person").alias("person_id"),
                pl.col("segment").alias("segment_id"), "route", pl.col("reason").alias("route_reason"),
                pl.lit("").alias("review"), pl.lit("").alias("excluded"), pl.col("delivery").alias("delivery_id"),
            ),
        )  # fmt: skip
        return told.height
