"""What became of each row, and what each code says. Pure.

A row is *accepted*, *repaired* (something in it was mended, and a key or the file itself proves that rightly), *warned*
(something in it is not usable, or is used with a doubt) or *rejected* (no identity is left). The codes of a row stand
in ``records.warnings``, comma-separated; whether a code is a repair or a warning is said here once, so that nothing of
it is stored with the rows. A row with both is warned. *Alarms* are about a whole file: the operator must see them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from notifier.intake.records import Batch

LAST_ROW = 1_048_576  # of any sheet of a spreadsheet
SHARED = 100  # members with one address: no household is as large


class Verdict(StrEnum):
    """What became of a row."""

    ACCEPTED = "accepted"
    REPAIRED = "repaired"
    WARNED = "warned"
    REJECTED = "rejected"


REPAIRS: Mapping[str, str] = {
    "mojibake_repaired": "Un texte encodé deux fois a été rétabli.",
    "zeros_shown": "Des zéros de tête que la feuille montre (format de nombre 00000) ont été repris.",
    "text_unwrapped": 'Un texte écrit ="…" ou précédé d\'une apostrophe, pour un tableur, a été repris tel quel.',
    "nir_key_padded": "La clé du NIR avait perdu son zéro : elle est juste avec lui.",
    "siret_padded": "Le SIRET avait perdu ses zéros de tête : ses deux clés sont justes avec eux.",
    "finess_padded": "Le FINESS avait perdu son zéro de tête : sa clé est juste avec lui.",
    "postcode_padded": "Le code postal avait perdu son zéro : le FINESS de la ligne est du même département.",
    "email_trimmed": "L'adresse e-mail était entourée d'un nom, de chevrons ou d'une ponctuation.",
}
"""What was mended, and what proves it."""

WARNINGS: Mapping[str, str] = {
    "number_rounded": "Un numéro a été arrondi par un tableur : il est inutilisable.",
    "cell_error": "Une cellule contient une erreur de tableur (#N/A…) ou une formule sans valeur : elle est vide.",
    "cell_merged": "Une cellule est fusionnée avec celle du dessus : la ligne n'en a pas la valeur.",
    "name_damaged": "Une lettre d'un nom est perdue : le nom sert au rapprochement et n'est pas imprimé.",
    "address_damaged": "Une lettre de l'adresse est perdue.",
    "nir_missing": "Le NIR manque.",
    "nir_rounded": "Le NIR a été arrondi par un tableur : il est inutilisable.",
    "nir_length": "Le NIR n'a ni 13 ni 15 caractères : il est inutilisable.",
    "nir_format": "Le NIR n'a pas la forme d'un NIR : il est inutilisable.",
    "nir_key": "La clé du NIR est fausse : il est inutilisable.",
    "nir_temporary": "Le numéro est un numéro d'attente ou provisoire : il est utilisé.",
    "nir_incomplete": "Le mois du NIR est celui d'un état civil incomplet : le NIR est utilisé.",
    "birth_missing": "La date de naissance manque.",
    "birth_unreadable": "La date de naissance est illisible.",
    "birth_implausible": "La date de naissance est à venir ou remonte à plus de 120 ans.",
    "birth_century": "L'année de naissance n'a que deux chiffres, et deux siècles sont possibles.",
    "birth_two_digits": "L'année de naissance n'a que deux chiffres, et un seul siècle est possible : il est pris.",
    "birth_partial": "Le jour ou le mois de naissance n'est pas connu : la date est utilisée comme elle est.",
    "rank_unreadable": "Le rang de naissance est illisible.",
    "rank_differs": "Le rang de naissance diffère d'une ligne à l'autre de la même personne.",
    "forename_missing": "Le prénom manque.",
    "name_missing": "Le nom manque.",
    "siret_missing": "Le SIRET manque.",
    "siret_key": "Une clé du SIRET est fausse : il est inutilisable.",
    "siret_siren": "Le numéro est un SIREN, commun à tous les établissements : il ne désigne pas celui-ci.",
    "siret_monaco": "Le numéro est un pseudo-SIRET de Monaco, sans clé : il est inutilisable.",
    "finess_missing": "Le FINESS manque.",
    "finess_key": "La clé du FINESS est fausse : il est inutilisable.",
    "rpps_key": "La clé du RPPS est fausse : il est inutilisable.",
    "rpps_adeli": "Le numéro est un numéro ADELI, dont la clé n'est pas publiée : il est inutilisable.",
    "rib_key": "Le RIB ou l'IBAN est faux : il compte comme divulgué malgré tout.",
    "phone_short": "Le téléphone a neuf chiffres : rien ne prouve qu'un zéro est perdu.",
    "phone_unreadable": "Le téléphone est illisible.",
    "email_missing": "L'adresse e-mail manque.",
    "email_placeholder": "L'adresse e-mail est un remplissage (neant@…) : elle est inutilisable.",
    "email_several": "La cellule contient plusieurs adresses e-mail : aucune n'est choisie.",
    "email_syntax": "L'adresse e-mail est mal formée : elle est inutilisable.",
    "email_typo": "Le domaine de l'adresse e-mail est une faute de frappe connue : elle n'est ni utilisée ni corrigée.",
    "address_missing": "L'adresse postale manque.",
    "address_incomplete": "L'adresse postale n'a pas de ligne, de code postal ou de ville : pas de lettre possible.",
    "contract_year_unreadable": "L'année d'adhésion n'est ni une année ni une date : elle reste inconnue.",
    "language_unreadable": "La langue n'est pas un code de deux lettres : on écrit en français à l'adhérent.",
    "postcode_short": "Le code postal a quatre chiffres : un zéro est perdu, ou l'adresse est à l'étranger.",
}
"""What is not usable, or is used with a doubt."""

CODES: Mapping[str, Verdict] = {
    **dict.fromkeys(REPAIRS, Verdict.REPAIRED),
    **dict.fromkeys(WARNINGS, Verdict.WARNED),
}
"""Every code that ``records.warnings`` can hold, and what it makes of a row."""

ALARMS: Mapping[str, str] = {
    "cut_at_last_row": (
        f"ends on row {LAST_ROW:,}, the last that a spreadsheet can hold: rows after it were lost when it was saved, "
        "as a rule; ask for the whole file as CSV, and take that in as well"
    ),
    "shared_mailbox": (
        "gives one e-mail address for {least} members or more ({count} such addresses): an agency's own, as a rule; "
        "run `plan`, and these members are written to by letter. An address that is right all the same stands in "
        "[shared] fine of data/mailboxes.toml in the campaign's folder"
    ),
}
"""What is told of a whole file, in words for the operator; ``count`` and ``least`` are filled in."""


def verdict_of(codes: Iterable[str]) -> Verdict:
    """What a row with these codes is, that was not rejected.

    >>> verdict_of([]).value, verdict_of(["siret_padded"]).value, verdict_of(["siret_padded", "rib_key"]).value
    ('accepted', 'repaired', 'warned')
    """
    found = {CODES[code] for code in codes}
    return next((each for each in (Verdict.WARNED, Verdict.REPAIRED) if each in found), Verdict.ACCEPTED)


@dataclass(frozen=True)
class Verdicts:
    """A file's rows by verdict, its codes by how many rows have them, and its alarms (code → count). A row has as many
    codes as it deserves, and one verdict: ``accepted + repaired + warned`` = records, ``rejected`` = rejections."""

    rows: Mapping[Verdict, int] = field(default_factory=dict)
    codes: Mapping[Verdict, Mapping[str, int]] = field(default_factory=dict)
    alarms: Mapping[str, int] = field(default_factory=dict)

    @property
    def trailers(self) -> int:
        """How many of the rejected rows are nobody's: they have ended with being read."""
        return self.codes.get(Verdict.REJECTED, {}).get("trailer", 0)

    def as_json(self) -> dict[str, object]:
        """``accepted``, ``repaired``, ``warned``, ``rejected``: rows; ``codes``: rows by code, under its verdict."""
        return {
            **{verdict.value: self.rows.get(verdict, 0) for verdict in Verdict},
            "codes": {verdict.value: dict(codes) for verdict, codes in self.codes.items() if codes},
        }

    def canonical(self) -> str:
        """For the import's row; :meth:`of` reads it."""
        return json.dumps({**self.as_json(), "alarms": dict(self.alarms)}, separators=(",", ":"), sort_keys=True)

    @classmethod
    def of(cls, canonical: str) -> Verdicts:
        """Inverse of :meth:`canonical`; "" is an import that was stored without."""
        if not canonical:
            return cls()
        told = json.loads(canonical)
        rows = {verdict: int(told[verdict.value]) for verdict in Verdict if told[verdict.value]}
        codes = {Verdict(verdict): dict(counts) for verdict, counts in told["codes"].items()}
        return cls(rows, codes, dict(told["alarms"]))

    def lines(self) -> list[str]:
        """For a terminal: the rows by verdict, then the codes, the most frequent first."""
        counted = ", ".join(f"{self.rows.get(verdict, 0)} {verdict.value}" for verdict in Verdict)
        return [counted, *(f"{verdict.value}: {_listed(codes)}" for verdict, codes in self.codes.items() if codes)]

    def told(self) -> list[str]:
        """The alarms in words, to stand after the file's name."""
        return [ALARMS[code].format(count=count, least=SHARED) for code, count in self.alarms.items()]


