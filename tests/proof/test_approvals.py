"""A signed approval in the proof pack: checked offline, and not even the owner of the campaign's key can alter what a
signer signed (I7, I9)."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from notifier.cli.main import main
from notifier.proof.verifier import verify as standalone
from notifier.proof.verifier.verify import canonical
from notifier.proof.verify import verify
from notifier.vault import Keys, Vault
from tests.proof.conftest import contents, forge, rewrite
from tests.signing import Hand, rsa_key
from tests.stories.test_s01_one_row import DIRECTORY, EXPORT, _key

pytestmark = pytest.mark.thorough

DPO, LEGAL, STRANGER = Hand("Dominique Exemple"), Hand("Alix Exemple", "Juriste", key=rsa_key()), Hand("Maxime Exemple")
MANIFEST, FIRST, SECOND = (
    f"approvals/initial/1/{name}" for name in ("manifest.json", "signature-1.sig", "signature-2.sig")
)
both = pytest.mark.parametrize("judge", [verify, standalone.check], ids=["ours", "standalone"])


@dataclass(frozen=True)
class Signed:
    """One person's campaign, approved by two signatures, and its pack."""

    pack: Path
    vault: Vault
    campaign: Path

    @property
    def files(self) -> dict[str, bytes]:
        return contents(self.pack)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    """Through the command line, from the export to the pack."""
    base = tmp_path_factory.mktemp("signed")
    campaign, dossier, pack = base / "campaign", base / "dossier", base / "proof.zip"

    def run(*words: str | Path, expect: int = 0) -> str:
        result = CliRunner().invoke(main, ["-C", str(campaign), "--by", "ops", *map(str, words)])
        assert result.exit_code == expect, result.output
        return result.output

    run("init", campaign, "--sample")
    signers = "".join(
        f'[[approval.signers]]\nname = "{hand.name}"\nrole = "{hand.role}"\npublic_key = "{hand.line}"\n'
        for hand in (DPO, LEGAL)
    )
    with (campaign / "campaign.toml").open("a", encoding="utf-8") as toml:
        toml.write(f'\n[approval]\nrequired = 2\nauthor = "Camille Exemple"\n{signers}')
    key = f";{_key('2950999126111')};"
    (base / "export.csv").write_text(EXPORT.replace(";93;", key), encoding="cp1252")
    (base / "directory.csv").write_text(DIRECTORY.replace(";93;", key), encoding="utf-8")
    run("intake", base / "export.csv", "--profile", "viamedis-insured")
    run("directory", base / "directory.csv", "--profile", "directory")
    run("plan")
    assert "needs 2 signatures" in run("approve", "--yes", expect=2)
    with pytest.MonkeyPatch.context() as without_typst:
        without_typst.setitem(sys.modules, "typst", None)
        told = json.loads(run("approve", "--request", "--out", dossier, "--json"))
    assert (told["required"], told["notifications"], told["pdf"]) == (2, 1, False)
    assert sorted(path.name for path in dossier.iterdir()) == [
        "dossier.html",
        "manifest.json",
        "manifest.sha256",
        "textes",
    ]
    run("approve", "--request", expect=2)
    run("approve", "--out", dossier, expect=2)
    assert "exists already" in run("approve", "--request", "--out", dossier, expect=2)
    with pytest.MonkeyPatch.context() as changed:  # a dossier that could not be written is not the one that counts
        changed.setenv("NOTIFIER_RELAY__PORT", "26")
        assert "exists already" in run("approve", "--request", "--out", dossier, expect=2)
        assert "no folder" in run("approve", "--request", "--out", base / "nowhere" / "dossier.zip", expect=2)
    message = (dossier / "manifest.sha256").read_bytes()
    assert message.decode().split()[0] == told["sha256"]
    for hand in (DPO, LEGAL):
        (base / hand.role).write_text(hand.sign(message))
    run("approve", "--signature", base / "DPO", expect=2)
    made = json.loads(
        run("approve", "--signature", base / "DPO", "--signature", base / "Juriste", "--yes", "--json").splitlines()[-1]
    )
    assert made["dossier"] == told["sha256"]
    assert [each["name"] for each in made["signed_by"]] == [DPO.name, LEGAL.name]
    run("proof", "export", "--out", pack)
    return Signed(pack, Vault(Keys.load((campaign / "campaign.key").read_text(), "the test's key")), campaign)


def test_i7_send_names_what_moved_since_old_and_new(signed):
    result = CliRunner().invoke(main, ["-C", str(signed.campaign), "send"], env={"NOTIFIER_RELAY__PORT": "26"})
    assert result.exit_code == 2
    assert "relay.port (approved 2525, now 26)" in result.output
    assert "its dossier was requested anew" in result.output


@both
def test_i7_a_signed_approval_holds_and_says_by_whom(signed, judge):
    verdict = judge(signed.pack, fingerprint=signed.vault.fingerprint)
    assert verdict.findings == []
    assert "batch 1 of wave initial: signed by Dominique Exemple (DPO), Alix Exemple (Juriste)" in verdict.remarks


