"""Which pace a provider's lane has: what the campaign wrote, else the proposal if it is taken, else what a throttle
left of it. Pure.

``[pace.rates]`` holds always: somebody wrote it for this campaign, and 0 says "no pace". The proposals of
data/providers.toml hold with ``[pace] providers = true``. A lane without either has no pace until its provider asks for
less: then the share that delivery/lanes.py keeps is one of what the provider was given in the minute before
(``Lane.base``), until the share is whole again. A throttled lane that has a pace uses the share of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from notifier.campaign import Settings
from notifier.delivery.lanes import Lane
from notifier.delivery.pace import Pace
from notifier.delivery.rules import Rulebook
from notifier.errors import SettingsError

SLOWEST = 1 / 60  # messages per second: a throttled lane goes on tasting, unless it is meant to be slower


def unknown_rates(settings: Settings, providers: Collection[str]) -> list[str]:
    """The names in ``[pace.rates]`` that data/providers.toml does not know."""
    return sorted(set(settings.pace.rates) - set(providers))


def check_rates(settings: Settings, rules: Rulebook) -> None:
    """Raises SettingsError for a rate that nobody would keep: its provider is not known."""
    if unknown := unknown_rates(settings, rules.providers):
        known = ", ".join(sorted(rules.providers))
        raise SettingsError(f"pace.rates.{unknown[0]}: no such provider in data/providers.toml (there: {known})")


@dataclass(frozen=True, slots=True)
class Paces:
    """``rates``: messages per second by provider, all > 0; who is not there has no pace of its own."""

    rates: Mapping[str, float]

    @classmethod
    def of(cls, settings: Settings, rules: Rulebook) -> Paces:
        """A drill has none: its relay's own holds."""
        if settings.drill is not None:
            return cls({})
        rates = {name: one.per_second for name, one in rules.providers.items() if settings.pace.providers}
        return cls({name: rate for name, rate in {**rates, **settings.pace.rates}.items() if rate > 0})

    def rate(self, provider: str, lane: Lane | None) -> float | None:
        """Messages per second of this lane now; None = no pace of its own."""
        full = self.rates.get(provider)
        share = 1.0 if lane is None else lane.factor
        if full is None:
            if lane is None or share >= 1.0 or lane.base <= 0:
                return None
            full = lane.base
        return full if share >= 1.0 else max(full * share, min(full, SLOWEST))

    def all(self, lanes: Mapping[str, Lane]) -> dict[str, Pace]:
        """The pace of every lane that has one. Burst 1: a provider counts for itself."""
        if not self.rates and not lanes:
            return {}
        rates = {name: self.rate(name, lanes.get(name)) for name in {*self.rates, *lanes}}
        return {name: Pace(rate) for name, rate in rates.items() if rate is not None}
