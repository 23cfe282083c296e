"""A file received by error is forgotten: its bytes are gone from the database, and a certificate says so."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from test_departures import (
    MEMBERS,
    NAMELESS,
    NOBODY,
    PEOPLE,
    SHOPS,
    Desk,
    File,
    alm,
    campaigns,
    in_the_gap,
    via,
)

from notifier import app as wiring
from notifier.app import forget_file, look_at_file
from notifier.errors import CampaignBusy, OperatorError, ProofError, TryLater
from notifier.journal.checkpoints import key_name, verifier_key
from notifier.people import forgetting
from notifier.proof import certificates
from notifier.proof.certificates import verify_certificate
from notifier.storage import database as storage_database
from notifier.storage import forgetting as bytes_of
from notifier.storage.lock import sender_lock

pytestmark = pytest.mark.thorough

__all__ = ["campaigns", "in_the_gap"]  # fixtures

OTHERS = File("almerys-insured", (alm("Carla", "3", "C3"),))
SAME_OF_ANOTHER = File("almerys-insured", (alm("ALICE", "1"),))


def bytes_of_database(desk: Desk) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(desk.app.folder.glob("campaign.db*")))


async def values(desk: Desk, file: File) -> dict[str, list[bytes]]:
    """What is in the database of a file and may be nowhere afterwards: sealed values, digests of identities, keys."""
    mine = f"import_id IN (SELECT id FROM imports WHERE sha256 = '{desk.taken[file]}')"
    queries = {
        "persons.sealed": f"SELECT sealed FROM persons WHERE id IN (SELECT person_id FROM records WHERE {mine})",
        "persons.identity": f"SELECT identity FROM persons WHERE id IN (SELECT person_id FROM records WHERE {mine})",
        "records.key": f"SELECT key_nir_forename FROM records WHERE key_nir_forename IS NOT NULL AND {mine}",
        "contacts.sealed": f"SELECT sealed FROM contacts WHERE {mine}",
        "contacts.identity": f"SELECT identity FROM contacts WHERE {mine}",
        "contacts.mailbox": f"SELECT mailbox FROM contacts WHERE mailbox IS NOT NULL AND {mine}",
    }
    return {name: [bytes(value) for (value,) in await desk.rows(sql)] for name, sql in queries.items()}


async def certificate(desk: Desk, file: File, ending: str = "") -> tuple[dict, Path]:
    base = desk.app.folder / "certificates" / f"forget-{desk.taken[file][:12]}{ending}"
    return verify_certificate(base, desk.app.vault.campaign_id, desk.app.vault.public_key), base


async def entries(desk: Desk, kind: str = "file_forgotten") -> list[dict]:
    return [json.loads(body) for (body,) in await desk.rows(f"SELECT body FROM entries WHERE kind = '{kind}'")]


# -- the bytes -------------------------------------------------------------------------------------------------------


@pytest.fixture
def careless(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite as most systems ship it: what is deleted stays in free pages. (Debian's overwrites it by itself.)"""
    pragmas = (*storage_database.PRAGMAS, "PRAGMA secure_delete = OFF")
    monkeypatch.setattr(storage_database, "PRAGMAS", pragmas)


@pytest.mark.usefixtures("careless")
@pytest.mark.parametrize("undone", [False, True], ids=["counting", "withdrawn-before"])
@pytest.mark.parametrize("file", [PEOPLE, SHOPS, MEMBERS], ids=["insured", "professionals", "directory"])
def test_I8_no_byte_of_a_forgotten_file_is_left_in_the_database(campaigns, file, undone):
    async def work():
        async with campaigns() as desk:
            await desk.take(OTHERS, file)
            await desk.plan()
            there = await values(desk, file)
            assert sum(map(len, there.values())) >= 4
            content = bytes_of_database(desk)
            assert all(value in content for each in there.values() for value in each)
            if undone:
                await desk.undo(file)
                # Withdrawing is not forgetting: the test would see it if nothing were scrubbed.
                assert any(value in bytes_of_database(desk) for each in there.values() for value in each)
            done, issued = await forget_file(desk.app, desk.taken[file][:8].upper())
            content = bytes_of_database(desk)
            left = {name for name, each in there.items() for value in each if value in content}
            assert left == set()
            assert (done.already, len(issued)) == (False, 1)
            name = next(path.name for path in desk.app.folder.glob("file-1*"))
            assert name.encode() not in content
            await desk.balanced()
            await desk.proven()
            assert len((await desk.contents())["persons"]) == 1

    asyncio.run(work())


