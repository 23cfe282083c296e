"""Is this person concerned? The look-up behind the helpline and Art. 15 requests.

By the case reference of a notice, or by what somebody says of itself, turned into the same keyed digests as at intake
and compared with those of every sender. What was said is not stored. Each look-up is journaled, found or not: who asks
about whom is itself personal data.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from notifier.campaign import Settings
from notifier.errors import OperatorError
from notifier.model import Contact, DataCategory, Entry, Exposure, from_ms, parse_exposures
from notifier.people.identity import (
    InsuredFacts,
    Key,
    ProfessionalFacts,
    group_key,
    insured_identity,
    professional_identity,
    rungs,
)
from notifier.people.references import persons_of
from notifier.storage import journal, lookups
from notifier.storage.database import Connection, Database
from notifier.storage.lookups import Affected, Owing
from notifier.vault import Vault

OPERATOR = "operator"  # persons.excluded
REFERENCE, IDENTITY = "reference", "identity"
_STATES = {
    "queued": "waits to be sent",
    "sending": "is being sent",
    "deferred": "the server asked to try again later",
    "unmade": "its message could not be made: somebody looks into it",
    "in_doubt": "may have arrived: no answer was recorded",
    "accepted": "accepted by the relay",
    "delivered": "taken by the recipient's own server",
    "refused": "refused: no such mailbox",
    "expired": "given up after days of trying",
    "bounced": "returned",
    "withdrawn": "taken back before it went out",
    "to_print": "a letter to be printed",
    "printed": "a letter, printed",
    "posted": "a letter, posted",
    "returned": "a letter that came back",
}


@dataclass(frozen=True, slots=True, repr=False)
class Said:
    """What somebody says of itself, in the normal forms of intake. ``compared``: of what it consists, for the answer
    and the journal; no value."""

    compared: str
    nir: str = ""
    birth_date: str = ""
    forename: str = ""
    name: str = ""
    contract: str = ""
    siret: str = ""
    finess: str = ""
    rpps: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """One wave of a found person. ``sent``: when a notice went out, or may have; ``state``: of its delivery, "" = it
    has none; ``by_decision``: accepted because somebody decided so, not by the relay's answer."""

    wave: str
    kind: str
    route: str
    reason: str
    state: str
    approved: bool
    sent: datetime | None
    reference: str
    by_decision: bool = False

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "wave": self.wave,
            "kind": self.kind,
            "route": self.route,
            "reason": self.reason,
            "state": self.state,
            "approved": self.approved,
            "sent": self.sent.isoformat() if self.sent else None,
            "reference": self.reference,
            "by_decision": self.by_decision,
        }

    def line(self, zone: tzinfo) -> str:
        """For the terminal."""
        day = f", {self.sent.astimezone(zone):%d/%m/%Y %H:%M}" if self.sent else ""
        state = _STATES.get(self.state, self.state) if self.state else self.reason
        if self.by_decision:
            state = "may have arrived: taken as handed over by decision, no answer was recorded"
        waits = "" if self.approved else " (not approved yet)"
        known = f"; reference {self.reference}" if self.reference else ""
        return f"    wave {self.wave} ({self.kind}): {self.route}, {state}{day}{waits}{known}"


@dataclass(frozen=True, slots=True)
class Found:
    """A person who is concerned, in the eyes of one sender. ``relation``: own, nameless (a row of that number and birth
    date without forename: it may be somebody else), told_about (a notice to the asker's contact names it).
    ``who``: its name, for the terminal alone."""

    pseudonym: str
    sender: str
    relation: str
    exposures: Mapping[str, Sequence[tuple[str, str]]]  # incident → (code, French label)
    excluded: str
    under_review: bool
    told: Sequence[Told]
    who: str = field(default="", repr=False)

    @property
    def is_concerned(self) -> bool:
        """Whether the asker itself is, as far as the operator says today."""
        return self.relation == "own" and self.excluded != OPERATOR

    def as_json(self) -> dict[str, Any]:
        """For `--json`: no name, no address."""
        return {
            "person": self.pseudonym,
            "sender": self.sender,
            "relation": self.relation,
            "exposures": {
                incident: [{"category": code, "label": label} for code, label in labels]
                for incident, labels in self.exposures.items()
            },
            "excluded": self.excluded,
            "under_review": self.under_review,
            "waves": [each.as_json() for each in self.told],
        }

    def lines(self, zone: tzinfo) -> list[str]:
        """For the terminal."""
        known = {"own": "", "nameless": ", a row without forename: ask", "told_about": ", told of through this contact"}
        lines = [f"{self.who or 'Somebody'} [{self.sender}{known[self.relation]}], pseudonym {self.pseudonym[:12]}"]
        for incident, labels in self.exposures.items():
            lines.append(f"    {incident} : {', '.join(label for _, label in labels)}")
        if self.excluded:
            lines.append(f"    taken out: {self.excluded}")
        if self.under_review:
            lines.append("    under review (`notifier people review`)")
        lines += [each.line(zone) for each in self.told] or ["    no wave was planned yet"]
        return lines


