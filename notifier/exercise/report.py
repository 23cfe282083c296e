"""The drill's report: what was done, how long it took, what was decided, what would have stopped a real campaign.

Pure: facts in, one JSON body out; ``notifier/exercise/page.py`` makes the page for people of it. In French.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from notifier.campaign import Settings
from notifier.exercise.logbook import Logbook, StepTaken
from notifier.exercise.projection import Projection, project
from notifier.notices.findings import Finding
from notifier.notices.freshness import check_dates
from notifier.notices.readiness import check_settings

SIZES = (10_000, 100_000, 1_000_000)  # persons, when nobody said how many the real campaign has
OUTSIDE = {"files"}  # steps before the clock starts: the files come from outside

# What `check` says of a setting that is still blank, for whoever reads no English.
_SETTINGS: Mapping[str, str] = {
    "campaign.name": "donnez un nom à la campagne",
    "campaign.notify_by": "fixez le jour avant lequel tout le monde doit avoir été informé",
    "relay.host": "indiquez le serveur qui prend les messages",
    "relay.connections": "indiquez combien de sessions le relais accepte à la fois",
    "relay.rate": "indiquez combien de messages par seconde le relais accepte (0 = sans limite)",
    "pace.hours": "fixez les heures d'envoi",
    "pace.hotline_per_hour": "fixez combien de messages par heure (ou par jour) l'accueil téléphonique peut absorber",
    "households.adult_dependants": "décidez : courrier ou boîte du contrat pour les ayants droit adultes",
    "key.backed_up": "mettez une copie de la clé en lieu sûr, puis écrivez true",
    "incidents": "décrivez chaque violation dans un bloc [[incidents]]",
    "senders": "décrivez chaque mutuelle qui écrit dans un bloc [[senders]]",
}


def blanks(source: Settings, today: datetime) -> list[dict[str, str]]:
    """What `check` would say of these settings in a real campaign."""
    campaign = source.campaign.model_copy(update={"sample": False})
    real = source.model_copy(update={"drill": None, "campaign": campaign})
    found = [*check_settings(real), *check_dates(real, today.date())]
    return [{"code": each.code, "where": each.where, "text": _in_french(each)} for each in found if _stops(each)]


def _stops(finding: Finding) -> bool:
    return finding.severity == "error" or finding.code == "date"


def _in_french(finding: Finding) -> str:
    if finding.code == "invented-sender":
        return "cette adresse d'expéditeur est inventée : écrivez depuis le domaine de l'émetteur"
    return _SETTINGS.get(finding.where, finding.text)


def make_report(book: Logbook, source: Settings, *, real_size: int, now: datetime) -> dict[str, Any]:
    """The report's facts. ``source``: the settings that were rehearsed; ``now``: aware, in the campaign's zone."""
    steps = {step.name: step for step in book.steps}
    failed = [step for step in book.steps if step.error]
    measured = _measured(steps)
    projections = list(_projections(source, steps, measured, real_size, now))
    stopping = [*blanks(source, now), *_of_steps(failed), *_too_late(projections, source)]
    return {
        "format": book_format(),
        "exercise": True,
        "campaign": source.campaign.name,
        "made": now.isoformat(timespec="seconds"),
        "options": book.options,
        "finished": book.finished,
        "to_first_notice_seconds": _to_first_notice(steps),
        "total_seconds": round(sum(step.seconds for step in book.steps if step.name not in OUTSIDE), 1),
        "steps": [
            {"name": step.name, "title": step.title, "seconds": step.seconds, "error": step.error}
            for step in book.steps
        ],
        "decisions": [
            {"question": each.question, "answer": each.answer, "asked": each.asked, "seconds": each.seconds}
            for each in book.decisions
        ],
        "persons": _fact(steps, "status", "persons"),
        "notifications": _fact(steps, "status", "notifications"),
        "messages_per_minute": round(measured * 60, 1),
        "errors": list(_errors(steps)),
        "would_have_stopped": stopping,
        "warnings": [each for each in _findings(steps) if each["severity"] == "warning"],
        "projections": [_projected(each, source) for each in projections],
        "proof": {"intact": bool(_fact(steps, "verify", "intact")), "kind": _fact(steps, "verify", "kind") or ""},
    }


def book_format() -> str:
    """Of the report's JSON."""
    return "notifier-drill-report/1"


