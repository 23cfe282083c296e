"""What a server's reply means: (provider, phase, code, enhanced code, text) becomes an Outcome. Pure.

The code alone does not decide (RFC 5321 4.2.1, RFC 3463, DOMAIN D2): the same 550 is a dead mailbox at RCPT, a spam
verdict after the dot and a sender's fault at MAIL. The rules are data (data/providers.toml, :mod:`.rules`); what stands
here is above them: only 2yz after the dot accepts; 4yz and 5.7.x never make an address bad; no single 4yz stops the
campaign; and what no rule knows is temporary, for a second try costs little and a letter sent in error more. What one
reply means is not what many mean: "ours" at RCPT or later, and a wait, are weighed in :mod:`.weather`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from enum import StrEnum
from typing import NamedTuple

from notifier.delivery.rules import OTHER, READ, Action, Reply, Rulebook, Verdict


class Phase(StrEnum):
    """How far a session or a transaction had come."""

    CONNECT = "connect"
    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    FINAL = "final"


class Kind(StrEnum):
    """What becomes of the delivery."""

    ACCEPTED = "accepted"
    DEFERRED = "deferred"  # later, and the attempt counts
    REFUSED = "refused"  # the address is bad: by post
    PROVIDER_WAIT = "provider_wait"  # later; the reason is not this person's, the attempt does not count
    OURS = "ours"  # the campaign pauses with the server's words (at RCPT and later once several recipients got them)
    IN_DOUBT = "in_doubt"  # the final dot may have gone out, and no answer came
    LOST = "lost"  # the connection broke before anything was handed over: at once, does not count
    RELEASED = "released"  # not begun: as if never claimed
    UNMADE = "unmade"  # its message cannot be made: set aside until somebody has looked


class Outcome(NamedTuple):
    """How one attempt ended. ``code``: None when no reply came; ``text``: the server's words, verbatim (they may
    echo the address: redact before storing or logging, I8) or ours where there are none; ``verdict``: the rule that
    decided, None where no reply was judged by one."""

    kind: Kind
    phase: Phase
    code: int | None = None
    enhanced: str = ""
    text: str = ""
    verdict: Verdict | None = None

    def __repr__(self) -> str:
        return f"Outcome({self.kind}, {self.phase}, {self.code}, {self.enhanced!r})"


_ENHANCED = re.compile(r"^\s*([245]\.\d{1,3}\.\d{1,3})(?![\d.])")


def enhanced_code(text: str) -> str:
    """The enhanced status code of RFC 3463 at the head of a reply, or ""."""
    found = _ENHANCED.match(text)
    return found.group(1) if found else ""


def classify(
    phase: Phase, code: int, text: str, *, rules: Rulebook, provider: str = OTHER, recipient: str = ""
) -> Outcome:
    """What the reply ``code text`` means at ``phase``, by the rules of data/providers.toml. ``provider``: of the
    recipient; ``recipient``: as RCPT named it: its echo is no word of the server's (an unknown ``spam@…`` is unknown).
    Of what is left rules look at the first READ characters: a reply has up to 16 kB, and a campaign's own patterns may
    take long.
    ``code`` outside 200 … 599 (a server that talks nonsense) is in doubt after the final dot and temporary before
    it."""
    enhanced = enhanced_code(text)
    if not 400 <= code < 600:
        # 250 is the usual one; any 2yz after the dot means that the server answers for the message (RFC 5321 4.2.1).
        kind = Kind.DEFERRED
        if phase is Phase.FINAL:
            kind = Kind.ACCEPTED if 200 <= code < 300 else Kind.IN_DOUBT
        return Outcome(kind, phase, code, enhanced, text)
    words = re.sub(re.escape(recipient), "", text, flags=re.IGNORECASE) if recipient else text
    verdict = _bounded(rules.verdict(Reply(provider, phase.value, code, enhanced, words[:READ])), phase, code, enhanced)
    return Outcome(_KINDS[verdict.action], phase, code, enhanced, text, verdict)


_KINDS = {
    Action.REFUSED: Kind.REFUSED,
    Action.DEFERRED: Kind.DEFERRED,
    Action.WAIT: Kind.PROVIDER_WAIT,
    Action.THROTTLE: Kind.PROVIDER_WAIT,
    Action.CLOSE: Kind.PROVIDER_WAIT,
    Action.OURS: Kind.OURS,
}


_BEFORE_RCPT = frozenset({Phase.CONNECT, Phase.GREETING, Phase.EHLO, Phase.STARTTLS, Phase.AUTH, Phase.MAIL})


def _bounded(verdict: Verdict, phase: Phase, code: int, enhanced: str) -> Verdict:
    """What no rule may say: a letter instead of an e-mail for a fault that passes or is not the address's (DOMAIN D2),
    a stop of the campaign for one that passes."""
    if verdict.action is Action.REFUSED and phase in _BEFORE_RCPT:
        return replace(verdict, action=Action.WAIT)  # nobody's address was named yet
    if code < 500 and verdict.action in (Action.REFUSED, Action.OURS):
        return replace(verdict, action=Action.DEFERRED)
    if verdict.action is Action.REFUSED and enhanced.startswith("5.7.") and not verdict.numbered:
        return replace(verdict, action=Action.WAIT)
    return verdict


def lost(phase: Phase, text: str = "connection lost") -> Outcome:
    """The connection broke before the final dot was written: nothing was handed over."""
    return Outcome(Kind.LOST, phase, text=text)


def timed_out(phase: Phase) -> Outcome:
    """No answer in time, before the final dot was written: nothing was handed over; trying at once would wait as
    long again, so this one counts."""
    return Outcome(Kind.DEFERRED, phase, text="no answer in time")


def in_doubt(text: str) -> Outcome:
    """The final dot may have gone out, and no answer came (RFC 1047)."""
    return Outcome(Kind.IN_DOUBT, Phase.FINAL, text=text)


def released() -> Outcome:
    """Nothing was begun."""
    return Outcome(Kind.RELEASED, Phase.CONNECT)
