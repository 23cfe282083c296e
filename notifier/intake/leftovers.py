"""What an intake wrote about a file beside the database, and how it goes when the file is forgotten.

Lists of rejections, published or left half-written by a crash; values in clear, which are registered, go by
`clear_values`. Nothing else in the campaign folder is named after a file that was taken in.
"""

from __future__ import annotations

from pathlib import Path

from notifier.intake.rejections import FOLDER


def remove(folder: Path, sha256: str) -> int:
    """Remove all that is named after the file; how many there were."""
    found = sorted((folder / FOLDER).glob(f"{sha256[:12]}[.-]*"))
    for path in found:
        path.unlink()
    return len(found)
