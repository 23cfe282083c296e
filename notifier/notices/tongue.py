"""In which language a segment is told, and the campaign's facts in that language. Pure.

A reader gets the language that the directory names, if there are texts in it; who speaks a language without texts gets
the catalogue's ``other_language`` (English); everybody else the campaign's own. A language is taken only when all that
campaign.toml says of the segment is said in it too: a notice is never half in one language and half in another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from notifier.campaign import Incident, Sender, Settings, WaveWords
from notifier.model import SegmentKey
from notifier.notices.catalogue import Catalogue

_INCIDENT = (
    "operator_role",
    "what_happened",
    "measures",
    "operator_measures",
    "state_of_service",
    "state_of_service_professionals",
    "not_exposed",
    "unknown_yet",
    "next_news",
    "complaint",
)
_WAVE = ("wrong", "right", "news", "advice")


@dataclass(frozen=True, slots=True)
class Tongue:
    """The language of a segment's notice. ``missing``: what campaign.toml does not say in a language that would have
    been better, each as the place where it belongs; empty when nothing better has texts."""

    language: str
    missing: tuple[str, ...] = ()


def tongue(key: SegmentKey, catalogue: Catalogue, settings: Settings) -> Tongue:
    """The language in which this segment is told."""
    missing: list[str] = []
    for language in catalogue.languages_for(key.language):
        lacking = untranslated(key, settings, language)
        if not lacking:
            return Tongue(language, tuple(missing))
        missing += lacking
    return Tongue(catalogue.default_language, tuple(missing))


def untranslated(key: SegmentKey, settings: Settings, language: str) -> list[str]:
    """What campaign.toml says of the segment in its own language and not in ``language``."""
    if language == settings.campaign.language:
        return []
    codes = {exposure.incident for exposure in key.exposures}
    return [
        f"{place}.{language}: {name}"
        for place, names in (
            *(
                (f"[[incidents]] {incident.code}: translations", _of_incident(incident, language))
                for incident in settings.incidents
                if incident.code in codes
            ),
            (f"[[senders]] {key.sender}: translations", _of_sender(settings.sender(key.sender), language)),
            (f"[waves.{key.wave}]: translations", _of_wave(settings.waves.get(key.wave), language)),
        )
        for name in names
    ]


def translated(key: SegmentKey, settings: Settings, language: str) -> Settings:
    """``settings`` with what they say of the segment in ``language``, which must be one that :func:`tongue` gave."""
    if language == settings.campaign.language:
        return settings
    words = settings.waves.get(key.wave)
    return settings.model_copy(
        update={
            "incidents": tuple(_incident(incident, language) for incident in settings.incidents),
            "senders": tuple(_sender(sender, language) for sender in settings.senders),
            "waves": {**settings.waves, **({key.wave: _wave(words, language)} if words else {})},
        }
    )


def _of_incident(incident: Incident, language: str) -> Iterator[str]:
    there = incident.translations.get(language)
    for name in _INCIDENT:
        if _lacks(getattr(incident, name), getattr(there, name) if there else ()):
            yield name


def _of_sender(sender: Sender, language: str) -> Iterator[str]:
    there = sender.translations.get(language)
    if sender.dpo_name and not (there and there.dpo_name):
        yield "dpo_name"
    for name, line in sender.helplines.items():
        if line.hours and not (there and there.hours.get(name)):
            yield f"hours.{name}"


def _of_wave(words: WaveWords | None, language: str) -> Iterator[str]:
    there = words.translations.get(language) if words else None
    for name in _WAVE if words else ():
        if _lacks(getattr(words, name), getattr(there, name) if there else ()):
            yield name


def _lacks(original: str | Sequence[object], there: str | Sequence[object]) -> bool:
    """Whether something is said and its translation is not, or not all of it."""
    if isinstance(original, str):
        return bool(original.strip()) and not (isinstance(there, str) and there.strip())
    return len(original) != len(there)


def _incident(incident: Incident, language: str) -> Incident:
    there = incident.translations.get(language)
    if there is None:
        return incident
    said = {name: getattr(there, name) for name in _INCIDENT if name != "not_exposed" and getattr(there, name)}
    safe = tuple(
        one.model_copy(update={"what": what})
        for one, what in zip(incident.not_exposed, there.not_exposed, strict=False)
    )
    return incident.model_copy(update={**said, "not_exposed": safe})


def _sender(sender: Sender, language: str) -> Sender:
    there = sender.translations.get(language)
    if there is None:
        return sender
    lines = {
        name: line.model_copy(update={"hours": there.hours.get(name, line.hours)})
        for name, line in sender.helplines.items()
    }
    return sender.model_copy(update={"dpo_name": there.dpo_name or sender.dpo_name, "helplines": lines})


def _wave(words: WaveWords, language: str) -> WaveWords:
    there = words.translations.get(language)
    if there is None:
        return words
    return words.model_copy(update={name: getattr(there, name) for name in _WAVE if getattr(there, name)})
