"""Rejected rows: what the codes mean, what is kept of a row, and the file that tells the operator.

``DIR/rejections/<first 12 of the file's sha256>.csv`` has line, column, code and a French sentence; never a value of
the row, so that it can be sent back to the operator of the file. It is written while the rows are read, and not again:
how a rejection ended later is told by `notifier intake rejections`. Cells that a spreadsheet would take for a formula
are disarmed (OWASP, CSV injection): headings come from a foreign file.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from notifier.intake.columns import Layout
from notifier.intake.trailers import Cell, is_trailer
from notifier.model import Rejection
from notifier.spreadsheets import disarmed
from notifier.vault import Vault

FOLDER = "rejections"
EXPLANATIONS = {
    "columns": "La ligne n'a pas le nombre de colonnes annoncé par l'en-tête.",
    "quote_open": "Un guillemet ouvert n'est pas refermé : des lignes entières sont prises pour un seul champ.",
    "control_characters": "Un nom ou une adresse contient un retour à la ligne ou un caractère de contrôle.",
    "too_long": "Un champ est trop long pour être un nom, un numéro ou une adresse.",
    "birth_missing": "La date de naissance manque : aucune identité ne peut être établie.",
    "birth_unreadable": "La date de naissance est illisible : aucune identité ne peut être établie.",
    "birth_implausible": "La date de naissance est à venir ou remonte à plus de 120 ans.",
    "birth_century": "L'année de naissance n'a que deux chiffres, et deux siècles sont possibles.",
    "nir_missing": "Le NIR manque et aucun numéro de contrat ou d'adhérent ne le remplace.",
    "nir_rounded": "Le NIR a été arrondi par un tableur et aucun numéro de contrat ou d'adhérent ne le remplace.",
    "nir_length": "Le NIR n'a ni 13 ni 15 caractères et aucun numéro de contrat ou d'adhérent ne le remplace.",
    "nir_format": "Le NIR n'a pas la forme d'un NIR et aucun numéro de contrat ou d'adhérent ne le remplace.",
    "nir_key": "La clé du NIR est fausse et aucun numéro de contrat ou d'adhérent ne le remplace.",
    "name_missing": "Le NIR est inutilisable, et le nom ou le prénom manque à côté du numéro de contrat.",
    "identity_none": "Aucun identifiant utilisable : ni SIRET, ni FINESS, ni RPPS, ni raison sociale avec e-mail.",
    "member_none": "La ligne n'a ni nom ni aucune clé (numéro d'adhérent, NIR, contrat) avec une date de naissance.",
    "status_unknown": "Le statut de l'adhérent n'est pas de ceux que le profil connaît.",
    "trailer": "Ligne de total, de fin de fichier ou d'en-tête répété : elle ne concerne personne.",
}
"""Every code a rejection can have, in the words the operator reads."""

NOT_A_PERSON = "not_a_person"
_KNOWN = frozenset("nir contract member_number email login siret finess rpps phone".split())  # noqa: SIM905
_NUMBER = re.compile(r"[0-9]{5}|@")
_ROUNDED = re.compile(r"[0-9]+(?:[.,][0-9]+)?[eE]\+?[0-9]+")


def _own(text: str) -> bool:
    """Whether a cell of a number or an address can be somebody's alone: one that a spreadsheet rounded is not."""
    return bool(text.strip()) and not _ROUNDED.fullmatch(text.strip())


def _path(folder: Path, sha256: str) -> Path:
    return folder / FOLDER / f"{sha256[:12]}.csv"


def examined(rejection: Rejection, cells: Sequence[Cell], vault: Vault) -> Rejection:
    """``rejection`` with what its cells say: that the line is nobody's, or a keyed digest by which the same row is
    known when it comes again. No digest where no cell holds a number or an address of its own: two persons of whom
    only the insurer is left would look like one."""
    if is_trailer(cells):
        return replace(rejection, column="", code="trailer", state=NOT_A_PERSON)
    if not any(_own(text) if role in _KNOWN else not role and _NUMBER.search(text) for role, _, text in cells):
        return rejection
    spaced = (" ".join(text.split()) for _, _, text in sorted(cells, key=lambda cell: cell[0]))
    return replace(rejection, cells=vault.digest("rejected-cells", *spaced))


def examined_row(rejection: Rejection, row: Mapping[str, str], layout: Layout, vault: Vault) -> Rejection:
    """:func:`examined` for a row that was divided into columns. ``row``: role → cell, as it was read."""
    roles = [role for role in layout.roles if role in row]
    return examined(rejection, [(role, layout.heading(role), row[role]) for role in roles], vault)


def examined_parts(
    rejections: Iterable[Rejection], parts: Mapping[int, Sequence[str]], layout: Layout, vault: Vault
) -> list[Rejection]:
    """:func:`examined` for lines that are no row of the table. ``parts``: line → what stands between its separators."""
    every = []
    for rejection in rejections:
        texts = parts.get(rejection.line, ())
        named = len(texts) <= len(layout.headings)
        headings = [*layout.headings[: len(texts)]] if named else [""] * len(texts)
        cells = [("", heading, text) for heading, text in zip(headings, texts, strict=True)]
        every.append(examined(rejection, cells, vault) if cells else rejection)
    return every


class RejectionsFile:
    """Written while the rows are read (bounded memory), as ``….csv.part`` until :func:`publish`: a crash leaves no list
    that looks whole and is not. Used as a context: an exception inside removes the file."""

    def __init__(self, folder: Path, sha256: str) -> None:
        self._part = _path(folder, sha256).with_suffix(".csv.part")
        self._file: TextIO | None = None

    def __enter__(self) -> RejectionsFile:
        self._part.unlink(missing_ok=True)
        return self

    def add(self, rejections: Iterable[Rejection]) -> None:
        """Append; the file is made with the first one."""
        for rejection in rejections:
            if self._file is None:
                self._part.parent.mkdir(mode=0o700, exist_ok=True)
                # A byte order mark: without it a French spreadsheet reads the accents wrong.
                self._file = self._part.open("w", encoding="utf-8-sig", newline="")
                csv.writer(self._file, delimiter=";").writerow(("line", "column", "code", "explication"))
            csv.writer(self._file, delimiter=";").writerow(
                (rejection.line, disarmed(rejection.column), rejection.code, EXPLANATIONS[rejection.code])
            )

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            if kind is not None:
                self._part.unlink()


def publish(folder: Path, sha256: str) -> Path | None:
    """Give the finished list its name; None when nothing was rejected."""
    path = _path(folder, sha256)
    part = path.with_suffix(".csv.part")
    if not part.exists():
        return None
    part.replace(path)
    return path


def discard(folder: Path, sha256: str) -> None:
    """Remove a finished list that is not to be published."""
    _path(folder, sha256).with_suffix(".csv.part").unlink(missing_ok=True)


def unpublish(folder: Path, sha256: str) -> None:
    """Remove the list of a file that was withdrawn, if there is one."""
    _path(folder, sha256).unlink(missing_ok=True)


def published(folder: Path, sha256: str) -> Path | None:
    """The list of this file's rejections, if it is there."""
    return _path(folder, sha256) if is_published(folder, sha256) else None


def is_published(folder: Path, sha256: str) -> bool:
    """Whether the list of this file's rejections is there."""
    return _path(folder, sha256).exists()
