"""Which texts a notice is made of: the rules of templates/catalogue.toml applied to a segment. Pure.

The first rule that holds is taken, so a special case stands above the general one. Paragraphs keep the order of the
catalogue: what matters most to the reader comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from notifier.model import Audience, Exposure, Form, SegmentKey, WaveKind


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of the catalogue. An empty condition asks nothing. ``categories`` is empty for a base."""

    file: str
    forms: frozenset[Form] = frozenset()
    audiences: frozenset[Audience] = frozenset()
    waves: frozenset[WaveKind] = frozenset()
    senders: frozenset[str] = frozenset()
    professions: frozenset[str] = frozenset()
    incidents: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()

    def holds_for(self, key: SegmentKey) -> bool:
        """Whether the segment fulfils every condition but those on single exposures."""
        return (
            (not self.forms or key.form in self.forms)
            and (not self.audiences or key.audience in self.audiences)
            and (not self.waves or key.wave_kind in self.waves)
            and (not self.senders or key.sender in self.senders)
            and (not self.professions or key.profession.casefold() in self.professions)
            and (not self.incidents or any(exposure.incident in self.incidents for exposure in key.exposures))
        )

    def covers(self, exposure: Exposure) -> bool:
        """Whether a paragraph speaks of this exposure."""
        return exposure.category in self.categories and (not self.incidents or exposure.incident in self.incidents)


@dataclass(frozen=True, slots=True)
class ChosenParagraph:
    """A paragraph file and the exposures of this segment that it speaks of."""

    file: str
    exposures: frozenset[Exposure]

    @property
    def categories(self) -> frozenset[str]:
        return frozenset(exposure.category for exposure in self.exposures)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a segment's notice is made of. ``base`` is None and ``uncovered`` not empty where the catalogue has a gap:
    nothing may then be sent (DOMAIN A2, rule 5)."""

    base: str | None
    paragraphs: tuple[ChosenParagraph, ...]
    uncovered: frozenset[Exposure]


def choose(bases: Iterable[Rule], paragraphs: Sequence[Rule], key: SegmentKey) -> Choice:
    """The base and the paragraphs for ``key``; every exposure is told by exactly one paragraph."""
    base = next((rule.file for rule in bases if rule.holds_for(key)), None)
    told: dict[str, set[Exposure]] = {}
    uncovered = set()
    for exposure in key.exposures:
        rule = next((rule for rule in paragraphs if rule.holds_for(key) and rule.covers(exposure)), None)
        if rule is None:
            uncovered.add(exposure)
        else:
            told.setdefault(rule.file, set()).add(exposure)
    order = {rule.file: place for place, rule in reversed(list(enumerate(paragraphs)))}
    chosen = (ChosenParagraph(file, frozenset(told[file])) for file in sorted(told, key=lambda file: order[file]))
    return Choice(base, tuple(chosen), frozenset(uncovered))
