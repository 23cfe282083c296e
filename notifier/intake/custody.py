"""The chain of custody: when a file came and from whom, and what its cover note announces of it. Pure.

What the cover note says is compared before anything is stored: the hash with the bytes as they lie there, the number of
rows with a count of its own. A difference is an error that gives both figures.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from notifier.errors import ExportError, OperatorError
from notifier.model import utc_text

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Custody:
    """What is said of a file beside its bytes; empty = nothing. ``received_at``: an instant in UTC (RFC 3339), or a day
    if no more is known; ``received_from``: an organisation and a way ("Viamedis, SFTP"); ``expected_sha256``: hex,
    lower case."""

    received_at: str = ""
    received_from: str = ""
    expected_rows: int | None = None
    expected_sha256: str = ""

    def check_sha256(self, name: str, *sha256: str) -> None:
        """Raises ExportError when the cover note announces other bytes. ``sha256``: of the file as it lies there;
        beside it, of what was taken out of an archive."""
        if self.expected_sha256 and self.expected_sha256 not in sha256:
            raise ExportError(
                f"{name}: its SHA-256 is {sha256[0]}, the cover note says {self.expected_sha256}: these are not the "
                "bytes that were sent; nothing was stored"
            )

    def check_rows(self, name: str, rows: int) -> None:
        """Raises ExportError when the cover note announces another number of rows."""
        if self.expected_rows is not None and self.expected_rows != rows:
            raise ExportError(
                f"{name} has {rows} rows, the cover note says {self.expected_rows} (headings and blank lines do not "
                "count, a line of totals does); nothing was stored"
            )


NOTHING_SAID = Custody()


def custody(
    *,
    received_at: str = "",
    received_from: str = "",
    expected_rows: int | None = None,
    expected_sha256: str = "",
    zone: tzinfo,
    now: datetime,
) -> Custody:
    """What the operator says, in one form. Raises OperatorError for what cannot be read, or cannot be."""
    sha256 = expected_sha256.strip().lower()
    if expected_sha256 and not _SHA256.fullmatch(sha256):
        raise OperatorError("--expect-sha256 takes all 64 hex digits: a part of a hash proves little")
    if expected_rows is not None and expected_rows < 0:
        raise OperatorError("--expect-rows takes a number of rows")
    return Custody(
        received(received_at, zone=zone, now=now) if received_at else "", received_from, expected_rows, sha256
    )


def received(text: str, *, zone: tzinfo, now: datetime) -> str:
    """ISO 8601 → an instant in UTC; one without offset is the campaign's local time. A day alone stays a day: an hour
    that nobody said would be made up. Raises OperatorError, also for what lies ahead."""
    said = text.strip()
    try:
        if (day := _day(said)) is not None:
            ahead, normal = day > now.astimezone(zone).date(), day.isoformat()
        else:
            at = datetime.fromisoformat(said)
            at = at if at.tzinfo else at.replace(tzinfo=zone)
            ahead, normal = at > now, utc_text(at)
    except (ValueError, OverflowError) as error:
        raise OperatorError(
            f"--received-at {said[:40]!r} cannot be read: write 2024-02-09T18:30+01:00 (or 2024-02-09)"
        ) from error
    if ahead:
        raise OperatorError(f"--received-at {said} has not come yet")
    return normal


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
