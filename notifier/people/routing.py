"""Every person gets exactly one notification (I1): the passes that decide routes and write them down.

    the insured, slice by slice      own notices at once; children are put aside by the adult who is told
    the children, adult by adult     one further notice per adult that names them all
    the professionals, by mailbox    one notice per mailbox that lists the establishments

A person who was approved without a delivery (unmatched, held, unreachable) is planned anew only if something changed;
one whose delivery failed for good, with nothing in its place, only if there is another way now.
The segment of a shared notice carries the union of the exposures of those it tells of: it is one text.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, TypeVar

from notifier.model import Audience, Form, MemberStatus, PersonKind, Route, WaveKind
from notifier.people.drafts import CHANNELS, Drafts
from notifier.people.households import (
    ENDED_CONTRACT_CHILD,
    MINOR_WITHOUT_HOLDER,
    ChildDecision,
    Decision,
    Reach,
    Reason,
    Situation,
    To,
    decide,
    is_minor,
)
from notifier.people.matching import slices
from notifier.storage import contacts, notifications, persons, reviews
from notifier.storage.database import Connection
from notifier.storage.exposures import ExposureSets
from notifier.storage.notifications import Owed, OwedProfessional, Ward, Whom
from notifier.storage.reviews import ReviewRow
from notifier.storage.waves import SegmentRow, WaveRow
from notifier.vault import Vault

if TYPE_CHECKING:
    from notifier.storage.planned import Planned
    from notifier.storage.situations import Decided, Met
    from notifier.storage.wards import Family, Wards

SLICE = 20_000  # persons looked at one by one
COLUMNS = 250_000  # persons decided by situation at once

CHILD_REVIEWS = (MINOR_WITHOUT_HOLDER, ENDED_CONTRACT_CHILD)


@dataclass
class Router:
    """The passes of one plan. ``today``: when ages are counted; ``language``: of persons without contact."""

    connection: Connection
    vault: Vault
    wave: WaveRow
    drafts: Drafts
    sets: ExposureSets
    today: date
    language: str
    adult_dependants: str | None
    whom: Whom = Whom.EVERYBODY
    _decisions: dict[tuple[object, ...], Decision] = field(default_factory=dict)
    _minors: dict[str, bool] = field(default_factory=dict)

    async def route_everybody(self) -> None:
        """All passes, in order."""
        await notifications.prepare_wards(self.connection)
        # A later wave chooses its persons, and what each is told; the first tells everybody everything.
        if self.drafts.is_fresh and self.wave.kind == WaveKind.INITIAL:
            await self._route_afresh()
        else:
            await self._route_insured(self._owed)
            await self._route_wards()
            await self._route_professionals()
            await self.drafts.finish()

    # -- the insured --------------------------------------------------------------------------------------------

    async def _route_insured(self, owed: Callable[[int, int], Awaitable[Sequence[Owed]]]) -> None:
        for after, upto in slices(await persons.last_person(self.connection), SLICE):
            cases: dict[int, list[ReviewRow]] = {}
            for case in await reviews.between(self.connection, after, upto):
                cases.setdefault(case.person, []).append(case)
            wards: list[tuple[int, int, str, str]] = []
            doubts: dict[str, set[int]] = {reason: set() for reason in CHILD_REVIEWS}
            for row in await owed(after, upto):
                await self._route_one(row, cases, wards, doubts)
            await notifications.add_wards(self.connection, wards)
            # A round that asks for some of the persons cannot say whose doubt is gone.
            for reason, persons_in_doubt in doubts.items() if self.whom is Whom.EVERYBODY else ():
                await reviews.close_others(self.connection, after, upto, reason, persons_in_doubt)
            if self.drafts.is_full:
                await self.drafts.flush()

    async def _owed(self, after: int, upto: int) -> Sequence[Owed]:
        return await notifications.owed_between(self.connection, self.wave.id, after, upto, self.whom)

    async def _left_over(self, after: int, upto: int) -> Sequence[Owed]:
        return await notifications.owed_of_left_over(self.connection, self.wave.id, after, upto)

    # -- a first plan, by situation -------------------------------------------------------------------------------

    async def _route_afresh(self) -> None:
        """The same passes where the wave has nothing yet: by column, and one by one only who is left over."""
        from notifier.storage.planned import Planned  # columns take a third of a second to import
        from notifier.storage.wards import Wards

        with await Planned.begin(self.connection) as planned:
            self.drafts.collect_in(planned)
            wards = Wards()
            await self._route_by_situation(planned, wards)
            await self._route_insured(self._left_over)
            apart = await notifications.ward_recipients(self.connection)
            await notifications.add_wards(self.connection, wards.give_back(apart))
            self.drafts.write_wards(wards, [await self._family_segment(each) for each in wards.meet()])
            await self._route_wards()
            await self._route_professionals()
            await self.drafts.finish()

    async def _route_by_situation(self, planned: Planned, wards: Wards) -> None:
        """Those for whom nothing but their situation decides, situation by situation."""
        from notifier.storage.situations import Situations

        met = await Situations.begin(self.connection, self.wave.id, planned, wards)
        for after, upto in slices(await persons.last_person(self.connection), COLUMNS):
            children = await met.gather(after, upto)
            minors = {child.contact for child in children if self._is_minor(child.identity, child.sealed)}
            met.decide([await self._decide_situation(each) for each in met.meet(minors)])
            await self.drafts.write_situations(met)

    async def _family_segment(self, family: Family) -> int:
        union = await self.sets.union(family.exposure_sets)
        key = SegmentRow(family.sender, Audience.DEPENDANT, "", Form.CHILDREN, union, family.language)
        return await self.drafts.segment(key)

    async def _decide_situation(self, met: Met) -> Decided:
        from notifier.storage.situations import Decided

        decision = self._decide_insured(
            (met.status or None, met.link, met.has_mailbox, met.has_postal, met.is_minor, met.holders,
             met.holder_has_mailbox, met.holder_has_postal, "", met.excluded, ChildDecision.UNDECIDED, met.letter)
        )  # fmt: skip
        is_ward, is_left = decision.form is Form.CHILDREN, decision.review in CHILD_REVIEWS
        segment = 0
        if not is_ward and not is_left:
            segment = await self.drafts.segment(
                SegmentRow(met.sender, decision.audience, "", Form.OWN, met.exposure_set, met.language or self.language)
            )
        channel, state = CHANNELS[decision.route] if decision.to is not To.NOBODY else ("", "")
        return Decided(
            met.number, segment, decision.route, decision.reason, decision.review, decision.excluded, channel, state,
            decision.to is To.HOLDER, is_ward, is_left,
        )  # fmt: skip

    def _is_minor(self, identity: bytes, sealed: bytes) -> bool:
        birth_date = self.vault.unseal("contact", identity, sealed).get("birth_date", "")
        minor = self._minors.get(birth_date)
        if minor is None:
            minor = self._minors[birth_date] = is_minor(birth_date, self.today)
        return minor

    async def _route_one(
        self,
        row: Owed,
        cases: dict[int, list[ReviewRow]],
        wards: list[tuple[int, int, str, str]],
        doubts: dict[str, set[int]],
    ) -> None:
        # Unpacked, not by name: this runs once per person, and there are millions.
        (person, sender, identity, exposures, excluded, contact, link, status, language, mailbox, postal, provider,
         child_identity, child_sealed, holders, holder, h_mailbox, h_postal, h_provider,
         approved, route, reason, review, was_excluded, letter, unreached) = row  # fmt: skip
        held, choice = "", ChildDecision.UNDECIDED
        if person in cases:
            held, choice, chosen = await self._reviewed(sender, cases[person])
            if chosen is not None:
                holder, h_mailbox, h_postal, _, h_provider = chosen
                holders = 1
        minor = False
        if child_sealed is not None and child_identity is not None:
            minor = self._is_minor(child_identity, child_sealed)
        facts = (status, link, mailbox, postal, minor, holders, h_mailbox, h_postal, held, excluded, choice, letter)
        decision = self._decisions.get(facts) or self._decide_insured(facts)
        if decision.review in doubts:
            doubts[decision.review].add(person)
            await self._open_child_case(person, decision.review, contact)
        if approved is not None:
            if _stands(decision, route, reason, review, was_excluded, unreached=unreached):
                return
            self.drafts.supersede(approved, sender, identity, _why(decision, unreached=unreached))
        if decision.form is Form.CHILDREN and holder is not None:
            wards.append((holder, person, decision.route, decision.reason))
            return
        key = SegmentRow(sender, decision.audience, "", Form.OWN, exposures, language or self.language)
        segment = await self.drafts.segment(key)
        delivery = None
        if decision.to is To.OWN and contact is not None:
            delivery = self.drafts.deliver(
                decision.route, Form.OWN, segment, (contact, provider), ((sender, identity),)
            )
        elif decision.to is To.HOLDER and holder is not None:
            delivery = self.drafts.deliver(
                decision.route, Form.OWN, segment, (holder, h_provider), ((sender, identity),)
            )
        self.drafts.notify(person, segment, decision, delivery)

    def _decide_insured(self, facts: tuple[object, ...]) -> Decision:
        """`decide`, once per distinct situation: there are some hundreds among millions of persons."""
        status, link, mailbox, postal, minor, holders, h_mailbox, h_postal, held, excluded, choice, letter = facts
        situation = Situation(
            kind=PersonKind.INSURED,
            status=MemberStatus(str(status)) if status is not None else None,
            link=str(link or ""),
            own=Reach(bool(mailbox), bool(postal)),
            is_minor=bool(minor),
            holders=int(str(holders)),
            holder=Reach(bool(h_mailbox), bool(h_postal)),
            review=str(held),
            excluded=str(excluded),
            decision=ChildDecision(str(choice)),
            letter=str(letter),
        )
        self._decisions[facts] = decision = decide(situation, self.adult_dependants)
        return decision

    async def _reviewed(
        self, sender: str, cases: list[ReviewRow]
    ) -> tuple[str, ChildDecision, contacts.Recipient | None]:
        """What the person's reviews say: the open one that holds the person, what was decided about a child, and the
        adult who was chosen to be told."""
        held, choice, chosen = "", ChildDecision.UNDECIDED, None
        for case in cases:
            if case.state == reviews.OPEN:
                held = held or ("" if case.reason in CHILD_REVIEWS else case.reason)
            elif case.reason in CHILD_REVIEWS:
                kind, _, contact = case.decision.partition(":")
                choice = ChildDecision(kind)
                if contact:
                    chosen = await contacts.recipient(self.connection, int(contact), sender)
        if choice is ChildDecision.CONTACT and chosen is None:
            choice = ChildDecision.UNDECIDED  # the adult died since: decide again
        return held, choice, chosen

    async def _open_child_case(self, person: int, reason: str, contact: int | None) -> None:
        adults = await contacts.adults_of_household(self.connection, contact) if contact is not None else []
        await reviews.open_case(self.connection, person, reason, adults)

    # -- children, by the adult who is told ----------------------------------------------------------------------

    async def _route_wards(self) -> None:
        async for group in _grouped(notifications.wards(self.connection), _ward_recipient):
            first = group[0]
            union = await self.sets.union(ward.exposure_set for ward in group)
            key = SegmentRow(first.sender, Audience.DEPENDANT, "", Form.CHILDREN, union, first.language)
            segment = await self.drafts.segment(key)
            route = Route(first.route)
            told = [(ward.sender, ward.identity) for ward in group]
            delivery = self.drafts.deliver(route, Form.CHILDREN, segment, (first.recipient, first.provider), told)
            for ward in group:
                decision = Decision(route, Reason(ward.reason), Audience.DEPENDANT, Form.CHILDREN, To.HOLDER)
                self.drafts.notify(ward.person, segment, decision, delivery)
            if self.drafts.is_full:
                await self.drafts.flush()

    # -- professionals, by mailbox -------------------------------------------------------------------------------

    async def _route_professionals(self) -> None:
        async for group in _grouped(
            notifications.owed_professionals(self.connection, self.wave.id, self.whom), _shared_mailbox
        ):
            decided = [(row, _decide_professional(row)) for row in group]
            changed = [
                (row, decision)
                for row, decision in decided
                if row.approved is None
                or not _stands(decision, row.route, row.reason, row.review, row.was_excluded, unreached=row.unreached)
            ]
            for row, decision in changed:
                if row.approved is not None:
                    why = _why(decision, unreached=row.unreached)
                    self.drafts.supersede(row.approved, row.sender, row.identity, why)
            together = [pair for pair in changed if pair[1].route is Route.EMAIL]
            if len(together) > 1:
                await self._tell_together(together)
                changed = [pair for pair in changed if pair[1].route is not Route.EMAIL]
            for row, decision in changed:
                await self._tell_professional(row, decision)
            if self.drafts.is_full:
                await self.drafts.flush()

    async def _tell_professional(self, row: OwedProfessional, decision: Decision) -> None:
        key = SegmentRow(
            row.sender, decision.audience, row.profession, Form.OWN, row.exposure_set, row.language or self.language
        )
        segment = await self.drafts.segment(key)
        delivery = None
        if decision.to is To.OWN and row.contact is not None:
            told = ((row.sender, row.identity),)
            delivery = self.drafts.deliver(decision.route, Form.OWN, segment, (row.contact, row.provider), told)
        self.drafts.notify(row.person, segment, decision, delivery)

    async def _tell_together(self, pairs: list[tuple[OwedProfessional, Decision]]) -> None:
        """Several establishments at one mailbox: one notice, addressed to the first by identity (so that the order of
        files does not decide)."""
        reader = pairs[0][0]
        professions = {row.profession for row, _ in pairs}
        union = await self.sets.union(row.exposure_set for row, _ in pairs)
        key = SegmentRow(
            reader.sender,
            Audience.PROFESSIONAL,
            professions.pop() if len(professions) == 1 else "",
            Form.ESTABLISHMENTS,
            union,
            reader.language or self.language,
        )
        segment = await self.drafts.segment(key)
        assert reader.contact is not None  # who has a mailbox has a contact
        told = [(row.sender, row.identity) for row, _ in pairs]
        delivery = self.drafts.deliver(
            Route.EMAIL, Form.ESTABLISHMENTS, segment, (reader.contact, reader.provider), told
        )
        for row, decision in pairs:
            self.drafts.notify(row.person, segment, decision, delivery)


def _decide_professional(row: OwedProfessional) -> Decision:
    return decide(
        Situation(
            kind=PersonKind.PROFESSIONAL,
            status=MemberStatus.ACTIVE if row.contact is not None else None,
            own=Reach(row.mailbox is not None, bool(row.has_postal)),
            excluded=row.excluded,
        ),
        None,
    )


def _stands(decision: Decision, route: str, reason: str, review: str, excluded: str, *, unreached: bool) -> bool:
    """Whether an approved notification without delivery still says what would be decided today. ``unreached``: it has
    one, which failed for good; that stands until there is another way."""
    if unreached:
        return decision.to is To.NOBODY
    return (decision.route, decision.reason, decision.review, decision.excluded) == (route, reason, review, excluded)


def _why(decision: Decision, *, unreached: bool) -> str:
    if unreached:
        return "reachable_again"
    return "route_found" if decision.to is not To.NOBODY else "reason_changed"


def _ward_recipient(ward: Ward) -> object:
    return ward.recipient


def _shared_mailbox(row: OwedProfessional) -> object:
    return (row.sender, row.mailbox) if row.mailbox is not None else row.person


_Row = TypeVar("_Row")


async def _grouped(rows: AsyncIterator[_Row], key: Callable[[_Row], object]) -> AsyncIterator[list[_Row]]:
    """Neighbours with the same key, together."""
    group: list[_Row] = []
    for_key: object = None
    async for row in rows:
        this = key(row)
        if group and this != for_key:
            yield group
            group = []
        for_key = this
        group.append(row)
    if group:
        yield group
