"""A small campaign written straight into the tables, with the journal entries that belong to it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import shutil
import sqlite3
import zipfile
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from notifier.campaign import Settings, load, shipped
from notifier.journal.checkpoints import Checkpoint, key_name, sign_checkpoint, sign_note, verifier_key
from notifier.journal.merkle import Frontier, leaf_hash
from notifier.journal.sealer import seal
from notifier.model import Entry, to_ms
from notifier.proof.bundle import Bundle
from notifier.proof.export import ExportReport, export
from notifier.proof.verifier.verify import canonical, manifest_text
from notifier.storage.database import create_database, open_database
from notifier.vault import Keys, Vault
from tests.conftest import found

NOW = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
SENDER = "clairval"
EXPOSURES = "viamedis:birth_date,viamedis:nir"
TEXTS = {
    "templates/fr/insured.md": "Bonjour {{ nom }},\nvos données ont été consultées.\n".encode(),
    "data/categories.toml": b"[nir]\nlabel = 'NIR'\n",
}
NAMES = ("Zéphirine Vraisemblable", "zephirine.vraisemblable@courriel.example", "12 allée des Fougères")


@pytest.fixture(scope="session")
def _founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With an empty journal: these tests write the whole journal themselves."""
    return found(tmp_path_factory.mktemp("founded") / "campaign")


