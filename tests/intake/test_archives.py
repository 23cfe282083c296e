"""Archives: passwords, the two encryptions of ZIP, and what is never on the disk."""

from __future__ import annotations

import io
import struct
import sys
import zipfile
import zlib

import pytest

from notifier.campaign import load
from notifier.errors import ExportError
from notifier.intake import archives
from notifier.intake.archives import PASSWORD

from .files.corpus import GOOD, workbook, zipped
from .files.corpus import cells as row_of_a_sheet

SECRET = "sésame, ouvre-toi"


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.delenv(PASSWORD, raising=False)


def _zip_crypto(content: bytes, password: str) -> bytes:
    """A ZIP file with PKWARE's older encryption (APPNOTE 6.1), which Python reads and does not write."""
    table = [zlib.crc32(bytes((byte,)), 0xFFFFFFFF) ^ 0xFFFFFFFF for byte in range(256)]
    keys = [0x12345678, 0x23456789, 0x34567890]

    def crc(value: int, byte: int) -> int:
        return (value >> 8) ^ table[(value ^ byte) & 0xFF]

    def feed(byte: int) -> None:
        keys[0] = crc(keys[0], byte)
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = crc(keys[2], keys[1] >> 24)

    for byte in password.encode():
        feed(byte)
    check = zlib.crc32(content)
    packed = zlib.compress(content)[2:-4]
    secret = bytearray()
    for byte in bytes(11) + bytes((check >> 24,)) + packed:
        mask = keys[2] | 2
        secret.append(byte ^ (((mask * (mask ^ 1)) >> 8) & 0xFF))
        feed(byte)
    entry = struct.pack("<HHHHHLLLHH", 20, 1, 8, 0, 0x21, check, len(secret), len(content), 5, 0)
    local = b"PK\x03\x04" + entry + b"a.csv" + bytes(secret)
    central = b"PK\x01\x02" + struct.pack("<H", 20) + entry + struct.pack("<HHHLL", 0, 0, 0, 0, 0) + b"a.csv"
    end = b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def _aes(content: bytes, password: str) -> bytes:
    pyzipper = pytest.importorskip("pyzipper")
    out = io.BytesIO()
    with pyzipper.AESZipFile(out, "w", compression=zipfile.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(password.encode())
        archive.writestr("a.csv", content)
    return out.getvalue()


ENCRYPTED = pytest.mark.parametrize("encrypt", [_zip_crypto, _aes])


@ENCRYPTED
def test_encrypted_with_the_password_of_the_environment(write, intake, monkeypatch, encrypt) -> None:
    monkeypatch.setenv(PASSWORD, SECRET)
    path = write(encrypt(GOOD, SECRET))
    staged = intake.stage(path, "viamedis-insured")
    assert (staged.records, staged.size_bytes) == (1, path.stat().st_size)
    assert not [each for each in path.parent.rglob("*") if each.is_file() and b"ANNE" in each.read_bytes()]


@ENCRYPTED
def test_encrypted_without_or_with_a_wrong_password(write, intake, monkeypatch, encrypt) -> None:
    path = write(encrypt(GOOD, SECRET))
    with pytest.raises(ExportError, match=f"is encrypted: put its password into {PASSWORD}"):
        intake.stage(path, "viamedis-insured")
    for wrong in ("sesame", "x", "1234", "password"):  # one byte decides in ZipCrypto: some pass it and fail later
        monkeypatch.setenv(PASSWORD, wrong)
        with pytest.raises(ExportError, match="the password is wrong") as caught:
            intake.stage(path, "viamedis-insured")
        assert wrong not in str(caught.value).replace("the password is wrong", "") or len(wrong) == 1
    assert intake.query("SELECT * FROM imports") == []


@ENCRYPTED
def test_one_altered_byte_of_an_encrypted_archive(write, intake, monkeypatch, encrypt) -> None:
    monkeypatch.setenv(PASSWORD, SECRET)
    content = bytearray(encrypt(GOOD * 20, SECRET))
    content[150] ^= 1
    with pytest.raises(ExportError, match="the archive is damaged"):
        intake.stage(write(bytes(content)), "viamedis-insured")


def test_the_password_is_asked_once_on_a_terminal(write, intake, monkeypatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    asked: list[str] = []
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(archives.getpass, "getpass", lambda prompt: asked.append(prompt) or SECRET)
    path = write(_zip_crypto(GOOD, SECRET))
    assert intake.stage(path, "viamedis-insured").records == 1
    assert asked == [f"Password of {path.name}: "]


def test_the_password_is_no_setting_and_not_shown(folder) -> None:
    load(folder, {PASSWORD: SECRET})
    assert SECRET not in repr(archives.Wrapping("zip", 0, 1, SECRET.encode()))


def test_a_workbook_in_an_archive_is_held_up_to_a_limit(write, intake, monkeypatch) -> None:
    monkeypatch.setattr(archives, "HELD_BYTES", 4096)
    with pytest.raises(ExportError, match="holds a workbook of more than"):
        intake.stage(write(zipped(("a.xlsx", workbook(row_of_a_sheet())))), "viamedis-insured")


def test_content_past_the_limit_is_refused_while_it_is_read(write, intake, monkeypatch) -> None:
    monkeypatch.setattr(archives, "CONTENT_BYTES", 100)
    with pytest.raises(ExportError, match="unpacks to more than"):
        intake.stage(write(zipped(("a.csv", GOOD))), "viamedis-insured")
