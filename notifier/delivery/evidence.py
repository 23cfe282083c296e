"""What a mail log that outlived the database says (delivery/report.py writes it): whom the relay took over. Pure.

It is the campaign's own file, without a signature: whoever lets `recover` believe it answers for it by name. Its lines
are written after their outcome was committed; one that is missing says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_ACCEPTED = re.compile(
    r"([0-9TZ:.-]{20,30}) accepted delivery=([0-9a-f]{32}) attempt=(\d{1,9}) phase=final code=(2\d\d) "
    r"enhanced=(-|[2-5]\.\d{1,3}\.\d{1,3})"
    r'(?: late=1)? reply="(.*)"'
)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A line of the log: the relay answered 2yz after the final dot. ``reply``: without personal data, as it stood."""

    at: str
    token: bytes
    attempt: int
    code: int
    enhanced: str
    reply: str


def accepted(lines: Iterable[str]) -> Iterator[Accepted]:
    """The lines that say so; a line cut short by a crash is none."""
    for line in lines:
        if found := _ACCEPTED.fullmatch(line.rstrip("\n")):
            at, token, attempt, code, enhanced, reply = found.groups()
            enhanced = "" if enhanced == "-" else enhanced
            yield Accepted(at, bytes.fromhex(token), int(attempt), int(code), enhanced, reply)
