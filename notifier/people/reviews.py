"""The review list: what only somebody can decide, with its evidence, and the decision (I2).

Values are unsealed for the operator's terminal alone (and for a registered clear file, `people.review_lists`); the
journal gets the reason, the decision and its author. A decision takes effect at the next `plan`, and at every later
one. It may be revised until the person's notice is begun.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from notifier.delivery.reasons import impersonal
from notifier.errors import OperatorError
from notifier.model import Contact, Entry, to_ms
from notifier.people.households import ENDED_CONTRACT_CHILD, MINOR_WITHOUT_HOLDER
from notifier.people.likeness import Closeness, compare
from notifier.people.matching import AMBIGUOUS, WRONG_MATCH
from notifier.people.near_misses import NEAR_MISS
from notifier.storage import journal, reviews
from notifier.storage.database import Connection, Database
from notifier.storage.persons import MISSING_FORENAME
from notifier.storage.reviews import Compared, ReviewRow
from notifier.storage.waves import ask_for_plan
from notifier.vault import Vault

# What may be decided beside `contact:ID`. none: stays unmatched (a child: nobody is told); own: a row without forename
# is a person of its own, and is matched as such; own_letter: a letter to the child's own address.
DECISIONS = {
    AMBIGUOUS: ("none",),
    NEAR_MISS: ("none",),
    WRONG_MATCH: ("none",),
    MISSING_FORENAME: ("own", "none"),
    MINOR_WITHOUT_HOLDER: ("own_letter", "none"),
    ENDED_CONTRACT_CHILD: ("own_letter", "none"),
}

QUESTIONS = {
    AMBIGUOUS: "several members hold this person's key: which one is it?",
    NEAR_MISS: "nobody holds this person's keys; of a member all but one agree: is it this one?",
    WRONG_MATCH: "in the sample somebody found this match wrong: is it another member, or none?",
    MISSING_FORENAME: "the row gives no forename, and the rank does not say who it is",
    MINOR_WITHOUT_HOLDER: "a minor, and the household has not exactly one holder: who is told?",
    ENDED_CONTRACT_CHILD: "a minor on an ended contract: who is told?",
}

WHY_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Evidence:
    """A candidate beside the person: which of NIR, rank, birth date, name, forename, contract and member number agree,
    are near, and differ. What one side lacks, or what the digests cannot tell apart, is in neither."""

    agrees: tuple[str, ...]
    near: tuple[str, ...]
    differs: tuple[str, ...]
    status: str = "active"
    as_of: str = ""

    def line(self) -> str:
        """For the terminal."""
        parts = (("agree", self.agrees), ("near", self.near), ("differ", self.differs))
        return " · ".join(f"{word}: {', '.join(values)}" for word, values in parts if values) or "nothing to compare"


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """One case, values unsealed. ``candidates`` and ``evidence`` side by side; ``decisions``: what may be answered;
    ``digest``: of all that is shown, so that no decision is ever applied to other candidates."""

    case: int
    reason: str
    sender: str
    person: Contact
    candidates: tuple[tuple[int, Contact], ...]
    evidence: tuple[Evidence, ...] = ()
    digest: str = ""
    reference: str = ""  # the person's pseudonym in the journal, its first digits
    decision: str = ""  # "" while it is open

    @property
    def decisions(self) -> tuple[str, ...]:
        return (*(f"contact:{number}" for number, _ in self.candidates), *DECISIONS.get(self.reason, ("none",)))

    def as_json(self) -> dict[str, Any]:
        """Without values: references, reasons, what agrees."""
        return {
            "case": self.case,
            "reason": self.reason,
            "sender": self.sender,
            "person": self.reference,
            "candidates": [
                {
                    "contact": number,
                    "agrees": list(evidence.agrees),
                    "near": list(evidence.near),
                    "differs": list(evidence.differs),
                    "status": evidence.status,
                }
                for (number, _), evidence in zip(self.candidates, self.evidence, strict=True)
            ],
            "decisions": list(self.decisions),
            "decision": self.decision,
            "evidence": self.digest,
        }

    def lines(self) -> list[str]:
        """For the terminal."""
        told = [
            f"Case {self.case} ({self.reason}): {QUESTIONS.get(self.reason, self.reason)}",
            f"    export     {told_of(self.person)}  [{self.sender}]",
        ]
        for (number, contact), evidence in zip(self.candidates, self.evidence, strict=True):
            more = f"  ({evidence.status})" if evidence.status != "active" else ""
            told += [f"    contact:{number}  {told_of(contact)}{more}", f"        {evidence.line()}"]
        told.append(f"    decided: {self.decision}" if self.decision else f"    decide: {' | '.join(self.decisions)}")
        return told


def told_of(contact: Contact) -> str:
    """A person's or contact's values on one line, for the terminal."""
    postal = contact.postal
    place = f"{postal.postcode} {postal.city}" if postal else ""
    born = f"née/né {contact.birth_name}" if contact.birth_name else ""
    parts = (contact.full_name, born, contact.birth_date, contact.email, place)
    return " · ".join(part for part in parts if part)


async def open_reviews(
    database: Database, vault: Vault, *, reason: str = "", limit: int | None = None, decided: bool = False
) -> list[ReviewCase]:
    """The open cases (or the decided ones), oldest first."""
    async with database.read() as connection:
        return [case async for case in cases(connection, vault, reason=reason, limit=limit, decided=decided)]


async def cases(
    connection: Connection, vault: Vault, *, reason: str = "", limit: int | None = None, decided: bool = False
) -> AsyncIterator[ReviewCase]:
    """:func:`open_reviews`, one by one."""
    state = reviews.DECIDED if decided else reviews.OPEN
    for row in await reviews.listed(connection, state=state, reason=reason, limit=limit):
        yield await shown(connection, vault, row)


async def shown(connection: Connection, vault: Vault, row: ReviewRow) -> ReviewCase:
    """A case with its values and its evidence."""
    found = await reviews.sealed_person(connection, row.person)
    person = Contact.of(vault.unseal("person", found.identity, found.sealed))
    compared = await reviews.compared(connection, row.person, row.candidates)
    candidates = [Contact.of(vault.unseal("contact", each.identity, each.sealed)) for each in compared]
    parts = [row.reason, str(row.case), found.sealed.hex()]
    parts += [f"{each.contact}:{each.status}:{each.sealed.hex()}" for each in compared]
    return ReviewCase(
        row.case,
        row.reason,
        found.sender,
        person,
        tuple((each.contact, contact) for each, contact in zip(compared, candidates, strict=True)),
        tuple(weigh(person, contact, each) for each, contact in zip(compared, candidates, strict=True)),
        vault.digest("review-evidence", *parts).hex(),
        vault.pseudonym(found.sender, found.identity)[:12],
        row.decision,
    )


def weigh(person: Contact, member: Contact, keys: Compared) -> Evidence:
    """What agrees: numbers by their digests, names and dates by their values. A key that holds several values differs
    through a number only where the other values are equal."""
    likeness = compare(person, member)
    same_birth = likeness.birth_date is Closeness.EQUAL
    found: dict[str, Closeness] = {
        "NIR": _by_key(keys.nir_same, keys.nir_both, decisive=True),
        "rank": _by_key(keys.rank_same, keys.rank_both, decisive=keys.nir_same and same_birth),
        "birth date": likeness.birth_date,
        "name": likeness.name,
        "forename": likeness.forename,
        "contract": _by_key(
            keys.contract_same, keys.contract_both, decisive=same_birth and likeness.name is Closeness.EQUAL
        ),
        "member number": _by_key(
            keys.member_same, keys.member_both, decisive=same_birth and likeness.forename is Closeness.EQUAL
        ),
    }
    if likeness.is_swapped:
        found["name and forename swapped"] = Closeness.NEAR

    def which(closeness: Closeness) -> tuple[str, ...]:
        return tuple(word for word, value in found.items() if value is closeness)

    return Evidence(which(Closeness.EQUAL), which(Closeness.NEAR), which(Closeness.DIFFERS), keys.status, keys.as_of)


def _by_key(same: bool, both: bool, *, decisive: bool) -> Closeness:
    return Closeness.EQUAL if same else Closeness.DIFFERS if both and decisive else Closeness.SILENT


# -- decisions -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decided:
    """What a decision did: ``new``, ``revised`` or ``already`` there."""

    case: int
    decision: str
    effect: str


async def decide(
    database: Database,
    vault: Vault,
    case_id: int,
    decision: str,
    *,
    by: str,
    now: datetime,
    revise: bool = False,
    why: str = "",
) -> Decided:
    """Decide one case. The same decision again changes nothing; another one needs ``revise``, and that nobody has begun
    to tell the person. ``why``: for the journal; what names the person, or a member it was compared with, is taken
    out of it.

    Raises OperatorError if there is no such case, it was decided otherwise, or the decision is not one of those that
    the case allows (a contact must be among its candidates).
    """
    async with database.write() as connection:
        return await decide_one(connection, vault, case_id, decision, by=by, now=now, revise=revise, why=why)


async def decide_one(
    connection: Connection,
    vault: Vault,
    case_id: int,
    decision: str,
    *,
    by: str,
    now: datetime,
    revise: bool = False,
    why: str = "",
) -> Decided:
    """:func:`decide`, in the transaction that it is a part of."""
    row = await reviews.find(connection, case_id)
    if row is None:
        raise OperatorError(f"there is no case {case_id}: `notifier people review` lists the open ones")
    if row.state == reviews.DECIDED and row.decision == decision:
        return Decided(case_id, decision, "already")
    if row.state == reviews.DECIDED and not revise:
        raise OperatorError(f"case {case_id} was decided already: {row.decision} (--revise decides it anew)")
    allowed = (*(f"contact:{number}" for number in row.candidates), *DECISIONS.get(row.reason, ("none",)))
    if decision not in allowed:
        raise OperatorError(f"case {case_id} can be decided {' | '.join(allowed)}, not {decision!r}")
    person = await reviews.sealed_person(connection, row.person)
    subject = vault.pseudonym(person.sender, person.identity)
    facts: dict[str, Any] = {"reason": row.reason, "decision": decision, "by": by}
    if why:
        about = [Contact.of(vault.unseal("person", person.identity, person.sealed))]
        for each in await reviews.compared(connection, row.person, row.candidates):
            about.append(Contact.of(vault.unseal("contact", each.identity, each.sealed)))
        facts["why"] = impersonal(why, about)
    if row.state == reviews.OPEN:
        await reviews.write_decision(connection, case_id, decision, by, to_ms(now))
        await ask_for_plan(connection, [row.person])
        await journal.append(connection, [Entry(now, "review_decided", subject, facts)])
        return Decided(case_id, decision, "new")
    await free(connection, vault, row.person, now, f"case {case_id} cannot be revised")
    await reviews.revise_decision(connection, case_id, decision, by, to_ms(now))
    await journal.append(connection, [Entry(now, "review_revised", subject, facts | {"was": row.decision})])
    return Decided(case_id, decision, "revised")


async def free(connection: Connection, vault: Vault, person: int, now: datetime, otherwise: str) -> None:
    """Take back what was approved for a person, so that the next plan decides anew; each whom that concerns is
    journaled. Raises OperatorError, beginning with ``otherwise``, when somebody has begun to tell the person."""
    freed = await reviews.take_back(connection, person, to_ms(now))
    if freed is None:
        raise OperatorError(f"{otherwise}: the person is being told already, or was; nothing was changed")
    await ask_for_plan(connection, [person])
    await journal.append(
        connection,
        [
            Entry(
                now,
                "notification_replanned",
                vault.pseudonym(sender, identity),
                {"wave": wave, "reason": "review_revised"},
            )
            for wave, sender, identity in freed
        ],
    )
