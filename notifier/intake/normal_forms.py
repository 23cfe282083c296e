"""The rules of the hot path for a whole column at once: NIR, names, numbers, keys.

Each function is the twin of a scalar rule (``identifiers.nir``, ``people.identity.normal_name`` and ``normal_number``,
``Vault.digest``), and a property test holds both equal. What repeats within a file (birth dates, names with accents,
insurers) is not vectorised but remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import lru_cache

import polars as pl

from notifier.intake.dates import OLDEST_YEARS, remembered
from notifier.intake.identifiers import DECIMAL, GAPS, NIR, NIR_FILLERS, ROUNDED
from notifier.people.identity import normal_name, normal_number
from notifier.vault import PACKED_BYTES, pack

EDGES = " \u00a0"  # what is stripped from every cell; line breaks are not: they reject a name
_remembered_name = lru_cache(maxsize=1 << 17)(normal_name)
_remembered_number = lru_cache(maxsize=1 << 12)(normal_number)


def compact(cell: pl.Expr) -> pl.Expr:
    """Twin of ``identifiers.compact``."""
    decimal = cell.str.extract(DECIMAL, 1)
    return pl.coalesce(decimal, cell.str.replace_all(GAPS, "").str.to_uppercase())


def with_nir(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns ``nir`` and ``nir_key`` (the cells as they are) become ``nir`` (13 characters, "" = not usable) and
    ``nir_code``. Twin of ``identifiers.nir``."""
    plain, body, own, other = pl.col("_plain"), pl.col("_body"), pl.col("_own"), pl.col("_other")
    department = body.str.slice(5, 2)
    corsica = pl.when(department == "2A").then(pl.lit("19")).when(department == "2B").then(pl.lit("18"))
    number = pl.concat_str(body.str.slice(0, 5), corsica.otherwise(department), body.str.slice(7))
    right = (97 - number.cast(pl.Int64, strict=False) % 97).cast(pl.String).str.zfill(2)
    civil = body.str.contains("^[12]")
    shaped = (
        body.str.contains(NIR)
        & ((own == "") | own.str.contains("^[0-9]+$"))
        & (~civil | (body.str.slice(10) != "000"))
        & ~body.is_in(NIR_FILLERS)
    )
    stated = pl.when(other == "").then(own).otherwise(other.str.zfill(2))
    wrong_key = ((own != "") & (stated != own)) | ((stated != "") & (stated != right).fill_null(value=True))
    code = (
        pl.when(plain == "").then(pl.lit("nir_missing"))
        .when(plain.str.contains(ROUNDED)).then(pl.lit("nir_rounded"))
        .when(~plain.str.len_chars().is_in([13, 15])).then(pl.lit("nir_length"))
        .when(~shaped).then(pl.lit("nir_format"))
        .when(wrong_key).then(pl.lit("nir_key"))
        .when(~civil).then(pl.lit("nir_temporary"))
        .when(body.str.slice(3, 2) > "12").then(pl.lit("nir_incomplete"))
        .otherwise(pl.lit(""))
    )  # fmt: skip
    usable = pl.col("nir_code").is_in(["", "nir_temporary", "nir_incomplete"])
    padded = usable & (other.str.len_chars() == 1)
    more = pl.when(pl.col("nir_code") == "").then(pl.lit("")).otherwise(pl.lit(","))
    told = pl.when(padded).then(pl.concat_str(pl.col("nir_code"), more, pl.lit("nir_key_padded")))
    return (
        frame.with_columns(compact(pl.col("nir")).alias("_plain"), compact(pl.col("nir_key")).alias("_other"))
        .with_columns(plain.str.slice(0, 13).alias("_body"), plain.str.slice(13).alias("_own"))
        .with_columns(code.alias("nir_code"))
        .with_columns(
            pl.when(usable).then(body).otherwise(pl.lit("")).alias("nir"),
            told.otherwise(pl.col("nir_code")).alias("nir_code"),
        )
        .drop("_plain", "_other", "_body", "_own", "nir_key")
    )


_COMMON_DATE = "^[0-9]{2}/[0-9]{2}/[0-9]{4}$"


def birth_dates(cells: pl.Series, today: date) -> tuple[pl.Series, pl.Series]:
    """``birth`` and ``birth_code`` of each cell. Twin of ``dates.birth_date``: days that exist and are written
    as nearly all are, dd/mm/yyyy, are read by column; every other form by the scalar rule."""
    oldest = date(today.year - OLDEST_YEARS, 1, 1)
    day = cells.str.slice(6, 4) + "-" + cells.str.slice(3, 2) + "-" + cells.str.slice(0, 2)
    known = day.str.to_date("%Y-%m-%d", strict=False)
    common = (cells.str.contains(_COMMON_DATE) & known.is_between(oldest, today)).fill_null(value=False)
    values = day.set(~common, "")
    codes = pl.Series("birth_code", [""], dtype=pl.String).new_from_index(0, len(cells))
    others = (~common).arg_true()
    if len(others):
        read = [remembered(cell, today) for cell in cells.gather(others).to_list()]
        values = values.scatter(others, pl.Series([each.value for each in read], dtype=pl.String))
        codes = codes.scatter(others, pl.Series([each.code for each in read], dtype=pl.String))
    return values.alias("birth"), codes.alias("birth_code")


def normal_names(cells: pl.Series) -> pl.Series:
    """Twin of ``people.identity.normal_name``."""
    plain = cells.str.to_uppercase().str.replace_all("[^A-Z0-9]+", " ").str.strip_chars(" ")
    return _with_scalar(cells, plain, _remembered_name)


def normal_numbers(cells: pl.Series) -> pl.Series:
    """Twin of ``people.identity.normal_number``."""
    plain = cells.str.to_uppercase().str.replace_all("[^A-Z0-9]+", "")
    return _with_scalar(cells, plain, _remembered_number)


def _with_scalar(cells: pl.Series, plain: pl.Series, rule: Callable[[str], str]) -> pl.Series:
    """Cells that are not ASCII go through the scalar rule itself: Unicode's tables are Python's, not the engine's."""
    foreign = cells.str.contains("[^\\x00-\\x7f]")
    if not foreign.any():
        return plain
    exact = pl.Series([rule(cell) for cell in cells.filter(foreign).to_list()], dtype=pl.String)
    return plain.scatter(foreign.arg_true(), exact)


# The characters U+0000 … U+007F as lengths: see vault.pack.
_LENGTHS = pl.Series("length", [chr(length) for length in range(PACKED_BYTES + 1)], dtype=pl.String)


def packed(*parts: pl.Expr | str) -> pl.Expr:
    """The parts in the form that ``Vault.digests`` takes (``vault.pack`` of each, joined). Parts are at most
    PACKED_BYTES long; a longer one makes null."""
    pieces: list[pl.Expr] = []
    for part in parts:
        if isinstance(part, str):
            pieces.append(pl.lit(pack(part)))
        else:
            length = pl.lit(_LENGTHS).gather(part.str.len_bytes(), null_on_oob=True)
            pieces += [pl.lit("\0\0\0"), length, part]
    return pl.concat_str(pieces)
