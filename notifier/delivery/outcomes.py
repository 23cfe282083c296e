"""What a server's reply means: (phase, code, enhanced code, text) becomes an Outcome. Pure.

The code alone does not decide (RFC 5321 4.2.1, RFC 3463, DOMAIN D2): the same 550 is a dead mailbox at RCPT, a spam
verdict after the dot and a sender's fault at MAIL. Three rules stand above the table: 5.7.x and words of policy never
make an address bad; a permanent fault that concerns the sender, the login or the content is ours and stops the
campaign; and what we do not understand is temporary, for a second try costs little and a letter sent in error more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


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
    OURS = "ours"  # the campaign pauses with the server's words
    IN_DOUBT = "in_doubt"  # the final dot may have gone out, and no answer came
    LOST = "lost"  # the connection broke before anything was handed over: at once, does not count
    RELEASED = "released"  # not begun: as if never claimed


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended. ``code``: None when no reply came; ``text``: the server's words, verbatim (they may
    echo the address: redact before storing or logging, I8) or ours where there are none."""

    kind: Kind
    phase: Phase
    code: int | None = None
    enhanced: str = ""
    text: str = ""


_SESSION = frozenset({Phase.CONNECT, Phase.GREETING, Phase.EHLO, Phase.STARTTLS, Phase.AUTH})
_ENHANCED = re.compile(r"^\s*([245]\.\d{1,3}\.\d{1,3})(?![\d.])")

# Orange and La Poste number their reasons; the last three digits mean the same under every class (DOMAIN D5).
_FRENCH = re.compile(r"\b(?:LPNAAA|LPN|OFR|OUK)\d{0,3}[-_](\d{3})\b")
_FRENCH_UNKNOWN = frozenset({416, 418, 420, 426})
_FRENCH_FULL = frozenset({417})
_FRENCH_OURS = frozenset({305, 401, 402, 403, 405, 415, 421, 514, 517})

_DENIED_RELAY = re.compile(
    r"relay(?:ing)?\b.{0,30}\b(?:denied|not (?:permitted|allowed)|prohibited)|"
    r"(?:unable|not (?:permitted|allowed)) to relay|"
    r"authenticat\w+ (?:is )?required|must (?:be authenticated|authenticate)",
    re.IGNORECASE,
)
_FAST = re.compile(
    r"\brate\b|too (?:fast|many (?!recipients))|throttl|limit exceeded|\bquota of messages\b", re.IGNORECASE
)
_FULL = re.compile(
    r"mailbox (?:is )?full|over ?quota|quota exceeded|insufficient (?:system )?storage|bo[iî]te pleine", re.I
)
_POLICY = re.compile(
    r"spam|\bblock(?:ed|list)|blacklist|\bbl[ao]ck\b|\brbl\b|\bdnsbl\b|reputation|policy|\bbanned\b|unsolicited|"
    r"\babuse\b|service refused|not accepted from",
    re.IGNORECASE,
)
_SIZE = re.compile(r"too (?:big|large)|size (?:limit|exceeds)|exceeds.{0,20}size", re.IGNORECASE)
_NO_SUCH = re.compile(
    r"(?:user|recipient|mailbox|address|account).{0,40}(?:unknown|not found|unavailable|does ?n.t exist|disabled|"
    r"inactive|rejected|invalid)|(?:unknown|no such|invalid) (?:user|recipient|mailbox|address|local)|"
    r"utilisateur inconnu|adresse inconnue",
    re.IGNORECASE,
)


def enhanced_code(text: str) -> str:
    """The enhanced status code of RFC 3463 at the head of a reply, or ""."""
    found = _ENHANCED.match(text)
    return found.group(1) if found else ""


def classify(phase: Phase, code: int, text: str) -> Outcome:
    """What the reply ``code text`` means at ``phase``. ``code`` outside 200 … 599 (a server that talks nonsense)
    is in doubt after the final dot and temporary before it."""
    enhanced = enhanced_code(text)
    return Outcome(_kind(phase, code, enhanced, text), phase, code, enhanced, text)


def _kind(phase: Phase, code: int, enhanced: str, text: str) -> Kind:
    if 200 <= code < 300:
        # 250 is the usual one; any 2yz there means that the server answers for the message (RFC 5321 4.2.1).
        return Kind.ACCEPTED if phase is Phase.FINAL else Kind.DEFERRED
    if 400 <= code < 500:
        return _temporary(code, enhanced, text)
    if 500 <= code < 600:
        if phase in _SESSION or phase is Phase.MAIL:
            return _permanent_before_recipient(enhanced, text)
        return _permanent(phase, code, enhanced, text)
    return Kind.IN_DOUBT if phase is Phase.FINAL else Kind.DEFERRED


