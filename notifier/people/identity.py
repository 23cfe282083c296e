"""Who is the same person: normal forms and the keys that identity and matching join on. Pure.

An insured person's group is (sender, NIR 13, birth date); inside it forenames tell persons apart, because one NIR
covers a family (DOMAIN B2). Keys are lists of strings here; the vault turns each into a keyed digest, so that no
normal form of a NIR or a name is ever stored.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

_LIGATURES = str.maketrans(
    {"Œ": "OE", "œ": "OE", "Æ": "AE", "æ": "AE", "ß": "SS", "Ø": "O", "ø": "O", "ı": "I"}
    | {"Ł": "L", "ł": "L", "Đ": "D", "đ": "D", "Ð": "D", "ð": "D", "Þ": "TH", "þ": "TH"}
)
_SEPARATORS = re.compile(r"[^A-Z0-9]+")

Key = tuple[str, ...]


def normal_name(text: str) -> str:
    """The form in which names are compared: no accents, upper case, one space for apostrophes, hyphens and spaces.

    >>> normal_name("  Anne-Zoé  d’Hœrdt ")
    'ANNE ZOE D HOERDT'
    """
    if text.isascii():
        return _SEPARATORS.sub(" ", text.upper()).strip()
    decomposed = unicodedata.normalize("NFKD", text.translate(_LIGATURES).upper())
    # A letter of another script stays: a name that vanished would make a nameless row of it.
    plain = "".join(letter if letter.isalnum() else " " for letter in decomposed if not unicodedata.combining(letter))
    return " ".join(plain.upper().split())


def normal_number(text: str) -> str:
    """The form in which contract and member numbers are compared: upper case, letters and digits only. Leading
    zeros stay: we do not know that an insurer gives them no meaning."""
    return _SEPARATORS.sub("", text.upper())


def normal_email(text: str) -> str:
    """The form in which mailboxes are compared: lower case. (Local parts may by RFC 5321 2.4 differ by case; no
    provider makes use of it, and two notices to one mailbox would be the price.)"""
    return text.strip().lower()


@dataclass(frozen=True, slots=True)
class InsuredFacts:
    """What a row says of an insured person, in normal form; "" = not known.

    ``nir``: 13 characters, checked, else "". ``birth_date``: ``YYYY-MM-DD``, ``00`` for what is not known.
    ``rank``: birth rank among twins, 1 …, None = not given.
    """

    sender: str
    nir: str = ""
    birth_date: str = ""
    forename: str = ""
    name: str = ""
    rank: int | None = None
    contract: str = ""
    member_number: str = ""


def group_key(facts: InsuredFacts) -> Key | None:
    """The group inside which forenames decide; None without a usable NIR and a birth date."""
    if facts.nir and facts.birth_date:
        return ("group", facts.sender, facts.nir, facts.birth_date)
    return None


def insured_identity(facts: InsuredFacts) -> Key | None:
    """The identity of an insured person, or None when none remains (the row is then rejected).

    With NIR and birth date: the forename decides, whatever the rank says; without a forename the rank stands in
    (``settle`` may later find that such a row is a named person). Without NIR: contract or member number, birth
    date, forename and name, all of them (DESIGN 7).
    """
    group = group_key(facts)
    if group is not None:
        if facts.forename:
            return ("insured", *group[1:], facts.forename)
        return ("insured-nameless", *group[1:], str(facts.rank or ""))
    number = f"C{facts.contract}" if facts.contract else f"M{facts.member_number}" if facts.member_number else ""
    if number and facts.birth_date and facts.forename and facts.name:
        return ("insured-number", facts.sender, number, facts.birth_date, facts.forename, facts.name)
    return None


@dataclass(frozen=True, slots=True)
class ProfessionalFacts:
    """What a row says of a professional, in normal form; "" = not known or not valid."""

    sender: str
    siret: str = ""
    finess: str = ""
    rpps: str = ""
    company: str = ""
    email: str = ""


def professional_identity(facts: ProfessionalFacts) -> Key | None:
    """SIRET+FINESS, else FINESS, SIRET, RPPS, else company + e-mail; None when nothing of it is there."""
    registers = {
        "siret+finess": (facts.siret, facts.finess),
        "finess": (facts.finess,),
        "siret": (facts.siret,),
        "rpps": (facts.rpps,),
    }
    for register, numbers in registers.items():
        if all(numbers):
            return ("professional", facts.sender, register, *numbers)
    if facts.company and facts.email:
        return ("professional", facts.sender, "company", facts.company, facts.email)
    return None


@dataclass(frozen=True, slots=True)
class Rungs:
    """The keys of the ladder, strongest first (DESIGN 7); None = this side lacks what the rung needs. ``nir_rank`` is
    the group's key and the rank (digested by ``vault.ranked_key``); ``nir_forename`` is the identity itself."""

    member: Key | None
    nir_rank: tuple[Key, int] | None
    nir_forename: Key | None
    contract: Key | None