def _listed(codes: Mapping[str, int]) -> str:
    return ", ".join(f"{code} {count}" for code, count in codes.items())


def _last(lines: pl.Series) -> int:
    last = lines.max()
    assert isinstance(last, int)
    return last


def _line(contact: tuple[object, ...]) -> int:
    assert isinstance(contact[0], int)
    return contact[0]


class Tally:
    """Counts the verdicts of a file while its batches go by: one look at each different set of codes."""

    def __init__(self, first_row: int = 1) -> None:
        """``first_row``: the line of the headings, from which the rows are counted."""
        self._sets: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._ordinal = self._line = first_row

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return self._sets.total() + self._rejected.total()

    @property
    def trailers(self) -> int:
        """How many of the rejected are lines of totals, of the end, or headings again."""
        return self._rejected["trailer"]

    def told_rejected(self, limit: float) -> str:
        """The share of rejected rows and its codes against ``limit``, in words; a line of totals is nobody's."""
        faults = self._rejected.total() - self.trailers
        codes = _listed({code: count for code, count in self._rejected.most_common() if code != "trailer"})
        share = 100 * faults / max(self.rows - self.trailers, 1)
        return f"{share:.1f} % ({codes}); the limit is {100 * limit:g} % ([intake] rejections_limit)"

    def take(self, batch: Batch) -> None:
        """Count one batch."""
        if batch.records.height:
            for some, count in batch.records["warnings"].value_counts().iter_rows():
                self._sets[some] += count
            self._line = max(self._line, _last(batch.records["line"]))
        self._sets.update(batch.warned)
        self._rejected.update(rejection.code for rejection in batch.rejections)
        self._ordinal += batch.kept + len(batch.rejections)
        lines = [rejection.line for rejection in batch.rejections] + [_line(row) for row in batch.contacts[-1:]]
        self._line = max(self._line, *lines, 0)

    def verdicts(self, alarms: Mapping[str, int] | None = None) -> Verdicts:
        """What was counted so far, with these alarms and its own."""
        rows: Counter[Verdict] = Counter()
        codes: Counter[str] = Counter()
        for some, count in self._sets.items():
            each = list(filter(None, some.split(",")))
            rows[verdict_of(each)] += count
            for code in set(each):
                codes[code] += count
        rows[Verdict.REJECTED] = self._rejected.total()
        by_verdict: dict[Verdict, dict[str, int]] = {verdict: {} for verdict in Verdict}
        for code, count in codes.most_common():
            by_verdict[CODES[code]][code] = count
        by_verdict[Verdict.REJECTED] |= self._rejected.most_common()
        # By the line in a file whose rows are lines, by the count in one with line breaks inside its cells.
        cut = {"cut_at_last_row": 1} if LAST_ROW in (self._line, self._ordinal) else {}
        told = {verdict: some for verdict, some in by_verdict.items() if some}
        return Verdicts(dict(+rows), told, {**cut, **(alarms or {})})