def _temporary(code: int, enhanced: str, text: str) -> Kind:
    if _FULL.search(text) or enhanced.startswith("4.2.2"):
        return Kind.DEFERRED
    # 421 speaks of the connection, 4.7.x and "too fast" of us: none of it is this person's (DOMAIN D5). Greylisting
    # is, and its first delay is the schedule's.
    if "greylist" in text.lower() or "graylist" in text.lower():
        return Kind.DEFERRED
    if code == 421 or enhanced.startswith("4.7.") or _FAST.search(text) or _FRENCH.search(text):
        return Kind.PROVIDER_WAIT
    return Kind.DEFERRED


def _permanent_before_recipient(enhanced: str, text: str) -> Kind:
    """5yz before a recipient was named concerns all of them (DOMAIN D1), so the campaign pauses; but a full disk or
    a throttle under the wrong class is weather."""
    reason = _french(text)
    if reason is not None:
        return reason if reason is Kind.OURS else Kind.PROVIDER_WAIT
    return Kind.PROVIDER_WAIT if _FAST.search(text) or enhanced.startswith("5.3.1") else Kind.OURS


def _french(text: str) -> Kind | None:
    found = _FRENCH.search(text)
    if not found:
        return None
    number = int(found.group(1))
    if number in _FRENCH_UNKNOWN:
        return Kind.REFUSED
    if number in _FRENCH_FULL:
        return Kind.DEFERRED
    return Kind.OURS if number in _FRENCH_OURS else Kind.PROVIDER_WAIT


def _permanent(phase: Phase, code: int, enhanced: str, text: str) -> Kind:  # noqa: PLR0911  (a table, read downwards)
    """5yz at RCPT, at DATA or after the final dot."""
    reason = _french(text)
    if reason is not None:
        return reason
    if _DENIED_RELAY.search(text):
        return Kind.OURS
    if enhanced:
        return _by_enhanced(phase, enhanced, text)
    if code in (530, 535, 538):  # RFC 4954: the login
        return Kind.OURS
    if _POLICY.search(text) or _FAST.search(text):
        return Kind.PROVIDER_WAIT
    if code == 552:  # at RCPT "too many recipients", to be taken as 452 (RFC 5321 4.5.3.1.10)
        return Kind.OURS if phase is Phase.FINAL and _SIZE.search(text) else Kind.DEFERRED
    if _FULL.search(text):
        return Kind.DEFERRED
    if phase is Phase.RCPT:
        if code in (500, 502, 503, 504, 555):  # we said something that the server does not speak
            return Kind.OURS
        # 550 at RCPT is "mailbox unavailable"; 521 and 556 host or domain takes no mail (RFC 7504); 551 moved;
        # 501 and 553 the mailbox's name is not allowed. 554 says nothing by itself.
        if code in (501, 521, 550, 551, 553, 556) or _NO_SUCH.search(text):
            return Kind.REFUSED
    elif _NO_SUCH.search(text):
        return Kind.REFUSED
    elif _SIZE.search(text) or code in (500, 501, 502, 503, 504, 555):
        return Kind.OURS
    return Kind.DEFERRED


def _by_enhanced(phase: Phase, enhanced: str, text: str) -> Kind:  # noqa: PLR0911  (a table, read downwards)
    _, subject, detail = (int(part) for part in enhanced.split("."))
    if subject == 1:
        # 5.1.7 and 5.1.8 speak of the sender's address, all others of the recipient's (RFC 3463 3.2).
        return Kind.OURS if detail in (7, 8) else Kind.REFUSED
    if subject == 2:
        if detail == 3 or _SIZE.search(text):
            return Kind.OURS
        return Kind.REFUSED if detail in (0, 1) and not _FULL.search(text) else Kind.DEFERRED
    if subject == 3:
        return Kind.OURS if detail == 4 else Kind.DEFERRED
    if subject == 4:
        # 5.4.1 is how Microsoft 365 says "no such recipient"; 5.4.4 no route, the domain is gone.
        return Kind.REFUSED if detail in (0, 1, 4) and phase is Phase.RCPT else Kind.DEFERRED
    if subject == 5:
        return Kind.DEFERRED if detail == 3 else Kind.OURS  # 5.5.3: too many recipients
    if subject == 6:
        return Kind.REFUSED if detail == 7 else Kind.OURS  # 5.6.7: the mailbox needs SMTPUTF8 (RFC 6531)
    if subject == 7:
        # RFC 7372 and the login codes are ours to mend; the rest is policy, never a bad address. 5.7.27: null MX
        # of the sender; 5.7.509, 5.7.515: Microsoft's words for a DMARC or SPF failure.
        return Kind.OURS if detail in (8, 9, 11, 515, 509) or 20 <= detail <= 27 else Kind.PROVIDER_WAIT
    return Kind.DEFERRED


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
