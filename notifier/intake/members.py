"""The files of an archive of several: which are read, which are not, and why nothing is passed over in silence.

Operators split an export (export-1.csv, export-2.csv) and put a cover note beside it. Every file with the profile's
headings, and every workbook, is read, in the order of the archive's list, each as an import of its own. What is beside
them is told by its content, never by its name:

- *harmless*: cannot hold a row. A picture or a PDF; a list of checksums or a PGP signature; a text of at most
  TEXT_BYTES in which no line could be one of a table (no `;`, tab or `|`, fewer than two commas), no number looks like
  somebody's and no word is long enough for a coded one. It is not read, and that is said, with its place and size.
- *anything else* stops the command before a row is stored: a part without its line of headings, an empty file, an
  archive in the archive, a Word document. ``--member PATTERN`` then says which files are read; of the others the
  command still tells that they were not.

A file is refused rather than passed over, because rows that nobody sees are persons whom nobody tells (I1).
"""

from __future__ import annotations

import codecs
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import BinaryIO

from notifier.errors import ExportError
from notifier.intake import archives, rows
from notifier.intake.archives import Wrapping
from notifier.intake.columns import find_in_text
from notifier.intake.encodings import BOMS
from notifier.intake.files import HEAD_BYTES, digest_of, state_of, survey
from notifier.intake.profiles import Profile
from notifier.vault import NUMBER, redact

TEXT_BYTES = 1 << 16  # of a note beside the data
SHOWN = 8  # files in an error
_NAME_SHOWN = 60
_WORD = 40  # characters; PGP and base64 have 64 and more, an address on the web begins with its scheme
_PICTURES = ((b"%PDF", "a PDF"), (b"\x89PNG\r\n\x1a\n", "a picture"), (b"\xff\xd8\xff", "a picture"),
             (b"GIF8", "a picture"))  # fmt: skip
_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
# sha256sum and its kin: "<hash>  name", BSD's "SHA256 (name) = <hash>", the hash alone; names that could not be a row.
_CHECKSUM = re.compile(
    r"\s*(?:[0-9a-fA-F]{32,128}(?:\s+\*?[^\s;|,][^;|,\t]{0,200})?"
    r"|\w{3,10} ?\([^;|,\t]{1,200}\) ?= ?[0-9a-fA-F]{32,128})?\s*"
)
_TABLE = re.compile(r"[;\t|]|,.*,")


@dataclass(frozen=True, slots=True)
class Unread:
    """A file of the archive that is not read: its place, its size unpacked, and what it is."""

    ordinal: int
    size_bytes: int
    what: str

    def told(self) -> str:
        """In words, for the operator."""
        return f"file {self.ordinal} ({self.size_bytes:,} bytes) is not read: {self.what}"


@dataclass(frozen=True, slots=True)
class Contents:
    """What is read of a file: ``wrappings``, in order (None: the file as a whole, whatever it is), and what is not."""

    wrappings: tuple[Wrapping | None, ...] = (None,)
    unread: tuple[Unread, ...] = ()

    @property
    def is_archive(self) -> bool:
        """Whether it is an archive of several files."""
        return self.wrappings != (None,)

    @property
    def archive_sha256(self) -> str:
        """Of an archive of several files; "" for anything else."""
        return self.wrappings[0].archive_sha256 if self.wrappings[0] else ""


def contents(file: BinaryIO, name: str, profile: Profile, patterns: Sequence[str] = ()) -> Contents:
    """What to read of ``file``. ``patterns``: globs on the names in the archive; "" = all with data. Asks for the
    password once. Raises ExportError, before anything is read, when something in the archive can be neither read nor
    safely passed over."""
    inside = _several(file, name)
    if inside is None:
        if patterns:
            raise ExportError(f"{name} is no archive of several files: --member has nothing to choose from")
        return Contents()
    wrappings = _wrappings(file, name, inside)
    if patterns:
        return _picked(name, inside, wrappings, patterns)
    read: list[Wrapping | None] = []
    unread: list[Unread] = []
    doubtful: list[str] = []
    for (_, member), wrapping in zip(inside, wrappings, strict=True):
        found = _look(file, name, wrapping, member, profile)
        if found == "":
            read.append(wrapping)
        elif found.startswith(_NO):
            doubtful.append(f"file {wrapping.ordinal} ({_shown(member)}) {found.removeprefix(_NO)}")
        else:
            unread.append(Unread(wrapping.ordinal, member.file_size, found))
    if doubtful or not read:
        raise ExportError(_doubt(name, doubtful))
    return Contents(tuple(read), tuple(unread))