def test_I8_what_a_killed_plan_left_beside_the_database_is_gone_with_the_file(campaigns):
    """Numbers and tokens of persons whom the certificate says to be gone."""

    async def work():
        async with campaigns() as desk:
            await desk.take(OTHERS, PEOPLE)
            left = desk.app.folder / "campaign.db-plan"
            left.write_bytes(b"half a plan")
            _, issued = await forget_file(desk.app, desk.taken[PEOPLE])
            assert len(issued) == 1 and not left.exists()

    asyncio.run(work())


@pytest.mark.usefixtures("careless")
def test_I8_a_reader_that_keeps_old_pages_defers_the_certificate(campaigns, monkeypatch):
    async def scrub(path: Path) -> None:
        await scrubbing(path, wait_seconds=0.05)

    scrubbing = bytes_of.scrub
    monkeypatch.setattr(bytes_of, "scrub", scrub)

    async def work():
        async with campaigns() as desk:
            await desk.take(PEOPLE)
            there = await values(desk, PEOPLE)
            with closing(sqlite3.connect(desk.app.folder / "campaign.db", isolation_level=None)) as reader:
                reader.execute("BEGIN")
                reader.execute("SELECT COUNT(*) FROM persons").fetchone()
                with pytest.raises(TryLater, match="run the same command again"):
                    await forget_file(desk.app, desk.taken[PEOPLE])
                assert await desk.rows("SELECT COUNT(*) FROM persons") == [(0,)]
                assert not (desk.app.folder / "certificates").exists()
            done, issued = await forget_file(desk.app, desk.taken[PEOPLE])
            assert (done.already, len(issued)) == (True, 1)
            content = bytes_of_database(desk)
            assert not any(value in content for each in there.values() for value in each)
            assert len(await entries(desk)) == 1
            await certificate(desk, PEOPLE)

    asyncio.run(work())


def test_without_room_to_write_the_database_anew_nothing_begins(campaigns, monkeypatch):
    async def work():
        async with campaigns() as desk:
            await desk.take(PEOPLE)
            before = await desk.everything()
            full = shutil.disk_usage(desk.app.folder)._replace(free=1000)
            monkeypatch.setattr(bytes_of.shutil, "disk_usage", lambda _: full)
            with pytest.raises(OperatorError, match="0 MB; nothing was changed"):
                await look_at_file(desk.app, desk.taken[PEOPLE])
            assert await desk.everything() == before

    asyncio.run(work())


# -- what is left ----------------------------------------------------------------------------------------------------


