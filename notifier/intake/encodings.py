"""In which encoding a text file is written, and why. Pure.

The order of the decision (DOMAIN C1): the profile's word; a byte order mark; strict UTF-8 over the whole file;
Windows-1252, unless a byte stands in the file that Windows-1252 leaves undefined or its letters make no French sense;
then ISO-8859-15 or CP850, by which of them the accented letters read as French; else the file is refused, because a
wrong guess writes to people under wrong names. The choice is recorded with its reason.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import NamedTuple

BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
FORCED = (
    "utf-8", "utf-16-le", "utf-16-be", "cp1252", "iso-8859-1", "iso-8859-15", "cp850", "mac-roman",
)  # fmt: skip
"""What a profile may name."""
UNDEFINED = b"\x81\x8d\x8f\x90\x9d"  # in Windows-1252
LIGATURES = b"\xbc\xbd\xbe"  # Œ œ Ÿ in ISO-8859-15; ¼ ½ ¾ in Windows-1252
SENSE = 0.9  # the share of bytes above 127 that must read as French
NONSENSE = 0.5  # below it, an encoding is not believed
# Letters of French names and words, and the few signs that stand beside them. The dashes, dots and quotation marks of
# Windows-1252 are left out: they lie on the bytes of CP850's à, ô and ö.
FRENCH = frozenset("àâäæçéèêëîïôöœùûüÿñÀÂÄÆÇÉÈÊËÎÏÔÖŒÙÛÜŸÑ’°«»€\u00a0")


class Choice(NamedTuple):
    """``encoding``: Python's name, "" = none fits, and ``reason`` says why."""

    encoding: str
    reason: str


def sense(high: Mapping[int, int], encoding: str) -> float:
    """The share of the bytes above 127 (byte → how often) that ``encoding`` reads as French; 1.0 when there are
    none."""
    total = sum(high.values())
    good = sum(count for byte, count in high.items() if bytes((byte,)).decode(encoding, "replace") in FRENCH)
    return good / total if total else 1.0


def choose(high: Mapping[int, int], ligatures: int) -> Choice:
    """For a file without mark that is not UTF-8. ``ligatures``: how many bytes of LIGATURES touch a letter.

    >>> choose({0xE9: 3}, 0).encoding, choose({0x82: 2, 0x90: 1}, 0).encoding
    ('cp1252', 'cp850')
    """
    latin9, dos, windows = (sense(high, name) for name in ("iso-8859-15", "cp850", "cp1252"))
    if not any(byte in high for byte in UNDEFINED):
        if ligatures and latin9 >= SENSE and not any(0x80 <= byte <= 0x9F for byte in high):
            return Choice("iso-8859-15", "not UTF-8; Œ, œ or Ÿ stand beside letters where Windows-1252 has fractions")
        if windows < NONSENSE and dos >= SENSE:
            return Choice("", "its accents make French sense as cp850 and not as Windows-1252")
        return Choice("cp1252", "not UTF-8; no byte that Windows-1252 leaves undefined")
    if dos >= SENSE > latin9:
        return Choice("cp850", "not UTF-8, and bytes that Windows-1252 leaves undefined; the accents are French in it")
    if latin9 >= SENSE > dos:
        return Choice(
            "iso-8859-15", "not UTF-8, and bytes that Windows-1252 leaves undefined; the accents are French in it"
        )
    return Choice("", "it is neither UTF-8 nor Windows-1252, and neither ISO-8859-15 nor CP850 makes French of it")
