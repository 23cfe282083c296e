"""Rows of an insured export become records: readings, verdict, keys, sealed fields. A whole batch at a time.

A row is rejected only when no identity remains, or when a name holds what must never reach a message (line breaks,
control or bidi characters). Everything else is kept, and what of it is not usable is a warning (comma-separated codes).
The keys are those of ``people.identity``, digested; a property test holds both equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache, partial
from json.encoder import encode_basestring as quote
from typing import Any

import polars as pl

from notifier.intake import identifiers, mailboxes
from notifier.intake.columns import Layout
from notifier.intake.near_keys import near_column
from notifier.intake.normal_forms import birth_dates, normal_names, normal_numbers, packed, with_nir
from notifier.intake.profiles import Profile, Senders
from notifier.intake.rejections import examined_parts, examined_row
from notifier.intake.rows import Rows
from notifier.intake.traces import Traces, of_insured
from notifier.intake.verdicts import Tally
from notifier.model import PersonKind, Rejection
from notifier.vault import PACKED_BYTES, RANK_BYTES, Vault

PERSON = "person"  # vault kind of persons.sealed
PRINTED = (
    "name", "forename", "birth_name", "guardian", "company", "address", "address1", "address2", "postcode", "city",
)  # fmt: skip
"""Roles whose cells reach a notice or a letter as they are."""
PRINTED_CHARACTERS = 250
# C0 and C1 controls, line and paragraph separators, marks and overrides of writing direction (DOMAIN D4).
# A NIR or an account number that slipped into a name or an address, as a shifted column leaves it (DOMAIN B1, B6).
# However it is written: the thirteen digits of a NIR or more, a Corsican one, an account number with letters in it.
_GAP = r"[\s._/\\\-\u2010-\u2015]{0,2}"
_CORSICAN = rf"(?:\d{_GAP}){{5}}2{_GAP}[AaBb]{_GAP}(?:\d{_GAP}){{6}}"
_ACCOUNT = rf"\b(?:\d{_GAP}){{10}}(?:[0-9A-Za-z]{_GAP}){{11}}\d{_GAP}\d\b"
NUMBER = rf"(?:\d{_GAP}){{13}}|{_CORSICAN}|{_ACCOUNT}"
UNPRINTABLE = "[\\x00-\\x1f\\x7f-\\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"

KEYS = ("group_key", "forename_key", "key_member", "key_nir_rank", "key_nir_forename", "key_contract", "key_near")
"""What only an insured person's record holds, beside its birth rank."""

COLUMNS: Mapping[str, type[pl.DataType]] = {
    "line": pl.Int64, "kind": pl.String, "sender": pl.String, "identity": pl.Binary,
    **dict.fromkeys(KEYS, pl.Binary), "birth_rank": pl.Int64, "exposures": pl.String, "profession": pl.String,
    "warnings": pl.String, "sealed": pl.Binary,
}  # fmt: skip
"""The columns of a batch's records."""


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
    traces: Traces = field(default_factory=Traces, repr=False)  # what rejected rows wait for
    addresses: mailboxes.Rules | None = None  # of e-mail; None: the shipped ones
    tally: Tally = field(default_factory=Tally, repr=False)  # what became of the rows that were stored so far


def _none() -> pl.DataFrame:
    return pl.DataFrame(schema=dict(COLUMNS))


@dataclass
class Batch:
    """One batch, ready to be stored. ``records``: the columns COLUMNS, a row per record; ``exposures`` is its canonical
    set, ``profession`` is "" for whoever is no professional."""

    records: pl.DataFrame = field(default_factory=_none)
    contacts: list[tuple[object, ...]] = field(default_factory=list)  # without import_id, see professionals.py
    rejections: list[Rejection] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)  # a directory's: the codes of each contact

    @property
    def kept(self) -> int:
        """Rows that were not rejected. (A directory exposes nobody: its rows are contacts alone.)"""
        return self.records.height or len(self.contacts)


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
    return begin_insured(rows, reading)()


