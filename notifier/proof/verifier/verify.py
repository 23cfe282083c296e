#!/usr/bin/env python3
"""Checks a notifier proof pack, offline. One file, Python 3.9 or newer, nothing but its standard library.

    python3 verify.py PACK.zip [--fingerprint HEX] [--known-checkpoint FILE]

It trusts nothing inside the pack but the key, and the key only as far as you do: compare the fingerprint that it prints
with the one you were given when the campaign began. Exit 0: the pack holds. Exit 1: it does not, and each finding says
why. Exit 2: the file cannot be opened. Exit 3: EXERCICE, a rehearsal's pack: intact, and no proof of anything. A copy
of this program lies in every pack; it is also what `notifier proof verify` runs. The format is specified in
docs/journal-format.md, and every rule below names what it comes from.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote

FORMAT = "notifier-proof/1"
REAL, DRILL = "notifier/", "notifier-drill/"  # how the name of a key begins, with which everything is signed
DRILL_ID = "drill-"  # how the id of a rehearsal's campaign begins
HELD, REFUSED, UNREADABLE, REHEARSAL = 0, 1, 2, 3  # exit codes
PERSON_FORMAT = "notifier-person-proof/1"
APPROVAL_FORMAT = "notifier-approval/1"
APPROVAL_NAMESPACE = "notifier-approval"  # of the signers' signatures
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
README, CHECKPOINTS, ENTRIES, SUMMARY, PROGRAM = (
    "LISEZMOI.txt",
    "checkpoints.txt",
    "entries.jsonl",
    "summary.json",
    "verify.py",
)
KEY, FINGERPRINT = "keys/signing.vkey", "keys/fingerprint.txt"
REQUIRED = {README, CHECKPOINTS, ENTRIES, SUMMARY, PROGRAM, KEY, FINGERPRINT}
BLOCK = 1 << 18
SMALL = 1 << 28  # files other than the entries are held in memory: 256 MiB at most each
FINDINGS = 20  # more than these say nothing new

TERMS = (
    "confirmed",
    "presumed",
    "handed_over",
    "pending",
    "in_doubt",
    "post",
    "unmatched",
    "unreachable",
    "excluded",
)


class Altered(Exception):
    """The pack is not what was signed; the text is the finding."""


@dataclass
class Verdict:
    """What the check found. ``ok`` is the verdict; ``findings`` say what is wrong, ``remarks`` what to know besides.
    ``drill``: signed in a rehearsal. That is never ``ok``, be it intact: it proves nothing of a campaign. ``restored``:
    each loss that the journal admits; ``admitted``: how many findings are of these losses, and of nothing else."""

    findings: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    fingerprint: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    waves: dict[str, dict[str, int]] = field(default_factory=dict)
    drill: bool = False
    restored: list[dict[str, Any]] = field(default_factory=list)
    admitted: int = 0

    @property
    def ok(self) -> bool:
        return not self.findings and not self.drill

    @property
    def exit_code(self) -> int:
        """0 it holds · 1 it does not · 3 it is intact, and a rehearsal's."""
        return REFUSED if self.findings else REHEARSAL if self.drill else HELD

    def as_json(self) -> dict[str, Any]:
        """The verdict for a program."""
        return {
            "ok": self.ok,
            "kind": "drill" if self.drill else "campaign",
            "intact": not self.findings,
            "findings": self.findings,
            "remarks": self.remarks,
            "restored": self.restored,
            "fingerprint": self.fingerprint,
            "counts": self.counts,
            "waves": self.waves,
        }

    def lines(self) -> list[str]:
        """The verdict for a person."""
        exercise = "EXERCICE (drill). " if self.drill else ""
        losses = [f"  - {told_loss(loss)}" for loss in self.restored]
        if self.findings:
            wrong = [f"  - {finding}" for finding in self.findings]
            if len(self.findings) == self.admitted:
                whole = f"NOT WHOLE: {exercise}this is what was signed, and part of what you hold is lost."
                return [whole, *wrong, *losses]
            return [f"REFUSED: {exercise}this is not what was signed.", *wrong, *losses]
        counts = ", ".join(f"{count} {what}" for what, count in self.counts.items()) + "."
        lines = [f"HOLDS, AND ADMITS A LOSS. {counts}" if losses else f"HOLDS. {counts}"]
        if self.drill:
            lines = [
                f"{exercise}Ce dossier est celui d'une répétition : intact, et sans valeur pour une vraie campagne.",
                "  Signed in a rehearsal, with a rehearsal's key: intact, and refused as the proof of a real campaign.",
                f"  {counts}",
            ]
        lines += losses
        for wave, terms in self.waves.items():
            told = ", ".join(f"{term} {terms[term]}" for term in TERMS if terms.get(term))
            lines.append(f"  wave {wave}: owed {terms.get('owed', 0)} = {told or 'nothing yet'}")
        return lines + [f"  - {remark}" for remark in self.remarks]


def told_loss(loss: dict[str, Any]) -> str:
    """An admitted loss in words."""
    size = f"of an earlier journal of {loss['head_size']}" if loss["head_known"] else "(nobody knows how many)"
    return (
        f"restored from a backup on {loss['at']} by {loss['by']}: the journal goes on after its first "
        f"{loss['database_size']} entries, and at least {loss['lost']} {size} are lost. What waited then is in doubt "
        f"({loss['held']} deliveries): it may have gone out in what is lost"
    )


# -- Ed25519, RFC 8032 5.1 -----------------------------------------------------------------------------------------

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
Point = tuple[int, int, int, int]  # extended homogeneous coordinates X, Y, Z, T


def _plus(one: Point, two: Point) -> Point:
    a = (one[1] - one[0]) * (two[1] - two[0]) % _P
    b = (one[1] + one[0]) * (two[1] + two[0]) % _P
    c = 2 * one[3] * two[3] * _D % _P
    d = 2 * one[2] * two[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _point(encoded: bytes) -> Point | None:
    """Decoding, 5.1.3. None: no point of the curve, or not its one canonical form."""
    number = int.from_bytes(encoded, "little")
    y, odd = number & ((1 << 255) - 1), number >> 255
    if len(encoded) != 32 or y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if (v * x * x - u) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if (v * x * x - u) % _P or (not x and odd):
        return None
    if x & 1 != odd:
        x = _P - x
    return (x, y, 1, x * y % _P)


def _multiples(point: Point) -> list[list[Point]]:
    """j · 16^i · point for 64 digits i and 16 values j: a multiplication is then 63 additions."""
    table = []
    for _ in range(64):
        row: list[Point] = [(0, 1, 1, 0)]
        for _ in range(15):
            row.append(_plus(row[-1], point))
        table.append(row)
        point = _plus(row[-1], point)
    return table


_BASE = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)
_tables: dict[bytes, list[list[Point]]] = {}