def _fact(steps: Mapping[str, StepTaken], name: str, key: str) -> Any:
    return steps[name].facts.get(key) if name in steps else None


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _to_first_notice(steps: Mapping[str, StepTaken]) -> float | None:
    """From the files being there to the first message that the relay accepted, by the clock on the wall."""
    first = _fact(steps, "export", "first_accepted")
    if not first or "init" not in steps:
        return None
    return round((_at(first) - _at(steps["init"].began)).total_seconds(), 1)


def _accepted(steps: Mapping[str, StepTaken]) -> int:
    """Messages that the relay accepted, by the journal: a sending that was cut off and run again counts as one."""
    outcomes = _fact(steps, "export", "outcomes") or {}
    return int(outcomes.get("delivery_accepted") or _fact(steps, "send", "accepted") or 0)


def _measured(steps: Mapping[str, StepTaken]) -> float:
    """Messages per second while messages went out; 0 if none did."""
    accepted = _accepted(steps)
    first, last = _fact(steps, "export", "first_accepted"), _fact(steps, "export", "last_accepted")
    if accepted > 1 and first and last and (span := (_at(last) - _at(first)).total_seconds()) > 0:
        return (accepted - 1) / span
    seconds = float(_fact(steps, "send", "seconds") or 0)
    return accepted / seconds if seconds else 0.0


def _projections(
    source: Settings, steps: Mapping[str, StepTaken], measured: float, real_size: int, now: datetime
) -> Iterator[Projection]:
    persons, accepted = _fact(steps, "status", "persons"), _accepted(steps)
    if not persons or not accepted or not measured:
        return
    for size in (real_size,) if real_size else SIZES:
        yield project(source, persons=size, share=accepted / persons, measured_per_second=measured, start=now)


def _projected(projection: Projection, source: Settings) -> dict[str, Any]:
    return {
        "persons": projection.persons,
        "messages": projection.messages,
        "per_hour": round(projection.per_hour),
        "narrowed_by": projection.narrowed_by,
        "start": projection.start.isoformat(timespec="minutes"),
        "end": projection.end.isoformat(timespec="minutes") if projection.end else None,
        "late": projection.late(source.campaign.notify_by),
    }


def _too_late(projections: Iterable[Projection], source: Settings) -> Iterator[dict[str, str]]:
    for each in projections:
        if each.late(source.campaign.notify_by):
            text = f"à cette cadence, {each.persons} personnes ne sont pas informées avant ce jour"
            yield {"code": "late", "where": "campaign.notify_by", "text": text}


def _of_steps(failed: Iterable[StepTaken]) -> Iterator[dict[str, str]]:
    for step in failed:
        yield {"code": "step", "where": step.title, "text": step.error}


def _findings(steps: Mapping[str, StepTaken]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = _fact(steps, "check", "findings") or []
    return found


def _errors(steps: Mapping[str, StepTaken]) -> Iterator[str]:
    """What was found on the way, in sentences; counts and codes, never a value (I8)."""
    for step in steps.values():
        if step.error:
            yield f"{step.title} : {step.error}"
        if rejected := step.facts.get("rejections"):
            codes = ", ".join(f"{code} {count}" for code, count in (step.facts.get("codes") or {}).items())
            lines = "ligne rejetée" if rejected == 1 else "lignes rejetées"
            yield f"{step.title} : {rejected} {lines}{f' ({codes})' if codes else ''}"
    for each in _findings(steps):
        if each["severity"] == "error":
            yield f"Contrôle : {each['where']} : {each['text']}"
    if opened := _fact(steps, "review", "open"):
        yield f"Cas à examiner : {opened}"
    terms = _fact(steps, "status", "notifications") or {}
    for term, what in (
        ("unmatched", "Personnes sans coordonnées dans le fichier des adhérents"),
        ("unreachable", "Personnes que ni e-mail ni courrier n'atteignent"),
        ("in_doubt", "Remises incertaines"),
        ("pending", "Notifications encore en attente"),
    ):
        if terms.get(term):
            yield f"{what} : {terms[term]}"
    for name, what in (("refused", "Messages refusés"), ("expired", "Messages abandonnés après tous les essais")):
        if count := _fact(steps, "send", name):
            yield f"{what} : {count}"
    if _fact(steps, "status", "balances") is False:
        yield "Les comptes ne tombent pas juste"
