"""Rows of an insured export become records: readings, verdict, keys, sealed fields. A whole batch at a time.

A row is rejected only when no identity remains, or when a name holds what must never reach a message (line breaks,
control or bidi characters). Everything else is kept, and what of it is not usable is a warning (comma-separated codes).
The keys are those of ``people.identity``, digested; a property test holds both equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from itertools import repeat
from json.encoder import encode_basestring as quote
from typing import Any

import polars as pl

from notifier.intake import dates, identifiers
from notifier.intake.columns import Layout
from notifier.intake.normal_forms import normal_names, normal_numbers, packed, with_nir
from notifier.intake.profiles import Profile, Senders
from notifier.intake.rows import Rows
from notifier.model import PersonKind, Rejection
from notifier.vault import PACKED_BYTES, Vault

PERSON = "person"  # vault kind of persons.sealed
PRINTED = ("name", "forename", "birth_name", "company", "address", "address1", "address2", "postcode", "city")
"""Roles whose cells reach a notice or a letter as they are."""
PRINTED_CHARACTERS = 250
# C0 and C1 controls, line and paragraph separators, marks and overrides of writing direction (DOMAIN D4).
# A NIR or an account number that slipped into a name or an address, as a shifted column leaves it (DOMAIN B1, B6).
NUMBER = r"(?:\d[ .\-\u00a0]?){13}"
UNPRINTABLE = "[\\x00-\\x1f\\x7f-\\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"

STAGED = (
    "import_id", "line", "kind", "sender", "identity", "group_key", "forename_key", "birth_rank", "key_member",
    "key_nir_rank", "key_nir_forename", "key_contract", "exposure_set_id", "profession", "warnings", "sealed",
)  # fmt: skip


KEYS = (
    "group_key", "forename_key", "birth_rank", "key_member", "key_nir_rank", "key_nir_forename", "key_contract",
)  # fmt: skip
"""What only an insured person's record holds."""


@dataclass(frozen=True)
class FileContext:
    """What every batch of one file is read with. ``today``: day of the intake, for what is plausible."""

    profile: Profile
    layout: Layout
    incident: str
    senders: Senders
    vault: Vault
    today: date
    sender: str = ""  # of a file whose rows name none


Column = list[Any] | str | None


@dataclass
class Batch:
    """One batch, ready to be stored. ``exposures``: canonical set per record; ``columns``: what else a record holds, by
    column of ``staged_records``: a list with one value per record, or the one value of all."""

    columns: Mapping[str, Column] = field(default_factory=dict)
    exposures: list[str] = field(default_factory=list)
    contacts: list[tuple[object, ...]] = field(default_factory=list)  # without import_id, see professionals.py
    rejections: list[Rejection] = field(default_factory=list)

    @property
    def kept(self) -> int:
        """Rows that were not rejected. (A directory exposes nobody: its rows are contacts alone.)"""
        return len(self.exposures) or len(self.contacts)

    def records(self, import_id: int, sets: Mapping[str, int]) -> list[tuple[object, ...]]:
        """Rows of ``staged_records``, in the order of STAGED. ``sets``: the id of each set of exposures."""
        if not self.exposures:
            return []
        every = {**self.columns, "import_id": import_id, "exposure_set_id": [sets[each] for each in self.exposures]}
        values = (every[name] for name in STAGED)
        rows = zip(*(value if isinstance(value, list) else repeat(value) for value in values), strict=False)
        return list(rows)


def without_numbers(frame: pl.DataFrame) -> pl.DataFrame:
    """Names and addresses without what looks like a NIR or an account number: these are never stored, sealed neither
    (I8). The cell is empty then, and the row is warned or rejected as one whose cell is empty."""
    printed = [role for role in PRINTED if role in frame.columns]
    return frame.with_columns(
        pl.when(pl.col(role).str.contains(NUMBER)).then(pl.lit("")).otherwise(pl.col(role)).alias(role)
        for role in printed
    )


def insured(rows: Rows, reading: FileContext) -> Batch:
    """The insured persons of one batch of rows."""
    frame = read_person(with_exposures(without_numbers(rows.frame), reading), reading).with_columns(
        identity_key().alias("_identity"),
        warnings("nir_code", "birth_code", "rank_code", "name_code").alias("warnings"),
    )
    frame = rows.noted(frame)
    frame, rejections = reject(frame, _verdict(), reading.layout)
    keys = key_columns(frame, reading.vault)
    identities = known(reading.vault.digests(frame["_identity"].to_list()))
    sealed = reading.vault.seal_many(PERSON, identities, _plain(frame))
    columns: dict[str, Column] = {
        "line": frame["line"].to_list(),
        "kind": PersonKind.INSURED.value,
        "sender": shared(frame["sender"].to_list()),
        "identity": identities,
        "birth_rank": frame["rank"].to_list(),
        "profession": "",
        "warnings": shared(frame["warnings"].to_list()),
        "sealed": sealed,
        **keys,
    }
    return Batch(columns, shared(frame["exposures"].to_list()), rejections=in_order(rows.broken, rejections))