def ed25519(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is ``public_key``'s over ``message``: 5.1.7, in the form [S]B - [k]A = R."""
    point = _point(public_key)
    scalar = int.from_bytes(signature[32:], "little")
    if point is None or len(signature) != 64 or scalar >= _L:
        return False
    if b"" not in _tables:
        _tables[b""] = _multiples((*_BASE, 1, _BASE[0] * _BASE[1] % _P))
    if public_key not in _tables:
        x, y, z, t = point
        _tables[public_key] = _multiples((-x % _P, y, z, -t % _P))
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % _L
    total: Point = (0, 1, 1, 0)
    for number, table in ((scalar, _tables[b""]), (challenge, _tables[public_key])):
        for row in table:
            total = _plus(total, row[number & 15])
            number >>= 4  # noqa: PLW2901  (the next digit)
    inverse = pow(total[2], _P - 2, _P)
    x, y = total[0] * inverse % _P, total[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


Ed25519 = Callable[[bytes, bytes, bytes], bool]


# -- signed notes (C2SP signed-note, tlog-checkpoint) --------------------------------------------------------------


class Signer(NamedTuple):
    """Who signed: a key and its name. ``verify`` checks one signature."""

    name: str
    public_key: bytes
    verify: Ed25519

    @property
    def is_drill(self) -> bool:
        return self.name.startswith(DRILL)

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n\x01" + self.public_key).digest()[:4]

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.public_key).hexdigest()

    def line(self) -> str:
        """The verifier key, as keys/signing.vkey holds it."""
        key = base64.b64encode(b"\x01" + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{key}"


def read_signer(line: str, verify: Ed25519) -> Signer:
    """The signer of a verifier key ``name+key id+base64(0x01 ‖ public key)``."""
    name, _, encoded = line.split("+", 2)
    key = base64.b64decode(encoded, validate=True)
    signer = Signer(name, key[1:], verify)
    campaign = name.partition("/")[2]
    if len(key) != 33 or signer.line() != line or name != key_name(campaign) or not re.fullmatch(r"[^\s+]+", campaign):
        raise Altered("the public key is malformed")
    if _is_anybodys(signer.public_key):
        raise Altered("the public key is one with which anybody can sign")
    return signer


def key_name(campaign: str) -> str:
    """The name under which a campaign signs. A rehearsal has another one, and an id that no campaign has."""
    return (DRILL if campaign.startswith(DRILL_ID) else REAL) + campaign


def _is_anybodys(public_key: bytes) -> bool:
    """Whether the key is a point of small order, whose "signatures" need no secret, or is not in its one form.
    Libraries disagree on both, and a verdict must not depend on which one is at hand (RFC 8032 5.1.3)."""
    point = _point(public_key)
    if point is None:
        return True
    for _ in range(3):  # times 8, the cofactor
        point = _plus(point, point)
    return point[0] % _P == 0 and (point[1] - point[2]) % _P == 0


def open_note(note: str, signer: Signer) -> str:
    """The text of a signed note. Lines of other signers (witnesses) are passed over; ours must be there and good."""
    text, found, signatures = note.rpartition("\n\n— ")
    if not found or not signatures.endswith("\n"):
        raise Altered("a signed note is malformed")
    for line in signatures[:-1].split("\n"):
        name, _, encoded = (line[2:] if line.startswith("— ") else line).partition(" ")
        blob = base64.b64decode(encoded, validate=True)
        if name == signer.name and blob[:4] == signer.key_id and len(blob) == 68:
            if base64.b64encode(blob).decode() != encoded:  # base64 has unused bits: they are zero
                raise Altered("a signature is not in its canonical form")
            if not signer.verify(signer.public_key, (text + "\n").encode(), blob[4:]):
                raise Altered("a signature is wrong")
            return text + "\n"
    raise Altered(f"a note is not signed by {signer.name} with the key {signer.fingerprint}")


class Checkpoint(NamedTuple):
    """The root over the first ``size`` entries, as signed."""

    size: int
    root: bytes


def read_checkpoint(note: str, signer: Signer) -> Checkpoint:
    """A checkpoint whose signature was found good."""
    lines = open_note(note, signer).split("\n")
    if len(lines) < 4 or lines[0] != signer.name or not re.fullmatch(r"[1-9][0-9]{0,18}", lines[1]):
        raise Altered("a note is no checkpoint of this journal")
    root = base64.b64decode(lines[2], validate=True)
    if len(root) != 32 or base64.b64encode(root).decode() != lines[2]:
        raise Altered("a checkpoint's root is malformed")
    return Checkpoint(int(lines[1]), root)


# -- the Merkle tree, RFC 9162 2.1 ---------------------------------------------------------------------------------


def leaf_hash(salt: bytes, entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + salt + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def fold(peaks: list[bytes]) -> bytes:
    """The root, from the roots of the perfect subtrees, largest first."""
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def included(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    """RFC 9162 2.1.3.2."""
    if not 0 <= index < size:
        return False
    node, last, computed = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and computed == root


# -- the archive: every byte of it follows from the manifest -------------------------------------------------------

_BIG32, _BIG16 = 0xFFFFFFFF, 0xFFFF
_MIDNIGHT_1980 = 0x0021  # the date field's first day; the time field is 0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~%-]*(/[A-Za-z0-9._~%-]+)*")


@dataclass(frozen=True)
class Member:
    """One file of the archive and where it lies. ``method``: 0 stored, 8 deflated."""

    name: str
    method: int
    crc32: int
    packed_size: int
    size: int
    offset: int

    @property
    def data_offset(self) -> int:
        return self.offset + len(local_header(self))


def method_of(name: str) -> int:
    """Manifest and signature are stored, so that each has one form only; all else is deflated."""
    return 0 if name in (MANIFEST, SIGNATURE) else 8


def local_header(member: Member) -> bytes:
    """APPNOTE 4.3.7, with a zip64 field (4.5.3) only where a size needs it."""
    name = member.name.encode("ascii")
    big = max(member.size, member.packed_size) >= _BIG32
    extra = struct.pack("<HHQQ", 1, 16, member.size, member.packed_size) if big else b""
    sizes = (_BIG32, _BIG32) if big else (member.packed_size, member.size)
    version = 45 if big else 20
    head = (b"PK\3\4", version, 0, member.method, 0, _MIDNIGHT_1980, member.crc32, *sizes, len(name), len(extra))
    return struct.pack("<4s5H3L2H", *head) + name + extra


def central_directory(members: list[Member], start: int) -> bytes:
    """APPNOTE 4.3.12 to 4.3.16: everything after the last file's data. ``start`` is its offset."""
    records = []
    for member in members:
        name = member.name.encode("ascii")
        big = max(member.size, member.packed_size) >= _BIG32
        fields = ([member.size, member.packed_size] if big else []) + (
            [member.offset] if member.offset >= _BIG32 else []
        )
        extra = struct.pack(f"<HH{len(fields)}Q", 1, 8 * len(fields), *fields) if fields else b""
        sizes = (_BIG32, _BIG32) if big else (member.packed_size, member.size)
        version = 45 if fields else 20
        head = (b"PK\1\2", 3 << 8 | version, 45 if big else 20, 0, member.method, 0, _MIDNIGHT_1980, member.crc32)
        tail = (*sizes, len(name), len(extra), 0, 0, 0, 0o100644 << 16, min(member.offset, _BIG32))
        records.append(struct.pack("<4s6H3L5H2L", *head, *tail) + name + extra)
    directory = b"".join(records)
    count, size = len(members), len(directory)
    if count >= _BIG16 or size >= _BIG32 or start >= _BIG32:
        end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 3 << 8 | 45, 45, 0, 0, count, count, size, start)
        directory += end + struct.pack("<4sLQL", b"PK\6\7", 0, start + size, 1)
    count16, size32, start32 = min(count, _BIG16), min(size, _BIG32), min(start, _BIG32)
    return directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count16, count16, size32, start32, 0)


def layout(file: BinaryIO) -> list[Member]:
    """The members of the archive, after every byte outside their data was found to be the one that it must be."""
    members: list[Member] = []
    position = 0
    while True:
        file.seek(position)
        head = file.read(30)
        if head[:4] != b"PK\3\4" or len(head) < 30:
            break
        _, _, _, method, _, _, crc, packed, size, name_length, extra_length = struct.unpack("<4s5H3L2H", head)
        name, extra = file.read(name_length), file.read(extra_length)
        if len(extra) == 20:
            _, _, size, packed = struct.unpack("<HHQQ", extra)
        member = Member(name.decode("ascii"), method, crc, packed, size, position)
        if local_header(member) != head + name + extra or method != method_of(member.name):
            raise Altered("the archive's own description of a file was altered")
        position = member.data_offset + packed
        members.append(member)
    file.seek(position)
    expected = central_directory(members, position)
    if file.read(len(expected) + 1) != expected:
        raise Altered("the archive is cut short, was added to, or its directory was altered")
    names = [member.name for member in members]
    if names != [*sorted(set(names) - {MANIFEST, SIGNATURE}), MANIFEST, SIGNATURE]:
        raise Altered("the archive's files are not the ones, or not in the order, of a proof pack")
    for path in names:
        if not _NAME.fullmatch(path) or {".", ".."} & set(path.split("/")):
            raise Altered("the archive holds a file whose name could lie outside a folder")
    return members


class Pack:
    """An open archive. Files are read against the manifest."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.members = {member.name: member for member in layout(file)}
        manifest = self._stored(MANIFEST)
        self.manifest: dict[str, Any] = read_json(manifest)
        self.manifest_sha256 = hashlib.sha256(manifest).hexdigest()
        self.signature = self._stored(SIGNATURE).decode()
        if self.manifest.get("format") != FORMAT:
            raise Altered(f"the pack is not of the format {FORMAT}")
        self.listed: dict[str, dict[str, Any]] = {item["name"]: item for item in self.manifest["files"]}
        if list(self.listed) != list(self.members)[:-2] or len(self.listed) != len(self.manifest["files"]):
            raise Altered("the archive holds other files than its manifest lists")
        if missing := sorted(REQUIRED - set(self.listed)):
            raise Altered(f"the pack lacks {', '.join(missing)}")

    def _stored(self, name: str) -> bytes:
        member = self.members[name]
        if member.size != member.packed_size or member.size > SMALL:
            raise Altered(f"{name} was altered")
        self._file.seek(member.data_offset)
        content = self._file.read(member.size)
        if zlib.crc32(content) != member.crc32:
            raise Altered(f"{name} was altered")
        return content

    def blocks(self, name: str) -> Iterator[bytes]:
        """The content of ``name`` in blocks. Raises Altered at the end unless all of it is as the manifest says."""
        member, listed = self.members[name], self.listed[name]
        packed_hash, plain_hash, crc, size = hashlib.sha256(), hashlib.sha256(), 0, 0
        inflater = zlib.decompressobj(-15)
        for plain in self._inflated(member, inflater, packed_hash):
            size += len(plain)
            if size > member.size:
                raise Altered(f"{name} is longer than the manifest says")
            plain_hash.update(plain)
            crc = zlib.crc32(plain, crc)
            yield plain
        found = {
            "name": name,
            "size": size,
            "sha256": plain_hash.hexdigest(),
            "packed_size": member.packed_size,
            "packed_sha256": packed_hash.hexdigest(),
            "crc32": crc,
        }
        whole = inflater.eof and not inflater.unused_data
        if found != listed or crc != member.crc32 or size != member.size or not whole:
            raise Altered(f"{name} was altered")

    def _inflated(self, member: Member, inflater: Any, packed_hash: Any) -> Iterator[bytes]:
        position, left = member.data_offset, member.packed_size
        while left:
            self._file.seek(position)  # another file may have been read between two blocks
            packed = self._file.read(min(BLOCK, left))
            if not packed:
                raise Altered(f"{member.name} is cut short")
            position += len(packed)
            left -= len(packed)
            packed_hash.update(packed)
            while packed and not inflater.eof:
                yield inflater.decompress(packed, 4 * BLOCK)
                packed = inflater.unconsumed_tail
        yield inflater.flush()

    def read(self, name: str) -> bytes:
        """A small file whole."""
        if self.members[name].size > SMALL:
            raise Altered(f"{name} is larger than such a file can be")
        return b"".join(self.blocks(name))


def approval_name(wave: str, batch: Any, file: str) -> str:
    """Where the pack keeps the manifest of a batch and the signatures over it."""
    return f"approvals/{quote(wave, safe='')}/{batch}/{file}"


def template_name(wave: str, batch: Any, path: str) -> str:
    """Where the pack keeps a frozen file of a batch."""
    return f"templates/{quote(wave, safe='')}/{batch}/{quote(path, safe='/')}"


# -- the account, from the entries (docs/journal-format.md, "Accounting") ------------------------------------------

# A delivery's entry moves it to the state of that name; those not named here leave its state alone.
MOVES = {
    "delivery_accepted": "accepted",
    "delivery_deferred": "deferred",
    "delivery_in_doubt": "in_doubt",
    "delivery_unmade": "unmade",
    "delivery_requeued": "queued",
    "delivery_refused": "refused",
    "delivery_expired": "expired",
    "delivery_bounced": "bounced",
    "delivery_delivered": "delivered",
    "delivery_withdrawn": "withdrawn",
    "delivery_printed": "printed",
    "delivery_posted": "posted",
    "delivery_returned": "returned",
}
TERM_OF = {
    "queued": "pending",
    "deferred": "pending",
    "unmade": "pending",
    "withdrawn": "pending",
    "in_doubt": "in_doubt",
    "accepted": "handed_over",
    "observed": "presumed",
    "delivered": "confirmed",
    "to_print": "post",
    "printed": "post",
    "posted": "post",
    "refused": "unreachable",
    "expired": "unreachable",
    "bounced": "unreachable",
    "returned": "unreachable",
}


# Why a notification without any route has none; any other reason: no mailbox and no address.
TERM_OF_REASON = {"unmatched": "unmatched", "decided": "excluded"}
OPEN = ("queued", "deferred", "in_doubt", "unmade")
# What a loss is told by.
LOSS_KEYS = ("by", "head_known", "head_size", "head_root", "database_size", "database_root", "lost", "held")


class Ledger:
    """What the entries say of every notification, by wave and person. Memory grows with persons, not with entries."""

    def __init__(self, observed_until: str) -> None:
        """``observed_until``: acceptances and postings up to this instant are observed to the end ("" = none is)."""
        self.observed_until = observed_until
        self.waves: dict[str, dict[str, str]] = {}  # wave → person → a term, or a delivery's token
        self.states: dict[str, str] = {}  # delivery → its state, or ">" and the token of what took its place
        self.imports: list[dict[str, Any]] = []
        self.batches: list[dict[str, Any]] = []
        self.frozen: dict[tuple[str, Any], int] = {}
        self.lists: dict[tuple[str, Any], Any] = {}  # (wave, batch) → running hash over its notifications
        self.requested: set[str] = set()  # hashes of the dossiers that were requested
        self.kinds: dict[str, str] = {}  # wave → its kind
        self.doubted: dict[str, int] = {}  # delivery → the first of its attempts whose answer was lost
        self.twice: set[str] = set()  # deliveries that were sent again after that, or whose place another one took
        self.decided: dict[str, str] = {}  # deliveries taken as handed over → by whose decision
        self.logged: dict[str, str] = {}  # deliveries accepted by an unsigned mail log → on whose word
        self.headless = 0  # commands that began without anything that tells a restored database
        self.machines: list[tuple[str, str]] = []  # each time that another machine took over: when, by whom
        self.taken_back: list[tuple[str, str, str]] = []  # each approval that was taken back: when, of which wave, by
        self.restored: list[dict[str, Any]] = []  # each time that the database was restored, as the entries admit it
        self.created: list[tuple[str, str]] = []  # id and kind of the campaign, as its first entry says them
        self.steps: dict[str, Callable[[str, dict[str, Any], str], None]] = {
            "campaign_created": self._created,
            "delivery_held": self._held,
            "doubt_accepted": self._decided,
            "head_missing": self._without_head,
            "import_completed": self._imported,
            "import_undone": self._undone,
            "recovered_from_backup": self._recovered,
            "taken_over": self._taken_over,
            "approval_taken_back": self._taken_back,
            "wave_planned": self._planned,
            "approval_requested": self._requested,
            "batch_approved": self._approved,
            "notification_frozen": self._frozen,
            "notification_replanned": self._replanned,
        }

    def add(self, entry: dict[str, Any]) -> None:
        """One entry, in order."""
        kind: str = entry["kind"]
        if kind in MOVES:
            self._moved(MOVES[kind], entry["subject"], entry["facts"], entry["at"])
        elif kind in self.steps:
            self.steps[kind](entry["subject"], entry["facts"], entry["at"])

    def _moved(self, state: str, token: str, facts: dict[str, Any], at: str) -> None:
        doubted = self.doubted.get(token)
        if doubted is not None:
            again = state in ("accepted", "in_doubt") and facts.get("attempt", 0) > doubted
            if again or facts.get("letter"):
                self.twice.add(token)
            if state == "accepted":
                self.decided.pop(token, None)  # the relay's own answer, late, needs no decision
        elif state == "in_doubt":
            self.doubted[token] = facts.get("attempt", 0)
        if facts.get("late") and (state != "accepted" or self.states.get(token, "queued") not in OPEN):
            return  # a late outcome is written down; it settles what is still open, and only by "accepted" (DESIGN 9)
        if state in ("accepted", "posted") and at <= self.observed_until:
            state = "observed"
        self.logged.pop(token, None)
        if facts.get("because") == "mail_log":
            self.logged[token] = facts["by"]
        letter = facts.get("letter")
        self.states[token] = f">{letter}" if letter else state
        if letter:
            self.states.setdefault(letter, "queued" if facts.get("then") == "second_address" else "to_print")

    def _held(self, token: str, facts: dict[str, Any], at: str) -> None:
        """Not sent once more by itself: in doubt, even where it had been put back to wait since."""
        if self.states.get(token) in OPEN:
            self.states[token] = "in_doubt"

    def _decided(self, token: str, facts: dict[str, Any], at: str) -> None:
        """Somebody takes a delivery in doubt as handed over: no answer of the relay's."""
        if self.states.get(token) == "in_doubt":
            self._moved("accepted", token, {"attempt": self.doubted.get(token, 0)}, at)
            self.decided[token] = facts["by"]

    def _frozen(self, person: str, facts: dict[str, Any], _at: str) -> None:
        wave, token = facts["wave"], facts["delivery"]
        if facts["excluded"]:
            value = "excluded"
        elif facts["route"] == "held":
            value = "pending"
        elif token:
            value = sys.intern(token)
            self.states.setdefault(value, "to_print" if facts["route"] == "post" else "queued")
        elif facts["route"] == "none":
            value = TERM_OF_REASON.get(facts["reason"], "unreachable")
        else:
            value = "pending"
        self.waves.setdefault(wave, {})[person] = value
        batch = (wave, facts["batch"])
        self.frozen[batch] = self.frozen.get(batch, 0) + 1
        if batch not in self.lists:
            self.lists[batch] = hashlib.sha256()
        self.lists[batch].update(
            f"{person}\t{facts['segment']}\t{facts['route']}\t{facts['reason']}\t{facts['excluded']}\t{token}\n".encode()
        )

    def _replanned(self, person: str, facts: dict[str, Any], _at: str) -> None:
        self.waves.setdefault(facts["wave"], {}).pop(person, None)

    def _created(self, _subject: str, facts: dict[str, Any], _at: str) -> None:
        self.created.append((facts["campaign"], facts["kind"]))

    def _recovered(self, _subject: str, facts: dict[str, Any], at: str) -> None:
        self.restored.append({key: facts[key] for key in LOSS_KEYS} | {"at": at})

    def _without_head(self, _subject: str, _facts: dict[str, Any], _at: str) -> None:
        self.headless += 1

    def _taken_over(self, _subject: str, facts: dict[str, Any], at: str) -> None:
        self.machines.append((at, facts["by"]))

    def _taken_back(self, _subject: str, facts: dict[str, Any], at: str) -> None:
        self.taken_back.append((at, facts["wave"], facts["by"]))

    def _planned(self, _subject: str, facts: dict[str, Any], _at: str) -> None:
        self.kinds[facts["wave"]] = facts["kind"]

    def _requested(self, dossier: str, _facts: dict[str, Any], _at: str) -> None:
        self.requested.add(dossier)

    def _approved(self, _subject: str, facts: dict[str, Any], at: str) -> None:
        self.batches.append({**facts, "at": at})

    def _imported(self, sha256: str, facts: dict[str, Any], at: str) -> None:
        self.imports.append({**facts, "sha256": sha256, "at": at})

    def _undone(self, sha256: str, facts: dict[str, Any], _at: str) -> None:
        gone = (sha256, facts["kind"], facts["profile"])  # a workbook may have been read with several profiles
        self.imports = [item for item in self.imports if (item["sha256"], item["kind"], item["profile"]) != gone]

    def term(self, value: str) -> str:
        """The term of I1 under which a notification counts."""
        if value in TERMS:
            return value
        state = self.states[value]
        for _ in range(8):
            if not state.startswith(">"):
                break
            state = self.states[state[1:]]
        return TERM_OF[state]

    def doubts(self) -> Iterator[str]:
        """What the doubts left behind, in words."""
        if self.twice:
            yield (
                f"{len(self.twice)} possible duplicates: the answer to one attempt was lost (RFC 1047), and the "
                "notice was sent again, or another took its place"
            )
        for name, count in self._accepted(self.decided):
            yield f"{count} deliveries count as accepted by decision of {name}, not by the relay"
        for name, count in self._accepted(self.logged):
            yield f"{count} deliveries count as accepted by a mail log without signature, on the word of {name}"

    def _accepted(self, by: dict[str, str]) -> list[tuple[str, int]]:
        """Of these deliveries, how many count as accepted, by name."""
        counted: dict[str, int] = {}
        for token, name in by.items():
            if self.states.get(token) in ("accepted", "observed"):
                counted[name] = counted.get(name, 0) + 1
        return sorted(counted.items())

    def machinery(self) -> Iterator[str]:
        """What to know of the machines and the database, in words."""
        if self.headless:
            yield (
                f"{self.headless} commands began without a head beside the key: that the database was the last "
                "one then, and no backup, nobody can show"
            )
        if self.machines:
            at, by = self.machines[-1]
            yield f"{len(self.machines)} times another machine took over the sending, the last on {at} by {by}"
        for at, wave, by in self.taken_back:
            yield f"an approval was taken back for what had told nobody: wave {wave}, {at}, by {by}"

    def table(self) -> dict[str, dict[str, int]]:
        """Wave → term → how many frozen notifications."""
        counted = {}
        for wave, persons in self.waves.items():
            terms = dict.fromkeys(TERMS, 0)
            for value in persons.values():
                terms[self.term(value)] += 1
            counted[wave] = terms
        return counted


# -- the entries ---------------------------------------------------------------------------------------------------

_ENTRY_KEYS = {"at", "facts", "kind", "subject"}
_HEAD, _MIDDLE, _END = '{"entry":', ',"index":%d,"salt":"', '"}'
_SALT = 64  # hex digits
_KEYS = 3 + len(_ENTRY_KEYS)  # of a line and its entry, without the facts


def canonical(value: Any) -> str:
    """Canonical JSON, RFC 8785 (the subset without floats)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def read_entries(blocks: Iterator[bytes], wanted: set[int], ledger: Ledger) -> tuple[int, dict[int, bytes]]:
    """How many entries there are, and the roots at the ``wanted`` sizes; each entry goes into ``ledger``."""
    size = 0
    peaks: list[bytes] = []
    roots: dict[int, bytes] = {}
    sha256, read, rest = hashlib.sha256, json.JSONDecoder().raw_decode, b""
    for block in blocks:
        rest += block
        end = rest.rfind(b"\n")
        if end < 0:
            continue
        whole, rest = rest[:end], rest[end + 1 :]
        for line, text in zip(whole.split(b"\n"), whole.decode().split("\n")):  # noqa: B905  (strict= is Python 3.10)
            middle = _MIDDLE % size
            tail = len(middle) + _SALT + len(_END)
            stop = len(text) - tail
            entry, stopped = read(text, len(_HEAD))
            salt = bytes.fromhex(text[stop + len(middle) : -len(_END)])
            if (
                not text.startswith(_HEAD)
                or not text.startswith(middle, stop)
                or not text.endswith(_END)
                or stopped != stop
                or len(salt) != _SALT // 2
                or entry.keys() != _ENTRY_KEYS
                or not _one_reading(text, entry)
            ):
                raise Altered(f"line {size + 1} of {ENTRIES} is not as the format says")
            peaks.append(sha256(b"\x00" + salt + line[len(_HEAD) : len(line) - tail]).digest())
            size += 1
            number = size
            while not number & 1:
                right = peaks.pop()
                peaks[-1] = sha256(b"\x01" + peaks[-1] + right).digest()
                number >>= 1
            if size in wanted:
                roots[size] = fold(peaks)
            ledger.add(entry)
    if rest:
        raise Altered(f"{ENTRIES} does not end with a whole line")
    return size, roots


def _one_reading(text: str, entry: dict[str, Any]) -> bool:
    """Whether no key stands twice, of which one reader would take the first and another the last. A key token ends with
    a quote and a colon, with nothing between them in canonical JSON: as many of these as keys were read, and none is
    doubled. Where a text or a nested object makes that count uncertain, the whole line is spelled anew and compared."""
    if text.count('":') == _KEYS + len(entry["facts"]) and '" ' not in text and "\t" not in text and "\r" not in text:
        return True
    return text[len(_HEAD) :].startswith(canonical(entry) + ",")


# -- the summary against the entries -------------------------------------------------------------------------------

IMPORT_KEYS = ("sha256", "profile", "incident", "as_of", "rows", "records", "rejections", "persons_new", "at")


def observed_until(summary: dict[str, Any]) -> str:
    """Up to when acceptances are observed to the end: the observation period before the earlier of the export and the
    last reading of returned mail. "" while returned mail was never read."""
    observation = summary["observation"]
    if not observation["returns_read"]:
        return ""
    until = min(summary["as_of"], observation["returns_read"])
    at = datetime.strptime(until[:-1] + "+0000", "%Y-%m-%dT%H:%M:%S.%f%z") - timedelta(days=observation["days"])
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def imports_of(ledger: Ledger, kind: str) -> list[dict[str, Any]]:
    """The completed imports of a kind as the summary lists them."""
    return [{key: item[key] for key in IMPORT_KEYS} for item in ledger.imports if item["kind"] == kind]


def _is_counted(summary: dict[str, Any]) -> bool:
    """Whether each wave has all terms and no others, and every count is one: a negative number would move persons from
    one term to another, and no sum would show it."""
    tables = [wave[name] for wave in summary["waves"] for name in ("notifications", "frozen", "not_frozen")]
    counts = [summary["observation"]["days"], *(wave["owed"] for wave in summary["waves"])]
    for table in (summary["bridge"], summary["rejections"], summary["open"], *tables):
        counts.extend(table.values())
    return all(set(table) == set(TERMS) for table in tables) and all(type(it) is int and it >= 0 for it in counts)


def _compare_wave(
    wave: dict[str, Any], planned_as: str | None, counted: dict[str, int] | None, persons: int
) -> Iterator[str]:
    name = wave["wave"]
    if wave["kind"] != planned_as:
        yield f"wave {name}: the entries planned it as another kind of wave than the summary says"
    if wave["frozen"] != (counted or dict.fromkeys(TERMS, 0)):
        yield f"wave {name}: the entries add up to another table than the summary's"
    if any(wave["notifications"][term] != wave["frozen"][term] + wave["not_frozen"][term] for term in TERMS):
        yield f"wave {name}: frozen and not frozen do not add up to the summary's table"
    if wave["kind"] == "initial" and wave["owed"] != persons:
        yield f"wave {name}: the persons owed a notice are not the persons of the bridge"


def compare_summary(summary: dict[str, Any], ledger: Ledger) -> Iterator[str]:
    """Each way in which the summary says something else than the entries, or than itself."""
    if summary["sources"] != imports_of(ledger, "export") or summary["directories"] != imports_of(ledger, "directory"):
        yield "the summary lists other files taken in than the entries do"
    if summary["batches"] != ledger.batches:
        yield "the summary lists other approvals than the entries do"
    for batch in ledger.batches:
        if ledger.frozen.get((batch["wave"], batch["batch"]), 0) != batch["notifications"]:
            yield f"batch {batch['batch']} of wave {batch['wave']} froze another number of notifications than approved"
    bridge = summary["bridge"]
    if not _is_counted(summary):
        yield "the summary counts in something else than whole numbers from 0, or under other terms"
    totals = {key: sum(item[key] for item in summary["sources"]) for key in ("rows", "records", "rejections")}
    if any(bridge[key] != totals[key] for key in totals):
        yield "the bridge from rows to persons does not start from the files taken in"
    states = summary["rejections"]
    if sum(states.values()) != bridge["rejections"] or states.get("open") != summary["open"]["rejections"]:
        yield "the rejections by state are not those of the bridge, or not those that are said to be open"
    balances = (
        bridge["rows"] == bridge["records"] + bridge["rejections"]
        and bridge["records"] + bridge["persons_without_record"] == bridge["persons"] + bridge["same_person_again"]
        and bridge["records_without_person"] == 0
    )
    counted = ledger.table()
    waves = {wave["wave"]: wave for wave in summary["waves"]}
    if len(waves) != len(summary["waves"]) or set(counted) - set(waves):
        yield "the summary does not list the waves that the entries know"
    for name, wave in waves.items():
        yield from _compare_wave(wave, ledger.kinds.get(name), counted.get(name), bridge["persons"])
        balances = balances and wave["owed"] == sum(wave["notifications"].values())
    if summary["balances"] and not balances:
        yield "the summary says that the account balances, and it does not"


# -- the whole pack ------------------------------------------------------------------------------------------------


def manifest_text(name: str, sha256: str) -> str:
    """What the signature of the pack covers. Its first line keeps it from being taken for a checkpoint."""
    return f"{FORMAT}\n{name}\n{sha256}\n"


def read_json(content: bytes) -> dict[str, Any]:
    """The file's one object. No key stands twice, of which one reader would take the first and another the last."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in found}) != len(found):
            raise Altered("a key stands twice in a file of the pack")
        return dict(found)

    read: dict[str, Any] = json.loads(content, object_pairs_hook=pairs)
    return read


def split_notes(text: str) -> list[str]:
    """The notes of checkpoints.txt; an empty line stands between two."""
    begin = DRILL if text.startswith(DRILL) else REAL
    first, *others = text.split(f"\n\n{begin}")
    notes = [first, *(begin + other for other in others)]
    return [note + "\n" for note in notes[:-1]] + notes[-1:]


def same_fingerprint(given: str, found: str) -> bool:
    """Fingerprints compared without case, blanks and colons."""
    return re.sub(r"[\s:]", "", given).lower() == found


def check_pack(file: BinaryIO, verdict: Verdict, fingerprint: str | None, known: str | None, verify: Ed25519) -> None:
    """All checks of a pack, into ``verdict``. Raises Altered where going on would be pointless."""
    pack = Pack(file)
    signer = _check_signature(pack, verdict, fingerprint, verify)
    summary = read_json(pack.read(SUMMARY))
    checkpoints = [read_checkpoint(note, signer) for note in split_notes(pack.read(CHECKPOINTS).decode())]
    earlier = [read_checkpoint(known, signer)] if known is not None else []
    ledger = Ledger(observed_until(summary))
    wanted = {checkpoint.size for checkpoint in checkpoints + earlier}
    size, roots = read_entries(pack.blocks(ENTRIES), wanted, ledger)
    _check_checkpoints(summary, checkpoints, size, roots, verdict)
    _check_losses(ledger, checkpoints, verdict)
    for held in earlier:
        if roots.get(held.size) != held.root:
            _judge_break(held, ledger, verdict)
        verdict.remarks.append(f"compared with the checkpoint over {held.size} entries that you hold")
    _check_templates(pack, ledger, verdict)
    _check_approvals(pack, ledger, verdict, verify)
    for name in (README, PROGRAM):
        for _ in pack.blocks(name):
            pass
    if key_name(summary["campaign"]["id"]) != signer.name or summary["fingerprint"] != signer.fingerprint:
        verdict.findings.append("the summary speaks of another campaign, or of another key, than the one that signed")
    kind = "drill" if signer.is_drill else "campaign"
    if ledger.created != [(summary["campaign"]["id"], kind)]:
        verdict.findings.append("the journal does not begin as that of this campaign, or of this kind of campaign")
    if not summary["campaign"]["kind"] == pack.manifest["kind"] == kind:
        verdict.findings.append("one part of the pack says that this is a rehearsal (drill), another that it is not")
    verdict.findings.extend(compare_summary(summary, ledger))
    _report(verdict, summary, ledger, len(checkpoints), size)


def _check_signature(pack: Pack, verdict: Verdict, fingerprint: str | None, verify: Ed25519) -> Signer:
    """Who signed the manifest, on which everything else in the archive hangs."""
    signer = read_signer(pack.read(KEY).decode().rstrip("\n"), verify)
    verdict.fingerprint, verdict.drill = signer.fingerprint, signer.is_drill
    signed = open_note(pack.signature, signer)
    if signed != manifest_text(signer.name, pack.manifest_sha256):
        raise Altered("the signature of the pack belongs to another manifest")
    if pack.signature.count("\n") != signed.count("\n") + 2:
        raise Altered("the signature of the pack was added to")
    if pack.read(FINGERPRINT).decode() != signer.fingerprint + "\n" or pack.read(KEY).decode() != signer.line() + "\n":
        verdict.findings.append("the files in keys/ do not describe the key that signed")
    _compare_fingerprint(signer, fingerprint, verdict)
    return signer


def _compare_fingerprint(signer: Signer, fingerprint: str | None, verdict: Verdict) -> None:
    if fingerprint is None:
        verdict.remarks.append(f"internally consistent, signed by {signer.fingerprint}: compare it with yours")
    elif not same_fingerprint(fingerprint, signer.fingerprint):
        verdict.findings.append(f"signed by {signer.fingerprint}, not by the key that you named")


def _check_checkpoints(
    summary: dict[str, Any], checkpoints: list[Checkpoint], size: int, roots: dict[int, bytes], verdict: Verdict
) -> None:
    sizes = [checkpoint.size for checkpoint in checkpoints]
    if sizes != sorted(set(sizes)):
        verdict.findings.append("the checkpoints are not in order")
    for checkpoint in checkpoints:
        if roots.get(checkpoint.size) != checkpoint.root:
            verdict.findings.append(f"the entries do not give the root signed over the first {checkpoint.size}")
    last = checkpoints[-1]
    if last.size != size:
        verdict.findings.append(f"the last checkpoint covers {last.size} of {size} entries")
    if summary["checkpoint"] != {"size": last.size, "root": last.root.hex()} or summary["format"] != FORMAT:
        verdict.findings.append("the summary names another checkpoint than the last")


def _check_losses(ledger: Ledger, checkpoints: list[Checkpoint], verdict: Verdict) -> None:
    """Each admitted loss: the journal goes on from a checkpoint of its own, and from no later one than it says."""
    verdict.restored = ledger.restored
    for loss in ledger.restored:
        if Checkpoint(loss["database_size"], bytes.fromhex(loss["database_root"])) not in checkpoints:
            verdict.findings.append("the journal says that it goes on after a backup from where it never was")
        if loss["lost"] != (max(0, loss["head_size"] - loss["database_size"]) if loss["head_known"] else 0):
            verdict.findings.append("the journal admits another loss than follows from its own figures")


def _judge_break(held: Checkpoint, ledger: Ledger, verdict: Verdict) -> None:
    """The journal does not go on from the checkpoint that somebody holds. An admitted loss explains that, if it is of
    that very checkpoint or of a stretch in which it lies; it does not make the entries come back."""
    for loss in ledger.restored:
        if loss["head_known"] and held == Checkpoint(loss["head_size"], bytes.fromhex(loss["head_root"])):
            verdict.admitted += 1
            verdict.findings.append(
                f"the {held.size} entries of the checkpoint you hold are not all here: the journal admits that it was "
                f"restored on {loss['at']} from a backup that had {loss['database_size']} of them"
            )
            return
    for loss in ledger.restored:
        if loss["database_size"] < held.size and (held.size <= loss["head_size"] or not loss["head_known"]):
            verdict.admitted += 1
            verdict.findings.append(
                f"the {held.size} entries of the checkpoint you hold are not all here: it lies in the stretch after "
                f"entry {loss['database_size']} that the journal admits to have lost on {loss['at']}. Whether it was "
                "ever of this journal's lost part, this pack cannot show"
            )
            return
    verdict.findings.append(
        f"the journal was rewritten: its first {held.size} entries are not those of the checkpoint you hold"
    )


def approved_files(ledger: Ledger) -> dict[str, str]:
    """The SHA-256 of each file that an approval names, by its name in the pack: texts, manifest, signatures."""
    named = {
        template_name(batch["wave"], batch["batch"], path): sha256
        for batch in ledger.batches
        for path, sha256 in batch["files"].items()
    }
    for batch in ledger.batches:
        if batch.get("dossier"):
            named[approval_name(batch["wave"], batch["batch"], MANIFEST)] = batch["dossier"]
        for place, signature in enumerate(batch.get("signatures", ()), 1):
            named[approval_name(batch["wave"], batch["batch"], f"signature-{place}.sig")] = signature["sha256"]
    return named


def _check_templates(pack: Pack, ledger: Ledger, verdict: Verdict) -> None:
    expected = approved_files(ledger)
    present = {name for name in pack.listed if name.startswith(("approvals/", "templates/"))}
    if present != set(expected) or set(pack.listed) - present != REQUIRED:
        verdict.findings.append("the pack holds other files than the approvals name")
    for name in sorted(present):
        if hashlib.sha256(pack.read(name)).hexdigest() != expected.get(name):
            verdict.findings.append(f"{name} is not the file that was approved")


def _check_approvals(pack: Pack, ledger: Ledger, verdict: Verdict, verify: Ed25519) -> None:
    """What each batch was approved on: its manifest against the entries, its signatures against the manifest."""
    for batch in ledger.batches:
        where = f"batch {batch['batch']} of wave {batch['wave']}"
        name = approval_name(batch["wave"], batch["batch"], MANIFEST)
        if name not in pack.listed:
            verdict.remarks.append(f"{where}: approved by {batch['by']}, without a dossier")
            continue
        content = pack.read(name)
        manifest = read_json(content)
        if content != canonical(manifest).encode() or manifest["format"] != APPROVAL_FORMAT:
            verdict.findings.append(f"{where}: its manifest is not in its canonical form")
        verdict.findings.extend(f"{where}: {finding}" for finding in compare_manifest(manifest, batch, ledger))
        signatures = [
            pack.read(approval_name(batch["wave"], batch["batch"], f"signature-{place}.sig")).decode("ascii")
            for place in range(1, len(batch["signatures"]) + 1)
        ]
        verdict.findings.extend(
            f"{where}: {finding}" for finding in check_signatures(manifest, batch, signatures, ledger, verify)
        )
        signers = ", ".join(f"{each['name']} ({each['role']})" for each in batch["signatures"])
        told = f"signed by {signers}" if signers else f"approved by {batch['by']}, no signature was required"
        verdict.remarks.append(f"{where}: {told}")


def compare_manifest(manifest: dict[str, Any], batch: dict[str, Any], ledger: Ledger) -> Iterator[str]:
    """Each way in which what was signed is not what was frozen."""
    if [manifest["campaign"]] != [campaign for campaign, _ in ledger.created]:
        yield "its manifest is another campaign's: what is signed in one, or in a rehearsal, is good for that one alone"
    frozen = {key: manifest[key] for key in ("wave", "bound", "files", "segments", "list")}
    if hashlib.sha256(canonical(frozen).encode()).hexdigest() != manifest["digest"]:
        yield "its manifest does not give its own digest"
    if hashlib.sha256(canonical(manifest["bound"]).encode()).hexdigest() != batch["bound"]:
        yield "its manifest binds other settings than the entry"
    said = {key: batch[key] for key in ("wave", "batch", "digest", "files")}
    if {key: manifest[key] for key in said} != said or manifest["list"]["sha256"] != batch["list"]:
        yield "its manifest says something else than its entry"
    running = ledger.lists.get((batch["wave"], batch["batch"]), hashlib.sha256())
    if manifest["list"] != {"notifications": batch["notifications"], "sha256": running.hexdigest()}:
        yield "its entries froze other notifications than its manifest lists"


def check_signatures(
    manifest: dict[str, Any], batch: dict[str, Any], signatures: list[str], ledger: Ledger, verify: Ed25519
) -> Iterator[str]:
    """Each way in which a batch lacks the signatures that its own manifest asks for."""
    approval = manifest["approval"]
    signers = {(each["name"], each["role"], each["key"].split()[1]) for each in approval["signers"]}
    said = [(each["name"], each["role"], each["key"]) for each in batch["signatures"]]
    if len({key for _, _, key in said}) < max(len(said), approval["required"]):
        yield f"it has not the {approval['required']} signatures of different signers that it asks for"
    if said and batch["dossier"] not in ledger.requested:
        yield "its dossier was signed and never requested"
    message = f"{batch['dossier']}  {MANIFEST}\n".encode()
    for signer, signature in zip(said, signatures):  # noqa: B905  (strict= is Python 3.10)
        if signer not in signers or _same_name(signer[0]) == _same_name(approval["author"]):
            yield f"{signer[0]} is none of the signers that its manifest names"
        try:
            good = ssh_signature(signature, base64.b64decode(signer[2], validate=True), message, verify)
        except (ValueError, IndexError):
            good = False
        if not good:
            yield f"the signature of {signer[0]} is wrong"


def _same_name(name: str) -> str:
    return " ".join(name.split()).casefold()


# -- SSH signatures (OpenSSH, PROTOCOL.sshsig): ssh-ed25519, and ssh-rsa with rsa-sha2-256 or rsa-sha2-512 ------------

_ARMOUR = ("-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----")
_DIGEST_INFO = {  # RFC 8017 9.2, note 1
    "rsa-sha2-256": ("sha256", bytes.fromhex("3031300d060960864801650304020105000420")),
    "rsa-sha2-512": ("sha512", bytes.fromhex("3051300d060960864801650304020305000440")),
}
_RSA_BITS = 2048  # at least


def ssh_signature(armoured: str, key: bytes, message: bytes, verify: Ed25519) -> bool:
    """Whether the signature is this key's over ``message``, in the namespace of approvals. Raises ValueError when it is
    no SSH signature, or not in its one form."""
    lines = armoured.replace("\r\n", "\n").strip().split("\n")
    encoded = "".join(lines[1:-1])
    blob = base64.b64decode(encoded, validate=True)
    if (lines[0], lines[-1]) != _ARMOUR or base64.b64encode(blob).decode() != encoded:
        raise ValueError("no SSH signature")
    named, namespace, reserved, hash_name, signature = _ssh_strings(blob[10:])
    if blob[:10] != b"SSHSIG\0\0\0\1" or reserved or named != key or namespace != APPROVAL_NAMESPACE.encode():
        return False
    if hash_name not in (b"sha256", b"sha512"):
        return False
    digest = hashlib.new(hash_name.decode(), message).digest()
    covered = b"SSHSIG" + b"".join(len(part).to_bytes(4, "big") + part for part in (namespace, b"", hash_name, digest))
    algorithm, value = _ssh_strings(signature)
    kind, *parts = _ssh_strings(key)
    if kind == b"ssh-ed25519" and algorithm == kind and len(parts) == 1:
        return not _is_anybodys(parts[0]) and verify(parts[0], covered, value)
    if kind == b"ssh-rsa" and algorithm.decode() in _DIGEST_INFO and len(parts) == 2:
        exponent, modulus = (int.from_bytes(part, "big") for part in parts)
        return _rsa(modulus, exponent, algorithm.decode(), covered, value)
    return False


def _rsa(modulus: int, exponent: int, algorithm: str, covered: bytes, value: bytes) -> bool:
    """RSASSA-PKCS1-v1_5, RFC 8017 8.2.2: the expected block is made and compared whole."""
    size = (modulus.bit_length() + 7) // 8
    if modulus.bit_length() < _RSA_BITS or exponent < 3 or len(value) != size:
        return False
    hash_name, prefix = _DIGEST_INFO[algorithm]
    block = prefix + hashlib.new(hash_name, covered).digest()
    expected = b"\0\1" + b"\xff" * (size - len(block) - 3) + b"\0" + block
    number = int.from_bytes(value, "big")
    return number < modulus and pow(number, exponent, modulus) == int.from_bytes(expected, "big")


def _ssh_strings(blob: bytes) -> list[bytes]:
    """RFC 4251 5: each string after its length; together they are the whole blob."""
    strings, position = [], 0
    while position < len(blob):
        length = int.from_bytes(blob[position : position + 4], "big")
        position += 4 + length
        if position > len(blob):
            raise ValueError("cut short")
        strings.append(blob[position - length : position])
    return strings


def _report(verdict: Verdict, summary: dict[str, Any], ledger: Ledger, checkpoints: int, size: int) -> None:
    verdict.counts = {
        "entries": size,
        "checkpoints": checkpoints,
        "rows": summary["bridge"]["rows"],
        "persons": summary["bridge"]["persons"],
        "batches": len(ledger.batches),
    }
    for wave in summary["waves"]:
        verdict.waves[wave["wave"]] = {"owed": wave["owed"], **wave["notifications"]}
        if left := sum(wave["not_frozen"].values()):
            verdict.remarks.append(f"wave {wave['wave']}: {left} not approved, so that no entry speaks of them")
    verdict.remarks.extend(ledger.doubts())
    verdict.remarks.extend(ledger.machinery())
    if not summary["balances"]:
        verdict.remarks.append("the account does not balance, and the summary says so")


# -- one person's proof --------------------------------------------------------------------------------------------


def check_person(content: bytes, verdict: Verdict, fingerprint: str | None, known: str | None, verify: Ed25519) -> None:
    """All checks of a person's proof: each entry stands in the signed journal. It says nothing of anybody else."""
    proof: dict[str, Any] = json.loads(content)
    if content != (canonical(proof) + "\n").encode() or proof["format"] != PERSON_FORMAT:
        raise Altered("the proof is not in its canonical form")
    signer = read_signer(proof["key"], verify)
    verdict.fingerprint, verdict.drill = signer.fingerprint, signer.is_drill
    checkpoint = read_checkpoint(proof["checkpoint"], signer)
    _compare_fingerprint(signer, fingerprint, verdict)
    if known is not None and read_checkpoint(known, signer) != checkpoint:
        verdict.findings.append("the proof rests on another checkpoint than the one you hold: ask for the whole pack")
    if signer.name != key_name(proof["campaign"]) or not proof["entries"]:
        verdict.findings.append("the proof holds no entry, or names another campaign than its key")
    signed = {key: value for key, value in proof.items() if key != "signature"}
    digest = hashlib.sha256(canonical(signed).encode()).hexdigest()
    if open_note(proof["signature"], signer) != f"{PERSON_FORMAT}\n{signer.name}\n{digest}\n":
        verdict.findings.append("the signature of the proof belongs to another proof")
    ledger = Ledger("")
    for item in proof["entries"]:
        ledger.add(item["entry"])
        leaf = leaf_hash(bytes.fromhex(item["salt"]), canonical(item["entry"]).encode())
        path = [bytes.fromhex(node) for node in item["path"]]
        if not included(leaf, item["index"], checkpoint.size, path, checkpoint.root):
            verdict.findings.append(f"entry {item['index']} does not stand in the signed journal")
    verdict.counts = {"entries": len(proof["entries"]), "in the journal": checkpoint.size}
    verdict.remarks.append(f"about the notice with the reference {proof['reference']}")
    verdict.remarks.extend(ledger.doubts())


# -- the door ------------------------------------------------------------------------------------------------------


def check(path: Path, fingerprint: str | None = None, known: str | None = None, verify: Ed25519 = ed25519) -> Verdict:
    """The verdict on a pack or a person's proof. Raises OSError alone: the file cannot be opened."""
    verdict = Verdict()
    with path.open("rb") as file:
        try:
            if file.read(1) == b"{":
                file.seek(0)
                check_person(file.read(SMALL), verdict, fingerprint, known, verify)
            else:
                check_pack(file, verdict, fingerprint, known, verify)
        except Altered as finding:
            verdict.findings.append(str(finding))
        except Exception as error:
            # A hostile or damaged file may make any step fail in any way: that too is a verdict, not a crash.
            verdict.findings.append(f"the file is damaged or no proof pack ({type(error).__name__})")
    del verdict.findings[FINDINGS:]
    return verdict


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Checks a notifier proof pack, offline.")
    parser.add_argument("pack", type=Path)
    parser.add_argument("--fingerprint", help="SHA-256 of the public key, as you were given it at the start")
    parser.add_argument("--known-checkpoint", type=Path, help="a checkpoint (signed note) that you were given earlier")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    asked = parser.parse_args()
    try:
        known = asked.known_checkpoint.read_text("utf-8") if asked.known_checkpoint else None
        verdict = check(asked.pack, asked.fingerprint, known)
    except (OSError, UnicodeDecodeError) as error:
        print(f"cannot read: {error}", file=sys.stderr)
        return UNREADABLE
    print(json.dumps(verdict.as_json(), ensure_ascii=False) if asked.json else "\n".join(verdict.lines()))
    return verdict.exit_code


if __name__ == "__main__":
    sys.exit(main())
