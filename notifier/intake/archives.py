"""Compressed files, read as streams: ``.gz`` and ``.zip``, encrypted or not.

No clear copy is ever on the disk, and no name inside an archive is ever used as a path: a file in it is known by its
place. An archive of one file is that file, under the archive's SHA-256, as it was received; of several, each is a file
of its own (``members``), under the SHA-256 of its content. The second reading opens the stream again.

Memory is bounded: what is unpacked flows through CHUNK_BYTES; a stream that grows to more than RATIO times what it was
packed in, or past CONTENT_BYTES, is refused while it is read. Every fault is one ExportError. The older encryption of
ZIP (ZipCrypto) is read by Python's own module, at about 1 MB/s; the AES one by pyzipper.
"""

from __future__ import annotations

import getpass
import gzip
import importlib
import io
import os
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

from notifier.errors import ExportError

PASSWORD = "NOTIFIER_ARCHIVE_PASSWORD"  # noqa: S105  (the variable's name)
CHUNK_BYTES = 1 << 20
CONTENT_BYTES = 32 << 30  # 33 million rows are about 5 GB
RATIO = 200  # deflate can do 1,032; names and numbers do 5 to 20
SPARED_BYTES = 16 << 20  # a small file may be as monotonous as it likes
HELD_BYTES = 512 << 20  # a workbook in an archive is held in memory, packed as workbooks are
MEMBERS = 200  # files in an archive: split exports have tens
DIRECTORY_BYTES = 8 << 20  # of a ZIP file's own list of what it holds
GZIP = b"\x1f\x8b"
ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_AES = 99  # the "method" of an AES member (APPNOTE, WinZip AE-1 and AE-2)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # LZMA lets the file choose how much memory it takes
_SIDE = re.compile(r"(?:^|/)(?:__MACOSX/|\.DS_Store$|Thumbs\.db$|desktop\.ini$)")
_OUTSIDE = re.compile(r"^[/\\]|^[A-Za-z]:|(?:^|[/\\])\.\.(?:[/\\]|$)|[\x00-\x1f]")
_OTHERS = {
    "xl/workbook.bin": "an .xlsb workbook: save it as .xlsx",
    "content.xml": "an OpenDocument file: save it as .xlsx or CSV",
    "word/document.xml": "a text document: ask for the file as CSV or XLSX",
}
_DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, OSError, RuntimeError, ValueError, struct.error)


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Wrapping:
    """How the content lies in the file. ``kind``: "", "gzip", "zip" or "zip-aes"; ``position``: in a ZIP file's list,
    from 0; ``packed``: its bytes as packed (ZIP). Of a file out of an archive of several also: which it is
    (``ordinal``, from 1) of how many (``of``), the archive's SHA-256 and bytes, and its state when it was looked at."""

    kind: str = ""
    position: int = 0
    packed: int = 0
    password: bytes = field(default=b"", repr=False)
    ordinal: int = 0
    of: int = 0
    archive_sha256: str = ""
    archive_bytes: int = 0
    state: tuple[int, int] = (0, 0)

    def place(self) -> str:
        """Which file of an archive of several; "" for any other."""
        return f"file {self.ordinal} of {self.of}" if self.of else ""

    def called(self, name: str) -> str:
        """What is said of it: ``name``, that of the archive, and which file in it. Never the name it has there."""
        return f"{name} ({self.place()})" if self.of else name

    def recorded(self) -> str:
        """What stands beside the encoding; "" when there is nothing to tell."""
        if self.of:
            return f"{self.place()} in a {self.kind} archive, SHA-256 {self.archive_sha256}"
        return f"from a {self.kind} archive" if self.kind else ""


PLAIN = Wrapping()


def look(file: BinaryIO, name: str) -> Wrapping:
    """What ``file`` is wrapped in; nothing for a workbook, which is a ZIP file of its own. Asks for the password when
    there is need. Raises ExportError, also for an archive of several files (``members`` reads those)."""
    inside = packed_in(file, name)
    if not isinstance(inside, list):
        return inside
    if len(inside) > 1:
        raise ExportError(f"{name} holds {len(inside)} files, and one is read at a time: say which")
    (position, member) = inside[0]
    return wrapped(position, member, name, ask_password(name) if member.flag_bits & 1 else b"")