def test_the_row_stays_without_names_and_with_its_counts(campaigns):
    async def work():
        async with campaigns() as desk:
            await desk.take(PEOPLE)
            async with desk.app.database.write() as connection:
                await connection.execute(
                    text("UPDATE imports SET path = '/depot/Dupont', received_from = 'M. Dupont', received_at = '2024'")
                )
            [before] = await desk.rows(
                "SELECT sha256, size_bytes, profile, rows_read, records, rejections FROM imports"
            )
            glance = await look_at_file(desk.app, desk.taken[PEOPLE])
            assert (glance.states, glance.rows, glance.already) == (("complete",), 3, False)
            assert tuple(glance.extent) == (2, 2, 0, 1)
            await forget_file(desk.app, desk.taken[PEOPLE])
            assert await desk.rows("SELECT state, name, path, received_from, received_at FROM imports") == [
                ("forgotten", "", "", "", "2024")
            ]
            [after] = await desk.rows("SELECT sha256, size_bytes, profile, rows_read, records, rejections FROM imports")
            assert after == before
            assert not list((desk.app.folder / "rejections").iterdir())
            assert b"Dupont" not in bytes_of_database(desk)
            [entry] = await entries(desk)
            body, base = await certificate(desk, PEOPLE)
            assert entry["subject"] == desk.taken[PEOPLE]
            facts = entry["facts"]
            assert facts.pop("certificate") == body
            assert facts == {
                "kind": "export", "records": 2, "persons_removed": 2, "contacts_removed": 0, "rejections_removed": 1,
                "certificate_sha256": hashlib.sha256(base.with_suffix(".json").read_bytes()[:-1]).hexdigest(),
                "by": "dpo",
            }  # fmt: skip

    asyncio.run(work())


def test_a_person_whom_another_file_knows_stays_without_the_spelling_of_this_one(campaigns):
    async def work():
        async with campaigns() as desk, campaigns() as other:
            await desk.take(PEOPLE, SAME_OF_ANOTHER)
            await other.take(SAME_OF_ANOTHER)
            await forget_file(desk.app, desk.taken[PEOPLE])
            [(identity, sealed)] = await desk.rows("SELECT identity, sealed FROM persons")
            assert desk.app.vault.unseal("person", identity, sealed) == {"birth_date": "1995-09-14"}
            body, base = await certificate(desk, PEOPLE)
            assert (body["removed"]["persons"], body["fields_blanked"]) == (1, 1)
            assert "1 personnes sont connues aussi par un autre fichier" in base.with_suffix(".md").read_text("utf-8")
            mine, alone = await desk.contents(), await other.contents()
            assert [row[:-1] for row in mine.pop("persons")] == [row[:-1] for row in alone.pop("persons")]
            assert mine == alone
            # The other file was not the first to speak of them: its own fields never were there to be lost.
            await desk.take(MEMBERS)
            await desk.plan()
            await desk.proven()

    asyncio.run(work())


def test_nothing_of_the_first_file_is_blanked_when_the_second_is_forgotten(campaigns):
    async def work():
        async with campaigns() as desk:
            await desk.take(PEOPLE, SAME_OF_ANOTHER, NAMELESS)
            before = await desk.rows("SELECT id, sealed FROM persons ORDER BY id")
            await forget_file(desk.app, desk.taken[SAME_OF_ANOTHER])
            assert await desk.rows("SELECT id, sealed FROM persons ORDER BY id") == before
            assert (await certificate(desk, SAME_OF_ANOTHER))[0]["fields_blanked"] == 0

    asyncio.run(work())


def test_values_in_clear_go_also_of_a_file_that_was_withdrawn_before(campaigns):
    async def work():
        async with campaigns() as desk:
            await desk.take(PEOPLE)
            await desk.undo(PEOPLE)
            sha256 = desk.taken[PEOPLE]
            clear = desk.app.folder / "rejections" / f"{sha256[:12]}-values.csv"
            elsewhere = desk.app.folder / "elsewhere.csv"
            half = desk.app.folder / "rejections" / f"{sha256[:12]}.csv.part"
            kept = desk.app.folder / "rejections" / f"{'0' * 12}.csv"
            for path in (clear, elsewhere, half, kept):
                path.write_text(NOBODY)
            async with desk.app.database.write() as connection:
                for path in (f"rejections/{clear.name}", str(elsewhere)):
                    await connection.execute(
                        text(
                            "INSERT INTO clear_files (path, kind, sha256, written_by, written_ms) "
                            "VALUES (:path, 'rejections', :sha256, 'dpo', 0)"
                        ),
                        {"path": path, "sha256": sha256},
                    )
            done, _ = await forget_file(desk.app, sha256)
            assert done.bodies[0]["removed"]["clear_files"] == 2
            assert [path.exists() for path in (clear, elsewhere, half, kept)] == [False, False, False, True]
            assert await desk.rows("SELECT COUNT(*) FROM clear_files WHERE removed_ms IS NULL") == [(0,)]
            body, base = await certificate(desk, PEOPLE)
            assert (body["imports"][0]["state"], body["withdrawn_before"]) == ("undone", True)
            assert "graphie de son nom" in base.with_suffix(".md").read_text("utf-8")

    asyncio.run(work())


