"""The corpus of hostile files: small, one defect each, with what must become of it. Made here, in memory: nothing
binary is kept beside the code, and each defect can be read.

All persons are invented; the NIR are DOMAIN's published vector.
"""

from __future__ import annotations

import gzip
import io
import re
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

import xlsxwriter

HEADINGS = "NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE"
ROW = "2550814168025;38;LEFÈVRE;ANNE ZOÉ;02/08/1955;1;MUTUELLE CLAIRVAL;CT0001;Équilibre 1"


def text(*rows: str) -> str:
    return "\r\n".join((HEADINGS, *rows)) + "\r\n"


def row(**cells: str) -> str:
    values = dict(zip(HEADINGS.split(";"), ROW.split(";"), strict=True)) | cells
    return ";".join(values.values())


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def workbook(*rows: tuple[object, ...], hidden: tuple[int, ...] = (), from_1904: bool = False) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "date_1904": from_1904}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADINGS.split(";"))
        for number, cells in enumerate(rows, start=1):
            for column, cell in enumerate(cells):
                sheet.write(number, column, cell)
        for number in hidden:
            sheet.set_row(number, None, None, {"hidden": True})
    return out.getvalue()


def cells(**other: object) -> tuple[object, ...]:
    """A row of a workbook, numbers as numbers."""
    there = dict(zip(HEADINGS.split(";"), ROW.split(";"), strict=True)) | {"NIR": 2550814168025, "CLE": 38} | other
    return tuple(there.values())