@dataclass(frozen=True, slots=True)
class Answer:
    """What a look-up found. ``members``: senders whose directory holds who asks; ``compared``: with what."""

    how: str
    compared: str
    found: Sequence[Found]
    senders: Sequence[str]
    members: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """For `--json`: never what was typed."""
        concerned = {each.sender for each in self.found if each.is_concerned}
        return {
            "how": self.how,
            "compared": self.compared,
            "concerned": bool(concerned),
            "by_sender": {
                sender: {"concerned": sender in concerned, "member": sender in self.members} for sender in self.senders
            },
            "persons": [each.as_json() for each in self.found],
        }

    def lines(self, zone: tzinfo) -> list[str]:
        """For the terminal."""
        told = [line for each in self.found for line in each.lines(zone)]
        if any(each.is_concerned for each in self.found):
            return ["Concerned.", *told]
        if any(each.relation == "own" for each in self.found):
            return ["Named in an export, and withdrawn by the operator since: not concerned, as it says.", *told]
        if self.found:
            head = f"Not concerned itself, as far as is known. Compared: {self.compared}. But this touches it:"
            return [head, *told]
        if self.how != IDENTITY:
            return [
                "Not found: no notice of this campaign bears this reference, and nobody such a pseudonym. Have it read "
                "out again, sign by sign, or look the caller up (--with)."
            ]
        lines = [f"Not found. Compared: {self.compared}, with every person of {', '.join(self.senders)}."]
        if self.members:
            lines.append(f"In the directory of {', '.join(self.members)}, and in no export.")
        else:
            lines.append("A number typed or kept differently is not found: try another way (--with) before saying no.")
        return lines


async def find_reference(
    database: Database,
    vault: Vault,
    categories: Mapping[str, DataCategory],
    reference: str,
    *,
    by: str,
    now: datetime,
) -> Answer:
    """Whom the notice with this case reference informs (or the person with this start of a pseudonym). Raises
    OperatorError for a word that can be neither."""
    async with database.read() as connection:
        named = await persons_of(connection, vault, [reference])
        found = [await _found(connection, vault, categories, each.person, "own") for each in named[reference]]
    answer = Answer(REFERENCE, "the case reference", found, sorted({each.sender for each in found}))
    await _note(database, answer, by, now)
    return answer


async def find_identity(
    database: Database,
    vault: Vault,
    settings: Settings,
    categories: Mapping[str, DataCategory],
    said: Said,
    *,
    by: str,
    now: datetime,
) -> Answer:
    """Whom what was said fits, in the eyes of each sender."""
    senders = sorted(sender.code for sender in settings.senders)
    found: dict[int, Found] = {}
    members = []
    async with database.read() as connection:
        for sender in senders:
            relations, is_member = await _search(connection, vault, sender, said)
            if is_member:
                members.append(sender)
            for person, relation in relations.items():
                found[person] = await _found(connection, vault, categories, person, relation)
    answer = Answer(IDENTITY, said.compared, list(found.values()), senders, members)
    await _note(database, answer, by, now)
    return answer


async def _search(connection: Connection, vault: Vault, sender: str, said: Said) -> tuple[dict[int, str], bool]:
    """Person → relation, and whether the sender's directory holds who asks."""
    facts = InsuredFacts(
        sender,
        nir=said.nir,
        birth_date=said.birth_date,
        forename=said.forename,
        name=said.name,
        contract=said.contract,
    )
    own: set[int] = set()
    nameless: set[int] = set()
    contacts: set[int] = set()
    identity, group, ladder = insured_identity(facts), group_key(facts), rungs(facts)
    if identity is not None:
        own |= await lookups.by_identity(connection, sender, vault.digest(*identity))
    if group is not None:
        nameless |= await lookups.nameless(connection, vault.digest(*group))
    if ladder.nir_forename is not None:
        key = vault.digest(*ladder.nir_forename)
        contacts |= await lookups.members(connection, sender, "nir_forename", key)
    if ladder.contract is not None:
        key = vault.digest(*ladder.contract)
        own |= await lookups.by_contract(connection, key)
        contacts |= await lookups.members(connection, sender, "contract", key)
    for key_parts in _professional_keys(sender, said):
        own |= await lookups.by_identity(connection, sender, vault.digest(*key_parts))
    mailbox = vault.digest("mailbox", sender, said.email)
    if said.email:
        contacts |= await lookups.with_mailbox(connection, sender, mailbox, "member")
    is_member = bool(contacts)
    if said.email:
        contacts |= await lookups.with_mailbox(connection, sender, mailbox, "professional")
    themselves, about = await lookups.reached_at(connection, contacts)
    own |= themselves
    relations = dict.fromkeys(sorted(about - own), "told_about")
    relations |= dict.fromkeys(sorted(nameless - own), "nameless")
    return dict.fromkeys(sorted(own), "own") | relations, is_member


