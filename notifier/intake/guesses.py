"""What a column of an unknown layout may mean, told from its heading and from the look of its cells. Pure.

A guess is a proposal for somebody who reads it, never the reading of a file: each has a reason and says how sure it is.
The reason counts cells and quotes none (I8).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from notifier.intake import dates, identifiers
from notifier.intake.headings import normal_heading
from notifier.intake.mailboxes import mailbox
from notifier.intake.profiles import ROLES, Kind
from notifier.model import PersonKind
from notifier.people.identity import normal_name

Family = tuple[Kind, PersonKind]

ALIASES: Mapping[str, str] = {
    "nir": "N° SS, SSN, NNI, NumSecu, matricule, no secu, num ss, numero ss, nss, num nir, numero securite sociale, "
    "no securite sociale, numero insee",
    "nir_key": "cle, cle nir, cle ss, cle secu",
    "name": "nom, last name, surname, nom usage, nom famille, nom usuel, patronyme, nom naissance",
    "forename": "prenom, first name, prenoms, prenom usuel, prenom1",
    "birth_name": "nom naissance, nom jeune fille, nom patronymique",
    "birth_date": "ddn, dob, birth date, dt nais, date nais, dt naissance, date naissance, naissance, ne le, nee le",
    "birth_rank": "rang, rang gem, rang gemellaire, rang naissance, rang laser, rang nais",
    "insurer": "assureur, mutuelle, organisme, amc, complementaire, organisme complementaire, nom amc, nom mutuelle",
    "contract": "contrat, no contrat, num contrat, numero contrat, ref contrat, reference contrat, police",
    "member_number": "no adherent, num adherent, numero adherent, adherent, id adherent, matricule, identifiant",
    "guarantees": "garantie, garanties, formule, produit, niveau garantie",
    "categories": "categories, donnees, donnees exposees",
    "company": "raison sociale, rs, denomination, enseigne, etablissement, societe",
    "profession": "profession, specialite, metier, activite, categorie ps",
    "email": "mail, email, e-mail, mel, courriel, adresse mail, adresse email, adresse electronique",
    "email2": "email2, mail2, courriel2",
    "phone": "tel, telephone, mobile, portable, gsm, num tel, no tel",
    "address": "adresse, adresse1, adresse postale, voie, rue, adr",
    "address1": "adresse, adresse1, adresse postale, voie, rue, adr, adr1",
    "address2": "adresse2, complement, complement adresse, adr2",
    "postcode": "code postal, cp, codpost",
    "city": "ville, commune, localite",
    "login": "login, identifiant, compte, utilisateur, user",
    "rib": "rib, iban, coordonnees bancaires",
    "siret": "siret, no siret, num siret",
    "finess": "finess, no finess, num finess, finess geo",
    "rpps": "rpps, no rpps, num rpps",
    "civility": "civilite, civ, titre",
    "link": "lien, lien parente, type beneficiaire, type benef",
    "status": "statut, etat, situation",
    "language": "langue, lang",
    "email_opposition": "opposition email, opposition mail, optout",
    "protection": "mesure protection, protection, tutelle",
    "contract_year": "date adhesion, annee contrat, annee adhesion, date effet contrat",
    "guardian": "représentant légal, tuteur, nom tuteur, mandataire",
}
"""Role → headings that files use for it (DOMAIN C1), beside those of the shipped profiles."""

# Whom a heading speaks of, not what: taken away before it is looked up once more.
_WHOM = re.compile(
    r"\b(?:beneficiaires?|benef|benf|assures?|assuree|adherents?|patients?|professionnels?|ps|du|de|la|le|l|d|des)\b"
)
_PHONE = re.compile(r"(?:\+?33|0033|0)?[1-9][0-9]{8}")
_POSTCODE = re.compile(r"(?:[0-9]{5}|[0-9]{4})")
_SERIAL = re.compile(r"[0-9]{4,5}(?:[.,]0+)?")
_CIVILITIES = frozenset(("M", "MR", "MME", "MLLE", "MONSIEUR", "MADAME", "MADEMOISELLE"))
MOSTLY = 0.8  # of the cells that are not empty
DOUBTFUL = 0.5
FEWEST = 3  # cells; fewer prove nothing


class Certainty(StrEnum):
    """How far to trust a guess."""

    SURE = "sure"
    LIKELY = "likely"
    GUESS = "guess"
    NONE = "not recognised"


@dataclass(frozen=True)
class Column:
    """``position``: from 1. ``cells``: of the sampled rows, in their order, "" for empty."""

    position: int
    heading: str
    cells: tuple[str, ...]

    @property
    def filled(self) -> tuple[str, ...]:
        return tuple(cell for cell in self.cells if cell)


@dataclass(frozen=True, slots=True)
class Guess:
    """``role``: "" when nothing fits. ``why``: for the reader of the draft; counts, no values."""

    column: Column
    role: str
    certainty: Certainty
    why: str


@dataclass(frozen=True, slots=True)
class Known:
    """A heading of a shipped profile."""

    family: Family
    role: str
    profile: str


def guess(columns: Sequence[Column], family: Family, known: Mapping[str, Sequence[Known]], today: date) -> list[Guess]:
    """A guess per column, each role at most once. ``known``: normal heading → what the profiles at hand say of it."""
    looks = [looks_of(column, today) for column in columns]
    proposals = sorted(
        (rank, -looks[index].get(role, 0), index, role, certainty, why)  # of two meanings, the one its cells have
        for index, column in enumerate(columns)
        for rank, role, certainty, why in _proposals(column, family, known, looks[index])
    )
    given: dict[int, Guess] = {}
    taken: set[str] = set()
    for _, _, index, role, certainty, why in proposals:
        if index not in given and role not in taken:
            given[index] = Guess(columns[index], role, certainty, why)
            taken.add(role)
    if "nir_key" in ROLES[family] - taken:
        given |= _key_of(columns, given)
    return [
        given.get(index) or Guess(column, "", Certainty.NONE, _unplaced(column, looks[index], taken))
        for index, column in enumerate(columns)
    ]


def family_of(columns: Sequence[Column], known: Mapping[str, Sequence[Known]], today: date) -> Family:
    """The kind of file that explains most of the columns; the one with the fewest roles among equals."""
    worth = {Certainty.SURE: 4, Certainty.LIKELY: 3, Certainty.GUESS: 2, Certainty.NONE: 0}

    def explained(family: Family) -> tuple[int, int]:
        guesses = guess(columns, family, known, today)
        return sum(worth[each.certainty] for each in guesses), -len(ROLES[family])

    return max(ROLES, key=explained)


def is_usual(heading: str) -> bool:
    """Whether a heading is one that files use. For finding the line of headings."""
    return bool({normal_heading(heading), _without_whom(heading)} & _BY_ALIAS.keys())


def are_proved(columns: Sequence[Column], today: date) -> int:
    """How many columns hold what has a key or a shape of its own."""
    shapes = ("nir", "birth_date", "email", "siret", "rpps", "rib")
    every = [looks_of(column, today) for column in columns if len(column.filled) >= FEWEST]
    return sum(any(looks.get(shape, 0) >= MOSTLY for shape in shapes) for looks in every)


# -- the heading ---------------------------------------------------------------------------------------------------


def _by_alias() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for role, aliases in ALIASES.items():
        for alias in aliases.split(", "):
            key = normal_heading(alias)
            found[key] = (*found.get(key, ()), role)
    return found


_BY_ALIAS = _by_alias()


def _without_whom(heading: str) -> str:
    words = re.sub(r"[^0-9a-z]+", " ", re.sub(r"[_\-./'’]", " ", _plain(heading)))
    return normal_heading(_WHOM.sub(" ", words))


def _plain(heading: str) -> str:
    return normal_name(heading.replace("°", "").replace("º", "")).lower()


def _proposals(
    column: Column, family: Family, known: Mapping[str, Sequence[Known]], looks: Mapping[str, float]
) -> Iterator[tuple[int, str, Certainty, str]]:
    """(rank, role, certainty, why), the best rank 0."""
    roles = ROLES[family]
    key = normal_heading(column.heading)
    if not key:
        return
    for each in known.get(key, ()):
        role = _in_family(each.role, roles)
        if role:
            own = each.family == family
            yield _judged(column, 0 if own else 1, role, looks, f"a heading of the profile {each.profile}", keep=own)
    for rank, spelling, why in (
        (2, key, "a usual heading"),
        (3, _without_whom(column.heading), "close to a usual one"),
    ):
        for role in _BY_ALIAS.get(spelling, ()):
            if role in roles:
                yield _judged(column, rank, role, looks, why, keep=False)
    for role, share in looks.items():
        if role in roles and share >= MOSTLY and len(column.filled) >= FEWEST:
            yield 5, role, Certainty.GUESS, f"from the cells alone: {_share(column, role, share)}"


def _in_family(role: str, roles: Iterable[str]) -> str:
    if role in roles:
        return role
    other = {"address": "address1", "address1": "address"}.get(role, "")
    return other if other in roles else ""


def _judged(
    column: Column, rank: int, role: str, looks: Mapping[str, float], why: str, *, keep: bool
) -> tuple[int, str, Certainty, str]:
    """A heading's proposal, held against the cells: they confirm it, doubt it, or have nothing to say."""
    certainty = Certainty.SURE if rank <= 1 else Certainty.LIKELY
    share = looks.get(role)
    if share is None or len(column.filled) < FEWEST:
        return rank, role, certainty, why
    if share < DOUBTFUL:
        why = f"{why}, BUT only {_share(column, role, share)}: look at it"
        return (rank if keep else 4), role, Certainty.LIKELY if keep else Certainty.GUESS, why
    return rank, role, certainty, f"{why}; {_share(column, role, share)}"


