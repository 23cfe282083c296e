"""The health professionals of a drill: practices with SIRET, FINESS, portal login and bank account."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, repeat

from notifier.drill.draws import Draws
from notifier.drill.households import Case
from notifier.drill.names import FORENAMES, PRACTICE_DOMAINS, PRACTICES, STREETS, SURNAMES, TOWNS, Spelling
from notifier.drill.numbers import FINESS_SPACE, SIREN_SPACE, Ordinals, finess, rib, siret
from notifier.drill.people import Member

_DECK = tuple(
    chain(
        repeat(Case.PROFESSIONAL, 13),
        repeat(Case.PROFESSIONAL_NO_MAILBOX, 2),
        repeat(Case.ESTABLISHMENTS, 1),
        repeat(Case.SEVERAL_LINES, 1),
        repeat(Case.ALSO_PROFESSIONAL, 1),
    )
)
_PHONES = ("01 99 00", "02 61 91", "03 53 01", "04 65 71", "05 36 49", "06 39 98")


@dataclass(slots=True)
class Practice:
    """One establishment. ``group``: "" or what it shares with the other establishments at its mailbox.
    ``operators``: who lost its data; ``logins`` and ``accounts``: in whose file the column is filled."""

    case: Case
    group: str
    profession: str
    company: str
    name: Spelling
    forename: Spelling
    email: str
    phone: str
    street: str
    postcode: str
    town: str
    login: str
    rib: str
    iban: str
    siret: str
    finess: str
    operators: tuple[str, ...]
    logins: frozenset[str]
    accounts: frozenset[str]


class Professionals:
    """Deals ``professionals`` practices, some of them of persons who are insured as well."""

    def __init__(self, draws: Draws, *, professionals: int, practitioners: list[Member], is_hard: bool = False) -> None:
        self._draws = draws
        self._owed = professionals
        self._chain = min(300, professionals // 2) if is_hard else 0
        self._practitioners = practitioners
        self._sirens = Ordinals(SIREN_SPACE, draws.below(SIREN_SPACE), "SIREN numbers")
        self._finess = Ordinals(FINESS_SPACE, draws.below(FINESS_SPACE), "FINESS numbers")
        self._number = 0

    def __iter__(self) -> Iterator[Practice]:
        """The establishments of one practitioner follow each other."""
        deck = list(_DECK)
        insured = iter(self._practitioners)
        if self._chain > 1:
            practices = self._practices(Case.CHAIN, None)
            self._owed -= len(practices)
            yield from practices
        while self._owed:
            self._draws.shuffle(deck)
            for case in deck:
                if not self._owed:
                    return
                if case is Case.ALSO_PROFESSIONAL and (known := next(insured, None)) is not None:
                    practices = self._practices(case, known)
                elif case is Case.ALSO_PROFESSIONAL:
                    practices = self._practices(Case.PROFESSIONAL, None)
                else:
                    practices = self._practices(case, None)
                self._owed -= len(practices)
                yield from practices

    def _practices(self, case: Case, known: Member | None) -> list[Practice]:
        draws = self._draws
        establishments = 1
        if case is Case.ESTABLISHMENTS:
            establishments = min(2 + draws.below(2), self._owed)
            case = case if establishments > 1 else Case.PROFESSIONAL
        elif case is Case.CHAIN:
            establishments = self._chain
        self._number += 1
        sex = 1 + draws.below(2)
        name = known.name if known else draws.pick(SURNAMES)
        forename = known.forename if known else draws.pick(FORENAMES[sex])
        email = known.email if known else f"{name.slug}.pro{self._number}@{draws.pick(PRACTICE_DOMAINS)}"
        if case is Case.PROFESSIONAL_NO_MAILBOX:
            email = ""
        profession = draws.pick(tuple(PRACTICES))
        chance = draws.unit()
        operators = ("viamedis", "almerys") if chance < 0.25 else ("viamedis",) if chance < 0.65 else ("almerys",)
        group = ""
        logins = frozenset(operator for operator in operators if draws.unit() < 0.75)
        accounts = frozenset(operator for operator in operators if draws.unit() < 0.7)
        if establishments > 1:
            # One text lists them all: the same data came out for each.
            group, logins, accounts = f"P{self._number:06d}", frozenset(operators), frozenset(operators)
        siren = self._sirens.take()
        return [
            self._practice(
                case=case,
                group=group,
                profession=profession,
                name=name,
                forename=forename,
                email=email,
                operators=operators,
                logins=logins,
                accounts=accounts,
                number=siret(siren, index + 1),
            )
            for index in range(establishments)
        ]

    def _practice(
        self,
        *,
        case: Case,
        group: str,
        profession: str,
        name: Spelling,
        forename: Spelling,
        email: str,
        operators: tuple[str, ...],
        logins: frozenset[str],
        accounts: frozenset[str],
        number: str,
    ) -> Practice:
        draws = self._draws
        department = f"{1 + draws.below(95):02d}"
        ordinal = self._finess.take()
        town = draws.pick(TOWNS)
        account, iban = rib(ordinal, "ABCMZ"[ordinal % 5])
        register = department if department != "20" else draws.pick(("2A", "2B"))  # FINESS knows both halves of Corsica
        return Practice(
            case=case,
            group=group,
            profession=profession,
            company=f"{draws.pick(PRACTICES[profession])} {name.proper}" + (f" – {town}" if group else ""),
            name=name,
            forename=forename,
            email=email,
            phone=f"{draws.pick(_PHONES)} {draws.below(100):02d} {draws.below(100):02d}",
            street=f"{1 + draws.below(180)} {draws.pick(STREETS)}",
            postcode=f"{department}9{draws.below(100):02d}",
            town=town,
            login=f"{profession[:3].upper()}{ordinal:06d}",
            rib=account,
            iban=iban,
            siret=number,
            finess=finess(register, ordinal),
            operators=operators,
            logins=logins,
            accounts=accounts,
        )