@pytest.mark.parametrize("state", ["held", "staging"])
def test_what_never_counted_goes_as_well(campaigns, state):
    """A held file and what a crash left: the row stays as a fact, its names are gone, no entry contradicts."""
    sha256 = "ab" * 32

    async def work():
        async with campaigns() as desk:
            await desk.take(OTHERS)
            sealed = desk.app.vault.seal("held_name", bytes.fromhex(sha256), {"name": "M. Dupont"})
            async with desk.app.database.write() as connection:
                made = await connection.execute(
                    text(
                        "INSERT INTO imports (kind, state, sha256, profile, settings_digest, name, size_bytes, "
                        "incident, encoding, as_of, rows_read, records, rejections, persons_new, persons_known, path) "
                        "VALUES ('directory', :state, :sha256, 'directory', '', 'Dupont.csv', 7, "
                        "'', '', '', 3, 2, 1, 0, 0, '/depot/Dupont.csv') RETURNING id"
                    ),
                    {"state": state, "sha256": sha256},
                )
                number = int(made.scalar_one())
                await connection.execute(
                    text("INSERT INTO held_names (import_id, rows, sealed) VALUES (:id, 3, :sealed)"),
                    {"id": number, "sealed": sealed},
                )
                await connection.execute(
                    text(
                        "INSERT INTO contacts (import_id, line, sender, identity, kind, link, status, language, as_of, "
                        "current, has_postal, provider, sealed) VALUES (:id, 2, 'clairval', :identity, 'member', 'A', "
                        "'active', 'fr', '', FALSE, FALSE, 'other', :sealed)"
                    ),
                    {"id": number, "identity": b"\x07" * 16, "sealed": sealed},
                )
            done, _ = await forget_file(desk.app, sha256[:9])
            assert done.bodies[0]["removed"] | {"held_names": 1, "contacts": 1} == done.bodies[0]["removed"]
            assert await desk.rows("SELECT state, name, path FROM imports WHERE kind = 'directory'") == [
                ("forgotten", "", "")
            ]
            content = bytes_of_database(desk)
            assert not any(value in content for value in (sealed, b"Dupont", b"\x07" * 16))
            await desk.balanced()
            await desk.proven()

    asyncio.run(work())


def test_the_proof_holds_after_an_undo_and_a_forgetting_and_the_same_file_again(campaigns):
    async def work():
        async with campaigns() as desk:
            await desk.take(PEOPLE, OTHERS, MEMBERS)
            await desk.plan()
            await desk.undo(OTHERS)
            await forget_file(desk.app, desk.taken[PEOPLE])
            await forget_file(desk.app, desk.taken[OTHERS])
            await desk.balanced()
            await desk.proven()
            await desk.take(PEOPLE, OTHERS)
            await desk.plan()
            await desk.balanced()
            await desk.proven()
            _, [second] = await forget_file(desk.app, desk.taken[PEOPLE])
            assert second.name == f"forget-{desk.taken[PEOPLE][:12]}-2.md"
            first, _ = await certificate(desk, PEOPLE)
            again, _ = await certificate(desk, PEOPLE, "-2")
            assert first["at"] <= again["at"]
            assert len(first["imports"]) == len(again["imports"]) == 1
            await desk.proven()

    asyncio.run(work())