class Story:
    """Writes rows and entries that agree, as the other rooms would."""

    def __init__(self, folder: Path, vault: Vault, now: datetime) -> None:
        self.folder, self.vault, self.now = folder, vault, now
        self.persons = self.tokens = 0
        self._db = sqlite3.connect(folder / "campaign.db")

    def close(self) -> None:
        self._db.close()

    def insert(self, table: str, **values: Any) -> int:
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join(f":{name}" for name in values)
        with self._db:
            return self._db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", values).lastrowid or 0

    def run(self, sql: str, *values: Any) -> None:
        with self._db:
            self._db.execute(sql, values)

    def entry(self, kind: str, subject: str = "", /, **facts: Any) -> None:
        self.now += timedelta(seconds=1)
        body = Entry(self.now, kind, subject, facts).canonical()
        self.insert("entries", kind=kind, subject=subject, salt=secrets.token_bytes(32), body=body)

    def begin(self) -> None:
        kind = "drill" if self.vault.is_drill else "campaign"
        self.entry("campaign_created", campaign=self.vault.campaign_id, kind=kind, fingerprint=self.vault.fingerprint)
        self.set_id = self.insert("exposure_sets", canonical=EXPOSURES)
        self.members = self.file("directory", rows=0, records=0, rejections=0)

    def file(self, kind: str, *, rows: int, records: int, rejections: int) -> int:
        sha256 = hashlib.sha256(f"{kind}{rows}{self.now}".encode()).hexdigest()
        number = self.insert(
            "imports", kind=kind, state="complete", sha256=sha256, profile=f"viamedis-{kind}", settings_digest=sha256,
            incident="viamedis", name="export.csv", size_bytes=1, encoding="utf-8", as_of="", rows_read=rows,
            records=records, rejections=rejections, persons_new=records, persons_known=0,
            completed_ms=to_ms(self.now),
        )  # fmt: skip
        self.entry(
            "import_completed", sha256, kind=kind, profile=f"viamedis-{kind}", incident="viamedis", as_of="",
            rows=rows, records=records, rejections=rejections, persons_new=records, persons_known=0,
            encoding="utf-8", size_bytes=1,
        )  # fmt: skip
        for line in range(rejections):
            self.insert("rejections", import_id=number, line=1000 + line, column="NIR", code="no_identity",
                        state="open", reason="", decided_by="")  # fmt: skip
        return number

    def person(self, import_id: int, *, contact: bool = True, rows: int = 1) -> int:
        self.persons += 1
        identity = self.vault.digest("identity", str(self.persons))
        contact_id = None
        if contact:
            sealed = self.vault.seal("contact", identity, {"name": NAMES[0], "email": NAMES[1]})
            contact_id = self.insert(
                "contacts", import_id=self.members, line=self.persons, sender=SENDER, identity=identity, kind="member",
                link="A", status="active", language="fr", as_of="", current=1, has_postal=1, provider="other",
                sealed=sealed,
            )  # fmt: skip
        person = self.insert(
            "persons", sender=SENDER, identity=identity, kind="insured", profession="", exposure_set_id=self.set_id,
            sealed=self.vault.seal("person", identity, {"name": NAMES[0]}), contact_id=contact_id,
            rung="nir_forename" if contact else "", identity_review="", excluded="", excluded_reason="", excluded_by="",
        )  # fmt: skip
        for row in range(rows):
            self.insert("records", import_id=import_id, line=self.persons * 10 + row, person_id=person,
                        exposure_set_id=self.set_id, warnings="")  # fmt: skip
        return person

    def wave(self, name: str = "initial", kind: str = "initial") -> int:
        wave = self.insert("waves", name=name, kind=kind, created_ms=to_ms(self.now), planned_ms=to_ms(self.now))
        self.segment = self.insert(
            "segments", wave_id=wave, sender=SENDER, audience="insured", profession="", form="own",
            exposure_set_id=self.set_id, language="fr",
        )  # fmt: skip
        self.entry("wave_planned", wave=name, kind=kind, notifications=0, by_route={}, review=0)
        self.wave_id, self.wave_name = wave, name
        return wave

    def batch(self, number: int, notifications: int, texts: dict[str, bytes] | None = None) -> int:
        files = {path: hashlib.sha256(text).hexdigest() for path, text in (texts or TEXTS).items()}
        batch = self.insert(
            "batches", wave_id=self.wave_id, number=number, digest="d" * 64, bound="{}", notifications=notifications,
            approved_by="Claude Personne", approved_ms=to_ms(self.now),
        )  # fmt: skip
        for path, text in (texts or TEXTS).items():
            self.insert("batch_files", batch_id=batch, path=path, sha256=files[path], content=text)
        self.entry("batch_approved", wave=self.wave_name, batch=number, digest="d" * 64, notifications=notifications,
                   by="Claude Personne", files=files)  # fmt: skip
        self.batch_id, self.batch_number = batch, number
        return batch

    def delivery(self, state: str, *, channel: str = "mail", frozen: bool = True, **more: Any) -> tuple[int, str]:
        self.tokens += 1
        token = self.vault.token("delivery", str(self.tokens))
        number = self.insert(
            "deliveries", token=token, wave_id=self.wave_id, segment_id=self.segment, contact_id=1, channel=channel,
            state=state, batch_id=self.batch_id if frozen else None, attempt=1, retries=0,
            doubts=more.pop("doubts", 0), epoch=1, provider="other", due_ms=0, since_ms=0, **more,
        )  # fmt: skip
        return number, token.hex()

    def notification(
        self, person: int, route: str, *, delivery: tuple[int, str] | None = None, review: str = "",
        excluded: str = "", frozen: bool = True, names: str | None = None, reason: str = "own_mailbox",
    ) -> None:  # fmt: skip
        """``names``: the delivery as it was frozen, when another one lives by now."""
        self.insert(
            "notifications", wave_id=self.wave_id, person_id=person, segment_id=self.segment, route=route,
            route_reason=reason, review=review, excluded=excluded, batch_id=self.batch_id if frozen else None,
            delivery_id=delivery[0] if delivery else None,
        )  # fmt: skip
        if frozen:
            self.entry(
                "notification_frozen", self.pseudonym(person), wave=self.wave_name, batch=self.batch_number,
                route="held" if review else route, reason=review or reason, rung=self.rung(person),
                segment=self.segment, exposures=EXPOSURES, audience="insured", sender=SENDER, excluded=excluded,
                delivery=names or (delivery[1] if delivery else ""),
            )  # fmt: skip

    def rung(self, person: int) -> str:
        return str(self._db.execute("SELECT rung FROM persons WHERE id = ?", (person,)).fetchone()[0])

    def pseudonym(self, person: int) -> str:
        identity = self._db.execute("SELECT identity FROM persons WHERE id = ?", (person,)).fetchone()[0]
        return self.vault.pseudonym(SENDER, identity)

    def outcome(self, token: str, kind: str, **more: Any) -> None:
        facts = {"attempt": 1, "started": "", "phase": "data", "code": 250, "enhanced": "2.0.0", "late": False,
                 "reply": "2.0.0 Ok: queued as ABC", "reply_sha256": "0" * 64, "notice_sha256": "1" * 64}  # fmt: skip
        self.entry(f"delivery_{kind}", token, **{**facts, **more})

    def seal(self, reason: str = "test") -> str:
        """Seal; the checkpoint's note."""

        async def work() -> str:
            async with open_database(self.folder / "campaign.db", self.vault) as database:
                checkpoint = await seal(database, self.vault, reason=reason, now=self.now)
                assert checkpoint is not None
                return checkpoint.note

        return asyncio.run(work())

    def export(self, settings: Settings, out: Path, **more: Any) -> ExportReport:
        async def work() -> ExportReport:
            async with open_database(self.folder / "campaign.db", self.vault) as database:
                return await export(database, self.vault, settings, out, now=self.now + timedelta(hours=1), **more)

        return asyncio.run(work())

    def whole_campaign(self) -> None:
        """Every term of I1 at least once, a household, a letter, a late answer, somebody not approved."""
        self.begin()
        file = self.file("export", rows=18, records=17, rejections=1)
        self.wave()
        self.batch(1, 15)
        couple = self.delivery("accepted", observe_until_ms=to_ms(self.now) + 1)
        for rows in (1, 2):
            self.notification(self.person(file, rows=rows), "email", delivery=couple)
        self.outcome(couple[1], "deferred", code=450)
        self.outcome(couple[1], "accepted")
        for state in ("queued", "deferred", "in_doubt", "delivered", "refused", "expired"):
            delivery = self.delivery(state)
            self.notification(self.person(file), "email", delivery=delivery)
            if state == "refused":
                self.outcome(delivery[1], state, then="unreachable", letter="")
            elif state != "queued":
                self.outcome(delivery[1], state)
        failed = self.delivery("refused")
        letter = self.delivery("to_print", channel="post", replaces_id=failed[0])
        self.notification(self.person(file), "email", delivery=letter, names=failed[1])
        self.outcome(failed[1], "refused", then="post", letter=letter[1], code=550)
        late = self.delivery("accepted", observe_until_ms=to_ms(self.now) + 1, doubts=1)
        self.notification(self.person(file), "email", delivery=late)
        self.outcome(late[1], "in_doubt", code=0)
        self.outcome(late[1], "accepted", late=True)
        self.notification(self.person(file), "post", delivery=self.delivery("to_print", channel="post"))
        self.notification(self.person(file, contact=False), "none", reason="unmatched")
        self.notification(self.person(file), "none", reason="unreachable")
        self.notification(self.person(file), "email", review="ambiguous")
        self.notification(self.person(file), "email", excluded="deceased")
        self.notification(self.person(file), "email", delivery=self.delivery("queued", frozen=False), frozen=False)