def rungs(facts: InsuredFacts) -> Rungs:
    """The ladder's keys for one side, record or directory member. Never name and birth date alone."""
    sender, birth = facts.sender, facts.birth_date
    member = nir_forename = contract = None
    group = group_key(facts)
    nir_rank = (group, facts.rank) if group is not None and facts.rank is not None else None
    if birth and facts.member_number and facts.forename:
        member = ("rung-member", sender, facts.member_number, birth, facts.forename)
    if group is not None and facts.forename:
        nir_forename = ("insured", *group[1:], facts.forename)
    if birth and facts.contract and facts.name:
        contract = ("rung-contract", sender, facts.contract, birth, facts.name)
    return Rungs(member, nir_rank, nir_forename, contract)


def near_key(facts: InsuredFacts) -> Key | None:
    """What a record's near-miss is sought by when the ladder found nobody: the NIR (a birth date or a name may then
    differ), or without a usable one contract and birth date (the name may differ). One key per record: see
    docs/design-notes.md."""
    nir, contract = member_near_keys(facts)
    return nir or contract


def member_near_keys(facts: InsuredFacts) -> tuple[Key | None, Key | None]:
    """Both keys of near-misses, as a directory's row has them."""
    sender, birth = facts.sender, facts.birth_date
    nir = ("near-nir", sender, facts.nir) if facts.nir else None
    contract = ("near-contract", sender, facts.contract, birth) if facts.contract and birth else None
    return nir, contract


def birth_name_key(facts: InsuredFacts, birth_name: str) -> Key | None:
    """The rung of contract, birth date and name once more, for a member whose name at birth (in normal form) is another
    one: an export may write either."""
    return rungs(replace(facts, name=birth_name)).contract if birth_name not in ("", facts.name) else None


def forename_key(facts: InsuredFacts) -> Key | None:
    """What lets SQL compare forenames without knowing them: "not contradicting" = equal, or one side has none."""
    return ("forename", facts.sender, facts.forename) if facts.forename else None


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One record of a group, as ``settle`` sees it: its row id, forename key (None = nameless) and rank."""

    row: int
    forename: bytes | None
    rank: int | None


def settle(group: Iterable[GroupRow]) -> dict[int, bytes | None]:
    """Decide on the whole group at once, so that the order of rows and files does not matter (DESIGN 7): nameless
    row → the forename key of the person it belongs to, or None = its own person, to be reviewed.

    A nameless row joins the one named person that has its rank; if its rank is unknown or fits several or none, it
    stays its own person: two notices to one person are a small fault, one notice for two a great one. A named row
    needs no decision: the same forename is one person, a different one another, whatever the ranks say.
    """
    holders: dict[int, set[bytes]] = {}
    nameless: list[GroupRow] = []
    for row in group:
        if row.forename is None:
            nameless.append(row)
        elif row.rank is not None:
            holders.setdefault(row.rank, set()).add(row.forename)
    joins: dict[int, bytes | None] = {}
    for row in nameless:
        fitting = holders.get(row.rank, set()) if row.rank is not None else set()
        joins[row.row] = next(iter(fitting)) if len(fitting) == 1 else None
    return joins