# -- again, and what is refused --------------------------------------------------------------------------------------


def test_the_second_time_nothing_changes_and_a_missing_or_altered_certificate_comes_back(campaigns):
    async def work():
        async with campaigns() as desk:
            await desk.take(PEOPLE)
            await forget_file(desk.app, desk.taken[PEOPLE])
            home = desk.app.folder / "certificates"
            first = {path.name: path.read_bytes() for path in home.iterdir()}
            before = await desk.everything()
            done, issued = await forget_file(desk.app, desk.taken[PEOPLE])
            assert (done.already, issued) == (True, [])
            assert (await look_at_file(desk.app, desk.taken[PEOPLE])).already
            for path in list(home.iterdir()):
                path.unlink()
                assert len((await forget_file(desk.app, desk.taken[PEOPLE]))[1]) == 1
                path.write_bytes(path.read_bytes().replace(b"2", b"3"))
                assert len((await forget_file(desk.app, desk.taken[PEOPLE]))[1]) == 1
                assert {path.name: path.read_bytes() for path in home.iterdir()} == first
            assert await desk.everything() == before

    asyncio.run(work())


def test_I1_nobody_approved_is_forgotten(campaigns):
    async def work():
        async with campaigns() as desk:
            await desk.take(PEOPLE, MEMBERS)
            await desk.plan()
            await desk.approve()
            before = await desk.everything()
            for file in (PEOPLE, MEMBERS):
                for ask in (look_at_file, forget_file):
                    with pytest.raises(OperatorError, match="nobody approved is pulled away"):
                        await ask(desk.app, desk.taken[file])
            assert await desk.everything() == before
            assert not (desk.app.folder / "certificates").exists()

    asyncio.run(work())


def test_which_file_is_meant_must_be_clear(campaigns):
    async def work():
        async with campaigns() as desk:
            await desk.take(PEOPLE, SHOPS)
            for wrong, says in (("abc", "8 or more hex digits"), ("0" * 8, "no file whose SHA-256 begins")):
                for ask in (look_at_file, forget_file):
                    with pytest.raises(OperatorError, match=says):
                        await ask(desk.app, wrong)
            async with desk.app.database.write() as connection:
                await connection.execute(
                    text(
                        "UPDATE imports SET sha256 = 'abcdef01' || substr(sha256, 9), "
                        "encoding = 'cp1252 (file 1 of 2 in a zip archive, SHA-256 ' || :archive || ')'"
                    ),
                    {"archive": "9" * 64},
                )
            with pytest.raises(OperatorError, match="several files"):
                await forget_file(desk.app, "abcdef01")
            with pytest.raises(OperatorError, match=r"is an archive: .*abcdef01"):
                await forget_file(desk.app, "99999999")

    asyncio.run(work())


def test_no_sender_and_no_intake_runs_meanwhile(campaigns):
    async def work():
        async with campaigns() as desk:
            await desk.take(PEOPLE)
            before = await desk.everything()
            with sender_lock(desk.app.folder, wiring.utc_now()), pytest.raises(CampaignBusy):
                await forget_file(desk.app, desk.taken[PEOPLE])
            assert await desk.everything() == before

    asyncio.run(work())


# -- the certificate -------------------------------------------------------------------------------------------------

BODY = {
    "format": certificates.FORMAT,
    "campaign": "test-campaign",
    "sha256": "ab" * 32,
    "size_bytes": 1234,
    "at": "2024-07-09T08:00:00.000Z",
    "by": "A. *Dupont* | DPO",
    "imports": [
        {"kind": "export", "profile": "viamedis-insured", "incident": "viamedis", "as_of": "", "state": "complete",
         "begun": "", "completed": "2024-02-09T08:00:00.000Z", "rows": 3, "records": 2, "rejections": 1},
    ],
    "removed": dict.fromkeys(certificates._REMOVED, 7),
    "fields_blanked": 0,
    "withdrawn_before": False,
}  # fmt: skip


