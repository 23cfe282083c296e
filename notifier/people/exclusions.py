"""Persons are taken out of the campaign, by reason and by name, and what nobody has begun of theirs is taken back.

One transaction: a person is out exactly when its notifications say so, and every account balances before and after
(I1). What every server answered with "later" told nobody, and counts as not begun. A notice that tells of others too is
made anew for these (a household, the establishments of one mailbox), unless the approved one is true of them as it
stands; a removal never voids an approval (I7), and nobody else's notice is pulled away. What was begun stays: whoever
was told is owed a rectification, not silence. On what is being sent, nothing follows (storage/recalled.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from notifier.errors import OperatorError
from notifier.model import Audience, Entry, Form, Route, to_ms
from notifier.people.drafts import Drafts
from notifier.people.households import Decision, Reason, To
from notifier.people.identity import normal_name
from notifier.people.references import persons_of
from notifier.storage import journal, removals, vanished
from notifier.storage import waves as rounds
from notifier.storage.database import Connection, Database
from notifier.storage.exposures import ExposureSets
from notifier.storage.removals import Companion, Debt, Named, Shared, Subject
from notifier.storage.waves import SegmentRow
from notifier.vault import Vault, redact

OPERATOR, DECEASED, EXEMPT, DECISION = "operator", "deceased", "exempt", "decision"
REASONS = (OPERATOR, DECEASED, EXEMPT, DECISION)
ARTICLES = {"a": "34(3)(a)", "b": "34(3)(b)"}
SHOWN = 8  # wrong lines of a list in an error
_LETTERS = 3  # of a name; a shorter one stands in too many words


@dataclass(frozen=True, slots=True)
class Ground:
    """Why somebody is taken out. ``article``: a or b of Art. 34(3), for `exempt` alone; ``why``: in words, without
    personal data."""

    reason: str
    why: str
    article: str = ""

    def __post_init__(self) -> None:
        if self.reason not in REASONS:
            raise OperatorError(f"--reason is one of {', '.join(REASONS)}")
        if (self.reason == EXEMPT) != bool(self.article):
            raise OperatorError(
                "an exemption takes --article a (measures made the data unreadable) or --article b (later measures "
                "took the high risk away), and no other reason takes one: GDPR Art. 34(3)"
            )
        if self.article and self.article not in ARTICLES:
            raise OperatorError("--article is a or b; 34(3)(c) is a public communication, not an exemption")
        must_be_impersonal(self.why)

    @property
    def text(self) -> str:
        """What is kept with the person."""
        return f"{ARTICLES[self.article]}: {self.why}" if self.article else self.why


@dataclass
class Withdrawn:
    """What came of it. ``already``: were out for that reason; ``begun``: are being told, or were; ``anew``: persons
    whose notice is made again without those who left, and waits for an approval of its own."""

    persons: list[str] = field(default_factory=list)  # pseudonyms
    already: list[str] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    taken_back: int = 0  # deliveries
    anew: int = 0

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "withdrawn": len(self.persons),
            "already": len(self.already),
            "begun": len(self.begun),
            "taken_back": self.taken_back,
            "planned_anew": self.anew,
            "persons": self.persons,
            "to_rectify": self.begun,
        }


def must_be_impersonal(why: str, subjects: Iterable[Mapping[str, Any]] = ()) -> None:
    """Raises OperatorError when a reason, which goes to the journal for ever, holds what looks like an address or a
    number of somebody (I8), or the name of one of the ``subjects`` (a person's unsealed fields)."""
    if not why.strip():
        raise OperatorError("say why (--why): it goes to the journal")
    if redact(why) != why:
        raise OperatorError("--why goes to the journal: no addresses, no social security or account numbers in it")
    said = f" {normal_name(why)} "
    for fields in subjects:
        for name in (fields.get("name", ""), fields.get("forename", "")):
            plain = normal_name(name)
            if len(plain) >= _LETTERS and f" {plain} " in said:
                raise OperatorError("--why goes to the journal, and holds the person's own name: say it without")


def read_references(path: Path) -> list[str]:
    """The references of a list: the first column of each line; empty lines and those that begin with # do not count.
    Raises OperatorError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path} cannot be read as a list of references (UTF-8 text)") from error
    words = [line.replace(",", ";").replace("\t", ";").split(";")[0].strip(' "') for line in lines]
    found = [word for word in words if word and not word.startswith("#")]
    if not found:
        raise OperatorError(f"{path} names nobody")
    return found


async def withdraw(
    database: Database, vault: Vault, references: Sequence[str], ground: Ground, *, by: str, now: datetime
) -> Withdrawn:
    """Take these persons out: all, or (OperatorError) nobody. Running it again changes nothing."""
    named = await _named(database, vault, references)
    made = Withdrawn()
    async with database.write() as connection:
        leaving = []
        for subject in await removals.subjects(connection, [each.person for each in named]):
            pseudonym = vault.pseudonym(subject.sender, subject.identity)
            must_be_impersonal(ground.why, [_fields(vault, subject)])
            if subject.excluded == ground.reason:
                made.already.append(pseudonym)
            elif subject.excluded:
                raise OperatorError(
                    f"{pseudonym[:12]} is out already, for another reason ({subject.excluded}): nothing was changed"
                )
            else:
                leaving.append(subject)
                made.persons.append(pseudonym)
        await removals.exclude(
            connection,
            [each.person for each in leaving],
            reason=ground.reason,
            why=ground.text,
            by=by,
            now_ms=to_ms(now),
        )
        facts: dict[str, Any] = {"reason": ground.reason, "why": ground.text, "by": by}
        await journal.append(connection, [Entry(now, "person_excluded", each, facts) for each in made.persons])
        await _Removal(connection, vault, await ExposureSets.load(connection), now, ground.reason, made).of(leaving)
    return made


async def reinstate(
    database: Database, vault: Vault, references: Sequence[str], *, why: str, by: str, now: datetime
) -> Withdrawn:
    """Take them in again: their notifications are made by the next `plan`. ``persons``: who came back; ``already``: who
    was not out. Raises OperatorError, and changes nothing, once an approval froze that one of them is not told."""
    must_be_impersonal(why)
    named = await _named(database, vault, references)
    made = Withdrawn()
    async with database.write() as connection:
        people = await removals.subjects(connection, [each.person for each in named])
        frozen = await removals.frozen_exclusions(connection, [each.person for each in people])
        returning = []
        for subject in people:
            pseudonym = vault.pseudonym(subject.sender, subject.identity)
            if not subject.excluded:
                made.already.append(pseudonym)
            elif subject.person in frozen:
                raise OperatorError(f"an approval froze that {pseudonym[:12]} is not told: nothing was changed")
            else:
                must_be_impersonal(why, [_fields(vault, subject)])
                returning.append(subject)
                made.persons.append(pseudonym)
        await removals.include(connection, [each.person for each in returning])
        await rounds.ask_for_plan(connection, [each.person for each in returning])
        entries = [
            Entry(now, "person_reinstated", pseudonym, {"reason": subject.excluded, "why": why, "by": by})
            for subject, pseudonym in zip(returning, made.persons, strict=True)
        ]
        await removals.gather(connection, [each.person for each in returning])
        entries += [
            Entry(now, "notification_replanned", vault.pseudonym(freed.sender, freed.identity),
                  {"wave": freed.wave, "reason": "reinstated"})
            for freed in await vanished.drop_rectifications(connection, removals.GATHERED, to_ms(now))
        ]  # fmt: skip
        await journal.append(connection, entries)
    return made


def _fields(vault: Vault, subject: Subject) -> dict[str, Any]:
    """What a reason must not name; of a professional nothing, whose company's name is made of everybody's words."""
    return {} if subject.kind != "insured" else vault.unseal("person", subject.identity, subject.sealed)


async def _named(database: Database, vault: Vault, references: Sequence[str]) -> list[Named]:
    """One person per reference; read before the transaction that writes, for the search takes its time."""
    words = list(dict.fromkeys(references))
    async with database.read() as connection:
        found = await persons_of(connection, vault, words)
    nobody = [number for number, word in enumerate(words, start=1) if not found[word]]
    if nobody:
        which = "" if len(words) == 1 else f" (number {', '.join(map(str, nobody[:SHOWN]))} of the list)"
        raise OperatorError(f"{len(nobody)} of {len(words)} references name nobody{which}: nothing was changed")
    for word in words:
        if len(found[word]) > 1:
            people = ", ".join(vault.pseudonym(each.sender, each.identity)[:12] for each in found[word])
            raise OperatorError(
                f"this notice informs {len(found[word])} persons: name the one by its pseudonym ({people}); "
                "`notifier people find --reference` shows who is who"
            )
    return list({found[word][0].person: found[word][0] for word in words}.values())


async def held_back(connection: Connection, persons: Sequence[int], now: datetime) -> list[Entry]:
    """What may have arrived and speaks of nobody but who is out is held, and not sent once more by itself: the entries.
    What is being sent is marked, so that nothing that writes to them follows on how it ends."""
    await removals.recall(connection, persons)
    return [
        Entry(now, "delivery_held", token.hex(), {"attempt": attempt, "because": "excluded"})
        for token, attempt in await removals.hold_resends(connection, persons)
    ]


class _Removal:
    """Takes back what nobody has begun, and plans anew what that leaves behind."""

    def __init__(
        self,
        connection: Connection,
        vault: Vault,
        sets: ExposureSets,
        now: datetime,
        reason: str,
        made: Withdrawn,
    ) -> None:
        self._connection = connection
        self._vault = vault
        self._sets = sets
        self._now = now
        self._reason = reason
        self._made = made

    async def of(self, leaving: Sequence[Subject]) -> None:
        """All notifications of these persons, wave by wave."""
        people = {each.person: each for each in leaving}
        owed = await removals.debts(self._connection, list(people))
        for debt in owed:
            if debt.begun:
                pseudonym = self._vault.pseudonym(people[debt.person].sender, people[debt.person].identity)
                if pseudonym not in self._made.begun:
                    self._made.begun.append(pseudonym)
        owed += await self._left_before(people, owed)
        for wave in await rounds.waves(self._connection):
            mine = [debt for debt in owed if debt.wave == wave.id and not debt.begun]
            if mine:
                drafts = await Drafts.begin(self._connection, self._vault, wave, self._now)
                deliveries = {debt.delivery for debt in mine if debt.delivery is not None}
                for delivery in sorted(deliveries):
                    await self._leave(drafts, delivery, set(people))
                for debt in mine:
                    await self._tell_nobody(drafts, debt, people[debt.person])
                await drafts.finish()
        await journal.append(self._connection, await held_back(self._connection, list(people), self._now))

    async def _left_before(self, people: dict[int, Subject], owed: Sequence[Debt]) -> list[Debt]:
        """Who was taken out while a notice that informs others too was being sent leaves it with the next of them:
        they are added to ``people``."""
        shared = {debt.delivery for debt in owed if debt.delivery is not None and not debt.begun}
        out = await removals.out_already(self._connection, sorted(shared))
        before = [person for person in dict.fromkeys(out) if person not in people]
        people |= {each.person: each for each in await removals.subjects(self._connection, before)}
        return [debt for debt in await removals.debts(self._connection, before) if debt.delivery in shared]

    async def _tell_nobody(self, drafts: Drafts, debt: Debt, subject: Subject) -> None:
        audience = Audience(debt.audience)
        own = SegmentRow(subject.sender, audience, subject.profession, Form.OWN, subject.exposure_set, debt.language)
        segment = await drafts.segment(own)
        await self._replace(drafts, debt.notification, debt.is_approved, subject, "excluded")
        decision = Decision(Route.NONE, Reason.EXCLUDED, audience, excluded=subject.excluded or self._reason)
        drafts.notify(subject.person, segment, decision, None)

    async def _replace(
        self, drafts: Drafts, notification: int, is_approved: bool, person: Subject | Companion, why: str
    ) -> None:
        await removals.remove(self._connection, notification)
        if is_approved:
            drafts.record_replanned(person.sender, person.identity, why)

    async def _leave(self, drafts: Drafts, number: int, leaving: set[int]) -> None:
        """Those who leave are taken off a delivery; the others keep it, or get one of their own."""
        delivery, everybody = await removals.shared(self._connection, number)
        rest = [each for each in everybody if each.person not in leaving]
        if rest and delivery.is_approved and await self._still_true(delivery, rest):
            gone = [each.notification for each in everybody if each.person in leaving]
            await removals.detach(self._connection, gone)
            return
        await removals.take_back(self._connection, number, to_ms(self._now))
        self._made.taken_back += 1
        if rest:
            await self._tell_the_rest(drafts, delivery, rest)

    async def _still_true(self, delivery: Shared, rest: Sequence[Companion]) -> bool:
        """Whether the approved text says of the rest what is so: it names those who hang on it when it is sent."""
        union = await self._sets.union(each.exposure_set for each in rest)
        if union != delivery.exposure_set:
            return False
        if delivery.form == Form.CHILDREN:
            return True
        is_reader = any(each.contact == delivery.contact for each in rest)
        return is_reader and len(rest) > 1 and _profession(rest) == delivery.profession

    async def _tell_the_rest(self, drafts: Drafts, delivery: Shared, rest: Sequence[Companion]) -> None:
        form = Form(delivery.form)
        to = (delivery.contact, delivery.provider)
        if form is Form.ESTABLISHMENTS:
            reader = rest[0]
            assert reader.contact is not None  # who has a mailbox has a contact
            to = (reader.contact, reader.provider)
            form = Form.ESTABLISHMENTS if len(rest) > 1 else Form.OWN
        union = await self._sets.union(each.exposure_set for each in rest)
        audience = Audience(delivery.audience)
        profession = _profession(rest) if audience is Audience.PROFESSIONAL else ""
        segment = await drafts.segment(SegmentRow(rest[0].sender, audience, profession, form, union, delivery.language))
        route = Route(rest[0].route)
        made = drafts.deliver(route, form, segment, to, [(each.sender, each.identity) for each in rest])
        for each in rest:
            await self._replace(drafts, each.notification, each.is_approved, each, "notice_shared")
            decision = Decision(route, Reason(each.reason), audience, form, To.HOLDER)
            drafts.notify(each.person, segment, decision, made)
            self._made.anew += 1


def _profession(rest: Sequence[Companion]) -> str:
    """The one that all have, or none."""
    every = {each.profession for each in rest}
    return every.pop() if len(every) == 1 else ""