def contents(pack: Path) -> dict[str, bytes]:
    """The files of a pack, by name, without manifest and signature."""
    with zipfile.ZipFile(pack) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.startswith("manifest.")}


def forge(files: dict[str, bytes], vault: Vault, out: Path) -> Path:
    """A pack of any content, well formed and signed: what the owner of a key could hand over."""
    name = key_name(vault.campaign_id)
    files = {
        **files,
        "keys/signing.vkey": f"{verifier_key(name, vault.public_key)}\n".encode(),
        "keys/fingerprint.txt": f"{vault.fingerprint}\n".encode(),
    }
    with out.open("wb") as file:
        bundle = Bundle(file, out.parent)
        for path in sorted(files):
            bundle.add(path, files[path])
        facts = {"kind": "drill" if vault.is_drill else "campaign"}
        bundle.finish(facts, lambda digest: sign_note(manifest_text(name, digest), name, vault.public_key, vault.sign))
    return out


def rewrite(files: dict[str, bytes], lines: list[bytes], vault: Vault) -> dict[str, bytes]:
    """The same pack with other entries, and a checkpoint and a summary made to fit: the owner of the key rewrites."""
    frontier, numbered = Frontier(), []
    for index, line in enumerate(lines):
        item = json.loads(line)
        frontier.append(leaf_hash(bytes.fromhex(item["salt"]), canonical(item["entry"]).encode()))
        numbered.append(canonical({**item, "index": index}).encode() + b"\n")
    checkpoint = Checkpoint(key_name(vault.campaign_id), frontier.size, frontier.root())
    note = sign_checkpoint(checkpoint, vault.public_key, vault.sign).note
    summary = json.loads(files["summary.json"])
    summary["checkpoint"] = {"size": frontier.size, "root": frontier.root().hex()}
    return {
        **files,
        "entries.jsonl": b"".join(numbered),
        "checkpoints.txt": note.encode(),
        "summary.json": json.dumps(summary).encode(),
    }


@dataclass(frozen=True)
class Packed:
    """The whole campaign's pack, made once: no test changes it."""

    path: Path
    vault: Vault
    folder: Path


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    folder = tmp_path_factory.mktemp("campaign")
    shutil.copy(shipped("data") / "campaign" / "sample.toml", folder / "campaign.toml")
    vault = Vault(Keys.new("test-campaign"))
    create_database(folder / "campaign.db", vault, NOW)
    with closing(Story(folder, vault, NOW)) as story:
        story.whole_campaign()
        story.seal()
        story.outcome(story.vault.token("delivery", "2").hex(), "deferred", code=421)
        story.run("UPDATE deliveries SET state = 'deferred' WHERE id = 2")
        story.export(load(folder, environment={}), folder / "proof.zip")
    return Packed(folder / "proof.zip", vault, folder)


@pytest.fixture
def pack(packed: Packed) -> Path:
    return packed.path


@pytest.fixture
def signer(packed: Packed) -> Vault:
    """Whose key signed the pack."""
    return packed.vault


@pytest.fixture
def files(pack: Path) -> dict[str, bytes]:
    return contents(pack)


@pytest.fixture
def forged(signer: Vault, tmp_path: Path):
    """``forged(files)``: a pack of these files, signed with the campaign's own key (or another's)."""

    def make(files: dict[str, bytes], by: Vault = signer) -> Path:
        return forge(files, by, tmp_path / "forged.zip")

    return make


@pytest.fixture
def rewritten(signer: Vault):
    """``rewritten(files, lines)``: the files with other entries, everything that is signed made to fit."""

    def make(files: dict[str, bytes], lines: list[bytes]) -> dict[str, bytes]:
        return rewrite(files, lines, signer)

    return make


@pytest.fixture
def names() -> tuple[str, ...]:
    """What is sealed in the story, and must not be found in a pack."""
    return NAMES


@pytest.fixture
def story(folder: Path, vault: Vault, now: datetime):
    with closing(Story(folder, vault, now)) as story:
        yield story
