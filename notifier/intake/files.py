"""A file before it is read: what it is, its SHA-256, its encoding. One streaming pass, bounded memory.

CSV or XLSX is told from the content, never from the name. The encoding is decided on the whole file (DOMAIN C1): byte
order mark, else strict UTF-8, else Windows-1252; a file that fits none is refused, because a wrong guess would write to
people under wrong names. Every refusal is an :class:`ExportError` that names the file and says what to do.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import zipfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from notifier.errors import ExportError

CHUNK_BYTES = 1 << 20
HEAD_BYTES = 1 << 18  # headings are looked for in here
XLSX_BYTES = 4 << 30  # unpacked; a full sheet of 1,048,576 rows has less than 2 GB
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_NOT_CP1252 = (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d")
_FOREIGN = (
    (b"%PDF", "a PDF: ask for the file as CSV or XLSX"),
    (b"\xd0\xcf\x11\xe0", "an old .xls workbook or one with a password: save it as .xlsx, without password"),
    (b"\x1f\x8b", "compressed (gzip): unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (b"{\\rtf", "an RTF document: ask for the file as CSV or XLSX"),
)


class Form(StrEnum):
    """What a file is."""

    CSV = "csv"
    XLSX = "xlsx"


@dataclass(frozen=True, slots=True)
class Survey:
    """What the first pass found. ``encoding``: Python's name, "" for XLSX; ``bom``: its length in bytes; ``quotes``:
    whether the file holds a quotation mark at all; ``head``: the first HEAD_BYTES, decoded."""

    form: Form
    sha256: str
    size_bytes: int
    encoding: str = ""
    bom: int = 0
    quotes: bool = False
    head: str = ""


def survey(file: BinaryIO, name: str) -> Survey:
    """Read ``file`` once, from its beginning. Raises ExportError for what is neither CSV nor XLSX."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if not head.strip(b" \t\r\n\0\xef\xbb\xbf\xff\xfe"):
        raise ExportError(f"{name} is empty")
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            raise ExportError(f"{name} is {what}")
    if head.startswith(b"PK\x03\x04"):
        _must_be_xlsx(file, name)
        file.seek(0)
        digest, size = hashlib.sha256(), 0
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
        return Survey(Form.XLSX, digest.hexdigest(), size)
    return _survey_text(file, name, head)


def _survey_text(file: BinaryIO, name: str, head: bytes) -> Survey:
    bom, stated = next(((len(mark), encoding) for mark, encoding in _BOMS if head.startswith(mark)), (0, ""))
    wide = stated.startswith("utf-16")
    decoder = codecs.getincrementaldecoder(stated or "utf-8")("strict")
    fits, is_1252, quotes = True, True, False
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
        if b"\0" in chunk and not wide:
            raise ExportError(f"{name} holds NUL bytes: it is no text file, or a damaged one")
        if fits:
            try:
                decoder.decode(chunk[bom:] if not size else chunk)
            except UnicodeDecodeError:
                fits = False
        is_1252 = is_1252 and not any(byte in chunk for byte in _NOT_CP1252)
        quotes = quotes or b'"' in chunk
        size += len(chunk)
    if fits:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            fits = False
    if fits:
        encoding = stated or "utf-8"
    elif not stated and is_1252:
        encoding = "cp1252"
    else:
        what = f"it says {stated} and is not" if stated else "it is neither UTF-8 nor Windows-1252"
        raise ExportError(f"{name}: the encoding cannot be read: {what}; ask for the file in UTF-8")
    text = codecs.getincrementaldecoder(encoding)("strict").decode(head[bom:])
    # The first line only: further down, a control character rejects its row, not the file.
    if any(ord(letter) < 32 and letter not in "\t\r\f" for letter in text.lstrip().partition("\n")[0]):
        raise ExportError(f"{name} is neither CSV nor XLSX: it begins with control characters")
    return Survey(Form.CSV, digest.hexdigest(), size, encoding, bom, quotes, text)


def _must_be_xlsx(file: BinaryIO, name: str) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ExportError(f"{name} is a damaged archive or workbook") from error
    if not any(member.filename == "xl/workbook.xml" for member in members):
        raise ExportError(f"{name} is a ZIP archive that is no XLSX workbook: unpack it first")
    if sum(member.file_size for member in members) > XLSX_BYTES:
        raise ExportError(f"{name} unpacks to more than {XLSX_BYTES >> 30} GB: that is no worksheet")


def open_file(path: Path) -> BinaryIO:
    """``path`` for reading. Raises ExportError."""
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise ExportError(f"there is no file {path}") from error
    except OSError as error:
        raise ExportError(f"{path} cannot be read: {error.strerror}") from error


def state_of(file: BinaryIO) -> tuple[int, int]:
    """Size and time of change: a file that is still arriving has others at the end of the reading."""
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns
