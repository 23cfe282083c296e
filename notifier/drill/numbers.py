"""Numbers with valid keys, never twice the same: NIR, SIRET, FINESS, RIB.

Every number is derived from an ordinal by a permutation that the seed shifts, so that uniqueness needs no memory. None
belongs to anybody: communes 910 to 989 do not exist, SIREN numbers from 98… and bank codes 99… are not given out, and
telephone numbers come from the ranges that ARCEP keeps for fiction.
"""

from __future__ import annotations

from dataclasses import dataclass

from notifier.errors import OperatorError

_DEPARTMENTS = (
    *(f"{number:02d}" for number in range(1, 20)),
    "2A",
    "2B",
    *(f"{number:02d}" for number in range(21, 96)),
    "99",  # births abroad: 99 and a country
)
_COMMUNES, _FIRST_COMMUNE, _ORDERS, _MONTHS = 80, 910, 999, 12
NIR_SPACE = len(_DEPARTMENTS) * _COMMUNES * _ORDERS * _MONTHS
SIREN_SPACE = 2_000_000
FINESS_SPACE = 1_000_000

_TWO = tuple(f"{number:02d}" for number in range(100))
_THREE = tuple(f"{number:03d}" for number in range(1000))
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)  # a digit twice, digits of the product added (Luhn)
_RIB_LETTERS = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "12345678912345678923456789")


class Ordinals:
    """The numbers 0 … ``size`` - 1, each once, in an order that ``start`` shifts."""

    _STEP = 48_271_031  # prime, divides none of the sizes above: the multiples run through every residue

    def __init__(self, size: int, start: int, what: str) -> None:
        self._size = size
        self._start = start
        self._what = what
        self._taken = 0

    def take(self) -> int:
        """The next one. Raises ``OperatorError`` when all are given out."""
        taken = self._taken
        if taken >= self._size:
            raise OperatorError(f"the drill has only {self._size} different {self._what}; ask for fewer persons")
        self._taken = taken + 1
        return (self._start + taken * self._STEP) % self._size


@dataclass(frozen=True, slots=True)
class Register:
    """A place in the register of births: what a NIR says beside sex and year."""

    month: int
    department: str
    commune: int
    order: int

    @classmethod
    def at(cls, ordinal: int) -> Register:
        """The place that belongs to an ordinal of :data:`NIR_SPACE`."""
        rest, department = divmod(ordinal, len(_DEPARTMENTS))
        rest, order = divmod(rest, _ORDERS)
        month, commune = divmod(rest, _COMMUNES)
        return cls(month + 1, _DEPARTMENTS[department], commune + _FIRST_COMMUNE, order + 1)


def nir(sex: int, year: int, register: Register, *, month_known: bool = True) -> str:
    """The 13 characters of a NIR. Corsica is 20 before 1976; an unknown month of birth is written 20 to 31."""
    department, commune = register.department, register.commune
    if year < 1976 and department in ("2A", "2B"):
        # 2A and 2B fall together: move the communes of 2B, or two persons would have one NIR.
        commune -= 400 * (department == "2B")
        department = "20"
    month = register.month if month_known else register.month + 19
    return f"{sex}{_TWO[year % 100]}{_TWO[month]}{department}{_THREE[commune]}{_THREE[register.order]}"


def nir_key(nir13: str) -> int:
    """97 - (N mod 97), from 1 to 97; 2A counts as 19, 2B as 18."""
    if not nir13.isdigit():
        nir13 = nir13.replace("2A", "19").replace("2B", "18")
    return 97 - int(nir13) % 97


def luhn_digit(digits: str) -> str:
    """The digit that, put behind ``digits``, makes their Luhn sum divisible by 10."""
    total = sum(_DOUBLED[int(digit)] for digit in digits[-1::-2]) + sum(int(digit) for digit in digits[-2::-2])
    return str(-total % 10)


def siret(ordinal: int, establishment: int) -> str:
    """14 digits: a SIREN (9, Luhn) and the number of the establishment (4, Luhn over all). ``establishment`` from 1."""
    siren = str(98_000_000 + ordinal)
    siren += luhn_digit(siren)
    body = f"{siren}{establishment:04d}"
    return body + luhn_digit(body)


def finess(department: str, ordinal: int) -> str:
    """9 characters: department, 6 digits, Luhn key (the letters of 2A and 2B count as 1 and 2)."""
    digits = f"{ordinal:06d}"
    return department + digits + luhn_digit(department.replace("A", "1").replace("B", "2") + digits)


def rib(ordinal: int, letter: str) -> tuple[str, str]:
    """The same account as (RIB of 23 characters with spaces, IBAN of 27 without). ``letter`` stands in the account."""
    bank, branch = f"99{ordinal % 900:03d}", f"{ordinal // 900 % 90_000:05d}"
    account = f"{ordinal:07d}{letter}"[-8:] + f"{ordinal * 7 % 1000:03d}"
    digits = account.translate(_RIB_LETTERS)
    key = 97 - (89 * int(bank) + 15 * int(branch) + 3 * int(digits)) % 97
    bban = f"{bank}{branch}{account}{key:02d}"
    # ISO 7064: letters count as 10 to 35, FR00 stands behind the account.
    check = 98 - int("".join(str(int(character, 36)) for character in f"{bban}FR00")) % 97
    return f"{bank} {branch} {account} {key:02d}", f"FR{check:02d}{bban}"
