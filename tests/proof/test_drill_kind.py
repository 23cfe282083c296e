"""A rehearsal's proof never passes for a campaign's (I9): the kind is inside what is signed, both verifiers see it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from contextlib import closing

import pytest

from notifier.campaign import load, shipped
from notifier.errors import VaultError
from notifier.proof.verifier import verify as standalone
from notifier.proof.verify import verify
from notifier.storage.database import create_database
from notifier.vault import Keys, Vault
from tests.proof.conftest import NOW, Packed, Story, contents, forge, rewrite

both = pytest.mark.parametrize("judge", [verify, standalone.check], ids=["ours", "standalone"])


@pytest.fixture(scope="module")
def drilled(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """A rehearsal's pack."""
    folder = tmp_path_factory.mktemp("drill")
    shutil.copy(shipped("data") / "campaign" / "sample.toml", folder / "campaign.toml")
    vault = Vault(Keys.new("drill-test"))
    create_database(folder / "campaign.db", vault, NOW)
    with closing(Story(folder, vault, NOW)) as story:
        story.begin()
        story.export(load(folder, environment={}), folder / "proof.zip")
    return Packed(folder / "proof.zip", vault, folder)


@both
def test_i9_an_intact_drill_is_no_proof(drilled, judge):
    verdict = judge(drilled.path, fingerprint=drilled.vault.fingerprint)
    assert verdict.findings == []
    assert (verdict.ok, verdict.drill, verdict.exit_code) == (False, True, 3)
    assert verdict.lines()[0].startswith("EXERCICE")
    assert "HOLDS" not in "".join(verdict.lines())
    assert verdict.as_json()["kind"] == "drill"


def test_i9_the_pack_s_own_verifier_says_exercice_and_ends_differently(drilled, tmp_path):
    with zipfile.ZipFile(drilled.path) as archive:
        program = archive.extract("verify.py", tmp_path)
        assert archive.read("LISEZMOI.txt").decode().startswith("EXERCICE")
    done = subprocess.run(
        [sys.executable, "-I", "-S", program, drilled.path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.startswith("EXERCICE")


@both
def test_i9_the_owner_of_a_drill_s_key_cannot_take_the_word_out(drilled, tmp_path, judge):
    """Every place that says drill, changed by somebody who holds the key and signs again what can be signed again."""
    files, vault = contents(drilled.path), drilled.vault
    summary = json.loads(files["summary.json"])
    summary["campaign"]["kind"] = "campaign"
    changed = {**files, "summary.json": json.dumps(summary).encode()}
    verdict = judge(forge(changed, vault, tmp_path / "summary.zip"))
    assert (verdict.exit_code, verdict.drill) == (1, True)
    lines = files["entries.jsonl"].replace(b'"kind":"drill"', b'"kind":"campaign"', 1).splitlines()
    assert lines != files["entries.jsonl"].splitlines()
    rewritten = rewrite(files, lines, vault)
    assert judge(forge(rewritten, vault, tmp_path / "entry.zip")).exit_code == 1


@both
def test_i9_a_drill_s_journal_under_another_name_is_refused(drilled, tmp_path, judge):
    """Signed again with a campaign's key, or under an id without "drill-": the journal still begins as a drill's."""
    for name in ("honest", "test"):
        other = Vault(Keys.new(name))
        summary = json.loads(contents(drilled.path)["summary.json"])
        summary["campaign"] |= {"id": name, "kind": "campaign"}
        summary["fingerprint"] = other.fingerprint
        files = {**contents(drilled.path), "summary.json": json.dumps(summary).encode()}
        changed = rewrite(files, files["entries.jsonl"].splitlines(), other)
        verdict = judge(forge(changed, other, tmp_path / "renamed.zip"))
        assert verdict.exit_code == 1
        assert any("begin" in finding for finding in verdict.findings)


@pytest.mark.parametrize("name", ["notifier/drill-x", "notifier-drill/x", "notifier-drill/", "notifier/"])
def test_i9_a_name_that_mixes_the_two_kinds_is_malformed(drilled, name):
    signer = standalone.Signer(name, drilled.vault.public_key, standalone.ed25519)
    with pytest.raises(standalone.Altered):
        standalone.read_signer(signer.line(), standalone.ed25519)


def test_i9_a_key_whose_kind_was_edited_is_refused_or_is_another_key():
    keys = Keys.new("drill-abc")
    with pytest.raises(VaultError, match="altered"):
        Keys.load(keys.dump().replace('"kind": "drill"', '"kind": "campaign"'), "k")
    with pytest.raises(VaultError, match="altered"):
        Keys.load(keys.dump().replace("drill-abc", "abc"), "k")
    honest = Keys.load(keys.dump().replace('"drill"', '"campaign"').replace("drill-abc", "abc"), "k")
    assert Vault(honest).fingerprint != Vault(keys).fingerprint
    assert not Vault(honest).recognises(Vault(keys).probe())


def test_i9_the_keys_of_a_drill_come_back_from_their_file():
    keys = Keys.new("drill-abc")
    assert Vault(Keys.load(keys.dump(), "k")).fingerprint == Vault(keys).fingerprint
    assert Vault(Keys.load(keys.dump(), "k")).recognises(Vault(keys).probe())
