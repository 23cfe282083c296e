"""Lines that speak of nobody: the end of a file, its totals, rules, and headings in the middle of it. Pure.

A line that we take for one of these is nobody's row for ever, so the rule asks for much: known words and counts alone,
few cells filled, nothing in a column of numbers that identify, no group of digits as long as a NIR. It is asked only of
rows that were rejected. What it does not recognise stays an open rejection, and somebody looks at it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from notifier.intake.headings import normal_heading
from notifier.people.identity import normal_name

Cell = tuple[str, str, str]
"""Role ("" = not known), heading ("" = none), and what the cell holds."""

FILLED = 3  # cells at most; headings and rules apart
COUNT_DIGITS = 9
_NUMBERED = frozenset(
    "nir contract member_number birth_date email email2 phone postcode login rib siret finess rpps".split()  # noqa: SIM905
)
_LINES = (
    r"(?:LIGNES?|ENREGISTREMENTS?|ENR|RECORDS?|ROWS?|ASSURES?|BENEFICIAIRES?|ADHERENTS?|PERSONNES?|PROFESSIONNELS?)"
)
_COUNT = rf"(?: (?:DE |D |DES )?{_LINES}(?: (?:LUE?S?|ECRITE?S?|EXTRAITE?S?|EXPORTEE?S?|SELECTIONNEE?S?))?)"
# In the normal form of names: upper case, no accents, one space for everything that is neither letter nor digit.
_WORDS = re.compile(
    rf"(?P<bare>TOTAL|TOTAUX|FIN|TRAILER)|(?:SOUS TOTAL|TOTAL GENERAL|TOTAL{_COUNT}|GRAND TOTAL)"
    rf"|(?:NOMBRE|NB|NBRE)(?: TOTAL)?{_COUNT}"
    r"|FIN (?:DE |DU |D |DES |DE L )?(?:FICHIER|EXPORT|EXTRACTION|TRAITEMENT|EDITION|LISTE|DONNEES|TRANSMISSION)"
    r"|EOF|END OF (?:FILE|REPORT|DATA)"
)
_TOLD = re.compile(rf"(?:(?P<rows>[0-9]{{1,{COUNT_DIGITS}}}) {_LINES}(?: (?:AFFECTED|SELECTED|SELECTIONNEE?S?))?)")
_DIGITS = re.compile(r"[0-9]+")
_LONG = re.compile(r"[0-9](?:[ .\-\u00a0\u202f]?[0-9]){9}")
_RULE = re.compile(r"([-=_*~+#])\1*")
RULE_CHARACTERS = 5


def is_trailer(cells: Sequence[Cell]) -> bool:
    """Whether a rejected line is about nobody. ``cells``: in the file's order, as they were read.

    >>> is_trailer([("nir", "NIR", "Total : 812 344"), ("nir_key", "CLE", "")])
    True
    >>> is_trailer([("name", "NOM", "TOTAL"), ("forename", "PRENOM", "ANNE")])
    False
    """
    filled = [index for index, (_, _, text) in enumerate(cells) if text.strip()]
    if not filled:
        return False
    return _repeats_headings(cells) or _is_rule([cells[index][2].strip() for index in filled]) or _ends(cells, filled)


def _repeats_headings(cells: Sequence[Cell]) -> bool:
    """As files have it that were put together from several: every heading again, each in its own column."""
    named = [(normal_heading(heading), normal_heading(text)) for _, heading, text in cells if heading]
    return len(named) > 1 and all(heading == text for heading, text in named) and _beyond_is_empty(cells)


def _beyond_is_empty(cells: Sequence[Cell]) -> bool:
    return not any(text.strip() for _, heading, text in cells if not heading)


def _is_rule(texts: Sequence[str]) -> bool:
    """A line of dashes. Single ones alone are what people write for "nothing": such a row may be somebody's."""
    return all(_RULE.fullmatch(text) for text in texts) and any(len(text) >= RULE_CHARACTERS for text in texts)


def _ends(cells: Sequence[Cell], filled: Sequence[int]) -> bool:
    if len(filled) > FILLED or any(_LONG.search(cells[index][2]) for index in filled):
        return False
    first, *others = filled
    words = normal_name(cells[first][2])
    if _TOLD.fullmatch(words):
        return not others
    counts = [index for index in others if _is_count(cells[index])]
    if len(counts) != len(others):
        return False
    stated = re.sub(rf"(?: [0-9]{{1,3}}){{1,3}}$| [0-9]{{1,{COUNT_DIGITS}}}$", "", words)
    if not (found := _WORDS.fullmatch(stated)):
        return False
    if not found["bare"]:
        return True
    # "Total" and "Fin" are names of people and firms too: here the count must stand with the word, or right after it.
    return not others if stated != words else others == [first + 1]


def _is_count(cell: Cell) -> bool:
    role, _, text = cell
    digits = normal_name(text).replace(" ", "")
    return bool(_DIGITS.fullmatch(digits)) and len(digits) <= COUNT_DIGITS and role not in _NUMBERED
