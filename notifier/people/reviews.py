"""The review list: what only somebody can decide, with its evidence, and the decision (I2).

Values are unsealed for the operator's terminal alone; the journal gets the reason, the decision and its author. A
decision takes effect at the next `plan`, and at every later one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from notifier.errors import OperatorError
from notifier.model import Contact, Entry, to_ms
from notifier.people.households import ENDED_CONTRACT_CHILD, MINOR_WITHOUT_HOLDER
from notifier.people.matching import AMBIGUOUS
from notifier.storage import journal, reviews
from notifier.storage.database import Connection, Database
from notifier.storage.persons import MISSING_FORENAME
from notifier.storage.reviews import ReviewRow
from notifier.vault import Vault

# What may be decided beside `contact:ID`. none: stays unmatched (a child: nobody is told); own: a row without forename
# is a person of its own, and is matched as such; own_letter: a letter to the child's own address.
DECISIONS = {
    AMBIGUOUS: ("none",),
    MISSING_FORENAME: ("own", "none"),
    MINOR_WITHOUT_HOLDER: ("own_letter", "none"),
    ENDED_CONTRACT_CHILD: ("own_letter", "none"),
}

_QUESTIONS = {
    AMBIGUOUS: "several members hold this person's key: which one is it?",
    MISSING_FORENAME: "the row gives no forename, and the rank does not say who it is",
    MINOR_WITHOUT_HOLDER: "a minor, and the household has not exactly one holder: who is told?",
    ENDED_CONTRACT_CHILD: "a minor on an ended contract: who is told?",
}


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """One open case, values unsealed. ``decisions``: what may be answered."""

    case: int
    reason: str
    sender: str
    person: Contact
    candidates: tuple[tuple[int, Contact], ...]

    @property
    def decisions(self) -> tuple[str, ...]:
        return (*(f"contact:{number}" for number, _ in self.candidates), *DECISIONS.get(self.reason, ("none",)))

    def as_json(self) -> dict[str, Any]:
        """For the operator's own use: it holds personal data."""
        return {
            "case": self.case,
            "reason": self.reason,
            "sender": self.sender,
            "person": self.person.fields(),
            "candidates": [{"contact": number, **contact.fields()} for number, contact in self.candidates],
            "decisions": list(self.decisions),
        }

    def lines(self) -> list[str]:
        """For the terminal."""
        told = [
            f"Case {self.case} ({self.reason}): {_QUESTIONS.get(self.reason, self.reason)}",
            f"    export     {_line(self.person)}  [{self.sender}]",
        ]
        told += [f"    contact:{number}  {_line(contact)}" for number, contact in self.candidates]
        told.append(f"    decide: {' | '.join(self.decisions)}")
        return told


def _line(contact: Contact) -> str:
    postal = contact.postal
    place = f"{postal.postcode} {postal.city}" if postal else ""
    parts = (contact.full_name, contact.birth_date, contact.email, place)
    return " · ".join(part for part in parts if part)


async def open_reviews(database: Database, vault: Vault) -> list[ReviewCase]:
    """The open cases, oldest first."""
    async with database.read() as connection:
        return [await _case(connection, vault, row) for row in await reviews.open_rows(connection)]


async def _case(connection: Connection, vault: Vault, row: ReviewRow) -> ReviewCase:
    person = await reviews.sealed_person(connection, row.person)
    candidates = []
    for number in row.candidates:
        found = await reviews.sealed_contact(connection, number)
        if found is not None:
            fields = vault.unseal("contact", found.identity, found.sealed)
            candidates.append((number, Contact.of(fields)))
    fields = vault.unseal("person", person.identity, person.sealed)
    return ReviewCase(row.case, row.reason, person.sender, Contact.of(fields), tuple(candidates))


async def decide(database: Database, vault: Vault, case_id: int, decision: str, *, by: str, now: datetime) -> None:
    """Decide one case, for good. The same decision again changes nothing.

    Raises OperatorError if there is no such case, it was decided otherwise, or the decision is not one of those that
    the case allows (a contact must be among its candidates).
    """
    async with database.write() as connection:
        row = await reviews.find(connection, case_id)
        if row is None:
            raise OperatorError(f"there is no case {case_id}: `notifier people review` lists the open ones")
        if row.state == reviews.DECIDED:
            if row.decision == decision:
                return
            raise OperatorError(f"case {case_id} was decided already: {row.decision}")
        allowed = (*(f"contact:{number}" for number in row.candidates), *DECISIONS.get(row.reason, ("none",)))
        if decision not in allowed:
            raise OperatorError(f"case {case_id} can be decided {' | '.join(allowed)}, not {decision!r}")
        await reviews.write_decision(connection, case_id, decision, by, to_ms(now))
        person = await reviews.sealed_person(connection, row.person)
        facts = {"reason": row.reason, "decision": decision, "by": by}
        subject = vault.pseudonym(person.sender, person.identity)
        await journal.append(connection, [Entry(now, "review_decided", subject, facts)])
