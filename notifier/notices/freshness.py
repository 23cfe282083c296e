"""Rules on the dates in campaign.toml: a fact whose day has passed, or that contradicts another, blocks. Pure.

A notice that sends people to a form that was closed, or repeats a statement that its author has since replaced, is what
the CNIL calls imprecise; the person who reads it acts on it (DOMAIN A2, A6).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import pairwise

from notifier.campaign import Incident, Settings
from notifier.notices.findings import Finding


def check_dates(settings: Settings, today: date) -> list[Finding]:
    """Findings on every dated fact; ``today`` in the campaign's time zone."""
    found = list(_deadline(settings, today))
    for incident in settings.incidents:
        found += [*_order(incident, today), *_complaint(incident, today), *_statements(incident, today)]
    return found


def _deadline(settings: Settings, today: date) -> Iterator[Finding]:
    """Art. 34(1), without undue delay: a missed day is somebody's decision, and it is written down."""
    campaign = settings.campaign
    if campaign.notify_by is None or campaign.notify_by >= today:
        return
    if campaign.late_because.strip():
        text = f"{campaign.notify_by} has passed; accepted: {campaign.late_because}"
        yield Finding("notify-by-accepted", "campaign.notify_by", text, "warning")
        return
    yield Finding(
        "notify-by-passed",
        "campaign.notify_by",
        f"{campaign.notify_by} has passed: write a day that will be kept, or in late_because who accepted the delay, "
        "when and why",
    )


def check_end(settings: Settings, today: date, end: str, held_by: str) -> list[Finding]:
    """What follows when the projected ``end`` (in words) lies after ``notify_by``: as good as missed, and decided by
    somebody before it is. ``held_by``: what limits the pace. A day that has passed already is :func:`check_dates`'s."""
    campaign = settings.campaign
    if campaign.notify_by is None or campaign.notify_by < today:
        return []
    held = f", held back by {held_by}" if held_by else ""
    text = f"the projected end is {end}{held}: after {campaign.notify_by}"
    if campaign.late_because.strip():
        told = f"{text}; accepted: {campaign.late_because}"
        return [Finding("notify-by-accepted", "campaign.notify_by", told, "warning")]
    text += (
        ". Raise what holds it back, write a day that will be kept, or in late_because who accepted the delay, when "
        "and why"
    )
    return [Finding("notify-by-missed", "campaign.notify_by", text)]


def _order(incident: Incident, today: date) -> Iterator[Finding]:
    where = f"[[incidents]] {incident.code}"
    steps = [("occurred", incident.occurred), ("discovered", incident.discovered), ("told", incident.told)]
    for (_, earlier), (name, later) in pairwise(steps):
        if later < earlier:
            yield Finding("dates-contradict", f"{where}: {name}", f"{later} lies before {earlier}: correct one of them")
    for name, day in steps:
        if day > today:
            yield Finding("dates-contradict", f"{where}: {name}", f"{day} has not come yet: correct it")


def _complaint(incident: Incident, today: date) -> Iterator[Finding]:
    if incident.complaint and incident.complaint_until and incident.complaint_until < today:
        yield Finding(
            "complaint-over",
            f"[[incidents]] {incident.code}: complaint_until",
            f"this way to complain ended on {incident.complaint_until}: write the one that is open now, or take it out",
        )


def _statements(incident: Incident, today: date) -> Iterator[Finding]:
    """What was not exposed is somebody's statement of a day; a later one of the same author replaces it."""
    for place, one in enumerate(incident.not_exposed):
        where = f"[[incidents]] {incident.code}: not_exposed.{place}.dated"
        if one.dated > today:
            yield Finding("dates-contradict", where, f"{one.dated} has not come yet: correct it")
        newest = max(
            (
                other.dated
                for other in incident.not_exposed
                if other.source.casefold() == one.source.casefold() and set(other.audiences) & set(one.audiences)
            ),
        )
        if newest > one.dated:
            yield Finding(
                "not-exposed-outdated",
                where,
                f"{one.source} said more on {newest}: write what still holds into the statement of that day, and take "
                f"the one of {one.dated} out",
            )
