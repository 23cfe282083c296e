"""The rules of the hot path for a whole column at once: NIR, names, numbers, keys.

Each function is the twin of a scalar rule (``identifiers.nir``, ``people.identity.normal_name`` and ``normal_number``,
``Vault.digest``), and a property test holds both equal. What repeats within a file (birth dates, names with accents,
insurers) is not vectorised but remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import polars as pl

from notifier.intake.identifiers import DECIMAL, GAPS, NIR, ROUNDED
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
        body.str.contains(NIR) & ((own == "") | own.str.contains("^[0-9]+$")) & (~civil | (body.str.slice(10) != "000"))
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
    return (
        frame.with_columns(compact(pl.col("nir")).alias("_plain"), compact(pl.col("nir_key")).alias("_other"))
        .with_columns(plain.str.slice(0, 13).alias("_body"), plain.str.slice(13).alias("_own"))
        .with_columns(code.alias("nir_code"))
        .with_columns(pl.when(usable).then(body).otherwise(pl.lit("")).alias("nir"))
        .drop("_plain", "_other", "_body", "_own", "nir_key")
    )


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
