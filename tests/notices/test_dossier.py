"""A dossier is requested, read, signed, and nothing may differ from it when it comes back (I7)."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import shutil
import subprocess
import zipfile
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from sqlalchemy import text

from notifier.campaign import RelayAccess, Tls, shipped
from notifier.cli.notice_commands import _requested
from notifier.cli.terminal import Terminal
from notifier.errors import OperatorError
from notifier.notices.approval import approve, load_batch, verify_bound
from notifier.notices.dossier.folder import write_dossier
from notifier.notices.dossier.pdf import draw_pdf
from notifier.notices.dossier.requests import request
from notifier.signers import ApprovalSection
from notifier.storage.dossiers import signed_batches
from tests.notices.test_approval import AT, entries, keys, plant
from tests.signing import Hand

pytestmark = pytest.mark.thorough

__all__ = ["keys"]  # a fixture

DPO, LEGAL, STRANGER = Hand("Dominique Exemple"), Hand("Alix Exemple", "Juriste"), Hand("Maxime Exemple")


def asking(settings, required=1, *hands, author="Camille Exemple"):
    signers = tuple(hand.signer for hand in hands or (DPO, LEGAL))
    section = ApprovalSection(required=required, author=author, signers=signers)
    return settings.model_copy(update={"approval": section})


class Desk:
    """A planned wave, and what is done with it."""

    def __init__(self, database, vault, folder):
        self.database, self.vault, self.folder = database, vault, folder

    async def request(self, settings, by="ops"):
        return await request(self.database, self.vault, settings, self.folder, wave="initial", by=by, now=AT)

    async def approve(self, settings, *signatures):
        return await approve(
            self.database, self.vault, settings, self.folder, wave="initial", by="ops", now=AT, signatures=signatures
        )

    async def run(self, sql):
        async with self.database.write() as connection:
            assert (await connection.execute(text(sql))).rowcount

    async def refused(self, settings, *signatures):
        """What an approval is refused with, after a look that it froze nothing."""
        with pytest.raises(OperatorError) as refusal:
            await self.approve(settings, *signatures)
        assert await entries(self.database, "batch_approved") == []
        async with self.database.read() as connection:
            assert await signed_batches(connection) == []
        return str(refusal.value)


@pytest.fixture
def desk(opened, vault, folder, keys):
    """``segments``: of how many; each has three notifications."""

    @asynccontextmanager
    async def planned(segments=1):
        async with opened() as database:
            async with database.write() as connection:
                await plant(connection, keys[:segments])
            yield Desk(database, vault, folder)

    return planned


def hash_file(dossier):
    return dossier.files["manifest.sha256"]


def test_i7_what_is_signed_is_frozen_and_kept(desk, settings):
    settings = asking(settings, 2)

    async def story():
        async with desk() as at:
            dossier = await at.request(settings)
            assert (dossier.number, dossier.notifications, dossier.required) == (1, 3, 2)
            assert hashlib.sha256(dossier.files["manifest.json"]).hexdigest() == dossier.sha256
            assert hash_file(dossier) == f"{dossier.sha256}  manifest.json\n".encode()
            [(subject, told)] = await entries(at.database, "approval_requested")
            assert (subject, told["required"], told["author"]) == (dossier.sha256, 2, "Camille Exemple")
            assert [each["name"] for each in told["signers"]] == [DPO.name, LEGAL.name]

            # The order in which signatures are given is nobody's concern.
            made = await at.approve(settings, LEGAL.sign(hash_file(dossier)), DPO.sign(hash_file(dossier)))
            assert (made.notifications, made.dossier) == (3, dossier.sha256)
            assert [each.name for each in made.signatures] == [DPO.name, LEGAL.name]
            [(_, approved)] = await entries(at.database, "batch_approved")
            assert approved["dossier"] == dossier.sha256
            assert [(each["name"], each["role"]) for each in approved["signatures"]] == [
                (DPO.name, "DPO"),
                (LEGAL.name, "Juriste"),
            ]
            manifest = json.loads(dossier.files["manifest.json"])
            assert manifest["digest"] == approved["digest"] == made.digest
            assert manifest["list"] == {"notifications": 3, "sha256": approved["list"]}
            assert manifest["files"] == approved["files"]
            async with at.database.read() as connection:
                [kept] = await signed_batches(connection)
                assert kept.manifest.encode() == dossier.files["manifest.json"]
                assert kept.signatures[0] == DPO.sign(hash_file(dossier))
                await load_batch(connection, made.batch_id)
            # Running again is safe.
            assert (await at.approve(settings)).number is None
            assert await at.request(settings) is None

    asyncio.run(story())


def test_i7_the_list_of_notifications_is_bound_one_by_one(desk, settings, vault):
    """The hash over the list is that of the frozen entries, in their order, as docs/journal-format.md says."""

    async def story():
        async with desk() as at:
            await at.approve(settings)
            [(_, approved)] = await entries(at.database, "batch_approved")
            lines = [
                f"{subject}\t{facts['segment']}\t{facts['route']}\t{facts['reason']}\t{facts['excluded']}\t"
                f"{facts['delivery']}\n"
                for subject, facts in await entries(at.database, "notification_frozen")
            ]
            assert len(lines) == 3
            assert approved["list"] == hashlib.sha256("".join(lines).encode()).hexdigest()
            assert approved["signatures"] == []

    asyncio.run(story())


def test_i7_the_same_state_gives_the_same_bytes_and_one_entry(desk, settings, tmp_path):
    settings = asking(settings)

    async def story():
        async with desk() as at:
            first, second = await at.request(settings), await at.request(settings, by="somebody else")
            assert first == second
            assert len(await entries(at.database, "approval_requested")) == 1
            return first.files

    files = asyncio.run(story())
    for name in ("one", "two"):
        write_dossier(tmp_path / name, files, overwrite=False)
        write_dossier(tmp_path / f"{name}.zip", files, overwrite=False)
    found = {
        path.relative_to(tmp_path / "one").as_posix(): path.read_bytes() for path in (tmp_path / "one").rglob("*.*")
    }
    assert found == files
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO((tmp_path / "one.zip").read_bytes())) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
    for out in ("one", "one.zip"):
        with pytest.raises(OperatorError, match="exists already"):
            write_dossier(tmp_path / out, files, overwrite=False)
        write_dossier(tmp_path / out, files, overwrite=True)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "novel.txt").write_text("mine")
    with pytest.raises(OperatorError, match="is no dossier"):
        write_dossier(mine, files, overwrite=True)
    assert [path.name for path in mine.iterdir()] == ["novel.txt"]


def test_what_to_run_next_names_the_round(desk, settings, tmp_path, capsys):
    """Without it, `approve` would look at the first round, say that nothing waits there, and end with 0."""
    settings = asking(settings, 2)

    async def story():
        async with desk() as at:
            await at.run("UPDATE waves SET name = 'rappel'")
            parts = (at.database, at.vault, settings, at.folder)
            with pytest.raises(OperatorError, match="`notifier approve --wave rappel --signature FILE`"):
                await approve(*parts, wave="rappel", by="ops", now=AT)
            return await request(*parts, wave="rappel", by="ops", now=AT)

    terminal = Terminal(tmp_path, "ops", as_json=False, assume_yes=True)
    dossier = asyncio.run(story())
    assert _requested(terminal, dossier, tmp_path) == 0
    signature = "--signature manifest.sha256.sig"
    assert f"Next: `notifier approve --wave rappel {signature} {signature}`." in capsys.readouterr().out
    assert _requested(terminal, replace(dossier, required=0), tmp_path) == 0
    assert "Next: `notifier approve --wave rappel`." in capsys.readouterr().out


@pytest.mark.thorough
def test_i7_signatures_that_do_not_do(desk, settings):
    settings = asking(settings, 2)

    async def story():
        async with desk() as at:
            assert "no dossier was requested" in await at.refused(settings, DPO.sign(b"x"))
            assert "needs 2 signatures" in await at.refused(settings)
            dossier = await at.request(settings)
            signed = hash_file(dossier)
            assert "needs 2 signatures" in await at.refused(settings)
            assert "2 signatures are required and 1 was given" in await at.refused(settings, DPO.sign(signed))
            assert "by the same signer" in await at.refused(settings, DPO.sign(signed), DPO.sign(signed))
            stranger = await at.refused(settings, DPO.sign(signed), STRANGER.sign(signed))
            assert "none of the signers" in stranger
            assert "SHA256:" in stranger
            altered = await at.refused(settings, DPO.sign(signed), LEGAL.sign(signed + b"x"))
            assert f"the signature of {LEGAL.name} is refused" in altered
            assert 'made for "git"' in await at.refused(settings, DPO.sign(signed, namespace="git"), LEGAL.sign(signed))
            assert "no SSH signature" in await at.refused(settings, "hello", LEGAL.sign(signed))

    asyncio.run(story())


@pytest.mark.thorough
def test_i7_whatever_moved_since_the_request_is_named_old_and_new(desk, settings, folder):
    asked = asking(settings)

    async def story():
        async with desk() as at:
            signature = DPO.sign(hash_file(await at.request(asked)))

            async def differs(*update_sql, **update):
                for sql in update_sql:
                    await at.run(sql)
                told = await at.refused(asked.model_copy(update=update), signature)
                assert "have it signed" in told
                return told.partition("nothing was frozen: ")[2].partition(". Set it back")[0]

            relay = asked.relay.model_copy(update={"port": 26})
            assert await differs(relay=relay) == "bound.relay.port (was 2525, now 26)"
            doubt = asked.doubt.model_copy(update={"policy": "hold"})
            assert await differs(doubt=doubt) == 'bound.doubt.policy (was "resend", now "hold")'
            # A text: the first lines that differ, and which file.
            shutil.copytree(shipped("templates"), folder / "templates")
            path = folder / "templates" / "fr" / "base" / "own.md"
            source = path.read_text(encoding="utf-8")
            path.write_text(source.replace("Nous en sommes désolés", "Nous le regrettons"), encoding="utf-8")
            told = await differs()
            assert "the text of segment 1: -" in told
            assert "le regrettons" in told
            assert "files.templates/fr/base/own.md (was " in told
            path.write_text(source, encoding="utf-8")
            # One person's route, and nothing else that is counted.
            assert await differs("UPDATE notifications SET route_reason = 'holder_mailbox' WHERE id = 1") == (
                "the list of notifications (who is concerned, or how each is reached); "
                "routes.email/holder_mailbox (new: 1); routes.email/mailbox (taken out, was 1)"
            )
            await at.run("UPDATE notifications SET route_reason = 'mailbox' WHERE id = 1")
            # One notification is another person's: every number is the same.
            assert await differs(f"UPDATE deliveries SET token = x'{'ab' * 16}' WHERE id = 1") == (
                "the list of notifications (who is concerned, or how each is reached)"
            )
            told = await differs("DELETE FROM notifications WHERE id = 3")
            assert told.startswith("segment 1: 2 notifications, were 3; the list of notifications")

    asyncio.run(story())


@pytest.mark.thorough
def test_i7_signers_cannot_be_weakened_unseen(desk, settings):
    """Between request and approval: fewer signatures, another signer, none at all."""
    asked = asking(settings, 2)

    async def story():
        async with desk() as at:
            signature = DPO.sign(hash_file(await at.request(asked)))
            fewer = await at.refused(asking(settings, 1), signature)
            assert "approval.required (was 2, now 1)" in fewer
            other = await at.refused(asking(settings, 2, DPO, STRANGER), signature)
            assert f"approval.signers.{STRANGER.name}.name (new" in other
            assert f"approval.signers.{LEGAL.name}.name (taken out" in other
            assert "is 0 now" in await at.refused(settings)
            await at.request(asking(settings, 1))
            assert "signs the dossier of 2024-02-09 08:00 UTC, and a newer one was" in await at.refused(
                asking(settings, 1), signature
            )
            # Meant, it takes a request of its own, which stands in the journal.
            await at.request(settings)
            assert [told["required"] for _, told in await entries(at.database, "approval_requested")] == [2, 1, 0]
            assert (await at.approve(settings)).notifications == 3

    asyncio.run(story())


def test_i7_an_approval_that_asked_for_nothing_needs_nothing(desk, settings):
    async def story():
        async with desk() as at:
            made = await at.approve(settings)
            assert (made.notifications, made.signatures) == (3, ())
            async with at.database.read() as connection:
                assert await verify_bound(connection, asking(settings), wave="initial") == []

    asyncio.run(story())


def test_i7_the_dossier_says_what_changed_since_the_last_approval(desk, settings, folder, keys):
    async def story():
        async with desk(3) as at:
            await at.approve(settings)
            shutil.copytree(shipped("templates"), folder / "templates")
            path = folder / "templates" / "fr" / "base" / "own.md"
            source = path.read_text(encoding="utf-8")
            path.write_text(source.replace("Nous en sommes désolés", "Nous le regrettons"), encoding="utf-8")
            async with at.database.write() as connection:
                await connection.execute(text("UPDATE notifications SET batch_id = NULL WHERE id IN (1, 4)"))
                # Other values are approved only when nothing of the last approval waits any more.
                await connection.execute(text("UPDATE deliveries SET state = 'accepted'"))
            second = RelayAccess(host="127.0.0.1", port=465, tls=Tls.IMPLICIT, rate=1, ca_sha256="0ab1" * 16)
            relay = settings.relay.model_copy(update={"port": 26, "ca_sha256": "5c7e" * 16, "fallback": second})
            return await at.request(settings.model_copy(update={"relay": relay}))

    dossier = asyncio.run(story())
    page = dossier.files["dossier.html"].decode()
    manifest = json.loads(dossier.files["manifest.json"])
    assert manifest["previous"]["batch"] == 1
    changes = page.partition("Ce qui change depuis la dernière approbation")[2].partition("Les textes, en entier")[0]
    assert 'class="plus">+' in changes
    assert "le regrettons" in changes
    assert "relay.port (était 2525, devient 26)" in changes
    assert "relay.ca_sha256 (était" in changes and "devient &quot;5c7e" in changes.replace("&#34;", "&quot;")
    assert "dont le fichier a pour SHA-256 5c7e5c7e5c7e5c7e…" in page
    assert "127.0.0.1, port 465" in page and "SHA-256 0ab10ab10ab10ab1…" in page
    assert "Segment 3 absent de ce lot" in changes
    assert "Modèle de texte changé\u00a0: templates/fr/base/own.md" in changes


def test_i8_a_dossier_shows_everything_and_nobody(desk, settings):
    """What a DPO must find, in French; every text in full; no address, token or pseudonym of a person concerned."""
    asked = asking(settings.model_copy(update={"pace": settings.pace.model_copy(update={"hotline_per_hour": 2})}))

    async def story():
        async with desk(3) as at:
            await at.run("UPDATE notifications SET excluded = 'deceased' WHERE id = 8")
            dossier = await at.request(asked)
            async with at.database.read() as connection:
                rows = await connection.execute(text("SELECT identity FROM persons"))
                secrets = [value.hex() for (value,) in rows]
                rows = await connection.execute(text("SELECT token FROM deliveries"))
                secrets += [value.hex() for (value,) in rows]
            secrets += [at.vault.pseudonym("clairval", bytes.fromhex(identity)) for identity in secrets[:9]]
            return dossier, secrets

    dossier, secrets = asyncio.run(story())
    page = dossier.files["dossier.html"].decode()
    for words in (
        "9\u00a0personnes sont concernées",
        "3\u00a0e-mails",
        dossier.sha256,
        "plusieurs adhérents possibles",
        "Personnes exclues, par raison",
        "décédé",
        "127.0.0.1, port 2525, non chiffré",
        "information@mutuelle-clairval.example",
        "un courrier à leur nom",
        "Durée de l&#x27;envoi\u00a0: au moins 1\u00a0h\u00a030.",
        "Dominique Exemple (DPO)",
        "ssh-keygen -Y sign -n notifier-approval",
        "C&#x27;est la première approbation de cette vague.",
    ):
        assert words in page, words
    manifest = json.loads(dossier.files["manifest.json"])
    assert sorted(number for each in manifest["texts"] for number in each["segments"]) == [1, 2, 3]
    for each in manifest["texts"]:
        html = dossier.files[f"textes/segment-{each['segments'][0]}.html"]
        assert hashlib.sha256(html).hexdigest() == each["html_sha256"]
        assert "Exemple" in each["text"]
    assert "src=" not in page
    assert "<script" not in page
    for content in dossier.files.values():
        assert not any(secret in content.decode() for secret in secrets)


def test_i7_the_pdf_says_the_same_in_the_same_bytes(desk, settings):
    pytest.importorskip("typst", reason="typst is not installed")

    async def story():
        async with desk() as at:
            return await at.request(asking(settings))

    dossier = asyncio.run(story())
    drawn = draw_pdf(dossier.document, footer=dossier.sha256)
    assert drawn.startswith(b"%PDF-")
    assert drawn == draw_pdf(dossier.document, footer=dossier.sha256)
    if shutil.which("pdftotext"):
        told = subprocess.run(["pdftotext", "-layout", "-", "-"], input=drawn, capture_output=True, check=True)
        for words in (dossier.sha256, "Mutuelle Clairval", "Bonjour Camille Exemple", "Dominique Exemple (DPO)"):
            assert words in told.stdout.decode(), words