def packed_in(file: BinaryIO, name: str) -> Wrapping | list[tuple[int, zipfile.ZipInfo]]:
    """How a file that is no ZIP archive is wrapped; else the files in it, with their places in its list. Raises
    ExportError."""
    file.seek(0)
    head = file.read(4)
    if head.startswith(GZIP):
        return Wrapping("gzip")
    if head not in ZIP:
        return Wrapping()
    members = listed(file, name)
    names = {member.filename for member in members}
    if "xl/workbook.xml" in names:
        return Wrapping()
    for part, what in _OTHERS.items():
        if part in names:
            raise ExportError(f"{name} is {what}")
    return _files(members, name)


def listed(file: BinaryIO, name: str) -> list[zipfile.ZipInfo]:
    """What a ZIP file says it holds. Raises ExportError, also for a list too long to be honest."""
    try:
        if _directory_bytes(file) > DIRECTORY_BYTES:
            raise ExportError(f"{name} is an archive of too many files: pack fewer into one")
        with zipfile.ZipFile(file) as archive:
            return archive.infolist()
    except (*_DAMAGE, NotImplementedError) as error:
        raise ExportError(f"{name} is a damaged archive or workbook") from error


def _directory_bytes(file: BinaryIO) -> int:
    """The size of a ZIP file's central directory, from its end record (APPNOTE 4.3.16, 4.3.14): looked at before the
    directory is read into memory."""
    size = file.seek(0, io.SEEK_END)
    start = max(0, size - (1 << 16) - 64)
    file.seek(start)
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise zipfile.BadZipFile("no end record")
    stated: int = struct.unpack_from("<L", tail, end + 12)[0]
    if stated == 0xFFFFFFFF:
        # The record for large archives lies right before its locator, of 20 bytes, and this one.
        large = tail.rfind(b"PK\x06\x06", 0, end)
        if large < 0 or len(tail) < large + 56:
            raise zipfile.BadZipFile("no large end record")
        stated = struct.unpack_from("<Q", tail, large + 40)[0]
    return stated


def _files(members: list[zipfile.ZipInfo], name: str) -> list[tuple[int, zipfile.ZipInfo]]:
    """The files of an archive. Their names are not shown: they may be anything."""
    if any(_OUTSIDE.search(member.filename) for member in members):
        raise ExportError(f"{name} holds a file whose name leads outside the archive: it is not read")
    inside = [
        (position, member)
        for position, member in enumerate(members)
        if not member.filename.endswith("/") and not _SIDE.search(member.filename)
    ]
    if not inside:
        raise ExportError(f"{name} is an archive without a file")
    if len(inside) > MEMBERS:
        raise ExportError(f"{name} is an archive of {len(inside)} files: at most {MEMBERS} are read")
    return inside


def wrapped(position: int, member: zipfile.ZipInfo, name: str, password: bytes) -> Wrapping:
    """How a file lies in a ZIP archive. Raises ExportError for one that cannot or must not be unpacked."""
    kind = "zip-aes" if member.compress_type == _AES else "zip"
    if kind == "zip" and member.compress_type not in _METHODS:
        raise ExportError(f"{name} is packed by a method that is not read here: pack it again with Deflate")
    must_be_measured(member.file_size, member.compress_size, name)
    return Wrapping(kind, position, member.compress_size, password if member.flag_bits & 1 else b"")


def ask_password(name: str) -> bytes:
    """The archive's, from the environment or the terminal. Raises ExportError when nobody says it."""
    if stated := os.environ.get(PASSWORD):
        return stated.encode()
    if sys.stdin is not None and sys.stdin.isatty():
        return getpass.getpass(f"Password of {name}: ").encode()
    raise ExportError(f"{name} is encrypted: put its password into {PASSWORD}, or run the command in a terminal")