def shared(values: list[str]) -> list[str]:
    """The same values, equal ones as one object: what repeats goes to another process once."""
    one: dict[str, str] = {}
    return [one.setdefault(value, value) for value in values]


def read_person(frame: pl.DataFrame, reading: FileContext) -> pl.DataFrame:
    """Adds what an insured export and a directory both say of a person: ``sender, nir, nir_code, birth, birth_code,
    rank, rank_code, name_n, forename_n, contract_n, member_n, name_code``."""
    births = [dates.remembered(cell, reading.today) for cell in frame["birth_date"].to_list()]
    ranks = [_rank(cell) for cell in frame["birth_rank"].to_list()]
    names, forenames = normal_names(frame["name"]), normal_names(frame["forename"])
    frame = frame.with_columns(
        pl.Series("sender", reading.senders.of(frame["insurer"].to_list()), dtype=pl.String),
        pl.Series("birth", [birth.value for birth in births], dtype=pl.String),
        pl.Series("birth_code", [birth.code for birth in births], dtype=pl.String),
        pl.Series("rank", [int(rank.value) if rank.value else None for rank in ranks], dtype=pl.Int64),
        pl.Series("rank_code", [rank.code for rank in ranks], dtype=pl.String),
        names.alias("name_n"),
        forenames.alias("forename_n"),
        normal_numbers(frame["contract"]).alias("contract_n"),
        normal_numbers(frame["member_number"]).alias("member_n"),
    )
    missing = (
        pl.when((pl.col("forename_n") == "") & (pl.col("name_n") == "")).then(pl.lit("forename_missing,name_missing"))
        .when(pl.col("forename_n") == "").then(pl.lit("forename_missing"))
        .when(pl.col("name_n") == "").then(pl.lit("name_missing"))
        .otherwise(pl.lit(""))
    )  # fmt: skip
    return with_nir(frame).with_columns(name_code=missing)


_rank = lru_cache(maxsize=1 << 10)(identifiers.birth_rank)


def has(*columns: str) -> pl.Expr:
    """Whether none of the columns is empty."""
    return pl.all_horizontal(pl.col(column) != "" for column in columns)


def identity_key() -> pl.Expr:
    """``people.identity.insured_identity``, packed; null where none remains."""
    sender, nir, birth, forename, name = (pl.col(c) for c in ("sender", "nir", "birth", "forename_n", "name_n"))
    rank = pl.col("rank").cast(pl.String).fill_null("")
    contract, member = pl.lit("C") + pl.col("contract_n"), pl.lit("M") + pl.col("member_n")
    number = pl.when(has("contract_n")).then(contract).otherwise(member)
    return (
        pl.when(has("nir", "birth", "forename_n")).then(packed("insured", sender, nir, birth, forename))
        .when(has("nir", "birth")).then(packed("insured-nameless", sender, nir, birth, rank))
        .when((has("contract_n") | has("member_n")) & has("birth", "forename_n", "name_n"))
        .then(packed("insured-number", sender, number, birth, forename, name))
        .otherwise(None)
    )  # fmt: skip


def key_columns(frame: pl.DataFrame, vault: Vault) -> dict[str, list[bytes | None]]:
    """Digests of ``people.identity.group_key``, ``forename_key`` and ``rungs``, by column of the tables."""
    sender, nir, birth, forename, name = (pl.col(c) for c in ("sender", "nir", "birth", "forename_n", "name_n"))
    rank = pl.col("rank").cast(pl.String)
    keys = frame.select(
        group_key=pl.when(has("nir", "birth")).then(packed("group", sender, nir, birth)),
        forename_key=pl.when(has("forename_n")).then(packed("forename", sender, forename)),
        key_member=pl.when(has("birth", "member_n", "forename_n")).then(
            packed("rung-member", sender, pl.col("member_n"), birth, forename)
        ),
        key_nir_rank=pl.when(has("birth", "nir") & pl.col("rank").is_not_null()).then(
            packed("rung-nir-rank", sender, nir, birth, rank.fill_null(""))
        ),
        key_nir_forename=pl.when(has("birth", "nir", "forename_n")).then(
            packed("rung-nir-forename", sender, nir, birth, forename)
        ),
        key_contract=pl.when(has("birth", "contract_n", "name_n")).then(
            packed("rung-contract", sender, pl.col("contract_n"), birth, name)
        ),
    )
    digests = {column: vault.digests(keys[column].to_list()) for column in keys.columns if column != "forename_key"}
    # A country has few forenames: each is digested once per batch.
    forenames = keys["forename_key"].to_list()
    different = list(set(forenames))
    by_forename = dict(zip(different, vault.digests(different), strict=True))
    return {**digests, "forename_key": [by_forename[forename] for forename in forenames]}


def known(digests: Iterable[bytes | None]) -> list[bytes]:
    """Digests of columns in which no null is left."""
    return [digest for digest in digests if digest is not None]


def _plain(frame: pl.DataFrame) -> list[bytes]:
    """``model.Contact.fields()`` of each row as JSON: what ``Vault.seal`` would write."""
    plain = []
    for name, forename, birth in zip(
        *(frame[column].to_list() for column in ("name", "forename", "birth")), strict=True
    ):
        fields = []
        if name:
            fields.append(f'"name":{quote(name)}')
        if forename:
            fields.append(f'"forename":{quote(forename)}')
        if birth:
            fields.append(f'"birth_date":"{birth}"')
        plain.append(f"{{{','.join(fields)}}}".encode())
    return plain


# -- verdicts ------------------------------------------------------------------------------------------------------


def unfit(roles: Iterable[str], keys: Iterable[str]) -> list[tuple[pl.Expr, str, str]]:
    """The faults that every kind of file shares: (condition, role, code). ``keys``: columns of normal forms."""
    printed = [role for role in PRINTED if role in set(roles)]
    faults = [(pl.col(role).str.contains(UNPRINTABLE), role, "control_characters") for role in printed]
    faults += [(pl.col(role).str.len_chars() > PRINTED_CHARACTERS, role, "too_long") for role in printed]
    # One byte is kept free for the letter that stands before a number in an identity.
    return faults + [(pl.col(key).str.len_bytes() >= PACKED_BYTES, key, "too_long") for key in keys]


def _verdict() -> list[tuple[pl.Expr, str, str]]:
    """Why a row is rejected, the most useful reason first."""
    none = pl.col("_identity").is_null()
    unborn = [
        (none & (pl.col("birth_code") == code), "birth_date", code)
        for code in ("birth_missing", "birth_unreadable", "birth_implausible")
    ]
    unnumbered = none & ~(has("contract_n") | has("member_n"))
    nirless = [
        (unnumbered & (pl.col("nir_code") == code), "nir", code)
        for code in ("nir_missing", "nir_rounded", "nir_length", "nir_format", "nir_key")
    ]
    faults = unfit(("name", "forename"), ("name_n", "forename_n", "contract_n", "member_n"))
    nameless = [(none & has("name_n"), "forename", "name_missing"), (none, "name", "name_missing")]
    return [*faults, *unborn, *nirless, *nameless]


_ROLE_OF_KEY = {"name_n": "name", "forename_n": "forename", "contract_n": "contract", "member_n": "member_number"}


def reject(
    frame: pl.DataFrame, faults: Sequence[tuple[pl.Expr, str, str]], layout: Layout
) -> tuple[pl.DataFrame, list[Rejection]]:
    """The rows without fault, and the rejections of the others: the first fault counts."""
    verdict = pl.coalesce([pl.when(condition).then(pl.lit(index)) for index, (condition, _, _) in enumerate(faults)])
    frame = frame.with_columns(_fault=verdict)
    bad = frame.filter(pl.col("_fault").is_not_null()).select("line", "_fault")
    rejections = []
    for line, fault in bad.iter_rows():
        _, role, code = faults[fault]
        rejections.append(Rejection(line, layout.heading(_ROLE_OF_KEY.get(role, role)), code))
    return (frame.filter(pl.col("_fault").is_null()) if rejections else frame), rejections


def warnings(*columns: str) -> pl.Expr:
    """The columns of codes as one, comma-separated, without the empty ones."""
    return pl.concat_str([pl.col(column).replace("", None) for column in columns], separator=",", ignore_nulls=True)


def in_order(*rejections: Iterable[Rejection]) -> list[Rejection]:
    """All of them by line."""
    return sorted((each for some in rejections for each in some), key=lambda rejection: rejection.line)


# -- exposures -----------------------------------------------------------------------------------------------------


def with_exposures(frame: pl.DataFrame, reading: FileContext) -> pl.DataFrame:
    """Adds ``exposures``, the canonical set of each row, from the cells as they are. A file has few different sets:
    each is made once per batch."""
    rule = reading.profile.exposures
    roles = sorted(set(rule.filled.values()))
    flags = [(~pl.col(role).str.to_uppercase().is_in(identifiers.EMPTY_WORDS)).alias(role) for role in roles]
    if not flags and not rule.listed:
        return frame.with_columns(pl.lit(reading.profile.exposed(reading.incident, (), "")).alias("exposures"))
    listed = pl.col(rule.listed.column) if rule.listed else pl.lit("")
    sets: dict[tuple[object, ...], str] = {}
    canonical = []
    for row in frame.select(*flags, listed.alias("_")).iter_rows():
        found = sets.get(row)
        if found is None:
            filled = [role for role, flag in zip(roles, row, strict=False) if flag]
            found = sets[row] = reading.profile.exposed(reading.incident, filled, row[-1])
        canonical.append(found)
    return frame.with_columns(pl.Series("exposures", canonical, dtype=pl.String))
