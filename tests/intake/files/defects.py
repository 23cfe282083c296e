"""The corpus, second part: files that are readable and of which something is wrong, one defect each, with the codes
that each row must get. The hostile ones, archives and encodings are in ``corpus``.

All persons and companies are invented; the numbers are published vectors or made with a key of their own.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass

import xlsxwriter

from tests.intake.conftest import HEADINGS
from tests.intake.files.corpus import altered

ROWS = {
    "viamedis-insured": "2550814168025;38;LEFÈVRE;ANNE ZOÉ;02/08/1955;1;MUTUELLE CLAIRVAL;CT0001;Équilibre 1",
    "viamedis-professional": (
        "Pharmacie du Moulin;Morel;Julie;Pharmacien;julie@officine.example;0199001234;3 rue des Acanthes;00000;"
        "Clairval;LM042;20041010050500013M02606;73282932000074;750712184"
    ),
    "directory": (
        "AD-0007;2550814168025;38;02/08/1955;1;Lefèvre;Anne-Zoé;MME;A;anne@orange.fr;3 rue des Acanthes;Bât. B;00000;"
        "Clairval;CT 0001;FR;actif;Mutuelle Clairval"
    ),
}
INSURED, PROFESSIONAL, DIRECTORY = ROWS
_SHEET = "xl/worksheets/sheet1.xml"


@dataclass(frozen=True)
class Defect:
    """``codes``: of each row that is kept, in order; ``rejected``: (line, column, code). ``noted``: what the record of
    the reading says. ``alarms``: codes. ``refused``: what the one line says, of a file that is not taken."""

    profile: str
    content: bytes
    codes: tuple[str, ...] = ("",)
    rejected: tuple[tuple[int, str, str], ...] = ()
    noted: str = ""
    alarms: tuple[str, ...] = ()
    refused: str = ""


def row(profile: str, **cells: str) -> str:
    values = dict(zip(HEADINGS[profile].split(";"), ROWS[profile].split(";"), strict=True)) | cells
    return ";".join(values.values())


def csv(profile: str, code: str = "", *codes: str, **cells: str) -> Defect:
    """A CSV with one row, with other cells, which gets these codes."""
    content = "\r\n".join((HEADINGS[profile], row(profile, **cells))) + "\r\n"
    return Defect(profile, content.encode(), (",".join((code, *codes)),))


def lost(profile: str, column: str, code: str, **cells: str) -> Defect:
    """The same, of a row that is rejected."""
    return Defect(profile, csv(profile, **cells).content, (), ((2, column, code),))


Write = Callable[[xlsxwriter.Workbook, xlsxwriter.worksheet.Worksheet], None]


def book(
    profile: str, *codes: str, write: Write = lambda _book, _sheet: None, noted: str = "", refused: str = "",
    change: Callable[[bytes], bytes] = lambda xml: xml, **cells: object,
) -> Defect:  # fmt: skip
    """A workbook of a row for each code, changed by ``write``, then its XML by ``change``."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as made:
        sheet = made.add_worksheet()
        sheet.write_row(0, 0, HEADINGS[profile].split(";"))
        values = dict(zip(HEADINGS[profile].split(";"), ROWS[profile].split(";"), strict=True)) | cells
        for number in range(1, 1 + max(1, len(codes))):
            sheet.write_row(number, 0, values.values())
        write(made, sheet)
    return Defect(profile, altered(out.getvalue(), _SHEET, change), codes or ("",), noted=noted, refused=refused)


def _column(profile: str, heading: str) -> int:
    return HEADINGS[profile].split(";").index(heading)


def _shown(heading: str, number: int, number_format: str) -> Write:
    """A number in a cell whose format shows its zeros."""

    def write(made: xlsxwriter.Workbook, sheet: xlsxwriter.worksheet.Worksheet) -> None:
        column = _column(PROFESSIONAL, heading)
        sheet.write_number(1, column, number, made.add_format({"num_format": number_format}))

    return write


def _other_sheets(made: xlsxwriter.Workbook, _sheet: xlsxwriter.worksheet.Worksheet) -> None:
    made.add_worksheet("Légende").write(0, 0, "A = assuré")
    made.add_worksheet("Comptes").hide()


def _cell(column: str, body: bytes, attributes: bytes = b"") -> Callable[[bytes], bytes]:
    """Puts another cell in the place of one of row 2."""

    def change(xml: bytes) -> bytes:
        start = xml.index(b'<c r="' + column.encode() + b'2"')
        end = xml.index(b"</c>", start) + 4
        made = b'<c r="' + column.encode() + b'2"' + attributes + b">" + body + b"</c>"
        return xml[:start] + made + xml[end:]

    return change


def _prefixed(xml: bytes) -> bytes:
    """The sheet with a prefix before every name, as some programs write them."""
    return re.sub(rb"<(/?)(?=[a-zA-Z])", rb"<\1x:", xml).replace(b"xmlns=", b"xmlns:x=")