def test_a_certificate_says_both_times_and_cannot_be_altered_by_one_byte(tmp_path, vault):
    path = certificates.issue(tmp_path, vault, BODY)
    assert path == tmp_path / "certificates" / f"forget-{'ab' * 6}.md"
    words = path.read_text(encoding="utf-8")
    assert words.startswith("# Certificat d'effacement\n")
    assert "2024-07-09T08:00:00.000Z (heure de Paris : 09/07/2024 10:00:00 CEST)" in words
    assert "2024-02-09T08:00:00.000Z (heure de Paris : 09/02/2024 09:00:00 CET)" in words
    assert r"A. \*Dupont\* \| DPO" in words
    for ending in ("", ".json", ".md", ".sig"):
        base = path.with_suffix(ending)
        assert verify_certificate(base, vault.campaign_id, vault.public_key) == BODY
    for ending in (".json", ".md", ".sig"):
        file = path.with_suffix(ending)
        content = file.read_bytes()
        step = max(1, len(content) // 60)
        for at in {*range(0, len(content), step), *range(len(content) - 8, len(content))}:
            for altered in (
                content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :],
                content[:at] + content[at + 1 :],
            ):
                file.write_bytes(altered)
                with pytest.raises(ProofError, match=r"was altered|is no certificate"):
                    verify_certificate(path, vault.campaign_id, vault.public_key)
        file.write_bytes(content + b"\n")
        with pytest.raises(ProofError):
            verify_certificate(path, vault.campaign_id, vault.public_key)
        file.unlink()
        with pytest.raises(ProofError, match="cannot be read"):
            verify_certificate(path, vault.campaign_id, vault.public_key)
        file.write_bytes(content)
    with pytest.raises(ProofError):
        verify_certificate(path, "another", vault.public_key)
    assert not certificates.is_issued(tmp_path, vault, BODY | {"size_bytes": 5})
    assert certificates.is_issued(tmp_path, vault, BODY)


def test_both_rooms_speak_of_one_format():
    assert certificates.FORMAT == forgetting.FORMAT
    assert forgetting.canonical({"é": [1, {"b": 2, "a": "x"}]}) == '{"é":[1,{"a":"x","b":2}]}'.encode()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_the_recipe_of_the_documentation_works(tmp_path, vault):
    """docs/intake-files.md, word for word."""
    document = (Path(__file__).parents[2] / "docs" / "intake-files.md").read_text(encoding="utf-8")
    [recipe] = re.findall(r"```sh\n(name=forget-.*?)```", document, re.DOTALL)
    certificates.issue(tmp_path, vault, BODY)
    folder = tmp_path / "certificates"
    key = verifier_key(key_name(vault.campaign_id), vault.public_key)
    script = recipe.replace("forget-3f2a9c01d4e7", f"forget-{'ab' * 6}").replace("notifier/…+…+…", key)

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", "-e", "-c", script], cwd=folder, capture_output=True, text=True, check=False)

    good = run()
    assert good.returncode == 0, good.stderr
    assert "Signature Verified Successfully" in good.stdout
    hashes = [
        hashlib.sha256((folder / f"forget-{'ab' * 6}{ending}").read_bytes()).hexdigest() for ending in (".json", ".md")
    ]
    assert all(good.stdout.count(each) == 2 for each in hashes)
    note = folder / f"forget-{'ab' * 6}.sig"
    note.write_text(note.read_text("utf-8").replace(hashes[0], "0" * 64), encoding="utf-8")
    assert run().returncode != 0


def test_instants_are_read_as_they_are_written():
    assert certificates._instant("") == "—"
    assert datetime.fromisoformat("2024-07-09T08:00:00.000Z") == datetime(2024, 7, 9, 8, tzinfo=UTC)
    assert via() in PEOPLE.rows
