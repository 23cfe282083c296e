"""What encodings and spreadsheets did to single cells: undone where the undoing is certain, told where it is not. Pure.

Text that was encoded twice (``Ã©`` for ``é``) is undone when it decodes cleanly (``mojibake_repaired``). A name in
which a letter was lost (U+FFFD or ``?``) stays as it is, for matching; it is told (``name_damaged``), and no notice
shows it. A number that a spreadsheet wrote with an exponent has lost digits: it is not usable and never reconstructed
(``number_rounded``). A whole number that came out as a decimal one (``12.0``) is whole again: no digit was lost, and
nothing is told. A spreadsheet's error (``#N/A``), or the ``####`` of a column that was too narrow when it was saved as
text, is an empty cell (``cell_error``). What was written for a spreadsheet, ``="0123"`` or ``'0123``, is what stands
inside (``text_unwrapped``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import polars as pl

REPAIRED, DAMAGED, ROUNDED = "mojibake_repaired", "name_damaged", "number_rounded"
SPOILT, ERROR, UNWRAPPED = "address_damaged", "cell_error", "text_unwrapped"
NAMES = ("name", "forename", "birth_name", "guardian", "company")
ADDRESSES = ("address", "address1", "address2", "city")
NUMBERS = ("contract", "member_number", "siret", "finess", "rpps", "postcode", "phone")
"""Roles that hold numbers whose digits count. (A NIR has codes of its own.)"""
_RULED = ("nir", "nir_key", "birth_date", "birth_rank", "rib")  # their own rules read them
# What a cell with something to undo or to tell has in it: quick to look for in a whole batch
# (a byte that begins a letter in UTF-8, and another one after it).
_SUSPECT = "[\u00c2-\u00f4][^\\x00-\\x7f]|[\ufffd?]|[0-9][eE]\\+?[0-9]"
_LOST = re.compile("\ufffd|(?<=[^\\W\\d_])\\?|\\?(?=[^\\W\\d_])")
_EXPONENT = re.compile(r"[ \u00a0]*[0-9](?:[.,][0-9]+[eE]\+?|[eE]\+)[0-9]+[ \u00a0]*")
_DECIMAL = r"^[ \u00a0]*([0-9]+)[.,]0+[ \u00a0]*$"
# How a cell begins that holds an error or was written for a spreadsheet. A name may have an apostrophe ('t Hooft).
_BEGINNINGS = ("#", '="', "Err:")
_ERRORS = re.compile(
    r"[ \u00a0]*(?:#(?:N/A|N/D|REF|VALEUR|VALUE|DIV/0|NOM|NAME|NUL|NULL|NOMBRE|NUM|CALC|SPILL|PROPAGATION|ÉPARS|CHAMP"
    r"|FIELD|BLOQUE|BLOCKED|CONNEXION|CONNECT|INCONNU|UNKNOWN|OCCUPE|BUSY)[ \u00a0]?[!?]?|#{3,}|Err:[0-9]{3})[ \u00a0]*"
)
_WRAPPED = re.compile(r'="([^"]*)"')
_QUOTED = re.compile(r"'([0-9].*)")
_TWICE = 3  # how often a text can have been encoded again


def mended(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[int, str]]:
    """``frame`` (``line`` and strings) with its cells undone, and the codes of the rows that have any
    (line → comma-separated)."""
    found: dict[int, list[str]] = {}
    frame = _without_wrapping(frame, found)
    cells = [column for column in frame.columns if column not in (*_RULED, "line")]
    for role in (role for role in NUMBERS if role in cells):
        if frame[role].str.contains("[.,]0").any():
            frame = frame.with_columns(pl.col(role).str.replace(_DECIMAL, "$1"))
    if cells and frame.select(pl.concat_str(cells, separator="\n").str.contains(_SUSPECT).any()).item():
        for column in cells:
            frame = _changed(frame, column, frame[column].str.contains(_SUSPECT), mended_cell, found)
    lines = frame["line"]
    return frame, {lines[place]: ",".join(dict.fromkeys(codes)) for place, codes in sorted(found.items())}


def _without_wrapping(frame: pl.DataFrame, found: dict[int, list[str]]) -> pl.DataFrame:
    odd = {}
    for column in frame.columns:
        if column != "line":
            marks = [pl.col(column).str.starts_with(mark) for mark in _BEGINNINGS]
            if column in (*_RULED, *NUMBERS):
                marks.append(pl.col(column).str.starts_with("'"))
            odd[column] = pl.any_horizontal(marks).any()
    if odd:
        for column in (name for name, there in frame.select(**odd).row(0, named=True).items() if there):
            suspect = frame[column].str.contains("^(?:#|=\"|Err:|')")
            frame = _changed(frame, column, suspect, unwrapped_cell, found)
    return frame


def _changed(
    frame: pl.DataFrame,
    column: str,
    suspect: pl.Series,
    rule: Callable[[str, str], tuple[str, str]],
    found: dict[int, list[str]],
) -> pl.DataFrame:
    """``frame`` with ``rule`` applied to the suspect cells of a column; codes are added to ``found``."""
    places = suspect.arg_true().to_list()
    before = frame[column].gather(places).to_list()
    after = []
    for place, cell in zip(places, before, strict=True):
        text, code = rule(cell, column)
        after.append(text)
        if code:
            found.setdefault(place, []).append(code)
    return frame if after == before else frame.with_columns(frame[column].scatter(places, after))


def unwrapped_cell(cell: str, role: str) -> tuple[str, str]:
    """One cell without what was put around it for a spreadsheet, empty if it holds an error; and its code or "".

    >>> unwrapped_cell('="01000"', "postcode"), unwrapped_cell("#N/A", "name"), unwrapped_cell("'t Hooft", "name")
    (('01000', 'text_unwrapped'), ('', 'cell_error'), ("'t Hooft", ''))
    """
    if _ERRORS.fullmatch(cell):
        return "", ERROR
    if inside := _WRAPPED.fullmatch(cell):
        return inside[1], UNWRAPPED
    if role in (*_RULED, *NUMBERS) and (inside := _QUOTED.fullmatch(cell)):
        return inside[1], UNWRAPPED
    return cell, ""


def mended_cell(cell: str, role: str) -> tuple[str, str]:
    """One cell, and its code or "".

    >>> mended_cell("LefÃ¨vre", "name"), mended_cell("LEF?VRE", "name"), mended_cell("2,55081E+14", "contract")
    (('Lefèvre', 'mojibake_repaired'), ('LEF?VRE', 'name_damaged'), ('', 'number_rounded'))
    """
    if role in NUMBERS and _EXPONENT.fullmatch(cell):
        return "", ROUNDED
    text = cell if cell.isascii() else undone(cell)
    if role in NAMES and _LOST.search(text):
        return text, DAMAGED
    if role in ADDRESSES and _LOST.search(text):
        return text, SPOILT
    return text, REPAIRED if text != cell else ""


def undone(text: str) -> str:
    """``text`` as it was before UTF-8 was read as Windows-1252 (or Latin-1) and encoded again; unchanged when the
    bytes are no UTF-8, which every text that was encoded once is not."""
    clean = before = text
    for _ in range(_TWICE):
        try:
            before = bytes(_windows(before)).decode("utf-8")
        except (UnicodeEncodeError, UnicodeDecodeError):
            break
        # On the way there may be control characters (see _windows), at the end there may not.
        if not any(ord(letter) < 32 or 0x7F <= ord(letter) <= 0x9F for letter in before):
            clean = before
    return clean


def _windows(text: str) -> Iterable[int]:
    """The bytes of ``text`` in Windows-1252; its five undefined bytes come as the control characters that lenient
    readers make of them."""
    for letter in text:
        yield ord(letter) if ord(letter) < 0xA0 else letter.encode("cp1252")[0]
