"""The rules of rounds: which kind a wave is, how its persons are chosen, who goes first. Pure (DESIGN 3, 7).

A round after the first tells what was *told* apart from what is known: `storage/concerned.py` computes the difference.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from notifier.errors import OperatorError
from notifier.model import Audience, WaveKind

CHOSEN = frozenset({WaveKind.CORRECTION, WaveKind.FOLLOW_UP, WaveKind.PRECAUTION})

FIRST, SECOND, LAST = 0, 1, 2

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_HASH = re.compile(r"[0-9a-f]{8,64}")
_MONEY_OR_DOOR = frozenset({"rib", "portal_login"})


@dataclass(frozen=True, slots=True)
class Selection:
    """``--who``: what was told, to whom. An empty trait asks nothing; what is asked holds together. ``notice``: the
    first 8 or more hex digits of a batch's digest or of a frozen text's SHA-256."""

    notice: str = ""
    segment: str = ""
    incident: str = ""
    audience: str = ""
    sender: str = ""
    wave: str = ""

    def canonical(self) -> str:
        """The one spelling, as it stands in the journal: ``audience=insured wave=initial``."""
        told = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return " ".join(f"{name}={value}" for name, value in sorted(told.items()) if value)

    @classmethod
    def of(cls, traits: Iterable[str]) -> Selection:
        """From the command line. Raises OperatorError for a trait that is unknown, twice there, or no such value.

        >>> Selection.of(["wave=initial", "audience=insured"]).canonical()
        'audience=insured wave=initial'
        """
        told: dict[str, str] = {}
        for trait in traits:
            name, equals, value = (part.strip() for part in trait.partition("="))
            if not equals or not value or name not in cls.__dataclass_fields__:
                known = ", ".join(f"{each}=…" for each in cls.__dataclass_fields__)
                raise OperatorError(f"--who {trait}: no such choice (known: {known})")
            if told.setdefault(name, value) != value:
                raise OperatorError(f"--who {name} stands twice, and nobody is both: what is chosen must hold together")
        chosen = cls(**told)
        if chosen.segment and not chosen.segment.isdecimal():
            raise OperatorError(f"--who segment={chosen.segment}: give the segment's number (`plan --json` lists them)")
        if chosen.notice and not _HASH.fullmatch(chosen.notice):
            raise OperatorError("--who notice=…: give at least 8 hex digits of a batch's digest or a text's SHA-256")
        if chosen.audience and chosen.audience not in set(Audience):
            raise OperatorError(f"--who audience={chosen.audience}: known are {', '.join(Audience)}")
        return chosen

    @classmethod
    def stored(cls, canonical: str) -> Selection:
        """Inverse of :meth:`canonical`."""
        return cls.of(canonical.split())

    @property
    def names_a_notice(self) -> bool:
        """Whether it asks for traits of what was written, not only of the person."""
        return bool(self.notice or self.segment or self.audience or self.wave)


def kind_of(word: str) -> WaveKind:
    """A kind as it is written on the command line: ``follow-up`` or ``follow_up``."""
    try:
        return WaveKind(word.replace("_", "-"))
    except ValueError:
        raise OperatorError(f"--kind {word}: known are {', '.join(WaveKind)}") from None


def decide_kind(wave: str, asked: WaveKind | None, there: WaveKind | None) -> WaveKind:
    """The kind of ``wave``: what its first plan said (``there``), else what is asked, else what its name says."""
    if there is not None:
        if asked not in (None, there):
            raise OperatorError(f"wave {wave} is of kind {there.value} since its first plan: take another name")
        return there
    if not _NAME.fullmatch(wave):
        raise OperatorError(f"wave {wave!r}: a name is up to 40 of a-z, 0-9, dash and underscore")
    if asked is not None:
        return asked
    word = wave.replace("_", "-")
    if word not in set(WaveKind):
        raise OperatorError(f"wave {wave} is new: say its kind (--kind {'|'.join(WaveKind)})")
    return WaveKind(word)


def check_choice(wave: str, kind: WaveKind, chosen: Selection) -> None:
    """Raises OperatorError where a kind and a choice do not go together."""
    if kind in CHOSEN and chosen == Selection():
        raise OperatorError(
            f"wave {wave}: a {kind.value} goes to those whom you choose: --who wave=initial, incident=CODE, …"
        )
    if kind not in CHOSEN and chosen != Selection():
        raise OperatorError(
            f"wave {wave}: whom a round of kind {kind.value} concerns follows from what was told: no --who"
        )


def priority(audience: Audience, categories: Collection[str]) -> int:
    """Who goes first within a wave, 0 to 2: professionals whose bank details or log-in came out, for these are used
    within days; then insured persons whose NIR did; then the rest.

    >>> priority(Audience.PROFESSIONAL, {"rib"}), priority(Audience.DEPENDANT, {"nir"}), priority(Audience.INSURED, ())
    (0, 1, 2)
    """
    if audience in (Audience.PROFESSIONAL, Audience.COMPANY):
        return FIRST if not _MONEY_OR_DOOR.isdisjoint(categories) else LAST
    return SECOND if "nir" in categories else LAST


def sole_initial(wave: str, kind: WaveKind, others: Sequence[tuple[str, str]]) -> None:
    """Everybody is owed one first notice: raises OperatorError for a second round of kind initial. ``others``: name and
    kind of the other waves."""
    if kind is WaveKind.INITIAL:
        for name, there in others:
            if there == WaveKind.INITIAL:
                raise OperatorError(
                    f"wave {wave}: {name} is the first round, and who came later joins it (plan it again)"
                )
