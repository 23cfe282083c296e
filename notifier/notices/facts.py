"""What templates may speak of: the facts of campaign.toml for one segment, ready for print. Pure.

Templates see these and nothing else: no settings object, no person. Facts are plain text; ``escaped`` keeps them from
being read as Markdown, so that no setting can draw a link or a heading.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from notifier.campaign import Incident, Sender, Settings, WaveWords
from notifier.errors import TemplateError
from notifier.model import Audience, SegmentKey, WaveKind
from notifier.notices.catalogue import Language
from notifier.notices.personal import Marker, has_marker

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&])")
_ESCAPE = re.compile(r"\\([\\`*_\[\]<>#|~&.)+=-])")
_BLOCK_START = re.compile(r"^(\s*)(?:(\d+)([.)])|([-+=]))")


class Markdown(str):
    """Text that is Markdown already and is not escaped again."""

    __slots__ = ()


def escaped(value: object) -> Markdown:
    """``value`` as Markdown that reads as exactly this text, on one line."""
    if isinstance(value, Markdown):
        return value
    text = " ".join(str(value).split())
    if has_marker(text):
        raise TemplateError("campaign.toml holds a private-use character (U+E000 to U+E004); delete it")
    text = _SPECIAL.sub(r"\\\1", text)
    return Markdown(_BLOCK_START.sub(_escape_block_start, text))


def plain(value: object) -> str:
    """``value`` where no Markdown is read (the subject): what :func:`escaped` added is taken away again."""
    return _ESCAPE.sub(r"\1", value) if isinstance(value, Markdown) else str(value)


def _escape_block_start(match: re.Match[str]) -> str:
    space, number, dot, sign = match.groups()
    return f"{space}{number}\\{dot}" if number else f"{space}\\{sign}"


@dataclass(frozen=True, slots=True)
class PersonMarkers:
    """``person`` in templates. Nothing else about a person can be printed (DOMAIN A7: never NIR, birth date, RIB …)."""

    salutation: Markdown
    name: Markdown
    reference: Markdown
    concerned: Markdown
    concerned_line: Markdown


PERSON = PersonMarkers(
    salutation=Markdown(Marker.SALUTATION.value),
    name=Markdown(Marker.NAME.value),
    reference=Markdown(Marker.REFERENCE.value),
    concerned=Markdown(Marker.CONCERNED.value),
    concerned_line=Markdown(Marker.CONCERNED_LINE.value),
)


@dataclass(frozen=True, slots=True)
class SenderFacts:
    """``sender`` in templates."""

    brand: str
    is_operator: bool
    website: str
    postal_address: str
    dpo_name: str
    dpo_address: str
    reply_to: str


@dataclass(frozen=True, slots=True)
class HelplineFacts:
    """``helpline`` in templates, or None. ``reserved``: this audience has the line for itself."""

    phone: str
    hours: str
    reserved: bool


@dataclass(frozen=True, slots=True)
class SafeFacts:
    """What did not come out, who says so, when, and how surely."""

    what: str
    source: str
    dated: str
    conditional: bool


@dataclass(frozen=True, slots=True)
class ComplaintFacts:
    """How to complain about this incident. ``until``: "" = no end known."""

    text: str
    until: str


@dataclass(frozen=True, slots=True)
class IncidentFacts:
    """One of ``incidents`` in templates. ``labels``: what of the reader's data was exposed there. ``is_new``: in a
    supplement, a second breach, of which the reader hears for the first time."""

    code: str
    operator: str
    operator_role: str
    occurred: str
    discovered: str
    told: str
    same_day: bool
    what_happened: str
    operator_measures: tuple[str, ...]
    portal: str
    not_exposed: tuple[SafeFacts, ...]
    labels: tuple[Markdown, ...] = ()
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class WaveFacts:
    """``wave`` in templates: what campaign.toml says for this round; all empty in the first one."""

    wrong: str = ""
    right: str = ""
    news: str = ""
    advice: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """All facts of a segment. What two incidents share is told once."""

    sender: SenderFacts
    helpline: HelplineFacts | None
    incidents: tuple[IncidentFacts, ...]
    measures: tuple[str, ...]
    services: tuple[str, ...]
    unknowns: tuple[str, ...]
    next_news: tuple[str, ...]
    complaints: tuple[ComplaintFacts, ...]
    wave: WaveFacts = WaveFacts()


def gather(key: SegmentKey, settings: Settings, language: Language) -> Facts:
    """The facts of this segment. Raises SettingsError for an incident or a sender that campaign.toml lacks."""
    codes = {exposure.incident for exposure in key.exposures}
    for code in sorted(codes):
        settings.incident(code)
    incidents = [incident for incident in settings.incidents if incident.code in codes]
    sender = settings.sender(key.sender)
    words = settings.waves.get(key.wave)
    new = words.new_incidents if words and key.wave_kind is WaveKind.SUPPLEMENT else ()
    audience = Audience.PROFESSIONAL if key.audience is Audience.COMPANY else key.audience

    def day(value: date) -> str:
        number = language.first_day if value.day == 1 else str(value.day)
        return f"{number} {language.months[value.month - 1]} {value.year}"

    return Facts(
        sender=_sender(sender),
        helpline=_helpline(sender, key.audience),
        incidents=tuple(_incident(incident, audience, day, incident.code in new) for incident in incidents),
        measures=_once(measure for incident in incidents for measure in incident.measures),
        services=_once(_service(incident, audience) for incident in incidents),
        unknowns=_once(incident.unknown_yet for incident in incidents),
        next_news=_once(incident.next_news for incident in incidents),
        complaints=tuple(
            dict.fromkeys(
                ComplaintFacts(incident.complaint, day(incident.complaint_until) if incident.complaint_until else "")
                for incident in incidents
                if incident.complaint
            )
        ),
        wave=_wave(words),
    )


def _wave(words: WaveWords | None) -> WaveFacts:
    return WaveFacts(words.wrong, words.right, words.news, words.advice) if words else WaveFacts()


def _sender(sender: Sender) -> SenderFacts:
    return SenderFacts(
        brand=sender.brand,
        is_operator=sender.role == "operator",
        website=sender.website,
        postal_address=sender.postal_address,
        dpo_name=sender.dpo_name,
        dpo_address=sender.dpo_address,
        reply_to=sender.reply_to,
    )


def _helpline(sender: Sender, audience: Audience) -> HelplineFacts | None:
    line = sender.helpline(audience)
    return HelplineFacts(line.phone, line.hours, audience.value in sender.helplines) if line else None


def _service(incident: Incident, audience: Audience) -> str:
    """Can I use my card / when am I paid: two voices, and never the one in place of the other."""
    return incident.state_of_service_professionals if audience is Audience.PROFESSIONAL else incident.state_of_service


def _incident(incident: Incident, audience: Audience, day: Callable[[date], str], is_new: bool) -> IncidentFacts:
    return IncidentFacts(
        code=incident.code,
        operator=incident.operator,
        operator_role=incident.operator_role,
        occurred=day(incident.occurred),
        discovered=day(incident.discovered),
        told=day(incident.told),
        same_day=incident.occurred == incident.discovered,
        what_happened=incident.what_happened,
        operator_measures=incident.operator_measures,
        portal=incident.portal,
        not_exposed=tuple(
            SafeFacts(
                what=safe.what[:1].lower() + safe.what[1:].rstrip(". "),
                source=safe.source,
                dated=day(safe.dated),
                conditional=safe.mood == "conditional",
            )
            for safe in incident.not_exposed
            if audience in safe.audiences
        ),
        is_new=is_new,
    )


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))