def first(file: BinaryIO, name: str, profile: Profile | None = None) -> Wrapping | None:
    """The first file of an archive of several that looks like data, for a trial; None when ``file`` is none. Without a
    profile, anything that is not harmless may be data. Raises ExportError."""
    inside = _several(file, name)
    if inside is None:
        return None
    other = None
    for (_, member), wrapping in zip(inside, _wrappings(file, name, inside), strict=True):
        found = _look(file, name, wrapping, member, profile)
        if found == "":
            return wrapping
        other = other or (wrapping if found.startswith(_NO) else None)
    if other is None:
        raise ExportError(f"{name} holds {len(inside)} files, and none of them can be read as data")
    return other  # whoever reads it says what does not fit


def holding(file: BinaryIO, name: str, sha256: str) -> Wrapping | None:
    """Where the content with this SHA-256 lies: None = it is ``file`` as it was received. Raises ExportError when it is
    nowhere in it."""
    found, _ = digest_of(file)
    if found == sha256:
        return None
    inside = _several(file, name)
    for wrapping in [] if inside is None else _wrappings(file, name, inside):
        if digest_of(archives.opened(file, wrapping.called(name), wrapping))[0] == sha256:
            return wrapping
    raise ExportError(f"{name} is another file now (SHA-256 {found[:12]}, not {sha256[:12]})")


def count(file: BinaryIO, name: str, profile: Profile, read: Iterable[Wrapping | None]) -> int:
    """How many rows are in all that is read of ``file``: a cover note speaks of what was received, not of its parts."""
    total = 0
    for wrapping in read:
        called = wrapping.called(name) if wrapping else name
        _, batches = rows.read(file, called, survey(file, called, profile.encoding, wrapping), profile)
        total += sum(batch.frame.height + len(batch.broken) for batch in batches)
    return total


_NO = "\0"


def _several(file: BinaryIO, name: str) -> list[tuple[int, zipfile.ZipInfo]] | None:
    file.seek(0)
    if not file.read(4).startswith(archives.ZIP):
        return None
    inside = archives.packed_in(file, name)
    return inside if isinstance(inside, list) and len(inside) > 1 else None


def _wrappings(file: BinaryIO, name: str, inside: Sequence[tuple[int, zipfile.ZipInfo]]) -> list[Wrapping]:
    """How each file lies in the archive; its password is asked once. Raises ExportError for a trap."""
    state = state_of(file)
    sha256, size = digest_of(file)
    archives.must_be_measured(sum(member.file_size for _, member in inside), size, name)
    password = archives.ask_password(name) if any(member.flag_bits & 1 for _, member in inside) else b""
    return [
        replace(
            archives.wrapped(position, member, f"{name} (file {ordinal} of {len(inside)})", password),
            ordinal=ordinal, of=len(inside), archive_sha256=sha256, archive_bytes=size, state=state,
        )
        for ordinal, (position, member) in enumerate(inside, start=1)
    ]  # fmt: skip


def _picked(
    name: str, inside: Sequence[tuple[int, zipfile.ZipInfo]], wrappings: Sequence[Wrapping], patterns: Sequence[str]
) -> Contents:
    names = [member.filename for _, member in inside]
    for pattern in patterns:
        if not any(_fits(each, (pattern,)) for each in names):
            raise ExportError(f"{name}: no file in it fits --member {pattern}")
    chosen = [_fits(each, patterns) for each in names]
    return Contents(
        tuple(wrapping for wrapping, taken in zip(wrappings, chosen, strict=True) if taken),
        tuple(
            Unread(wrapping.ordinal, member.file_size, "not among --member")
            for wrapping, (_, member), taken in zip(wrappings, inside, chosen, strict=True)
            if not taken
        ),
    )