def _professional_keys(sender: str, said: Said) -> list[Key]:
    """Every identity that the numbers can make: which of them a row gave is not known."""
    tries = (
        ProfessionalFacts(sender, siret=said.siret, finess=said.finess),
        ProfessionalFacts(sender, finess=said.finess),
        ProfessionalFacts(sender, siret=said.siret),
        ProfessionalFacts(sender, rpps=said.rpps),
    )
    keys = [professional_identity(each) for each in tries]
    return list(dict.fromkeys(key for key in keys if key is not None))


async def _found(
    connection: Connection, vault: Vault, categories: Mapping[str, DataCategory], person: int, relation: str
) -> Found:
    row = await lookups.affected(connection, person)
    return Found(
        pseudonym=vault.pseudonym(row.sender, row.identity),
        sender=row.sender,
        relation=relation,
        exposures=_labelled(parse_exposures(row.exposures), categories),
        excluded=row.excluded,
        under_review=row.under_review,
        told=[_told(vault, each) for each in await lookups.owing(connection, person)],
        who=_who(vault, row),
    )


def _who(vault: Vault, row: Affected) -> str:
    return Contact.of(vault.unseal("person", row.identity, row.sealed)).full_name


def _labelled(
    exposures: frozenset[Exposure], categories: Mapping[str, DataCategory]
) -> dict[str, list[tuple[str, str]]]:
    by_incident: dict[str, list[tuple[str, str]]] = {}
    for exposure in sorted(exposures):
        known = categories.get(exposure.category)
        label = known.label if known else exposure.category
        by_incident.setdefault(exposure.incident, []).append((exposure.category, label))
    return by_incident


def _told(vault: Vault, owing: Owing) -> Told:
    return Told(
        wave=owing.wave,
        kind=owing.kind,
        route=owing.route,
        reason=owing.excluded or owing.review or owing.reason,
        state=owing.state,
        approved=bool(owing.approved),
        sent=None if owing.sent_ms is None else from_ms(owing.sent_ms),
        by_decision=bool(owing.by_decision),
        # Before it is approved a notice may still become another one, with another reference.
        reference=vault.reference(owing.token.hex()) if owing.token and owing.approved else "",
    )


async def _note(database: Database, answer: Answer, by: str, now: datetime) -> None:
    facts = {"by": by, "how": answer.how, "compared": answer.compared, "found": bool(answer.found)}
    subjects = [each.pseudonym for each in answer.found] or [""]
    async with database.write() as connection:
        await journal.append(connection, [Entry(now, "person_looked_up", subject, facts) for subject in subjects])


# -- the helpline's list -------------------------------------------------------------------------------------------

HEADINGS = ("reference", "date", "vague", "emetteur")


async def write_hotline(
    database: Database, vault: Vault, settings: Settings, out: Path, *, wave: str | None, by: str, now: datetime
) -> int:
    """Every case reference that stands on a notice that went out: "genuine, of that day" (CSV, French headings). No
    personal data: who asks reads its reference out, and nothing else is told by it. Returns the number of lines."""
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    count = 0
    try:
        with beside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=";")
            writer.writerow(HEADINGS)
            async with database.read() as connection, aclosing(lookups.gone(connection, wave)) as rows:  # type: ignore[type-var]  # an async generator
                async for each in rows:
                    day = from_ms(each.sent_ms).astimezone(settings.zone).date()
                    writer.writerow([vault.reference(each.token.hex()), day.isoformat(), each.kind, each.sender])
                    count += 1
        beside.replace(out)
    except OSError as error:
        raise OperatorError(f"{out} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    async with database.write() as connection:
        facts = {"by": by, "wave": wave or "", "references": count}
        await journal.append(connection, [Entry(now, "hotline_exported", "", facts)])
    return count
