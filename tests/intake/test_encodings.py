"""The encoding of a whole file, and double encoding cell by cell."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.campaign import shipped
from notifier.errors import ExportError, SettingsError
from notifier.intake.cells import mended_cell, undone
from notifier.intake.encodings import FORCED, FRENCH, choose
from notifier.notices.personal import is_printable_name

from .conftest import rows_of
from .files.corpus import ROW

NAMES = "Lefèvre, Noël; Gaëlle Hébert; Zoé François, Benoît Çapan, MÜLLER; Anaïs Côté; ÉTIENNE"


def high(text: str, encoding: str) -> Counter[int]:
    return Counter(byte for byte in text.encode(encoding) if byte > 127)


@pytest.mark.parametrize("encoding", ["cp1252", "cp850"])
def test_french_names_are_told_apart(encoding: str) -> None:
    assert choose(high(NAMES, encoding), 0).encoding == encoding


def test_iso_8859_15_with_a_stray_control_byte() -> None:
    assert choose(high(NAMES * 3, "iso-8859-15") + Counter({0x81: 1}), 0).encoding == "iso-8859-15"


def test_neither_is_refused() -> None:
    assert choose(high("привет, Лев", "koi8-r") + Counter({0x81: 9}), 0).encoding == ""


@pytest.fixture
def forced(intake):
    """``forced(encoding)`` makes a profile of that name that says it."""

    def make(encoding: str) -> str:
        profiles = intake.folder / "data" / "profiles"
        profiles.mkdir(parents=True, exist_ok=True)
        text = (shipped("data") / "profiles" / "viamedis-insured.toml").read_text(encoding="utf-8")
        (profiles / "forced.toml").write_text(f'encoding = "{encoding}"\n{text}', encoding="utf-8")
        return "forced"

    return make


@pytest.mark.parametrize("encoding", FORCED)
def test_a_profile_forces_each_encoding(write, intake, forced, encoding: str) -> None:
    staged = intake.stage(write(rows_of("viamedis-insured", ROW), encoding), forced(encoding))
    assert (staged.records, staged.encoding) == (1, encoding)
    assert intake.query("SELECT encoding FROM imports") == [{"encoding": f"{encoding} (the profile says so)"}]
    stored = intake.staged()[0]
    assert intake.vault.unseal("person", stored["identity"], stored["sealed"])["name"] == "LEFÈVRE"


def test_a_forced_encoding_that_the_file_is_not_in(write, intake, forced) -> None:
    path = write(rows_of("viamedis-insured", ROW), "cp1252")
    with pytest.raises(ExportError, match="the profile says utf-8 and is not"):
        intake.stage(path, forced("utf-8"))
    path = write(rows_of("viamedis-insured", ROW), "utf-8-sig")
    with pytest.raises(ExportError, match="begins with the mark of utf-8, and the profile says cp850"):
        intake.stage(path, forced("cp850"))
    with pytest.raises(SettingsError, match="'latin' is not one of utf-8"):
        intake.stage(path, forced("latin"))


_FRENCH = st.text("".join(sorted(FRENCH)) + "abcdefgh ABC'-", max_size=20)


@given(_FRENCH, st.integers(1, 3))
def test_text_encoded_again_comes_back(text: str, times: int) -> None:
    twice = text
    for _ in range(times):
        twice = "".join(
            bytes((byte,)).decode("cp1252") if byte not in b"\x81\x8d\x8f\x90\x9d" else chr(byte)
            for byte in twice.encode()
        )
    assert undone(twice) == text or undone(text) != text


@given(st.text(max_size=20))
def test_undoing_never_fails_and_ends(text: str) -> None:
    assert undone(undone(text)) is not None
    for role in ("name", "contract", "guarantees"):
        mended_cell(text, role)


@pytest.mark.parametrize("name", ["CHÂTEAU", "LEFÈVRE", "SÃO JOÃO", "GUIMARÃES", "Ångström", "d’Hœrdt", "MÂRȚIAN"])
def test_what_was_encoded_once_stays(name: str) -> None:
    assert mended_cell(name, "name") == (name, "")


@pytest.mark.parametrize("name", ["LEF\ufffdVRE", "LEF?VRE", "?TIENNE"])
def test_a_damaged_name_is_kept_and_told_and_never_printed(name: str) -> None:
    assert mended_cell(name, "name") == (name, "name_damaged")
    assert not is_printable_name(name)
