"""Headings: how they are compared. Pure."""

from __future__ import annotations

import re
import unicodedata

_NOT_LETTERS = re.compile(r"[^a-z0-9]+")


def normal_heading(text: str) -> str:
    """Without case, accents and punctuation, spaces included: ``N° de sécurité sociale`` → ``ndesecuritesociale``."""
    text = text.replace("°", "").replace("º", "")
    decomposed = unicodedata.normalize("NFKD", text)
    return _NOT_LETTERS.sub("", "".join(letter for letter in decomposed if not unicodedata.combining(letter)).lower())
