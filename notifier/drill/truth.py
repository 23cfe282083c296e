"""What is true of every person of a drill: whom to tell, of what, and where. Pure, apart from :func:`read_truth`.

The rules of DESIGN 7 are applied here to what the drill itself knows of a person, not to what can be read from its
files: nobody has to be matched, so that a fault in matching shows as a difference.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path

from notifier.drill.households import Case
from notifier.drill.people import Member
from notifier.model import Audience, Route

TOLD_OWN, TOLD_HOLDER, TOLD_ESTABLISHMENTS = "own", "holder", "establishments"

_VIAMEDIS = ("birth_date", "civil_status", "contract", "guarantees", "insurer", "nir")
_ALMERYS = ("birth_date", "civil_status", "contract", "insurer", "nir")
_PROFESSIONAL = ("company_name", "email", "finess", "name", "phone", "postal_address", "siret")


@dataclass(frozen=True, slots=True)
class TruthLine:
    """One line of truth.jsonl.

    ``person``: a number of the drill, by which the lines are sorted. ``exposures``: sorted "incident:category".
    ``email``: the mailbox that must receive the notice for this person, "" unless ``route`` is email. ``told``: own,
    holder (a minor, in one notice per ``household``) or establishments (in one notice per ``household``).
    ``excluded``: deceased, operator (not in the corrected file any more), or "". ``member``: the number in the
    directory, "" if in none; ``noise``: which field of one of the person's rows has a typing error, or "".
    """

    person: str
    audience: str
    exposures: tuple[str, ...]
    route: str
    email: str
    told: str
    household: str
    case: str
    excluded: str
    member: str = ""
    noise: str = ""

    def as_json(self) -> str:
        """The line without its end. Every value is ASCII without quotes or backslashes, by construction."""
        exposures = '", "'.join(self.exposures)
        return (
            f'{{"person": "{self.person}", "audience": "{self.audience}", "exposures": ["{exposures}"], '
            f'"route": "{self.route}", "email": "{self.email}", "told": "{self.told}", '
            f'"household": "{self.household}", "case": "{self.case}", "excluded": "{self.excluded}"'
            + (f', "member": "{self.member}", "noise": "{self.noise}"}}' if self.member else "}")
        )


def read_truth(path: Path) -> Iterator[TruthLine]:
    """The lines of a truth.jsonl, one by one."""
    names = [field.name for field in fields(TruthLine)]
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            body = json.loads(line)
            body["exposures"] = tuple(body["exposures"])
            yield TruthLine(**{name: body[name] for name in names if name in body})


def expected_messages(truth_lines: Iterable[TruthLine]) -> Counter[str]:
    """How many messages each mailbox must receive: one for each person told in an own notice, one for each household
    whose children its holder is told about, one for each practitioner's group of establishments."""
    messages: Counter[str] = Counter()
    grouped: set[tuple[str, str, str]] = set()
    for line in truth_lines:
        if line.route != Route.EMAIL:
            continue
        if line.told == TOLD_OWN:
            messages[line.email] += 1
        elif (group := (line.told, line.household, line.email)) not in grouped:
            grouped.add(group)
            messages[line.email] += 1
    return messages


def _insured_exposures(almerys: bool, almerys_rank: bool, viamedis: bool, viamedis_rank: bool) -> tuple[str, ...]:
    exposed = [f"almerys:{code}" for code in (*_ALMERYS, *["birth_rank"] * almerys_rank) if almerys]
    exposed += [f"viamedis:{code}" for code in (*_VIAMEDIS, *["birth_rank"] * viamedis_rank) if viamedis]
    return tuple(sorted(exposed))


# In Almerys' file, with a rank there, in Viamedis' file, with a rank there: worked out once, not per person.
_INSURED_EXPOSURES = {case: _insured_exposures(*case) for case in product((False, True), repeat=4)}


def insured_line(person: str, member: Member, holder: Member, *, is_hard: bool = False) -> TruthLine:
    """What is owed to an affected member of ``holder``'s contract. ``is_hard``: of a drill that says which member of
    the directory it is."""
    exposures = _INSURED_EXPOSURES[
        member.in_almerys, bool(member.rank_almerys), member.in_viamedis, bool(member.rank_viamedis)
    ]
    number, noise = (f"A{member.number:08d}", member.noise) if is_hard else ("", "")
    if member.is_withdrawn:
        return TruthLine(
            person, Audience.INSURED, exposures, Route.NONE, "", TOLD_OWN, "", member.case, "operator", number, noise
        )
    if not member.is_listed and not member.only_in_old:
        return TruthLine(person, Audience.INSURED, exposures, Route.NONE, "", TOLD_OWN, "", member.case, "")
    audience = Audience.INSURED if member.link == "A" else Audience.DEPENDANT
    if member.status == "décédé":
        return TruthLine(person, audience, exposures, Route.NONE, "", TOLD_OWN, "", member.case, "deceased")
    if member.status == "radié" or member.only_in_old:
        audience = Audience.PAST_MEMBER
    reader, told, household = member, TOLD_OWN, ""
    if member.is_minor:
        reader, told, household = holder, TOLD_HOLDER, f"H{member.contract:07d}"
    mailbox = "" if reader.is_protected or reader.is_opposed or reader.is_at_agency else reader.email
    route = Route.EMAIL if mailbox else Route.POST if reader.address else Route.NONE
    email = reader.email if route is Route.EMAIL else ""
    return TruthLine(person, audience, exposures, route, email, told, household, member.case, "", number, noise)


def professional_exposures(files: Iterable[tuple[str, bool, bool]]) -> tuple[str, ...]:
    """Of a professional who stands in ``files``: (operator, with LOGIN, with RIB), one per row."""
    exposed: set[str] = set()
    for operator, has_login, has_rib in files:
        exposed.update(f"{operator}:{code}" for code in _PROFESSIONAL)
        if has_login:
            exposed.add(f"{operator}:portal_login")
        if has_rib:
            exposed.add(f"{operator}:rib")
    return tuple(sorted(exposed))


def professional_line(person: str, exposures: tuple[str, ...], email: str, *, case: Case, group: str) -> TruthLine:
    """What is owed to a professional; ``group``: the establishments that share the mailbox, "" = this one alone."""
    route = Route.EMAIL if email else Route.POST
    told = TOLD_ESTABLISHMENTS if group else TOLD_OWN
    return TruthLine(person, Audience.PROFESSIONAL, exposures, route, email, told, group, case, "")
