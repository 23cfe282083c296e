"""What a dossier is made of: blocks that the page (HTML) and the PDF draw, each in its own way. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heading:
    """``level`` 2 or 3; 1 is the title."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """``mood``: plain, good (nothing is missing), or attention (whoever signs must know)."""

    text: str
    mood: str = "plain"


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: Sequence[str]


@dataclass(frozen=True, slots=True)
class Table:
    """``numeric``: places of the columns that hold numbers; ``foreign``: of those in English, as commands say it.
    ``widths``: how much room each column gets on paper (0 = as much as it needs); empty = all the same."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[int] = frozenset()
    foreign: frozenset[int] = frozenset()
    widths: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Verbatim:
    """Commands, or lines of a difference (``is_difference``: lines that begin with + and - are set apart)."""

    lines: Sequence[str]
    is_difference: bool = False


@dataclass(frozen=True, slots=True)
class Letter:
    """A notice in full, as an invented person reads it. ``page``: the file of its HTML, relative to the dossier."""

    subject: str
    text: str
    page: str
    language: str


@dataclass(frozen=True, slots=True)
class Seal:
    """The one hash."""

    sha256: str


Block = Heading | Paragraph | Items | Table | Verbatim | Letter | Seal


@dataclass(frozen=True, slots=True)
class Document:
    """A title and what follows."""

    title: str
    blocks: Sequence[Block]
