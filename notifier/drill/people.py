"""The insured of a drill: households are dealt from the deck and filled with invented persons.

Memory does not grow with the number of persons, and no two persons have the same (NIR, birth date, forename).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from notifier.drill.draws import Draws
from notifier.drill.households import (
    AGENCY,
    AT_AGENCY,
    DECK,
    HARD_DECK,
    LEAST_WITH_AGENCY,
    Case,
    Household,
    Reach,
)
from notifier.drill.names import (
    AGENCY_MAILBOX,
    COMPLEMENTS,
    FORENAMES,
    MAILBOX_DOMAINS,
    STREETS,
    SURNAMES,
    TOWNS,
    Spelling,
)
from notifier.drill.numbers import NIR_SPACE, Ordinals, Register, nir

Address = tuple[str, str, str, str]
"""Two lines, postcode, town."""

_ORDINARY = {"A": Case.HOLDER, "C": Case.SPOUSE, "E": Case.MINOR}
_ADULTS = (1940, 2000)
_PARENTS_OF_MINORS = (1972, 1999)
_PARENTS_OF_ADULTS = (1940, 1963)
_ADULT_CHILDREN = (1985, 2000)
_MINORS = (2019, 2024)
"""Years of birth, from … to before: nobody comes of age, or ceases to be a minor, before 2035."""


@dataclass(slots=True)
class Member:
    """One person with a place on a contract. ``rank``: birth rank in the directory; ``rank_viamedis`` and
    ``rank_almerys``: what their column says, "" = empty. ``month`` and ``day``: 0 where the civil record is silent.

    ``nir_exported``: what the exports say instead of ``nir``; ``key_of``: of which number they give the key; ``noise``:
    which field of one of its rows has a typing error.
    """

    link: str
    contract: int
    number: int
    sex: int
    name: Spelling
    forename: Spelling
    year: int
    month: int
    day: int
    nir: str
    case: Case
    address: Address | None
    email: str = ""
    status: str = "actif"
    rank: str = "1"
    rank_viamedis: str = ""
    rank_almerys: str = ""
    in_viamedis: bool = False
    in_almerys: bool = False
    has_wrong_key: bool = False
    is_listed: bool = True
    is_minor: bool = False
    nir_exported: str = ""
    key_of: str = ""
    is_protected: bool = False
    is_opposed: bool = False
    is_withdrawn: bool = False
    is_at_agency: bool = False
    only_in_old: bool = False
    noise: str = ""

    @property
    def is_affected(self) -> bool:
        """Whether an operator lost this person's data."""
        return self.in_viamedis or self.in_almerys


