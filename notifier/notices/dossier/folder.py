"""The dossier on disk: a folder or a ZIP file, the same files and the same bytes for the same state of the campaign."""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from notifier.errors import OperatorError
from notifier.notices.dossier.signatures import MANIFEST

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # of a ZIP file's calendar


def check_place(out: Path, *, overwrite: bool) -> None:
    """Raises OperatorError when something is there that is no earlier dossier, or that ``overwrite`` does not allow to
    be replaced; to be asked before a dossier is requested: one that nobody can read would be the one that counts."""
    if _is_archive(out):
        if not out.parent.is_dir():
            raise OperatorError(f"there is no folder {out.parent}: make it, or name another")
        if out.is_dir():
            raise OperatorError(f"{out} is a folder: name a file")
        if out.exists() and not overwrite:
            raise OperatorError(f"{out} exists already: name another file, or say --yes to replace it")
    elif out.exists():
        ours = out.is_dir() and ((out / MANIFEST).is_file() or not any(out.iterdir()))
        if not ours:
            raise OperatorError(f"{out} is there and is no dossier: name a new folder")
        if (out / MANIFEST).exists() and not overwrite:
            raise OperatorError(f"{out} exists already: name another folder, or say --yes to replace what is in it")


def write_dossier(out: Path, files: Mapping[str, bytes], *, overwrite: bool) -> None:
    """Write ``files`` (path → content) into the folder ``out``, or into the ZIP file ``out`` when it ends so.

    Raises OperatorError as :func:`check_place`. The manifest is written last: a dossier that was cut short has none.
    """
    check_place(out, overwrite=overwrite)
    if _is_archive(out):
        _write(out, _packed(files))
        return
    if out.exists():
        _clear(out)
    for path in sorted(files, key=lambda path: (path == MANIFEST, path)):
        target = out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, files[path])


def _is_archive(out: Path) -> bool:
    return out.suffix.lower() == ".zip"


def _clear(out: Path) -> None:
    """An earlier dossier's own files; whatever else lies there stays, a signature too: it is somebody's."""
    (out / MANIFEST).unlink(missing_ok=True)
    for pattern in ("textes/segment-*.html", "dossier.html", "dossier.pdf", "manifest.sha256"):
        for path in out.glob(pattern):
            path.unlink()


def _packed(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            info = zipfile.ZipInfo(path, _FIRST_DAY)
            info.external_attr = 0o100644 << 16
            info.create_system = 3  # else it would tell on which system it was made
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, files[path])
    return buffer.getvalue()


def _write(target: Path, content: bytes) -> None:
    """Whole or not at all."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise OperatorError(f"{target} cannot be written: {error.strerror}") from error
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(0o644)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
