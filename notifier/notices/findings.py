"""What `check` has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and what to write. ``code``: of a rule in ``rules``; ``where``: a segment, a setting, or
    a file and its line; ``file`` and ``line``: where to write (``places``), "" and 0 where that is no file. An
    ``error`` blocks `approve`; a ``warning`` is for the DPO's eye."""

    code: str
    where: str
    text: str
    severity: Literal["error", "warning"] = "error"
    file: str = ""
    line: int = 0

    @property
    def place(self) -> str:
        """Where to look, in words: ``campaign.toml, line 12: relay.host``."""
        if not self.file or self.where.startswith(f"{self.file}, line"):
            return self.where
        place = f"{self.file}, line {self.line}" if self.line else self.file
        return place if self.where in {self.file, place} else f"{place}: {self.where}"
