"""A file before it is read: what it is, its SHA-256, its encoding. One streaming pass, bounded memory.

CSV or XLSX, packed or not, is told from the content, never from the name. What lies in an archive is read as a stream
(``archives``), the encoding is decided on the whole content (``encodings``). SHA-256 and size are those of the file as
it was received. Every refusal is an :class:`ExportError` that names the file and says what to do.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from notifier.errors import ExportError
from notifier.intake import archives, sheets
from notifier.intake.archives import CHUNK_BYTES, Wrapping
from notifier.intake.encodings import BOMS, LIGATURES, Choice, choose

HEAD_BYTES = 1 << 18  # headings are looked for in here
_ASCII = bytes(range(128))
_BESIDE_LETTERS = re.compile(rb"(?<=[A-Za-z])[\xbc-\xbe]|[\xbc-\xbe](?=[A-Za-z])")
_FOREIGN = (
    (b"%PDF", "a PDF: ask for the file as CSV or XLSX"),
    (b"\xd0\xcf\x11\xe0", "an old .xls workbook or one with a password: save it as .xlsx, without password"),
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
    """What the first pass found. ``sha256``, ``size_bytes``: of the file as received, or of the content when it lies in
    an archive of several; ``wrapping``: the archive that the content lies in. ``encoding``: Python's name, "" for XLSX;
    ``recorded``: the same with its reason, and what else is to be known of the reading; ``bom``: its length in bytes;
    ``quotes``: whether the content holds a quotation mark at all; ``head``: the first HEAD_BYTES, decoded;
    ``content_bytes``: how long it is unpacked (CSV)."""

    form: Form
    sha256: str
    size_bytes: int
    encoding: str = ""
    bom: int = 0
    quotes: bool = False
    head: str = ""
    recorded: str = ""
    wrapping: Wrapping = archives.PLAIN
    content_bytes: int = 0

    @property
    def archive_sha256(self) -> str:
        """Of the archive of several files that this one lay in; "" for any other."""
        return self.wrapping.archive_sha256

    @property
    def received_sha256(self) -> str:
        """Of the file as it was received: what a cover note speaks of."""
        return self.wrapping.archive_sha256 or self.sha256


def survey(file: BinaryIO, name: str, forced: str = "", wrapping: Wrapping | None = None) -> Survey:
    """Read ``file`` from its beginning. ``forced``: the encoding that the profile names; ``wrapping``: which file of an
    archive of several, None when it is not known what the file is. Raises ExportError for what is neither CSV nor
    XLSX."""
    file.seek(0)
    _must_hold_something(file.read(HEAD_BYTES), name)
    if wrapping is None:
        wrapping = archives.look(file, name)
    elif wrapping.of and wrapping.state != state_of(file):
        raise ExportError(f"{name} changed while it was read: it may still be arriving; try again")
    content = archives.opened(file, name, wrapping)
    head = content.read(HEAD_BYTES)
    _must_hold_something(head, name)
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            raise ExportError(f"{name} {'holds' if wrapping.kind else 'is'} {what}")
    if wrapping.kind and head.startswith(archives.GZIP):
        raise ExportError(f"{name} holds an archive inside the archive: unpack it once")
    if head.startswith(archives.ZIP):
        content = archives.opened(file, name, wrapping)
        workbook = archives.held(content, name) if wrapping.kind else content
        recorded = "; ".join(filter(None, (sheets.survey(workbook, name), wrapping.recorded())))
        sha256, size = digest_of(workbook if wrapping.of else file)
        return Survey(Form.XLSX, sha256, size, recorded=f"({recorded})" if recorded else "", wrapping=wrapping)
    return _survey_text(file, name, head, wrapping, forced)


def _must_hold_something(head: bytes, name: str) -> None:
    if not head.strip(b" \t\r\n\0\xef\xbb\xbf\xff\xfe"):
        raise ExportError(f"{name} is empty")


def digest_of(file: BinaryIO) -> tuple[str, int]:
    """SHA-256 (hex) and bytes of a file, from its beginning; a stream that unpacks must stand there."""
    digest, size = hashlib.sha256(), 0
    if file.seekable():
        file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


class _Letters:
    """What the bytes of a whole text file are."""

    def __init__(self, head: bytes, forced: str, name: str) -> None:
        self.bom, self.stated = next(((len(mark), name) for mark, name in BOMS if head.startswith(mark)), (0, ""))
        if forced and self.stated and codecs.lookup(forced).name != codecs.lookup(self.stated).name:
            raise ExportError(f"{name} begins with the mark of {self.stated}, and the profile says {forced}")
        self._forced, self._name = forced, name
        self._wide = (forced or self.stated).startswith("utf-16")
        self._decoder = codecs.getincrementaldecoder(forced or self.stated or "utf-8")("strict")
        self._fits, self.quotes = True, False
        self._high: Counter[int] = Counter()
        self._ligatures = self._last = 0
        self.size = 0

    def take(self, chunk: bytes) -> None:
        if b"\0" in chunk and not self._wide:
            raise ExportError(f"{self._name} holds NUL bytes: it is no text file, or a damaged one")
        self._decode(chunk if self.size else chunk[self.bom :])
        if not (self.stated or self._forced) and not chunk.isascii():
            self._high.update(chunk.translate(None, _ASCII))
            if any(byte in chunk for byte in LIGATURES):
                self._ligatures += len(_BESIDE_LETTERS.findall(chunk))
        self.quotes = self.quotes or b'"' in chunk
        self.size += len(chunk)

    def _decode(self, data: bytes, *, final: bool = False) -> None:
        if self._fits:
            try:
                self._decoder.decode(data, final)
            except UnicodeDecodeError:
                self._fits = False

    def choice(self) -> Choice:
        """The decision, when every chunk was taken. Raises ExportError."""
        self._decode(b"", final=True)
        if self._forced:
            found = Choice(self._forced, "the profile says so") if self._fits else Choice("", "the profile says")
        elif self.stated:
            found = Choice(self.stated, "byte order mark") if self._fits else Choice("", "it says")
        else:
            found = Choice("utf-8", "strict UTF-8 to its end") if self._fits else choose(self._high, self._ligatures)
        if found.encoding:
            return found
        said = self._forced or self.stated
        what = f"{found.reason} {said} and is not" if said else found.reason
        raise ExportError(
            f"{self._name}: the encoding cannot be read: {what}; "
            'ask for the file in UTF-8, or say encoding = "…" in the profile'
        )


def _survey_text(file: BinaryIO, name: str, head: bytes, wrapping: Wrapping, forced: str) -> Survey:
    letters = _Letters(head, forced, name)
    digest = hashlib.sha256()
    content = archives.opened(file, name, wrapping)
    while chunk := content.read(CHUNK_BYTES):
        if wrapping.of or not wrapping.kind:
            digest.update(chunk)
        letters.take(chunk)
    encoding, reason = letters.choice()
    text = codecs.getincrementaldecoder(encoding)("strict").decode(head[letters.bom :])
    # The first line only: further down, a control character rejects its row, not the file.
    if any(ord(letter) < 32 and letter not in "\t\r\f" for letter in text.lstrip().partition("\n")[0]):
        raise ExportError(f"{name} is neither CSV nor XLSX: it begins with control characters")
    is_whole = wrapping.kind and not wrapping.of  # the archive, and not what is in it, is the file
    sha256, size = digest_of(file) if is_whole else (digest.hexdigest(), letters.size)
    packed = f"; {wrapping.recorded()}" if wrapping.kind else ""
    return Survey(
        Form.CSV, sha256, size, encoding, letters.bom, letters.quotes, text, f"{encoding} ({reason}{packed})", wrapping,
        letters.size,
    )  # fmt: skip


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