def begin_insured(rows: Rows, reading: FileContext) -> Callable[[], Batch]:
    """The first half of :func:`insured`, which leaves the interpreter free; what it returns does the second half,
    digests and seals. Both are called in the order of the rows."""
    frame = read_person(with_exposures(without_numbers(rows.frame), reading), reading).with_columns(
        warnings("nir_code", "birth_code", "rank_code", "name_code").alias("warnings"),
    )
    frame = rows.noted(_with_identity(frame))
    frame, rejections = reject(frame, _verdict(), rows, reading, _trace)
    return partial(_finish_insured, frame, in_order(broken(rows, reading), rejections), reading)


def _finish_insured(frame: pl.DataFrame, rejections: list[Rejection], reading: FileContext) -> Batch:
    reading.senders.miss(frame.filter(pl.col("sender") == "")["insurer"])
    identities = reading.vault.digests(_bytes(frame["_identity"]))
    identity = pl.Series("identity", identities, dtype=pl.Binary)
    sealed = reading.vault.seal_many(PERSON, known(identities), _bytes(_plain(frame)))
    records = frame.select(
        "line", "sender", "exposures", "warnings", pl.col("rank").alias("birth_rank"), identity,
        kind=pl.lit(PersonKind.INSURED.value), profession=pl.lit(""), sealed=pl.Series(sealed, dtype=pl.Binary),
        **key_columns(frame, reading.vault, identity), key_near=near_column(frame, reading.vault),
    )  # fmt: skip
    reading.traces.open(rejections)
    reading.traces.answer(frame, known(identities), reading.vault)
    return Batch(records, rejections=rejections)


def _bytes(column: pl.Series) -> list[bytes]:
    """A column of text as UTF-8, one object per row."""
    return column.cast(pl.Binary).to_list()


