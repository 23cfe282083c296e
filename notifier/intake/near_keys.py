"""The keys of near-misses for a whole column at once: twins of ``people.identity.near_key`` and ``member_near_keys``.

A record has one, so that reading an export costs one digest more and no second; a directory's rows are fewer, and have
both kinds, and the rung of contract, birth date and name once more under the name at birth.
"""

from __future__ import annotations

import polars as pl

from notifier.intake.normal_forms import normal_names, packed
from notifier.vault import Vault

_SENDER, _NIR, _BIRTH, _CONTRACT = (pl.col(column) for column in ("sender", "nir", "birth", "contract_n"))
_OF_NIR = packed("near-nir", _SENDER, _NIR)
_OF_CONTRACT = packed("near-contract", _SENDER, _CONTRACT, _BIRTH)
_HAS_CONTRACT = (_CONTRACT != "") & (_BIRTH != "")


def near_column(frame: pl.DataFrame, vault: Vault) -> pl.Series:
    """``key_near`` of each record: by its NIR; without a usable one by contract and birth date."""
    if (frame["nir"] != "").all():
        return _digests(frame, _OF_NIR, vault)
    return _digests(frame, pl.when(_NIR != "").then(_OF_NIR).when(_HAS_CONTRACT).then(_OF_CONTRACT), vault)


def member_columns(frame: pl.DataFrame, vault: Vault) -> dict[str, pl.Series]:
    """``key_near_nir``, ``key_near_contract``, ``key_contract_birth`` of each member; null where it lacks the parts."""
    frame = frame.with_columns(normal_names(frame["birth_name"]).alias("birth_name_n"))
    born = pl.col("birth_name_n")
    other_name = _HAS_CONTRACT & (born != "") & (born != pl.col("name_n"))
    return {
        "key_near_nir": _digests(frame, pl.when(_NIR != "").then(_OF_NIR), vault),
        "key_near_contract": _digests(frame, pl.when(_HAS_CONTRACT).then(_OF_CONTRACT), vault),
        "key_contract_birth": _digests(
            frame, pl.when(other_name).then(packed("rung-contract", _SENDER, _CONTRACT, _BIRTH, born)), vault
        ),
    }


def _digests(frame: pl.DataFrame, parts: pl.Expr, vault: Vault) -> pl.Series:
    plain = frame.select(parts.cast(pl.Binary).alias("_")).to_series()
    return pl.Series(vault.digests(plain.to_list()), dtype=pl.Binary)