class Population:
    """Deals households until ``insured`` persons of them stand in an export.

    ``practitioners``: up to ``wanted_practitioners`` of them, whom the drill makes professionals as well.
    """

    def __init__(self, draws: Draws, *, insured: int, wanted_practitioners: int, is_hard: bool = False) -> None:
        self._draws = draws
        self._owed = insured
        self._wanted_practitioners = wanted_practitioners
        self._deck = HARD_DECK if is_hard else DECK
        self._at_agency = AT_AGENCY if is_hard and insured >= LEAST_WITH_AGENCY else 0
        self._registers = Ordinals(NIR_SPACE, draws.below(NIR_SPACE), "NIRs")
        self._contracts = 0
        self._members = 0
        self.practitioners: list[Member] = []

    def __iter__(self) -> Iterator[list[Member]]:
        """One contract at a time; its first member is the holder."""
        for _ in range(self._at_agency):
            yield self._fill(AGENCY)
        deck = list(self._deck)
        while self._owed:
            self._draws.shuffle(deck)
            for household in deck:
                if not self._owed:
                    return
                members = self._fill(household)
                yield members
                if household.homonyms:
                    yield self._fill(household, like=members[0])
                elif household.separated:
                    yield self._fill(household, child_like=members[-1])

    def _fill(self, household: Household, like: Member | None = None, child_like: Member | None = None) -> list[Member]:
        self._contracts += 1
        holder = self._holder(household, like)
        members = [holder]
        if household.spouse:
            members.append(self._spouse(household, holder, members))
        if household.adult_child:
            members.append(self._adult_child(household, holder, members))
        if household.minors or household.twins:
            self._add_minors(household, holder, members)
        if child_like is not None:
            child = members[-1]
            child.name, child.forename, child.sex = child_like.name, child_like.forename, child_like.sex
            child.year, child.month, child.day = child_like.year, child_like.month, child_like.day
        unlisted = "A" if like is not None and household.homonyms == 1 else household.unlisted
        for member in members:
            member.is_listed = member.link not in unlisted and not household.only_in_old
            member.only_in_old = household.only_in_old
            if member.link in household.to:
                member.is_protected, member.is_opposed = household.protected, household.opposed
                member.is_withdrawn = household.withdrawn
                if household.at_agency:
                    member.is_at_agency, member.email = True, AGENCY_MAILBOX
                if household.other_parent:
                    member.nir_exported = members[1].nir
            if member.link in household.affected and self._owed:
                self._owed -= 1
                self._expose(household, member)
        return members

    def _member(
        self, link: str, sex: int, *, name: Spelling, forename: Spelling, case: Case, address: Address | None
    ) -> Member:
        self._members += 1
        return Member(link, self._contracts, self._members, sex, name, forename, 0, 0, 0, "", case, address)

    def _holder(self, household: Household, like: Member | None) -> Member:
        draws = self._draws
        address = None if household.reach is Reach.NOWHERE else self._address()
        case = household.case if "A" in household.to else Case.HOLDER
        years = _ADULTS
        if household.minors or household.twins:
            years = _PARENTS_OF_MINORS
        elif household.adult_child:
            years = _PARENTS_OF_ADULTS
        if like is None:
            sex = 1 + draws.below(2)
            holder = self._member(
                "A", sex, name=draws.pick(SURNAMES), forename=draws.pick(FORENAMES[sex]), case=case, address=address
            )
            self._give_birth_date(holder, years, self._register(), partial=household.partial_birth_date)
        else:
            holder = self._member("A", like.sex, name=like.name, forename=like.forename, case=case, address=address)
            holder.year, holder.month, holder.day = like.year, like.month, like.day
            register = self._register()
            while register.month != like.month:
                register = self._register()
            holder.nir = nir(like.sex, like.year, register)
        holder.status = "décédé" if "A" in household.deceased else household.status
        if household.reach is Reach.MAILBOX:
            holder.email = self._mailbox(holder)
        return holder

    def _spouse(self, household: Household, holder: Member, members: list[Member]) -> Member:
        draws = self._draws
        sex = 3 - holder.sex if draws.unit() < 0.95 else holder.sex
        name = holder.name if draws.unit() < 0.7 else draws.pick(SURNAMES)
        case = household.case if "C" in household.to else Case.SPOUSE
        forename = self._forename(sex, members)
        spouse = self._member("C", sex, name=name, forename=forename, case=case, address=holder.address)
        years = _PARENTS_OF_MINORS if household.minors or household.twins else _ADULTS
        self._give_birth_date(spouse, years, self._register())
        self._keep_apart(spouse, members)
        if household.spouse == "holder":
            spouse.nir = holder.nir
        spouse.status = "décédé" if "C" in household.deceased else household.status
        if household.shared_mailbox:
            spouse.email = holder.email
        elif household.spouse_reach is Reach.MAILBOX:
            spouse.email = self._mailbox(spouse)
        return spouse

    def _adult_child(self, household: Household, holder: Member, members: list[Member]) -> Member:
        draws = self._draws
        sex = 1 + draws.below(2)
        forename = self._forename(sex, members)
        child = self._member("E", sex, name=holder.name, forename=forename, case=household.case, address=holder.address)
        self._give_birth_date(child, _ADULT_CHILDREN, self._register())
        if draws.unit() < 0.5:
            child.nir = holder.nir
        if household.child_reach is Reach.MAILBOX:
            child.email = self._mailbox(child)
        return child

    def _add_minors(self, household: Household, holder: Member, members: list[Member]) -> None:
        """Children under the holder's NIR; each birth in a year of its own, twins in one."""
        draws = self._draws
        years = list(range(*_MINORS))
        draws.shuffle(years)
        case = household.case if "E" in household.to else Case.MINOR
        single = Case.MINOR if household.twins else case
        mailbox = holder.email if draws.unit() < 0.3 else ""
        ranks = ["1"] * household.minors + ["1", "2"] * bool(household.twins)
        for index, rank in enumerate(ranks):
            is_twin = index >= household.minors
            sex = 1 + draws.below(2)
            forename = self._forename(sex, members)
            child = self._member(
                "E", sex, name=holder.name, forename=forename, case=case if is_twin else single, address=holder.address
            )
            if rank == "2":
                first = members[-1]
                child.year, child.month, child.day = first.year, first.month, first.day
            else:
                child.year, child.month, child.day = years.pop(), 1 + draws.below(12), 1 + draws.below(28)
            child.nir = holder.nir
            child.rank = rank
            child.is_minor = True
            child.email = mailbox
            members.append(child)

    def _expose(self, household: Household, member: Member) -> None:
        """Put an affected member into one operator's file, or both, and fill or leave the rank."""
        unit = self._draws.unit
        targeted = member.link in household.to
        chance = unit()
        if household.wrong_key and targeted:
            member.has_wrong_key = True
            member.in_viamedis = household.wrong_key == "viamedis"
            member.in_almerys = not member.in_viamedis
        else:
            member.in_viamedis, member.in_almerys = chance < 0.6, chance < 0.2 or chance >= 0.6
        if household.withdrawn and targeted:
            member.in_viamedis, member.in_almerys = True, False  # the file that is corrected
        if household.twins == "00" and member.is_minor:
            member.rank_viamedis = member.rank_almerys = ""
        elif household.twins and member.is_minor:
            alike = household.twins == "11"
            member.rank_viamedis = "1" if alike else member.rank
            # One operator may number the twins that the other does not: a warning, two children all the same.
            member.rank_almerys = "1" if alike and unit() < 0.6 else member.rank
        else:
            member.rank_viamedis = "1" if unit() < 0.85 else ""
            member.rank_almerys = "1" if unit() < 0.7 else ""
        if member.case is _ORDINARY[member.link]:
            if member.in_viamedis and member.in_almerys:
                member.case = Case.BOTH_OPERATORS
            elif self._wanted_practitioners and household.case is Case.HOLDER and not household.spouse:
                self._wanted_practitioners -= 1
                member.case = Case.ALSO_PROFESSIONAL
                self.practitioners.append(member)

    def _register(self) -> Register:
        return Register.at(self._registers.take())

    def _give_birth_date(
        self, member: Member, years: tuple[int, int], register: Register, *, partial: bool = False
    ) -> None:
        draws = self._draws
        first, before = years
        member.year = first + draws.below(before - first)
        if not partial:
            member.month, member.day = register.month, 1 + draws.below(28)
        elif draws.unit() < 0.5:
            member.month = register.month
        member.nir = nir(member.sex, member.year, register, month_known=member.month > 0)

    @staticmethod
    def _keep_apart(member: Member, others: list[Member]) -> None:
        """Nobody but twins shares a birth date within a household (they may share a NIR)."""
        while any((member.year, member.month, member.day) == (other.year, other.month, other.day) for other in others):
            member.day = member.day % 28 + 1

    def _forename(self, sex: int, others: list[Member]) -> Spelling:
        forename = self._draws.pick(FORENAMES[sex])
        while any(forename is other.forename for other in others):
            forename = self._draws.pick(FORENAMES[sex])
        return forename

    def _mailbox(self, member: Member) -> str:
        return f"{member.forename.slug}.{member.name.slug}{member.number}@{self._draws.pick(MAILBOX_DOMAINS)}"

    def _address(self) -> Address:
        draws = self._draws
        chance = draws.unit()
        complement = COMPLEMENTS[int(chance * 4 * len(COMPLEMENTS))] if chance < 0.25 else ""
        street = f"{1 + draws.below(180)} {draws.pick(STREETS)}"
        return street, complement, f"{1 + draws.below(95):02d}9{draws.below(100):02d}", draws.pick(TOWNS)
