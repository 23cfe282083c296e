"""The archive of a proof pack: a zip whose every byte follows from its manifest, written as a stream.

Promises: the same content gives the same bytes (names in order, one date, one level of compression). Each file is
packed into a temporary file first, because its header, which comes before it, holds its sizes. What the archive looks
like is written once, in the verifier.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from notifier.proof.verifier.verify import (
    BLOCK,
    FORMAT,
    MANIFEST,
    SIGNATURE,
    Member,
    central_directory,
    local_header,
    method_of,
)

LEVEL = 6
IN_MEMORY = 1 << 20


class Bundle:
    """An archive that is being written to ``file`` (seekable or not). Files are added in ascending order of name."""

    def __init__(self, file: BinaryIO, folder: Path) -> None:
        """``folder``: where what is too large for memory waits, on the same disk as the archive."""
        self._file = file
        self._folder = folder
        self._members: list[Member] = []
        self._listed: list[dict[str, Any]] = []
        self._position = 0

    @contextmanager
    def member(self, name: str) -> Iterator[Callable[[bytes], None]]:
        """``with bundle.member(name) as write``: the file is in the archive when the block ends well."""
        plain, packed = hashlib.sha256(), hashlib.sha256()
        sizes = {"size": 0, "packed_size": 0, "crc32": 0}
        deflater = zlib.compressobj(LEVEL, zlib.DEFLATED, -15)
        with tempfile.SpooledTemporaryFile(IN_MEMORY, dir=str(self._folder)) as spool:

            def keep(data: bytes) -> None:
                sizes["packed_size"] += len(data)
                packed.update(data)
                spool.write(data)

            def write(data: bytes) -> None:
                sizes["size"] += len(data)
                sizes["crc32"] = zlib.crc32(data, sizes["crc32"])
                plain.update(data)
                keep(deflater.compress(data))

            yield write
            keep(deflater.flush())
            spool.seek(0)
            self._begin(name, **sizes)
            shutil.copyfileobj(spool, self._file, BLOCK)
            self._position += sizes["packed_size"]
        hashes = {"sha256": plain.hexdigest(), "packed_sha256": packed.hexdigest()}
        self._listed.append({"name": name, **sizes, **hashes})

    def add(self, name: str, content: bytes | Iterable[bytes]) -> None:
        """A file whose content is at hand."""
        with self.member(name) as write:
            for block in [content] if isinstance(content, bytes) else content:
                write(block)

    def finish(self, facts: dict[str, Any], sign: Callable[[str], str]) -> str:
        """Manifest, signature, directory; the manifest's SHA-256. ``sign`` makes the signature file's text of it."""
        body = {**facts, "format": FORMAT, "files": self._listed}
        manifest = (json.dumps(body, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()
        digest = hashlib.sha256(manifest).hexdigest()
        for name, content in ((MANIFEST, manifest), (SIGNATURE, sign(digest).encode())):
            self._begin(name, len(content), len(content), zlib.crc32(content))
            self._file.write(content)
            self._position += len(content)
        self._file.write(central_directory(self._members, self._position))
        return digest

    def _begin(self, name: str, size: int, packed_size: int, crc32: int) -> None:
        member = Member(name, method_of(name), crc32, packed_size, size, self._position)
        self._members.append(member)
        header = local_header(member)
        self._file.write(header)
        self._position += len(header)
