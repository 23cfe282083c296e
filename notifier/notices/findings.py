"""What `check` has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and what to write. ``where``: file and line, a segment, or a setting. An ``error``
    blocks `approve`; a ``warning`` is for the DPO's eye."""

    code: str
    where: str
    text: str
    severity: Literal["error", "warning"] = "error"
