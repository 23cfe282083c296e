"""The journal entry of an attempt, in words and in bytes. Without I/O.

Most attempts end alike, and a campaign has millions of them: their bytes are written straight away, without the facts
and the general encoder between. They are what ``Entry.canonical`` says of the same attempt, byte for byte (a property
test holds it): the keys stand below in the order that RFC 8785 asks for, and the strings go through the same escape.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from json.encoder import encode_basestring as quoted
from typing import TYPE_CHECKING

from notifier.model import Entry, Written, from_ms, utc_text

if TYPE_CHECKING:
    from notifier.delivery.record import Ended


@lru_cache(maxsize=64)
def _instant(milliseconds: int) -> str:
    """What a cycle claims has begun at one instant."""
    return utc_text(from_ms(milliseconds))


def written(kind: str, end: Ended, more: Mapping[str, object]) -> Written:
    """What the journal says of an attempt that has ended; ``more``: whether it came late, what takes its place."""
    held, outcome = end.held, end.outcome
    entry = Entry(
        at=end.at,
        kind=kind,
        subject=held.token.hex(),
        facts={
            "attempt": held.attempt,
            "started": _instant(held.started_ms),
            "phase": outcome.phase.value,
            "code": outcome.code or 0,
            "enhanced": outcome.enhanced,
            "reply": end.reply,
            "reply_sha256": end.reply_sha256,
            "notice_sha256": end.notice_sha256,
            "relay": end.relay,
            **more,
        },
    )
    return entry.written(held.id)


def in_time(kind: str, end: Ended) -> Written:
    """:func:`written` of an attempt that did not come late and that nothing takes the place of."""
    held, (_, phase, code, enhanced, _, _), at, reply, _, reply_sha256, notice_sha256, relay = end
    subject = held.token.hex()
    body = (
        f'{{"at":"{utc_text(at)}","facts":{{"attempt":{held.attempt},"code":{code or 0},"enhanced":{quoted(enhanced)},'
        f'"late":false,"notice_sha256":{quoted(notice_sha256)},"phase":"{phase!s}","relay":{quoted(relay)},'
        f'"reply":{quoted(reply)},"reply_sha256":{quoted(reply_sha256)},"started":"{_instant(held.started_ms)}"}},'
        f'"kind":"{kind}","subject":"{subject}"}}'
    )
    return Written(kind, subject, held.id, body.encode())