def test_i9_a_bare_interpreter_checks_the_signatures(signed, tmp_path):
    with zipfile.ZipFile(signed.pack) as archive:
        program = archive.extract("verify.py", tmp_path)
    command = [sys.executable, "-I", "-S", program, str(signed.pack)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "signed by Dominique Exemple (DPO), Alix Exemple (Juriste)" in done.stdout


def entries_with(files, kind, change):
    """The lines of the journal, with the facts of the first entry of a kind changed; None takes the entry out."""
    lines, done = [], False
    for line in files["entries.jsonl"].splitlines():
        item = json.loads(line)
        if item["entry"]["kind"] == kind and not done:
            done = True
            if change is None:
                continue
            change(item["entry"]["facts"])
        lines.append(canonical(item).encode())
    assert done
    return lines


def summed(files):
    """The summary lists the approvals as the entries do."""
    summary = json.loads(files["summary.json"])
    lines = [json.loads(line)["entry"] for line in files["entries.jsonl"].splitlines()]
    summary["batches"] = [{**each["facts"], "at": each["at"]} for each in lines if each["kind"] == "batch_approved"]
    return {**files, "summary.json": json.dumps(summary).encode()}


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def another_text(files):
    """The subject that the signers read is another one, and the journal names the new manifest."""
    manifest = json.loads(files[MANIFEST])
    manifest["texts"][0]["subject"] = "Tout va bien"
    content = canonical(manifest).encode()

    def change(facts):
        facts["dossier"] = sha256(content)

    return {**files, MANIFEST: content}, entries_with(files, "batch_approved", change)


def one_signature_less(files):
    def change(facts):
        facts["signatures"].pop()

    return {name: content for name, content in files.items() if name != SECOND}, entries_with(
        files, "batch_approved", change
    )


def one_signature_twice(files):
    def change(facts):
        facts["signatures"][1] = facts["signatures"][0]

    return {**files, SECOND: files[FIRST]}, entries_with(files, "batch_approved", change)


def somebody_elses_signature(files):
    manifest = sha256(files[MANIFEST])
    content = STRANGER.sign(f"{manifest}  manifest.json\n".encode()).encode()

    def change(facts):
        facts["signatures"][0] |= {"key": STRANGER.line.split()[1], "sha256": sha256(content)}

    return {**files, FIRST: content}, entries_with(files, "batch_approved", change)


def a_signature_of_something_else(files):
    content = DPO.sign(b"another dossier").encode()

    def change(facts):
        facts["signatures"][0]["sha256"] = sha256(content)

    return {**files, FIRST: content}, entries_with(files, "batch_approved", change)


def another_name(files):
    def change(facts):
        facts["signatures"][0]["name"] = "Claude Personne"

    return files, entries_with(files, "batch_approved", change)


def another_notification(files):
    def change(facts):
        facts.update(route="post")

    return files, entries_with(files, "notification_frozen", change)


def anothers_dossier(files):
    """What the signers signed in a rehearsal, or for another campaign: the same in all but its name."""
    manifest = json.loads(files[MANIFEST]) | {"campaign": "drill-abcdefgh"}
    content = canonical(manifest).encode()
    message = f"{sha256(content)}  manifest.json\n".encode()
    signatures = {FIRST: DPO.sign(message).encode(), SECOND: LEGAL.sign(message).encode()}

    def change(facts):
        facts["dossier"] = sha256(content)
        for stored, signature in zip(facts["signatures"], signatures.values(), strict=True):
            stored["sha256"] = sha256(signature)

    lines = []
    for line in entries_with(files, "batch_approved", change):
        item = json.loads(line)
        if item["entry"]["kind"] == "approval_requested":
            item["entry"]["subject"] = sha256(content)
        lines.append(canonical(item).encode())
    return {**files, MANIFEST: content, **signatures}, lines


def never_requested(files):
    return files, entries_with(files, "approval_requested", None)


def other_settings(files):
    def change(facts):
        facts["bound"] = "0" * 64

    return files, entries_with(files, "batch_approved", change)


def without_manifest(files):
    return {name: content for name, content in files.items() if name != MANIFEST}, entries_with(
        files, "batch_approved", lambda facts: None
    )


@both
@pytest.mark.parametrize(
    ("forgery", "says"),
    [
        (another_text, "the signature of Dominique Exemple is wrong"),
        (one_signature_less, "it has not the 2 signatures"),
        (one_signature_twice, "it has not the 2 signatures"),
        (somebody_elses_signature, "Dominique Exemple is none of the signers"),
        (a_signature_of_something_else, "the signature of Dominique Exemple is wrong"),
        (another_name, "Claude Personne is none of the signers"),
        (another_notification, "froze other notifications"),
        (anothers_dossier, "its manifest is another campaign's"),
        (never_requested, "signed and never requested"),
        (other_settings, "binds other settings"),
        (without_manifest, "other files than the approvals name"),
    ],
)
def test_i9_the_owner_of_the_key_cannot_alter_what_was_signed(signed, tmp_path, judge, forgery, says):
    """The whole journal is made anew to fit, and everything signed again with the campaign's own key."""
    files, lines = forgery(signed.files)
    pack = forge(summed(rewrite(files, lines, signed.vault)), signed.vault, tmp_path / "forged.zip")
    findings = judge(pack, fingerprint=signed.vault.fingerprint).findings
    assert any(says in finding for finding in findings), findings


@both
def test_i9_a_journal_made_anew_with_nothing_altered_holds(signed, tmp_path, judge):
    """So that the refusals above are those of the alteration, and not of the making."""
    files = signed.files
    lines = entries_with(files, "batch_approved", lambda facts: None)
    pack = forge(summed(rewrite(files, lines, signed.vault)), signed.vault, tmp_path / "forged.zip")
    assert judge(pack).findings == []