def altered(content: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    """A workbook with one part changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    assert part in dict(parts)
    return zipped(*((name, change(body) if name == part else body) for name, body in parts))


def _many_members() -> bytes:
    """An end record that promises a list of 4 GB."""
    honest = zipped(("a.csv", b"a"))
    return re.sub(rb"(?s)(PK\x05\x06.{8}).{4}", lambda found: found[1] + struct.pack("<L", 4 << 29), honest)


@dataclass(frozen=True)
class Hostile:
    """``refused``: what the one line says. Else ``warnings`` of each record in order, and ``rejected``: (line, column,
    code); ``recorded``: what was recorded of the reading begins so."""

    content: bytes
    refused: str = ""
    warnings: tuple[str, ...] = ("",)
    rejected: tuple[tuple[int, str, str], ...] = ()
    recorded: str = ""
    names: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()


GOOD = text(ROW).encode()
_SHEET = "xl/worksheets/sheet1.xml"

FILES: dict[str, Hostile] = {
    # archives
    "gzip": Hostile(gzip.compress(GOOD), recorded="utf-8 (strict UTF-8 to its end; from a gzip archive)"),
    "gzip-twice-concatenated": Hostile(
        gzip.compress(GOOD) + gzip.compress(row(PRENOM="PAUL").encode() + b"\r\n"), warnings=("", "")
    ),
    "gzip-cut": Hostile(gzip.compress(GOOD)[:-12], "damaged or cut short"),
    "gzip-with-a-wrong-sum": Hostile(gzip.compress(GOOD)[:-8] + bytes(8), "damaged or cut short"),
    "gzip-bomb": Hostile(gzip.compress(GOOD + b"x" * (32 << 20)), "200 times its size"),
    "gzip-in-gzip": Hostile(gzip.compress(gzip.compress(GOOD)), "an archive inside the archive"),
    "gzip-of-nothing": Hostile(gzip.compress(b""), "is empty"),
    "gzip-of-a-pdf": Hostile(gzip.compress(b"%PDF-1.7"), "holds a PDF"),
    "gzip-of-a-workbook": Hostile(gzip.compress(workbook(cells())), recorded="(from a gzip archive)"),
    "zip": Hostile(zipped(("export.csv", GOOD)), recorded="utf-8 (strict UTF-8 to its end; from a zip archive)"),
    "zip-stored": Hostile(zipped(("export.csv", GOOD), method=zipfile.ZIP_STORED)),
    "zip-of-a-mac": Hostile(
        zipped(("d/", b""), ("d/e.csv", GOOD), ("__MACOSX/d/._e.csv", b"x"), ("d/.DS_Store", b"x"))
    ),
    "zip-of-a-workbook": Hostile(zipped(("export.xlsx", workbook(cells()))), recorded="(from a zip archive)"),
    "zip-of-two": Hostile(zipped(("1.csv", GOOD), ("2.csv", GOOD)), "holds 2 files"),
    "zip-of-none": Hostile(zipped(("d/", b"")), "without a file"),
    "zip-in-zip": Hostile(zipped(("1.zip", zipped(("1.csv", GOOD)))), "archive inside the archive"),
    "zip-traversal": Hostile(zipped(("../../etc/cron.d/x.csv", GOOD)), "leads outside the archive"),
    "zip-absolute": Hostile(zipped(("/etc/x.csv", GOOD)), "leads outside the archive"),
    "zip-traversal-of-windows": Hostile(zipped(("..\\x.csv", GOOD)), "leads outside the archive"),
    "zip-drive": Hostile(zipped(("C:x.csv", GOOD)), "leads outside the archive"),
    "zip-bomb": Hostile(zipped(("x.csv", GOOD + b"x" * (32 << 20))), "200 times its size"),
    "zip-lzma": Hostile(zipped(("x.csv", GOOD), method=zipfile.ZIP_LZMA), "method that is not read"),
    "zip-cut": Hostile(zipped(("x.csv", GOOD))[:-30], "damaged archive"),
    "zip-altered": Hostile(
        zipped(("x.csv", GOOD), method=zipfile.ZIP_STORED).replace(b"ANNE", b"ANNA"), "damaged or cut short"
    ),
    "zip-with-a-list-of-4-gb": Hostile(_many_members(), "too many files"),
    "zip-ods": Hostile(zipped(("mimetype", b"x"), ("content.xml", b"x")), "an OpenDocument file"),
    "zip-xlsb": Hostile(zipped(("xl/workbook.bin", b"x"), ("a", b"")), "an .xlsb workbook"),
    # encodings
    "utf-8-mark": Hostile(text(ROW).encode("utf-8-sig"), recorded="utf-8 (byte order mark)"),
    "utf-16-of-excel": Hostile(
        text(ROW).replace(";", "\t").encode("utf-16"), recorded="utf-16-le (byte order mark)", names=("LEFÈVRE",)
    ),
    "cp1252": Hostile(
        text(ROW).encode("cp1252"), recorded="cp1252 (not UTF-8; no byte that Windows-1252 leaves undefined)",
        names=("LEFÈVRE",),
    ),
    "iso-8859-15-by-its-ligature": Hostile(
        text(row(NOM="LEBŒUF")).encode("iso-8859-15"), recorded="iso-8859-15 (not UTF-8; Œ,", names=("LEBŒUF",)
    ),
    "cp850-by-its-capital-e": Hostile(
        text(ROW).encode("cp850"), recorded="cp850 (not UTF-8, and bytes that Windows-1252 leaves undefined; the",
        names=("LEFÈVRE",),
    ),
    "cp850-that-could-be-cp1252": Hostile(
        text(row(NOM="lefèvre", PRENOM="anne zoé", GARANTIE="à")).encode("cp850"),
        'as cp850 and not as Windows-1252; ask for the file in UTF-8, or say encoding = "…" in the profile',
    ),
    "no-encoding-at-all": Hostile(text(ROW).encode("cp1252") + b"\x81\x8d\x8f", "neither ISO-8859-15 nor CP850"),
    "one-byte-spoils-utf-8": Hostile(text(ROW, row(NOM="X")).encode() + b"\xe9", warnings=("mojibake_repaired",) * 2,
                                     rejected=((4, "", "columns"),)),
    "encoded-twice": Hostile(
        text(row(NOM="LefÃ¨vre", PRENOM="dâ€™HÅ“rdt")).encode(), warnings=("mojibake_repaired",), names=("Lefèvre",)
    ),
    "encoded-twice-at-the-edge": Hostile(
        text(row(NOM="Canadà".encode().decode("latin-1"))).encode(), warnings=("mojibake_repaired",), names=("Canadà",)
    ),
    "portuguese-is-not-encoded-twice": Hostile(text(row(NOM="MAGALHÃES SÃO")).encode(), names=("MAGALHÃES SÃO",)),
    "a-letter-lost": Hostile(
        text(row(NOM="LEF\ufffdVRE")).encode(), warnings=("name_damaged",), names=("LEF\ufffdVRE",)
    ),
    "a-letter-asked": Hostile(text(row(NOM="LEF?VRE")).encode(), warnings=("name_damaged",), names=("LEF?VRE",)),
    "a-question-elsewhere": Hostile(text(row(GARANTIE="Option ? oui?")).encode()),
    # spreadsheets
    "contract-without-its-digits": Hostile(text(row(NUM_CONTRAT="2,55081E+14")).encode(), warnings=("number_rounded",)),
    "nir-and-contract-without-their-digits": Hostile(
        text(ROW, row(NIR="2,55081E+12", CLE="", NUM_CONTRAT="2,55081E+14")).encode(),
        rejected=((3, "NIR", "nir_rounded"),),
    ),
    "only-a-number-without-its-digits": Hostile(
        text(ROW, ";;;;;;;1,2E+15;").encode(), rejected=((3, "DATE_NAISSANCE", "birth_missing"),)
    ),
    "hidden-rows": Hostile(
        workbook(cells(), cells(PRENOM="PAUL"), cells(PRENOM="LUC"), hidden=(1, 3)), warnings=("",) * 3,
        recorded="(2 hidden rows were read like the others)",
    ),
    "days-from-1904": Hostile(workbook(cells(DATE_NAISSANCE=18841), from_1904=True), recorded="(dates from 1904)"),
    "days-from-1900": Hostile(workbook(cells(DATE_NAISSANCE=20303))),
    "text-and-numbers": Hostile(
        workbook(cells(NIR="253072B073004", CLE=70, NUM_CONTRAT="A12"), cells(NUM_CONTRAT=12)), warnings=("", "")
    ),
    "a-number-of-20-digits": Hostile(
        workbook(cells(NUM_CONTRAT=20041010050500013026)), warnings=("number_rounded",)
    ),
    "a-text-of-20-digits": Hostile(workbook(cells(NUM_CONTRAT="20041010050500013026"))),
    "an-error-cell": Hostile(altered(workbook(cells(RANG=7)), _SHEET, lambda xml: xml.replace(
        b'<c r="F2"><v>7</v>', b'<c r="F2" t="e"><v>#N/A</v>')), warnings=("cell_error",)),
    "a-sheet-that-was-cut": Hostile(
        altered(workbook(cells()), _SHEET, lambda xml: xml.replace(
            b"</sheetData>", b'<row r="1048576"><c r="A1048576"><v>1</v></c></row></sheetData>')),
        rejected=((1048576, "DATE_NAISSANCE", "birth_missing"),), alarms=("cut_at_last_row",),
    ),
    "a-sheet-that-reaches-far": Hostile(
        altered(workbook(cells()), _SHEET, lambda xml: xml.replace(
            b"</sheetData>", b'<row r="999999"><c r="XFD999999"><v>1</v></c></row></sheetData>')),
        "reaches further than 150,000,000 cells",
    ),
    "a-workbook-bomb": Hostile(
        altered(workbook(cells()), _SHEET, lambda xml: xml + b" " * (32 << 20)), "200 times its size"
    ),
    "a-workbook-with-entities": Hostile(
        altered(workbook(cells()), "xl/sharedStrings.xml", lambda xml: xml.replace(
            b"<sst", b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><sst').replace(b"CT0001", b"&b;")),
        "cannot be read",
    ),
    # layouts
    "nul": Hostile(GOOD + b"\0", "NUL bytes"),
    "headings-only": Hostile(text().encode(), "headings and no rows"),
    "mixed-line-ends": Hostile(f"{HEADINGS}\n{ROW}\r\n{ROW}\n\r\n{ROW}".encode(), warnings=("",) * 3),
    "one-long-line": Hostile(GOOD + b"x" * (8 << 20), "longer than 2 MB"),
    "trailer": Hostile(text(ROW, "Total : 1").encode(), rejected=((3, "", "trailer"),)),
}  # fmt: skip