def read_person(frame: pl.DataFrame, reading: FileContext) -> pl.DataFrame:
    """Adds what an insured export and a directory both say of a person: ``sender, nir, nir_code, birth, birth_code,
    rank, rank_code, name_n, forename_n, contract_n, member_n, name_code``."""
    rank_cells, insurers = frame["birth_rank"].unique(), frame["insurer"].unique()
    births = birth_dates(frame["birth_date"], reading.today)
    ranks = [_rank(cell) for cell in rank_cells.to_list()]
    names, forenames = normal_names(frame["name"]), normal_names(frame["forename"])
    frame = frame.with_columns(
        each("insurer", insurers, pl.Series(reading.senders.of(insurers.to_list()), dtype=pl.String)).alias("sender"),
        *births,
        each(
            "birth_rank", rank_cells, pl.Series([int(rank.value or 0) or None for rank in ranks], dtype=pl.Int64)
        ).alias("rank"),
        each("birth_rank", rank_cells, pl.Series([rank.code for rank in ranks], dtype=pl.String)).alias("rank_code"),
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


def each(column: str, cells: pl.Series, values: pl.Series) -> pl.Expr:
    """The value of each cell of ``column``, whose different ``cells`` were read once per batch."""
    return pl.col(column).replace_strict(cells, values, return_dtype=values.dtype)


_rank = lru_cache(maxsize=1 << 10)(identifiers.birth_rank)


def has(*columns: str) -> pl.Expr:
    """Whether none of the columns is empty."""
    return pl.all_horizontal(pl.col(column) != "" for column in columns)


def identity_key(*, rare: bool = True) -> pl.Expr:
    """``people.identity.insured_identity``, packed; null where none remains. ``rare``: false only for rows that all
    have NIR, birth date and forename: the other forms of an identity are not made then."""
    sender, nir, birth, forename, name = (pl.col(c) for c in ("sender", "nir", "birth", "forename_n", "name_n"))
    whole = packed("insured", sender, nir, birth, forename)
    if not rare:
        return whole
    rank = pl.col("rank").cast(pl.String).fill_null("")
    contract, member = pl.lit("C") + pl.col("contract_n"), pl.lit("M") + pl.col("member_n")
    number = pl.when(has("contract_n")).then(contract).otherwise(member)
    return (
        pl.when(has("nir", "birth", "forename_n")).then(whole)
        .when(has("nir", "birth")).then(packed("insured-nameless", sender, nir, birth, rank))
        .when((has("contract_n") | has("member_n")) & has("birth", "forename_n", "name_n"))
        .then(packed("insured-number", sender, number, birth, forename, name))
        .otherwise(None)
    )  # fmt: skip


def _with_identity(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds ``_identity``, in its rare forms only to the rows that have them."""
    whole = frame.select(has("nir", "birth", "forename_n").alias("_")).to_series()
    frame = frame.with_columns(pl.when(whole).then(identity_key(rare=False)).alias("_identity"))
    if whole.all():
        return frame
    rest = frame.filter(~whole).select(identity_key().alias("_")).to_series()
    return frame.with_columns(frame["_identity"].scatter((~whole).arg_true(), rest))


def key_columns(frame: pl.DataFrame, vault: Vault, identity: pl.Series | None = None) -> dict[str, pl.Series]:
    """Digests of ``people.identity.group_key``, ``forename_key`` and ``rungs``, by column of the tables. ``identity``:
    the digests of :func:`identity_key`, if they are there already: whoever has a NIR and a forename has them in
    common with the rung of both."""
    sender, nir, birth, forename, name = (pl.col(c) for c in ("sender", "nir", "birth", "forename_n", "name_n"))
    whole = has("birth", "nir", "forename_n")
    keys = frame.select(
        whole=whole,
        group=pl.when(has("nir", "birth")).then(packed("group", sender, nir, birth)).cast(pl.Binary),
        forename=pl.when(has("forename_n")).then(packed("forename", sender, forename)).cast(pl.Binary),
        member=pl.when(has("birth", "member_n", "forename_n"))
        .then(packed("rung-member", sender, pl.col("member_n"), birth, forename))
        .cast(pl.Binary),
        contract=pl.when(has("birth", "contract_n", "name_n"))
        .then(packed("rung-contract", sender, pl.col("contract_n"), birth, name))
        .cast(pl.Binary),
    )
    if identity is None:
        insured = pl.when(whole).then(packed("insured", sender, nir, birth, forename)).cast(pl.Binary)
        both = vault.digests(frame.select(insured).to_series().to_list())
    else:
        # A column as long as its frame: what does not hold is null.
        both = keys.select(pl.when("whole").then(identity)).to_series().to_list()
    groups = vault.digests(keys["group"].to_list())
    rank_byte = RANK_BYTES
    ranked = [
        None if group is None or rank is None else group + rank_byte[rank]
        for group, rank in zip(groups, frame["rank"].to_list(), strict=True)
    ]
    # A country has few forenames: each is digested once per batch.
    forenames = keys["forename"].unique()
    by_forename = pl.Series(vault.digests(forenames.to_list()), dtype=pl.Binary)
    forename_keys = keys["forename"].replace_strict(forenames, by_forename, return_dtype=pl.Binary)
    return {
        "group_key": pl.Series(groups, dtype=pl.Binary),
        "forename_key": forename_keys,
        "key_member": pl.Series(vault.digests(keys["member"].to_list()), dtype=pl.Binary),
        "key_nir_rank": pl.Series(ranked, dtype=pl.Binary),
        "key_nir_forename": pl.Series(both, dtype=pl.Binary),
        "key_contract": pl.Series(vault.digests(keys["contract"].to_list()), dtype=pl.Binary),
    }


def known(digests: Iterable[bytes | None]) -> list[bytes]:
    """Digests of columns in which no null is left."""
    return [digest for digest in digests if digest is not None]


_ESCAPED = '["\\\\\\x00-\\x1f]'  # what JSON does not take as it is (RFC 8259, section 7)


def _plain(frame: pl.DataFrame) -> pl.Series:
    """``model.Contact.fields()`` of each row as JSON: what ``Vault.seal`` would write."""
    texts = frame.select("name", "forename")
    if texts.select(pl.any_horizontal(pl.all().str.contains(_ESCAPED).any())).item():
        texts = texts.with_columns(
            pl.Series(column.name, [quote(cell)[1:-1] for cell in column.to_list()], dtype=pl.String)
            for column in texts
        )
    fields = pl.concat_str(
        [
            pl.when(pl.col(column) != "").then(pl.lit(f'"{column}":"') + pl.col(column) + pl.lit('"'))
            for column in ("name", "forename")
        ]
        + [pl.when(frame["birth"] != "").then(pl.lit('"birth_date":"') + frame["birth"] + pl.lit('"'))],
        separator=",",
        ignore_nulls=True,
    )
    return texts.select(pl.lit("{") + fields + pl.lit("}")).to_series()


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
        for code in ("birth_missing", "birth_unreadable", "birth_implausible", "birth_century")
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
_KEY_OF_ROLE = {role: key for key, role in _ROLE_OF_KEY.items()} | {"birth_date": "birth"}

Row = Mapping[str, Any]


def reject(
    frame: pl.DataFrame,
    faults: Sequence[tuple[pl.Expr, str, str]],
    rows: Rows,
    reading: FileContext,
    trace: Callable[[Row, Row, str, Vault], bytes | None] | None = None,
) -> tuple[pl.DataFrame, list[Rejection]]:
    """The rows without fault, and the rejections of the others: the first fault counts. ``trace``: what is left of a
    row, from its columns, its cells as they were read, and the column or role at fault."""
    verdict = pl.coalesce([pl.when(condition).then(pl.lit(index)) for index, (condition, _, _) in enumerate(faults)])
    frame = frame.with_columns(_fault=verdict)
    bad = frame.filter(pl.col("_fault").is_not_null())
    if bad.is_empty():
        return frame, []
    layout, vault = reading.layout, reading.vault
    read = rows.frame.filter(pl.col("line").is_in(bad["line"].implode()))
    cells = {row["line"]: row for row in read.iter_rows(named=True)}
    rejections = []
    for row in bad.iter_rows(named=True):
        _, role, code = faults[row["_fault"]]
        line = row["line"]
        rejection = Rejection(line, layout.heading(_ROLE_OF_KEY.get(role, role)), code)
        rejection = examined_row(rejection, cells[line], layout, vault)
        if trace and rejection.state == "open":
            rejection = replace(rejection, trace=trace(row, cells[line], role, vault))
        rejections.append(rejection)
    return frame.filter(pl.col("_fault").is_null()), rejections


def broken(rows: Rows, reading: FileContext) -> list[Rejection]:
    """The rejections of what could not be divided into columns."""
    return examined_parts(rows.broken, rows.parts, reading.layout, reading.vault)


def _trace(row: Row, cells: Row, fault: str, vault: Vault) -> bytes | None:
    body = identifiers.compact(cells["nir"])[:13] if row["nir_code"] == "nir_key" else ""
    return of_insured(row, body, _KEY_OF_ROLE.get(fault, fault), vault)


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
    # The flags as 0 and 1, then the list: one text per combination.
    combined = frame.select(
        pl.concat_str([*(flag.cast(pl.UInt8).cast(pl.String) for flag in flags), listed])
    ).to_series()
    different = combined.unique()
    canonical = []
    for text in different.to_list():
        filled = [role for role, flag in zip(roles, text, strict=False) if flag == "1"]
        canonical.append(reading.profile.exposed(reading.incident, filled, text[len(roles) :]))
    exposures = combined.replace_strict(different, pl.Series(canonical, dtype=pl.String), return_dtype=pl.String)
    return frame.with_columns(exposures.alias("exposures"))
