"""What server replies mean, as data: the rules of data/providers.toml. Pure, given the file's content.

A rule holds when each condition that it names holds; the first rule that holds decides. Three things stand above the
rules, in :mod:`notifier.delivery.outcomes`, and no file changes them: only 2yz after the final dot accepts, no 4yz and
no 5.7.x makes an address bad (but for a provider's own number), and what no rule knows is temporary.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from notifier.errors import SettingsError

OTHER = "other"

# Orange and La Poste number their reasons; the last three digits mean the same under every code (DOMAIN D5).
_NUMBERED = re.compile(r"\b(?:LPNAAA|LPN|OFR|OUK)\d{0,3}[-_](\d{3})\b")
_PATTERN = re.compile(r"(\d{1,3})\.(\d{1,3}|\*)")


READ = 2000  # characters of a reply that rules look at; RFC 5321 4.5.3.1.5 allows 512 a line


class Action(StrEnum):
    """What a rule says."""

    REFUSED = "refused"  # the address is bad: by post
    DEFERRED = "deferred"  # later, and the attempt counts
    WAIT = "wait"  # the provider is tried again later, nothing is counted
    THROTTLE = "throttle"  # the same, and its lane is halved
    CLOSE = "close"  # the same, and its lane is closed at once
    OURS = "ours"  # the campaign pauses with the server's words: at RCPT and later once several recipients got them


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's reply as rules look at it. ``enhanced``: RFC 3463, "" where there is none."""

    provider: str
    phase: str
    code: int
    enhanced: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the first rule that holds says. ``seconds``: of a wait or of a closed lane, 0 = the provider's own;
    ``numbered``: a provider's own number decided; ``repeated``: said to several recipients, it is ours."""

    action: Action
    seconds: int = 0
    why: str = ""
    numbered: bool = False
    repeated: bool = False


UNKNOWN = Verdict(Action.DEFERRED, why="nobody has seen this yet")


