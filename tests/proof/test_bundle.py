"""The archive: any zip program reads it, and it has one form only."""

from __future__ import annotations

import io
import zipfile

import pytest

from notifier.proof.bundle import Bundle
from notifier.proof.verifier.verify import Altered, Member, central_directory, layout, local_header


def archive(files, folder):
    file = io.BytesIO()
    bundle = Bundle(file, folder)
    for name, content in files.items():
        bundle.add(name, content)
    bundle.finish({"campaign": "x"}, lambda digest: f"signed {digest}\n")
    return file.getvalue()


def test_any_zip_program_reads_it(tmp_path):
    files = {"a.txt": b"", "b/c.txt": b"text " * 1000, "d.bin": bytes(range(256)) * 9000}
    with zipfile.ZipFile(io.BytesIO(archive(files, tmp_path))) as found:
        assert found.testzip() is None
        assert found.namelist() == [*files, "manifest.json", "manifest.sig"]
        assert {name: found.read(name) for name in files} == files
        assert {info.date_time for info in found.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert found.comment == b""


def test_the_same_content_gives_the_same_bytes_however_it_was_written(tmp_path):
    content = b"line\n" * 50_000
    blocks = (content[at : at + 777] for at in range(0, len(content), 777))
    assert archive({"a.txt": content}, tmp_path) == archive({"a.txt": blocks}, tmp_path)


def test_a_file_that_fails_half_way_is_not_in_the_archive(tmp_path):
    file = io.BytesIO()
    bundle = Bundle(file, tmp_path)

    def failing():
        yield b"half"
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        bundle.add("a.txt", failing())
    assert file.getvalue() == b""


GIANT = Member("a.txt", 8, 7, (4 << 30) + 5, (9 << 30) + 1, 0)
BEHIND = Member("b.txt", 8, 7, 10, 20, len(local_header(GIANT)) + GIANT.packed_size)


def test_files_beyond_four_gigabytes_are_described_as_zip64(tmp_path):
    path = tmp_path / "giant.zip"
    start = BEHIND.data_offset + BEHIND.packed_size
    with path.open("wb") as file:  # sparse: nothing is written where the data would stand
        file.write(local_header(GIANT))
        file.seek(BEHIND.offset)
        file.write(local_header(BEHIND))
        file.seek(start)
        file.write(central_directory([GIANT, BEHIND], start))
    with zipfile.ZipFile(path) as found:
        first, second = found.infolist()
    assert (first.file_size, first.compress_size, first.header_offset) == (GIANT.size, GIANT.packed_size, 0)
    assert (second.file_size, second.compress_size, second.header_offset) == (20, 10, BEHIND.offset)
    with path.open("rb") as file, pytest.raises(Altered, match="not the ones"):
        layout(file)  # read to its end: only the names are not those of a pack


def test_more_files_than_sixteen_bits_count_are_described_as_zip64():
    members = [Member(f"{number:06}", 8, 0, 0, 0, 0) for number in range(70_000)]
    with zipfile.ZipFile(io.BytesIO(central_directory(members, 0))) as found:
        assert len(found.infolist()) == 70_000