# -- the cells -----------------------------------------------------------------------------------------------------

_SHAPES: Mapping[str, str] = {
    "nir": "hold as a NIR",
    "birth_date": "read as a date of birth",
    "email": "are e-mail addresses",
    "siret": "hold as a SIRET",
    "finess": "hold as a FINESS (a SIREN may look the same)",
    "rpps": "hold as an RPPS",
    "rib": "hold as a RIB or IBAN",
    "phone": "look like a telephone number",
    "postcode": "look like a postcode",
    "civility": "are a civility",
}


def _tests(today: date) -> Mapping[str, Callable[[str], bool]]:
    return {
        "nir": lambda cell: bool(identifiers.nir(cell).value),
        "birth_date": lambda cell: bool(dates.remembered(cell, today).value),
        "email": lambda cell: "@" in cell and bool(mailbox(cell).value),
        "siret": lambda cell: bool(identifiers.siret(cell).value),
        "finess": lambda cell: bool(identifiers.finess(cell).value),
        "rpps": lambda cell: bool(identifiers.rpps(cell).value),
        "rib": lambda cell: identifiers.bank_account(cell).value in ("rib", "iban"),
        "phone": lambda cell: bool(_PHONE.fullmatch(re.sub(r"[ .\-()\u00a0]", "", cell))),
        "postcode": lambda cell: bool(_POSTCODE.fullmatch(identifiers.compact(cell))),
        "civility": lambda cell: normal_name(cell) in _CIVILITIES,
    }