def must_be_measured(content: int, packed: int, name: str) -> None:
    """Raises ExportError for what unpacks to more than any export does."""
    if content > CONTENT_BYTES:
        raise ExportError(f"{name} unpacks to more than {CONTENT_BYTES >> 30} GB: that is no export")
    if content > SPARED_BYTES and content > RATIO * packed:
        raise ExportError(f"{name} unpacks to more than {RATIO} times its size: that is no export but a trap")


def opened(file: BinaryIO, name: str, wrapping: Wrapping) -> BinaryIO:
    """The content from its beginning: ``file`` itself, or a stream that unpacks as it is read. Raises ExportError, the
    stream too."""
    file.seek(0)
    if not wrapping.kind:
        return file
    if wrapping.kind == "gzip":
        return io.BufferedReader(_Unpacked(gzip.GzipFile(fileobj=file, mode="rb"), name, file.tell), CHUNK_BYTES)
    try:
        if wrapping.kind == "zip-aes":
            member = _open_aes(file, name, wrapping)
        else:
            archive = zipfile.ZipFile(file)
            # By its place: several may have one name.
            member = archive.open(archive.infolist()[wrapping.position], pwd=wrapping.password or None)
    except (*_DAMAGE, NotImplementedError, IndexError):
        raise ExportError(_damaged(name, wrapping.password)) from None
    unpacked = _Unpacked(member, name, lambda: wrapping.packed, wrapping.password)
    return io.BufferedReader(unpacked, CHUNK_BYTES)


def _open_aes(file: BinaryIO, name: str, wrapping: Wrapping) -> _Source:
    try:
        pyzipper = importlib.import_module("pyzipper")
    except ImportError as error:
        raise ExportError(f"{name} is encrypted with AES: install pyzipper to read it, or unpack it first") from error
    try:
        return _Aes(pyzipper.AESZipFile(file), pyzipper.BadZipFile, name, wrapping)
    except pyzipper.BadZipFile as error:
        raise zipfile.BadZipFile from error


class _Aes:
    """pyzipper's reader, with Python's own error for a damaged archive. What was altered is found at its end (HMAC):
    the survey reads to there before a row is stored."""

    def __init__(self, archive: Any, damage: type[Exception], name: str, wrapping: Wrapping) -> None:
        self._damage = damage
        member = archive.infolist()[wrapping.position]
        if member.compress_type not in _METHODS:
            raise ExportError(f"{name} is packed by a method that is not read here: pack it again with Deflate")
        self._member: _Source = archive.open(member, pwd=wrapping.password)

    def read(self, size: int, /) -> bytes:
        try:
            return self._member.read(size)
        except self._damage as error:
            raise zipfile.BadZipFile from error


def _damaged(name: str, password: bytes) -> str:
    if password:
        return f"{name} cannot be unpacked: the password is wrong, or the archive is damaged or cut short"
    return f"{name} cannot be unpacked: it is damaged or cut short; ask for it again"


class _Unpacked(io.RawIOBase):
    """Unpacks as it is read, and stops a trap. ``packed``: bytes of the archive that were needed so far."""

    def __init__(self, source: _Source, name: str, packed: Callable[[], int], password: bytes = b"") -> None:
        super().__init__()
        self._source, self._name, self._packed, self._password = source, name, packed, password
        self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # typeshed: any Buffer
        try:
            data = self._source.read(len(buffer))
        except _DAMAGE:
            # What the modules say quotes the member's name.
            raise ExportError(_damaged(self._name, self._password)) from None
        self._given += len(data)
        must_be_measured(self._given, self._packed(), self._name)
        buffer[: len(data)] = data
        return len(data)


def held(content: BinaryIO, name: str) -> io.BytesIO:
    """A workbook out of an archive, whole, in memory. Raises ExportError past HELD_BYTES."""
    parts = io.BytesIO()
    while chunk := content.read(CHUNK_BYTES):
        parts.write(chunk)
        if parts.tell() > HELD_BYTES:
            raise ExportError(f"{name} holds a workbook of more than {HELD_BYTES >> 20} MB: ask for the file as CSV")
    parts.seek(0)
    return parts
