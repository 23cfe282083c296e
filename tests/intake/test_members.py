"""Archives of several files: each an import of its own, and nothing in them passed over in silence."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import sys
import warnings
import zipfile
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier import app as wiring
from notifier.app import App, draft_profile, forget_file, free_held, take_directories, take_exports, try_profile
from notifier.campaign import load
from notifier.errors import ExportError, OperatorError
from notifier.intake import archives, files, members, profiles
from notifier.intake.archives import PASSWORD
from notifier.intake.columns import SEPARATORS
from notifier.intake.custody import Custody
from notifier.intake.members import harmless

from .conftest import HEADINGS as HEADINGS_OF
from .files.corpus import HEADINGS, text, workbook, zipped
from .files.corpus import cells as row_of_a_sheet
from .files.corpus import row as row_of

PROFILE = "viamedis-insured"


def part(*names: str, encoding: str = "utf-8") -> bytes:
    """A part of a split export: one person per forename."""
    rows = [row_of(PRENOM=name) for name in names]
    return text(*rows).encode(encoding)


ONE, TWO, THREE = part("ANNE", "ZOÉ"), part("PAUL"), part("LÉA", encoding="cp1252")
README = "Bonjour,\r\nvoici les fichiers, dans l'ordre.\r\nBien à vous\r\n".encode("cp1252")
SUMS = f"{hashlib.sha256(ONE).hexdigest()}  export-1.csv\n{hashlib.sha256(TWO).hexdigest()} *export-2.csv\n".encode()
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(40)
SIGNATURE = b"-----BEGIN PGP SIGNATURE-----\n\n" + b"iQEzBAABCAAdFiEE" * 8 + b"\n-----END PGP SIGNATURE-----\n"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Desk:
    """Archives in, through the wiring of the command."""

    def __init__(self, opened, folder: Path, settings, vault) -> None:
        self._opened, self.folder, self.settings, self._vault = opened, folder, settings, vault

    def work(self, function):
        async def run():
            async with self._opened() as database:
                return await function(App(self.folder, self.settings, self._vault, database, "dpo"))

        return asyncio.run(run())

    def take(self, path: Path, profile: str = PROFILE, **options) -> list[wiring.FileTaken]:
        async def taking(app: App):
            if profile == "directory":
                taken = take_directories(app, [path], profile=profile, as_of=date(2024, 1, 1), **options)
            else:
                taken = take_exports(app, [path], profile=profile, incident=None, **options)
            return [each async for each in taken]

        return self.work(taking)


@pytest.fixture
def desk(opened, folder, settings, vault, monkeypatch) -> Desk:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return Desk(opened, folder, settings, vault)


def test_each_file_is_an_import_of_its_own_under_the_hash_of_its_content(write, desk, intake) -> None:
    book = workbook(row_of_a_sheet(PRENOM="MARC"))
    path = write(
        zipped(("a/export-2.csv", ONE), ("export-1.csv", TWO), ("x.bin", THREE), ("d/", b""), ("b.xlsx", book))
    )
    taken = desk.take(path)
    assert [each.member for each in taken] == [f"file {n} of 4" for n in (1, 2, 3, 4)]
    assert [each.sha256 for each in taken] == [sha(each) for each in (ONE, TWO, THREE, book)]
    assert [(each.rows, each.records, each.persons_new) for each in taken] == [(2, 2, 2), *[(1, 1, 1)] * 3]
    assert all(each.unread == () for each in taken)
    archive = sha(path.read_bytes())
    rows = intake.query("SELECT name, sha256, size_bytes, encoding, state FROM imports ORDER BY id")
    assert [(each["name"], each["state"]) for each in rows] == [(path.name, "complete")] * 4
    assert [each["size_bytes"] for each in rows] == [len(each) for each in (ONE, TWO, THREE, book)]
    assert rows[0]["encoding"].startswith("utf-8 (")
    assert rows[2]["encoding"].startswith("cp1252 (")
    for number, each in enumerate(rows, start=1):
        assert f"file {number} of 4 in a zip archive, SHA-256 {archive}" in each["encoding"]
    entries = intake.query("SELECT subject FROM entries WHERE kind = 'import_completed' ORDER BY id")
    assert [each["subject"] for each in entries] == [each.sha256 for each in taken]
    assert not [each for each in path.parent.rglob("*") if each.is_file() and b"ANNE" in each.read_bytes()]
    again = desk.take(path)
    assert [each.already for each in again] == [True] * 4


def test_I1_what_is_beside_the_data_is_named_as_not_read(write, desk) -> None:
    beside = [("note.txt", README), ("x.csv", SUMS), ("s.asc", SIGNATURE), ("scan", PICTURE), ("l.pdf", b"%PDF-1.7 x")]
    taken = desk.take(write(zipped(("data", ONE), *beside)))
    assert [each.sha256 for each in taken] == [sha(ONE)]  # beside another file, the archive is not the file
    assert [(each.ordinal, each.size_bytes, each.what) for each in taken[0].unread] == [
        (2, len(README), "a text without a table"), (3, len(SUMS), "checksums"), (4, len(SIGNATURE), "a signature"),
        (5, len(PICTURE), "a picture"), (6, 10, "a PDF"),
    ]  # fmt: skip
    assert taken[0].unread[0].told() == f"file 2 ({len(README)} bytes) is not read: a text without a table"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(TWO.split(b"\r\n", 1)[1], "without the profile's headings", id="a part without its headings"),
        pytest.param(b"", "is empty", id="nothing"),
        pytest.param(zipped(("a.csv", TWO)), "an archive in the archive", id="zip"),
        pytest.param(gzip.compress(TWO), "an archive in the archive", id="gzip"),
        pytest.param(zipped(("word/document.xml", b"<w/>")), "a document", id="docx"),
        pytest.param(b"\xd0\xcf\x11\xe0\0\0", "neither CSV nor XLSX", id="xls"),
        pytest.param(b"A;B\r\n1;2\r\n", "without the profile's headings", id="another table"),
        pytest.param(b"NIR 2 55 08 14 168 025 38\n", "without the profile's headings", id="somebody's number"),
        pytest.param(b"-----BEGIN PGP MESSAGE-----\n\n" + b"A" * 64, "without the profile's headings", id="pgp"),
        pytest.param(b"Bonjour\n" * 10_000, "without the profile's headings", id="a long text"),
    ],
)
def test_I1_what_might_hold_rows_stops_the_command_until_somebody_chooses(write, desk, intake, content, says) -> None:
    path = write(zipped(("1.csv", ONE), ("pour M. jean.dupont@courriel.example\u202e.dat", content)))
    with pytest.raises(ExportError, match=says) as caught:
        desk.take(path)
    assert "--member" in str(caught.value)
    assert "file 2 (" in str(caught.value)
    assert "jean.dupont" not in str(caught.value)
    assert str(caught.value).isprintable()
    assert intake.query("SELECT * FROM imports") == []
    taken = desk.take(path, members=["*.CSV"])
    assert [each.sha256 for each in taken] == [sha(ONE)]
    assert [(each.ordinal, each.what) for each in taken[0].unread] == [(2, "not among --member")]


def test_members_are_chosen_by_globs(write, desk, intake) -> None:
    path = write(zipped(("in/1.csv", ONE), ("in/2.csv", TWO), ("out/3.csv", THREE), ("4", b"?;?")))
    assert [each.sha256 for each in desk.take(path, members=["2.*", "out/*"])] == [sha(TWO), sha(THREE)]
    with pytest.raises(ExportError, match=r"no file in it fits --member 9\.csv"):
        desk.take(path, members=["*.csv", "9.csv"])
    with pytest.raises(ExportError, match="missing column"):
        desk.take(path, members=["4"])
    for single in (zipped(("1.csv", ONE)), ONE):
        with pytest.raises(ExportError, match="no archive of several files"):
            desk.take(write(single), members=["1.csv"])
    assert len(intake.query("SELECT * FROM imports")) == 2


def test_a_crash_between_two_files_is_mended_by_the_same_command(write, desk, intake) -> None:
    path = write(zipped(("1.csv", ONE), ("2.csv", TWO)))

    async def broken_off(app: App) -> None:
        taken = take_exports(app, [path], profile=PROFILE, incident=None)
        await anext(taken)
        await taken.aclose()

    desk.work(broken_off)
    assert [each["sha256"] for each in intake.query("SELECT sha256 FROM imports")] == [sha(ONE)]
    assert [each.already for each in desk.take(path)] == [True, False]
    assert len(intake.query("SELECT id FROM persons")) == 3


def test_two_files_of_one_name_are_two_and_of_one_content_one(write, desk) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = write(zipped(("1.csv", ONE), ("1.csv", TWO), ("3.csv", ONE)))
    assert [(each.sha256, each.already) for each in desk.take(path)] == [
        (sha(ONE), False), (sha(TWO), False), (sha(ONE), True),
    ]  # fmt: skip


def test_directories_come_in_parts_as_well(write, desk) -> None:
    head = HEADINGS_OF["directory"]
    rows = [
        f"A{n};;;14/09/199{n};1;EXEMPLE;ZOE;;A;a{n}@courriel.example;;;;;C1;fr;actif;MUTUELLE CLAIRVAL" for n in (1, 2)
    ]
    parts = [f"{head}\r\n{row}\r\n".encode() for row in rows]
    taken = desk.take(write(zipped(("1", parts[0]), ("2", parts[1]), ("lisez-moi", README))), "directory")
    assert [(each.records, each.member) for each in taken] == [(1, "file 1 of 3"), (1, "file 2 of 3")]


# -- limits ----------------------------------------------------------------------------------------------------------


def test_too_many_files_and_too_much_in_them(write, desk, intake, monkeypatch) -> None:
    many = zipped(*((f"{n}.csv", b"") for n in range(archives.MEMBERS + 1)))
    with pytest.raises(ExportError, match="an archive of 201 files: at most 200"):
        desk.take(write(many))
    with pytest.raises(ExportError, match="leads outside the archive"):
        desk.take(write(zipped(("1.csv", ONE), ("../2.csv", TWO))), members=["1.csv"])
    monkeypatch.setattr(archives, "CONTENT_BYTES", len(ONE) + len(TWO) - 1)
    with pytest.raises(ExportError, match="unpacks to more than"):
        desk.take(write(zipped(("1.csv", ONE), ("2.csv", TWO))))
    monkeypatch.setattr(archives, "CONTENT_BYTES", 1 << 40)
    monkeypatch.setattr(archives, "SPARED_BYTES", 1 << 10)
    bomb = zipped(("1.csv", ONE), ("2.csv", bytes(1 << 20)))
    with pytest.raises(ExportError, match="but a trap"):
        desk.take(write(bomb), members=["1.csv"])
    assert intake.query("SELECT * FROM imports") == []


def test_a_damaged_file_stops_the_command_before_the_first_is_stored(write, desk, intake) -> None:
    content = bytearray(zipped(("1.csv", ONE), ("2.csv", TWO), method=zipfile.ZIP_STORED))
    content[content.index(b"PAUL")] ^= 1
    with pytest.raises(ExportError, match=r"\(file 2 of 2\) cannot be unpacked"):
        desk.take(write(bytes(content)))
    assert intake.query("SELECT * FROM imports") == []


def test_an_archive_that_changes_after_it_was_looked_at(write) -> None:
    path = write(zipped(("1.csv", ONE), ("2.csv", TWO)))
    profile, _ = profiles.load(path.parent, PROFILE, "export")
    with path.open("rb") as file:
        found = members.contents(file, path.name, profile)
    path.write_bytes(zipped(("1.csv", ONE), ("2.csv", TWO), ("3.csv", THREE)))
    with path.open("rb") as file, pytest.raises(ExportError, match="changed while it was read"):
        files.survey(file, path.name, wrapping=found.wrappings[0])


def test_the_password_of_an_archive_is_asked_once(write, desk, monkeypatch) -> None:
    pyzipper = pytest.importorskip("pyzipper")
    out = io.BytesIO()
    with pyzipper.AESZipFile(out, "w", compression=zipfile.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(b"abc")
        for name, content in (("1.csv", ONE), ("2.csv", TWO), ("lisez-moi.txt", README)):
            archive.writestr(name, content)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    path = write(out.getvalue())
    with pytest.raises(ExportError, match=f"put its password into {PASSWORD}"):
        desk.take(path)
    asked: list[str] = []
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(archives.getpass, "getpass", lambda prompt: asked.append(prompt) or "abc")
    taken = desk.take(path)
    assert ([each.sha256 for each in taken], len(taken[0].unread)) == ([sha(ONE), sha(TWO)], 1)
    assert asked == [f"Password of {path.name}: "]
    assert "in a zip-aes archive" in taken[0].recorded
    monkeypatch.setattr(archives.getpass, "getpass", lambda prompt: "wrong")
    with pytest.raises(ExportError, match="the password is wrong"):
        desk.take(path)


# -- what is said of the archive -------------------------------------------------------------------------------------


def test_a_cover_note_speaks_of_the_archive(write, desk, intake) -> None:
    path = write(zipped(("1.csv", ONE), ("2.csv", TWO)))
    archive = sha(path.read_bytes())
    with pytest.raises(ExportError, match=f"its SHA-256 is {archive}"):
        desk.take(path, custody=Custody(expected_sha256=sha(ONE)))
    for wrong in (2, 4):
        with pytest.raises(ExportError, match=f"has 3 rows, the cover note says {wrong}"):
            desk.take(path, custody=Custody(expected_rows=wrong))
    assert intake.query("SELECT * FROM imports") == []
    taken = desk.take(path, custody=Custody(expected_rows=3, expected_sha256=archive))
    assert [each.rows for each in taken] == [2, 1]
    # Where one file alone is read, the note may speak of it.
    [again] = desk.take(path, members=["2.csv"], custody=Custody(expected_sha256=sha(TWO)))
    assert again.already


def test_a_held_file_of_an_archive_is_freed_from_it(write, desk, intake, folder) -> None:
    other = text(row_of(PRENOM="PAUL", ASSUREUR="MUTUELLE INCONNUE")).encode()
    path = write(zipped(("1.csv", ONE), ("2.csv", other), ("3", b"?;?")))
    settings = folder / "campaign.toml"
    settings.write_text(settings.read_text("utf-8").replace('names = ["*"]', 'names = ["MUTUELLE CLAIRVAL"]'), "utf-8")
    desk.settings = load(folder, environment={})
    taken = desk.take(path, members=["*.csv"])
    assert [bool(each.held) for each in taken] == [False, True]

    async def freed(app: App):
        app, _ = await wiring.add_sender_names(app, app.settings.senders[0].code, ["MUTUELLE INCONNUE"])
        return [each async for each in free_held(app)]

    [done] = desk.work(freed)
    assert (done.problem, done.taken.sha256, done.taken.records) == ("", sha(other), 1)
    assert {each["sha256"] for each in intake.query("SELECT sha256 FROM imports WHERE state = 'complete'")} == {
        sha(ONE), sha(other),
    }  # fmt: skip


def test_values_of_rejected_rows_are_found_in_the_archive(write, desk) -> None:
    bad = text(row_of(DATE_NAISSANCE="", PRENOM="PAUL"), row_of(PRENOM="LÉA")).encode()
    path = write(zipped(("1.csv", ONE), ("2.csv", bad)))
    [_, second] = desk.take(path, accept_rejections=True)

    async def values(app: App):
        return await wiring.write_rejected_values(app, path, profile=PROFILE, sha256=second.sha256)

    written = desk.work(values)
    assert written.name == f"{sha(bad)[:12]}-values.csv"
    assert ";PAUL;" in written.read_text("utf-8-sig")


def test_one_file_of_an_archive_is_forgotten_and_the_other_stays(write, desk, intake) -> None:
    path = write(zipped(("1.csv", ONE), ("2.csv", TWO)))
    desk.take(path)
    archive = sha(path.read_bytes())
    with pytest.raises(OperatorError, match="is an archive") as caught:
        desk.work(lambda app: forget_file(app, archive[:10]))
    assert sha(ONE)[:12] in str(caught.value)
    assert sha(TWO)[:12] in str(caught.value)
    desk.work(lambda app: forget_file(app, sha(TWO)[:10]))
    assert [each["state"] for each in intake.query("SELECT state FROM imports ORDER BY id")] == [
        "complete",
        "forgotten",
    ]
    [entry] = intake.query("SELECT body FROM entries WHERE kind = 'file_forgotten'")
    assert json.loads(entry["body"])["facts"]["records"] == 1
    assert len(intake.query("SELECT id FROM persons")) == 2


def test_a_workbook_read_under_two_profiles_is_forgotten_as_one_file(write, desk, intake, folder) -> None:
    own = folder / "data" / "profiles"
    own.mkdir(parents=True)
    shipped = Path(__file__).parents[2] / "data" / "profiles" / f"{PROFILE}.toml"
    other = shipped.read_text(encoding="utf-8").replace('incident = "viamedis"', 'incident = "almerys"')
    (own / "again.toml").write_text(other, encoding="utf-8")
    path = write(workbook(row_of_a_sheet(PRENOM="MARC"), row_of_a_sheet(PRENOM="ANNE"), row_of_a_sheet(PRENOM="ZOÉ")))
    [first] = desk.take(path)
    desk.take(path, "again")
    desk.take(write(part("Anne", "ZOÉ")))
    forgotten, [certificate] = desk.work(lambda app: forget_file(app, first.sha256))
    [body] = forgotten.bodies
    assert [each["profile"] for each in body["imports"]] == [PROFILE, "again"]
    assert (body["removed"]["records"], body["removed"]["persons"], body["fields_blanked"]) == (6, 1, 2)
    assert "| viamedis-insured |" in certificate.read_text("utf-8")
    assert len(intake.query("SELECT id FROM persons")) == 2


# -- trials ----------------------------------------------------------------------------------------------------------


def test_profile_check_and_draft_take_the_first_file_with_data(write, desk, folder) -> None:
    path = write(zipped(("0.txt", README), ("1.csv", ONE), ("2.csv", TWO), ("3", b"\0")))

    async def check(app: App, which: Path = path):
        return await try_profile(app, which, profile=PROFILE, incident=None, rows=None, shown=3)

    trial = desk.work(check)
    assert (trial.member, trial.rows, trial.as_json()["member"]) == ("file 2 of 4", 2, "file 2 of 4")
    made = draft_profile(folder, path, family=None, encoding="")
    assert (made.member, made.family, made.as_json()["member"]) == ("file 2 of 4", "insured", "file 2 of 4")
    assert desk.work(lambda app: check(app, write(ONE))).member == ""
    # A profile that does not fit says what does not, as for a file alone.
    strange = write(zipped(("0.txt", README), ("1.csv", b"NIR;CLE;NOM\n1;2;3\n")))
    with pytest.raises(ExportError, match=r"\(file 2 of 2\): missing column"):
        desk.work(lambda app: check(app, strange))
    with pytest.raises(ExportError, match="none of them can be read as data"):
        desk.work(lambda app: check(app, write(zipped(("0.txt", README), ("1", SUMS)))))


# -- what is harmless ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (README.decode("cp1252"), "a text without a table"),
        ("Voir https://depot.example/un/chemin/tres/long/vers/le/fichier/export-1.csv", "a text without a table"),
        (SUMS.decode(), "checksums"),
        ("a" * 64, "checksums"),
        (f"SHA256 (export-1.csv) = {'0' * 64}\n\n", "checksums"),
        (f"{'a' * 64}  DUPONT;ANNE;1955", ""),
        (SIGNATURE.decode(), "a signature"),
        ("-----BEGIN PGP SIGNATURE-----\nDUPONT;ANNE", ""),
        ("Bonjour, voici, comme convenu", ""),
        ("a;b", ""),
        ("a\tb", ""),
        ("a|b", ""),
        ("2550814168025 DUPONT ANNE", ""),
        ("FR76 3000 6000 0112 3456 7890 189", ""),
        ("x" * 41, ""),
    ],
)
def test_I1_which_texts_are_passed_over(words, found) -> None:
    assert harmless(words) == found


CELL = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12)


@given(st.lists(st.lists(CELL, min_size=3, max_size=6), min_size=1, max_size=4), st.sampled_from(SEPARATORS))
def test_I1_no_table_is_harmless(table, separator) -> None:
    assert harmless("\n".join(separator.join(cells) for cells in table)) == ""


def test_the_corpus_has_these_headings() -> None:
    assert HEADINGS_OF[PROFILE] == HEADINGS