def looks_of(column: Column, today: date) -> dict[str, float]:
    """Role → the share of the cells that hold as one, by the rules that intake itself reads with."""
    filled = column.filled
    if not filled:
        return {}
    looks = {role: sum(map(test, filled)) / len(filled) for role, test in _tests(today).items()}
    if looks["birth_date"] and all(_SERIAL.fullmatch(cell) for cell in filled):
        # A spreadsheet's day numbers: five digits, as postcodes have. The heading has to decide.
        looks["birth_date"] = min(looks["birth_date"], MOSTLY - 0.01)
    return looks


def _share(column: Column, role: str, share: float) -> str:
    return f"{int(share * 100)} % of {len(column.filled)} sampled cells {_SHAPES[role]}"


def _key_of(columns: Sequence[Column], given: Mapping[int, Guess]) -> dict[int, Guess]:
    """The column of keys beside a column of NIRs in 13 characters: the arithmetic proves it."""
    nirs = next((guess.column for guess in given.values() if guess.role == "nir"), None)
    for index, column in enumerate(columns):
        if nirs is None or index in given or not column.heading.strip():
            continue
        pairs = [(nir, key) for nir, key in zip(nirs.cells, column.cells, strict=True) if nir and key]
        right = sum(bool(identifiers.nir(nir, key).value) for nir, key in pairs)
        if len(pairs) >= FEWEST and right >= MOSTLY * len(pairs):
            why = f"from the cells alone: the key of the NIR in {right} of {len(pairs)} sampled rows"
            return {index: Guess(column, "nir_key", Certainty.SURE, why)}
    return {}


def _unplaced(column: Column, looks: Mapping[str, float], taken: Iterable[str]) -> str:
    filled = column.filled
    if not filled:
        return "empty in the sampled rows"
    likely = [role for role, share in looks.items() if share >= MOSTLY and len(filled) >= FEWEST]
    if likely:
        more = f" (another column has the role {likely[0]})" if likely[0] in taken else ""
        return f"{_share(column, likely[0], looks[likely[0]])}{more}"
    kinds = "one and the same" if len(set(filled)) == 1 else f"{len(set(filled))} different"
    return f"{len(filled)} sampled cells, {kinds}"