def _fits(name: str, patterns: Iterable[str]) -> bool:
    """Whether a glob fits the name, or its last part; without regard to case."""
    last = re.split(r"[/\\]", name)[-1]
    return any(fnmatchcase(each.lower(), pattern.lower()) for pattern in patterns for each in (name, last))


def _shown(member: zipfile.ZipInfo) -> str:
    """A name in the archive, for the operator's terminal: it may hold anything."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in redact(member.filename))
    return f'"{plain[:_NAME_SHOWN]}", {member.file_size:,} bytes'


def _doubt(name: str, doubtful: Sequence[str]) -> str:
    if not doubtful:
        return f"{name} holds no CSV or XLSX with the profile's headings"
    more = f"; and {len(doubtful) - SHOWN} more" if len(doubtful) > SHOWN else ""
    return (
        f"{name}: {'; '.join(doubtful[:SHOWN])}{more}. Nothing was stored: no row may be passed over unseen. Say which "
        "files are to be read with --member PATTERN (for example --member '*.csv'), or ask for the archive again"
    )


def _look(file: BinaryIO, name: str, wrapping: Wrapping, member: zipfile.ZipInfo, profile: Profile | None) -> str:
    """What a file is, by its content: "" = data; _NO and why it can be neither read nor passed over; else what harmless
    thing it is. Raises ExportError for a damaged one."""
    called = wrapping.called(name)
    head = archives.opened(file, called, wrapping).read(HEAD_BYTES)
    if head.startswith(archives.ZIP):
        # A workbook, or else an archive or a document: only its list says so.
        content = archives.held(archives.opened(file, called, wrapping), called)
        try:
            names = {each.filename for each in archives.listed(content, called)}
        except ExportError:
            return f"{_NO}is a damaged workbook, document or archive"
        return "" if "xl/workbook.xml" in names else f"{_NO}is an archive in the archive, or a document"
    if head.startswith(archives.GZIP):
        return f"{_NO}is an archive in the archive"
    return _told(head, member.file_size, profile, called)


def _told(head: bytes, size: int, profile: Profile | None, called: str) -> str:
    for magic, what in _PICTURES:
        if head.startswith(magic):
            return what
    if not head.strip(b" \t\r\n\0\xef\xbb\xbf\xff\xfe"):
        return f"{_NO}is empty: a part may be missing"
    text = _text(head)
    if text is None:
        return f"{_NO}is neither CSV nor XLSX"
    if profile is not None:
        try:
            find_in_text(text, profile, called)
        except ExportError:
            pass
        else:
            return ""
    if size <= TEXT_BYTES and (what := harmless(text)):
        return what
    return f"{_NO}is a text without the profile's headings: a part of the table, perhaps" if profile else ""


def _text(head: bytes) -> str | None:
    """The beginning of a text, well enough to look for headings; None for what is none."""
    encoding = next((name for mark, name in BOMS if head.startswith(mark)), "")
    if not encoding:
        if b"\0" in head:
            return None
        try:
            return codecs.getincrementaldecoder("utf-8")("strict").decode(head)
        except UnicodeDecodeError:
            encoding = "cp1252"
    return codecs.getincrementaldecoder(encoding)("replace").decode(head).removeprefix("\ufeff")


def harmless(text: str) -> str:
    """What a short text is that cannot hold a row; "" when it might. Pure."""
    lines = text.splitlines()
    if text.lstrip().startswith(_SIGNATURE.decode()) and text.rstrip().endswith("-----END PGP SIGNATURE-----"):
        return "a signature"
    if all(_CHECKSUM.fullmatch(line) for line in lines):
        return "checksums"
    words = (word for line in lines for word in line.split() if not word.lower().startswith(("http://", "https://")))
    if any(map(_TABLE.search, lines)) or NUMBER in redact(text) or any(len(word) > _WORD for word in words):
        return ""
    return "a text without a table"