DEFECTS: dict[str, Defect] = {
    # what spreadsheets do to a CSV
    "key-of-one-digit": csv(INSURED, "nir_key_padded", NIR="2550814168055", CLE="8"),
    "text-for-a-spreadsheet": csv(INSURED, "text_unwrapped", NIR='="2550814168025"', NUM_CONTRAT='="0012"'),
    "apostrophe-before-a-number": csv(INSURED, "text_unwrapped", DATE_NAISSANCE="'02/08/1955"),
    "apostrophe-before-a-name": csv(INSURED, NOM="'t Hooft"),
    "error-in-a-name": csv(INSURED, "name_missing", "cell_error", NOM="#NOM?"),
    "error-in-a-nir": csv(INSURED, "nir_missing", "cell_error", NIR="#N/A", CLE="#N/A"),
    "a-column-too-narrow": lost(INSURED, "DATE_NAISSANCE", "birth_missing", DATE_NAISSANCE="########"),
    "only-errors": lost(
        INSURED, "DATE_NAISSANCE", "birth_missing", **dict.fromkeys(HEADINGS[INSURED].split(";"), "#REF!")
    ),
    "decimals": csv(INSURED, NIR="2550814168025.0", CLE="38,0", RANG="1.0", NUM_CONTRAT="12.0"),
    "exponent": csv(INSURED, "nir_rounded", NIR="2,55081E+12", CLE=""),
    "siret-without-its-zero": csv(PROFESSIONAL, "siret_padded", SIRET="0588059600019"),
    "siret-without-two-zeros": csv(PROFESSIONAL, "siret_padded", SIRET="588059600019"),
    "siret-that-no-zero-helps": csv(PROFESSIONAL, "siret_key", SIRET="0588059600018"),
    "siret-without-its-digits": csv(PROFESSIONAL, "siret_missing", "number_rounded", SIRET="7,32829E+13"),
    "finess-without-its-zero": csv(PROFESSIONAL, "finess_padded", FINESS="10780054"),
    "postcode-without-its-zero": csv(PROFESSIONAL, "postcode_short", CODE_POSTAL="1000"),
    "postcode-proved-by-its-finess": csv(
        PROFESSIONAL, "finess_padded", "postcode_padded", CODE_POSTAL="1000", FINESS="10780054"
    ),
    "phone-without-its-zero": csv(PROFESSIONAL, "phone_short", TELEPHONE="199001234"),
    # what workbooks hold
    "zeros-that-only-the-format-shows": book(
        PROFESSIONAL, "zeros_shown", write=_shown("CODE_POSTAL", 1000, "00000")
    ),
    "zeros-of-a-phone-that-the-format-shows": book(
        PROFESSIONAL, "zeros_shown", write=_shown("TELEPHONE", 199001234, '0#" "##" "##" "##" "##')
    ),
    "a-format-without-zeros": book(PROFESSIONAL, "postcode_short", write=_shown("CODE_POSTAL", 1000, "#,##0")),
    "an-error-in-a-workbook": book(
        INSURED, "cell_error", change=_cell("F", b"<v>#N/A</v>", b' t="e"')
    ),
    "a-formula-with-its-value": book(
        INSURED, write=lambda _book, sheet: sheet.write_formula(1, 7, '="CT"&"2"', None, "CT2")
    ),
    "a-formula-computed-to-nothing": book(
        INSURED, change=_cell("I", b'<f>""</f><v></v>', b' t="str"')
    ),
    "a-formula-never-computed": book(INSURED, "cell_error", change=_cell("H", b'<f>"CT"&amp;"2"</f><v></v>')),
    "a-formula-without-its-digits": book(
        INSURED, "number_rounded", change=_cell("H", b"<f>1E15*12</f><v>12000000000000000</v>")
    ),
    "cells-merged-downwards": book(
        INSURED, "", "", "forename_missing,cell_merged", "forename_missing,cell_merged", "",
        write=lambda made, sheet: sheet.merge_range(2, 3, 4, 3, "ANNE", made.add_format({"bold": True})),
    ),
    "a-title-merged-above": book(INSURED, change=lambda xml: xml.replace(
        b"</sheetData>", b'</sheetData><mergeCells count="1"><mergeCell ref="A1:A1"/></mergeCells>')),
    "a-heading-merged-over-two-columns": book(
        INSURED, write=lambda _book, sheet: (sheet.write(1, 9, "x"), sheet.merge_range(0, 8, 0, 9, "GARANTIE"))[1],
        refused="the heading GARANTIE is merged over 2 columns",
    ),
    "hidden-columns": book(
        INSURED, write=lambda _book, sheet: sheet.set_column(5, 6, None, None, {"hidden": True}),
        noted="2 hidden columns were read like the others",
    ),
    "columns-hidden-to-the-end": book(
        INSURED, write=lambda _book, sheet: sheet.set_column(9, 16383, None, None, {"hidden": True}),
    ),
    "several-sheets": book(INSURED, write=_other_sheets, noted="(sheet 1 of 3 was read; 1 hidden sheet)"),
    "names-with-a-prefix": book(INSURED, "cell_error", change=lambda xml: _prefixed(
        _cell("F", b"<v>#N/A</v>", b' t="e"')(xml))),
    # identifiers
    "corsica-in-lower-case": csv(INSURED, NIR="253072a073004", CLE="43"),
    "gaps-in-a-nir": csv(INSURED, NIR="2\u00a055 08-14.168\u202f025", CLE="38"),
    "waiting-number": csv(INSURED, "nir_temporary", NIR="7550814168025", CLE=""),
    "month-of-an-incomplete-record": csv(INSURED, "nir_incomplete", NIR="2556214168025", CLE=""),
    "filler-for-a-nir": csv(INSURED, "nir_format", NIR="8888888888888", CLE=""),
    "nir-of-14-digits": csv(INSURED, "nir_length", NIR="25508141680253", CLE=""),
    "siret-of-la-poste": csv(PROFESSIONAL, SIRET="35600000049837"),
    "siret-of-monaco": csv(PROFESSIONAL, "siret_monaco", SIRET="MONACOCONFO001"),
    "siret-of-zeros": csv(PROFESSIONAL, "siret_key", SIRET="00000000000000"),
    "siren-for-a-siret": csv(PROFESSIONAL, "siret_siren", SIRET="732 829 320"),
    "finess-of-corsica": csv(PROFESSIONAL, FINESS="2a0000014"),
    "rib-with-gaps": csv(PROFESSIONAL, RIB="20041 01005 0500013M026 06"),
    "iban-with-gaps": csv(PROFESSIONAL, RIB="FR14 2004 1010 0505 0001 3M02 606"),
    "rib-with-a-wrong-key": csv(PROFESSIONAL, "rib_key", RIB="20041010050500013M02607"),
    # dates of birth
    "lunar-date": csv(INSURED, "birth_partial", DATE_NAISSANCE="00/08/1955"),
    "month-alone": csv(INSURED, "birth_partial", DATE_NAISSANCE="08/1955"),
    "month-62": csv(INSURED, "birth_partial", DATE_NAISSANCE="01/62/1955"),
    "two-digits-of-a-year": csv(INSURED, "birth_two_digits", DATE_NAISSANCE="02/08/55"),
    "two-digits-and-two-centuries": lost(INSURED, "DATE_NAISSANCE", "birth_century", DATE_NAISSANCE="02/08/15"),
    "born-in-the-future": lost(INSURED, "DATE_NAISSANCE", "birth_implausible", DATE_NAISSANCE="02/08/2055"),
    "born-before-1900": lost(INSURED, "DATE_NAISSANCE", "birth_implausible", DATE_NAISSANCE="02/08/1855"),
    # addresses
    "a-year-of-joining-that-is-none": Defect(
        DIRECTORY,
        f"{HEADINGS[DIRECTORY]};ANNEE_CONTRAT\r\n{row(DIRECTORY)};jadis\r\n".encode(),
        ("contract_year_unreadable",),
    ),
    "a-language-that-is-none": csv(DIRECTORY, "language_unreadable", LANGUE="Lefèvre Anne"),
    "email-with-a-comma": csv(DIRECTORY, "email_syntax", EMAIL="anne@wanadoo,fr"),
    "email-of-a-known-typing-error": csv(DIRECTORY, "email_typo", EMAIL="anne@gmial.com"),
    "email-with-a-dot-behind": csv(DIRECTORY, "email_trimmed", EMAIL="anne@orange.fr."),
    "email-with-a-name": csv(DIRECTORY, "email_trimmed", EMAIL="Anne Lefèvre <anne@orange.fr>"),
    "emails": csv(DIRECTORY, "email_several", EMAIL='"a@orange.fr;b@orange.fr"'),
    "email-with-an-accent": csv(DIRECTORY, "email_syntax", EMAIL="hélène@orange.fr"),
    "email-neant": csv(DIRECTORY, "email_placeholder", EMAIL="neant@orange.fr"),
    "email-xxx": csv(DIRECTORY, "email_placeholder", EMAIL="xxx@xxx.example"),
    "no-email": csv(DIRECTORY, "email_missing", EMAIL=""),
    "no-address": csv(DIRECTORY, "address_missing", ADRESSE1="", ADRESSE2="", CODE_POSTAL="", VILLE=""),
    "no-town": csv(DIRECTORY, "address_incomplete", VILLE=""),
    "postcode-of-four-digits": csv(DIRECTORY, "postcode_short", CODE_POSTAL="1000"),
    "a-letter-of-an-address-lost": csv(DIRECTORY, "address_damaged", ADRESSE1="3 rue de l'\ufffdglise"),
    "a-member-without-a-usable-nir": csv(DIRECTORY, "nir_key", CLE="39"),
    "everything-of-a-member": csv(
        DIRECTORY, "nir_missing", "birth_partial", "rank_unreadable", "name_damaged", "email_missing",
        "address_incomplete", NIR="", CLE="", DATE_NAISSANCE="00/00/1955", RANG="x", PRENOM="Zo\ufffd", EMAIL="",
        VILLE="",
    ),
}  # fmt: skip