@dataclass(frozen=True, slots=True)
class Rule:
    """One ``[[replies]]``. An empty condition asks nothing; ``enhanced`` holds (subject, detail or None) pairs, and
    None for "no enhanced code"."""

    verdict: Verdict
    providers: frozenset[str] = frozenset()
    phases: frozenset[str] = frozenset()
    codes: frozenset[int] = frozenset()
    enhanced: frozenset[tuple[int, int | None] | None] = frozenset()
    numbers: frozenset[int] = frozenset()
    words: re.Pattern[str] | None = None
    unless: re.Pattern[str] | None = None

    def holds_for(self, reply: Reply, number: int | None) -> bool:
        """Whether every condition holds. ``number``: the provider's own, if the words hold one."""
        return (
            (not self.providers or reply.provider in self.providers)
            and (not self.phases or reply.phase in self.phases)
            and (not self.codes or reply.code in self.codes or reply.code // 100 in self.codes)
            and (not self.enhanced or self._fits(reply.enhanced))
            and (not self.numbers or number in self.numbers)
            and (self.words is None or self.words.search(reply.text) is not None)
            and (self.unless is None or self.unless.search(reply.text) is None)
        )

    def _fits(self, enhanced: str) -> bool:
        if not enhanced:
            return None in self.enhanced
        _, subject, detail = (int(part) for part in enhanced.split("."))
        return (subject, detail) in self.enhanced or (subject, None) in self.enhanced


@dataclass(frozen=True, slots=True)
class Provider:
    """``[provider.NAME]``: mail servers shared by domains, and what they bear. ``mx``: suffixes of their names."""

    name: str
    domains: frozenset[str] = frozenset()
    mx: tuple[str, ...] = ()
    connections: int = 2
    per_second: float = 1.0
    close_seconds: int = 3600


@dataclass(frozen=True)
class Rulebook:
    """data/providers.toml as a whole."""

    version: str
    providers: Mapping[str, Provider]
    replies: tuple[Rule, ...]

    def verdict(self, reply: Reply) -> Verdict:
        """What the first rule that holds says; later, if none does."""
        found = _NUMBERED.search(reply.text)
        number = int(found.group(1)) if found else None
        return next((rule.verdict for rule in self.replies if rule.holds_for(reply, number)), UNKNOWN)

    def provider(self, name: str) -> Provider:
        """The provider of that name; who was dropped from the file since is treated as the small ones are."""
        return self.providers.get(name) or self.providers.get(OTHER) or Provider(OTHER)

    def of_address(self, address: str) -> str:
        """The provider that names the address's domain; "other" if none."""
        domain = address.rpartition("@")[2].lower()
        return next((one.name for one in self.providers.values() if domain in one.domains), OTHER)

    def of_mx(self, host: str) -> str:
        """The provider whose suffix ends the name of a mail server, the longest first; "other" if none."""
        name = host.rstrip(".").lower()
        fitting = [
            (len(suffix), provider.name)
            for provider in self.providers.values()
            for suffix in provider.mx
            if name == suffix or name.endswith(f".{suffix}")
        ]
        return max(fitting, default=(0, OTHER))[1]


def rulebook(raw: Mapping[str, Any], where: str) -> Rulebook:
    """The rules in a parsed file. Raises SettingsError, which names ``where`` and the rule."""
    try:
        providers = {str(name): _provider(str(name), body) for name, body in raw["provider"].items()}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SettingsError(f"{where}: [provider.…]: {error}") from error
    rules = []
    for place, body in enumerate(raw.get("replies", ()), 1):
        try:
            rules.append(_rule(body, providers))
        except (KeyError, TypeError, ValueError, re.error) as error:
            raise SettingsError(f"{where}: [[replies]] number {place} ({body.get('why', '?')}): {error}") from error
    return Rulebook(str(raw.get("version", "")), providers, tuple(rules))


def _provider(name: str, body: Mapping[str, Any]) -> Provider:
    provider = Provider(
        name,
        frozenset(str(domain).lower() for domain in body.get("domains", ())),
        tuple(str(suffix).lower() for suffix in body.get("mx", ())),
        int(body.get("connections", 2)),
        float(body.get("per_second", 1.0)),
        int(body.get("close_seconds", 3600)),
    )
    if provider.connections < 1 or provider.per_second <= 0 or provider.close_seconds < 1:
        raise ValueError(f"{name}: connections, per_second and close_seconds are above 0")
    return provider


_KNOWN = {
    "providers", "phases", "codes", "enhanced", "numbers", "words", "unless", "action", "seconds", "why",
    "repeated",
}  # fmt: skip
_PHASES = {"connect", "greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "final"}


def _rule(body: Mapping[str, Any], providers: Mapping[str, Provider]) -> Rule:
    if unknown := sorted(set(body) - _KNOWN):
        raise ValueError(f"no such condition: {', '.join(unknown)}")
    if unknown := sorted(set(body.get("providers", ())) - set(providers)):
        raise ValueError(f"no such provider: {', '.join(unknown)}")
    if unknown := sorted(set(body.get("phases", ())) - _PHASES):
        raise ValueError(f"no such phase: {', '.join(unknown)}")
    codes = frozenset(int(code) for code in body.get("codes", ()))
    if wrong := sorted(code for code in codes if code not in (4, 5) and not 400 <= code < 600):
        raise ValueError(f"codes are 4, 5, or from 400 to 599, not {wrong[0]}")
    numbers = frozenset(int(number) for number in body.get("numbers", ()))
    if (repeated := body.get("repeated", "")) not in ("", "ours"):
        raise ValueError(f'repeated is "ours" or nothing, not {repeated!r}')
    verdict = Verdict(
        Action(body["action"]),
        int(body.get("seconds", 0)),
        str(body.get("why", "")),
        numbered=bool(numbers),
        repeated=bool(repeated),
    )
    return Rule(
        verdict,
        frozenset(body.get("providers", ())),
        frozenset(body.get("phases", ())),
        codes,
        frozenset(_enhanced(body.get("enhanced", ()))),
        numbers,
        _compiled(body.get("words", "")),
        _compiled(body.get("unless", "")),
    )


def _enhanced(patterns: Sequence[str]) -> list[tuple[int, int | None] | None]:
    read: list[tuple[int, int | None] | None] = []
    for pattern in patterns:
        if pattern == "":
            read.append(None)
        elif found := _PATTERN.fullmatch(pattern):
            read.append((int(found[1]), None if found[2] == "*" else int(found[2])))
        else:
            raise ValueError(f'enhanced codes are written "1.1" or "7.*", not {pattern!r}')
    return read


def _compiled(pattern: str) -> re.Pattern[str] | None:
    return re.compile(pattern, re.IGNORECASE) if pattern else None
